//! `POST /api/appuser/signup`, `completeSignup`, `invite` and `register`.

use actix_web::web::Data;
use latchkey_domain::{Handle, SignupFlow};
use latchkey_service::{
    CompleteSignUp, InviteSomebody, NewPassword, PressLink, Refusal, Register, SignUp, SignedUp,
};

use super::confirmation::done_page;
use super::{AppState, run, tokens_json};
use crate::http::{Answer, ApiError, Family, Fields, Identity, WrongField, json, ok_true};

pub(crate) async fn signup(state: Data<AppState>, identity: Identity, fields: Fields) -> Answer {
    identity.0.caller.clone().app().map_err(ApiError::user)?;
    let handle = fields.required("handle").map_err(ApiError::user)?;
    let password = fields.password("password", "rawPassword").map_err(ApiError::user)?;
    let sign_up = SignUp {
        handle: handle_of(handle)?,
        password,
        metadata: fields.json_text("metaData"),
        locale: fields.owned("locale").map_err(ApiError::user)?,
    };
    let service = state.service.clone();
    match run(Family::User, async move { service.sign_up(identity.0, sign_up).await }).await? {
        SignedUp::User(tokens) => Ok(json(&tokens_json(&tokens))),
        SignedUp::CodeSent => Ok(ok_true()),
    }
}

pub(crate) async fn complete_signup(state: Data<AppState>, identity: Identity, fields: Fields) -> Answer {
    identity.0.caller.clone().app_or_user(Refusal::MissingParameter).map_err(ApiError::user)?;
    let handle = fields.required("handle").map_err(ApiError::user)?;
    let code = fields.code("code").map_err(ApiError::user)?;
    // In flow link, elsewhere than the sign-up came from: see the page behind the link.
    let has_password = fields.has("password") || fields.has("rawPassword");
    let password = has_password.then(|| fields.password("password", "rawPassword")).transpose();
    let password = password.map_err(ApiError::user)?.map(NewPassword::into_client);
    let complete = PressLink { link: CompleteSignUp { handle: handle_of(handle)?, code }, password };
    let service = state.service.clone();
    let completed =
        run(Family::User, async move { service.complete_sign_up(identity.0, complete).await }).await?;
    if completed.app.settings.signup_flow == SignupFlow::Link {
        return Ok(done_page(&completed, handle));
    }
    Ok(json(&tokens_json(&completed.tokens)))
}

pub(crate) async fn invite(state: Data<AppState>, identity: Identity, fields: Fields) -> Answer {
    identity.0.caller.clone().user(Refusal::MissingParameter).map_err(ApiError::user)?;
    let handle = fields.required("handle").map_err(ApiError::user)?;
    let invite = InviteSomebody {
        handle: handle_of(handle)?,
        sender_reference: fields.required("senderUserId").map_err(ApiError::user)?.to_owned(),
        metadata: fields.json_text("metaData"),
    };
    let service = state.service.clone();
    run(Family::User, async move { service.invite(identity.0, invite).await }).await?;
    Ok(ok_true())
}

pub(crate) async fn register(state: Data<AppState>, identity: Identity, fields: Fields) -> Answer {
    identity.0.caller.clone().app_or_user(Refusal::MissingParameter).map_err(ApiError::user)?;
    let handle = fields.required("handle").map_err(ApiError::user)?;
    // What is missing is told before what is wrong.
    let code = fields.code("code");
    let password = fields.password("password", "rawPassword").map_err(ApiError::user)?;
    let register = Register {
        handle: handle_of(handle)?,
        password,
        code: code.map_err(ApiError::user)?,
        metadata: fields.json_text("metaData"),
        locale: fields.owned("locale").map_err(ApiError::user)?,
    };
    let service = state.service.clone();
    let tokens = run(Family::User, async move { service.register(identity.0, register).await }).await?;
    Ok(json(&tokens_json(&tokens)))
}

/// Whoever signs up has an address or another plain handle; anonymous ones have an entrance of their own.
pub(super) fn handle_of(typed: &str) -> Result<Handle, ApiError> {
    Handle::parse(typed).map_err(|error| ApiError::user(WrongField::invalid("handle", error)))
}
