//! The route table: path, handler and required token of every route. Tests and the API description are generated from
//! it, so that no route is forgotten.

use actix_cors::Cors;
use actix_web::Route;
use actix_web::guard;
use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use latchkey_service::Refusal;

use crate::api::{
    account, confirmation, description, health, keys, login, password, second_factor, signup, social,
    unknown_path, well_known, wrong_method, wrong_method_or_path,
};
pub use crate::http::Auth;
use crate::http::{authenticate, rate_limit};
use crate::openapi::{Operation, user_api as user};

/// Where the user API begins: the part that pages of other origins may call.
pub(crate) const USER_API: &str = "/api/appuser";

/// One route.
pub struct Entry {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// The path as clients spell it, with its parameters. Letter case does not matter.
    pub path: &'static str,
    /// Which tokens it takes.
    pub auth: Auth,
    /// The refusal of other tokens.
    refusal: Refusal,
    /// Its entry in the API description.
    pub(crate) doc: &'static Operation,
    route: Route,
}

/// Entries, a line each: method, token, path, handler, description, and the refusal of other tokens if it is not the
/// usual one.
macro_rules! routes {
    ($($method:ident $auth:ident$(($scope:ident))? $path:literal $handler:path => $doc:path $(, else $refusal:ident)?;)+) => {
        vec![$({
            let auth = Auth::$auth$((latchkey_domain::Scope::$scope))?;
            let refusals = [$(latchkey_service::Refusal::$refusal,)? auth.refusal()];
            Entry {
                method: stringify!($method),
                path: $path,
                auth,
                refusal: refusals[0],
                doc: &$doc,
                route: route_of(stringify!($method), auth).to($handler),
            }
        }),+]
    };
}
mod administration;

/// All routes.
pub fn table() -> Vec<Entry> {
    let mut table = public_routes();
    table.extend(administration::table());
    table.extend(user_routes());
    table
}

/// Routes without a token.
fn public_routes() -> Vec<Entry> {
    routes! {
        GET Nothing "/health/live" health::live => user::LIVE;
        GET Nothing "/health/ready" health::ready => user::READY;
        GET Nothing "/openapi.json" description::document => user::DOCUMENT;
        GET Nothing "/docs" description::page => user::DOCS;
        GET Nothing "/docs/{file}" description::page_file => user::DOCS_FILE;
        GET Nothing "/apps/{app_id}/.well-known/jwks.json" well_known::jwks => user::JWKS;
        GET Nothing "/apps/{app_id}/.well-known/openid-configuration" well_known::discovery => user::DISCOVERY;
    }
}

/// The user API.
fn user_routes() -> Vec<Entry> {
    routes! {
        GET  Either      "/api/appuser/getApplication" account::get_application => user::GET_APPLICATION, else InvalidData;
        POST AppToken    "/api/appuser/signup" signup::signup => user::SIGNUP;
        POST Either      "/api/appuser/completeSignup" signup::complete_signup => user::COMPLETE_SIGNUP;
        GET  Page        "/api/appuser/completeSignup" confirmation::ask => user::CONFIRMATION;
        POST Page        "/api/appuser/completeSignup/confirm" confirmation::confirm => user::CONFIRM;
        POST AccessToken "/api/appuser/invite" signup::invite => user::INVITE;
        POST Either      "/api/appuser/register" signup::register => user::REGISTER;
        POST AppToken    "/api/appuser/login" login::login => user::LOGIN;
        POST AppToken    "/api/appuser/loginAnonymous" login::login_anonymous => user::LOGIN_ANONYMOUS;
        POST Either      "/api/appuser/loginComplete" second_factor::login_complete => user::LOGIN_COMPLETE;
        POST Either      "/api/appuser/socialLogin" social::social_login => user::SOCIAL_LOGIN;
        POST AppToken    "/api/appuser/socialSignup" social::social_signup => user::SOCIAL_SIGNUP;
        POST Either      "/api/appuser/forgotPassword" password::forgot_password => user::FORGOT_PASSWORD;
        POST Either      "/api/appuser/resetPassword" password::reset_password => user::RESET_PASSWORD;
        GET  AccessToken "/api/appuser/getUser" account::get_user => user::GET_USER, else InvalidData;
        GET  AccessToken "/api/appuser/check" account::check => user::CHECK, else AccessTokenInvalid;
        POST AccessToken "/api/appuser/changePassword" password::change_password => user::CHANGE_PASSWORD, else InvalidData;
        GET  AccessToken "/api/appuser/userNameAvailable" account::user_name_available => user::USER_NAME_AVAILABLE;
        POST AccessToken "/api/appuser/setUserName" account::set_user_name => user::SET_USER_NAME;
        POST AccessToken "/api/appuser/setLocale" account::set_locale => user::SET_LOCALE;
        POST AccessToken "/api/appuser/setUserMetadata" account::set_user_metadata => user::SET_USER_METADATA;
        POST AccessToken "/api/appuser/setPhone" second_factor::set_phone => user::SET_PHONE, else InvalidData;
        POST AccessToken "/api/appuser/verifyPhone" second_factor::verify_phone => user::VERIFY_PHONE, else InvalidData;
        POST AccessToken "/api/appuser/setTwoFactorGoogleVerification" second_factor::set_google => user::SET_FACTOR, else InvalidData;
        POST AccessToken "/api/appuser/confirmTwoFactorGoogleVerification" second_factor::confirm_google => user::CONFIRM_GOOGLE, else InvalidData;
        POST AccessToken "/api/appuser/setTwoFactorPhoneVerification" second_factor::set_phone_factor => user::SET_FACTOR, else InvalidData;
        POST AccessToken "/api/appuser/newRecoveryCodes" second_factor::new_recovery_codes => user::NEW_RECOVERY_CODES, else InvalidData;
        POST SuperUser   "/api/appuser/setAppData" keys::set_app_data => user::SET_APP_DATA;
        POST AccessToken "/api/appuser/deleteAccount" account::delete_account => user::DELETE_ACCOUNT;
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

/// Mounts all routes. `origins` are those whose pages may call the user API; empty for all.
pub(crate) fn configure(config: &mut ServiceConfig, origins: &[String]) {
    let mut user_api = web::scope(USER_API);
    let mut by_path: Vec<(&'static str, Vec<&'static str>, Vec<Route>)> = Vec::new();
    for Entry { method, path, auth, refusal, route, .. } in table() {
        let route = match auth {
            Auth::Nothing | Auth::Page => route,
            _ => route.wrap(from_fn(move |request, next| authenticate(auth, refusal, request, next))),
        };
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
    config
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
