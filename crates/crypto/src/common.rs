//! Passwords that everybody uses. Clients send the MD5 of a password, so the list is compared in that form;
//! it is a list of words in order of how often leaks hold them, and nothing else is derived from it.

use data_encoding::HEXLOWER_PERMISSIVE;
use std::sync::LazyLock;

use latchkey_domain::ClientPassword;
use md5::{Digest as _, Md5};

const WORDS: &str = include_str!("../data/common-passwords.txt");

/// The MD5s of the words, sorted.
static DIGESTS: LazyLock<Vec<[u8; 16]>> = LazyLock::new(|| {
    let mut digests: Vec<[u8; 16]> = WORDS.lines().map(md5).collect();
    digests.sort_unstable();
    digests
});

fn md5(text: &str) -> [u8; 16] {
    Md5::digest(text.as_bytes()).into()
}

/// Whether the password is one that everybody uses, or one of `words` (the application's name, parts of the
/// handle), as they are or in lower case.
#[must_use]
pub fn is_common_password(password: &ClientPassword, words: &[&str]) -> bool {
    let digest =
        HEXLOWER_PERMISSIVE.decode(password.expose().as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    let Some(digest): Option<[u8; 16]> = digest else { return false };
    let is_word = |word: &&str| md5(word) == digest || md5(&word.to_lowercase()) == digest;
    DIGESTS.binary_search(&digest).is_ok() || words.iter().any(is_word)
}

#[cfg(test)]
mod tests {
    use latchkey_domain::RawPassword;

    use super::*;
    use crate::client_password;

    #[test]
    fn sec_006_common_passwords_names_and_handles_are_known() {
        let is_common = |text: &str| {
            let password = client_password(&RawPassword::parse(text).unwrap()).unwrap();
            is_common_password(&password, &["Shop", "ana@example.com", "ana"])
        };
        for common in ["password123", "123456", "qwerty", "Shop", "shop", "ana", "ana@example.com"] {
            assert!(is_common(common), "{common}");
        }
        assert!(!is_common("correct horse battery"));
        assert!(DIGESTS.len() >= 3_000);
    }
}
