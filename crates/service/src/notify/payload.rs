//! The sealed content of a message's row, between the use case that writes it and the worker that sends it.

use latchkey_crypto::SealContext;
use latchkey_domain::{AppId, MessageId};
use serde::{Deserialize, Serialize};

/// A mail.
#[derive(Serialize, Deserialize)]
pub(crate) struct MailPayload {
    pub(crate) to: String,
    #[serde(default)]
    pub(crate) reply_to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) picture: Option<Vec<u8>>,
}

/// A text message.
#[derive(Serialize, Deserialize)]
pub(crate) struct SmsPayload {
    pub(crate) to: String,
    pub(crate) text: String,
}

/// What such a value is sealed as.
pub(crate) const SEALED_AS: &str = "outbox";

pub(crate) fn payload_of(app_id: AppId, id: &MessageId) -> SealContext<'_> {
    SealContext { purpose: SEALED_AS, app_id, row: id.as_bytes() }
}
