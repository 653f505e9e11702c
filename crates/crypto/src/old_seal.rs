//! Values encrypted by a Cosync JWT server under its `encryptKey`, read once during an import: base64 of an IV and
//! AES-256-CTR (NIST SP 800-38A section 6.5) under SHA-256 of the key. They are not authenticated: a wrong key gives
//! nonsense, which the caller must detect.

use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::CryptoError;

/// The key of an old server.
pub struct OldSeal(Option<DecryptingKey>);

impl OldSeal {
    /// The key derived from an `encryptKey`. An empty one means no encryption.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn new(encrypt_key: &SecretString) -> Result<Self, CryptoError> {
        let text = encrypt_key.expose_secret();
        if text.is_empty() {
            return Ok(Self(None));
        }
        let key = digest(&SHA256, text.as_bytes());
        let failed = |_| CryptoError::Library("AES-CTR");
        let key = UnboundCipherKey::new(&AES_256, key.as_ref()).map_err(failed)?;
        Ok(Self(Some(DecryptingKey::ctr(key).map_err(failed)?)))
    }

    /// Returns the stored value, or `None` if it is missing or too short.
    ///
    /// # Errors
    /// [`CryptoError::Unsealable`] when the result is not text: the key is wrong.
    pub fn open(&self, stored: &str) -> Result<Option<String>, CryptoError> {
        let Some(key) = &self.0 else { return Ok(Some(stored.to_owned()).filter(|text| !text.is_empty())) };
        let blob = STANDARD.decode(stored).map_err(|_| CryptoError::Unsealable)?;
        let Some((iv, body)) = blob.split_first_chunk::<16>().filter(|(_, body)| !body.is_empty()) else {
            return Ok(None);
        };
        let mut body = body.to_vec();
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        let text = key.decrypt(&mut body, context).map_err(|_| CryptoError::Unsealable)?;
        let text = std::str::from_utf8(text).map_err(|_| CryptoError::Unsealable)?;
        Ok(Some(text.to_owned()))
    }
}

impl std::fmt::Debug for OldSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OldSeal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_vector_opens() {
        let seal = OldSeal::new(&SecretString::from("correct horse")).unwrap();
        let stored = "AAECAwQFBgcICQoLDA0OD/CFGYkFwlFLnp+j4EUvLq5bZ5mM";
        assert_eq!(seal.open(stored).unwrap().unwrap(), "Latchkey import test");
        let key = digest(&SHA256, b"correct horse");
        assert_eq!(key.as_ref()[..4], [0x41, 0x04, 0xd3, 0x6f]);
        let other = OldSeal::new(&SecretString::from("another horse")).unwrap();
        assert_ne!(other.open(stored).ok().flatten().as_deref(), Some("Latchkey import test"));
        assert_eq!(seal.open("AAECAwQFBgcICQoLDA0ODw==").unwrap(), None, "an IV alone");
        assert_eq!(seal.open("").unwrap(), None);
        assert!(seal.open("no base64!").is_err());
        let clear = OldSeal::new(&SecretString::from("")).unwrap();
        assert_eq!(clear.open("as it is").unwrap().unwrap(), "as it is");
        assert_eq!(format!("{seal:?}"), "OldSeal");
    }
}
