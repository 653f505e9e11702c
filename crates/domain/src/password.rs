//! Passwords as they arrive, and the rules that an application sets for them.
//! Hashing them is `latchkey-crypto`'s business.

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// The text is not a password in the expected form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// Not the 32 lower-case hexadecimal digits that clients send.
    #[error(
        "must be the MD5 of the password as 32 lower-case hexadecimal digits, unless it is sent in clear in rawPassword"
    )]
    Form,
    /// Longer than 1,024 bytes, or empty.
    #[error("must be 1 to 1024 bytes")]
    Length,
}

/// What clients send instead of the password: the lower-case hexadecimal MD5 of its UTF-8 bytes.
/// To the server these 32 digits *are* the password.
#[derive(Debug, Clone)]
pub struct ClientPassword {
    digits: SecretString,
    raw: Option<RawPassword>,
    as_typed: Option<Box<Self>>,
}

impl ClientPassword {
    /// Parses exactly 32 digits of `[0-9a-f]`.
    ///
    /// # Errors
    /// [`InvalidPassword::Form`].
    pub fn parse(text: &str) -> Result<Self, InvalidPassword> {
        if text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self { digits: SecretString::from(text), raw: None, as_typed: None })
        } else {
            Err(InvalidPassword::Form)
        }
    }

    /// The digits.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.digits.expose_secret()
    }

    /// The same, with the password that it was computed from.
    #[must_use]
    pub fn with_raw(self, raw: RawPassword) -> Self {
        Self { raw: Some(raw), ..self }
    }

    /// The same, with the digest of the text as typed, if normalization changed it.
    #[must_use]
    pub fn with_typed(self, as_typed: Self) -> Self {
        Self { as_typed: Some(Box::new(as_typed)), ..self }
    }

    /// The password as typed, if normalization changed it.
    #[must_use]
    pub fn as_typed(&self) -> Option<&Self> {
        self.as_typed.as_deref()
    }

    /// The password itself, where it was sent.
    #[must_use]
    pub fn raw(&self) -> Option<&RawPassword> {
        self.raw.as_ref()
    }
}

/// A password as a person typed it, which newer clients may send in a field of its own.
/// Nothing is trimmed, changed in case or cut.
#[derive(Debug, Clone)]
pub struct RawPassword(SecretString);

impl RawPassword {
    /// Takes 1 to 1,024 bytes as they are.
    ///
    /// # Errors
    /// [`InvalidPassword::Length`].
    pub fn parse(text: &str) -> Result<Self, InvalidPassword> {
        if text.is_empty() || text.len() > 1_024 {
            return Err(InvalidPassword::Length);
        }
        Ok(Self(SecretString::from(text)))
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The text in Unicode normalization form C, where that is another one (RFC 8265 section 4.2.2): keyboards and
    /// systems differ in how they write letters with accents.
    #[must_use]
    pub fn normalized(&self) -> Option<Self> {
        let text = self.expose();
        (!is_nfc(text)).then(|| Self(SecretString::from(text.nfc().collect::<String>())))
    }
}

/// The characters that the filter counts as special.
pub const SPECIAL_CHARACTERS: &str = "@%+\\/'!#$^?:()[]~`-_.,";

/// An application's password filter. Clients get these numbers and enforce them; the server enforces them when it
/// receives the password itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// Whether the minima apply.
    pub filter: bool,
    /// Fewest characters.
    pub min_length: u32,
    /// Fewest upper-case letters.
    pub min_upper: u32,
    /// Fewest lower-case letters.
    pub min_lower: u32,
    /// Fewest digits.
    pub min_digit: u32,
    /// Fewest of [`SPECIAL_CHARACTERS`].
    pub min_special: u32,
    /// Whether passwords that everybody uses are refused.
    pub refuse_common: bool,
}

impl PasswordPolicy {
    /// The minima in words.
    #[must_use]
    pub fn minima(&self) -> String {
        let minima = [
            (self.min_length, "characters"),
            (self.min_upper, "upper-case letters"),
            (self.min_lower, "lower-case letters"),
            (self.min_digit, "digits"),
            (self.min_special, "special characters"),
        ];
        let wanted = minima.iter().filter(|(least, _)| *least > 0);
        let mut words = wanted.map(|(least, what)| format!("{least} {what}")).collect::<Vec<_>>().join(", ");
        if self.min_special > 0 {
            words.push_str(&format!(" ({SPECIAL_CHARACTERS})"));
        }
        words
    }

    /// Whether the password satisfies the minima.
    #[must_use]
    pub fn allows(&self, password: &RawPassword) -> bool {
        let text = password.expose();
        let count = |wanted: fn(char) -> bool| text.chars().filter(|c| wanted(*c)).count();
        let enough = |found: usize, least: u32| found >= usize::try_from(least).unwrap_or(usize::MAX);
        !self.filter
            || (enough(text.chars().count(), self.min_length)
                && enough(count(char::is_uppercase), self.min_upper)
                && enough(count(char::is_lowercase), self.min_lower)
                && enough(count(|c| c.is_ascii_digit()), self.min_digit)
                && enough(count(|c| SPECIAL_CHARACTERS.contains(c)), self.min_special))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_005_a_text_that_is_not_normalized_has_another_form() {
        let normalized = |text: &str| {
            let raw = RawPassword::parse(text).unwrap();
            raw.normalized().map(|raw| raw.expose().to_owned())
        };
        assert_eq!(normalized("plain"), None);
        assert_eq!(normalized("p\u{e4}ss"), None);
        assert_eq!(normalized("pa\u{308}ss").unwrap(), "p\u{e4}ss");
        // The Angstrom sign and a Hangul syllable of conjoining letters.
        assert_eq!(normalized("\u{212b}").unwrap(), "\u{c5}");
        assert_eq!(normalized("\u{1112}\u{1161}\u{11ab}").unwrap(), "\u{d55c}");
        // Compatibility characters stay.
        assert_eq!(normalized("\u{fb01}"), None);
    }

    #[test]
    fn sec_005_a_password_may_have_another_form_as_typed() {
        let digits = |digit: &str| ClientPassword::parse(&digit.repeat(32)).unwrap();
        assert!(digits("a").as_typed().is_none());
        let both = digits("a").with_typed(digits("b"));
        assert_eq!(both.expose(), "a".repeat(32));
        assert_eq!(both.as_typed().unwrap().expose(), "b".repeat(32));
    }

    #[test]
    fn sec_005_only_32_lower_case_digits_are_a_client_password() {
        let digits = "482c811da5d5b4bc6d497ffa98491e38";
        assert!(ClientPassword::parse(digits).is_ok());
        for wrong in
            ["", &digits[1..], &digits.to_uppercase(), &format!(" {digits}"), &format!("{}g", &digits[1..])]
        {
            assert!(ClientPassword::parse(wrong).is_err(), "{wrong}");
        }
        assert!(RawPassword::parse(&"a".repeat(1_024)).is_ok());
        assert!(RawPassword::parse(&"a".repeat(1_025)).is_err());
        assert!(RawPassword::parse("").is_err());
    }

    #[test]
    fn sec_100_passwords_print_as_nothing() {
        let md5 = ClientPassword::parse("482c811da5d5b4bc6d497ffa98491e38").unwrap();
        let raw = RawPassword::parse("password123").unwrap();
        let printed = format!("{md5:?} {raw:?}");
        assert!(!printed.contains("482c") && !printed.contains("password123"), "{printed}");
    }

    #[test]
    fn the_filter_counts_kinds_of_characters() {
        let policy = PasswordPolicy {
            filter: true,
            min_length: 6,
            min_upper: 1,
            min_lower: 1,
            min_digit: 1,
            min_special: 1,
            refuse_common: false,
        };
        let allows = |text: &str| policy.allows(&RawPassword::parse(text).unwrap());
        assert!(allows("Abc1.x"));
        for weak in ["Ab1.x", "abc1.x", "ABC1.X", "Abcd.x", "Abc1xx"] {
            assert!(!allows(weak), "{weak}");
        }
        assert!(PasswordPolicy { filter: false, ..policy }.allows(&RawPassword::parse("a").unwrap()));
        assert_eq!(
            PasswordPolicy { min_upper: 0, min_digit: 2, ..policy }.minima(),
            r"6 characters, 1 lower-case letters, 2 digits, 1 special characters (@%+\/'!#$^?:()[]~`-_.,)"
        );
    }

    #[test]
    fn a_client_password_keeps_both_forms() {
        let digits = "482c811da5d5b4bc6d497ffa98491e38";
        let md5 = ClientPassword::parse(digits).unwrap();
        assert!(md5.raw().is_none());
        let both = md5.with_raw(RawPassword::parse("password123").unwrap());
        assert_eq!((both.expose(), both.raw().unwrap().expose()), (digits, "password123"));
    }
}
