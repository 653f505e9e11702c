//! The server's keys: the master key, which is kept outside the database, and the few keys that it wraps.
//! Where the master key's file lies is the server's business.

use latchkey_domain::{AppId, Entropy, Sealed, ServerKey, ServerKeyId, ServerKeyPurpose};
use ring::hkdf;
use secrecy::{ExposeSecret, SecretSlice};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::digest::DigestRoot;
use crate::error::CryptoError;
use crate::seal::{SealContext, SealingKey, key_id_of};
use crate::server_token::TokenKeys;

/// The 256-bit key that wraps all others. It is never in the database.
pub struct MasterKey(SecretSlice<u8>);

impl MasterKey {
    /// Draws a new one.
    ///
    /// # Errors
    /// [`CryptoError::Entropy`].
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, CryptoError> {
        Ok(Self(SecretSlice::from(entropy.bytes::<32>()?.to_vec())))
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`CryptoError::Key`].
    pub fn from_hex(text: &str) -> Result<Self, CryptoError> {
        let malformed = CryptoError::Key("a master key is 64 hexadecimal digits");
        if text.len() != 64 || !text.is_ascii() {
            return Err(malformed);
        }
        let digit = |i: usize| text.get(i..i + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..64).step_by(2).map(digit).collect();
        bytes.map(|bytes| Self(SecretSlice::from(bytes))).ok_or(malformed)
    }

    /// The key as 64 hexadecimal digits, for its file.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex(self.0.expose_secret()))
    }

    /// What may be shown of the key: 8 hexadecimal digits that tell it from another.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.wrapping_key().map_or_else(|_| String::new(), |key| fingerprint(key.id()))
    }

    fn wrapping_key(&self) -> Result<SealingKey, CryptoError> {
        let failed = |_| CryptoError::Library("HKDF");
        let root = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, self.0.expose_secret());
        let mut id = [0; 32];
        let mut key = Zeroizing::new([0; 32]);
        root.expand(&[b"latchkey/v1/id"], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut id))
            .map_err(failed)?;
        root.expand(&[b"latchkey/v1/wrap"], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(key.as_mut()))
            .map_err(failed)?;
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(id) {
            *to = from;
        }
        Ok(SealingKey::new(short, key))
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({})", self.fingerprint())
    }
}

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
    data: Vec<SealingKey>,
    digest: DigestRoot,
    tokens: TokenKeys,
}

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
        [ServerKeyPurpose::Data, ServerKeyPurpose::Digest, ServerKeyPurpose::Token]
            .into_iter()
            .map(|purpose| {
                let id = ServerKeyId::generate(now, entropy)?;
                let key = Zeroizing::new(entropy.bytes::<32>()?);
                let wrapped = wrapping.seal(&context(purpose, &id), key.as_ref(), entropy)?;
                Ok(ServerKey { id, purpose, generation: 1, wrapped, created_at: now })
            })
            .collect()
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

    /// Opens the server's keys.
    ///
    /// # Errors
    /// [`KeyRingError::WrongMasterKey`] when another master key wrapped them.
    pub fn open(master: &MasterKey, keys: &[ServerKey]) -> Result<Self, KeyRingError> {
        let wrapping = master.wrapping_key()?;
        let unwrap = |key: &ServerKey| unwrap(&wrapping, key);
        let newest_first = |purpose| {
            let mut found: Vec<_> = keys.iter().filter(|key| key.purpose == purpose).collect();
            found.sort_by_key(|key| std::cmp::Reverse(key.generation));
            if found.is_empty() { Err(KeyRingError::Missing(purpose)) } else { Ok(found) }
        };

        let data = newest_first(ServerKeyPurpose::Data)?
            .into_iter()
            .map(|key| Ok(SealingKey::new(*key.id.as_bytes(), unwrap(key)?)))
            .collect::<Result<_, KeyRingError>>()?;
        let digest = newest_first(ServerKeyPurpose::Digest)?;
        let root = unwrap(digest.first().ok_or(KeyRingError::Missing(ServerKeyPurpose::Digest))?)?;
        let seeds =
            newest_first(ServerKeyPurpose::Token)?.into_iter().map(unwrap).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { data, digest: DigestRoot::new(&root), tokens: TokenKeys::from_seeds(&seeds)? })
    }

    /// Seals a value for the row that will hold it, with the newest data key.
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

    /// The root of the keyed digests.
    #[must_use]
    pub fn digests(&self) -> &DigestRoot {
        &self.digest
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

fn fingerprint(id: &[u8; 16]) -> String {
    hex(id).chars().take(8).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
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
    fn a_master_key_survives_its_file_and_prints_as_its_fingerprint() {
        let key = master(1);
        let hex = key.to_hex();
        let again = MasterKey::from_hex(&hex).unwrap();
        assert_eq!(again.to_hex(), hex);
        assert_eq!(format!("{again:?}"), format!("MasterKey({})", key.fingerprint()));
        for wrong in ["", "12", &hex[1..], &format!("{}g", &hex[1..]), &"é".repeat(32)] {
            assert!(MasterKey::from_hex(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sec_098_another_master_key_is_named_not_tried() {
        let keys = keys(&master(1));
        assert!(KeyRing::open(&master(1), &keys).is_ok());
        let error = KeyRing::open(&master(3), &keys).unwrap_err();
        let KeyRingError::WrongMasterKey { stored, given } = error else { panic!("{error}") };
        assert_eq!((stored, given), (master(1).fingerprint(), master(3).fingerprint()));
    }

    #[test]
    fn keys_that_were_wrapped_anew_open_with_the_new_key_alone() {
        let (old, new) = (master(1), master(5));
        let before = keys(&old);
        let after = KeyRing::rewrap(&old, &new, &before, &SeededEntropy::new(6)).unwrap();
        assert!(KeyRing::open(&old, &after).is_err());
        let sealed = KeyRing::open(&old, &before)
            .unwrap()
            .seal(
                &SealContext { purpose: "x", app_id: AppId::NONE, row: b"r" },
                b"kept",
                &SeededEntropy::new(7),
            )
            .unwrap();
        let ring = KeyRing::open(&new, &after).unwrap();
        let context = SealContext { purpose: "x", app_id: AppId::NONE, row: b"r" };
        assert_eq!(ring.open_sealed(&context, &sealed).unwrap().as_slice(), b"kept");
        assert!(KeyRing::rewrap(&old, &new, &after, &SeededEntropy::new(8)).is_err());
    }

    #[test]
    fn a_wrapped_key_serves_its_own_purpose_only() {
        let mut keys = keys(&master(1));
        keys[0].purpose = ServerKeyPurpose::Digest;
        keys[1].purpose = ServerKeyPurpose::Data;
        assert!(matches!(
            KeyRing::open(&master(1), &keys),
            Err(KeyRingError::Crypto(CryptoError::Unsealable))
        ));
        keys.remove(2);
        assert!(KeyRing::open(&master(1), &keys).is_err());
    }

    #[test]
    fn sec_002_a_sealed_password_moved_to_another_row_does_not_open() {
        let ring = KeyRing::open(&master(1), &keys(&master(1))).unwrap();
        let of =
            |row: &'static [u8]| SealContext { purpose: "password", app_id: AppId::from_bytes([1; 16]), row };
        let sealed = ring.seal(&of(b"a"), b"$argon2id$", &SeededEntropy::new(4)).unwrap();
        assert_eq!(ring.open_sealed(&of(b"a"), &sealed).unwrap().as_slice(), b"$argon2id$");
        assert!(ring.open_sealed(&of(b"b"), &sealed).is_err());
    }
}
