//! The error table: status, number and text of each refusal. Errors contain their number and a fixed text, or the
//! problem with the request; causes go to the log.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use latchkey_service::{Refusal, ServiceError};

use super::fields::WrongField;

/// Which part of the API answers: their errors differ in status or body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// `{"code":N,"message":".."}`, status 400 unless said otherwise.
    User,
    /// As [`Family::User`], but refusals are 401, the status that gateways expect for an invalid token.
    Gateway,
    /// `{"status":"Fails","code":N,"message":".."}`, with the status that fits.
    Admin,
}

impl Family {
    fn status_of_refusal(self, of_admin: StatusCode) -> StatusCode {
        match self {
            Self::User => StatusCode::BAD_REQUEST,
            Self::Gateway => StatusCode::UNAUTHORIZED,
            Self::Admin => of_admin,
        }
    }
}

/// An answer that is an error. The middleware renders it for the part of the API that the path belongs to.
#[derive(Debug)]
pub(crate) enum ApiError {
    Service(ServiceError),
    UnknownPath,
    WrongMethod,
    TooLarge,
    TooSlow,
    /// A body of a content type that no endpoint reads.
    UnsupportedBody,
    TooManyConnections,
    Panicked,
}

/// An error as the client sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) status: StatusCode,
    pub(crate) code: u16,
    pub(crate) message: Cow<'static, str>,
}

impl ApiError {
    pub(crate) fn internal(reason: &'static str) -> Self {
        Self::Service(ServiceError::Internal(reason.into()))
    }

    /// Seconds until a retry is useful, if one is.
    pub(crate) fn retry_after(&self, family: Family) -> Option<u32> {
        match (self, self.wire(family).status) {
            (Self::Service(ServiceError::TooMany { seconds }), _) => Some(*seconds),
            (Self::Service(ServiceError::ProviderAway), _) => Some(5),
            (_, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) => Some(2),
            _ => None,
        }
    }

    /// Renders the answer. Internal errors contain the request id, so that clients can report it.
    pub(crate) fn response(&self, family: Family, request_id: Option<&str>) -> HttpResponse {
        let Wire { status, code, message } = self.wire(family);
        let message = match request_id {
            Some(id) if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
                format!("{message} (request {id})")
            }
            _ => message.into_owned(),
        };
        let body = match family {
            Family::User | Family::Gateway => serde_json::json!({"code": code, "message": message}),
            Family::Admin => serde_json::json!({"status": "Fails", "code": code, "message": message}),
        };
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CONTENT_TYPE, "application/json; charset=utf-8"));
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 section 15.5.2 demands a challenge. Browsers show no password prompt for `Bearer`.
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(seconds) = self.retry_after(family) {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if matches!(self, Self::TooLarge | Self::TooSlow | Self::TooManyConnections) {
            response.force_close();
        }
        response.body(body.to_string())
    }

    pub(crate) fn wire(&self, family: Family) -> Wire {
        // Clients of the user API read numbers only. Refusals by this layer have the protocol's: 602 and 500.
        let of = |status: StatusCode, code: u16, message: &'static str| Wire {
            status,
            code,
            message: message.into(),
        };
        match self {
            ApiError::Service(ServiceError::Refused(refusal)) => {
                let (code, message, admin_status) = refused(*refusal);
                of(family.status_of_refusal(admin_status), code, message)
            }
            ApiError::Service(ServiceError::Explained(refusal, text)) => {
                let (code, _, admin_status) = refused(*refusal);
                let status = family.status_of_refusal(admin_status);
                Wire { status, code, message: text.clone().into() }
            }
            ApiError::Service(ServiceError::TooMany { .. }) => {
                of(StatusCode::TOO_MANY_REQUESTS, 500, "too many requests, try again later")
            }
            ApiError::Service(ServiceError::Unavailable(_)) => {
                of(StatusCode::SERVICE_UNAVAILABLE, 500, "database unavailable, try again")
            }
            ApiError::Service(ServiceError::ProviderAway) => {
                of(StatusCode::SERVICE_UNAVAILABLE, 500, "identity provider unavailable, try again")
            }
            ApiError::Service(ServiceError::Busy) => {
                of(StatusCode::SERVICE_UNAVAILABLE, 500, "too many requests at once, try again")
            }
            ApiError::Service(ServiceError::Internal(_) | ServiceError::KeysReplaced(_))
            | ApiError::Panicked => of(StatusCode::INTERNAL_SERVER_ERROR, 500, "internal server error"),
            ApiError::UnknownPath => of(StatusCode::NOT_FOUND, 602, "unknown path"),
            ApiError::WrongMethod => of(StatusCode::METHOD_NOT_ALLOWED, 602, "method not allowed"),
            ApiError::TooLarge => of(StatusCode::PAYLOAD_TOO_LARGE, 602, "request too large"),
            ApiError::UnsupportedBody => of(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                602,
                "unsupported content type: send JSON as application/json, a form as application/x-www-form-urlencoded",
            ),
            ApiError::TooSlow => of(StatusCode::REQUEST_TIMEOUT, 602, "request timed out"),
            ApiError::TooManyConnections => {
                of(StatusCode::TOO_MANY_REQUESTS, 500, "too many connections from this address")
            }
        }
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Service(refusal.into())
    }
}

impl From<WrongField> for ApiError {
    fn from(field: WrongField) -> Self {
        Self::Service(field.into())
    }
}

/// The text of a refusal without details.
pub(crate) fn message_of(refusal: Refusal) -> &'static str {
    refused(refusal).1
}

/// Number, text, and the status where the administration API answers it.
fn refused(refusal: Refusal) -> (u16, &'static str, StatusCode) {
    let bad = StatusCode::BAD_REQUEST;
    match refusal {
        Refusal::AppTokenInvalid => (400, "invalid app token", bad),
        Refusal::AppGone => (401, "app no longer exists", StatusCode::NOT_FOUND),
        Refusal::AppSuspended => (402, "app is suspended", bad),
        Refusal::MissingParameter => (403, "missing parameter", bad),
        Refusal::UserSuspended => (404, "user account is suspended", bad),
        Refusal::AccessTokenInvalid => (405, "invalid access token", bad),
        Refusal::InvitationsOff => (406, "app does not support invitation", bad),
        Refusal::SignupOff => (407, "app does not support signup", bad),
        Refusal::NoAuthenticator => (408, "app does not support google two factor", bad),
        Refusal::NoPhoneFactor => (409, "app does not support phone two factor", bad),
        Refusal::PhoneNotVerified => (410, "phone is not verified", bad),
        Refusal::CodeExpired => (411, "signup code expired", bad),
        Refusal::PhoneTaken => (412, "phone already used", bad),
        Refusal::AppMigrated => (413, "app is migrated", bad),
        Refusal::NoAnonymousLogin => (414, "app does not support anonymous login", bad),
        Refusal::NoAppleLogin => (415, "app does not support apple login", bad),
        Refusal::NoGoogleLogin => (416, "app does not support google login", bad),
        Refusal::MailFailed => (500, "mail could not be sent", bad),
        Refusal::SmsFailed => (500, "SMS could not be sent", bad),
        Refusal::ServerSecretInvalid => (500, "invalid server secret", StatusCode::FORBIDDEN),
        Refusal::ServerSecretExpired => (500, "server secret expired", StatusCode::FORBIDDEN),
        Refusal::CredentialsWrong => (600, "invalid login credentials", bad),
        Refusal::HandleTaken => (601, "handle already registered", StatusCode::CONFLICT),
        Refusal::InvalidData => (602, "invalid data", bad),
        Refusal::AccountUnknown => (603, "account does not exist", bad),
        Refusal::MetadataInvalid => (604, "invalid metadata", bad),
        Refusal::UserNameTaken => (605, "user name already assigned", bad),
        Refusal::NoUserNames => (606, "app does not support user names", bad),
        Refusal::NotVerified => (608, "account has not been verified", bad),
        Refusal::HandleAccountExists => (610, "an email account exists for this identity", bad),
        Refusal::AppleAccountExists => (611, "an apple account exists for this identity", bad),
        Refusal::GoogleAccountExists => (612, "a google account exists for this identity", bad),
        Refusal::ProviderTokenInvalid => (613, "invalid provider token", bad),
        Refusal::ServerScopeNeeded => (400, "server secret required", StatusCode::FORBIDDEN),
        Refusal::UnknownUser => (603, "user not found", StatusCode::NOT_FOUND),
        Refusal::Conflict => (602, "conflict with the current state", StatusCode::CONFLICT),
        Refusal::NotOffered => (500, "not supported by this server", StatusCode::NOT_IMPLEMENTED),
        Refusal::Unknown => (602, "not found", StatusCode::NOT_FOUND),
        Refusal::UnknownApp => (401, "app not found", StatusCode::NOT_FOUND),
        Refusal::AppNameTaken => (602, "app name already taken", StatusCode::CONFLICT),
    }
}

/// How the user API answers an error of a use case: status and JSON.
pub(crate) fn wire_answer(error: ServiceError) -> (u16, String) {
    let Wire { status, code, message } = ApiError::Service(error).wire(Family::User);
    (status.as_u16(), serde_json::json!({"code": code, "message": message}).to_string())
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(error) => error.fmt(f),
            other => write!(f, "{other:?}"),
        }
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.wire(Family::User).status
    }

    fn error_response(&self) -> HttpResponse {
        self.response(Family::User, None)
    }
}

#[cfg(test)]
mod tests {
    use latchkey_domain::Named as _;

    use super::*;

    fn all() -> Vec<ApiError> {
        let mut all: Vec<_> = Refusal::all().iter().map(|refusal| ApiError::from(*refusal)).collect();
        all.extend([
            ApiError::Service(ServiceError::Unavailable("canary".to_owned())),
            ApiError::Service(ServiceError::Busy),
            ApiError::Service(ServiceError::ProviderAway),
            ApiError::Service(ServiceError::TooMany { seconds: 7 }),
            ApiError::Service(ServiceError::Internal("canary".into())),
            ApiError::UnknownPath,
            ApiError::WrongMethod,
            ApiError::TooLarge,
            ApiError::TooSlow,
            ApiError::UnsupportedBody,
            ApiError::TooManyConnections,
            ApiError::Panicked,
        ]);
        all
    }

    /// Names are stored in audit logs and numbers are known to clients: neither may change.
    #[test]
    fn the_table_of_errors() {
        let line = |error: &ApiError| {
            let (user, admin) = (error.wire(Family::User), error.wire(Family::Admin));
            assert_eq!((user.code, &user.message), (admin.code, &admin.message));
            let name = match error {
                ApiError::Service(ServiceError::Refused(refusal)) => refusal.name(),
                _ => "-",
            };
            let (user_status, admin_status) = (user.status.as_u16(), admin.status.as_u16());
            format!("{name} {user_status} {admin_status} {} {}", user.code, user.message)
        };
        let table: Vec<String> = all().iter().map(line).collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn sec_107_an_error_of_ours_says_nothing_but_the_request_id() {
        for error in all() {
            let status = error.wire(Family::User).status;
            let is_ours = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
            let response = error.response(Family::User, Some("0123abcd"));
            let body = actix_web::body::to_bytes(response.into_body());
            let body = futures_util::FutureExt::now_or_never(body).unwrap().unwrap();
            let body = std::str::from_utf8(&body).unwrap();
            assert!(!body.contains("canary"), "{body}");
            assert_eq!(body.contains("0123abcd"), is_ours, "{body}");
        }
    }
}
