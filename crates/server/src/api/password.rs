//! `POST /api/appuser/changePassword`, `forgotPassword` and `resetPassword`.

use actix_web::web::Data;
use latchkey_service::{ChangePassword, Refusal, ResetPassword, ServiceError};

use super::AppState;
use super::login::name_of;
use crate::http::{Answer, Fields, Identity, ok_true};

pub(crate) async fn change_password(state: Data<AppState>, identity: Identity, fields: Fields) -> Answer {
    // A missing parameter is 602 here too.
    let invalid = |error: ServiceError| match error {
        ServiceError::Explained(_, text) => ServiceError::invalid(text),
        _ => Refusal::InvalidData.into(),
    };
    let current = fields.password("password", "rawPassword").map_err(invalid)?;
    let new = fields.password("newPassword", "newRawPassword").map_err(invalid)?;
    let change = ChangePassword { current: current.into_client(), new };
    state.service.change_password(identity.0, change).await?;
    Ok(ok_true())
}

pub(crate) async fn forgot_password(state: Data<AppState>, identity: Identity, fields: Fields) -> Answer {
    identity.0.caller.clone().app_or_user(Refusal::MissingParameter)?;
    let name = name_of(&fields)?;
    state.service.forgot_password(identity.0, name).await?;
    Ok(ok_true())
}

pub(crate) async fn reset_password(state: Data<AppState>, identity: Identity, fields: Fields) -> Answer {
    identity.0.caller.clone().app_or_user(Refusal::MissingParameter)?;
    fields.required("handle")?;
    // A missing field is reported before an invalid one.
    let code = fields.code("code");
    let code = match code {
        Err(wrong) if wrong.is_missing() => return Err(wrong.into()),
        code => code,
    };
    let password = fields.password("password", "rawPassword")?;
    let reset = ResetPassword { name: name_of(&fields)?, password, code: code? };
    state.service.reset_password(identity.0, reset).await?;
    Ok(ok_true())
}
