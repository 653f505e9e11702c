//! Keys as they are stored: those of applications and those of the server.
//! Making and using them is `latchkey-crypto`'s business.

use time::{Duration, OffsetDateTime};

use crate::id::{AppId, ServerKeyId};
use crate::secret::Sealed;

/// For how many times the life of a key set in its consumers' hands a new key is published before it signs.
pub const KEY_LEAD: i32 = 4;
/// How long a key stays published beyond the end of the last token that it signed, for consumers whose clocks are slow.
pub const KEY_TAIL: Duration = Duration::hours(1);

/// The state of an application's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It is published and does not sign yet.
    Next,
    /// It signs.
    Current,
    /// No longer signs, and is published until its last tokens expire.
    Retiring,
    /// It is not published any more.
    Retired,
}

/// The RSA key pair of an application.
#[derive(Debug, Clone)]
pub struct AppKey {
    /// The application.
    pub app_id: AppId,
    /// The RFC 7638 thumbprint of the public half.
    pub kid: String,
    /// The public half: PEM (SPKI, RFC 7468 section 13).
    pub public_pem: String,
    /// The private half (PKCS#8), sealed. `None` where it stayed with another server: such a key verifies tokens that
    /// were signed there, and never signs.
    pub private: Option<Sealed>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// From when on it signs, until another does.
    pub signs_from: OffsetDateTime,
    /// Until when it is published; none while no successor is known.
    pub published_until: Option<OffsetDateTime>,
    /// The latest expiry of tokens that it signed while tokens lived longer than now.
    pub tokens_until: Option<OffsetDateTime>,
}

impl AppKey {
    /// Whether the key signs at some later time: it has a private half and its time has not come.
    #[must_use]
    pub fn is_next(&self, now: OffsetDateTime) -> bool {
        self.private.is_some() && self.signs_from > now
    }

    /// Whether the key is published.
    #[must_use]
    pub fn is_published(&self, now: OffsetDateTime) -> bool {
        self.published_until.is_none_or(|until| now < until)
    }
}

/// The key that signs at this moment: of those with a private half whose time has come, the one that came last. Where
/// no time has come, since the clock was set back after the application was made, it is the first one.
#[must_use]
pub fn signing_key(keys: &[AppKey], now: OffsetDateTime) -> Option<&AppKey> {
    let can_sign = || keys.iter().filter(|key| key.private.is_some());
    let present = can_sign().filter(|key| key.signs_from <= now).max_by_key(|key| (key.signs_from, &key.kid));
    present.or_else(|| can_sign().min_by_key(|key| (key.signs_from, &key.kid)))
}

/// Where one of an application's keys stands.
#[must_use]
pub fn key_state(keys: &[AppKey], key: &AppKey, now: OffsetDateTime) -> KeyState {
    if signing_key(keys, now).is_some_and(|current| current.kid == key.kid) {
        KeyState::Current
    } else if key.is_next(now) {
        KeyState::Next
    } else if key.is_published(now) {
        KeyState::Retiring
    } else {
        KeyState::Retired
    }
}

/// The purpose of a key of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerKeyPurpose {
    /// Seals what must be read back.
    Data,
    /// The root of the keyed digests.
    Digest,
    /// Signs the server's own tokens (Ed25519).
    Token,
}

/// A key of the server, wrapped by the master key.
#[derive(Debug, Clone)]
pub struct ServerKey {
    /// Its id.
    pub id: ServerKeyId,
    /// What it is for.
    pub purpose: ServerKeyPurpose,
    /// Counts the keys of one purpose from 1: the newest one that is in use serves what is new.
    pub generation: i64,
    /// The wrapped key.
    pub wrapped: Sealed,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// From when on it serves what is new; the first keys from the start.
    pub used_from: Option<OffsetDateTime>,
    /// When it ends altogether, if that is known.
    pub ends_at: Option<OffsetDateTime>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kid: &str, signs_from: i64, published_until: Option<i64>) -> AppKey {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        AppKey {
            app_id: AppId::NONE,
            kid: kid.to_owned(),
            public_pem: String::new(),
            private: Some(Sealed::from_bytes(Vec::new())),
            created_at: at(0),
            signs_from: at(signs_from),
            published_until: published_until.map(at),
            tokens_until: None,
        }
    }

    #[test]
    fn a_key_is_next_then_current_then_retiring_then_retired() {
        let keys = [key("a", 0, Some(300)), key("b", 100, Some(600)), key("c", 400, None)];
        let states = |seconds| {
            let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            keys.each_ref().map(|key| key_state(&keys, key, now))
        };
        use KeyState::{Current, Next, Retired, Retiring};
        assert_eq!(states(0), [Current, Next, Next]);
        assert_eq!(states(99), [Current, Next, Next]);
        assert_eq!(states(100), [Retiring, Current, Next]);
        assert_eq!(states(300), [Retired, Current, Next]);
        assert_eq!(states(400), [Retired, Retiring, Current]);
        assert_eq!(states(9_999), [Retired, Retired, Current]);
        let before = signing_key(&keys[1..], OffsetDateTime::UNIX_EPOCH);
        assert_eq!(before.unwrap().kid, "b", "a clock that was set back leaves no application without a key");
    }

    #[test]
    fn sec_127_a_key_without_a_private_half_never_signs_and_is_never_next() {
        let public_only = |kid, from| AppKey { private: None, ..key(kid, from, None) };
        let keys = [key("own", 0, None), public_only("later", 100), public_only("other", 400)];
        for seconds in [0, 50, 100, 399, 400, 9_999] {
            let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            assert_eq!(signing_key(&keys, now).map(|key| key.kid.as_str()), Some("own"), "{seconds}");
            for other in &keys[1..] {
                assert!(!other.is_next(now));
                assert_eq!(key_state(&keys, other, now), KeyState::Retiring, "{seconds}");
            }
        }
        assert!(signing_key(&keys[1..], OffsetDateTime::UNIX_EPOCH + Duration::days(1)).is_none());
    }

    #[test]
    fn a_key_whose_time_has_come_is_not_next() {
        let key = key("a", 100, None);
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        assert!(key.is_next(at(99)) && !key.is_next(at(100)));
    }
}
