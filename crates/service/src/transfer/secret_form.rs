//! The form in which an export contains secrets.

use std::sync::Arc;

use latchkey_crypto::PassphraseKey;

use crate::base::error::ServiceError;

/// The treatment of secrets in an export.
#[derive(Debug, Clone)]
pub(super) enum SecretForm {
    /// It stays here.
    Absent,
    /// It is sealed to a passphrase.
    Sealed(Arc<PassphraseKey>),
    /// Exported in plain text.
    Clear,
}

impl SecretForm {
    /// A secret value, as exported.
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
