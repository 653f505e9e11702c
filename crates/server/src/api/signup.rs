//! `POST /api/appuser/signup` and `completeSignup`.

use actix_web::HttpRequest;
use actix_web::web::Data;
use latchkey_domain::Handle;
use latchkey_service::{CompleteSignUp, Refusal, SignUp, SignedUp};
use latchkey_storage::Store;

use super::{AppState, run, tokens_json};
use crate::http::{Answer, ApiError, Family, Fields, Identity, json, ok_true, source_of};

pub(crate) async fn signup<S: Store>(
    state: Data<AppState<S>>,
    identity: Identity,
    request: HttpRequest,
    fields: Fields,
) -> Answer {
    let token = identity.0.app().map_err(ApiError::user)?;
    let handle = fields.required("handle").map_err(ApiError::user)?;
    let password = fields.password("password", "rawPassword").map_err(ApiError::user)?;
    let text = |name| fields.text(name).map(|text| text.map(str::to_owned)).map_err(ApiError::user);
    let sign_up = SignUp {
        handle: handle_of(handle)?,
        password,
        metadata: fields.json_text("metaData"),
        locale: text("locale")?,
        source: source_of(&request),
    };
    let service = state.service.clone();
    match run(Family::User, async move { service.sign_up(token, sign_up).await }).await? {
        SignedUp::User(tokens) => Ok(json(&tokens_json(&tokens))),
        SignedUp::CodeSent => Ok(ok_true()),
    }
}

pub(crate) async fn complete_signup<S: Store>(
    state: Data<AppState<S>>,
    identity: Identity,
    request: HttpRequest,
    fields: Fields,
) -> Answer {
    let caller = identity.0.app_or_user(Refusal::MissingParameter).map_err(ApiError::user)?;
    let handle = fields.required("handle").map_err(ApiError::user)?;
    let code = fields.code("code").map_err(ApiError::user)?;
    let complete = CompleteSignUp { handle: handle_of(handle)?, code, source: source_of(&request) };
    let service = state.service.clone();
    let tokens = run(Family::User, async move { service.complete_sign_up(caller, complete).await }).await?;
    Ok(json(&tokens_json(&tokens)))
}

/// Whoever signs up has an address or another plain handle; anonymous ones have an entrance of their own.
fn handle_of(typed: &str) -> Result<Handle, ApiError> {
    Handle::parse(typed).map_err(|_| ApiError::user(Refusal::InvalidData))
}
