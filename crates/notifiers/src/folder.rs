//! A sender that writes each message as a file: mails as any mail program opens them, text messages as text.
//! The development mailbox.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::message::{Email, EmailSender, NotifyError, Sending};
use crate::sms::{Sms, SmsSender};

/// Writes messages into a folder, one `.eml` or `.txt` file each, readable by its owner only.
#[derive(Debug)]
pub struct FolderSender {
    folder: PathBuf,
}

impl FolderSender {
    /// A sender into this folder, which must exist.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The name is the message's id: a message that is sent twice is one file.
    async fn write(&self, id: &str, extension: &str, content: Vec<u8>) -> Result<(), NotifyError> {
        let unfinished = self.folder.join(format!("{id}.part"));
        let finished = self.folder.join(format!("{id}.{extension}"));
        let writing = tokio::task::spawn_blocking(move || {
            write_file(&unfinished, &content).and_then(|()| fs::rename(&unfinished, &finished)).inspect_err(
                |_| {
                    let _ = fs::remove_file(&unfinished);
                },
            )
        });
        let written = writing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        written.map_err(|error| NotifyError::Unavailable(error.to_string()))
    }
}

/// Writes a file that only its owner can read. Blocking calls: tokio's files report a full disk after the write has returned.
fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

impl EmailSender for FolderSender {
    fn send<'a>(&'a self, email: &'a Email) -> Sending<'a> {
        Box::pin(async move { self.write(&email.id, "eml", email.to_mime()?).await })
    }

    fn name(&self) -> &str {
        "folder"
    }
}

impl SmsSender for FolderSender {
    fn send_sms<'a>(&'a self, sms: &'a Sms) -> Sending<'a> {
        Box::pin(async move {
            let content = format!("To: {}\n\n{}\n", sms.to.as_str(), sms.text.trim_end());
            self.write(&sms.id, "txt", content.into_bytes()).await
        })
    }

    fn name(&self) -> &str {
        "folder"
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::message::MailAddress;

    fn email() -> Email {
        Email {
            id: "0190163d8694739baea5966c26f8ad91".to_owned(),
            host: "auth.example.com".to_owned(),
            from: MailAddress::parse("Shop <noreply@example.com>").unwrap(),
            to: MailAddress::parse_bare("ana@example.com").unwrap(),
            reply_to: None,
            relay_key: None,
            attachment: None,
            subject: "Grüße\r\nBcc: eve@example.com".to_owned(),
            text: "Your code is 123456".to_owned(),
            html: "<p>Your code is <b>123456</b></p>".to_owned(),
            date: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn a_message_is_one_file_however_often_it_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let sender = FolderSender::new(folder.path().to_owned());
        sender.send(&email()).await.unwrap();
        sender.send(&email()).await.unwrap();
        let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].extension().unwrap(), "eml");
        let text = fs::read_to_string(&files[0]).unwrap();
        for expected in [
            "Message-ID: <0190163d8694739baea5966c26f8ad91@auth.example.com>",
            "From: Shop <noreply@example.com>",
            "To: ana@example.com",
            "Date: Thu, 01 Jan 1970 00:00:00 +0000",
            "Your code is 123456",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_picture_travels_as_an_attachment() {
        let mut email = email();
        email.attachment = Some(crate::Attachment { name: "QRCode.png".to_owned(), png: vec![0x89, b'P'] });
        let mime = String::from_utf8(email.to_mime().unwrap()).unwrap();
        for expected in
            ["multipart/mixed", "multipart/alternative", "image/png", "filename=\"QRCode.png\"", "iVA="]
        {
            assert!(mime.contains(expected), "{expected} in {mime}");
        }
    }

    #[tokio::test]
    async fn a_text_message_is_one_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let sender = FolderSender::new(folder.path().to_owned());
        let sms = Sms {
            id: "1".to_owned(),
            to: latchkey_domain::Phone::parse("+4915112345678").unwrap(),
            text: "123456 is your code.\n".to_owned(),
            account: crate::SmsAccount {
                sid: "AC1".to_owned(),
                token: secrecy::SecretString::from("canary"),
                origin: crate::SmsOrigin::Service("MG1".to_owned()),
            },
            valid_for: None,
        };
        sender.send_sms(&sms).await.unwrap();
        let text = fs::read_to_string(folder.path().join("1.txt")).unwrap();
        assert_eq!(text, "To: +4915112345678\n\n123456 is your code.\n");
    }

    #[test]
    fn sec_109_no_value_adds_a_header() {
        let mime = String::from_utf8(email().to_mime().unwrap()).unwrap();
        assert!(!mime.lines().any(|line| line.starts_with("Bcc")), "{mime}");
        for wrong in ["a\r\nBcc: b@c.d", "a@b.c\0", "a@b.c, d@e.f", "", "no address"] {
            assert!(MailAddress::parse_bare(wrong).is_err(), "{wrong}");
        }
        assert!(MailAddress::parse_bare("Ana <ana@example.com>").is_err());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_full_disk_keeps_the_message() {
        let folder = tempfile::tempdir().unwrap();
        let unfinished = folder.path().join(format!("{}.part", email().id));
        std::os::unix::fs::symlink("/dev/full", unfinished).unwrap();
        let sender = FolderSender::new(folder.path().to_owned());
        let error = sender.send(&email()).await.unwrap_err();
        assert!(
            matches!(&error, NotifyError::Unavailable(text) if text.contains("No space left")),
            "{error}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing looks like a message");
        sender.send(&email()).await.unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_missing_folder_is_not_now() {
        let sender = FolderSender::new("/nonexistent/mailbox".into());
        assert!(matches!(sender.send(&email()).await, Err(NotifyError::Unavailable(_))));
    }
}
