//! `POST /api/appuser/changePassword`, `forgotPassword` and `resetPassword`.

use latchkey_service::account::{ChangePassword, ResetPassword};
use latchkey_service::{Refusal, ServiceError};

use super::State;
use super::login::name_of;
use super::shared::{CODE, MD5, NAME, PASSWORD, RAW_PASSWORD};
use crate::http::field::{Field, text};
use crate::http::{Answer, ByAppOrUser, ByUser, Fields, Verified, ok_true};
use crate::openapi::{DEFAULT, Operation};

const NEW_PASSWORD: Field =
    text("newPassword", "e54d19471c7bbfa19546af4e4a8c2a53", "As `password`.").in_example().matching(MD5);
const NEW_RAW_PASSWORD: Field = text("newRawPassword", "another horse battery staple", "As `rawPassword`.");

pub(crate) const CHANGE_PASSWORD: Operation = Operation {
    summary: "Change the password",
    about: "Ends all other sessions and notifies the user by mail.",
    fields: &[PASSWORD, RAW_PASSWORD, NEW_PASSWORD, NEW_RAW_PASSWORD],
    refuses: &[Refusal::InvalidData],
    ..DEFAULT
};

pub(crate) async fn change_password(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    // A missing parameter is 602 here too.
    let invalid = |error: ServiceError| match error {
        ServiceError::Explained(_, text) => ServiceError::invalid(text),
        _ => Refusal::InvalidData.into(),
    };
    let current = fields.password(PASSWORD, RAW_PASSWORD).map_err(invalid)?;
    let new = fields.password(NEW_PASSWORD, NEW_RAW_PASSWORD).map_err(invalid)?;
    let change = ChangePassword { current: current.into_client(), new };
    state.service.change_password(call, change).await?;
    Ok(ok_true())
}

pub(crate) const FORGOT_PASSWORD: Operation = Operation {
    summary: "Request a mailed reset code",
    fields: &[NAME],
    refuses: &[Refusal::AccountUnknown, Refusal::UserSuspended, Refusal::NoUserNames],
    ..DEFAULT
};

pub(crate) async fn forgot_password(state: State, Verified(call): ByAppOrUser, fields: Fields) -> Answer {
    let name = name_of(&fields)?;
    state.service.forgot_password(call, name).await?;
    Ok(ok_true())
}

pub(crate) const RESET_PASSWORD: Operation = Operation {
    summary: "Set a new password with a reset code",
    about: "Ends all sessions and keeps second factors. The app token may also be sent in `access-token`, as the Kotlin SDK does.",
    fields: &[NAME, PASSWORD, RAW_PASSWORD, CODE],
    refuses: &[Refusal::UserSuspended, Refusal::NoUserNames],
    ..DEFAULT
};

pub(crate) async fn reset_password(state: State, Verified(call): ByAppOrUser, fields: Fields) -> Answer {
    fields.required(NAME)?;
    // A missing field is reported before an invalid one.
    let code = fields.code(CODE);
    let code = match code {
        Err(wrong) if wrong.is_missing() => return Err(wrong.into()),
        code => code,
    };
    let password = fields.password(PASSWORD, RAW_PASSWORD)?;
    let reset = ResetPassword { name: name_of(&fields)?, password, code: code? };
    state.service.reset_password(call, reset).await?;
    Ok(ok_true())
}
