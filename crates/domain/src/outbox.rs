//! The outbox: messages that were promised in a transaction and are sent after it.

use time::{Duration, OffsetDateTime};

use crate::id::{AppId, MessageId};
use crate::secret::{KeyedDigest, Sealed};

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// E-mail.
    Mail,
    /// A text message to a phone.
    Sms,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageState {
    /// It waits for its time, or a worker has it until then.
    Due,
    /// The last attempt failed; it is kept for the operator.
    Dead,
}

/// A message to be sent.
#[derive(Debug, Clone)]
pub struct OutboxMessage {
    /// The application whose message it is.
    pub app_id: AppId,
    /// Its id, which is also its `Message-ID`: a message that is sent twice can be recognised.
    pub id: MessageId,
    /// How it travels.
    pub channel: Channel,
    /// Whose it is: a digest of their handle, so that it is removed with the user. None if it was written before there
    /// were any.
    pub recipient: Option<KeyedDigest>,
    /// Recipient and content, sealed, since they may contain a code.
    pub payload: Sealed,
    /// How often it was claimed.
    pub attempts: i64,
    /// Lease, backoff and schedule in one: no worker claims the message before this time.
    pub due_at: OffsetDateTime,
    /// When it expires; it is not sent from then on.
    pub expires_at: Option<OffsetDateTime>,
    /// Where it stands.
    pub state: MessageState,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was written.
    pub created_at: OffsetDateTime,
}

/// How messages are tried again.
#[derive(Debug, Clone, Copy)]
pub struct OutboxRules {
    /// How long a claimed message belongs to its worker; longer than any send can take.
    pub lease: Duration,
    /// The longest that one send may take.
    pub send_timeout: Duration,
    /// How long a message that does not expire is tried. Others are tried until they expire.
    pub retry_for: Duration,
    /// The first wait after a failure; each further one is twice as long, a quarter of an hour at most.
    pub first_wait: Duration,
}

impl Default for OutboxRules {
    fn default() -> Self {
        Self {
            lease: Duration::seconds(60),
            send_timeout: Duration::seconds(20),
            retry_for: Duration::days(3),
            first_wait: Duration::seconds(5),
        }
    }
}

/// The longest that a message waits before it is tried again.
const LONGEST_WAIT: Duration = Duration::minutes(15);

impl OutboxRules {
    /// The longest that a message can have to wait, for its next try or for a worker that died.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        LONGEST_WAIT.max(self.lease)
    }

    /// When a message is given up that could not be sent until then.
    #[must_use]
    pub fn gives_up_at(&self, message: &OutboxMessage) -> OffsetDateTime {
        message.expires_at.unwrap_or(message.created_at + self.retry_for)
    }

    /// How long to wait after this many failed attempts; `jitter` of 0 to 1000 spreads over half of it.
    #[must_use]
    pub fn wait_after(&self, attempts: i64, jitter: u32) -> Duration {
        let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or(0);
        let whole = (self.first_wait * 2_i32.saturating_pow(doublings)).min(LONGEST_WAIT);
        whole / 2 + whole / 2 * f64::from(jitter.min(1_000)) / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_given_up_when_it_expires_or_after_three_days() {
        let at = OffsetDateTime::UNIX_EPOCH + Duration::days(10);
        let rules = OutboxRules::default();
        let message = OutboxMessage {
            app_id: AppId::from_bytes([1; 16]),
            id: MessageId::from_bytes([2; 16]),
            channel: Channel::Mail,
            recipient: None,
            payload: Sealed::from_bytes(vec![3]),
            attempts: 0,
            due_at: at,
            expires_at: None,
            state: MessageState::Due,
            last_error: None,
            created_at: at,
        };
        assert_eq!(rules.gives_up_at(&message), at + Duration::days(3));
        let code = OutboxMessage { expires_at: Some(at + Duration::hours(1)), ..message };
        assert_eq!(rules.gives_up_at(&code), at + Duration::hours(1));
    }

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour_with_jitter_over_half() {
        let rules = OutboxRules::default();
        assert_eq!(rules.wait_after(1, 1_000), Duration::seconds(5));
        assert_eq!(rules.wait_after(1, 0), Duration::milliseconds(2_500));
        assert_eq!(rules.wait_after(3, 1_000), Duration::seconds(20));
        assert_eq!(rules.wait_after(99, 1_000), Duration::minutes(15));
        assert_eq!(rules.longest_wait(), Duration::minutes(15));
        let patient = OutboxRules { lease: Duration::hours(2), ..rules };
        assert_eq!(patient.longest_wait(), Duration::hours(2), "a worker may have died");
    }
}
