//! Messages, and the port that sends them.

use std::future::Future;
use std::pin::Pin;

use latchkey_domain::{Handle, has_forbidden_characters};
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue, MessageId as MessageIdHeader};
use lettre::message::{Attachment as Part, Mailbox, MultiPart};
use secrecy::SecretString;
use time::OffsetDateTime;

/// The text is not a deliverable mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not a mail address")]
pub struct InvalidAddress;

/// An address, optionally with a name before it.
#[derive(Debug, Clone, PartialEq)]
pub struct MailAddress(Mailbox);

impl MailAddress {
    /// Parses `ana@example.com` or `Ana <ana@example.com>` (RFC 5322 section 3.4).
    ///
    /// # Errors
    /// [`InvalidAddress`].
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        if has_forbidden_characters(text) {
            return Err(InvalidAddress);
        }
        text.parse().map(Self).map_err(|_| InvalidAddress)
    }

    /// A sender's address and name.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        Self(Mailbox::new(Some(name.to_owned()), self.0.email.clone()))
    }

    /// The address without a name.
    #[must_use]
    pub fn bare(&self) -> String {
        self.0.email.to_string()
    }

    /// Whether its domain is a name on the internet, as mail servers demand it of senders.
    #[must_use]
    pub fn is_of_a_host(&self) -> bool {
        Handle::parse(&self.bare()).is_ok_and(|handle| handle.mailbox().is_some())
    }

    /// The address of a handle's mailbox, if it has one.
    #[must_use]
    pub fn of(handle: &Handle) -> Option<Self> {
        Self::parse_bare(handle.mailbox()?).ok()
    }

    /// An address alone: no name, no angle brackets.
    ///
    /// # Errors
    /// [`InvalidAddress`].
    pub fn parse_bare(text: &str) -> Result<Self, InvalidAddress> {
        if has_forbidden_characters(text) {
            return Err(InvalidAddress);
        }
        text.parse().map(|email| Self(Mailbox::new(None, email))).map_err(|_| InvalidAddress)
    }
}

/// A picture that travels with a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its name as a file.
    pub name: String,
    /// The picture (PNG).
    pub png: Vec<u8>,
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attachment({}, {} bytes)", self.name, self.png.len())
    }
}

/// One message to one person.
#[derive(Debug, Clone)]
pub struct Email {
    /// What tells it from all others: the same message sent twice has the same one.
    pub id: String,
    /// The host that the `Message-ID` names.
    pub host: String,
    /// Who sends it.
    pub from: MailAddress,
    /// Who gets it.
    pub to: MailAddress,
    /// Where answers go, if not to the sender.
    pub reply_to: Option<MailAddress>,
    /// The application's own key at the mail provider, if it has one.
    pub relay_key: Option<SecretString>,
    /// The subject.
    pub subject: String,
    /// The message as plain text.
    pub text: String,
    /// The message as HTML.
    pub html: String,
    /// A picture that travels with it.
    pub attachment: Option<Attachment>,
    /// When it was written.
    pub date: OffsetDateTime,
}

impl Email {
    /// The message as it travels (RFC 5322), with a plain and an HTML part.
    ///
    /// # Errors
    /// [`NotifyError::Refused`] when a header cannot be made of its value.
    pub fn to_mime(&self) -> Result<Vec<u8>, NotifyError> {
        self.to_message().map(|message| message.formatted())
    }

    pub(crate) fn to_message(&self) -> Result<lettre::Message, NotifyError> {
        let mut builder = lettre::Message::builder();
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.0.clone());
        }
        let texts = MultiPart::alternative()
            .singlepart(part(ContentType::TEXT_PLAIN, &self.text))
            .singlepart(part(ContentType::TEXT_HTML, &self.html));
        let refused = |error: &dyn std::fmt::Display| NotifyError::Refused(error.to_string());
        let body = match &self.attachment {
            None => texts,
            Some(Attachment { name, png }) => {
                let kind = ContentType::parse("image/png").map_err(|error| refused(&error))?;
                MultiPart::mixed()
                    .multipart(texts)
                    .singlepart(Part::new(name.clone()).body(png.clone(), kind))
            }
        };
        builder
            .header(AutoSubmitted)
            .header(MessageIdHeader::from(format!("<{}@{}>", self.id, self.host)))
            .date(self.date.into())
            .from(self.from.0.clone())
            .to(self.to.0.clone())
            .subject(&self.subject)
            .multipart(body)
            .map_err(|error| refused(&error))
    }
}

/// Says that no person wrote the message, so that no program answers it (RFC 3834 section 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

fn part(kind: ContentType, body: &str) -> lettre::message::SinglePart {
    lettre::message::SinglePart::builder().header(kind).body(body.to_owned())
}

/// Why a message did not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// It can never be sent.
    #[error("refused: {0}")]
    Refused(String),
    /// The account or its server sends nothing now; the message may be sent later.
    #[error("not now: {0}")]
    Unavailable(String),
    /// This message may be sent later, for example because the mailbox is full. Others can be sent meanwhile.
    #[error("not now: {0}")]
    Deferred(String),
    /// It is unknown whether it was sent.
    #[error("{before}: {0}", before = Self::NO_ANSWER)]
    Unanswered(String),
}

impl NotifyError {
    /// How the text of [`NotifyError::Unanswered`] begins.
    pub const NO_ANSWER: &'static str = "no answer";
}

/// A send that is under way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), NotifyError>> + Send + 'a>>;

/// Sends mail.
pub trait EmailSender: Send + Sync {
    /// Sends one message. `Ok` means that another server is responsible for it now.
    fn send<'a>(&'a self, email: &'a Email) -> Sending<'a>;

    /// The sender's name in the audit log, such as the host.
    fn name(&self) -> &str;
}

impl std::fmt::Display for MailAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
