//! Errors of keys, seals and hashes. Wrong passwords and forged tokens are not errors but results.

use latchkey_domain::EntropyError;

/// A cryptographic operation could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// The system's random source failed.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A sealed value was changed, belongs to another row, or was sealed with a key that is not here.
    #[error("a sealed value cannot be decrypted")]
    Unsealable,
    /// Key material does not have the form that it should have.
    #[error("a key is malformed: {0}")]
    Key(&'static str),
    /// A stored password hash is malformed or would cost more than is allowed.
    #[error("the password digest is not acceptable: {0}")]
    Hash(&'static str),
    /// There is not enough memory for a password hash.
    #[error("not enough memory for a password hash")]
    OutOfMemory,
    /// The cryptographic library refused an operation that cannot fail with good inputs.
    #[error("the cryptographic library failed: {0}")]
    Library(&'static str),
}
