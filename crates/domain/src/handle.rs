//! Handles and user names: the names that users log in with.
//! Whether a handle is free is the storage's business.

use std::borrow::Cow;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization;

use crate::text::{has_forbidden_characters, is_invisible};

/// The text cannot be a handle or user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHandle {
    /// Nothing is left after trimming.
    #[error("must not be empty")]
    Empty,
    /// More than 254 bytes (RFC 5321 section 4.5.3.1.3).
    #[error("must be at most 254 bytes")]
    TooLong,
    /// A control, bidirectional or invisible character.
    #[error("must not contain control, bidirectional or invisible characters")]
    Character,
    /// No anonymous user's handle.
    #[error("must be ANON_ followed by more characters")]
    Anonymous,
    /// No user name.
    #[error("must be a letter followed by letters and digits, at most 64 characters")]
    UserName,
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
    mailbox: Option<String>,
}

impl Handle {
    /// Parses what a person typed: trimmed, lower-cased (Unicode), 1 to 254 bytes, no control and no invisible
    /// characters.
    ///
    /// # Errors
    /// [`InvalidHandle`] names the broken rule.
    pub fn parse(typed: &str) -> Result<Self, InvalidHandle> {
        let text: String = typed.trim().chars().flat_map(char::to_lowercase).collect();
        if is_partly_invisible(&text) {
            return Err(InvalidHandle::Character);
        }
        Self::checked(text)
    }

    /// Parses an anonymous user's handle, which is kept unchanged and starts with `ANON_`.
    ///
    /// # Errors
    /// [`InvalidHandle`] names the broken rule.
    pub fn parse_anonymous(sent: &str) -> Result<Self, InvalidHandle> {
        if is_partly_invisible(sent) {
            return Err(InvalidHandle::Character);
        }
        Self::checked_anonymous(sent)
    }

    /// The handle with this stored text.
    ///
    /// # Errors
    /// [`InvalidHandle`] when the text could not have been stored.
    pub fn from_stored(text: &str) -> Result<Self, InvalidHandle> {
        if text.starts_with(ANONYMOUS_PREFIX) {
            Self::checked_anonymous(text)
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
        Ok(Self { key: handle_key(&text), mailbox: mailbox(&text), text })
    }

    fn checked_anonymous(sent: &str) -> Result<Self, InvalidHandle> {
        if sent.strip_prefix(ANONYMOUS_PREFIX).is_none_or(str::is_empty) {
            return Err(InvalidHandle::Anonymous);
        }
        if sent.len() > 254 {
            return Err(InvalidHandle::TooLong);
        }
        if has_forbidden_characters(sent) {
            return Err(InvalidHandle::Character);
        }
        Ok(Self { key: sent.to_owned(), text: sent.to_owned(), mailbox: None })
    }

    /// The handle as stored and shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key that makes the handle unique in its application: look-alike spellings of a name share it. Look-alike
    /// domains are different domains; two spellings of one domain share it.
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

    /// The mail address of this handle: its domain is an internet host, as an A-label (RFC 5890 section 2.3.2.1).
    /// `None` for a handle that is not an address, or one of this machine or of a bare IP address.
    #[must_use]
    pub fn mailbox(&self) -> Option<&str> {
        self.mailbox.as_deref()
    }

    /// Whether an address names this handle's mailbox. Only the case of ASCII letters and the spelling of the domain
    /// may differ: letters that look alike, or become alike when made small, belong to other mailboxes.
    #[must_use]
    pub fn is_mailbox(&self, address: &str) -> bool {
        let parts = |text: &str| {
            let (local, domain) = text.trim().rsplit_once('@')?;
            Some((local.to_ascii_lowercase(), ascii_domain(domain)?))
        };
        parts(address).is_some_and(|asked| parts(&self.text) == Some(asked))
    }

    /// Whether both are one handle by their look alone, while mail would go to two mailboxes.
    #[must_use]
    pub fn only_looks_like(&self, other: &Self) -> bool {
        self.key == other.key && self.text != other.text && self.mailbox != other.mailbox
    }
}

/// A text that is looked for in handles and user names, in the form in which they are kept for comparing.
#[must_use]
pub fn search_key(text: &str) -> String {
    let text = text.trim();
    // Anonymous handles are kept as they were sent.
    if text.starts_with(ANONYMOUS_PREFIX) { text.to_owned() } else { handle_key(text) }
}

fn handle_key(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((local, domain)) => format!("{}@{}", fold(local), unicode_domain(&domain.to_lowercase())),
        None => fold(text),
    }
}

/// A domain in one spelling (UTS 46 section 4.3, non-transitional). The A-labels of two domains are equal if these are;
/// a text that is not a domain stays unchanged.
fn unicode_domain(domain: &str) -> String {
    match Uts46::new().to_unicode(domain.as_bytes(), AsciiDenyList::URL, Hyphens::Allow) {
        (unicode, Ok(())) => unicode.into_owned(),
        (_, Err(_)) => domain.to_owned(),
    }
}

/// A domain's A-labels (UTS 46 section 4.2, non-transitional).
fn ascii_domain(domain: &str) -> Option<String> {
    let ascii =
        Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::URL, Hyphens::Allow, DnsLength::Verify);
    ascii.ok().map(Cow::into_owned)
}

fn mailbox(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let domain = ascii_domain(domain)?;
    let (_, top) = domain.rsplit_once('.')?;
    // Such names resolve to this machine or network (RFC 6761 section 6.3), or are addresses of hosts in some spelling.
    let is_number = top.bytes().all(|byte| byte.is_ascii_digit()) || top.starts_with("0x");
    let is_host = !matches!(top, "localhost" | "localdomain") && !is_number;
    let is_name = !local.is_empty() && local.chars().all(is_of_local_part);
    (is_host && is_name).then(|| format!("{local}@{domain}"))
}

/// Whether a character may be in a local part without quotation marks (RFC 5321 section 4.1.2, RFC 6531 section 3.3): a
/// quoted part could contain another address.
fn is_of_local_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) || (!c.is_ascii() && !c.is_whitespace())
}

/// Whether a text holds a character of which nothing is seen: twins would look the same.
fn is_partly_invisible(text: &str) -> bool {
    text.chars().any(is_invisible)
}

/// The NFKC case fold (Unicode section 3.13), as far as upper and lower case mappings cover it.
fn fold(text: &str) -> String {
    let compatible: String = text.nfkc().collect();
    let folded = compatible.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    // Dotted capital I folds to an i with a combining dot; without the dot it is the i that it resembles.
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
    /// [`InvalidHandle::UserName`].
    pub fn parse(typed: &str) -> Result<Self, InvalidHandle> {
        let text = typed.trim().to_lowercase();
        let is_name = text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if text.len() <= 64 && is_name { Ok(Self(text)) } else { Err(InvalidHandle::UserName) }
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
        assert_eq!(handle.mailbox(), Some("ana@example.com"));
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
            "kiss@\u{FF45}xample\u{3002}com",
        ] {
            assert_eq!(Handle::parse(other).unwrap().key(), plain.key(), "{other}");
        }
        assert_ne!(Handle::parse("kass@example.com").unwrap().key(), plain.key());
    }

    #[test]
    fn sec_081_a_domain_is_compared_by_its_a_labels() {
        let key = |text: &str| Handle::parse(text).unwrap().key().to_owned();
        for (one, other) in [
            ("ana@gma\u{131}l.com", "ana@gmail.com"),
            ("ana@stra\u{DF}e.de", "ana@strasse.de"),
            ("ana@ko\u{3C2}.gr", "ana@ko\u{3C3}.gr"),
            ("ana@xn--strae-oqa.de", "ana@strasse.de"),
        ] {
            assert_ne!(key(one), key(other), "{one}");
        }
        for (one, other) in [
            ("ana@stra\u{DF}e.de", "ana@xn--strae-oqa.de"),
            ("ana@M\u{DC}LLER.de", "ana@xn--mller-kva.de"),
            ("ana@mu\u{308}ller.de", "ana@m\u{FC}ller.de"),
            ("\u{DF}a@m\u{FC}ller.de", "ssa@m\u{FC}ller.de"),
        ] {
            assert_eq!(key(one), key(other), "{one}");
        }
        // A text that is not a domain has no second spelling.
        assert_ne!(key("ana@\u{FF41} b"), key("ana@a b"));
        assert_ne!(key("ana@xn--\u{FF41}"), key("ana@xn--a"));
    }

    #[test]
    fn sec_081_invisible_characters_make_no_twins() {
        let invisible = "\u{AD}\u{34F}\u{115F}\u{17B4}\u{180B}\u{200B}\u{200C}\u{200D}\u{2060}\u{2064}\u{206F}\u{3164}\u{FE00}\u{FE0F}\u{FFA0}\u{FFF0}\u{1BCA0}\u{1D173}\u{E0001}\u{E0020}\u{E01EF}\u{2800}";
        for c in invisible.chars() {
            for text in [format!("a{c}na@example.com"), format!("ana@exam{c}ple.com"), format!("{c}ana")] {
                assert_eq!(Handle::parse(&text), Err(InvalidHandle::Character), "{c:?}");
            }
            assert_eq!(
                Handle::parse_anonymous(&format!("ANON_a{c}")),
                Err(InvalidHandle::Character),
                "{c:?}"
            );
            // A user of an older version can still be read.
            assert!(Handle::from_stored(&format!("a{c}na@example.com")).is_ok(), "{c:?}");
        }
        assert!(Handle::parse("z\u{F6}e@m\u{FC}ller.example").is_ok());
    }

    #[test]
    fn mail_goes_to_hosts_on_the_internet() {
        let mailbox = |text: &str| Handle::parse(text).unwrap().mailbox().map(str::to_owned);
        assert_eq!(mailbox("Ana@Stra\u{DF}e.de").as_deref(), Some("ana@xn--strae-oqa.de"));
        assert_eq!(mailbox("o'hara+x_y@example.com").as_deref(), Some("o'hara+x_y@example.com"));
        assert_eq!(mailbox("z\u{F6}e@example.com").as_deref(), Some("z\u{F6}e@example.com"));
        for nowhere in [
            "root@localhost",
            "root@mail.localhost",
            "root@mailhost",
            "root@127.0.0.1",
            "root@127.0.0.0x1",
            "root@localhost.localdomain",
            "\"v@evil.com\"@example.com",
            "a@b@example.com",
            "a,b@example.com",
            "<a>@example.com",
            "a;b@example.com",
            "root@[127.0.0.1]",
            "root@[ipv6:::1]",
            "root@2130706433",
            "root@example.",
            "root@.com",
            "root@a..com",
            "@example.com",
            "ro ot@example.com",
            "root@exam ple.com",
            "root@",
            "root",
            "root@xn--a.com",
        ] {
            assert_eq!(mailbox(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn sec_081_a_mailbox_is_told_from_what_looks_like_it() {
        let ana = Handle::parse("ana@example.com").unwrap();
        assert!(ana.is_mailbox(" Ana@Example.COM "));
        assert!(!ana.is_mailbox("\u{FF41}na@example.com"));
        assert!(!ana.is_mailbox("ana@example.org"));
        let kate = Handle::parse("kate@m\u{FC}ller.de").unwrap();
        assert!(kate.is_mailbox("kate@XN--mller-kva.de"));
        assert!(!kate.is_mailbox("\u{212A}ate@m\u{FC}ller.de"));
        let parse = |text| Handle::parse(text).unwrap();
        assert!(parse("\u{FF41}na@example.com").only_looks_like(&ana));
        assert!(!parse("ANA@example.com").only_looks_like(&ana));
        assert!(!parse("kate@xn--mller-kva.de").only_looks_like(&kate));
        assert!(!parse("bob@example.com").only_looks_like(&ana));
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
        assert!(Handle::parse_anonymous(&format!("ANON_{}", "a".repeat(249))).is_ok());
        let too_long = format!("ANON_{}", "a".repeat(250));
        assert_eq!(Handle::parse_anonymous(&too_long), Err(InvalidHandle::TooLong));
        assert!(UserName::parse(&"a".repeat(64)).is_ok());
    }

    #[test]
    fn sec_082_a_user_name_is_never_an_address() {
        assert_eq!(UserName::parse(" Ana1 ").unwrap().as_str(), "ana1");
        for wrong in ["", "1ana", "ana@example.com", "an a", "ana-b", "änn", &"a".repeat(65)] {
            assert!(UserName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_looked_for_has_the_form_of_what_is_kept() {
        assert_eq!(search_key(" \u{212A}ISS@Example.COM "), "kiss@example.com");
        assert_eq!(search_key(" ANON_Ab "), "ANON_Ab");
        assert_eq!(search_key("AN"), "an");
    }
}
