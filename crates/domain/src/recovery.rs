//! Recovery codes: each replaces a second factor once. Only keyed digests of them are stored.

use secrecy::{ExposeSecret, SecretString};

use crate::entropy::{Entropy, EntropyError};
use crate::text::typed_code;

/// How many a user has.
pub const RECOVERY_CODES: usize = 10;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const LENGTH: usize = 16;

/// A recovery code in clear: 80 random bits, sixteen letters and digits (the alphabet of RFC 4648 section 6).
#[derive(Debug, Clone)]
pub struct RecoveryCode(SecretString);

impl RecoveryCode {
    /// Draws a code.
    ///
    /// # Errors
    /// [`EntropyError`] when the random source fails.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let bytes: [u8; LENGTH] = entropy.bytes()?;
        let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32)).copied());
        Ok(Self(SecretString::from(letters.map(char::from).collect::<String>())))
    }

    /// Parses what was typed: letter case does not matter, and blanks, dashes and invisible characters are dropped. Returns
    /// `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let code = typed_code(text).to_ascii_lowercase();
        let is_one = code.len() == LENGTH && code.bytes().all(|byte| ALPHABET.contains(&byte));
        is_one.then(|| Self(SecretString::from(code)))
    }

    /// The letters, as they are digested.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The letters in groups of four, as people read them.
    #[must_use]
    pub fn to_groups(&self) -> String {
        let letters: Vec<char> = self.expose().chars().collect();
        letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    #[test]
    fn sec_046_a_recovery_code_has_80_bits_and_one_meaning() {
        let entropy = SeededEntropy::new(3);
        let codes: Vec<_> = (0..1_000).map(|_| RecoveryCode::generate(&entropy).unwrap()).collect();
        let distinct: std::collections::HashSet<_> =
            codes.iter().map(|code| code.expose().to_owned()).collect();
        assert_eq!(distinct.len(), 1_000);
        let letters: std::collections::HashSet<_> = distinct.iter().flat_map(|code| code.bytes()).collect();
        assert_eq!(letters.len(), 32);
        for code in &codes {
            let shown = code.to_groups();
            assert_eq!(shown.len(), 19);
            for typed in
                [shown.clone(), shown.to_uppercase(), shown.replace('-', " "), code.expose().to_owned()]
            {
                assert_eq!(RecoveryCode::parse(&typed).unwrap().expose(), code.expose());
            }
        }
        for wrong in [
            "",
            "123456",
            "aaaa-aaaa-aaaa-aaa",
            "aaaa-aaaa-aaaa-aaaaa",
            "aaaa-aaaa-aaaa-aaa1",
            "äaaa-aaaa-aaaa-aaaa",
        ] {
            assert!(RecoveryCode::parse(wrong).is_none(), "{wrong}");
        }
        assert!(!format!("{:?}", codes[0]).contains(codes[0].expose()));
    }
}
