//! The list of applications, and making one.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use askama::Template;
use latchkey_domain::{App, AppName, AppStatus, Preset, SignupFlow};
use latchkey_service::operate::NewApp;
use latchkey_service::{Refusal, ServiceError};

use crate::answer::{Answer, Failure, ok, page, see_other};
use crate::form::Form;
use crate::parts::{Field, Frame, Problems};
use crate::session::Member;
use crate::site::Site;

/// Rows on a page.
const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "pages/apps.html")]
struct AppsPage {
    frame: Frame,
    apps: Vec<AppRow>,
    /// The last application of a full page: older ones follow it.
    next: Option<String>,
}

struct AppRow {
    id: String,
    name: String,
    is_active: bool,
    status: &'static str,
    created: String,
}

impl AppRow {
    fn of(app: &App) -> Self {
        Self {
            id: app.id.to_string(),
            name: app.name.as_str().to_owned(),
            is_active: app.status == AppStatus::Active,
            status: latchkey_domain::Named::name(app.status),
            created: app.created_at.date().to_string(),
        }
    }
}

/// `GET /apps`.
pub(crate) async fn list(site: Data<Site>, member: Member, query: Query<HashMap<String, String>>) -> Answer {
    let before = query.get("before").map(|id| id.parse()).transpose().map_err(|_| Failure::NotFound)?;
    let apps = site.service.apps_of(&member.signed_in, before, ROWS).await?;
    let is_full = apps.len() == usize::try_from(ROWS).unwrap_or(usize::MAX);
    let next = apps.last().filter(|_| is_full).map(|app| app.id.to_string());
    if apps.is_empty() && before.is_none() {
        return ok(&site, &new_page(&site, &member, "My application", None)?);
    }
    let deleted = query.get("done").is_some_and(|done| done == "deleted");
    let frame = Frame::member(&site, &member, "Applications")?
        .with_notice(deleted.then_some("The application was deleted."));
    ok(&site, &AppsPage { frame, apps: apps.iter().map(AppRow::of).collect(), next })
}

#[derive(Template)]
#[template(path = "pages/new_app.html")]
struct NewAppPage {
    frame: Frame,
    problems: Problems,
    name: Field,
}

fn new_page(site: &Site, member: &Member, name: &str, error: Option<String>) -> Result<NewAppPage, Failure> {
    let frame = Frame::member(site, member, "New application")?;
    let frame = if error.is_some() { frame.failed() } else { frame };
    let name = Field::text("name", "Name", name).hint("Your users see it in their mails.").error(error);
    Ok(NewAppPage { frame, problems: Problems::of([&name]), name })
}

/// `GET /apps/new`.
pub(crate) async fn show_new(
    site: Data<Site>,
    member: Member,
    query: Query<HashMap<String, String>>,
) -> Answer {
    let mut shown = new_page(&site, &member, "My application", None)?;
    let is_welcome = query.get("done").is_some_and(|done| done == "welcome");
    shown.frame =
        shown.frame.with_notice(is_welcome.then_some("Your account is ready, and you are signed in."));
    ok(&site, &shown)
}

/// `POST /apps/new`.
pub(crate) async fn create(site: Data<Site>, member: Member, form: Form) -> Answer {
    let typed = form.text("name");
    let again = |error: String| {
        page(&site, StatusCode::UNPROCESSABLE_ENTITY, &new_page(&site, &member, typed, Some(error))?)
    };
    let Ok(name) = AppName::parse(typed) else {
        return again("Enter a name of 1 to 60 characters.".to_owned());
    };
    let new = NewApp { name, preset: Preset::Recommended, jwt_enabled: true, signup_flow: SignupFlow::Code };
    match site.service.create_own_app(&member.signed_in, member.source, new).await {
        Ok(view) => Ok(see_other(&site, &format!("/apps/{}?done=created", view.app.id))),
        Err(ServiceError::Explained(Refusal::AppNameTaken, _)) => {
            again(format!("You already have an application called {typed}."))
        }
        Err(error) => Err(error.into()),
    }
}
