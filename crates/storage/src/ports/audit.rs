//! The audit log: entries are added and read, never changed.

use latchkey_domain::{AppId, AuditEntry};

use crate::StorageError;

/// Reads the audit log.
pub trait AuditReader {
    /// At most `limit` entries of an application, newest first.
    ///
    /// # Errors
    /// [`StorageError`].
    fn list(&mut self, app_id: AppId, limit: u32) -> Result<Vec<AuditEntry>, StorageError>;
}

/// Writes the audit log.
pub trait AuditRepository: AuditReader {
    /// Adds an entry.
    ///
    /// # Errors
    /// [`StorageError`].
    fn add(&mut self, entry: &AuditEntry) -> Result<(), StorageError>;
}
