//! The server's keys: the few that the master key wraps, in their generations.

use std::cmp::Ordering;

use latchkey_domain::{AppId, Entropy, Sealed, ServerKey, ServerKeyId, ServerKeyPurpose};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::digest::DigestRoot;
use crate::error::CryptoError;
use crate::master_key::{MasterKey, fingerprint};
use crate::seal::{SealContext, SealingKey, key_id_of};
use crate::server_token::TokenKeys;

/// Why the server's keys do not open.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The keys were wrapped by another master key.
    #[error("the data was sealed with master key {stored}, but this is {given}")]
    WrongMasterKey {
        /// Fingerprint of the key that wrapped them.
        stored: String,
        /// Fingerprint of the key that was given.
        given: String,
    },
    /// The database lacks a key.
    #[error("the database holds no server key for {0:?}")]
    Missing(ServerKeyPurpose),
    /// A key does not open, or cannot be made.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// The server's keys, opened.
pub struct KeyRing {
    /// The one that seals first.
    data: Vec<SealingKey>,
    digest: DigestRoot,
    lasting: DigestRoot,
    tokens: TokenKeys,
    state: Vec<(ServerKeyId, Use)>,
    opened: Vec<(ServerKeyId, Secret)>,
    /// The generation that serves, of each purpose.
    serving: [Option<i64>; 3],
}

type Secret = Zeroizing<[u8; 32]>;

/// What a key is there for at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It serves what is new.
    Serves,
    /// It will: others may use it already.
    Next,
    /// It did, and is still there for what it served.
    Old,
    /// It is there for nothing.
    Ended,
}

const PURPOSES: [ServerKeyPurpose; 3] =
    [ServerKeyPurpose::Data, ServerKeyPurpose::Digest, ServerKeyPurpose::Token];

impl KeyRing {
    /// Makes the first keys of a server, wrapped by its master key.
    ///
    /// # Errors
    /// [`CryptoError`] when the random source or the library fails.
    pub fn create(
        master: &MasterKey,
        now: OffsetDateTime,
        entropy: &dyn Entropy,
    ) -> Result<Vec<ServerKey>, CryptoError> {
        let wrapping = master.wrapping_key()?;
        PURPOSES
            .into_iter()
            .map(|purpose| {
                let id = ServerKeyId::generate(now, entropy)?;
                let key = Zeroizing::new(entropy.bytes::<32>()?);
                let wrapped = wrapping.seal(&context(purpose, &id), key.as_ref(), entropy)?;
                let (generation, created_at) = (1, now);
                Ok(ServerKey { id, purpose, generation, wrapped, created_at, used_from: None, ends_at: None })
            })
            .collect()
    }

    /// Makes the next key of each purpose. They serve what is new from `used_from` on; until then, every instance of the
    /// server can learn of them.
    ///
    /// # Errors
    /// [`KeyRingError::WrongMasterKey`] when another master key wrapped the present ones.
    pub fn next(
        master: &MasterKey,
        keys: &[ServerKey],
        (now, used_from): (OffsetDateTime, OffsetDateTime),
        entropy: &dyn Entropy,
    ) -> Result<Vec<ServerKey>, KeyRingError> {
        let wrapping = master.wrapping_key()?;
        for key in keys {
            unwrap(&wrapping, key)?;
        }
        let mut next = Self::create(master, now, entropy)?;
        for new in &mut next {
            let generations = keys.iter().filter(|key| key.purpose == new.purpose).map(|key| key.generation);
            new.generation = generations.max().ok_or(KeyRingError::Missing(new.purpose))? + 1;
            new.used_from = Some(used_from);
        }
        Ok(next)
    }

    /// Wraps the server's keys with another master key. What they sealed, digested and signed stays good.
    ///
    /// # Errors
    /// [`KeyRingError::WrongMasterKey`] when another master key than `old` wrapped them.
    pub fn rewrap(
        old: &MasterKey,
        new: &MasterKey,
        keys: &[ServerKey],
        entropy: &dyn Entropy,
    ) -> Result<Vec<ServerKey>, KeyRingError> {
        let (old, new) = (old.wrapping_key()?, new.wrapping_key()?);
        keys.iter()
            .map(|key| {
                let opened = unwrap(&old, key)?;
                let wrapped = new.seal(&context(key.purpose, &key.id), opened.as_ref(), entropy)?;
                Ok(ServerKey { wrapped, ..key.clone() })
            })
            .collect()
    }

    /// Opens the server's keys as they are used at a moment.
    ///
    /// # Errors
    /// [`KeyRingError::WrongMasterKey`] when another master key wrapped them.
    pub fn open(master: &MasterKey, keys: &[ServerKey], now: OffsetDateTime) -> Result<Self, KeyRingError> {
        let wrapping = master.wrapping_key()?;
        let opened = keys.iter().map(|key| Ok((key.id, unwrap(&wrapping, key)?)));
        Self::of_opened(keys, opened.collect::<Result<_, KeyRingError>>()?, now)
    }

    /// The ring of these keys at another moment, without the master key. None where one of them was never opened.
    ///
    /// # Errors
    /// [`KeyRingError::Missing`].
    pub fn at(&self, keys: &[ServerKey], now: OffsetDateTime) -> Result<Option<Self>, KeyRingError> {
        let known = |key: &ServerKey| self.opened.iter().find(|(id, _)| *id == key.id).cloned();
        let opened: Option<Vec<_>> = keys.iter().map(known).collect();
        opened.map(|opened| Self::of_opened(keys, opened, now)).transpose()
    }

    /// `opened` are the same keys in the same order.
    fn of_opened(
        keys: &[ServerKey],
        opened: Vec<(ServerKeyId, Secret)>,
        now: OffsetDateTime,
    ) -> Result<Self, KeyRingError> {
        let state = state_of(keys, now);
        let all =
            || keys.iter().zip(&opened).zip(&state).map(|((key, (_, secret)), (_, is))| (key, secret, *is));
        let of = |purpose, wanted| -> Vec<Secret> {
            let found = all().filter(|(key, _, is)| key.purpose == purpose && *is == wanted);
            found.map(|(_, secret, _)| secret.clone()).collect()
        };
        let serves = |purpose| of(purpose, Use::Serves).pop().ok_or(KeyRingError::Missing(purpose));
        let with = |purpose| all().filter(move |(key, _, _)| key.purpose == purpose);
        let data = || with(ServerKeyPurpose::Data);
        let seals = data().position(|(_, _, is)| is == Use::Serves);
        let mut data: Vec<_> =
            data().map(|(key, secret, _)| SealingKey::new(*key.id.as_bytes(), secret.clone())).collect();
        data.swap(0, seals.ok_or(KeyRingError::Missing(ServerKeyPurpose::Data))?);
        let serving = PURPOSES.map(|purpose| {
            with(purpose).find(|(_, _, is)| *is == Use::Serves).map(|(key, _, _)| key.generation)
        });
        let digest = serves(ServerKeyPurpose::Digest)?;
        let oldest = with(ServerKeyPurpose::Digest).min_by_key(|(key, _, _)| key.generation);
        let token = ServerKeyPurpose::Token;
        Ok(Self {
            data,
            lasting: DigestRoot::new(oldest.map_or(&digest, |(_, secret, _)| secret)),
            tokens: TokenKeys::from_seeds(&serves(token)?, &of(token, Use::Next), &of(token, Use::Old))?,
            digest: DigestRoot::new(&digest),
            state,
            opened,
            serving,
        })
    }

    /// Whether this is what [`KeyRing::open`] would make of these keys at this moment.
    #[must_use]
    pub fn is_of(&self, keys: &[ServerKey], now: OffsetDateTime) -> bool {
        self.state == state_of(keys, now)
    }

    /// Whether an older key serves here than in another ring.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        self.serving.iter().zip(&other.serving).any(|(own, other)| own < other)
    }

    /// Opens a value that an older key sealed, and seals it with the present key. None if the present key sealed it.
    ///
    /// # Errors
    /// As [`KeyRing::open_sealed`] and [`KeyRing::seal`].
    pub fn reseal(
        &self,
        context: &SealContext<'_>,
        sealed: &Sealed,
        entropy: &dyn Entropy,
    ) -> Result<Option<Sealed>, CryptoError> {
        if key_id_of(sealed).as_ref() == self.data.first().map(SealingKey::id) {
            return Ok(None);
        }
        let opened = self.open_sealed(context, sealed)?;
        self.seal(context, &opened, entropy).map(Some)
    }

    /// Seals a value for the row that will hold it.
    ///
    /// # Errors
    /// [`CryptoError`] when the random source or the library fails.
    pub fn seal(
        &self,
        context: &SealContext<'_>,
        plaintext: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Sealed, CryptoError> {
        self.data.first().ok_or(CryptoError::Unsealable)?.seal(context, plaintext, entropy)
    }

    /// Opens a value that was sealed for this row.
    ///
    /// # Errors
    /// [`CryptoError::Unsealable`] when it was changed, moved, or sealed with a key that is not here.
    pub fn open_sealed(
        &self,
        context: &SealContext<'_>,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let id = key_id_of(sealed).ok_or(CryptoError::Unsealable)?;
        self.data.iter().find(|key| *key.id() == id).ok_or(CryptoError::Unsealable)?.open(context, sealed)
    }

    /// The root of the keyed digests, of what lives for days at most and of what few bits would give away.
    #[must_use]
    pub fn digests(&self) -> &DigestRoot {
        &self.digest
    }

    /// The root of digests that nobody can turn back even with this root, and that must stay what they are: it is never
    /// replaced.
    #[must_use]
    pub fn lasting_digests(&self) -> &DigestRoot {
        &self.lasting
    }

    /// The keys of the server's own tokens.
    #[must_use]
    pub fn tokens(&self) -> &TokenKeys {
        &self.tokens
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyRing")
    }
}

/// What each key that has not ended is there for: of a purpose, the newest serves whose time has come, or the oldest where
/// no time has.
fn state_of(keys: &[ServerKey], now: OffsetDateTime) -> Vec<(ServerKeyId, Use)> {
    let has_come = |key: &&ServerKey| key.used_from.is_none_or(|from| from <= now);
    let serving = |purpose| {
        let of = keys.iter().filter(move |key| key.purpose == purpose);
        let come = of.clone().filter(has_come).map(|key| key.generation).max();
        come.or_else(|| of.map(|key| key.generation).min())
    };
    let uses = |key: &ServerKey| match Some(key.generation).cmp(&serving(key.purpose)) {
        Ordering::Less if key.ends_at.is_some_and(|end| end <= now) => Use::Ended,
        Ordering::Less => Use::Old,
        Ordering::Equal => Use::Serves,
        Ordering::Greater => Use::Next,
    };
    keys.iter().map(|key| (key.id, uses(key))).collect()
}

fn context(purpose: ServerKeyPurpose, id: &ServerKeyId) -> SealContext<'_> {
    let purpose = match purpose {
        ServerKeyPurpose::Data => "server-key/data",
        ServerKeyPurpose::Digest => "server-key/digest",
        ServerKeyPurpose::Token => "server-key/token",
    };
    SealContext { purpose, app_id: AppId::NONE, row: id.as_bytes() }
}

fn unwrap(wrapping: &SealingKey, key: &ServerKey) -> Result<Zeroizing<[u8; 32]>, KeyRingError> {
    let stored = key_id_of(&key.wrapped).ok_or(CryptoError::Unsealable)?;
    if stored != *wrapping.id() {
        return Err(KeyRingError::WrongMasterKey {
            stored: fingerprint(&stored),
            given: fingerprint(wrapping.id()),
        });
    }
    let opened = wrapping.open(&context(key.purpose, &key.id), &key.wrapped)?;
    let bytes =
        <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| CryptoError::Key("a server key is 32 bytes"))?;
    Ok(Zeroizing::new(bytes))
}

#[cfg(test)]
mod tests {
    use latchkey_domain::SeededEntropy;

    use super::*;

    fn master(seed: u64) -> MasterKey {
        MasterKey::generate(&SeededEntropy::new(seed)).unwrap()
    }

    fn keys(master: &MasterKey) -> Vec<ServerKey> {
        KeyRing::create(master, OffsetDateTime::UNIX_EPOCH, &SeededEntropy::new(2)).unwrap()
    }

    #[test]
    fn sec_098_another_master_key_is_named_not_tried() {
        let keys = keys(&master(1));
        assert!(KeyRing::open(&master(1), &keys, OffsetDateTime::UNIX_EPOCH).is_ok());
        let error = KeyRing::open(&master(3), &keys, OffsetDateTime::UNIX_EPOCH).unwrap_err();
        let KeyRingError::WrongMasterKey { stored, given } = error else { panic!("{error}") };
        assert_eq!((stored, given), (master(1).fingerprint(), master(3).fingerprint()));
    }

    #[test]
    fn keys_that_were_wrapped_anew_open_with_the_new_key_alone() {
        let (old, new) = (master(1), master(5));
        let before = keys(&old);
        let after = KeyRing::rewrap(&old, &new, &before, &SeededEntropy::new(6)).unwrap();
        assert!(KeyRing::open(&old, &after, OffsetDateTime::UNIX_EPOCH).is_err());
        let sealed = KeyRing::open(&old, &before, OffsetDateTime::UNIX_EPOCH)
            .unwrap()
            .seal(
                &SealContext { purpose: "x", app_id: AppId::NONE, row: b"r" },
                b"kept",
                &SeededEntropy::new(7),
            )
            .unwrap();
        let ring = KeyRing::open(&new, &after, OffsetDateTime::UNIX_EPOCH).unwrap();
        let context = SealContext { purpose: "x", app_id: AppId::NONE, row: b"r" };
        assert_eq!(ring.open_sealed(&context, &sealed).unwrap().as_slice(), b"kept");
        assert!(KeyRing::rewrap(&old, &new, &after, &SeededEntropy::new(8)).is_err());
    }

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    /// The first keys of a server, and the next ones, which serve from second 60 on.
    fn two_generations() -> Vec<ServerKey> {
        let mut keys = keys(&master(1));
        let next = KeyRing::next(&master(1), &keys, (at(30), at(60)), &SeededEntropy::new(9)).unwrap();
        assert!(next.iter().all(|key| key.generation == 2 && key.used_from == Some(at(60))));
        keys.extend(next);
        keys
    }

    fn ring(keys: &[ServerKey], seconds: i64) -> KeyRing {
        KeyRing::open(&master(1), keys, at(seconds)).unwrap()
    }

    #[test]
    fn sec_135_the_next_keys_serve_when_their_time_has_come() {
        let keys = two_generations();
        let (before, after) = (ring(&keys, 59), ring(&keys, 60));
        let of = SealContext { purpose: "x", app_id: AppId::NONE, row: b"r" };
        let entropy = SeededEntropy::new(7);
        let old = before.seal(&of, b"kept", &entropy).unwrap();
        assert!(before.reseal(&of, &old, &entropy).unwrap().is_none());
        // What another instance has sealed with the next key already opens, too.
        let new = after.reseal(&of, &old, &entropy).unwrap().unwrap();
        assert!(after.reseal(&of, &new, &entropy).unwrap().is_none());
        for sealed in [&old, &new] {
            assert_eq!(before.open_sealed(&of, sealed).unwrap().as_slice(), b"kept");
            assert_eq!(after.open_sealed(&of, sealed).unwrap().as_slice(), b"kept");
        }
        let moved = SealContext { row: b"s", ..of };
        assert!(after.reseal(&moved, &old, &entropy).is_err());
        // Once the old data key is gone, only resealed values can be opened.
        let is_old = |key: &ServerKey| key.purpose == ServerKeyPurpose::Data && key.generation == 1;
        let left: Vec<_> = keys.iter().filter(|key| !is_old(key)).cloned().collect();
        assert!(ring(&left, 60).open_sealed(&of, &old).is_err());
        assert!(ring(&left, 60).open_sealed(&of, &new).is_ok());

        let digest = |ring: &KeyRing| ring.digests().digest("x", &[b"y"]).unwrap();
        let lasting = |ring: &KeyRing| ring.lasting_digests().digest("x", &[b"y"]).unwrap();
        assert!(!crate::digests_match(&digest(&before), &digest(&after)));
        assert!(crate::digests_match(&lasting(&before), &lasting(&after)));
        assert!(crate::digests_match(&digest(&before), &lasting(&before)));
    }

    #[test]
    fn sec_135_what_an_old_token_key_signed_ends_but_for_app_tokens() {
        let mut keys = two_generations();
        let (before, after) = (ring(&keys, 59), ring(&keys, 60));
        let app = crate::AppToken { app_id: AppId::NONE, generation: 1, issued_at: at(0) };
        let access = crate::AccessToken {
            app_id: AppId::NONE,
            user_id: latchkey_domain::UserId::from_bytes([2; 16]),
            handle: "ana@example.com".to_owned(),
            epoch: 1,
            id: latchkey_domain::TokenId::from_bytes([3; 16]),
            issued_at: at(0),
            expires_at: at(9_000),
        };
        let of = |ring: &KeyRing| (ring.tokens().sign(&app).unwrap(), ring.tokens().sign(&access).unwrap());
        let (old, new) = (of(&before), of(&after));
        let is_app =
            |ring: &KeyRing, text: &str| ring.tokens().verify::<crate::AppToken>(text, at(60)).is_ok();
        let is_access =
            |ring: &KeyRing, text: &str| ring.tokens().verify::<crate::AccessToken>(text, at(60)).is_ok();
        assert!(is_app(&after, &old.0) && !is_access(&after, &old.1));
        assert!(is_app(&after, &new.0) && is_access(&after, &new.1));
        assert!(is_app(&before, &new.0) && is_access(&before, &new.1), "another instance is ahead");
        assert!(is_app(&before, &old.0) && is_access(&before, &old.1));
        // App tokens end as well where the operator says so.
        for key in keys.iter_mut().filter(|key| key.generation == 1) {
            key.ends_at = Some(at(60));
        }
        assert!(is_app(&ring(&keys, 59), &old.0) && !is_app(&ring(&keys, 60), &old.0));
        assert!(is_app(&ring(&keys, 60), &new.0));
    }

    #[test]
    fn sec_135_a_ring_says_whether_it_is_still_the_one() {
        let (first, both) = (keys(&master(1)), two_generations());
        assert!(ring(&first, 0).is_of(&first, at(99)));
        assert!(!ring(&first, 0).is_of(&both, at(0)));
        assert!(ring(&both, 0).is_of(&both, at(59)) && !ring(&both, 0).is_of(&both, at(60)));
        assert!(
            ring(&both, 0).is_older_than(&ring(&both, 60))
                && !ring(&both, 60).is_older_than(&ring(&both, 60))
        );
        assert!(!ring(&both, 60).is_older_than(&ring(&both, 0)));
        // What was opened once needs no master key for another moment.
        let later = ring(&both, 0).at(&both, at(60)).unwrap().unwrap();
        assert!(later.is_of(&both, at(60)));
        let digest = |ring: &KeyRing| ring.digests().digest("x", &[b"y"]).unwrap();
        assert!(crate::digests_match(&digest(&later), &digest(&ring(&both, 60))));
        assert!(ring(&both, 0).at(&both[3..], at(60)).unwrap().is_some());
        assert!(ring(&first, 0).at(&both, at(60)).unwrap().is_none());
        // A clock before everything still has keys that serve, and another master key makes none.
        assert!(ring(&both[3..], -5).is_of(&both[3..], at(0)));
        assert!(matches!(
            KeyRing::next(&master(3), &first, (at(0), at(60)), &SeededEntropy::new(9)),
            Err(KeyRingError::WrongMasterKey { .. })
        ));
    }

    #[test]
    fn a_wrapped_key_serves_its_own_purpose_only() {
        let mut keys = keys(&master(1));
        keys[0].purpose = ServerKeyPurpose::Digest;
        keys[1].purpose = ServerKeyPurpose::Data;
        assert!(matches!(
            KeyRing::open(&master(1), &keys, OffsetDateTime::UNIX_EPOCH),
            Err(KeyRingError::Crypto(CryptoError::Unsealable))
        ));
        keys.remove(2);
        assert!(KeyRing::open(&master(1), &keys, OffsetDateTime::UNIX_EPOCH).is_err());
    }

    #[test]
    fn sec_002_a_sealed_password_moved_to_another_row_does_not_open() {
        let ring = KeyRing::open(&master(1), &keys(&master(1)), OffsetDateTime::UNIX_EPOCH).unwrap();
        let of =
            |row: &'static [u8]| SealContext { purpose: "password", app_id: AppId::from_bytes([1; 16]), row };
        let sealed = ring.seal(&of(b"a"), b"$argon2id$", &SeededEntropy::new(4)).unwrap();
        assert_eq!(ring.open_sealed(&of(b"a"), &sealed).unwrap().as_slice(), b"$argon2id$");
        assert!(ring.open_sealed(&of(b"b"), &sealed).is_err());
    }
}
