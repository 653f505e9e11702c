//! Text messages, and the port through which they leave.

use std::time::Duration;

use latchkey_domain::Phone;
use secrecy::SecretString;

use crate::message::Sending;

/// Who a text message comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SmsOrigin {
    /// A number.
    Number(Phone),
    /// A messaging service of the provider, which chooses one.
    Service(String),
}

/// An account at the SMS provider.
#[derive(Debug, Clone)]
pub struct SmsAccount {
    /// Its name there.
    pub sid: String,
    /// Its secret.
    pub token: SecretString,
    /// Who its messages come from.
    pub origin: SmsOrigin,
}

/// One text message to one phone.
#[derive(Debug, Clone)]
pub struct Sms {
    /// What tells it from all others.
    pub id: String,
    /// Where it goes.
    pub to: Phone,
    /// The text.
    pub text: String,
    /// Who pays for it.
    pub account: SmsAccount,
    /// How long it is worth delivering.
    pub valid_for: Option<Duration>,
}

/// Sends text messages.
pub trait SmsSender: Send + Sync {
    /// Sends one message. `Ok` means that the provider is responsible for it now.
    fn send_sms<'a>(&'a self, sms: &'a Sms) -> Sending<'a>;

    /// The sender's name in the audit log.
    fn name(&self) -> &str;
}
