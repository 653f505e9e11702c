//! Authentication: each route states which token it takes, and is reached with no other. Of four credentials the first
//! that is present counts; the others are ignored.

use std::future::{Ready, ready};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};
use latchkey_crypto::{AccessToken, AppToken, SuperToken};
use latchkey_domain::Scope;
use latchkey_service::{AppOrUser, Call, Caller, Credential, Operator, Refusal, Service, ServiceError};

use super::address::source_of;
use super::wire_error::{ApiError, Family};

/// The one path where an app token may be sent instead of an access token.
const RESET_PASSWORD: &str = "/api/appuser/resetpassword";

/// The only path of the user API that answers 401.
const CHECK: &str = "/api/appuser/check";

/// Which tokens a route takes; every other one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// None is needed.
    Nothing,
    /// A server secret with this scope.
    Operator(Scope),
    /// An app token.
    AppToken,
    /// An access token.
    AccessToken,
    /// An app token or an access token.
    Either,
    /// A super-user token.
    SuperUser,
    /// An app token among its own fields, since it is a page; headers are ignored.
    Page,
}

impl Auth {
    /// The usual refusal of other tokens.
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::AppToken => Refusal::AppTokenInvalid,
            Self::SuperUser => Refusal::AccessTokenInvalid,
            Self::Operator(_) => Refusal::ServerScopeNeeded,
            Self::AccessToken | Self::Either | Self::Nothing | Self::Page => Refusal::MissingParameter,
        }
    }
}

/// The caller of a request, verified by [`authenticate`].
pub(crate) struct Verified<T>(pub(crate) T);

pub(crate) type ByApp = Verified<Call<AppToken>>;
pub(crate) type ByUser = Verified<Call<AccessToken>>;
pub(crate) type ByAppOrUser = Verified<Call<AppOrUser>>;
pub(crate) type BySuperUser = Verified<Call<SuperToken>>;
pub(crate) type ByOperator = Verified<Operator>;

impl<T: Clone + 'static> FromRequest for Verified<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<T>().cloned();
        ready(
            caller
                .map(Self)
                .ok_or_else(|| ApiError::internal("a handler wants a caller that its route does not take")),
        )
    }
}

/// Verifies that a request has the token that its route takes, before its body is read. Others get `refusal`, or that of
/// the token that they sent.
pub(crate) async fn authenticate(
    auth: Auth,
    refusal: Refusal,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match identify(auth, refusal, &request).await {
        Ok(()) => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
        Err(error) => Ok(ServiceResponse::from_err(ApiError::from(error), request.into_parts().0)),
    }
}

async fn identify(auth: Auth, refusal: Refusal, request: &ServiceRequest) -> Result<(), ServiceError> {
    if matches!(auth, Auth::Nothing | Auth::Page) {
        return Ok(());
    }
    let service = request.app_data::<Data<Service>>();
    let service = service.ok_or_else(|| ServiceError::Internal("the service is not mounted".into()))?;
    let (caller, source) = (caller_of(service, request.request())?, source_of(request.request()));
    match (auth, caller) {
        (Auth::AppToken, Caller::App(caller)) => insert(request, Call { caller, source }),
        (Auth::AccessToken, Caller::User(caller)) => insert(request, Call { caller, source }),
        (Auth::SuperUser, Caller::SuperUser(caller)) => insert(request, Call { caller, source }),
        (Auth::Either, Caller::App(token)) => {
            insert(request, Call { caller: AppOrUser::App(token), source });
        }
        (Auth::Either, Caller::User(token)) => {
            insert(request, Call { caller: AppOrUser::User(token), source });
        }
        (Auth::Operator(scope), Caller::Operator(caller)) => {
            let operator = service.authorize_operator(Call { caller, source }, scope).await?;
            insert(request, operator);
        }
        _ => return Err(refusal.into()),
    }
    Ok(())
}

fn insert<T: 'static>(request: &ServiceRequest, caller: T) {
    request.extensions_mut().insert(caller);
}

fn caller_of(service: &Service, request: &HttpRequest) -> Result<Caller, Refusal> {
    // A duplicate header is refused: two parsers might read different values.
    let header = |name: &str, refusal: Refusal| {
        let mut values = request.headers().get_all(name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => value.to_str().map(Some).map_err(|_| refusal),
            (Some(_), Some(_)) => Err(refusal),
        }
    };
    if let Some(text) = header("server-secret", Refusal::ServerSecretInvalid)? {
        return service.identify(Credential::ServerSecret(text));
    }
    if let Some(text) = header("app-token", Refusal::AppTokenInvalid)? {
        return service.identify(Credential::AppToken(text));
    }
    if let Some(text) = header("access-token", Refusal::AccessTokenInvalid)? {
        let identified = service.identify(Credential::AccessToken(text));
        // The Kotlin SDK sends its app token in this header here. It only identifies the application.
        if identified.is_err() && request.path() == RESET_PASSWORD {
            return service.identify(Credential::AppToken(text)).or(identified);
        }
        return identified;
    }
    // Any page can send a form with a query to another origin, but no header: what changes something needs the header.
    if !request.method().is_safe() {
        return Ok(Caller::Nobody);
    }
    let mut in_query = request.query_string().split('&').filter_map(|pair| pair.strip_prefix("appToken="));
    match (in_query.next(), in_query.next()) {
        (None, _) => Ok(Caller::Nobody),
        (Some(text), None) => service.identify(Credential::AppToken(text)),
        (Some(_), Some(_)) => Err(Refusal::AppTokenInvalid),
    }
}

/// Which half of the API a path belongs to.
pub(crate) fn family_of(path: &str) -> Family {
    match path {
        "/api/app" => Family::Admin,
        CHECK => Family::Gateway,
        _ if path.starts_with("/api/app/") => Family::Admin,
        _ => Family::User,
    }
}
