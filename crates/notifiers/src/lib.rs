//! Mail and text messages.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod folder;
mod html;
mod html_scanner;
mod mailbox;
mod memory;
mod message;
mod placeholders;
mod qr;
mod render;
mod sms;
mod smtp;
mod templates;
#[cfg(feature = "twilio")]
mod twilio;

pub use folder::FolderSender;
pub use html::{UnusableHtml, check_html, cleaned, escaped, text_of};
pub use mailbox::{CaughtMail, Mailbox};
pub use memory::MemorySender;
pub use message::{Attachment, Email, EmailSender, InvalidAddress, MailAddress, NotifyError, Sending};
pub use placeholders::{MisplacedSecret, check_secrets};
pub use qr::{authenticator_uri, qr_png};
pub use render::{Link, Rendered, Template, Values, percent_encoded, render, render_html};
pub use sms::{Sms, SmsAccount, SmsOrigin, SmsSender};
pub use smtp::{InvalidSmtp, SmtpSender, SmtpServer, SmtpSettings, SmtpTls};
pub use templates::{Language, MessageKind, Notes, PageTexts};
#[cfg(feature = "twilio")]
pub use twilio::TwilioSender;
