//! The meaning of mail servers' replies (RFC 5321 section 4.2, RFC 3463) and how they are reported.

use lettre::Address;
use lettre::transport::smtp::Error;

use crate::message::NotifyError;

/// The subject of a step of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// `RCPT TO`.
    Recipient,
    /// The text of the message.
    Content,
}

/// Words of replies that concern the sender's side: its account, address or allowance. Servers send such replies with
/// the codes of unknown recipients.
const ABOUT_US: [&str; 14] = [
    "relay",
    "authenticat",
    "sender",
    "quota",
    "limit exceeded",
    "rate limit",
    "too many",
    "blocked",
    "blacklist",
    "blocklist",
    "block list",
    "spamhaus",
    "reputation",
    "client host",
];

/// Longest text of a reply that is kept, in characters.
const LONGEST_TEXT: usize = 200;

/// Certificate problems as the TLS library names them, and in words.
const CERTIFICATE_PROBLEMS: [(&str, &str); 7] = [
    ("UnknownIssuer", "the certificate's issuer is unknown; mail.smtp_ca_file can name it"),
    (
        "CaUsedAsEndEntity",
        "the certificate is that of an authority; mail.smtp_ca_file cannot trust it for a host",
    ),
    ("NotValidForName", "the certificate is for another host name"),
    ("NotValidYet", "the certificate is not valid yet"),
    ("Expired", "the certificate has expired"),
    ("Revoked", "the certificate was revoked"),
    ("BadSignature", "the certificate's signature is wrong"),
];

/// The outcome for the message. Only a permanent refusal of this recipient or of this content is final: everything else
/// may change while the message waits.
pub(super) fn outcome_of(stage: Stage, error: &Error, recipients: &[Address]) -> NotifyError {
    let text = error.to_string();
    match error.status().map(u16::from) {
        // A refusal of a recipient often quotes the address, in many spellings: only its codes are kept.
        Some(code) if is_final(stage, code, &text) => {
            NotifyError::Refused(reply(code, enhanced_code(&text), ""))
        }
        Some(code) if code < 500 || matches!(enhanced_code(&text), Some([5, 2, _])) => {
            NotifyError::Deferred(describe(error, recipients))
        }
        _ => NotifyError::Unavailable(describe(error, recipients)),
    }
}

fn is_final(stage: Stage, code: u16, text: &str) -> bool {
    if !(500..600).contains(&code) {
        return false;
    }
    let lower = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    match enhanced_code(text) {
        Some([5, 1, detail]) => !matches!(detail, 7 | 8),
        Some([5, 2, detail]) => matches!(detail, 1 | 3),
        Some([5, 3, 4] | [5, 6, _]) => true,
        Some([5, 7, 0 | 1]) => stage == Stage::Content && !has(&ABOUT_US),
        None | Some([5, 0, _]) if has(&ABOUT_US) => false,
        None | Some([5, 0, _]) => match stage {
            Stage::Recipient => matches!(code, 501 | 550 | 551 | 553),
            Stage::Content => {
                matches!(code, 550 | 551 | 553 | 554) || (code == 552 && has(&["size", "large", "big"]))
            }
        },
        Some(_) => false,
    }
}

/// The enhanced status code (RFC 3463 section 2) of a reply.
fn enhanced_code(text: &str) -> Option<[u16; 3]> {
    text.split_ascii_whitespace().find_map(|word| {
        let parts: Vec<u16> = word.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        <[u16; 3]>::try_from(parts).ok().filter(|[class, ..]| matches!(class, 2 | 4 | 5))
    })
}

fn reply(code: u16, enhanced: Option<[u16; 3]>, words: &str) -> String {
    let enhanced = enhanced.map(|[class, subject, detail]| format!("{class}.{subject}.{detail}"));
    let parts = [code.to_string(), enhanced.unwrap_or_default(), words.to_owned()];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("the mail server answered {}", parts.join(" "))
}

/// One line for the operator: the server's reply in its own words, without addresses, or what went wrong before there
/// was one.
pub(super) fn describe(error: &Error, recipients: &[Address]) -> String {
    let Some(code) = error.status().map(u16::from) else { return describe_failure(error) };
    let text = error.to_string();
    let words = text.split_once("): ").map_or("", |(_, words)| words);
    let enhanced = enhanced_code(words);
    let is_code = |word: &str| enhanced.is_some() && enhanced_code(word) == enhanced;
    let is_private = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        word.contains('@') || recipients.iter().any(|address| address.user().eq_ignore_ascii_case(bare))
    };
    let words = words.split_whitespace().filter(|word| !is_code(word));
    let words: Vec<_> = words.map(|word| if is_private(word) { "[address]" } else { word }).collect();
    shortened(&reply(code, enhanced, &words.join(" ")))
}

fn describe_failure(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        // Some errors repeat the text of their cause.
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    if text.contains("invalid peer certificate") {
        let found = CERTIFICATE_PROBLEMS.iter().find(|(name, _)| text.contains(name));
        let words = found.map_or("the certificate is invalid", |(_, words)| words);
        return format!("no TLS with the mail server: {words}");
    }
    shortened(&text)
}

fn shortened(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_TEXT).collect()
}
