//! Name and status of an application, and its end.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use askama::Template;
use latchkey_domain::{AppName, AppStatus, User};
use latchkey_service::operate::{AppUpdate, Page, SettingChange};
use latchkey_service::{Refusal, ServiceError};

use super::keys::NOT_THE_NAME;
use crate::answer::{Answer, Failure, ok, page, see_other};
use crate::form::Form;
use crate::parts::{Field, Frame, Problems};
use crate::session::Owned;
use crate::site::Site;

#[derive(Template)]
#[template(path = "pages/app_settings.html")]
struct SettingsPage {
    frame: Frame,
    app_id: String,
    problems: Problems,
    name: Field,
    is_active: bool,
    users: u64,
    confirm: Field,
}

async fn settings_page(
    site: &Site,
    owned: &Owned,
    name: &str,
    errors: [Option<String>; 2],
) -> Result<SettingsPage, Failure> {
    let app = &owned.app.app;
    let [wrong_name, wrong_confirmation] = errors;
    let page = Page::new(0, None, 1)?;
    let users = site.service.list::<User>(owned.operator.reader(), app.id, page, false).await?.total;
    let name = Field::text("name", "Name", name).hint("Your users see it in their mails.").error(wrong_name);
    let confirm =
        Field::text("confirm", "Type the application's name to confirm", "").error(wrong_confirmation);
    let problems = Problems::of([&name, &confirm]);
    let frame = Frame::app(site, owned, "settings", "Settings")?;
    Ok(SettingsPage {
        frame: if problems.are_none() { frame } else { frame.failed() },
        app_id: app.id.to_string(),
        problems,
        name,
        is_active: app.status == AppStatus::Active,
        users,
        confirm,
    })
}

/// `GET /apps/{app}/settings`.
pub(crate) async fn show(site: Data<Site>, owned: Owned, query: Query<HashMap<String, String>>) -> Answer {
    let app = &owned.app.app;
    let mut shown = settings_page(&site, &owned, app.name.as_str(), [None, None]).await?;
    let saved = query.get("done").is_some_and(|done| done == "saved");
    let state = if app.status == AppStatus::Active { "active" } else { "inactive" };
    let notice = saved.then(|| format!("The application is called {}, and is {state}.", app.name.as_str()));
    shown.frame = shown.frame.saved(notice);
    ok(&site, &shown)
}

/// `POST /apps/{app}/settings`.
pub(crate) async fn save(site: Data<Site>, owned: Owned, form: Form) -> Answer {
    let (app, typed) = (&owned.app.app, form.text("name"));
    let Ok(name) = AppName::parse(typed) else {
        let error = Some("Enter a name of 1 to 60 characters.".to_owned());
        let again = settings_page(&site, &owned, typed, [error, None]).await?;
        return page(&site, StatusCode::UNPROCESSABLE_ENTITY, &again);
    };
    let status = if form.text("status") == "inactive" { AppStatus::Inactive } else { AppStatus::Active };
    let mut update = AppUpdate { name: (name != app.name).then_some(name), ..AppUpdate::default() };
    if status != app.status {
        update.settings.push(("status".to_owned(), SettingChange::Status(status)));
    }
    if update.name.is_none() && update.settings.is_empty() {
        return Ok(see_other(&site, &format!("/apps/{}/settings", app.id)));
    }
    match site.service.update_app_at_once(owned.operator.clone(), app.id, update).await {
        Ok(_) => Ok(see_other(&site, &format!("/apps/{}/settings?done=saved", app.id))),
        Err(ServiceError::Explained(Refusal::AppNameTaken, _)) => {
            let error = Some(format!("You already have an application called {typed}."));
            let again = settings_page(&site, &owned, typed, [error, None]).await?;
            page(&site, StatusCode::UNPROCESSABLE_ENTITY, &again)
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /apps/{app}/settings/delete`: once the application's name was typed.
pub(crate) async fn delete(site: Data<Site>, owned: Owned, form: Form) -> Answer {
    let app = &owned.app.app;
    if form.text("confirm").trim() != app.name.as_str() {
        let error = Some(NOT_THE_NAME.to_owned());
        let again = settings_page(&site, &owned, app.name.as_str(), [None, error]).await?;
        return page(&site, StatusCode::UNPROCESSABLE_ENTITY, &again);
    }
    site.service.remove_app(owned.operator.clone(), app.id).await?;
    Ok(see_other(&site, "/apps?done=deleted"))
}
