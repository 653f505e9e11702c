//! In which form secrets leave with what moves out.

use std::sync::Arc;

use latchkey_crypto::PassphraseKey;

use crate::ServiceError;

/// What becomes of what must stay secret.
#[derive(Debug, Clone)]
pub(super) enum SecretForm {
    /// It stays here.
    Absent,
    /// It is sealed to a passphrase.
    Sealed(Arc<PassphraseKey>),
    /// It leaves as it is.
    Clear,
}

impl SecretForm {
    /// A secret that stands in a place, as it leaves.
    pub(super) fn of(&self, place: &str, text: &[u8]) -> Result<Option<String>, ServiceError> {
        Ok(match self {
            Self::Absent => None,
            Self::Sealed(key) => Some(key.seal(place, text)?),
            Self::Clear => Some(String::from_utf8_lossy(text).into_owned()),
        })
    }

    pub(super) fn leaves(&self) -> bool {
        !matches!(self, Self::Absent)
    }
}
