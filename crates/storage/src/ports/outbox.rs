//! The outbox: messages that were promised.

use latchkey_domain::{AppId, Channel, KeyedDigest, MessageId, OutboxMessage};
use time::{Duration, OffsetDateTime};

use crate::StorageError;

/// Looks messages up.
pub trait OutboxReader {
    /// At most `limit` messages of a channel that are due, shared fairly: the applications that have some take turns,
    /// beginning with the first one whose id is above `after`, and each has as many as the others, its longest due
    /// first. `at` is now, and the longest that a message waits: one that is due later than that is due now, since the
    /// clock was ahead when it was written.
    fn list_due(
        &mut self,
        channel: Channel,
        at: (OffsetDateTime, Duration),
        after: Option<AppId>,
        limit: u32,
    ) -> Result<Vec<OutboxMessage>, StorageError>;

    /// At most `limit` messages of an application, newest first, those made before `before` if it is given.
    fn list(
        &mut self,
        app_id: AppId,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<OutboxMessage>, StorageError>;
}

/// Changes messages. A claim is identified by its `due_at`: a worker that finds another value has lost it.
pub trait OutboxRepository: OutboxReader {
    /// Adds a message.
    fn add(&mut self, message: &OutboxMessage) -> Result<(), StorageError>;

    /// Takes a due message until `lease_end`, and counts the attempt. `false` when another worker has it.
    fn claim(&mut self, message: &OutboxMessage, lease_end: OffsetDateTime) -> Result<bool, StorageError>;

    /// Removes a message that was sent or has become worthless. `false` when the claim was lost.
    fn remove(
        &mut self,
        app_id: AppId,
        id: MessageId,
        claimed_until: OffsetDateTime,
    ) -> Result<bool, StorageError>;

    /// Removes all messages for one person.
    fn remove_of(&mut self, app_id: AppId, recipient: &KeyedDigest) -> Result<(), StorageError>;

    /// Makes a dead message of an application due again, or all of them, as if they had never been tried. Returns their
    /// number.
    fn revive(
        &mut self,
        app_id: AppId,
        id: Option<MessageId>,
        now: OffsetDateTime,
    ) -> Result<usize, StorageError>;

    /// Records a failure: the message is due again at `retry_at`, or dead without one. Returns `false` if the claim was
    /// lost.
    fn fail(
        &mut self,
        app_id: AppId,
        id: MessageId,
        claimed_until: OffsetDateTime,
        retry_at: Option<OffsetDateTime>,
        reason: &str,
    ) -> Result<bool, StorageError>;
}
