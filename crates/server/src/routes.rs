//! The table of URLs: the one place that says which path leads where, and with which token. Tests walk it,
//! so that no route escapes them.

use actix_cors::Cors;
use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, Responder, Route};
use latchkey_storage::Store;

use crate::api::{account, apps, health, login, signup, unknown_path, well_known, wrong_method};

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
        get("/api/appuser/getapplication", Takes::Either, account::get_application::<S>),
        post("/api/appuser/signup", Takes::AppToken, signup::signup::<S>),
        post("/api/appuser/completesignup", Takes::Either, signup::complete_signup::<S>),
        post("/api/appuser/login", Takes::AppToken, login::login::<S>),
        get("/api/appuser/getuser", Takes::AccessToken, account::get_user::<S>),
        post("/api/appuser/changepassword", Takes::AccessToken, account::change_password::<S>),
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
    for entry in table::<S>() {
        match entry.path.strip_prefix(USER_API) {
            Some(path) => user_api = user_api.service(resource(path, entry.route)),
            None => {
                config.service(resource(entry.path, entry.route));
            }
        }
    }
    config
        .service(user_api.default_service(web::to(unknown_path)).wrap(cors(origins)))
        .default_service(web::to(unknown_path));
}

fn resource(path: &str, route: Route) -> actix_web::Resource {
    web::resource(path.to_owned()).route(route).default_service(web::to(wrong_method))
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
