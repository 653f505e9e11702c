//! Forms: what was typed, after it was made sure that the form is ours (SEC-073).

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web;
use actix_web::{FromRequest, HttpRequest};
use latchkey_service::portal::PortalToken;

use crate::answer::Failure;
use crate::session::site_of;
use crate::site::Site;

/// The name of the hidden field with the form token.
pub(crate) const TOKEN_FIELD: &str = "form_token";

/// The fields of a form that was sent from one of our pages.
pub(crate) struct Form(HashMap<String, String>);

impl Form {
    /// What was typed into a field; nothing where it was not sent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }
}

impl FromRequest for Form {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let fields = web::Form::<HashMap<String, String>>::from_request(&request, payload);
        Box::pin(async move {
            let site = site_of(&request)?;
            if !is_from_here(&site, &request) {
                return Err(Failure::Forged);
            }
            let fields = fields.await.map_err(|_| Failure::Forged)?.into_inner();
            let cookie = request.cookie(site.cookie_name());
            let cookie = cookie.and_then(|cookie| PortalToken::parse(cookie.value()));
            let expected = cookie.map(|cookie| site.service.form_token(&cookie)).transpose()?;
            let sent = fields.get(TOKEN_FIELD);
            if expected.is_none() || sent != expected.as_ref() {
                return Err(Failure::Forged);
            }
            Ok(Self(fields))
        })
    }
}

/// Whether one of the portal's own pages sent the request. Browsers send the header `Origin` with every POST (RFC 6454
/// section 7). The value `null` is refused, because other sites can send it.
fn is_from_here(site: &Site, request: &HttpRequest) -> bool {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let is_same_site = text("sec-fetch-site").is_none_or(|site| site == "same-origin");
    let origin = text(header::ORIGIN.as_str());
    is_same_site && origin.is_some_and(|origin| site.origins.iter().any(|own| own == origin))
}
