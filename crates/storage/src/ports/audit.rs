//! The audit log: entries are added and read, never changed.

use latchkey_domain::{AppId, AuditEntry, AuditFilter, AuditId, UsageDay};
use time::OffsetDateTime;

use crate::StorageError;

/// Where a page of the log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditStart {
    /// After so many entries.
    Skip(u32),
    /// After this one.
    After(AuditId),
}

/// Reads the audit log.
pub trait AuditReader {
    /// At most `limit` entries of an application, newest first.
    fn list(&mut self, app_id: AppId, limit: u32) -> Result<Vec<AuditEntry>, StorageError>;

    /// At most `limit` entries that a filter lets through, newest first, after so many or after one.
    fn search(
        &mut self,
        app_id: AppId,
        filter: &AuditFilter,
        start: AuditStart,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StorageError>;

    /// How many entries a filter lets through.
    fn count(&mut self, app_id: AppId, filter: &AuditFilter) -> Result<u64, StorageError>;

    /// The statistics of counted days: `from` and later, before `until`.
    fn usage(&mut self, app_id: AppId, from: i64, until: i64) -> Result<Vec<UsageDay>, StorageError>;

    /// Counts the entries of a time: `from` and later, before `until`.
    fn count_usage(
        &mut self,
        app_id: AppId,
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<UsageDay>, StorageError>;
}

/// Writes the audit log.
pub trait AuditRepository: AuditReader {
    /// Adds an entry.
    fn add(&mut self, entry: &AuditEntry) -> Result<(), StorageError>;

    /// Stores the statistics of a day, replacing earlier ones.
    fn put_usage(&mut self, app_id: AppId, day: i64, usage: &[UsageDay]) -> Result<(), StorageError>;
}
