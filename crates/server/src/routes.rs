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

impl Entry {
    fn new(
        method: &'static str,
        path: &'static str,
        auth: Auth,
        doc: &'static Operation,
        route: Route,
    ) -> Self {
        Self { method, path, auth, refusal: auth.refusal(), doc, route }
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
        get("/health/live", Auth::Nothing, health::live, &user::LIVE),
        get("/health/ready", Auth::Nothing, health::ready, &user::READY),
        get("/openapi.json", Auth::Nothing, description::document, &user::DOCUMENT),
        get("/docs", Auth::Nothing, description::page, &user::DOCS),
        get("/docs/{file}", Auth::Nothing, description::page_file, &user::DOCS_FILE),
        get("/apps/{app_id}/.well-known/jwks.json", Auth::Nothing, well_known::jwks, &user::JWKS),
        get(
            "/apps/{app_id}/.well-known/openid-configuration",
            Auth::Nothing,
            well_known::discovery,
            &user::DISCOVERY,
        ),
    ]
}

/// The user API.
fn user_routes() -> Vec<Entry> {
    vec![
        get("/api/appuser/getApplication", Auth::Either, account::get_application, &user::GET_APPLICATION)
            .refusing(Refusal::InvalidData),
        post("/api/appuser/signup", Auth::AppToken, signup::signup, &user::SIGNUP),
        post("/api/appuser/completeSignup", Auth::Either, signup::complete_signup, &user::COMPLETE_SIGNUP),
        get("/api/appuser/completeSignup", Auth::Page, confirmation::ask, &user::CONFIRMATION),
        post("/api/appuser/completeSignup/confirm", Auth::Page, confirmation::confirm, &user::CONFIRM),
        post("/api/appuser/invite", Auth::AccessToken, signup::invite, &user::INVITE),
        post("/api/appuser/register", Auth::Either, signup::register, &user::REGISTER),
        post("/api/appuser/login", Auth::AppToken, login::login, &user::LOGIN),
        post("/api/appuser/loginAnonymous", Auth::AppToken, login::login_anonymous, &user::LOGIN_ANONYMOUS),
        post(
            "/api/appuser/loginComplete",
            Auth::Either,
            second_factor::login_complete,
            &user::LOGIN_COMPLETE,
        ),
        post("/api/appuser/socialLogin", Auth::Either, social::social_login, &user::SOCIAL_LOGIN),
        post("/api/appuser/socialSignup", Auth::AppToken, social::social_signup, &user::SOCIAL_SIGNUP),
        post("/api/appuser/forgotPassword", Auth::Either, password::forgot_password, &user::FORGOT_PASSWORD),
        post("/api/appuser/resetPassword", Auth::Either, password::reset_password, &user::RESET_PASSWORD),
        get("/api/appuser/getUser", Auth::AccessToken, account::get_user, &user::GET_USER)
            .refusing(Refusal::InvalidData),
        get("/api/appuser/check", Auth::AccessToken, account::check, &user::CHECK)
            .refusing(Refusal::AccessTokenInvalid),
        post(
            "/api/appuser/changePassword",
            Auth::AccessToken,
            password::change_password,
            &user::CHANGE_PASSWORD,
        )
        .refusing(Refusal::InvalidData),
        get(
            "/api/appuser/userNameAvailable",
            Auth::AccessToken,
            account::user_name_available,
            &user::USER_NAME_AVAILABLE,
        ),
        post("/api/appuser/setUserName", Auth::AccessToken, account::set_user_name, &user::SET_USER_NAME),
        post("/api/appuser/setLocale", Auth::AccessToken, account::set_locale, &user::SET_LOCALE),
        post(
            "/api/appuser/setUserMetadata",
            Auth::AccessToken,
            account::set_user_metadata,
            &user::SET_USER_METADATA,
        ),
        post("/api/appuser/setPhone", Auth::AccessToken, second_factor::set_phone, &user::SET_PHONE)
            .refusing(Refusal::InvalidData),
        post("/api/appuser/verifyPhone", Auth::AccessToken, second_factor::verify_phone, &user::VERIFY_PHONE)
            .refusing(Refusal::InvalidData),
        post(
            "/api/appuser/setTwoFactorGoogleVerification",
            Auth::AccessToken,
            second_factor::set_google,
            &user::SET_FACTOR,
        )
        .refusing(Refusal::InvalidData),
        post(
            "/api/appuser/confirmTwoFactorGoogleVerification",
            Auth::AccessToken,
            second_factor::confirm_google,
            &user::CONFIRM_GOOGLE,
        )
        .refusing(Refusal::InvalidData),
        post(
            "/api/appuser/setTwoFactorPhoneVerification",
            Auth::AccessToken,
            second_factor::set_phone_factor,
            &user::SET_FACTOR,
        )
        .refusing(Refusal::InvalidData),
        post(
            "/api/appuser/newRecoveryCodes",
            Auth::AccessToken,
            second_factor::new_recovery_codes,
            &user::NEW_RECOVERY_CODES,
        )
        .refusing(Refusal::InvalidData),
        post("/api/appuser/setAppData", Auth::SuperUser, keys::set_app_data, &user::SET_APP_DATA),
        post("/api/appuser/deleteAccount", Auth::AccessToken, account::delete_account, &user::DELETE_ACCOUNT),
    ]
}

fn get<A: FromRequest + 'static>(
    path: &'static str,
    auth: Auth,
    handler: impl Handler<A, Output: Responder + 'static>,
    doc: &'static Operation,
) -> Entry {
    // Monitors and link checkers request public resources without the body (RFC 9110 section 9.3.2).
    let route = match auth {
        Auth::Nothing => web::route().guard(guard::Any(guard::Get()).or(guard::Head())),
        _ => web::get(),
    };
    Entry::new("GET", path, auth, doc, route.to(handler))
}

fn post<A: FromRequest + 'static>(
    path: &'static str,
    auth: Auth,
    handler: impl Handler<A, Output: Responder + 'static>,
    doc: &'static Operation,
) -> Entry {
    Entry::new("POST", path, auth, doc, web::post().to(handler))
}

/// Mounts all routes. `origins` are those whose pages may call the user API; empty for all.
pub(crate) fn configure(config: &mut ServiceConfig, origins: &[String]) {
    let mut user_api = web::scope(USER_API);
    let mut by_path: Vec<(&'static str, Vec<&'static str>, Vec<Route>)> = Vec::new();
    for Entry { method, path, auth, refusal, route, .. } in table() {
        let route = match auth {
            Auth::Nothing | Auth::Page => route,
            _ => route.wrap(from_fn(move |request, next| authenticate((auth, refusal), request, next))),
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
