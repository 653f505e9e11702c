//! `/api/app`: an application's messages and locales.

use std::collections::VecDeque;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use futures_util::stream;
use latchkey_domain::{AppId, Locale, TemplateName};
use latchkey_service::operate::TemplateUpdate;
use latchkey_service::{Reader, ServiceError};
use serde_json::Value;

use super::State;
use super::operator::{APP_ID, app_of};
use crate::dto::{self, Locales, TemplateBody, template_json};
use crate::http::field::{Field, items, text};
use crate::http::{Answer, ApiError, ByOperator, Fields, Query, Verified, WrongField, json};
use crate::openapi::{Answers, DEFAULT, Operation, lists_by_name, shape};

pub(crate) const EMAIL_TEMPLATES: Operation = Operation {
    summary: "Get all templates, by locale",
    about: "The application's own, or the built-in ones.",
    fields: &[APP_ID],
    answers: Answers::Json(&[lists_by_name::<TemplateBody>]),
    ..DEFAULT
};

pub(crate) async fn email_templates(
    state: State,
    Verified(operator): ByOperator,
    Query(query): Query,
) -> Answer {
    let id = app_of(&operator, &query)?;
    let view = state.service.find_app(id).await?;
    Ok(Messages::of(state, operator.reader(), id, view.app.settings.locales).answer(String::new(), ""))
}

const TEMPLATE: Field = text("_id", "signUp-EN", "Its name and locale.").required();
const SUBJECT: Field = text("subject", "Welcome to %APP_NAME%", "").required();
const REPLY_TO: Field = text("replyTo", "help@example.com", "The Reply-To address; empty for none.");
const HTML: Field =
    text("htmlTemplate", "<p>Your code is %CODE%</p>", "With `%CODE%`, or `%LINK%` where it may be a link.")
        .required();
const LINK_TEXT: Field = text("localeLinkText", "Confirm", "");

pub(crate) const UPDATE_EMAIL_TEMPLATE: Operation = Operation {
    summary: "Replace a template",
    fields: &[APP_ID, TEMPLATE, SUBJECT, REPLY_TO, HTML, LINK_TEXT],
    answers: Answers::Json(&[shape::<TemplateBody>]),
    ..DEFAULT
};

pub(crate) async fn update_email_template(
    state: State,
    Verified(operator): ByOperator,
    fields: Fields,
) -> Answer {
    let app_id = app_of(&operator, &fields)?;
    let words = words_of(app_id, &fields)?;
    let template = state.service.update_template(operator, words).await?;
    Ok(json(&template_json(&template)))
}

fn words_of(app_id: AppId, fields: &Fields) -> Result<TemplateUpdate, ServiceError> {
    let id = fields.required(TEMPLATE)?;
    let wrong =
        || ServiceError::invalid(format!("_id is a message and a locale, such as signUp-EN, not {id:?}"));
    let (name, locale) = id.split_once('-').ok_or_else(wrong)?;
    Ok(TemplateUpdate {
        app_id,
        name: TemplateName::parse(name).ok_or_else(wrong)?,
        locale: Locale::parse(locale).map_err(|_| wrong())?,
        subject: fields.required(SUBJECT)?.to_owned(),
        reply_to: fields.text(REPLY_TO)?.unwrap_or_default().to_owned(),
        html: fields.required(HTML)?.to_owned(),
        link_text: fields.owned(LINK_TEXT)?,
    })
}

const LOCALES: Field = items("locales", "Two letters each.").required();

pub(crate) const SET_LOCALES: Operation = Operation {
    summary: "Set the application's locales",
    about: "English is always included. Templates of removed locales are removed.",
    fields: &[APP_ID, LOCALES],
    answers: Answers::Json(&[shape::<Locales>]),
    ..DEFAULT
};

pub(crate) async fn set_locales(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let reader = operator.reader();
    let sent = fields.list(LOCALES)?;
    let locales = sent.iter().map(|item| {
        let text =
            item.as_str().ok_or_else(|| WrongField::invalid(LOCALES, "must be an array of strings"))?;
        Locale::parse(text).map_err(|_| ServiceError::invalid(format!("{text:?} is no permitted locale")))
    });
    let locales = locales.collect::<Result<Vec<_>, ServiceError>>()?;
    let view = state.service.set_locales(operator, id, locales).await?;
    let locales = view.app.settings.locales;
    let names = locales.iter().map(|locale| locale.as_str().to_owned()).collect();
    let head = Locales { app_id: id.to_string(), locales: names, locales_template: Value::Null };
    let head = dto::value(&head).to_string();
    // The messages take the place of the last member's value.
    let head = head.strip_suffix("null}").unwrap_or_default().to_owned();
    Ok(Messages::of(state, reader, id, locales).answer(head, "}"))
}

/// All messages of an application, read and sent by locale: as a whole they would be as long as developers like, in
/// memory for every client that takes its time.
struct Messages {
    state: State,
    reader: Reader,
    id: AppId,
    left: VecDeque<Locale>,
    /// The text before the next locale. `None` at the end.
    before: Option<String>,
    end: &'static str,
}

impl Messages {
    fn of(state: State, reader: Reader, id: AppId, locales: Vec<Locale>) -> Self {
        Self { state, reader, id, left: locales.into(), before: None, end: "" }
    }

    /// An object with a member for each locale, between `start` and `end`.
    fn answer(self, start: String, end: &'static str) -> HttpResponse {
        let messages = Self { before: Some(start + "{"), end, ..self };
        HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/json; charset=utf-8"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .streaming(stream::unfold(messages, Self::next))
    }

    /// The next chunk. An error ends the connection, so that a partial answer is not taken for a complete one.
    async fn next(mut self) -> Option<(Result<Bytes, ApiError>, Self)> {
        let mut text = self.before.take()?;
        let Some(locale) = self.left.pop_front() else {
            return Some((Ok(Bytes::from(text + "}" + self.end)), self));
        };
        match self.state.service.email_templates(self.reader, self.id, locale).await {
            Ok(templates) => {
                let messages = Value::Array(templates.iter().map(template_json).collect());
                text += &format!("\"{}\":{messages}", locale.as_str());
                self.before = Some(if self.left.is_empty() { String::new() } else { ",".to_owned() });
                Some((Ok(Bytes::from(text)), self))
            }
            Err(error) => Some((Err(error.into()), self)),
        }
    }
}
