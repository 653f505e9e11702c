//! `/api/app`: the log, its export, statistics, and messages that have not left.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use futures_util::stream;
use latchkey_domain::{AppId, AuditEntry, AuditFilter, AuditId, UsageKind, day_of};
use latchkey_service::operate::{MOST_ON_A_PAGE, MOST_SKIPPED, is_action};
use latchkey_service::{Operator, Reader, Refusal, ServiceError};
use latchkey_storage::AuditStart;
use latchkey_transfer::csv_row;
use serde_json::Value;
use time::format_description::well_known::{Iso8601, Rfc3339};
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime};

use super::State;
use super::operator::{AFTER, APP_ID, LIMIT, OFFSET, USER_ID, app_of};
use crate::dto::{Day, LogPage, Outbox, Retried, Statistics, entry_json, waiting_json};
use crate::http::field::{Field, choice, text};
use crate::http::{Answer, ApiError, ByOperator, Fields, Query, Verified, json, ok_true};
use crate::openapi::{Answers, DEFAULT, Operation, shape};

/// The least and the usual number of entries on a page, as at the reference.
const LOG_PAGE: u32 = 25;
/// The value of `appId` that selects the server's own entries.
const OF_THE_SERVER: &str = "server";
/// How many entries of an export are read at once.
const EXPORTED_AT_ONCE: u32 = 1_000;
/// The default number of days of statistics.
const USUAL_DAYS: i64 = 30;

const LOG_OF: Field =
    APP_ID.described("The application; `server` for entries of none, with a secret for all applications.");
const LOG_TYPE: Field = choice("type", &["app", "user", "all"], "");
const STATUS: Field = choice("status", &["success", "error", "all"], "");
const ACTIONS: Field = text("filterAction", "login,signup", "Actions, separated by commas.");
const OF_USER: Field = USER_ID.described("").optional();
const FROM: Field = text("fromDate", "2026-11-25", "A day or a time (RFC 3339).");
const TO: Field = text("toDate", "2026-11-25", "A day is included as a whole.");
/// Which entries of the log.
const FILTER: &[Field] = &[LOG_OF, LOG_TYPE, STATUS, ACTIONS, OF_USER, FROM, TO];

pub(crate) const LOGS: Operation = Operation {
    summary: "Get the audit log, newest first",
    fields: FILTER,
    more: &[LIMIT, OFFSET, AFTER],
    answers: Answers::Json(&[shape::<LogPage>]),
    refuses: &[Refusal::UnknownUser],
    ..DEFAULT
};

pub(crate) async fn logs(state: State, Verified(operator): ByOperator, Query(query): Query) -> Answer {
    let id = log_of(&operator, &query)?;
    let filter = filter_of(&query)?;
    let (start, limit) = page_of_log(&query)?;
    let (entries, total) = state.service.search_log(operator.reader(), id, filter, start, limit).await?;
    let is_full = entries.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next = entries.last().filter(|_| is_full).map(|last| last.id.to_string());
    let logs = entries.iter().map(entry_json).collect();
    Ok(json(&LogPage { total_log: total, logs, next }))
}

/// The selected log: an application's, or the server's own for operators of all applications.
fn log_of(operator: &Operator, query: &Fields) -> Result<AppId, ApiError> {
    if query.text(LOG_OF)? != Some(OF_THE_SERVER) {
        return app_of(operator, query);
    }
    operator.reaches_all()?;
    Ok(AppId::NONE)
}

fn page_of_log(query: &Fields) -> Result<(AuditStart, u32), ServiceError> {
    let limit = query.number(LIMIT)?.unwrap_or(LOG_PAGE).clamp(LOG_PAGE, MOST_ON_A_PAGE);
    if let Some(after) = query.text(AFTER)? {
        let after = after.parse().map_err(|_| ServiceError::invalid("after is the id of an entry"))?;
        return Ok((AuditStart::After(after), limit));
    }
    let skipped = query.number(OFFSET)?.unwrap_or(0).saturating_mul(limit);
    if skipped > MOST_SKIPPED {
        return Err(ServiceError::invalid(format!(
            "a page begins within {MOST_SKIPPED} rows; further on, send after"
        )));
    }
    Ok((AuditStart::Skip(skipped), limit))
}

fn filter_of(query: &Fields) -> Result<AuditFilter, ServiceError> {
    let actions = query.text(ACTIONS)?.filter(|text| *text != "all").unwrap_or_default();
    let actions: Vec<String> =
        actions.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if let Some(unknown) = actions.iter().find(|name| !is_action(name)) {
        return Err(ServiceError::invalid(format!("filterAction: the log has no action {unknown:?}")));
    }
    let user_id = query.text(OF_USER)?.map(str::parse).transpose();
    Ok(AuditFilter {
        is_administration: match query.text(LOG_TYPE)? {
            None | Some("all") => None,
            Some("app") => Some(true),
            Some("user") => Some(false),
            Some(_) => return Err(ServiceError::invalid("type is one of app, user, all")),
        },
        is_success: match query.text(STATUS)? {
            None | Some("all") => None,
            Some("success") => Some(true),
            Some("error") => Some(false),
            Some(_) => return Err(ServiceError::invalid("status is one of success, error, all")),
        },
        from: moment(query, FROM, Duration::ZERO)?,
        // A day as the end means all of that day.
        until: moment(query, TO, Duration::DAY)?,
        actions,
        user_id: user_id.map_err(|_| Refusal::UnknownUser)?,
    })
}

/// A moment (RFC 3339), or a day in UTC, to which `of_a_day` is added.
fn moment(query: &Fields, field: Field, of_a_day: Duration) -> Result<Option<OffsetDateTime>, ServiceError> {
    let Some(text) = query.text(field)? else { return Ok(None) };
    if let Ok(day) = parsed_day(text) {
        return Ok(Some(
            PrimitiveDateTime::new(day, time::Time::MIDNIGHT).assume_utc().saturating_add(of_a_day),
        ));
    }
    let moment =
        OffsetDateTime::parse(text, &Rfc3339).or_else(|_| OffsetDateTime::parse(text, &Iso8601::DEFAULT));
    let moment = moment.ok().filter(|moment| (1970..=9998).contains(&moment.year()));
    moment.map(Some).ok_or_else(|| {
        ServiceError::invalid(format!(
            "{} is a day such as 2026-11-25, or a moment such as 2026-11-25T10:00:00Z",
            field.name
        ))
    })
}

fn parsed_day(text: &str) -> Result<Date, time::error::Parse> {
    Date::parse(text, format_description!("[year]-[month]-[day]"))
}

const FORMAT: Field = choice("format", &["csv", "jsonl"], "");

pub(crate) const EXPORT_LOGS: Operation = Operation {
    summary: "Export the audit log",
    fields: FILTER,
    more: &[FORMAT],
    answers: Answers::File(&["text/csv", "application/jsonl"]),
    refuses: &[Refusal::UnknownUser],
    headers: &[("Content-Disposition", "The file name.")],
    ..DEFAULT
};

/// All entries that a filter lets through, newest first, as CSV or JSON lines, while they are read.
pub(crate) async fn export(state: State, Verified(operator): ByOperator, Query(query): Query) -> Answer {
    let id = log_of(&operator, &query)?;
    let filter = filter_of(&query)?;
    let format = match query.text(FORMAT)? {
        None | Some("csv") => LogFormat::Csv,
        Some("jsonl") => LogFormat::JsonLines,
        Some(_) => return Err(ServiceError::invalid("format is one of csv, jsonl").into()),
    };
    let reader = operator.reader();
    state.service.note_log_export(operator, id).await?;
    let (content_type, name) = match format {
        LogFormat::Csv => ("text/csv; charset=utf-8", "logs.csv"),
        LogFormat::JsonLines => ("application/jsonl; charset=utf-8", "logs.jsonl"),
    };
    let export = LogExport { state, reader, id, filter, format, after: None, first: true, is_done: false };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .streaming(stream::unfold(export, LogExport::next)))
}

#[derive(Clone, Copy)]
enum LogFormat {
    Csv,
    JsonLines,
}

struct LogExport {
    state: State,
    reader: Reader,
    id: AppId,
    filter: AuditFilter,
    format: LogFormat,
    after: Option<AuditId>,
    first: bool,
    is_done: bool,
}

const LOG_COLUMNS: [&str; 10] = [
    "createdAt",
    "action",
    "status",
    "logType",
    "actor",
    "actorName",
    "userId",
    "handle",
    "address",
    "value",
];

impl LogExport {
    /// The next chunk. An error ends the connection, so that a partial log is not taken for a complete one.
    async fn next(mut self) -> Option<(Result<Bytes, ApiError>, Self)> {
        if self.is_done {
            return None;
        }
        let (reader, filter) = (self.reader, self.filter.clone());
        let next = self.state.service.next_of_log(reader, self.id, filter, self.after, EXPORTED_AT_ONCE);
        let entries = match next.await {
            Ok(entries) => entries,
            Err(error) => {
                self.is_done = true;
                return Some((Err(error.into()), self));
            }
        };
        self.is_done = entries.len() < usize::try_from(EXPORTED_AT_ONCE).unwrap_or(usize::MAX);
        self.after = entries.last().map(|last| last.id);
        let mut text = String::new();
        if self.first && matches!(self.format, LogFormat::Csv) {
            csv_row(&mut text, &LOG_COLUMNS);
        }
        self.first = false;
        for entry in &entries {
            self.write(&mut text, entry);
        }
        Some((Ok(Bytes::from(text)), self))
    }

    fn write(&self, text: &mut String, entry: &AuditEntry) {
        let value = entry_json(entry);
        match self.format {
            LogFormat::Csv => {
                let cells =
                    LOG_COLUMNS.map(|column| value.get(column).and_then(Value::as_str).unwrap_or_default());
                csv_row(text, &cells);
            }
            LogFormat::JsonLines => {
                text.push_str(&value.to_string());
                text.push('\n');
            }
        }
    }
}

pub(crate) const STATISTICS: Operation = Operation {
    summary: "Get sign-ups, completions, invitations, log-ins and failures per day",
    fields: &[APP_ID, FROM, TO],
    answers: Answers::Json(&[shape::<Statistics>]),
    ..DEFAULT
};

/// Statistics per day.
pub(crate) async fn statistics(state: State, Verified(operator): ByOperator, Query(query): Query) -> Answer {
    let id = app_of(&operator, &query)?;
    let today = day_of(state.service.now());
    let day = |field| -> Result<Option<i64>, ServiceError> {
        Ok(moment(&query, field, Duration::ZERO)?.map(day_of))
    };
    let last = day(TO)?.unwrap_or(today);
    let first = day(FROM)?.unwrap_or(last - USUAL_DAYS + 1);
    let days = state.service.statistics(operator.reader(), id, first, last).await?;
    let mut answer = Statistics { days: Vec::new(), totals: BTreeMap::new() };
    for (day, usage) in days {
        let mut numbers = BTreeMap::new();
        for (kind, name) in UsageKind::ALL {
            let number: u64 = usage.iter().filter(|usage| usage.kind == kind).map(|usage| usage.number).sum();
            numbers.insert(name, number);
            *answer.totals.entry(name).or_default() += number;
        }
        answer.days.push(Day { day: day_text(day), numbers });
    }
    Ok(json(&answer))
}

fn day_text(day: i64) -> String {
    let moment = OffsetDateTime::UNIX_EPOCH.checked_add(Duration::days(day));
    let text =
        moment.and_then(|moment| moment.date().format(format_description!("[year]-[month]-[day]")).ok());
    text.unwrap_or_default()
}

pub(crate) const OUTBOX: Operation = Operation {
    summary: "List unsent messages with the reason",
    fields: &[APP_ID, AFTER],
    answers: Answers::Json(&[shape::<Outbox>]),
    ..DEFAULT
};

pub(crate) async fn outbox(state: State, Verified(operator): ByOperator, Query(query): Query) -> Answer {
    let id = app_of(&operator, &query)?;
    let after = query.text(AFTER)?.map(str::parse).transpose();
    let after = after.map_err(|_| ServiceError::invalid("after is the id of a message"))?;
    let waiting = state.service.list_outbox(id, after, MOST_ON_A_PAGE).await?;
    let is_full = waiting.len() >= usize::try_from(MOST_ON_A_PAGE).unwrap_or(usize::MAX);
    let next = waiting.last().filter(|_| is_full).map(|last| last.id.to_string());
    let messages = waiting.iter().map(waiting_json).collect();
    Ok(json(&Outbox { messages, next }))
}

const MESSAGE_ID: Field = text("messageId", "018bcfe5680074dfbb7eac258b172229", "").required();

pub(crate) const RETRY_MESSAGE: Operation = Operation {
    summary: "Retry a message that was given up",
    fields: &[APP_ID, MESSAGE_ID],
    refuses: &[Refusal::Unknown],
    ..DEFAULT
};

pub(crate) async fn retry_message(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let message = fields.required(MESSAGE_ID)?;
    let message = message.parse().map_err(|_| Refusal::Unknown)?;
    state.service.retry_messages(operator, id, Some(message)).await?;
    Ok(ok_true())
}

pub(crate) const RETRY_MESSAGES: Operation = Operation {
    summary: "Retry all messages that were given up",
    fields: &[APP_ID],
    answers: Answers::Json(&[shape::<Retried>]),
    ..DEFAULT
};

pub(crate) async fn retry_messages(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let retried = state.service.retry_messages(operator, id, None).await?;
    Ok(json(&Retried { retried }))
}
