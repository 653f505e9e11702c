//! The table of URLs: the one place that says which path leads where, and with which token. Tests walk it,
//! so that no route escapes them.

use actix_cors::Cors;
use actix_web::http::header;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{FromRequest, Handler, Responder, Route};
use latchkey_domain::Scope;
use latchkey_storage::Store;

use crate::api::{
    account, app_settings, apps, confirmation, health, invites, keys, login, logs, moving, operator_tokens,
    password, second_factor, signup, social, unknown_path, users, well_known, wrong_method,
    wrong_method_or_path,
};
use crate::http::OperatorScopes;

/// Where the user API begins: the part that pages of other origins may call.
const USER_API: &str = "/api/appuser";

/// Which tokens a route takes; every other one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
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
    /// An app token among its own fields, since it is a page; tokens in headers are not looked at.
    Page,
}

/// One route.
pub struct Entry {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// The path as clients spell it, with its parameters. Letter case does not matter.
    pub path: &'static str,
    /// Which tokens it takes.
    pub takes: Takes,
    route: Route,
}

/// All routes.
pub fn table<S: Store>() -> Vec<Entry> {
    let mut table = public_routes::<S>();
    table.extend(operator_routes::<S>());
    table.extend(user_routes::<S>());
    table
}

/// What needs no token.
fn public_routes<S: Store>() -> Vec<Entry> {
    vec![
        get("/health/live", Takes::Nothing, health::live),
        get("/health/ready", Takes::Nothing, health::ready::<S>),
        get("/apps/{app_id}/.well-known/jwks.json", Takes::Nothing, well_known::jwks::<S>),
        get("/apps/{app_id}/.well-known/openid-configuration", Takes::Nothing, well_known::discovery::<S>),
    ]
}

/// The administration API.
fn operator_routes<S: Store>() -> Vec<Entry> {
    use Scope::{Everything, Export, Keys, Read, Settings, Users};
    vec![
        by_operator("POST", Everything, "/api/app", apps::create::<S>),
        by_operator("GET", Read, "/api/app/connection", apps::connection::<S>),
        by_operator("GET", Read, "/api/app/allApps", apps::all::<S>),
        by_operator("GET", Read, "/api/app/search", apps::search::<S>),
        by_operator("GET", Read, "/api/app/appId/{app_id}", apps::one::<S>),
        by_operator("GET", Read, "/api/app/getCosyncVersions", apps::versions::<S>),
        by_operator("POST", Settings, "/api/app/update", apps::update::<S>),
        by_operator("POST", Settings, "/api/app/updateAppSetting", app_settings::update_setting::<S>),
        by_operator("POST", Settings, "/api/app/updateAppMetaData", app_settings::update_metadata::<S>),
        by_operator(
            "POST",
            Settings,
            "/api/app/updateAppInviteMetaData",
            app_settings::update_invite_metadata::<S>,
        ),
        by_operator("POST", Settings, "/api/app/deleteMetadata", apps::delete_metadata::<S>),
        by_operator("POST", Settings, "/api/app/patchAppLocales", apps::patch_locales::<S>),
        by_operator("POST", Everything, "/api/app/reset", apps::reset::<S>),
        by_operator("DELETE", Everything, "/api/app/{app_id}", apps::remove::<S>),
        by_operator("GET", Read, "/api/app/emailTemplates", app_settings::email_templates::<S>),
        by_operator(
            "POST",
            Settings,
            "/api/app/updateEmailTemplate",
            app_settings::update_email_template::<S>,
        ),
        by_operator("POST", Settings, "/api/app/addRemoveAppLocale", app_settings::set_locales::<S>),
        by_operator("POST", Settings, "/api/app/testEmailExtension", app_settings::send_test_mail::<S>),
        by_operator("POST", Settings, "/api/app/testAppTwilio", app_settings::send_test_sms::<S>),
        by_operator("GET", Read, "/api/app/stat", users::stat::<S>),
        by_operator("GET", Read, "/api/app/searchUser", users::search_users::<S>),
        by_operator("GET", Read, "/api/app/previewClaims", users::preview_claims::<S>),
        by_operator("POST", Users, "/api/app/addUser", users::add_user::<S>),
        by_operator("POST", Users, "/api/app/removeUser", users::remove_user::<S>),
        by_operator("POST", Users, "/api/app/user", users::set_user_status::<S>),
        by_operator("POST", Users, "/api/app/resetUserPassword", users::reset_user_password::<S>),
        by_operator("POST", Users, "/api/app/updateAppUserMetaData", users::update_user_metadata::<S>),
        by_operator("POST", Users, "/api/app/setAdministrator", users::set_administrator::<S>),
        by_operator("POST", Users, "/api/app/signOutUser", users::sign_out_user::<S>),
        by_operator("POST", Users, "/api/app/unlockUser", users::unlock_user::<S>),
        by_operator("POST", Users, "/api/app/resetSecondFactor", users::reset_second_factor::<S>),
        by_operator("GET", Read, "/api/app/searchSingUp", invites::search_signups::<S>),
        by_operator("POST", Users, "/api/app/removeAppSignup", invites::remove_signup::<S>),
        by_operator("GET", Read, "/api/app/searchInvite", invites::search_invites::<S>),
        by_operator("POST", Users, "/api/app/createAppInvite", invites::create_invites::<S>),
        by_operator("POST", Users, "/api/app/resendAppInvite", invites::resend_invite::<S>),
        by_operator("POST", Users, "/api/app/removeAppInvite", invites::remove_invite::<S>),
        by_operator("GET", Read, "/api/app/appKeys", keys::list::<S>),
        by_operator("POST", Keys, "/api/app/rotateAppKey", keys::rotate::<S>),
        by_operator("POST", Keys, "/api/app/regenerateAppKey", keys::regenerate::<S>),
        by_operator("POST", Keys, "/api/app/regenerateAppToken", keys::regenerate_app_token::<S>),
        by_operator("POST", Keys, "/api/app/superUserToken", keys::super_user_token::<S>),
        by_operator("GET", Read, "/api/app/logs", logs::logs::<S>),
        by_operator("GET", Export, "/api/app/exportLogs", logs::export::<S>),
        by_operator("GET", Read, "/api/app/statistics", logs::statistics::<S>),
        by_operator("GET", Read, "/api/app/outbox", logs::outbox::<S>),
        by_operator("POST", Users, "/api/app/retryMessage", logs::retry_message::<S>),
        by_operator("GET", Export, "/api/app/export", moving::export_zip::<S>),
        by_operator("GET", Export, "/api/app/exportArchive", moving::export_archive::<S>),
        by_operator("GET", Export, "/api/app/exportUsers", moving::export_users::<S>),
        by_operator("POST", Everything, "/api/app/importDatabase", moving::import_database::<S>),
        by_operator("POST", Everything, "/api/app/createOperatorToken", operator_tokens::create::<S>),
        by_operator("GET", Everything, "/api/app/operatorTokens", operator_tokens::list::<S>),
        by_operator("POST", Everything, "/api/app/revokeOperatorToken", operator_tokens::revoke::<S>),
        by_operator("POST", Everything, "/api/app/initCosyncJWT", apps::set_up_elsewhere::<S>),
        by_operator("POST", Everything, "/api/app/reinitCosyncJWT", apps::set_up_elsewhere::<S>),
        by_operator("POST", Everything, "/api/app/removeCosyncJWT", apps::set_up_elsewhere::<S>),
        by_operator("POST", Everything, "/api/app/initCosyncEngine", apps::set_up_elsewhere::<S>),
        by_operator("POST", Everything, "/api/app/reinitCosyncEngine", apps::set_up_elsewhere::<S>),
        by_operator("POST", Everything, "/api/app/removeCosyncEngine", apps::set_up_elsewhere::<S>),
        by_operator("POST", Everything, "/api/app/saveUserSchema", apps::set_up_elsewhere::<S>),
        by_operator("POST", Everything, "/api/app/remoteNotification", apps::push::<S>),
    ]
}

/// The user API.
fn user_routes<S: Store>() -> Vec<Entry> {
    vec![
        get("/api/appuser/getApplication", Takes::Either, account::get_application::<S>),
        post("/api/appuser/signup", Takes::AppToken, signup::signup::<S>),
        post("/api/appuser/completeSignup", Takes::Either, signup::complete_signup::<S>),
        get("/api/appuser/completeSignup", Takes::Page, confirmation::ask::<S>),
        post("/api/appuser/completeSignup/confirm", Takes::Page, confirmation::confirm::<S>),
        post("/api/appuser/invite", Takes::AccessToken, signup::invite::<S>),
        post("/api/appuser/register", Takes::Either, signup::register::<S>),
        post("/api/appuser/login", Takes::AppToken, login::login::<S>),
        post("/api/appuser/loginAnonymous", Takes::AppToken, login::login_anonymous::<S>),
        post("/api/appuser/loginComplete", Takes::Either, second_factor::login_complete::<S>),
        post("/api/appuser/socialLogin", Takes::Either, social::social_login::<S>),
        post("/api/appuser/socialSignup", Takes::AppToken, social::social_signup::<S>),
        post("/api/appuser/forgotPassword", Takes::Either, password::forgot_password::<S>),
        post("/api/appuser/resetPassword", Takes::Either, password::reset_password::<S>),
        get("/api/appuser/getUser", Takes::AccessToken, account::get_user::<S>),
        post("/api/appuser/changePassword", Takes::AccessToken, password::change_password::<S>),
        get("/api/appuser/userNameAvailable", Takes::AccessToken, account::user_name_available::<S>),
        post("/api/appuser/setUserName", Takes::AccessToken, account::set_user_name::<S>),
        post("/api/appuser/setLocale", Takes::AccessToken, account::set_locale::<S>),
        post("/api/appuser/setUserMetadata", Takes::AccessToken, account::set_user_metadata::<S>),
        post("/api/appuser/setPhone", Takes::AccessToken, second_factor::set_phone::<S>),
        post("/api/appuser/verifyPhone", Takes::AccessToken, second_factor::verify_phone::<S>),
        post(
            "/api/appuser/setTwoFactorGoogleVerification",
            Takes::AccessToken,
            second_factor::set_google::<S>,
        ),
        post(
            "/api/appuser/confirmTwoFactorGoogleVerification",
            Takes::AccessToken,
            second_factor::confirm_google::<S>,
        ),
        post(
            "/api/appuser/setTwoFactorPhoneVerification",
            Takes::AccessToken,
            second_factor::set_phone_factor::<S>,
        ),
        post("/api/appuser/newRecoveryCodes", Takes::AccessToken, second_factor::new_recovery_codes::<S>),
        post("/api/appuser/setAppData", Takes::SuperUser, keys::set_app_data::<S>),
        post("/api/appuser/deleteAccount", Takes::AccessToken, account::delete_account::<S>),
    ]
}

fn get<A: FromRequest + 'static>(
    path: &'static str,
    takes: Takes,
    handler: impl Handler<A, Output: Responder + 'static>,
) -> Entry {
    Entry { method: "GET", path, takes, route: web::get().to(handler) }
}

/// A route of the administration API.
fn by_operator<A: FromRequest + 'static>(
    method: &'static str,
    scope: Scope,
    path: &'static str,
    handler: impl Handler<A, Output: Responder + 'static>,
) -> Entry {
    let route = match method {
        "GET" => web::get(),
        "DELETE" => web::delete(),
        _ => web::post(),
    };
    Entry { method, path, takes: Takes::Operator(scope), route: route.to(handler) }
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
    let mut scopes = OperatorScopes::default();
    for Entry { method, path, takes, route } in table::<S>() {
        if let Takes::Operator(scope) = takes {
            scopes.insert(method, plain(path), scope);
        }
        match by_path.iter_mut().find(|(known, _)| *known == path) {
            Some((_, routes)) => routes.push(route),
            None => by_path.push((path, vec![route])),
        }
    }
    config.app_data(Data::new(scopes));
    // A path with a parameter takes what no other path takes.
    by_path.sort_by_key(|(path, _)| path.contains('{'));
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

/// A path as requests have it after the edge: in lower case.
fn plain(path: &str) -> String {
    path.to_ascii_lowercase()
}

fn resource(path: &str, routes: Vec<Route>) -> actix_web::Resource {
    let resource = routes.into_iter().fold(web::resource(plain(path)), actix_web::Resource::route);
    // What lies directly below a scope may be anything: with another method it is no path that is known.
    if path == "/api/app/{app_id}" {
        return resource.default_service(web::to(wrong_method_or_path));
    }
    resource.default_service(web::to(wrong_method))
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
