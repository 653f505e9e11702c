//! What happens in an application: its log, and the messages that wait or were given up.

use std::collections::HashMap;

use actix_web::web::{Data, Path, Query};
use askama::Template;
use latchkey_domain::{Actor, AuditEntry, AuditFilter, AuditId, Channel, MessageId, MessageState};
use latchkey_service::operate::{AuditStart, PendingMessage, is_action};

use crate::answer::{Answer, Failure, ok, see_other};
use crate::form::Form;
use crate::parts::{Frame, time_text};
use crate::session::Owned;
use crate::site::Site;

/// Rows on a page.
const ROWS: u32 = 50;

/// A line of the log.
pub(crate) struct LogLine {
    id: String,
    pub(crate) time: String,
    source: &'static str,
    pub(crate) action: String,
    pub(crate) who: String,
    address: String,
    detail: String,
    pub(crate) is_success: bool,
    pub(crate) result: String,
}

impl LogLine {
    pub(crate) fn of(entry: &AuditEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            time: time_text(entry.created_at),
            source: match entry.actor {
                Actor::Client => "client",
                Actor::User => "user",
                Actor::Operator => "operator",
                Actor::Server => "server",
            },
            action: entry.action.clone(),
            who: entry.handle.clone().or_else(|| entry.actor_name.clone()).unwrap_or_default(),
            address: entry.address.map(|address| address.to_string()).unwrap_or_default(),
            detail: entry.detail.clone().unwrap_or_default(),
            is_success: entry.result == "ok",
            result: entry.result.clone(),
        }
    }
}

#[derive(Template)]
#[template(path = "pages/logs.html")]
struct LogsPage {
    frame: Frame,
    app_id: String,
    result: String,
    source: String,
    action: String,
    total: u64,
    lines: Vec<LogLine>,
    /// The query of the next page.
    next: Option<String>,
    /// An action that there is not.
    unknown: bool,
}

/// `GET /apps/{app}/logs`.
pub(crate) async fn logs(site: Data<Site>, owned: Owned, query: Query<HashMap<String, String>>) -> Answer {
    let (id, reader) = (owned.app.app.id, owned.operator.reader());
    let text = |name: &str| query.get(name).map(|text| text.trim().to_owned()).unwrap_or_default();
    let (result, source, action) = (text("result"), text("source"), text("action"));
    let unknown = !action.is_empty() && !is_action(&action);
    let filter = AuditFilter {
        is_success: choice(&result, "ok", "refused"),
        is_administration: choice(&source, "administration", "clients"),
        actions: Some(action.clone()).filter(|action| !action.is_empty()).into_iter().collect(),
        ..AuditFilter::default()
    };
    let after: Option<AuditId> =
        query.get("after").map(|id| id.parse()).transpose().map_err(|_| Failure::NotFound)?;
    let start = after.map_or(AuditStart::Skip(0), AuditStart::After);
    let (entries, total) = site.service.search_log(reader, id, filter, start, ROWS).await?;
    let is_full = entries.len() == usize::try_from(ROWS).unwrap_or(usize::MAX);
    let next = entries.last().filter(|_| is_full).map(|last| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([("result", &result), ("source", &source), ("action", &action)]);
        query.append_pair("after", &last.id.to_string()).finish()
    });
    let frame = Frame::app(&site, &owned, "logs", "Logs")?;
    let lines = entries.iter().map(LogLine::of).collect();
    ok(
        &site,
        &LogsPage { frame, app_id: id.to_string(), result, source, action, total, lines, next, unknown },
    )
}

/// Which of two a filter says.
fn choice(text: &str, yes: &str, no: &str) -> Option<bool> {
    if text == yes {
        Some(true)
    } else if text == no {
        Some(false)
    } else {
        None
    }
}

struct MessageRow {
    id: String,
    created: String,
    channel: &'static str,
    to: String,
    is_dead: bool,
    attempts: i64,
    due: String,
    error: String,
}

impl MessageRow {
    fn of(message: PendingMessage) -> Self {
        Self {
            id: message.id.to_string(),
            created: time_text(message.created_at),
            channel: match message.channel {
                Channel::Mail => "mail",
                Channel::Sms => "SMS",
            },
            to: message.to,
            is_dead: message.state == MessageState::Dead,
            attempts: message.attempts,
            due: time_text(message.due_at),
            error: message.last_error.unwrap_or_default(),
        }
    }
}

#[derive(Template)]
#[template(path = "pages/outbox.html")]
struct OutboxPage {
    frame: Frame,
    app_id: String,
    messages: Vec<MessageRow>,
    next: Option<String>,
    /// Where mail goes, if it is not sent.
    is_caught: bool,
}

/// `GET /apps/{app}/outbox`.
pub(crate) async fn outbox(site: Data<Site>, owned: Owned, query: Query<HashMap<String, String>>) -> Answer {
    let id = owned.app.app.id;
    let before: Option<MessageId> =
        query.get("before").map(|id| id.parse()).transpose().map_err(|_| Failure::NotFound)?;
    let messages = site.service.list_outbox(id, before, ROWS).await?;
    let is_full = messages.len() == usize::try_from(ROWS).unwrap_or(usize::MAX);
    let next = messages.last().filter(|_| is_full).map(|last| last.id.to_string());
    let retried = query.get("done").is_some_and(|done| done == "retry");
    let frame = Frame::app(&site, &owned, "outbox", "Outbox")?
        .with_notice(retried.then_some("The message is due again. Reload to see what became of it."));
    let messages = messages.into_iter().map(MessageRow::of).collect();
    let is_caught = site.mailbox.is_some();
    ok(&site, &OutboxPage { frame, app_id: id.to_string(), messages, next, is_caught })
}

/// `POST /apps/{app}/outbox/{message}/retry`.
pub(crate) async fn retry(
    site: Data<Site>,
    owned: Owned,
    path: Path<(String, String)>,
    _form: Form,
) -> Answer {
    let id = owned.app.app.id;
    let message: MessageId = path.1.parse().map_err(|_| Failure::NotFound)?;
    site.service.retry_messages(owned.operator.clone(), id, Some(message)).await?;
    Ok(see_other(&site, &format!("/apps/{id}/outbox?done=retry")))
}
