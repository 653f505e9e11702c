//! How pages leave: one place for status, policy and caching (SEC-074); and what went wrong, as pages.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use askama::Template;
use latchkey_service::{Refusal, ServiceError};

use crate::parts::Frame;
use crate::site::{Site, Transport};

/// Own script, style, images and forms, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// What handlers return.
pub(crate) type Answer = Result<HttpResponse, Failure>;

/// A page.
pub(crate) fn page(site: &Site, status: StatusCode, template: &impl Template) -> Answer {
    let html = template.render().map_err(|error| Failure::Internal(error.to_string()))?;
    Ok(headed(site, HttpResponse::build(status)).content_type("text/html; charset=utf-8").body(html))
}

/// A page that is all right.
pub(crate) fn ok(site: &Site, template: &impl Template) -> Answer {
    page(site, StatusCode::OK, template)
}

/// A mail as its reader sees it: a document of its own that can do nothing, to be shown in a frame (SEC-076). Never
/// `srcdoc`, which would inherit the policy of the page around it.
pub(crate) fn framed(site: &Site, html: String) -> HttpResponse {
    const MAIL_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; \
         base-uri 'none'; frame-ancestors 'self'; sandbox";
    let mut builder = headed(site, HttpResponse::Ok());
    builder.insert_header((header::CONTENT_SECURITY_POLICY, MAIL_POLICY));
    builder.content_type("text/html; charset=utf-8").body(html)
}

/// Sends the browser to another page (RFC 9110 section 15.4.4).
pub(crate) fn see_other(site: &Site, path: &str) -> HttpResponse {
    headed(site, HttpResponse::SeeOther()).insert_header((header::LOCATION, site.to(path))).finish()
}

/// An answer with the headers of every page.
pub(crate) fn headed(site: &Site, mut builder: HttpResponseBuilder) -> HttpResponseBuilder {
    builder
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // Not `no-referrer`: forms would come from the origin `null` then (Fetch, "append a request `Origin` header").
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .insert_header(("cross-origin-opener-policy", "same-origin"))
        .insert_header(("cross-origin-resource-policy", "same-origin"))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    if site.transport == Transport::Encrypted {
        builder.insert_header((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"));
    }
    builder
}

/// Why there is no page.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody is signed in.
    SignedOut {
        /// Where to go on after signing in.
        next: String,
    },
    /// There is no such page, or not for this developer.
    NotFound,
    /// The form came from elsewhere, or of another log-in.
    Forged,
    /// Somebody else changed the same thing meanwhile.
    Conflict(String),
    /// More than one may do.
    TooMany {
        /// After how many seconds it is possible again.
        seconds: u32,
    },
    /// The database cannot be reached, or there is too much to do.
    Unavailable,
    /// A refusal that no page shows better.
    Refused(String),
    /// Our doing.
    Internal(String),
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Refused(Refusal::UnknownApp | Refusal::AppGone) => Self::NotFound,
            ServiceError::Refused(Refusal::UnknownUser) => Self::NotFound,
            ServiceError::Explained(Refusal::Conflict, text) => Self::Conflict(text),
            ServiceError::Explained(_, text) => Self::Refused(text),
            ServiceError::TooMany { seconds } => Self::TooMany { seconds },
            ServiceError::Busy | ServiceError::ProviderAway | ServiceError::Unavailable(_) => {
                Self::Unavailable
            }
            other => Self::Internal(other.to_string()),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::SignedOut { .. } => StatusCode::SEE_OTHER,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forged => StatusCode::FORBIDDEN,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Title and sentence.
    fn words(&self) -> (&'static str, String) {
        match self {
            Self::SignedOut { .. } => ("Sign in", String::new()),
            Self::NotFound => ("Page not found", "There is no such page, or it is not yours.".to_owned()),
            Self::Forged => (
                "Nothing was changed",
                "This form is out of date, or came from another site. Go back, reload the page and send it again."
                    .to_owned(),
            ),
            Self::Conflict(text) => ("Nothing was changed", format!("{text}. Reload the page and look again.")),
            Self::TooMany { seconds } => {
                ("Too many attempts", format!("Try again in {seconds} seconds."))
            }
            Self::Unavailable => (
                "Not available",
                "Latchkey cannot reach its database, or has too much to do. Nothing was saved. Try again."
                    .to_owned(),
            ),
            Self::Refused(text) => ("That is not possible", text.clone()),
            Self::Internal(_) => (
                "Something went wrong",
                "Latchkey failed. Nothing was saved. The server's log names the cause.".to_owned(),
            ),
        }
    }

    /// The page that says so.
    pub(crate) fn answer(&self, site: &Site) -> HttpResponse {
        if let Self::SignedOut { next } = self {
            let query: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
            return see_other(site, &format!("/sign-in?next={query}"));
        }
        if let Self::Internal(cause) = self {
            tracing::error!(%cause, "a page of the portal failed");
        }
        let (title, text) = self.words();
        let template = FailurePage { frame: Frame::bare(site, title), title, text };
        let mut builder = HttpResponse::build(self.status());
        if let Self::TooMany { seconds } = self {
            builder.insert_header((header::RETRY_AFTER, *seconds));
        }
        let html = template.render().unwrap_or_else(|_| title.to_owned());
        headed(site, builder).content_type("text/html; charset=utf-8").body(html)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    /// Where no site is at hand: [`routes`](crate::routes) renders failures before they come here.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status()).finish()
    }
}

#[derive(Template)]
#[template(path = "pages/failure.html")]
struct FailurePage {
    frame: Frame,
    title: &'static str,
    text: String,
}
