//! Handles and user names: what a person types to say who they are.
//! Whether a handle is free is the storage's business.

use unicode_normalization::UnicodeNormalization;

use crate::text::has_forbidden_characters;

/// The text cannot be a handle or user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHandle {
    /// Nothing is left after trimming.
    #[error("it is empty")]
    Empty,
    /// More than 254 bytes (RFC 5321 section 4.5.3.1.3 for an address; 64 for a user name).
    #[error("it is too long")]
    TooLong,
    /// A control or bidirectional character.
    #[error("it holds a character that is not allowed")]
    Character,
    /// Not of the form that is wanted here.
    #[error("it does not have the form that is wanted")]
    Form,
}

/// The prefix of handles that anonymous users choose for themselves.
pub const ANONYMOUS_PREFIX: &str = "ANON_";

/// A handle: an e-mail address by convention, or an anonymous user's own mark.
///
/// Addresses are kept trimmed and lower-cased; [`Handle::key`] is what makes a handle unique.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Handle {
    text: String,
    key: String,
}

impl Handle {
    /// Parses what a person typed: trimmed, lower-cased (Unicode), 1 to 254 bytes, no control characters.
    ///
    /// # Errors
    /// [`InvalidHandle`] says what is wrong.
    pub fn parse(typed: &str) -> Result<Self, InvalidHandle> {
        let text: String = typed.trim().chars().flat_map(char::to_lowercase).collect();
        Self::checked(text)
    }

    /// Parses an anonymous user's handle, which is kept as it was sent and begins with `ANON_`.
    ///
    /// # Errors
    /// [`InvalidHandle::Form`] without the prefix, else what is wrong.
    pub fn parse_anonymous(sent: &str) -> Result<Self, InvalidHandle> {
        if sent.strip_prefix(ANONYMOUS_PREFIX).is_none_or(str::is_empty) {
            return Err(InvalidHandle::Form);
        }
        if sent.len() > 254 {
            return Err(InvalidHandle::TooLong);
        }
        if has_forbidden_characters(sent) {
            return Err(InvalidHandle::Character);
        }
        Ok(Self { key: sent.to_owned(), text: sent.to_owned() })
    }

    /// The handle with this stored text.
    ///
    /// # Errors
    /// [`InvalidHandle`] when the text could not have been stored.
    pub fn from_stored(text: &str) -> Result<Self, InvalidHandle> {
        if text.starts_with(ANONYMOUS_PREFIX) {
            Self::parse_anonymous(text)
        } else {
            Self::checked(text.to_owned())
        }
    }

    fn checked(text: String) -> Result<Self, InvalidHandle> {
        if text.is_empty() {
            return Err(InvalidHandle::Empty);
        }
        if text.len() > 254 {
            return Err(InvalidHandle::TooLong);
        }
        if has_forbidden_characters(&text) {
            return Err(InvalidHandle::Character);
        }
        Ok(Self { key: fold(&text), text })
    }

    /// The handle as it is stored, shown and mailed to.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What makes the handle unique in its application: all spellings that look alike share it.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The handle with `_` for every `@`, as the claim `sub` holds it in some applications. Two handles may share it.
    #[must_use]
    pub fn underscored(&self) -> String {
        self.text.replace('@', "_")
    }

    /// Whether an anonymous user chose it.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.text.starts_with(ANONYMOUS_PREFIX)
    }

    /// Whether it has the form of an address: something, one last `@`, something, no blanks.
    #[must_use]
    pub fn is_address(&self) -> bool {
        !self.is_anonymous()
            && !self.text.contains(char::is_whitespace)
            && self
                .text
                .rsplit_once('@')
                .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
    }
}

/// A text that is looked for in handles and user names, in the form in which they are kept for comparing.
#[must_use]
pub fn search_key(text: &str) -> String {
    let text = text.trim();
    // Anonymous handles are kept as they were sent.
    if text.starts_with(ANONYMOUS_PREFIX) { text.to_owned() } else { fold(text) }
}

/// The NFKC case fold (Unicode section 3.13) as far as upper and lower casing reach it.
fn fold(text: &str) -> String {
    let compatible: String = text.nfkc().collect();
    let folded = compatible.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    // Dotted capital I folds to an i with a combining dot; without the dot it is the i it looks like.
    folded.filter(|c| *c != '\u{0307}').nfkc().collect()
}

/// A user name: an ASCII letter, then letters or digits, lower-cased, at most 64.
/// It can never be mistaken for an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserName(String);

impl UserName {
    /// Parses what a person typed: trimmed and lower-cased first.
    ///
    /// # Errors
    /// [`InvalidHandle`] says what is wrong.
    pub fn parse(typed: &str) -> Result<Self, InvalidHandle> {
        let text = typed.trim().to_lowercase();
        if text.len() > 64 {
            return Err(InvalidHandle::TooLong);
        }
        let mut characters = text.chars();
        let first = characters.next().ok_or(InvalidHandle::Empty)?;
        if !first.is_ascii_alphabetic() || !characters.all(|c| c.is_ascii_alphanumeric()) {
            return Err(InvalidHandle::Form);
        }
        Ok(Self(text))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_trimmed_and_lower_cased() {
        let handle = Handle::parse("  Ana@Example.COM ").unwrap();
        assert_eq!(handle.as_str(), "ana@example.com");
        assert!(handle.is_address());
    }

    #[test]
    fn sec_080_control_and_bidi_characters_never_pass() {
        for c in
            ['\0', '\r', '\n', '\u{1b}', '\u{7f}', '\u{202e}', '\u{2066}', '\u{200f}', '\u{feff}', '\u{85}']
        {
            assert_eq!(Handle::parse(&format!("a{c}b@example.com")), Err(InvalidHandle::Character), "{c:?}");
            assert_eq!(
                Handle::parse_anonymous(&format!("ANON_{c}b")),
                Err(InvalidHandle::Character),
                "{c:?}"
            );
        }
    }

    #[test]
    fn sec_081_look_alike_spellings_share_one_key() {
        let plain = Handle::parse("kiss@example.com").unwrap();
        for other in [
            "\u{212A}iss@example.com",
            "k\u{130}ss@example.com",
            "ki\u{17F}\u{17F}@example.com",
            "\u{FF4B}\u{FF49}\u{FF53}\u{FF53}@example.com",
            "KI\u{DF}@EXAMPLE.COM",
        ] {
            assert_eq!(Handle::parse(other).unwrap().key(), plain.key(), "{other}");
        }
        assert_ne!(Handle::parse("kass@example.com").unwrap().key(), plain.key());
    }

    #[test]
    fn anonymous_handles_stay_as_sent_and_begin_with_the_prefix() {
        assert_eq!(Handle::parse_anonymous("ANON_Ab1").unwrap().as_str(), "ANON_Ab1");
        for wrong in ["", "ANON_", "anon_1", "x@y.zANON_1", " ANON_1"] {
            assert!(Handle::parse_anonymous(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        assert!(Handle::parse(&format!("{}@b.c", "a".repeat(250))).is_ok());
        assert_eq!(Handle::parse(&format!("{}@b.c", "a".repeat(251))), Err(InvalidHandle::TooLong));
        assert_eq!(Handle::parse("   "), Err(InvalidHandle::Empty));
    }

    #[test]
    fn sec_082_a_user_name_is_never_an_address() {
        assert_eq!(UserName::parse(" Ana1 ").unwrap().as_str(), "ana1");
        for wrong in ["", "1ana", "ana@example.com", "an a", "ana-b", "änn", &"a".repeat(65)] {
            assert!(UserName::parse(wrong).is_err(), "{wrong}");
        }
    }
}
