//! `/api/app`: an application's messages and locales.

use std::collections::VecDeque;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use latchkey_domain::{AppId, Locale, TemplateName};
use latchkey_service::operate::TemplateUpdate;
use latchkey_service::{Reader, ServiceError};
use serde_json::Value;

use super::State;
use super::operator::app_of;
use crate::dto::{self, Locales, template_json};
use crate::http::{Answer, ApiError, ByOperator, Fields, Verified, WrongField, json};

pub(crate) async fn email_templates(
    state: State,
    Verified(operator): ByOperator,
    request: HttpRequest,
) -> Answer {
    let query = Fields::of_query(&request)?;
    let id = app_of(&operator, &query)?;
    let view = state.service.find_app(id).await?;
    Ok(Messages::of(state, (operator.reader(), id), view.app.settings.locales).answer(String::new(), ""))
}

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
    let id = fields.required("_id")?;
    let wrong =
        || ServiceError::invalid(format!("_id is a message and a locale, such as signUp-EN, not {id:?}"));
    let (name, locale) = id.split_once('-').ok_or_else(wrong)?;
    Ok(TemplateUpdate {
        app_id,
        name: TemplateName::parse(name).ok_or_else(wrong)?,
        locale: Locale::parse(locale).map_err(|_| wrong())?,
        subject: fields.required("subject")?.to_owned(),
        reply_to: fields.text("replyTo")?.unwrap_or_default().to_owned(),
        html: fields.required("htmlTemplate")?.to_owned(),
        link_text: fields.owned("localeLinkText")?,
    })
}

pub(crate) async fn set_locales(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let reader = operator.reader();
    let sent = fields.list("locales")?;
    let locales = sent.iter().map(|item| {
        let text =
            item.as_str().ok_or_else(|| WrongField::invalid("locales", "must be an array of strings"))?;
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
    Ok(Messages::of(state, (reader, id), locales).answer(head, "}"))
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
    fn of(state: State, (reader, id): (Reader, AppId), locales: Vec<Locale>) -> Self {
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
