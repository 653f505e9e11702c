//! `POST /api/appuser/login` and `loginAnonymous`.

use latchkey_domain::Handle;
use latchkey_service::account::{AnonymousLogIn, LogIn, LoggedIn, LoginName};
use latchkey_service::{Refusal, ServiceError};

use super::shared::{LOCALE, NAME, PASSWORD, RAW_PASSWORD, TOKENS};
use super::{State, tokens_json};
use crate::dto::{self, LoginToken, TokensBody};
use crate::http::field::{Field, text};
use crate::http::{Answer, ByApp, Fields, Verified, WrongField, json};
use crate::openapi::{Answers, DEFAULT, Operation, shape};

pub(crate) const LOGIN: Operation = Operation {
    summary: "Log in with a password",
    about: "Users with a second factor get a login token for `loginComplete`. Wrong passwords delay further attempts.",
    fields: &[NAME, PASSWORD, RAW_PASSWORD],
    answers: Answers::Json(&[shape::<TokensBody>, shape::<LoginToken>]),
    refuses: &[
        Refusal::CredentialsWrong,
        Refusal::NotVerified,
        Refusal::UserSuspended,
        Refusal::NoUserNames,
        Refusal::MetadataInvalid,
    ],
    ..DEFAULT
};

pub(crate) async fn login(state: State, Verified(call): ByApp, fields: Fields) -> Answer {
    let name = name_of(&fields)?;
    let login = LogIn { name, password: password_or_none(&fields)? };
    let logged_in = state.service.log_in(call, login).await?;
    Ok(json(&match logged_in {
        LoggedIn::Tokens(tokens) => tokens_json(&tokens),
        LoggedIn::SecondFactor(login_token) => dto::value(&LoginToken { login_token }),
    }))
}

const ANONYMOUS: Field = text(
    "handle",
    "ANON_0b1e5f8a",
    "`ANON_` and a random text chosen by the app. Anyone who knows it can log in.",
)
.required();

pub(crate) const LOGIN_ANONYMOUS: Operation = Operation {
    summary: "Log in as an anonymous user, new or existing",
    fields: &[ANONYMOUS, LOCALE],
    answers: TOKENS,
    refuses: &[
        Refusal::NoAnonymousLogin,
        Refusal::CredentialsWrong,
        Refusal::UserSuspended,
        Refusal::SignupOff,
        Refusal::MetadataInvalid,
    ],
    ..DEFAULT
};

pub(crate) async fn login_anonymous(state: State, Verified(call): ByApp, fields: Fields) -> Answer {
    // Whatever is wrong with the handle is a wrong log-in; the protocol knows no other answer here.
    let handle = fields.required(ANONYMOUS).map_err(|_| Refusal::CredentialsWrong)?;
    let handle = Handle::parse_anonymous(handle).map_err(|_| Refusal::CredentialsWrong)?;
    let locale = fields.owned(LOCALE)?;
    let login = AnonymousLogIn { handle, locale };
    let tokens = state.service.log_in_anonymously(call, login).await?;
    Ok(json(&tokens_json(&tokens)))
}

/// The handle or user name that was typed.
pub(super) fn name_of(fields: &Fields) -> Result<LoginName, WrongField> {
    let name = fields.required(NAME)?;
    LoginName::parse(name).map_err(|error| WrongField::invalid(NAME, error))
}

/// An impossible password is a wrong one; a missing one is an error.
pub(super) fn password_or_none(
    fields: &Fields,
) -> Result<Option<latchkey_domain::ClientPassword>, ServiceError> {
    match fields.password(PASSWORD, RAW_PASSWORD) {
        Err(error) if error.refusal() == Some(Refusal::InvalidData) => Ok(None),
        other => other.map(|password| Some(password.into_client())),
    }
}
