//! Sealing to a passphrase, for what leaves the server in a file. The same text sealed for the same place gives the same
//! result, so that two archives of the same application can be compared: the nonce is a keyed digest of the text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::{aead, digest, hkdf, hmac};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::error::CryptoError;
use crate::password::Engine;

/// What deriving a key costs: more than a log-in, since it is done once for a file (RFC 9106 section 4).
const MEMORY_KIB: u32 = 65_536;
const PASSES: u32 = 3;
/// The shortest passphrase that is taken, in bytes.
const SHORTEST: usize = 12;

/// A key that was derived from a passphrase.
pub struct PassphraseKey {
    sealing: aead::LessSafeKey,
    nonces: hmac::Key,
}

impl PassphraseKey {
    /// Derives the key of a passphrase for one application. Takes a good part of a second.
    ///
    /// # Errors
    /// [`CryptoError::Key`] when the passphrase is shorter than 12 bytes; [`CryptoError::OutOfMemory`].
    pub fn derive(passphrase: &SecretString, app_id: &str) -> Result<Self, CryptoError> {
        let passphrase = passphrase.expose_secret();
        if passphrase.len() < SHORTEST {
            return Err(CryptoError::Key("a passphrase has at least 12 characters"));
        }
        let salt = digest::digest(&digest::SHA256, format!("latchkey/v1/archive/{app_id}").as_bytes());
        let salt = salt.as_ref().first_chunk::<16>().ok_or(CryptoError::Library("SHA-256"))?;
        let mut root = Zeroizing::new([0; 32]);
        Engine::default().argon2id(passphrase.as_bytes(), salt, MEMORY_KIB, PASSES, 1, root.as_mut())?;
        let failed = |_| CryptoError::Library("HKDF");
        let root = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, root.as_ref());
        let sealing = root.expand(&[b"latchkey/v1/archive/seal"], &aead::AES_256_GCM).map_err(failed)?;
        let nonces = root.expand(&[b"latchkey/v1/archive/nonce"], hmac::HMAC_SHA256).map_err(failed)?;
        Ok(Self {
            sealing: aead::LessSafeKey::new(aead::UnboundKey::from(sealing)),
            nonces: hmac::Key::from(nonces),
        })
    }

    /// Seals a text for its place, such as `user/0190…/authenticator`: base64.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn seal(&self, place: &str, plaintext: &[u8]) -> Result<String, CryptoError> {
        let mut context = hmac::Context::with_key(&self.nonces);
        context.update(&u64::try_from(place.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(place.as_bytes());
        context.update(plaintext);
        let tag = context.sign();
        let nonce = *tag.as_ref().first_chunk::<12>().ok_or(CryptoError::Library("HMAC"))?;
        let mut body = plaintext.to_vec();
        self.sealing
            .seal_in_place_append_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                aead::Aad::from(place.as_bytes()),
                &mut body,
            )
            .map_err(|_| CryptoError::Library("AES-GCM"))?;
        let mut blob = nonce.to_vec();
        blob.append(&mut body);
        Ok(STANDARD_NO_PAD.encode(blob))
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`CryptoError::Unsealable`] for another passphrase or place, or a changed text.
    pub fn open(&self, place: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let blob = STANDARD_NO_PAD.decode(sealed).map_err(|_| CryptoError::Unsealable)?;
        let (nonce, body) = blob.split_first_chunk::<12>().ok_or(CryptoError::Unsealable)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self
            .sealing
            .open_in_place(
                aead::Nonce::assume_unique_for_key(*nonce),
                aead::Aad::from(place.as_bytes()),
                &mut body,
            )
            .map_err(|_| CryptoError::Unsealable)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

impl std::fmt::Debug for PassphraseKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PassphraseKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(passphrase: &str, app: &str) -> PassphraseKey {
        PassphraseKey::derive(&SecretString::from(passphrase), app).unwrap()
    }

    #[test]
    fn a_sealed_text_opens_with_its_passphrase_for_its_place() {
        let ours = key("correct horse battery", "a");
        let sealed = ours.seal("user/1", b"secret").unwrap();
        assert_eq!(ours.open("user/1", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(key("correct horse battery", "a").seal("user/1", b"secret").unwrap(), sealed);
        assert_ne!(ours.seal("user/2", b"secret").unwrap(), sealed);
        assert_ne!(ours.seal("user/1", b"Secret").unwrap(), sealed);
        for (other, place) in [
            (&ours, "user/2"),
            (&key("another horse battery", "a"), "user/1"),
            (&key("correct horse battery", "b"), "user/1"),
        ] {
            assert!(other.open(place, &sealed).is_err());
        }
        for wrong in ["", "x", &sealed[1..], &format!("{sealed}A")] {
            assert!(ours.open("user/1", wrong).is_err(), "{wrong}");
        }
        for (length, is_taken) in [(5, false), (11, false), (12, true)] {
            let derived = PassphraseKey::derive(&SecretString::from("x".repeat(length)), "a");
            assert_eq!(derived.is_ok(), is_taken, "{length}");
        }
        assert_eq!(format!("{ours:?}"), "PassphraseKey");
    }
}
