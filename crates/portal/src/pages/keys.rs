//! Keys and tokens of an application: what consumers and clients need, and how they are replaced.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Query};
use askama::Template;
use latchkey_domain::KeyState;
use latchkey_service::operate::KeyView;

use crate::answer::{Answer, Failure, ok, page, see_other};
use crate::form::Form;
use crate::parts::{Field, Frame, time_text};
use crate::session::Owned;
use crate::site::Site;

struct KeyRow {
    kid: String,
    state: &'static str,
    is_current: bool,
    about: String,
}

impl KeyRow {
    fn of(view: &KeyView) -> Self {
        let key = &view.key;
        let until = key.published_until.map(|until| format!("published until {} UTC", time_text(until)));
        let (state, about) = match view.state {
            KeyState::Next => ("next", format!("published, signs from {} UTC", time_text(key.signs_from))),
            KeyState::Current => ("current", format!("signs since {} UTC", time_text(key.signs_from))),
            KeyState::Retiring => ("retiring", until.unwrap_or_else(|| "published".to_owned())),
            KeyState::Retired => ("retired", "not published any more".to_owned()),
        };
        Self { kid: key.kid.clone(), state, is_current: view.state == KeyState::Current, about }
    }
}

#[derive(Template)]
#[template(path = "pages/keys.html")]
struct KeysPage {
    frame: Frame,
    app_id: String,
    app_token: String,
    issuer: String,
    jwks: String,
    pem: String,
    keys: Vec<KeyRow>,
    is_waiting: bool,
    /// What was typed wrong, and in which form.
    wrong: Option<&'static str>,
    new_key: Field,
    new_token: Field,
}

async fn keys_page(site: &Site, owned: &Owned, wrong: Option<&'static str>) -> Result<KeysPage, Failure> {
    let app = &owned.app.app;
    let keys = site.service.list_keys(app.id).await?;
    let current = keys.iter().find(|view| view.state == KeyState::Current);
    let frame = Frame::app(site, owned, "keys", "Keys")?;
    let confirm = |name: &'static str| {
        let error = (wrong == Some(name)).then(|| NOT_THE_NAME.to_owned());
        Field::text(name, "Type the application's name to confirm", "").error(error)
    };
    Ok(KeysPage {
        frame: if wrong.is_some() { frame.failed() } else { frame },
        app_id: app.id.to_string(),
        app_token: owned.app.app_token.clone(),
        issuer: app.issuer.clone(),
        jwks: site.service.discovery(app.id).await?.jwks_uri,
        pem: current.map(|view| view.key.public_pem.trim_end().to_owned()).unwrap_or_default(),
        is_waiting: keys.iter().any(|view| view.state == KeyState::Next),
        keys: keys.iter().rev().map(KeyRow::of).collect(),
        wrong,
        new_key: confirm("regenerate"),
        new_token: confirm("app-token"),
    })
}

pub(super) const NOT_THE_NAME: &str = "That is not the name of this application.";

/// `GET /apps/{app}/keys`.
pub(crate) async fn show(site: Data<Site>, owned: Owned, query: Query<HashMap<String, String>>) -> Answer {
    let mut shown = keys_page(&site, &owned, None).await?;
    shown.frame = shown.frame.with_notice(match query.get("done").map(String::as_str) {
        Some("rotate") => {
            Some("The new key is published. It signs when consumers have had time to fetch it.")
        }
        Some("regenerate") => Some(
            "The new key signs. Tokens of the old one stop verifying when consumers fetch the keys again.",
        ),
        Some("app-token") => Some("The app token was replaced: clients need the new one."),
        _ => None,
    });
    ok(&site, &shown)
}

/// `POST /apps/{app}/keys/{act}`: `rotate` at once, the others once the application's name was typed.
pub(crate) async fn act(site: Data<Site>, owned: Owned, path: Path<(String, String)>, form: Form) -> Answer {
    let app = &owned.app.app;
    let act = match path.1.as_str() {
        "rotate" => "rotate",
        "regenerate" => "regenerate",
        "app-token" => "app-token",
        _ => return Err(Failure::NotFound),
    };
    if act != "rotate" && form.text(act).trim() != app.name.as_str() {
        let again = keys_page(&site, &owned, Some(act)).await?;
        return page(&site, StatusCode::UNPROCESSABLE_ENTITY, &again);
    }
    let operator = owned.operator.clone();
    match act {
        "rotate" => drop(site.service.rotate_key(operator, app.id).await?),
        "regenerate" => drop(site.service.regenerate_key(operator, app.id).await?),
        _ => drop(site.service.regenerate_app_token(operator, app.id).await?),
    }
    Ok(see_other(&site, &format!("/apps/{}/keys?done={act}", app.id)))
}
