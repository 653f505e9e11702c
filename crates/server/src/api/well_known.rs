//! `/apps/{appId}/.well-known/`: public keys and discovery for consumers, without authentication. Addresses come from
//! the settings, never from the request.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Path;
use latchkey_service::{Refusal, ServiceError};
use serde_json::Value;

use super::State;
use crate::dto::{self, Discovery, KeySet};
use crate::http::{Answer, ApiError};
use crate::openapi::{Answers, DEFAULT, Operation, shape};

pub(crate) const JWKS: Operation = Operation {
    summary: "An application's public keys (RFC 7517)",
    about: "Keys for verifying users' JWTs. Cache them as long as `Cache-Control` allows: a new key is published long before it signs.",
    answers: Answers::Json(&[shape::<KeySet>]),
    headers: &[("Cache-Control", "How long it may be cached.")],
    ..DEFAULT
};

pub(crate) async fn jwks(state: State, id: Path<String>) -> Answer {
    let id = id.parse().map_err(|_| ApiError::UnknownPath)?;
    let keys = state.service.jwks(id).await.map_err(unknown_app)?;
    Ok(public(&keys, state.service.key_set_life()))
}

pub(crate) const DISCOVERY: Operation = Operation {
    summary: "Issuer and key address of an application (OpenID Connect Discovery)",
    answers: Answers::Json(&[shape::<Discovery>]),
    headers: &[("Cache-Control", "How long it may be cached.")],
    ..DEFAULT
};

pub(crate) async fn discovery(state: State, id: Path<String>) -> Answer {
    let id = id.parse().map_err(|_| ApiError::UnknownPath)?;
    let found = state.service.discovery(id).await.map_err(unknown_app)?;
    Ok(public(
        &dto::value(&Discovery {
            issuer: found.issuer,
            jwks_uri: found.jwks_uri,
            id_token_signing_alg_values_supported: ["RS256"],
            subject_types_supported: ["public"],
            response_types_supported: ["id_token"],
        }),
        state.service.key_set_life(),
    ))
}

/// Consumers may keep it: a new key waits several times as long before it signs.
fn public(value: &Value, life: time::Duration) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, format!("public, max-age={}", life.whole_seconds())))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .body(value.to_string())
}

fn unknown_app(error: ServiceError) -> ApiError {
    match error {
        ServiceError::Refused(Refusal::UnknownApp) => ApiError::UnknownPath,
        other => other.into(),
    }
}
