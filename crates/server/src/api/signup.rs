//! `POST /api/appuser/signup`, `completeSignup`, `invite` and `register`.

use latchkey_domain::{Handle, SignupFlow};
use latchkey_service::Refusal;
use latchkey_service::account::{
    CompleteSignUp, InviteSomebody, NewPassword, PressLink, Register, SignUp, SignedUp,
};

use super::confirmation::done_page;
use super::shared::{CODE, HANDLE, LOCALE, META_DATA, PASSWORD, RAW_PASSWORD, TOKENS};
use super::{State, tokens_json};
use crate::dto::TokensBody;
use crate::http::field::{Field, text};
use crate::http::{Answer, ByApp, ByAppOrUser, ByUser, Fields, Verified, WrongField, json, ok_true};
use crate::openapi::{Answers, DEFAULT, Operation, shape, truth};

pub(crate) const SIGNUP: Operation = Operation {
    summary: "Sign up",
    about: "Flows `code` and `link` send a mail and answer `true`; flow `none` creates the account at once.",
    fields: &[HANDLE, PASSWORD, RAW_PASSWORD, META_DATA, LOCALE],
    answers: Answers::Json(&[truth, shape::<TokensBody>]),
    refuses: &[Refusal::SignupOff, Refusal::HandleTaken, Refusal::MetadataInvalid],
    ..DEFAULT
};

pub(crate) async fn signup(state: State, Verified(call): ByApp, fields: Fields) -> Answer {
    let handle = fields.required(HANDLE)?;
    let password = fields.password(PASSWORD, RAW_PASSWORD)?;
    let sign_up = SignUp {
        handle: handle_of(handle)?,
        password,
        metadata: fields.json_text(META_DATA),
        locale: fields.owned(LOCALE)?,
    };
    match state.service.sign_up(call, sign_up).await? {
        SignedUp::User(tokens) => Ok(json(&tokens_json(&tokens))),
        SignedUp::CodeSent => Ok(ok_true()),
    }
}

pub(crate) const COMPLETE_SIGNUP: Operation = Operation {
    summary: "Complete a sign-up with the mailed code",
    about: "Flow `link` answers the application's page instead of tokens, and requires the password unless called from where the sign-up was made.",
    fields: &[HANDLE, CODE, PASSWORD, RAW_PASSWORD],
    answers: Answers::JsonOrPage(&[shape::<TokensBody>]),
    refuses: &[
        Refusal::CredentialsWrong,
        Refusal::SignupOff,
        Refusal::HandleTaken,
        Refusal::CodeExpired,
        Refusal::MetadataInvalid,
    ],
    ..DEFAULT
};

pub(crate) async fn complete_signup(state: State, Verified(call): ByAppOrUser, fields: Fields) -> Answer {
    let handle = fields.required(HANDLE)?;
    let code = fields.code(CODE)?;
    // In flow link, elsewhere than the sign-up came from: see the page behind the link.
    let has_password = fields.has(PASSWORD) || fields.has(RAW_PASSWORD);
    let password = has_password.then(|| fields.password(PASSWORD, RAW_PASSWORD)).transpose();
    let password = password?.map(NewPassword::into_client);
    let complete = PressLink { link: CompleteSignUp { handle: handle_of(handle)?, code }, password };
    let completed = state.service.complete_sign_up(call, complete).await?;
    if completed.app.settings.signup_flow == SignupFlow::Link {
        return Ok(done_page(&completed, handle));
    }
    Ok(json(&tokens_json(&completed.tokens)))
}

const SENDER: Field = text(
    "senderUserId",
    "507f1f77bcf86cd799439011",
    "What the app calls the inviting user: told to the invited.",
)
.required();

pub(crate) const INVITE: Operation = Operation {
    summary: "Invite a person",
    fields: &[HANDLE, SENDER, META_DATA],
    refuses: &[Refusal::InvitationsOff, Refusal::HandleTaken, Refusal::MetadataInvalid],
    ..DEFAULT
};

pub(crate) async fn invite(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    let handle = fields.required(HANDLE)?;
    let invite = InviteSomebody {
        handle: handle_of(handle)?,
        sender_reference: fields.required(SENDER)?.to_owned(),
        metadata: fields.json_text(META_DATA),
    };
    state.service.invite(call, invite).await?;
    Ok(ok_true())
}

pub(crate) const REGISTER: Operation = Operation {
    summary: "Accept an invitation",
    fields: &[HANDLE, PASSWORD, RAW_PASSWORD, CODE, META_DATA, LOCALE],
    answers: TOKENS,
    refuses: &[Refusal::InvitationsOff, Refusal::SignupOff, Refusal::HandleTaken, Refusal::MetadataInvalid],
    ..DEFAULT
};

pub(crate) async fn register(state: State, Verified(call): ByAppOrUser, fields: Fields) -> Answer {
    let handle = fields.required(HANDLE)?;
    // A missing field is reported before an invalid one.
    let code = fields.code(CODE);
    let password = fields.password(PASSWORD, RAW_PASSWORD)?;
    let register = Register {
        handle: handle_of(handle)?,
        password,
        code: code?,
        metadata: fields.json_text(META_DATA),
        locale: fields.owned(LOCALE)?,
    };
    let tokens = state.service.register(call, register).await?;
    Ok(json(&tokens_json(&tokens)))
}

/// The handle of a new user. Anonymous users have an endpoint of their own.
pub(super) fn handle_of(typed: &str) -> Result<Handle, WrongField> {
    Handle::parse(typed).map_err(|error| WrongField::invalid(HANDLE, error))
}
