//! The development mailbox: reads what the folder sender wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mail_parser::MessageParser;

/// The folder of a [`FolderSender`](crate::FolderSender), to be read.
#[derive(Debug, Clone)]
pub struct Mailbox(PathBuf);

/// A mail that was caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaughtMail {
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// The one-time code in its text: the first six to eight digits that stand alone.
    pub code: Option<String>,
}

/// How many of the newest mails are looked at.
const MOST_READ: usize = 200;

impl Mailbox {
    /// The mailbox in this folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The newest mail to an address, among the newest 200 of the mailbox. Files that cannot be read are skipped.
    #[must_use]
    pub fn newest_to(&self, address: &str) -> Option<CaughtMail> {
        let mut files: Vec<(SystemTime, PathBuf)> = fs::read_dir(&self.0)
            .ok()?
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "eml"))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort_unstable_by(|one, other| other.cmp(one));
        files.iter().take(MOST_READ).find_map(|(_, path)| read(path, address))
    }
}

fn read(path: &Path, address: &str) -> Option<CaughtMail> {
    let bytes = fs::read(path).ok()?;
    let mail = MessageParser::default().parse(&bytes)?;
    let is_to = mail
        .to()?
        .iter()
        .any(|to| to.address.as_ref().is_some_and(|found| found.eq_ignore_ascii_case(address)));
    if !is_to {
        return None;
    }
    let text = mail.body_text(0).unwrap_or_default().into_owned();
    Some(CaughtMail { subject: mail.subject().unwrap_or_default().to_owned(), code: code_in(&text), text })
}

fn code_in(text: &str) -> Option<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let is_code =
        |word: &&str| (6..=8).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    words.into_iter().find(is_code).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_mail_to_an_address_is_found_with_its_code() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::new(folder.path().to_owned());
        assert_eq!(mailbox.newest_to("ana@example.com"), None);
        let write = |name: &str, to: &str, body: &str| {
            let mail = format!("To: {to}\r\nSubject: Verify\r\n\r\n{body}\r\n");
            fs::write(folder.path().join(name), mail).unwrap();
        };
        write("1.eml", "ana@example.com", "Your code is 123456.");
        write("2.txt", "ana@example.com", "Your code is 999999.");
        write("3.eml", "bob@example.com", "Your code is 888888.");
        let found = mailbox.newest_to("Ana@example.com").unwrap();
        assert_eq!((found.subject.as_str(), found.code.as_deref()), ("Verify", Some("123456")));
        fs::write(folder.path().join("4.eml"), b"\xff\xfe").unwrap();
        assert!(mailbox.newest_to("ana@example.com").is_some());
    }

    #[test]
    fn a_code_stands_alone() {
        assert_eq!(code_in("order 123456789, code 12345678"), Some("12345678".to_owned()));
        assert_eq!(code_in("a123456 12345 x"), None);
    }
}
