//! One-time codes of authenticator apps (RFC 6238): SHA-1, six digits, steps of 30 seconds.
//! Remembering the last step that was accepted is the caller's business.

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

    /// The step of which this is the code: the present one, the one before or the one after, and only one
    /// that is later than `last_accepted`. `None` for every other text.
    #[must_use]
    pub fn accepted_step(&self, code: &str, now: OffsetDateTime, last_accepted: Option<u64>) -> Option<u64> {
        let now = u64::try_from(now.unix_timestamp()).ok()? / STEP_SECONDS;
        (now.saturating_sub(1)..=now + 1)
            .filter(|step| last_accepted.is_none_or(|last| *step > last))
            .find(|step| self.code(*step).as_bytes().ct_eq(code.as_bytes()).into())
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
    fn rfc_6238_appendix_b_vectors() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let step = u64::try_from(seconds).unwrap() / 30;
            assert_eq!(secret().accepted_step(code, at(seconds), None), Some(step), "{seconds}");
        }
    }

    #[test]
    fn one_step_either_way_and_each_step_once() {
        let code = secret().code(100);
        for (seconds, good) in
            [(100 * 30 - 31, false), (100 * 30 - 30, true), (101 * 30 + 29, true), (102 * 30, false)]
        {
            assert_eq!(secret().accepted_step(&code, at(seconds), None).is_some(), good, "{seconds}");
        }
        assert_eq!(secret().accepted_step(&code, at(3_000), Some(99)), Some(100));
        assert_eq!(secret().accepted_step(&code, at(3_000), Some(100)), None);
    }

    #[test]
    fn an_empty_or_short_secret_verifies_nothing() {
        assert!(TotpSecret::new(Vec::new()).is_err());
        assert!(TotpSecret::new(vec![0; 15]).is_err());
        for wrong in ["", "287082 ", "28708", "94287082"] {
            assert_eq!(secret().accepted_step(wrong, at(59), None), None, "{wrong}");
        }
    }
}
