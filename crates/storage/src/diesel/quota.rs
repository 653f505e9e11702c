//! Queries of counters.

use diesel::prelude::*;

use super::connection::{Unit, on_backend};
use super::convert::to_stored_time;
use super::schema::quotas;
use crate::{QuotaKey, QuotaRepository, StorageError};

impl QuotaRepository for Unit<'_> {
    fn reserve(&mut self, key: &QuotaKey, limit: u32) -> Result<bool, StorageError> {
        if limit == 0 {
            return Ok(false);
        }
        let added = on_backend!(self, conn => diesel::insert_into(quotas::table)
            .values((
                quotas::app_id.eq(key.app_id.as_bytes().as_slice()),
                quotas::kind.eq(key.kind),
                quotas::subject.eq(key.subject.as_bytes().as_slice()),
                quotas::period.eq(key.period),
                quotas::used.eq(1),
                quotas::expires_at.eq(to_stored_time(key.expires_at)),
            ))
            .on_conflict_do_nothing()
            .execute(conn))?;
        if added == 1 {
            return Ok(true);
        }
        let taken = on_backend!(self, conn => diesel::update(quotas::table)
            .filter(quotas::app_id.eq(key.app_id.as_bytes().as_slice()))
            .filter(quotas::kind.eq(key.kind))
            .filter(quotas::subject.eq(key.subject.as_bytes().as_slice()))
            .filter(quotas::period.eq(key.period))
            .filter(quotas::used.lt(i64::from(limit)))
            .set((quotas::used.eq(quotas::used + 1), quotas::expires_at.eq(to_stored_time(key.expires_at))))
            .execute(conn))?;
        Ok(taken == 1)
    }

    fn used(&mut self, key: &QuotaKey) -> Result<u32, StorageError> {
        let used: Option<i64> = on_backend!(self, conn => quotas::table
            .filter(quotas::app_id.eq(key.app_id.as_bytes().as_slice()))
            .filter(quotas::kind.eq(key.kind))
            .filter(quotas::subject.eq(key.subject.as_bytes().as_slice()))
            .filter(quotas::period.eq(key.period))
            .select(quotas::used)
            .get_result(conn)
            .optional())?;
        Ok(u32::try_from(used.unwrap_or(0)).unwrap_or(u32::MAX))
    }

    fn give_back(&mut self, key: &QuotaKey) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::update(quotas::table)
            .filter(quotas::app_id.eq(key.app_id.as_bytes().as_slice()))
            .filter(quotas::kind.eq(key.kind))
            .filter(quotas::subject.eq(key.subject.as_bytes().as_slice()))
            .filter(quotas::period.eq(key.period))
            .filter(quotas::used.gt(0))
            .set(quotas::used.eq(quotas::used - 1))
            .execute(conn))?;
        Ok(())
    }

    fn reset(&mut self, key: &QuotaKey) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::delete(quotas::table)
            .filter(quotas::app_id.eq(key.app_id.as_bytes().as_slice()))
            .filter(quotas::kind.eq(key.kind))
            .filter(quotas::subject.eq(key.subject.as_bytes().as_slice()))
            .filter(quotas::period.eq(key.period))
            .execute(conn))?;
        Ok(())
    }
}
