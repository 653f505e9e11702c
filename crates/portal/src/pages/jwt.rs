//! What decides who signs up, how people sign in and what their JWT carries: the plain settings of an application, in
//! cards with one form each. Names, kinds and bounds come from the table in the domain.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Query};
use askama::Template;
use latchkey_domain::{AppSettings, PLAIN_SETTINGS, PlainKind, PlainSetting, PlainValue};
use latchkey_service::operate::{AppUpdate, SettingChange};
use latchkey_service::{Refusal, ServiceError};

use crate::answer::{Answer, Failure, ok, page, see_other};
use crate::form::Form;
use crate::parts::Frame;
use crate::session::Owned;
use crate::site::Site;

/// A card: the last part of its path, its title, and its settings with their labels.
struct CardOf {
    name: &'static str,
    title: &'static str,
    settings: &'static [(&'static str, &'static str)],
}

const CARDS: &[CardOf] = &[
    CardOf {
        name: "signup",
        title: "Sign-up",
        settings: &[
            ("signupEnabled", "Sign-up"),
            ("signupFlow", "Sign-up flow"),
            ("linkAsksPassword", "Password behind the link"),
            ("invitationEnabled", "Invitations"),
            ("maxUsers", "Most users"),
            ("handleHoldDays", "Keep handles of deleted users (days)"),
            ("neutralAnswers", "Neutral answers"),
        ],
    },
    CardOf {
        name: "signin",
        title: "Sign-in",
        settings: &[
            ("userNamesEnabled", "User names"),
            ("anonymousLoginEnabled", "Anonymous users"),
            ("anonymousPurgeDays", "Remove unused anonymous users (days)"),
            ("accessTokenDays", "Life of access tokens (days)"),
        ],
    },
    CardOf {
        name: "token",
        title: "Token",
        settings: &[
            ("userJWTExpiration", "Life of JWTs (hours)"),
            ("userIdFormat", "User id"),
            ("metaDataEmail", "E-mail claim"),
        ],
    },
    CardOf {
        name: "password",
        title: "Password filter",
        settings: &[
            ("passwordFilter", "Password filter"),
            ("passwordMinLength", "Fewest characters"),
            ("passwordMinUpper", "Fewest upper-case letters"),
            ("passwordMinLower", "Fewest lower-case letters"),
            ("passwordMinDigit", "Fewest digits"),
            ("passwordMinSpecial", "Fewest special characters"),
            ("refuseCommonPasswords", "Refuse common passwords"),
        ],
    },
    CardOf {
        name: "factors",
        title: "Second factors",
        settings: &[
            ("twoFactorConfirm", "Confirm new authenticators"),
            ("qrCodeMail", "Mail the QR code"),
            ("factorChangeNeedsLogin", "Recent log-in for changes"),
            ("smsADay", "Most SMS in a day"),
        ],
    },
];

/// A setting in a form.
struct Shown {
    field: &'static str,
    label: &'static str,
    about: String,
    kind: &'static PlainKind,
    /// What is stored.
    was: String,
    /// What stands in the form.
    value: String,
    error: Option<String>,
}

impl Shown {
    fn described_by(&self) -> String {
        let about = (!self.about.is_empty()).then(|| format!("{}-hint", self.field));
        let error = self.error.is_some().then(|| format!("{}-error", self.field));
        about.into_iter().chain(error).collect::<Vec<_>>().join(" ")
    }
}

struct Card {
    name: &'static str,
    title: &'static str,
    settings: Vec<Shown>,
}

#[derive(Template)]
#[template(path = "pages/jwt.html")]
struct JwtPage {
    frame: Frame,
    app_id: String,
    /// What is wrong, with the field that it is about.
    problems: Vec<(&'static str, String)>,
    /// Whether somebody else saved the same setting meanwhile.
    is_conflict: bool,
    cards: Vec<Card>,
}

fn setting_of(field: &str) -> Option<&'static PlainSetting> {
    PLAIN_SETTINGS.iter().find(|setting| setting.field == field)
}

fn shown(settings: &AppSettings, named: &'static (&'static str, &'static str)) -> Option<Shown> {
    let (field, label) = *named;
    let setting = setting_of(field)?;
    let about = setting.about.replace('`', "");
    let was = setting.value(settings).to_string();
    Some(Shown { field, label, about, kind: &setting.kind, value: was.clone(), was, error: None })
}

fn card(settings: &AppSettings, card: &'static CardOf) -> Card {
    let settings = card.settings.iter().filter_map(|named| shown(settings, named)).collect();
    Card { name: card.name, title: card.title, settings }
}

fn jwt_page(site: &Site, owned: &Owned, wrong: Option<Card>, is_conflict: bool) -> Result<JwtPage, Failure> {
    let app = &owned.app.app;
    let frame = Frame::app(site, owned, "jwt", "JWT")?;
    let errors = wrong.iter().flat_map(|card| &card.settings);
    let problems: Vec<_> = errors.filter_map(|shown| Some((shown.field, shown.error.clone()?))).collect();
    let mut cards: Vec<Card> = CARDS.iter().map(|of| card(&app.settings, of)).collect();
    if let Some(wrong) = wrong
        && let Some(place) = cards.iter_mut().find(|card| card.name == wrong.name)
    {
        *place = wrong;
    }
    let frame = if problems.is_empty() { frame } else { frame.failed() };
    Ok(JwtPage { frame, app_id: app.id.to_string(), problems, is_conflict, cards })
}

/// `GET /apps/{app}/jwt`.
pub(crate) async fn show(site: Data<Site>, owned: Owned, query: Query<HashMap<String, String>>) -> Answer {
    let mut shown = jwt_page(&site, &owned, None, false)?;
    shown.frame =
        shown.frame.saved(query.get("saved").and_then(|fields| said(&owned.app.app.settings, fields)));
    ok(&site, &shown)
}

/// What was saved, in words.
fn said(settings: &AppSettings, fields: &str) -> Option<String> {
    let labels = CARDS.iter().flat_map(|card| card.settings);
    let named: Vec<String> = fields
        .split(',')
        .filter_map(|field| {
            let (_, label) = labels.clone().find(|(name, _)| *name == field)?;
            let value = match setting_of(field)?.value(settings) {
                PlainValue::Flag(on) => (if on { "on" } else { "off" }).to_owned(),
                value => value.to_string(),
            };
            Some(format!("{label} is now {value}."))
        })
        .collect();
    (!named.is_empty()).then(|| named.join(" "))
}

/// A value that was typed or chosen. An unticked box is not sent.
fn typed_value(setting: &PlainSetting, typed: &str) -> Result<PlainValue, String> {
    let value = match &setting.kind {
        PlainKind::Flag { .. } => PlainValue::Flag(typed == "true"),
        PlainKind::Number { least, most, .. } => {
            let number = typed.trim().parse();
            PlainValue::Number(number.map_err(|_| format!("Enter a whole number from {least} to {most}."))?)
        }
        PlainKind::Choice { names, .. } => {
            let name = names.iter().find(|name| **name == typed);
            PlainValue::Choice(name.ok_or_else(|| "Choose one of the list.".to_owned())?)
        }
    };
    match (setting.check(value), &setting.kind) {
        (Ok(()), _) => Ok(value),
        (Err(_), PlainKind::Number { least, most, .. }) => {
            Err(format!("Enter a whole number from {least} to {most}."))
        }
        (Err(text), _) => Err(text),
    }
}

/// `POST /apps/{app}/jwt/{card}`: saves what was changed in a card. What somebody else changed meanwhile is not lost.
pub(crate) async fn save(site: Data<Site>, owned: Owned, path: Path<(String, String)>, form: Form) -> Answer {
    let of = CARDS.iter().find(|card| card.name == path.1).ok_or(Failure::NotFound)?;
    let app = &owned.app.app;
    let mut card = card(&app.settings, of);
    let (mut changed, mut expected, mut is_conflict) = (Vec::new(), Vec::new(), false);
    for shown in &mut card.settings {
        let Some(setting) = setting_of(shown.field) else { continue };
        let typed = form.text(shown.field);
        shown.value = if typed.is_empty() && matches!(setting.kind, PlainKind::Flag { .. }) {
            "false".to_owned()
        } else {
            typed.to_owned()
        };
        let read = form.text(&format!("was.{}", shown.field));
        if shown.value == read {
            shown.value.clone_from(&shown.was);
            continue;
        }
        match typed_value(setting, &shown.value) {
            Err(error) => shown.error = Some(error),
            Ok(value) if shown.was != read && shown.was != value.to_string() => {
                is_conflict = true;
                shown.error = Some(format!(
                    "{} was changed from {read} to {} meanwhile. Save again to set {value}.",
                    shown.label, shown.was
                ));
            }
            Ok(value) if shown.was == value.to_string() => {}
            Ok(value) => {
                expected.push((setting, setting.value(&app.settings)));
                changed.push((setting, value));
            }
        }
    }
    if card.settings.iter().any(|shown| shown.error.is_some()) {
        let status = if is_conflict { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY };
        return page(&site, status, &jwt_page(&site, &owned, Some(card), is_conflict)?);
    }
    let fields: Vec<&str> = changed.iter().map(|(setting, _)| setting.field).collect();
    let path = format!("/apps/{}/jwt?saved={}", app.id, fields.join(","));
    if changed.is_empty() {
        return Ok(see_other(&site, &format!("/apps/{}/jwt", app.id)));
    }
    let settings = changed.into_iter().zip(&expected).map(|((setting, value), (_, was))| {
        let name = format!("{} {was} -> {value}", setting.field);
        (name, SettingChange::Plain(vec![(setting, value)]))
    });
    let update = AppUpdate { settings: settings.collect(), expected, ..AppUpdate::default() };
    match site.service.update_app_at_once(owned.operator.clone(), app.id, update).await {
        Ok(_) => Ok(see_other(&site, &path)),
        Err(ServiceError::Explained(Refusal::Conflict, text)) => Err(Failure::Conflict(text)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings that no card shows: one decides nothing, the others need more than a switch.
    const ELSEWHERE: [&str; 4] = ["jwtEnabled", "emailExtension", "appleLoginEnabled", "googleLoginEnabled"];

    #[test]
    fn every_plain_setting_is_in_one_card() {
        let mut shown: Vec<&str> =
            CARDS.iter().flat_map(|card| card.settings).map(|(field, _)| *field).chain(ELSEWHERE).collect();
        let mut all: Vec<&str> = PLAIN_SETTINGS.iter().map(|setting| setting.field).collect();
        shown.sort_unstable();
        all.sort_unstable();
        assert_eq!(shown, all);
    }
}
