//! Periodic work: who does it, and the removal of rows whose time is over.

use latchkey_domain::AppId;
use time::OffsetDateTime;

use crate::StorageError;

/// Which rows go when their time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// Codes by the end of their life.
    Codes,
    /// Counters by the end of their period.
    Quotas,
    /// Sign-ups, by the time of their last request.
    Signups,
    /// Invitations by when they were last repeated.
    Invites,
    /// Entries of the audit log by their age.
    AuditLog,
    /// Handles by the end of their holding.
    HeldHandles,
    /// Messages that were given up, by when that was.
    DeadMessages,
    /// Log-ins of the portal, by when they were made.
    PortalLogins,
}

/// Periodic work.
pub trait UpkeepRepository {
    /// Takes a job until `next`, if it is due. `false` when it is not, or another instance was faster.
    fn claim_job(
        &mut self,
        name: &'static str,
        now: OffsetDateTime,
        next: OffsetDateTime,
    ) -> Result<bool, StorageError>;

    /// Notes that a job was done.
    fn finish_job(&mut self, name: &'static str, now: OffsetDateTime) -> Result<(), StorageError>;

    /// The time of the newest entry of the audit log, or of the last job that was done, if that was later.
    fn newest_time(&mut self) -> Result<Option<OffsetDateTime>, StorageError>;

    /// Removes at most `limit` rows that expired before `before`, and returns their number.
    fn remove_expired(
        &mut self,
        what: Expired,
        before: OffsetDateTime,
        limit: u32,
    ) -> Result<usize, StorageError>;

    /// Removes at most `limit` anonymous users of an application who were created before `before`, changed nothing and
    /// never came back. Returns their number.
    fn remove_unused_anonymous(
        &mut self,
        app_id: AppId,
        before: OffsetDateTime,
        limit: u32,
    ) -> Result<usize, StorageError>;
}
