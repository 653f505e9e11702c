//! Authentication of callers: the first of four credentials that is present, verified. The others are ignored.

use std::collections::HashMap;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use latchkey_domain::Scope;
use latchkey_service::{Call, Caller, Credential, Refusal, Service};

use super::address::source_of;
use super::wire_error::{ApiError, Family};

/// The one path where an app token may be sent instead of an access token.
const RESET_PASSWORD: &str = "/api/appuser/resetpassword";

/// The only path of the user API that answers 401.
const CHECK: &str = "/api/appuser/check";

/// Verifies tokens, whatever the store behind it.
pub(crate) trait Identify: Send + Sync {
    fn identify(&self, credential: Credential<'_>) -> Result<Caller, Refusal>;
}

impl Identify for Service {
    fn identify(&self, credential: Credential<'_>) -> Result<Caller, Refusal> {
        Self::identify(self, credential)
    }
}

/// The verified caller of a request, and where they are.
pub(crate) struct Identity(pub(crate) Call);

impl FromRequest for Identity {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = caller_of(request).map_err(ApiError::from);
        ready(caller.map(|caller| Self(Call { caller, source: source_of(request) })))
    }
}

/// The scope that each route of the administration API needs, by method and path, from the route table.
#[derive(Debug, Default)]
pub(crate) struct OperatorScopes(HashMap<(&'static str, String), Scope>);

impl OperatorScopes {
    pub(crate) fn insert(&mut self, method: &'static str, path: String, scope: Scope) {
        self.0.insert((method, path), scope);
    }

    fn of(&self, request: &HttpRequest) -> Option<Scope> {
        let path = request.match_pattern()?;
        let found = self.0.iter().find(|((method, known), _)| request.method() == *method && *known == path);
        found.map(|(_, scope)| *scope)
    }
}

/// The verified caller of a route of the administration API, and the scope that it needs. `authorize` checks the scope
/// in the database.
pub(crate) struct OperatorCall {
    pub(crate) call: Call,
    pub(crate) needs: Scope,
}

impl FromRequest for OperatorCall {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let needs = request.app_data::<Data<OperatorScopes>>().and_then(|scopes| scopes.of(request));
        let call = match needs {
            Some(needs) => caller_of(request)
                .map_err(ApiError::from)
                .map(|caller| Self { call: Call { caller, source: source_of(request) }, needs }),
            None => Err(ApiError::internal("a route without a scope asks for an operator")),
        };
        ready(call)
    }
}

fn caller_of(request: &HttpRequest) -> Result<Caller, Refusal> {
    let Some(identify) = request.app_data::<Data<dyn Identify>>() else { return Ok(Caller::Nobody) };
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
        return identify.identify(Credential::ServerSecret(text));
    }
    if let Some(text) = header("app-token", Refusal::AppTokenInvalid)? {
        return identify.identify(Credential::AppToken(text));
    }
    if let Some(text) = header("access-token", Refusal::AccessTokenInvalid)? {
        let identified = identify.identify(Credential::AccessToken(text));
        // The Kotlin SDK sends its app token in this header here. It only identifies the application.
        if identified.is_err() && request.path() == RESET_PASSWORD {
            return identify.identify(Credential::AppToken(text)).or(identified);
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
        (Some(text), None) => identify.identify(Credential::AppToken(text)),
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
