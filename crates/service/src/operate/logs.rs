//! What operators see of what happened: the log, the days, and the messages that have not left.

use latchkey_domain::{
    AppId, AuditEntry, AuditFilter, AuditId, Channel, MessageId, MessageState, Named as _, UsageDay,
    UsageKind, day_of, masked,
};
use latchkey_storage::{AuditStart, Readers};
use time::{Duration, OffsetDateTime};

use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::{Operator, Reader};
use crate::notify::payload::{MailPayload, SmsPayload, payload_of};
use crate::operate::listing::CountedList;
use crate::service::Service;

/// The most days of statistics at once.
pub const MOST_DAYS: i64 = 366;
/// How many days beyond those that the log is kept are counted late: the log is purged after counting, so it still
/// holds them after an absence.
const LONGEST_ABSENCE: i64 = 366;

/// Whether entries of the log can have this action.
#[must_use]
pub fn is_action(name: &str) -> bool {
    Action::from_name(name).is_some()
}

/// A message that has not left, without what is in it.
#[derive(Debug, Clone)]
pub struct PendingMessage {
    /// Its id.
    pub id: MessageId,
    /// How it goes.
    pub channel: Channel,
    /// Where to: masked.
    pub to: String,
    /// Whether it is still tried.
    pub state: MessageState,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next.
    pub due_at: OffsetDateTime,
    /// When it is worth nothing any more.
    pub expires_at: Option<OffsetDateTime>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was promised.
    pub created_at: OffsetDateTime,
}

impl Service {
    /// A page of an application's log, newest first, and how many entries there are in all; of many, how many there
    /// were within the last minute. The server's own entries stand under [`AppId::NONE`].
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn search_log(
        &self,
        reader: Reader,
        app_id: AppId,
        filter: AuditFilter,
        start: AuditStart,
        limit: u32,
    ) -> Result<(Vec<AuditEntry>, u64), ServiceError> {
        let now = self.inner.clock.now();
        let key = (app_id, CountedList::Log(filter.clone()));
        let _turn = self.turn_to_read(reader, app_id).await?;
        let kept = self.inner.totals.get(&key, now);
        let (entries, counted) = self
            .read("log.search", move |readers| {
                if app_id != AppId::NONE {
                    readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                }
                let entries = readers.audit().search(app_id, &filter, start, limit)?;
                let count = |readers: &mut dyn Readers| readers.audit().count(app_id, &filter);
                let counted = kept.map_or_else(|| Ok((count(readers)?, 0)), Ok::<_, ServiceError>)?;
                Ok((entries, counted))
            })
            .await?;
        if kept.is_none() {
            self.inner.totals.keep(key, now, counted);
        }
        Ok((entries, counted.0))
    }

    /// The next entries of a log that is exported, after those up to `after`.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn next_of_log(
        &self,
        reader: Reader,
        app_id: AppId,
        filter: AuditFilter,
        after: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, ServiceError> {
        let start = after.map_or(AuditStart::Skip(0), AuditStart::After);
        let _turn = self.turn_to_read(reader, app_id).await?;
        self.read("log.next", move |readers| {
            if app_id != AppId::NONE {
                readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
            }
            Ok(readers.audit().search(app_id, &filter, start, limit)?)
        })
        .await
    }

    /// Notes that a log leaves the server.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn note_log_export(&self, operator: Operator, app_id: AppId) -> Result<(), ServiceError> {
        let entry = self.entry(&Event::of_operator(Action::ExportLogs, app_id, &operator))?;
        self.transact("log.export", move |repos| {
            if app_id != AppId::NONE {
                repos.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
            }
            Ok(repos.audit().add(&entry)?)
        })
        .await
    }

    /// The statistics of an application per day, from the first to the last.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::InvalidData`], explained, for too many days.
    pub async fn statistics(
        &self,
        reader: Reader,
        app_id: AppId,
        first: i64,
        last: i64,
    ) -> Result<Vec<(i64, Vec<UsageDay>)>, ServiceError> {
        if first > last || last - first >= MOST_DAYS {
            let text = format!("statistics are of 1 to {MOST_DAYS} days");
            return Err(ServiceError::invalid(text));
        }
        let today = day_of(self.inner.clock.now());
        let kept = i64::from(self.inner.settings.audit_days);
        let _turn = self.turn_to_read(reader, app_id).await?;
        self.read("log.statistics", move |readers| {
            readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
            let counted = readers.audit().usage(app_id, first, last + 1)?;
            let mut days = Vec::new();
            for day in first..=last {
                let mut usage: Vec<_> = counted.iter().filter(|usage| usage.day == day).copied().collect();
                if usage.is_empty() && day <= today && day >= today - kept {
                    let (from, until) = (start_of(day)?, start_of(day + 1)?);
                    usage = readers.audit().count_usage(app_id, from, until)?;
                }
                days.push((day, usage));
            }
            Ok(days)
        })
        .await
    }

    /// Counts the days of all applications that are over and were not counted.
    pub async fn count_days(&self) -> Result<(), ServiceError> {
        const BATCH: u32 = 100;
        let now = self.inner.clock.now();
        let tomorrow = start_of(day_of(now) + 1)?;
        let is_ours = self
            .transact("usage.claim", move |repos| Ok(repos.upkeep().claim_job("usage", now, tomorrow)?));
        if !is_ours.await? {
            return Ok(());
        }
        let mut before = None;
        loop {
            let apps =
                self.read("usage.apps", move |readers| Ok(readers.apps().list(None, before, BATCH)?));
            let apps = apps.await?;
            let Some(last) = apps.last() else { break };
            before = Some(last.id);
            for app in &apps {
                self.count_days_of(app.id, day_of(app.created_at), day_of(now)).await?;
            }
        }
        self.transact("usage.done", move |repos| Ok(repos.upkeep().finish_job("usage", now)?)).await
    }

    async fn count_days_of(&self, app_id: AppId, made: i64, today: i64) -> Result<(), ServiceError> {
        let first = made.max(today - i64::from(self.inner.settings.audit_days) - LONGEST_ABSENCE);
        self.transact("usage.count", move |repos| {
            let counted = repos.audit().usage(app_id, first, today)?;
            for day in (first..today).filter(|day| counted.iter().all(|usage| usage.day != *day)) {
                let mut usage = repos.audit().count_usage(app_id, start_of(day)?, start_of(day + 1)?)?;
                // Always one row, which marks the day as counted.
                if usage.iter().all(|usage| usage.kind != UsageKind::LogIns) {
                    usage.push(UsageDay { day, kind: UsageKind::LogIns, number: 0 });
                }
                repos.audit().put_usage(app_id, day, &usage)?;
            }
            Ok(())
        })
        .await
    }

    /// Messages of an application that have not left, newest first.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn list_outbox(
        &self,
        app_id: AppId,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<PendingMessage>, ServiceError> {
        let messages = self
            .read("outbox.of_app", move |readers| {
                readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                Ok(readers.outbox().list(app_id, before, limit)?)
            })
            .await?;
        let waiting = messages.into_iter().map(|message| PendingMessage {
            to: self.masked_recipient(&message),
            id: message.id,
            channel: message.channel,
            state: message.state,
            attempts: message.attempts,
            due_at: message.due_at,
            expires_at: message.expires_at,
            last_error: message.last_error,
            created_at: message.created_at,
        });
        Ok(waiting.collect())
    }

    fn masked_recipient(&self, message: &latchkey_domain::OutboxMessage) -> String {
        let context = payload_of(message.app_id, &message.id);
        let Ok(json) = self.key_ring().open_sealed(&context, &message.payload) else { return String::new() };
        match message.channel {
            Channel::Mail => serde_json::from_slice::<MailPayload>(&json)
                .ok()
                .and_then(|payload| latchkey_domain::Handle::from_stored(&payload.to).ok())
                .map_or_else(String::new, |handle| masked(&handle)),
            Channel::Sms => serde_json::from_slice::<SmsPayload>(&json)
                .ok()
                .and_then(|payload| latchkey_domain::Phone::from_stored(&payload.to).ok())
                .map_or_else(String::new, |phone| phone.masked()),
        }
    }

    /// Makes a message that was given up due again, or all of them in an application. Returns how many.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::Unknown`] if `id` names no message that was given up.
    pub async fn retry_messages(
        &self,
        operator: Operator,
        app_id: AppId,
        id: Option<MessageId>,
    ) -> Result<usize, ServiceError> {
        let action = if id.is_some() { Action::RetryMessage } else { Action::RetryMessages };
        let mut event = Event::of_operator(action, app_id, &operator);
        event.detail = id.map(|id| id.to_string());
        let now = self.inner.clock.now();
        let revived = self
            .audited_unit(event, "outbox.revive", move |repos| {
                repos.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                let revived = repos.outbox().revive(app_id, id, now)?;
                if id.is_some() && revived == 0 {
                    let text = "no message of this id was given up".to_owned();
                    return Err(ServiceError::Explained(Refusal::Unknown, text));
                }
                Ok(revived)
            })
            .await?;
        self.outbox_has_messages();
        Ok(revived)
    }
}

fn start_of(day: i64) -> Result<OffsetDateTime, ServiceError> {
    OffsetDateTime::UNIX_EPOCH
        .checked_add(Duration::seconds(day.saturating_mul(86_400)))
        .ok_or_else(|| Refusal::InvalidData.into())
}
