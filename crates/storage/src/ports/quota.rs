//! Counters that belong to no row of their own, such as wrong tries.

use latchkey_domain::{AppId, KeyedDigest};
use time::OffsetDateTime;

use crate::StorageError;

/// Identifies a counter.
#[derive(Debug, Clone)]
pub struct QuotaKey {
    /// The application; all zeros for what is counted over all.
    pub app_id: AppId,
    /// The kind of event, for instance `sign_up.wrong`.
    pub kind: &'static str,
    /// Whose.
    pub subject: KeyedDigest,
    /// In which period: 0 where there is only one.
    pub period: i64,
    /// From when on the counter counts nothing.
    pub expires_at: OffsetDateTime,
}

/// Changes counters.
pub trait QuotaRepository {
    /// Takes one of `limit`. `false`, and nothing is taken, when none is left.
    fn reserve(&mut self, key: &QuotaKey, limit: u32) -> Result<bool, StorageError> {
        self.reserve_many(key, 1, limit)
    }

    /// Takes `number` of `limit`. `false`, and nothing is taken, when fewer are left.
    fn reserve_many(&mut self, key: &QuotaKey, number: u32, limit: u32) -> Result<bool, StorageError>;

    /// How many were taken.
    fn used(&mut self, key: &QuotaKey) -> Result<u32, StorageError>;

    /// Gives one back.
    fn give_back(&mut self, key: &QuotaKey) -> Result<(), StorageError> {
        self.give_many_back(key, 1)
    }

    /// Gives `number` back, or as many as were taken.
    fn give_many_back(&mut self, key: &QuotaKey, number: u32) -> Result<(), StorageError>;

    /// Gives everything back that was taken.
    fn reset(&mut self, key: &QuotaKey) -> Result<(), StorageError>;
}
