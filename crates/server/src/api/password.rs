//! `POST /api/appuser/changePassword`, `forgotPassword` and `resetPassword`.

use latchkey_service::account::{ChangePassword, ResetPassword};
use latchkey_service::{Refusal, ServiceError};

use super::State;
use super::login::name_of;
use crate::http::{Answer, ByAppOrUser, ByUser, Fields, Verified, ok_true};

pub(crate) async fn change_password(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    // A missing parameter is 602 here too.
    let invalid = |error: ServiceError| match error {
        ServiceError::Explained(_, text) => ServiceError::invalid(text),
        _ => Refusal::InvalidData.into(),
    };
    let current = fields.password("password", "rawPassword").map_err(invalid)?;
    let new = fields.password("newPassword", "newRawPassword").map_err(invalid)?;
    let change = ChangePassword { current: current.into_client(), new };
    state.service.change_password(call, change).await?;
    Ok(ok_true())
}

pub(crate) async fn forgot_password(state: State, Verified(call): ByAppOrUser, fields: Fields) -> Answer {
    let name = name_of(&fields)?;
    state.service.forgot_password(call, name).await?;
    Ok(ok_true())
}

pub(crate) async fn reset_password(state: State, Verified(call): ByAppOrUser, fields: Fields) -> Answer {
    fields.required("handle")?;
    // A missing field is reported before an invalid one.
    let code = fields.code("code");
    let code = match code {
        Err(wrong) if wrong.is_missing() => return Err(wrong.into()),
        code => code,
    };
    let password = fields.password("password", "rawPassword")?;
    let reset = ResetPassword { name: name_of(&fields)?, password, code: code? };
    state.service.reset_password(call, reset).await?;
    Ok(ok_true())
}
