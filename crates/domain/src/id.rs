//! Identifiers: one type per kind of row, 16 bytes each, 32 hexadecimal digits on the wire.

use time::OffsetDateTime;
use uuid::{Builder, Uuid};

use crate::entropy::{Entropy, EntropyError};

/// The text is not 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 32 hexadecimal digits")]
pub struct InvalidId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A new id (UUIDv7, RFC 9562 section 5.7): ordered by time, 74 random bits.
            ///
            /// # Errors
            /// [`EntropyError`] when the random source fails.
            pub fn generate(now: OffsetDateTime, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
                Ok(Self(uuid_v7(now, entropy)?))
            }

            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes, as they are stored.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", Uuid::from_bytes(self.0).simple())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self)
            }
        }
    )+};
}

ids! {
    /// A developer: who owns applications.
    DeveloperId,
    /// An application.
    AppId,
    /// A user of an application.
    UserId,
    /// A sign-up attempt.
    SignupId,
    /// An invitation.
    InviteId,
    /// An entry of the audit log.
    AuditId,
    /// A one-time code.
    CodeId,
    /// A message waiting to be sent.
    MessageId,
    /// A key of the server.
    ServerKeyId,
    /// One token (claim `jti`, RFC 7519 section 4.1.7).
    TokenId,
}

/// Who owns an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Nobody but the administrators: it was made by the REST API or the command line.
    Server,
    /// A developer.
    Developer(DeveloperId),
}

impl Owner {
    /// The owner with these bytes: all zeros for the server.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        if bytes == [0; 16] { Self::Server } else { Self::Developer(DeveloperId::from_bytes(bytes)) }
    }

    /// The bytes, as they are stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        match self {
            Self::Server => &[0; 16],
            Self::Developer(id) => id.as_bytes(),
        }
    }
}

macro_rules! ids_of_seeds {
    ($($name:ident),+) => {$(
        impl $name {
            /// The id of what was made at this time, drawn from a seed instead of by chance.
            #[must_use]
            pub fn at(time: OffsetDateTime, seed: [u8; 16]) -> Self {
                let milliseconds = u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
                let mut random = [0; 10];
                random.iter_mut().zip(seed).for_each(|(to, from)| *to = from);
                Self(Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid().into_bytes())
            }
        }
    )+};
}

ids_of_seeds!(AppId, UserId);

impl AuditId {
    /// An id that is not above any that was made at this time or later.
    #[must_use]
    pub fn first_at(time: OffsetDateTime) -> Self {
        let milliseconds = u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(milliseconds.to_be_bytes().into_iter().skip(2)) {
            *to = from;
        }
        Self(bytes)
    }
}

impl UserId {
    /// No user: the sender of operators' invitations.
    pub const OPERATOR: Self = Self([0; 16]);
}

impl AppId {
    /// What belongs to no application, or to all.
    pub const NONE: Self = Self([0; 16]);
}

fn uuid_v7(now: OffsetDateTime, entropy: &dyn Entropy) -> Result<[u8; 16], EntropyError> {
    let milliseconds = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    Ok(Builder::from_unix_timestamp_millis(milliseconds, &entropy.bytes()?).into_uuid().into_bytes())
}

fn parse(text: &str) -> Result<[u8; 16], InvalidId> {
    if text.len() != 32 {
        return Err(InvalidId);
    }
    Uuid::try_parse(text).map(Uuid::into_bytes).map_err(|_| InvalidId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, ManualClock, SeededEntropy};

    #[test]
    fn ids_are_32_digits_ordered_by_time() {
        let (clock, entropy) = (ManualClock::at(1_700_000_000), SeededEntropy::new(1));
        let first = UserId::generate(clock.now(), &entropy).unwrap();
        clock.advance(time::Duration::milliseconds(1));
        let second = UserId::generate(clock.now(), &entropy).unwrap();
        assert!(first < second);
        let text = first.to_string();
        assert_eq!(text.len(), 32);
        assert_eq!(text.parse::<UserId>(), Ok(first));
        for wrong in ["", "12", &text[1..], &format!("{text}0"), "0190163d-8694-739b-aea5-966c26f8ad91"] {
            assert_eq!(wrong.parse::<UserId>(), Err(InvalidId), "{wrong}");
        }
    }

    #[test]
    fn ids_begin_with_the_milliseconds_of_their_time() {
        let time = OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_123_999_999).unwrap();
        let milliseconds = &1_700_000_000_123_u64.to_be_bytes()[2..];
        let id = AuditId::generate(time, &SeededEntropy::new(1)).unwrap();
        assert_eq!(&id.as_bytes()[..6], milliseconds);
        let first = AuditId::first_at(time);
        assert_eq!((&first.as_bytes()[..6], &first.as_bytes()[6..]), (milliseconds, &[0; 10][..]));
        assert!(first <= id);
    }
}
