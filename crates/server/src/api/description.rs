//! `/openapi.json` and `/docs`: the API's description, and the page that shows it, from this binary alone.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Path;
use utoipa_swagger_ui::Config;

use super::State;
use crate::http::{Answer, ApiError};
use crate::openapi::{Answers, DEFAULT, Operation};

/// Scripts and pictures from this server only.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) const DOCUMENT: Operation =
    Operation { summary: "This API description", answers: Answers::File(&["application/json"]), ..DEFAULT };

/// `GET /openapi.json`.
pub(crate) async fn document(state: State) -> HttpResponse {
    let text = state.description.get_or_init(|| (state.describe)(state.service.public_url()).to_string());
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .body(text.clone())
}

pub(crate) const DOCS: Operation =
    Operation { summary: "This API description as a page", answers: Answers::Redirect, ..DEFAULT };

/// `GET /docs`: to the page, whose scripts lie beside it.
pub(crate) async fn page(state: State) -> HttpResponse {
    let location = format!("{}/docs/index.html", state.base_path);
    HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish()
}

pub(crate) const DOCS_FILE: Operation = Operation {
    summary: "Files of the page",
    answers: Answers::File(&["text/html", "text/javascript", "text/css", "image/png"]),
    ..DEFAULT
};

/// `GET /docs/{file}`.
pub(crate) async fn page_file(state: State, file: Path<String>) -> Answer {
    // Without a validator: the badge would be fetched from somewhere else.
    let config =
        Config::new([format!("{}/openapi.json", state.base_path)]).validator_url("none").use_base_layout();
    let found = utoipa_swagger_ui::serve(&file, Arc::new(config)).ok().flatten();
    let Some(found) = found.filter(|_| !file.ends_with(".map")) else { return Err(ApiError::UnknownPath) };
    let mut bytes = found.bytes.into_owned();
    if found.content_type.starts_with("text/html") {
        bytes = String::from_utf8_lossy(&bytes)
            .replace("<title>Swagger UI<", "<title>Latchkey API<")
            .into_bytes();
    }
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, found.content_type))
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CONTENT_SECURITY_POLICY, DOCS_POLICY))
        .body(bytes))
}
