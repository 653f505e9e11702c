//! One-time codes, as digests.

use latchkey_domain::{AppId, CodeId, CodePurpose, StoredCode};
use time::OffsetDateTime;

use crate::StorageError;

/// Looks codes up.
pub trait CodeReader {
    /// The codes of a subject, newest first. Expired and consumed ones are among them.
    fn list(
        &mut self,
        app_id: AppId,
        purpose: CodePurpose,
        subject: &[u8; 16],
    ) -> Result<Vec<StoredCode>, StorageError>;
}

/// Changes codes.
pub trait CodeRepository: CodeReader {
    /// Adds a code.
    fn add(&mut self, code: &StoredCode) -> Result<(), StorageError>;

    /// Marks a code as used. Returns `false` if it was used already.
    fn consume(&mut self, app_id: AppId, id: CodeId, now: OffsetDateTime) -> Result<bool, StorageError>;

    /// Removes one code.
    fn remove(&mut self, app_id: AppId, id: CodeId) -> Result<(), StorageError>;

    /// Removes all codes of a subject.
    fn remove_all(&mut self, app_id: AppId, subject: &[u8; 16]) -> Result<(), StorageError>;

    /// Removes the codes of a subject that were not consumed.
    fn remove_unconsumed(&mut self, app_id: AppId, subject: &[u8; 16]) -> Result<(), StorageError>;
}
