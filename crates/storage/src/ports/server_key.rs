//! The server's keys, wrapped.

use latchkey_domain::{Sealed, ServerKey};

use crate::StorageError;

/// Looks the server's keys up.
pub trait ServerKeyReader {
    /// All keys.
    ///
    /// # Errors
    /// [`StorageError`].
    fn list(&mut self) -> Result<Vec<ServerKey>, StorageError>;
}

/// Changes the server's keys.
pub trait ServerKeyRepository: ServerKeyReader {
    /// Adds a key. `false` when one of its purpose and generation exists: another instance was faster.
    ///
    /// # Errors
    /// [`StorageError`].
    fn add(&mut self, key: &ServerKey) -> Result<bool, StorageError>;

    /// Keeps a key as it is wrapped now, unless it is no longer wrapped as it was. `false` then.
    ///
    /// # Errors
    /// [`StorageError`].
    fn rewrap(&mut self, key: &ServerKey, from: &Sealed) -> Result<bool, StorageError>;
}
