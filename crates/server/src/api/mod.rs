//! Handlers, one file per aggregate: extract, parse, one use case, render.

pub(crate) mod account;
pub(crate) mod app_settings;
pub(crate) mod apps;
pub(crate) mod confirmation;
pub(crate) mod description;
pub(crate) mod email_templates;
pub(crate) mod health;
pub(crate) mod import_export;
pub(crate) mod invites;
pub(crate) mod keys;
pub(crate) mod login;
pub(crate) mod logs;
pub(crate) mod metadata_fields;
pub(crate) mod operator;
pub(crate) mod operator_tokens;
pub(crate) mod password;
pub(crate) mod second_factor;
pub(crate) mod shared;
pub(crate) mod signup;
pub(crate) mod social;
pub(crate) mod users;
pub(crate) mod well_known;

use std::sync::{Arc, OnceLock};

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Path};
use latchkey_domain::AppId;
use latchkey_service::{Service, Tokens};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::dto::{self, TokensBody};
use crate::http::{Answer, ApiError, family_of};

/// What handlers share.
pub(crate) struct AppState {
    pub(crate) service: Service,
    /// The path of `server.public_url`, which paths in pages and redirects begin with.
    pub(crate) base_path: String,
    /// Describes the API of a server at an address: the route table can, which is above the handlers.
    pub(crate) describe: fn(&str) -> Value,
    /// The API description, after the first request for it.
    pub(crate) description: OnceLock<String>,
    /// An upload waits in memory, so there is one at a time.
    pub(crate) uploads: Arc<Semaphore>,
}

/// The shared state, as handlers take it.
pub(crate) type State = Data<AppState>;

/// The tokens of a sign-in, as all three SDKs read them.
pub(crate) fn tokens_json(tokens: &Tokens) -> Value {
    dto::value(&TokensBody { jwt: tokens.jwt.clone(), access_token: tokens.access_token.clone() })
}

pub(crate) async fn unknown_path() -> Answer {
    Err(ApiError::UnknownPath)
}

/// Directly below the administration API: a wrong method for an application, else no path that is known.
pub(crate) async fn wrong_method_or_path(request: HttpRequest, id: Path<String>, allowed: String) -> Answer {
    if id.parse::<AppId>().is_ok() { wrong_method(request, allowed).await } else { unknown_path().await }
}

/// Names the methods that the path takes (RFC 9110 section 15.5.6).
pub(crate) async fn wrong_method(request: HttpRequest, allowed: String) -> Answer {
    let mut answer = ApiError::WrongMethod.response(family_of(request.path()), None);
    let allowed = HeaderValue::from_str(&allowed).map_err(|_| ApiError::internal("a method"))?;
    answer.headers_mut().insert(header::ALLOW, allowed);
    Ok(answer)
}
