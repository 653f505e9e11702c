//! Rows and queries of the outbox.

use diesel::prelude::*;
use latchkey_domain::{AppId, Channel, KeyedDigest, MessageId, MessageState, OutboxMessage, Sealed};
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

use super::connection::{Unit, in_app, on_backend};
use super::convert::{Column, from_stored_time, name_of, to_stored_time};
use super::schema::outbox;
use crate::{OutboxReader, OutboxRepository, StorageError};

const CHANNELS: [(Channel, &str); 2] = [(Channel::Mail, "mail"), (Channel::Sms, "sms")];
const STATES: [(MessageState, &str); 2] = [(MessageState::Due, "due"), (MessageState::Dead, "dead")];

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = outbox)]
struct MessageRow {
    app_id: Vec<u8>,
    id: Vec<u8>,
    channel: String,
    payload: Vec<u8>,
    attempts: i64,
    due_at: PrimitiveDateTime,
    expires_at: Option<PrimitiveDateTime>,
    state: String,
    last_error: Option<String>,
    created_at: PrimitiveDateTime,
    recipient: Option<Vec<u8>>,
}

impl MessageRow {
    fn into_message(self) -> Result<OutboxMessage, StorageError> {
        let recipient = self.recipient.as_deref();
        let recipient = recipient.map(|bytes| Column("outbox", "recipient").bytes(bytes)).transpose()?;
        Ok(OutboxMessage {
            app_id: AppId::from_bytes(Column("outbox", "app_id").bytes(&self.app_id)?),
            id: MessageId::from_bytes(Column("outbox", "id").bytes(&self.id)?),
            recipient: recipient.map(KeyedDigest::from_bytes),
            channel: Column("outbox", "channel").named(&CHANNELS, &self.channel)?,
            payload: Sealed::from_bytes(self.payload),
            attempts: self.attempts,
            due_at: from_stored_time(self.due_at),
            expires_at: self.expires_at.map(from_stored_time),
            state: Column("outbox", "state").named(&STATES, &self.state)?,
            last_error: self.last_error,
            created_at: from_stored_time(self.created_at),
        })
    }
}

/// That a message of a channel is due. One that was never tried does not wait; one that is due later than any wait lasts
/// was written by a clock that was ahead.
macro_rules! is_due {
    ($channel:ident, $at:ident) => {
        outbox::state
            .eq(name_of(&STATES, &MessageState::Due))
            .and(outbox::channel.eq(name_of(&CHANNELS, &$channel)))
            .and(
                outbox::due_at
                    .le(to_stored_time($at.0))
                    .or(outbox::attempts.eq(0))
                    .or(outbox::due_at.gt(to_stored_time($at.0 + $at.1))),
            )
    };
}

impl Unit<'_> {
    /// At most `most` applications with a message that is due, those after `after` first, then from the beginning. The
    /// index leads from each to the next, however many messages one has.
    fn apps_with_due(
        &mut self,
        channel: Channel,
        at: (OffsetDateTime, Duration),
        after: Option<AppId>,
        most: u32,
    ) -> Result<Vec<Vec<u8>>, StorageError> {
        let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let (mut apps, mut last, mut is_second_round) = (Vec::<Vec<u8>>::new(), after.clone(), false);
        while apps.len() < most {
            let next: Vec<Vec<u8>> = on_backend!(self, conn => outbox::table
                .filter(is_due!(channel, at))
                .filter(outbox::app_id.gt(last.as_slice()))
                .order((outbox::app_id, outbox::due_at))
                .limit(1)
                .select(outbox::app_id)
                .load(conn))?;
            match next.into_iter().next() {
                Some(app) if is_second_round && app > after => break,
                Some(app) => {
                    last.clone_from(&app);
                    apps.push(app);
                }
                None if is_second_round || after.is_empty() => break,
                None => (last, is_second_round) = (Vec::new(), true),
            }
        }
        Ok(apps)
    }
}

impl OutboxReader for Unit<'_> {
    fn list_due(
        &mut self,
        channel: Channel,
        at: (OffsetDateTime, Duration),
        after: Option<AppId>,
        limit: u32,
    ) -> Result<Vec<OutboxMessage>, StorageError> {
        let apps = self.apps_with_due(channel, at, after, limit)?;
        let share = limit.checked_div(u32::try_from(apps.len()).unwrap_or(u32::MAX)).unwrap_or(0);
        let mut found = Vec::new();
        for app_id in &apps {
            let rows: Vec<MessageRow> = on_backend!(self, conn => outbox::table
                .filter(is_due!(channel, at))
                .filter(outbox::app_id.eq(app_id.as_slice()))
                .order(outbox::due_at)
                .limit(i64::from(share))
                .select(MessageRow::as_select())
                .load(conn))?;
            found.extend(rows);
        }
        // A row that was written by hand must not keep the messages of everybody else waiting.
        let read = found.into_iter().filter_map(|row| match row.into_message() {
            Ok(message) => Some(message),
            Err(error) => {
                tracing::error!(%error, "a message is passed over");
                None
            }
        });
        Ok(read.collect())
    }

    fn list(
        &mut self,
        app_id: AppId,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<OutboxMessage>, StorageError> {
        let last = before.map_or([0xff; 16], |id| *id.as_bytes());
        let rows: Vec<MessageRow> = on_backend!(self, conn => in_app!(outbox, app_id)
            .filter(outbox::id.lt(last.as_slice()))
            .order(outbox::id.desc())
            .limit(i64::from(limit))
            .select(MessageRow::as_select())
            .load(conn))?;
        rows.into_iter().map(MessageRow::into_message).collect()
    }
}

impl OutboxRepository for Unit<'_> {
    fn add(&mut self, message: &OutboxMessage) -> Result<(), StorageError> {
        let row = MessageRow {
            app_id: message.app_id.as_bytes().to_vec(),
            id: message.id.as_bytes().to_vec(),
            channel: name_of(&CHANNELS, &message.channel).to_owned(),
            payload: message.payload.as_bytes().to_vec(),
            attempts: message.attempts,
            due_at: to_stored_time(message.due_at),
            expires_at: message.expires_at.map(to_stored_time),
            state: name_of(&STATES, &message.state).to_owned(),
            last_error: message.last_error.clone(),
            created_at: to_stored_time(message.created_at),
            recipient: message.recipient.as_ref().map(|digest| digest.as_bytes().to_vec()),
        };
        on_backend!(self, conn => diesel::insert_into(outbox::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        Ok(())
    }

    fn claim(&mut self, message: &OutboxMessage, lease_end: OffsetDateTime) -> Result<bool, StorageError> {
        let changed = on_backend!(self, conn => diesel::update(in_app!(outbox, message.app_id))
            .filter(outbox::id.eq(message.id.as_bytes().as_slice()))
            .filter(outbox::due_at.eq(to_stored_time(message.due_at)))
            .filter(outbox::state.eq(name_of(&STATES, &MessageState::Due)))
            .set((outbox::due_at.eq(to_stored_time(lease_end)), outbox::attempts.eq(outbox::attempts + 1)))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn remove(
        &mut self,
        app_id: AppId,
        id: MessageId,
        claimed_until: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let removed = on_backend!(self, conn => diesel::delete(in_app!(outbox, app_id))
            .filter(outbox::id.eq(id.as_bytes().as_slice()))
            .filter(outbox::due_at.eq(to_stored_time(claimed_until)))
            .execute(conn))?;
        Ok(removed == 1)
    }

    fn remove_of(&mut self, app_id: AppId, recipient: &KeyedDigest) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::delete(in_app!(outbox, app_id))
            .filter(outbox::recipient.eq(recipient.as_bytes().as_slice()))
            .execute(conn))?;
        Ok(())
    }

    fn revive(
        &mut self,
        app_id: AppId,
        id: Option<MessageId>,
        now: OffsetDateTime,
    ) -> Result<usize, StorageError> {
        let (first, last) = id.map_or(([0; 16], [0xff; 16]), |id| (*id.as_bytes(), *id.as_bytes()));
        Ok(on_backend!(self, conn => diesel::update(in_app!(outbox, app_id))
            .filter(outbox::id.between(first.as_slice(), last.as_slice()))
            .filter(outbox::state.eq(name_of(&STATES, &MessageState::Dead)))
            .set((
                outbox::state.eq(name_of(&STATES, &MessageState::Due)),
                outbox::due_at.eq(to_stored_time(now)),
                outbox::attempts.eq(0),
            ))
            .execute(conn))?)
    }

    fn fail(
        &mut self,
        app_id: AppId,
        id: MessageId,
        claimed_until: OffsetDateTime,
        retry_at: Option<OffsetDateTime>,
        reason: &str,
    ) -> Result<bool, StorageError> {
        let state = if retry_at.is_some() { MessageState::Due } else { MessageState::Dead };
        let changed = on_backend!(self, conn => diesel::update(in_app!(outbox, app_id))
            .filter(outbox::id.eq(id.as_bytes().as_slice()))
            .filter(outbox::due_at.eq(to_stored_time(claimed_until)))
            .set((
                outbox::due_at.eq(to_stored_time(retry_at.unwrap_or(claimed_until))),
                outbox::state.eq(name_of(&STATES, &state)),
                outbox::last_error.eq(reason),
            ))
            .execute(conn))?;
        Ok(changed == 1)
    }
}
