//! The route table: path, handler and required token of every route. Tests and the API description are generated from
//! it, so that no route is forgotten.

mod administration;

use actix_cors::Cors;
use actix_web::guard;
use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, Responder, Route};
use latchkey_service::Refusal;

use crate::api::{
    account, confirmation, description, health, keys, login, password, second_factor, signup, social,
    unknown_path, well_known, wrong_method, wrong_method_or_path,
};
pub use crate::http::Takes;
use crate::http::{admit, authenticate};
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
    pub takes: Takes,
    /// The refusal of other tokens.
    refusal: Refusal,
    /// Its entry in the API description.
    pub(crate) says: &'static Operation,
    route: Route,
}

impl Entry {
    fn new(
        method: &'static str,
        path: &'static str,
        takes: Takes,
        says: &'static Operation,
        route: Route,
    ) -> Self {
        Self { method, path, takes, refusal: takes.refusal(), says, route }
    }

    /// With another refusal than the usual one of its tokens.
    fn refusing(self, refusal: Refusal) -> Self {
        Self { refusal, ..self }
    }
}

/// All routes.
pub fn table() -> Vec<Entry> {
    let mut table = public_routes();
    table.extend(administration::table());
    table.extend(user_routes());
    table
}

/// Routes without a token.
fn public_routes() -> Vec<Entry> {
    vec![
        get("/health/live", Takes::Nothing, health::live, &user::LIVE),
        get("/health/ready", Takes::Nothing, health::ready, &user::READY),
        get("/openapi.json", Takes::Nothing, description::document, &user::DOCUMENT),
        get("/docs", Takes::Nothing, description::page, &user::DOCS),
        get("/docs/{file}", Takes::Nothing, description::page_file, &user::DOCS_FILE),
        get("/apps/{app_id}/.well-known/jwks.json", Takes::Nothing, well_known::jwks, &user::JWKS),
        get(
            "/apps/{app_id}/.well-known/openid-configuration",
            Takes::Nothing,
            well_known::discovery,
            &user::DISCOVERY,
        ),
    ]
}

/// The user API.
fn user_routes() -> Vec<Entry> {
    vec![
        get("/api/appuser/getApplication", Takes::Either, account::get_application, &user::GET_APPLICATION)
            .refusing(Refusal::InvalidData),
        post("/api/appuser/signup", Takes::AppToken, signup::signup, &user::SIGNUP),
        post("/api/appuser/completeSignup", Takes::Either, signup::complete_signup, &user::COMPLETE_SIGNUP),
        get("/api/appuser/completeSignup", Takes::Page, confirmation::ask, &user::CONFIRMATION),
        post("/api/appuser/completeSignup/confirm", Takes::Page, confirmation::confirm, &user::CONFIRM),
        post("/api/appuser/invite", Takes::AccessToken, signup::invite, &user::INVITE),
        post("/api/appuser/register", Takes::Either, signup::register, &user::REGISTER),
        post("/api/appuser/login", Takes::AppToken, login::login, &user::LOGIN),
        post("/api/appuser/loginAnonymous", Takes::AppToken, login::login_anonymous, &user::LOGIN_ANONYMOUS),
        post(
            "/api/appuser/loginComplete",
            Takes::Either,
            second_factor::login_complete,
            &user::LOGIN_COMPLETE,
        ),
        post("/api/appuser/socialLogin", Takes::Either, social::social_login, &user::SOCIAL_LOGIN),
        post("/api/appuser/socialSignup", Takes::AppToken, social::social_signup, &user::SOCIAL_SIGNUP),
        post("/api/appuser/forgotPassword", Takes::Either, password::forgot_password, &user::FORGOT_PASSWORD),
        post("/api/appuser/resetPassword", Takes::Either, password::reset_password, &user::RESET_PASSWORD),
        get("/api/appuser/getUser", Takes::AccessToken, account::get_user, &user::GET_USER)
            .refusing(Refusal::InvalidData),
        get("/api/appuser/check", Takes::AccessToken, account::check, &user::CHECK)
            .refusing(Refusal::AccessTokenInvalid),
        post(
            "/api/appuser/changePassword",
            Takes::AccessToken,
            password::change_password,
            &user::CHANGE_PASSWORD,
        )
        .refusing(Refusal::InvalidData),
        get(
            "/api/appuser/userNameAvailable",
            Takes::AccessToken,
            account::user_name_available,
            &user::USER_NAME_AVAILABLE,
        ),
        post("/api/appuser/setUserName", Takes::AccessToken, account::set_user_name, &user::SET_USER_NAME),
        post("/api/appuser/setLocale", Takes::AccessToken, account::set_locale, &user::SET_LOCALE),
        post(
            "/api/appuser/setUserMetadata",
            Takes::AccessToken,
            account::set_user_metadata,
            &user::SET_USER_METADATA,
        ),
        post("/api/appuser/setPhone", Takes::AccessToken, second_factor::set_phone, &user::SET_PHONE)
            .refusing(Refusal::InvalidData),
        post(
            "/api/appuser/verifyPhone",
            Takes::AccessToken,
            second_factor::verify_phone,
            &user::VERIFY_PHONE,
        )
        .refusing(Refusal::InvalidData),
        post(
            "/api/appuser/setTwoFactorGoogleVerification",
            Takes::AccessToken,
            second_factor::set_google,
            &user::SET_FACTOR,
        )
        .refusing(Refusal::InvalidData),
        post(
            "/api/appuser/confirmTwoFactorGoogleVerification",
            Takes::AccessToken,
            second_factor::confirm_google,
            &user::CONFIRM_GOOGLE,
        )
        .refusing(Refusal::InvalidData),
        post(
            "/api/appuser/setTwoFactorPhoneVerification",
            Takes::AccessToken,
            second_factor::set_phone_factor,
            &user::SET_FACTOR,
        )
        .refusing(Refusal::InvalidData),
        post(
            "/api/appuser/newRecoveryCodes",
            Takes::AccessToken,
            second_factor::new_recovery_codes,
            &user::NEW_RECOVERY_CODES,
        )
        .refusing(Refusal::InvalidData),
        post("/api/appuser/setAppData", Takes::SuperUser, keys::set_app_data, &user::SET_APP_DATA),
        post(
            "/api/appuser/deleteAccount",
            Takes::AccessToken,
            account::delete_account,
            &user::DELETE_ACCOUNT,
        ),
    ]
}

fn get<A: FromRequest + 'static>(
    path: &'static str,
    takes: Takes,
    handler: impl Handler<A, Output: Responder + 'static>,
    says: &'static Operation,
) -> Entry {
    // Monitors and link checkers request public resources without the body (RFC 9110 section 9.3.2).
    let route = match takes {
        Takes::Nothing => web::route().guard(guard::Any(guard::Get()).or(guard::Head())),
        _ => web::get(),
    };
    Entry::new("GET", path, takes, says, route.to(handler))
}

fn post<A: FromRequest + 'static>(
    path: &'static str,
    takes: Takes,
    handler: impl Handler<A, Output: Responder + 'static>,
    says: &'static Operation,
) -> Entry {
    Entry::new("POST", path, takes, says, web::post().to(handler))
}

/// Mounts all routes. `origins` are those whose pages may call the user API; empty for all.
pub(crate) fn configure(config: &mut ServiceConfig, origins: &[String]) {
    let mut user_api = web::scope(USER_API);
    let mut by_path: Vec<(&'static str, Vec<&'static str>, Vec<Route>)> = Vec::new();
    for Entry { method, path, takes, refusal, route, .. } in table() {
        let route = match takes {
            Takes::Nothing | Takes::Page => route,
            _ => route.wrap(from_fn(move |request, next| authenticate((takes, refusal), request, next))),
        };
        let methods = if takes == Takes::Nothing { "GET, HEAD" } else { method };
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
    config.service(user_api.wrap(from_fn(admit)).wrap(cors(origins))).default_service(web::to(unknown_path));
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
