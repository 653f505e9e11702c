//! The route table of the portal: method, path, and who may ask. Tests walk it.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{Error, Route};

use crate::answer::Failure;
use crate::assets;
use crate::pages::{
    account, app_settings, apps, index, jwt, keys, mailbox, overview, people, setup, sign_in, try_it, users,
    watch,
};
use crate::site::Site;

/// Who may ask for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Anyone,
    /// A developer who is signed in.
    Member,
    /// The owner of the application, or an administrator.
    Owner,
    /// An administrator.
    Administrator,
}

/// One route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteInfo {
    /// The method.
    pub method: &'static str,
    /// The path below [`PATH`](crate::PATH).
    pub path: &'static str,
    /// Who may ask.
    pub access: Access,
}

macro_rules! routes {
    ($($method:ident $access:ident $path:literal $($handler:ident)::+;)+) => {
        vec![$((
            RouteInfo { method: stringify!($method), path: $path, access: Access::$access },
            route_of(stringify!($method)).to($($handler)::+),
        )),+]
    };
}

fn entries() -> Vec<(RouteInfo, Route)> {
    routes! {
        GET  Anyone "" index::index;
        GET  Anyone "/setup/{token}" setup::open;
        GET  Anyone "/setup" setup::show;
        POST Anyone "/setup" setup::create;
        GET  Anyone "/sign-in" sign_in::show;
        POST Anyone "/sign-in" sign_in::sign_in;
        POST Member "/sign-out" sign_in::sign_out;
        GET  Member "/account" account::show;
        POST Member "/account/password" account::change_password;
        POST Member "/account/logins" account::end_logins;
        GET  Member "/apps" apps::list;
        GET  Member "/apps/new" apps::show_new;
        POST Member "/apps/new" apps::create;
        GET  Administrator "/mailbox" mailbox::list;
        GET  Administrator "/mailbox/{mail}" mailbox::show;
        GET  Administrator "/mailbox/{mail}/html" mailbox::html;
        GET  Owner  "/apps/{app}" overview::show;
        GET  Owner  "/apps/{app}/try" try_it::show;
        POST Owner  "/apps/{app}/try/sign-up" try_it::sign_up;
        POST Owner  "/apps/{app}/try/confirm" try_it::confirm;
        POST Owner  "/apps/{app}/try/log-in" try_it::log_in;
        GET  Owner  "/apps/{app}/jwt" jwt::show;
        POST Owner  "/apps/{app}/jwt/{card}" jwt::save;
        GET  Owner  "/apps/{app}/users" users::list;
        GET  Owner  "/apps/{app}/users/new" users::show_new;
        POST Owner  "/apps/{app}/users/new" users::add;
        GET  Owner  "/apps/{app}/users/{user}" users::show;
        POST Owner  "/apps/{app}/users/{user}/delete" users::delete;
        POST Owner  "/apps/{app}/users/{user}/{act}" users::act;
        GET  Owner  "/apps/{app}/signups" people::signups;
        POST Owner  "/apps/{app}/signups/{signup}/remove" people::remove_signup;
        GET  Owner  "/apps/{app}/invites" people::invites;
        POST Owner  "/apps/{app}/invites" people::invite;
        POST Owner  "/apps/{app}/invites/{invite}/{act}" people::act;
        GET  Owner  "/apps/{app}/keys" keys::show;
        POST Owner  "/apps/{app}/keys/{act}" keys::act;
        GET  Owner  "/apps/{app}/outbox" watch::outbox;
        POST Owner  "/apps/{app}/outbox/{message}/retry" watch::retry;
        GET  Owner  "/apps/{app}/logs" watch::logs;
        GET  Owner  "/apps/{app}/settings" app_settings::show;
        POST Owner  "/apps/{app}/settings" app_settings::save;
        POST Owner  "/apps/{app}/settings/delete" app_settings::delete;
        GET  Anyone "/static/{version}/{file}" assets::file;
    }
}

/// All routes.
#[must_use]
pub fn table() -> Vec<RouteInfo> {
    entries().into_iter().map(|(info, _)| info).collect()
}

fn route_of(method: &str) -> Route {
    if method == "GET" { web::get() } else { web::post() }
}

/// Mounts all routes.
pub(crate) fn configure(config: &mut ServiceConfig) {
    let mut by_path: Vec<(&'static str, Vec<Route>)> = Vec::new();
    for (info, route) in entries() {
        match by_path.iter_mut().find(|(path, _)| *path == info.path) {
            Some((_, routes)) => routes.push(route),
            None => by_path.push((info.path, vec![route])),
        }
    }
    for (path, routes) in by_path {
        let resource = routes.into_iter().fold(web::resource(path), actix_web::Resource::route);
        config.service(resource.default_service(web::to(unknown)).wrap(from_fn(render)));
    }
    config.default_service(web::to(unknown).wrap(from_fn(render)));
}

async fn unknown() -> Result<String, Failure> {
    Err(Failure::NotFound)
}

/// Renders failures as pages.
async fn render(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let site = request.app_data::<Data<Site>>().cloned();
    let response = next.call(request).await?;
    let failed = response.response().error().and_then(|error| error.as_error::<Failure>());
    let page = failed.zip(site).map(|(failure, site)| failure.answer(&site));
    Ok(match page {
        Some(page) => response.into_response(page),
        None => response.map_into_boxed_body(),
    })
}
