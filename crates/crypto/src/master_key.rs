//! The master key, which is kept outside the database. Where its file lies is the server's business.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use latchkey_domain::Entropy;
use ring::hkdf;
use secrecy::{ExposeSecret, SecretSlice};
use zeroize::Zeroizing;

use crate::error::CryptoError;
use crate::seal::SealingKey;

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
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().filter(|bytes| bytes.len() == 32);
        let bytes = bytes.ok_or(CryptoError::Key("a master key is 64 hexadecimal digits"))?;
        Ok(Self(SecretSlice::from(bytes)))
    }

    /// The key as 64 hexadecimal digits, for its file.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(HEXLOWER.encode(self.0.expose_secret()))
    }

    /// A printable fingerprint of the key: 8 hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.wrapping_key().map_or_else(|_| String::new(), |key| fingerprint(key.id()))
    }

    pub(crate) fn wrapping_key(&self) -> Result<SealingKey, CryptoError> {
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

/// A printable fingerprint of the key's id.
pub(crate) fn fingerprint(id: &[u8; 16]) -> String {
    HEXLOWER.encode(id).chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use latchkey_domain::SeededEntropy;

    use super::*;

    #[test]
    fn a_master_key_survives_its_file_and_prints_as_its_fingerprint() {
        let key = MasterKey::generate(&SeededEntropy::new(1)).unwrap();
        let hex = key.to_hex();
        let again = MasterKey::from_hex(&hex).unwrap();
        assert_eq!(again.to_hex(), hex);
        assert_eq!(format!("{again:?}"), format!("MasterKey({})", key.fingerprint()));
        let longer = format!("{}00", *hex);
        for wrong in
            ["", "12", &hex[1..], &format!("{}g", &hex[1..]), &"é".repeat(32), &"+f".repeat(32), &longer]
        {
            assert!(MasterKey::from_hex(wrong).is_err(), "{wrong}");
        }
        let shown = key.fingerprint();
        assert!(shown.len() == 8 && shown.bytes().all(|byte| byte.is_ascii_hexdigit()), "{shown}");
        assert_ne!(MasterKey::generate(&SeededEntropy::new(2)).unwrap().fingerprint(), shown);
        assert_eq!(fingerprint(&[0xab; 16]), "abababab");
    }
}
