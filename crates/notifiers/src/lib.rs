//! Mail and text messages for Latchkey, a self-hosted JWT authentication server: the ports through which they
//! leave, senders behind them, the rendering of messages, and QR codes.
//!
//! When a message is sent, and how often it is tried, is the service's business.
//!
//! ```
//! use latchkey_domain::{Locale, TemplateName};
//! use latchkey_notifiers::{Language, MessageKind, Values, render};
//!
//! let english = Language::of(Locale::EN).ok_or("no English")?;
//! let template = english.message(MessageKind::Named(TemplateName::SignUp));
//! let values =
//!     Values { app_name: "Shop", handle: "ana@example.com", code: Some("123456"), ..Values::default() };
//! let rendered = render(&template, &values);
//! assert_eq!(rendered.subject, "Verify your email for Shop");
//! assert!(rendered.text.contains("123456"));
//! # Ok::<(), &str>(())
//! ```

mod folder;
mod html;
mod html_scanner;
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
