//! `POST /api/appuser/signup`, `completeSignup`, `invite` and `register`.

use latchkey_domain::{Handle, SignupFlow};
use latchkey_service::account::{
    CompleteSignUp, InviteSomebody, NewPassword, PressLink, Register, SignUp, SignedUp,
};

use super::confirmation::done_page;
use super::{State, tokens_json};
use crate::http::{Answer, ByApp, ByAppOrUser, ByUser, Fields, Verified, WrongField, json, ok_true};

pub(crate) async fn signup(state: State, Verified(call): ByApp, fields: Fields) -> Answer {
    let handle = fields.required("handle")?;
    let password = fields.password("password", "rawPassword")?;
    let sign_up = SignUp {
        handle: handle_of(handle)?,
        password,
        metadata: fields.json_text("metaData"),
        locale: fields.owned("locale")?,
    };
    match state.service.sign_up(call, sign_up).await? {
        SignedUp::User(tokens) => Ok(json(&tokens_json(&tokens))),
        SignedUp::CodeSent => Ok(ok_true()),
    }
}

pub(crate) async fn complete_signup(state: State, Verified(call): ByAppOrUser, fields: Fields) -> Answer {
    let handle = fields.required("handle")?;
    let code = fields.code("code")?;
    // In flow link, elsewhere than the sign-up came from: see the page behind the link.
    let has_password = fields.has("password") || fields.has("rawPassword");
    let password = has_password.then(|| fields.password("password", "rawPassword")).transpose();
    let password = password?.map(NewPassword::into_client);
    let complete = PressLink { link: CompleteSignUp { handle: handle_of(handle)?, code }, password };
    let completed = state.service.complete_sign_up(call, complete).await?;
    if completed.app.settings.signup_flow == SignupFlow::Link {
        return Ok(done_page(&completed, handle));
    }
    Ok(json(&tokens_json(&completed.tokens)))
}

pub(crate) async fn invite(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    let handle = fields.required("handle")?;
    let invite = InviteSomebody {
        handle: handle_of(handle)?,
        sender_reference: fields.required("senderUserId")?.to_owned(),
        metadata: fields.json_text("metaData"),
    };
    state.service.invite(call, invite).await?;
    Ok(ok_true())
}

pub(crate) async fn register(state: State, Verified(call): ByAppOrUser, fields: Fields) -> Answer {
    let handle = fields.required("handle")?;
    // A missing field is reported before an invalid one.
    let code = fields.code("code");
    let password = fields.password("password", "rawPassword")?;
    let register = Register {
        handle: handle_of(handle)?,
        password,
        code: code?,
        metadata: fields.json_text("metaData"),
        locale: fields.owned("locale")?,
    };
    let tokens = state.service.register(call, register).await?;
    Ok(json(&tokens_json(&tokens)))
}

/// The handle of a new user. Anonymous users have an endpoint of their own.
pub(super) fn handle_of(typed: &str) -> Result<Handle, WrongField> {
    Handle::parse(typed).map_err(|error| WrongField::invalid("handle", error))
}
