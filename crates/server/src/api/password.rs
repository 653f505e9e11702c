//! `POST /api/appuser/changePassword`, `forgotPassword` and `resetPassword`.

use actix_web::web::Data;
use latchkey_service::{ChangePassword, Refusal, ResetPassword, ServiceError};

use super::login::name_of;
use super::{AppState, run};
use crate::http::{Answer, ApiError, Family, Fields, Identity, ok_true};

pub(crate) async fn change_password(state: Data<AppState>, identity: Identity, fields: Fields) -> Answer {
    // A missing parameter is 602 here too.
    let invalid = |error: ServiceError| match error {
        ServiceError::Explained(_, text) => ApiError::user(ServiceError::invalid(text)),
        _ => ApiError::user(Refusal::InvalidData),
    };
    let current = fields.password("password", "rawPassword").map_err(invalid)?;
    let new = fields.password("newPassword", "newRawPassword").map_err(invalid)?;
    let change = ChangePassword { current: current.into_client(), new };
    let service = state.service.clone();
    run(Family::User, async move { service.change_password(identity.0, change).await }).await?;
    Ok(ok_true())
}

pub(crate) async fn forgot_password(state: Data<AppState>, identity: Identity, fields: Fields) -> Answer {
    identity.0.caller.clone().app_or_user(Refusal::MissingParameter).map_err(ApiError::user)?;
    let name = name_of(&fields)?;
    let service = state.service.clone();
    run(Family::User, async move { service.forgot_password(identity.0, name).await }).await?;
    Ok(ok_true())
}

pub(crate) async fn reset_password(state: Data<AppState>, identity: Identity, fields: Fields) -> Answer {
    identity.0.caller.clone().app_or_user(Refusal::MissingParameter).map_err(ApiError::user)?;
    fields.required("handle").map_err(ApiError::user)?;
    // What is missing is told before what is wrong.
    let code = fields.code("code");
    let code = match code {
        Err(wrong) if wrong.is_missing() => return Err(ApiError::user(wrong)),
        code => code.map_err(ApiError::user),
    };
    let password = fields.password("password", "rawPassword").map_err(ApiError::user)?;
    let reset = ResetPassword { name: name_of(&fields)?, password, code: code? };
    let service = state.service.clone();
    run(Family::User, async move { service.reset_password(identity.0, reset).await }).await?;
    Ok(ok_true())
}
