//! One-time codes of authenticator apps (RFC 6238): SHA-1, six digits, steps of 30 seconds.
//! Remembering the last step that was accepted is the caller's business.

use data_encoding::BASE32_NOPAD;
use latchkey_domain::{Entropy, EntropyError};
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use totp_lite::{Sha1, totp_custom};
use zeroize::Zeroizing;

use crate::error::CryptoError;

const STEP_SECONDS: u64 = 30;
const DIGITS: u32 = 6;

/// The secret that an authenticator app shares with the server.
pub struct TotpSecret(Zeroizing<Vec<u8>>);

impl TotpSecret {
    /// Draws a secret of 160 bits, as long as the hash (RFC 4226 section 4, R6).
    ///
    /// # Errors
    /// [`EntropyError`] when the random source fails.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = Zeroizing::new(vec![0; 20]);
        entropy.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Takes a secret of at least 128 bits (RFC 4226 section 4, R6); shorter ones never verify anything.
    ///
    /// # Errors
    /// [`CryptoError::Key`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, CryptoError> {
        if bytes.len() < 16 {
            return Err(CryptoError::Key("a TOTP secret has at least 128 bits"));
        }
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// Reads base32, as authenticator apps take it: capitals or not, with blanks and padding or without.
    ///
    /// # Errors
    /// [`CryptoError::Key`].
    pub fn from_base32(text: &str) -> Result<Self, CryptoError> {
        let plain = |c: &char| !c.is_ascii_whitespace() && *c != '=';
        let text = Zeroizing::new(text.chars().filter(plain).collect::<String>().to_ascii_uppercase());
        let bytes = BASE32_NOPAD.decode(text.as_bytes());
        Self::new(bytes.map_err(|_| CryptoError::Key("a TOTP secret is base32"))?)
    }

    /// The secret, to be sealed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret as authenticator apps take it: base32 in capitals, without padding (RFC 4648 section 6).
    #[must_use]
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&self.0))
    }

    /// The step of this code: the current one, the one before, or one of `ahead` steps after it. `None` for every other
    /// text. The caller checks whether the step was used before.
    #[must_use]
    pub fn step_of(&self, code: &str, now: OffsetDateTime, ahead: u64) -> Option<u64> {
        let now = u64::try_from(now.unix_timestamp()).ok()? / STEP_SECONDS;
        let mut found = None;
        // All steps are computed, so that the time does not reveal the matching one.
        for step in now.saturating_sub(1)..=now + ahead.min(1) {
            if self.code(step).as_bytes().ct_eq(code.as_bytes()).into() {
                found = Some(step);
            }
        }
        found
    }

    fn code(&self, step: u64) -> Zeroizing<String> {
        Zeroizing::new(totp_custom::<Sha1>(STEP_SECONDS, DIGITS, &self.0, step * STEP_SECONDS))
    }
}

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> TotpSecret {
        TotpSecret::new(b"12345678901234567890".to_vec()).unwrap()
    }

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    #[test]
    fn sec_039_rfc_6238_appendix_b_vectors() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let step = u64::try_from(seconds).unwrap() / 30;
            assert_eq!(secret().step_of(code, at(seconds), 1), Some(step), "{seconds}");
        }
    }

    #[test]
    fn a_secret_is_read_as_people_copy_it() {
        let text = secret().to_base32();
        assert_eq!(text.as_str(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        for copied in
            [text.as_str(), "gezd gnbv gy3t qojq gezd gnbv gy3t qojq", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ===="]
        {
            assert_eq!(
                TotpSecret::from_base32(copied).unwrap().as_bytes(),
                b"12345678901234567890",
                "{copied}"
            );
        }
        for wrong in ["", "GEZDGNBV", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJ1", "GEZDGNBVGY3TQOJQ-GEZDGNBVGY3TQOJQ"]
        {
            assert!(TotpSecret::from_base32(wrong).is_err(), "{wrong}");
        }
        assert_eq!(format!("{:?}", secret()), "TotpSecret");
    }

    #[test]
    fn sec_041_one_step_either_way_to_the_second() {
        let code = secret().code(100);
        for offset in -61..=61 {
            let (now, step) = (at(100 * 30 + offset), (100 * 30 + offset).div_euclid(30));
            let expected = |ahead: i64| (99 + 1 - ahead..=101).contains(&step).then_some(100);
            assert_eq!(secret().step_of(&code, now, 1), expected(1), "{offset}");
            assert_eq!(secret().step_of(&code, now, 0), expected(0), "{offset}");
            assert_eq!(secret().step_of(&code, now, 9), expected(1), "{offset}");
        }
    }

    #[test]
    fn sec_039_a_new_secret_has_160_bits_and_is_written_in_base32() {
        let entropy = latchkey_domain::SeededEntropy::new(1);
        let new = TotpSecret::generate(&entropy).unwrap();
        assert_eq!((new.as_bytes().len(), new.to_base32().len()), (20, 32));
        assert_eq!(secret().to_base32().as_str(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn sec_039_an_empty_or_short_secret_verifies_nothing() {
        assert!(TotpSecret::new(Vec::new()).is_err());
        assert!(TotpSecret::new(vec![0; 15]).is_err());
        for wrong in ["", "287082 ", "28708", "94287082"] {
            assert_eq!(secret().step_of(wrong, at(59), 1), None, "{wrong}");
        }
    }
}
