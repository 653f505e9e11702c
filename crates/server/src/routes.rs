//! The table of URLs: the one place that says which path leads where, and with which token. Tests walk it,
//! so that no route escapes them.

use actix_cors::Cors;
use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, Responder, Route};
use latchkey_storage::Store;

use crate::api::{
    account, app_settings, apps, confirmation, health, login, password, second_factor, signup, social,
    unknown_path, well_known, wrong_method,
};

/// Where the user API begins: the part that pages of other origins may call.
const USER_API: &str = "/api/appuser";

/// Which tokens a route takes; every other one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// None is needed.
    Nothing,
    /// A server secret.
    ServerSecret,
    /// An app token.
    AppToken,
    /// An access token.
    AccessToken,
    /// An app token or an access token.
    Either,
    /// An app token among its own fields, since it is a page; tokens in headers are not looked at.
    Page,
}

/// One route.
pub struct Entry {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The path in its plain spelling, with its parameters.
    pub path: &'static str,
    /// Which tokens it takes.
    pub takes: Takes,
    route: Route,
}

/// All routes.
pub fn table<S: Store>() -> Vec<Entry> {
    vec![
        get("/health/live", Takes::Nothing, health::live),
        get("/health/ready", Takes::Nothing, health::ready::<S>),
        get("/apps/{app_id}/.well-known/jwks.json", Takes::Nothing, well_known::jwks::<S>),
        get("/apps/{app_id}/.well-known/openid-configuration", Takes::Nothing, well_known::discovery::<S>),
        post("/api/app", Takes::ServerSecret, apps::create::<S>),
        get("/api/app/allapps", Takes::ServerSecret, apps::all::<S>),
        get("/api/app/appid/{app_id}", Takes::ServerSecret, apps::one::<S>),
        post("/api/app/updateappsetting", Takes::ServerSecret, app_settings::update_setting::<S>),
        post("/api/app/updateappmetadata", Takes::ServerSecret, app_settings::update_metadata::<S>),
        post(
            "/api/app/updateappinvitemetadata",
            Takes::ServerSecret,
            app_settings::update_invite_metadata::<S>,
        ),
        get("/api/app/emailtemplates", Takes::ServerSecret, app_settings::email_templates::<S>),
        post("/api/app/updateemailtemplate", Takes::ServerSecret, app_settings::update_email_template::<S>),
        post("/api/app/addremoveapplocale", Takes::ServerSecret, app_settings::set_locales::<S>),
        post("/api/app/testapptwilio", Takes::ServerSecret, app_settings::send_test_sms::<S>),
        post("/api/app/resetsecondfactor", Takes::ServerSecret, app_settings::reset_second_factor::<S>),
        post("/api/app/user", Takes::ServerSecret, app_settings::set_user_status::<S>),
        get("/api/appuser/getapplication", Takes::Either, account::get_application::<S>),
        post("/api/appuser/signup", Takes::AppToken, signup::signup::<S>),
        post("/api/appuser/completesignup", Takes::Either, signup::complete_signup::<S>),
        get("/api/appuser/completesignup", Takes::Page, confirmation::ask::<S>),
        post("/api/appuser/completesignup/confirm", Takes::Page, confirmation::confirm::<S>),
        post("/api/appuser/invite", Takes::AccessToken, signup::invite::<S>),
        post("/api/appuser/register", Takes::Either, signup::register::<S>),
        post("/api/appuser/login", Takes::AppToken, login::login::<S>),
        post("/api/appuser/loginanonymous", Takes::AppToken, login::login_anonymous::<S>),
        post("/api/appuser/logincomplete", Takes::Either, second_factor::login_complete::<S>),
        post("/api/appuser/sociallogin", Takes::Either, social::social_login::<S>),
        post("/api/appuser/socialsignup", Takes::AppToken, social::social_signup::<S>),
        post("/api/appuser/forgotpassword", Takes::Either, password::forgot_password::<S>),
        post("/api/appuser/resetpassword", Takes::Either, password::reset_password::<S>),
        get("/api/appuser/getuser", Takes::AccessToken, account::get_user::<S>),
        post("/api/appuser/changepassword", Takes::AccessToken, password::change_password::<S>),
        get("/api/appuser/usernameavailable", Takes::AccessToken, account::user_name_available::<S>),
        post("/api/appuser/setusername", Takes::AccessToken, account::set_user_name::<S>),
        post("/api/appuser/setlocale", Takes::AccessToken, account::set_locale::<S>),
        post("/api/appuser/setusermetadata", Takes::AccessToken, account::set_user_metadata::<S>),
        post("/api/appuser/setphone", Takes::AccessToken, second_factor::set_phone::<S>),
        post("/api/appuser/verifyphone", Takes::AccessToken, second_factor::verify_phone::<S>),
        post(
            "/api/appuser/settwofactorgoogleverification",
            Takes::AccessToken,
            second_factor::set_google::<S>,
        ),
        post(
            "/api/appuser/confirmtwofactorgoogleverification",
            Takes::AccessToken,
            second_factor::confirm_google::<S>,
        ),
        post(
            "/api/appuser/settwofactorphoneverification",
            Takes::AccessToken,
            second_factor::set_phone_factor::<S>,
        ),
        post("/api/appuser/newrecoverycodes", Takes::AccessToken, second_factor::new_recovery_codes::<S>),
        post("/api/appuser/deleteaccount", Takes::AccessToken, account::delete_account::<S>),
    ]
}

fn get<A: FromRequest + 'static>(
    path: &'static str,
    takes: Takes,
    handler: impl Handler<A, Output: Responder + 'static>,
) -> Entry {
    Entry { method: "GET", path, takes, route: web::get().to(handler) }
}

fn post<A: FromRequest + 'static>(
    path: &'static str,
    takes: Takes,
    handler: impl Handler<A, Output: Responder + 'static>,
) -> Entry {
    Entry { method: "POST", path, takes, route: web::post().to(handler) }
}

/// Mounts all routes. `origins` are those whose pages may call the user API; empty for all.
pub(crate) fn configure<S: Store>(config: &mut ServiceConfig, origins: &[String]) {
    let mut user_api = web::scope(USER_API);
    let mut by_path: Vec<(&'static str, Vec<Route>)> = Vec::new();
    for Entry { path, route, .. } in table::<S>() {
        match by_path.iter_mut().find(|(known, _)| *known == path) {
            Some((_, routes)) => routes.push(route),
            None => by_path.push((path, vec![route])),
        }
    }
    for (path, routes) in by_path {
        match path.strip_prefix(USER_API) {
            Some(path) => user_api = user_api.service(resource(path, routes)),
            None => {
                config.service(resource(path, routes));
            }
        }
    }
    config
        .service(user_api.default_service(web::to(unknown_path)).wrap(cors(origins)))
        .default_service(web::to(unknown_path));
}

fn resource(path: &str, routes: Vec<Route>) -> actix_web::Resource {
    let resource = web::resource(path.to_owned());
    routes.into_iter().fold(resource, actix_web::Resource::route).default_service(web::to(wrong_method))
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
