//! The route table: path, handler and required token of every route. Tests and the API description are generated from
//! it, so that no route is forgotten.

use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::guard::{self, GuardContext};
use actix_web::http::header;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{Error, HttpMessage as _, HttpResponse, Route};
use latchkey_portal::Portal;
use latchkey_service::Refusal;
use serde_json::Value;

use crate::api::{
    State, account, confirmation, description, health, keys, login, password, second_factor, signup, social,
    unknown_path, well_known, wrong_method, wrong_method_or_path,
};
pub use crate::http::Auth;
use crate::http::{ClientAddress, USER_API, authenticate, rate_limit};
use crate::openapi;
pub use crate::openapi::Endpoint;

/// One route.
struct Entry {
    endpoint: Endpoint,
    /// The refusal of other tokens.
    refusal: Refusal,
    route: Route,
}

/// Entries, a line each: method, token, path, handler and operation, and the refusal of other tokens if it is not the
/// usual one.
macro_rules! routes {
    ($($method:ident $auth:ident$(($scope:ident))? $path:literal $module:ident::{$handler:ident, $operation:ident} $(, else $refusal:ident)?;)+) => {
        vec![$({
            let auth = Auth::$auth$((latchkey_domain::Scope::$scope))?;
            let refusals = [$(latchkey_service::Refusal::$refusal,)? auth.refusal()];
            Entry {
                endpoint: crate::openapi::Endpoint {
                    method: stringify!($method),
                    path: $path,
                    auth,
                    operation: &$module::$operation,
                },
                refusal: refusals[0],
                route: route_of(stringify!($method), auth).to($module::$handler),
            }
        }),+]
    };
}
mod administration;

/// All routes.
pub fn table() -> Vec<Endpoint> {
    entries().into_iter().map(|entry| entry.endpoint).collect()
}

/// The description of all routes, for a server of this address.
pub fn description(public_url: &str) -> Value {
    openapi::document(public_url, &table())
}

fn entries() -> Vec<Entry> {
    let mut entries = public_routes();
    entries.extend(administration::table());
    entries.extend(user_routes());
    entries
}

/// Routes without a token.
fn public_routes() -> Vec<Entry> {
    routes! {
        GET Nothing "/health/live" health::{live, LIVE};
        GET Nothing "/health/ready" health::{ready, READY};
        GET Nothing "/openapi.json" description::{document, DOCUMENT};
        GET Nothing "/docs" description::{page, DOCS};
        GET Nothing "/docs/{file}" description::{page_file, DOCS_FILE};
        GET Nothing "/apps/{app_id}/.well-known/jwks.json" well_known::{jwks, JWKS};
        GET Nothing "/apps/{app_id}/.well-known/openid-configuration" well_known::{discovery, DISCOVERY};
    }
}

/// The user API.
fn user_routes() -> Vec<Entry> {
    routes! {
        GET  Either      "/api/appuser/getApplication" account::{get_application, GET_APPLICATION}, else InvalidData;
        POST AppToken    "/api/appuser/signup" signup::{signup, SIGNUP};
        POST Either      "/api/appuser/completeSignup" signup::{complete_signup, COMPLETE_SIGNUP};
        GET  Page        "/api/appuser/completeSignup" confirmation::{ask, CONFIRMATION};
        POST Page        "/api/appuser/completeSignup/confirm" confirmation::{confirm, CONFIRM};
        POST AccessToken "/api/appuser/invite" signup::{invite, INVITE};
        POST Either      "/api/appuser/register" signup::{register, REGISTER};
        POST AppToken    "/api/appuser/login" login::{login, LOGIN};
        POST AppToken    "/api/appuser/loginAnonymous" login::{login_anonymous, LOGIN_ANONYMOUS};
        POST Either      "/api/appuser/loginComplete" second_factor::{login_complete, LOGIN_COMPLETE};
        POST Either      "/api/appuser/socialLogin" social::{social_login, SOCIAL_LOGIN};
        POST AppToken    "/api/appuser/socialSignup" social::{social_signup, SOCIAL_SIGNUP};
        POST Either      "/api/appuser/forgotPassword" password::{forgot_password, FORGOT_PASSWORD};
        POST Either      "/api/appuser/resetPassword" password::{reset_password, RESET_PASSWORD};
        GET  AccessToken "/api/appuser/getUser" account::{get_user, GET_USER}, else InvalidData;
        GET  AccessToken "/api/appuser/check" account::{check, CHECK}, else AccessTokenInvalid;
        POST AccessToken "/api/appuser/changePassword" password::{change_password, CHANGE_PASSWORD}, else InvalidData;
        GET  AccessToken "/api/appuser/userNameAvailable" account::{user_name_available, USER_NAME_AVAILABLE};
        POST AccessToken "/api/appuser/setUserName" account::{set_user_name, SET_USER_NAME};
        POST AccessToken "/api/appuser/setLocale" account::{set_locale, SET_LOCALE};
        POST AccessToken "/api/appuser/setUserMetadata" account::{set_user_metadata, SET_USER_METADATA};
        POST AccessToken "/api/appuser/setPhone" second_factor::{set_phone, SET_PHONE}, else InvalidData;
        POST AccessToken "/api/appuser/verifyPhone" second_factor::{verify_phone, VERIFY_PHONE}, else InvalidData;
        POST AccessToken "/api/appuser/setTwoFactorGoogleVerification" second_factor::{set_google, SET_FACTOR}, else InvalidData;
        POST AccessToken "/api/appuser/confirmTwoFactorGoogleVerification" second_factor::{confirm_google, CONFIRM_GOOGLE}, else InvalidData;
        POST AccessToken "/api/appuser/setTwoFactorPhoneVerification" second_factor::{set_phone_factor, SET_FACTOR}, else InvalidData;
        POST AccessToken "/api/appuser/newRecoveryCodes" second_factor::{new_recovery_codes, NEW_RECOVERY_CODES}, else InvalidData;
        POST SuperUser   "/api/appuser/setAppData" keys::{set_app_data, SET_APP_DATA};
        POST AccessToken "/api/appuser/deleteAccount" account::{delete_account, DELETE_ACCOUNT};
    }
}

/// The actix route of a method.
fn route_of(method: &str, auth: Auth) -> Route {
    match method {
        // Monitors and link checkers request public resources without the body (RFC 9110 section 9.3.2).
        "GET" if auth == Auth::Nothing => web::route().guard(guard::Any(guard::Get()).or(guard::Head())),
        "GET" => web::get(),
        "DELETE" => web::delete(),
        _ => web::post(),
    }
}

/// Tells the portal where a request comes from.
async fn name_client(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody + 'static>, Error> {
    let client = request.extensions().get::<ClientAddress>().copied();
    if let Some(ClientAddress(source)) = client {
        request.extensions_mut().insert(latchkey_portal::Client(source));
    }
    next.call(request).await
}

/// Whether a person asks, not a program.
fn is_browser(request: &GuardContext<'_>) -> bool {
    let accepted = request.head().headers().get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

/// `GET /` leads browsers to the portal.
async fn portal_page(state: State) -> HttpResponse {
    let location = format!("{}{}", state.base_path, latchkey_portal::PATH);
    HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish()
}

/// Mounts all routes. `origins` are those whose pages may call the user API; empty for all.
pub(crate) fn configure(config: &mut ServiceConfig, origins: &[String], portal: &Portal) {
    let mut user_api = web::scope(USER_API);
    let mut by_path: Vec<(&'static str, Vec<&'static str>, Vec<Route>)> = Vec::new();
    for Entry { endpoint: Endpoint { method, path, auth, operation }, refusal, route } in entries() {
        let fields = operation.fields_of_route();
        let route = route.wrap(from_fn(move |request: ServiceRequest, next| {
            request.extensions_mut().insert(fields);
            authenticate(auth, refusal, request, next)
        }));
        let methods = if auth == Auth::Nothing { "GET, HEAD" } else { method };
        match by_path.iter_mut().find(|(known, ..)| *known == path) {
            Some((_, allowed, routes)) => {
                allowed.push(methods);
                routes.push(route);
            }
            None => by_path.push((path, vec![methods], vec![route])),
        }
    }
    // A path with a parameter takes what no other path takes.
    by_path.sort_by_key(|(path, ..)| path.contains('{'));
    for (path, allowed, routes) in by_path {
        let allowed = allowed.join(", ");
        match path.strip_prefix(USER_API) {
            Some(path) => user_api = user_api.service(resource(path, routes, allowed)),
            None => {
                config.service(resource(path, routes, allowed));
            }
        }
    }
    let user_api = user_api.default_service(web::to(unknown_path));
    let pages = web::scope(latchkey_portal::PATH).wrap(from_fn(name_client));
    config
        .service(web::resource("/").guard(guard::fn_guard(is_browser)).route(web::get().to(portal_page)))
        .service(pages.configure(|config| portal.configure(config)))
        .service(user_api.wrap(from_fn(rate_limit)).wrap(cors(origins)))
        .default_service(web::to(unknown_path));
}

/// A path as requests have it after the edge: in lower case.
fn plain(path: &str) -> String {
    path.to_ascii_lowercase()
}

fn resource(path: &str, routes: Vec<Route>, allowed: String) -> actix_web::Resource {
    let resource = routes.into_iter().fold(web::resource(plain(path)), actix_web::Resource::route);
    // Any text may be directly below a scope: with another method it is an unknown path.
    if path == "/api/app/{app_id}" {
        return resource
            .default_service(web::to(move |request, id| wrong_method_or_path(request, id, allowed.clone())));
    }
    resource.default_service(web::to(move |request| wrong_method(request, allowed.clone())))
}

/// Browsers' pages: no credentials, so cookies mean nothing here.
fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST"])
        .allow_any_header()
        .expose_headers([header::RETRY_AFTER])
        .block_on_origin_mismatch(false)
        .max_age(3_600);
    if origins.is_empty() {
        return cors.allow_any_origin().send_wildcard();
    }
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
