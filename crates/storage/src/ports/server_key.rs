//! The server's keys, wrapped.

use latchkey_domain::{Sealed, ServerKey};
use time::OffsetDateTime;

use crate::StorageError;

/// Looks the server's keys up.
pub trait ServerKeyReader {
    /// All keys.
    fn list(&mut self) -> Result<Vec<ServerKey>, StorageError>;

    /// The public keys (PEM) of old servers whose app tokens are taken.
    fn old_public_keys(&mut self) -> Result<Vec<String>, StorageError>;
}

/// Changes the server's keys.
pub trait ServerKeyRepository: ServerKeyReader {
    /// Adds a key. `false` when one of its purpose and generation exists: another instance was faster.
    fn add(&mut self, key: &ServerKey) -> Result<bool, StorageError>;

    /// Says when a key ends altogether. `false` when that was said before, or it is gone.
    fn end(&mut self, key: &ServerKey, at: OffsetDateTime) -> Result<bool, StorageError>;

    /// Removes a key. `false` when it is gone.
    fn remove(&mut self, key: &ServerKey) -> Result<bool, StorageError>;

    /// Takes the app tokens of an old server from now on. `false` when they were taken already.
    fn trust_old(&mut self, kid: &str, public_pem: &str, now: OffsetDateTime) -> Result<bool, StorageError>;

    /// Stores a rewrapped key, unless its wrapping has changed meanwhile. Returns `false` then.
    fn rewrap(&mut self, key: &ServerKey, from: &Sealed) -> Result<bool, StorageError>;
}
