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
    #[error("the database lacks its newest server key for {0:?}")]
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
    newest: i64,
}

type Secret = Zeroizing<[u8; 32]>;

/// The use of a key at a moment.
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
        Self::make(&master.wrapping_key()?, 1, None, now, entropy)
    }

    /// One key of each purpose.
    fn make(
        wrapping: &SealingKey,
        generation: i64,
        used_from: Option<OffsetDateTime>,
        created_at: OffsetDateTime,
        entropy: &dyn Entropy,
    ) -> Result<Vec<ServerKey>, CryptoError> {
        let make = |purpose| {
            let id = ServerKeyId::generate(created_at, entropy)?;
            let wrapped = Sealed::from_bytes(Vec::new());
            let key = ServerKey { id, purpose, generation, wrapped, created_at, used_from, ends_at: None };
            let secret = Zeroizing::new(entropy.bytes::<32>()?);
            wrap(wrapping, key, &secret, entropy)
        };
        PURPOSES.into_iter().map(make).collect()
    }

    /// Makes the next key of each purpose. They serve what is new from `used_from` on; until then, every instance of
    /// the server can learn of them.
    ///
    /// # Errors
    /// [`KeyRingError::WrongMasterKey`] when another master key wrapped the present ones.
    pub fn next(
        master: &MasterKey,
        keys: &[ServerKey],
        now: OffsetDateTime,
        used_from: OffsetDateTime,
        entropy: &dyn Entropy,
    ) -> Result<Vec<ServerKey>, KeyRingError> {
        let wrapping = master.wrapping_key()?;
        for key in keys {
            unwrap(&wrapping, key)?;
        }
        Ok(Self::make(&wrapping, newest(keys)? + 1, Some(used_from), now, entropy)?)
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
                Ok(wrap(&new, key.clone(), &opened, entropy)?)
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
        let newest = newest(keys)?;
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
            newest,
        })
    }

    /// Whether this is what [`KeyRing::open`] would make of these keys at this moment.
    #[must_use]
    pub fn is_of(&self, keys: &[ServerKey], now: OffsetDateTime) -> bool {
        self.state == state_of(keys, now)
    }

    /// Whether an older key serves here than in another ring, or newer ones of that are not here.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        self.newest < other.newest || self.serving.iter().zip(&other.serving).any(|(own, other)| own < other)
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

    /// The root of keyed digests of values that last for days at most, or that have few bits.
    #[must_use]
    pub fn digests(&self) -> &DigestRoot {
        &self.digest
    }

    /// The root of permanent digests; it is never replaced. Their values cannot be guessed even with this root, or are
    /// stored in the database beside them (handles, addresses).
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

/// What each key that has not ended is there for: of a purpose, the newest serves whose time has come, or the oldest
/// where no time has.
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

/// The newest generation. The keys of a generation are made together, so it is that of each purpose: if one was removed
/// by hand, the one before would serve again.
fn newest(keys: &[ServerKey]) -> Result<i64, KeyRingError> {
    let of = |purpose| keys.iter().filter(move |key| key.purpose == purpose).map(|key| key.generation).max();
    let newest = keys.iter().map(|key| key.generation).max();
    match (PURPOSES.into_iter().find(|purpose| of(*purpose) != newest), newest) {
        (None, Some(newest)) => Ok(newest),
        (behind, _) => Err(KeyRingError::Missing(behind.unwrap_or(ServerKeyPurpose::Data))),
    }
}

/// The context that a wrapped key is bound to: a key that was moved in the database cannot be opened.
fn bound_to(key: &ServerKey) -> (&'static str, Vec<u8>) {
    let purpose = match key.purpose {
        ServerKeyPurpose::Data => "server-key/data",
        ServerKeyPurpose::Digest => "server-key/digest",
        ServerKeyPurpose::Token => "server-key/token",
    };
    let mut row = key.id.as_bytes().to_vec();
    // A server's first keys are bound to neither, and to no other values of the two.
    if (key.generation, key.used_from) != (1, None) {
        row.extend(key.generation.to_be_bytes());
        // Seconds: databases keep fewer digits than a clock gives.
        row.extend(key.used_from.map_or(i64::MIN, OffsetDateTime::unix_timestamp).to_be_bytes());
    }
    (purpose, row)
}

fn wrap(
    wrapping: &SealingKey,
    key: ServerKey,
    secret: &[u8; 32],
    entropy: &dyn Entropy,
) -> Result<ServerKey, CryptoError> {
    let (purpose, row) = bound_to(&key);
    let context = SealContext { purpose, app_id: AppId::NONE, row: &row };
    Ok(ServerKey { wrapped: wrapping.seal(&context, secret, entropy)?, ..key })
}

fn unwrap(wrapping: &SealingKey, key: &ServerKey) -> Result<Zeroizing<[u8; 32]>, KeyRingError> {
    let stored = key_id_of(&key.wrapped).ok_or(CryptoError::Unsealable)?;
    if stored != *wrapping.id() {
        return Err(KeyRingError::WrongMasterKey {
            stored: fingerprint(&stored),
            given: fingerprint(wrapping.id()),
        });
    }
    let (purpose, row) = bound_to(key);
    let context = SealContext { purpose, app_id: AppId::NONE, row: &row };
    let opened = wrapping.open(&context, &key.wrapped)?;
    let bytes =
        <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| CryptoError::Key("a server key is 32 bytes"))?;
    Ok(Zeroizing::new(bytes))
}

#[cfg(test)]
mod tests;
