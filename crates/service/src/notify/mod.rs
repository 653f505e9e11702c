//! Messages: composing mail and SMS, and sending them from the outbox.

pub(crate) mod mail;
pub(crate) mod mailed_code;
pub(crate) mod outbox;
pub(crate) mod payload;
pub(crate) mod sms;

pub use mail::MailLimits;
pub use outbox::MailIdentity;
pub use sms::{SmsLimits, TestSms};
