//! Mail for Latchkey, a self-hosted JWT authentication server: the port through which mail leaves, senders
//! behind it, and the rendering of its messages.
//!
//! When a message is sent, and how often it is tried, is the service's business.
//!
//! ```
//! use latchkey_notifiers::{MessageKind, Values, built_in, render};
//!
//! let values = Values { app_name: "Shop", handle: "ana@example.com", code: Some("123456") };
//! let rendered = render(built_in(MessageKind::SignUp), &values);
//! assert_eq!(rendered.subject, "Verify your email for Shop");
//! assert!(rendered.text.contains("123456"));
//! ```

mod folder;
mod memory;
mod message;
mod render;
mod templates;

pub use folder::FolderSender;
pub use memory::MemorySender;
pub use message::{Email, EmailSender, InvalidAddress, MailAddress, NotifyError, Sending};
pub use render::{Rendered, Template, Values, render};
pub use templates::{MessageKind, built_in};
