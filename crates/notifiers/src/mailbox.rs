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
    /// The name of its file, without extension.
    pub id: String,
    /// When it was written.
    pub at: SystemTime,
    /// The address that it goes to.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// Its HTML, if it has some.
    pub html: Option<String>,
    /// The one-time code in its text: the first six to eight digits that stand alone.
    pub code: Option<String>,
    /// The first link in its text.
    pub link: Option<String>,
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
        self.mails().take(MOST_READ).find(|mail| mail.to.eq_ignore_ascii_case(address))
    }

    /// The newest mails, at most so many. Files that cannot be read are skipped.
    #[must_use]
    pub fn newest(&self, most: usize) -> Vec<CaughtMail> {
        self.mails().take(most).collect()
    }

    /// The mail of this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<CaughtMail> {
        let is_name =
            !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let path = self.0.join(format!("{id}.eml"));
        is_name.then(|| read(fs::metadata(&path).ok()?.modified().ok()?, &path)).flatten()
    }

    fn mails(&self) -> impl Iterator<Item = CaughtMail> {
        let mut files: Vec<(SystemTime, PathBuf)> = fs::read_dir(&self.0)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "eml"))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort_unstable_by(|one, other| other.cmp(one));
        files.into_iter().filter_map(|(at, path)| read(at, &path))
    }
}

fn read(at: SystemTime, path: &Path) -> Option<CaughtMail> {
    let bytes = fs::read(path).ok()?;
    let mail = MessageParser::default().parse(&bytes)?;
    let to = mail.to()?.first()?.address.as_ref()?.to_string();
    let text = mail.body_text(0).unwrap_or_default().into_owned();
    let html = (mail.html_body_count() > 0 && mail.parts.iter().any(mail_parser::MessagePart::is_text_html))
        .then(|| mail.body_html(0).map(std::borrow::Cow::into_owned))
        .flatten();
    Some(CaughtMail {
        id: path.file_stem()?.to_str()?.to_owned(),
        at,
        to,
        subject: mail.subject().unwrap_or_default().to_owned(),
        html,
        code: code_in(&text),
        link: link_in(&text),
        text,
    })
}

fn link_in(text: &str) -> Option<String> {
    text.split_whitespace()
        .find(|word| word.starts_with("https://") || word.starts_with("http://"))
        .map(str::to_owned)
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
        assert_eq!((found.id.as_str(), found.html.as_deref(), found.link.as_deref()), ("1", None, None));
        assert_eq!(mailbox.newest(5).len(), 2);
        assert_eq!(mailbox.find("3").unwrap().to, "bob@example.com");
        for wrong in ["", "2", "../1", "9", "1.eml", "/etc/passwd"] {
            assert_eq!(mailbox.find(wrong), None, "{wrong}");
        }
        fs::write(folder.path().join("4.eml"), b"\xff\xfe").unwrap();
        assert!(mailbox.newest_to("ana@example.com").is_some());
    }

    #[test]
    fn a_link_and_the_html_are_lifted_out() {
        let folder = tempfile::tempdir().unwrap();
        let mail = "To: ana@example.com\r\nSubject: Verify\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\
             Open https://auth.example.com/x?y=1 now.\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>Open</b>\r\n--b--\r\n";
        fs::write(folder.path().join("1.eml"), mail).unwrap();
        let found = Mailbox::new(folder.path().to_owned()).find("1").unwrap();
        assert_eq!(found.link.as_deref(), Some("https://auth.example.com/x?y=1"));
        assert!(found.html.unwrap().contains("<b>Open</b>"));
    }

    #[test]
    fn a_code_stands_alone() {
        assert_eq!(code_in("order 123456789, code 12345678"), Some("12345678".to_owned()));
        assert_eq!(code_in("a123456 12345 x"), None);
    }
}
