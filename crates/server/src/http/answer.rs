//! Answers that are not errors: JSON of ours, and the four bytes `true`.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde::Serialize;

use super::wire_error::ApiError;

/// The result of a handler.
pub(crate) type Answer = Result<HttpResponse, ApiError>;

/// A JSON answer, not to be cached: it contains personal data.
pub(crate) fn json(value: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(crate::dto::value(value).to_string())
}

/// The four bytes `true`, which the Swift SDK compares as text.
pub(crate) fn ok_true() -> HttpResponse {
    json(&serde_json::Value::Bool(true))
}

/// An HTML page, not to be cached and without a referrer for other sites. The server's own origin gets it: otherwise
/// browsers would hide the origin of the page's form.
pub(crate) fn page(status: StatusCode, policy: &'static str, html: String) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .body(html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn true_has_four_bytes() {
        let body = actix_web::body::to_bytes(ok_true().into_body());
        assert_eq!(futures_util::FutureExt::now_or_never(body).unwrap().unwrap(), "true".as_bytes());
    }
}
