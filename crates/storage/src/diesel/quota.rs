//! Queries of counters.

use diesel::prelude::*;

use super::connection::{Unit, in_app, on_backend};
use super::convert::to_stored_time;
use super::schema::quotas;
use crate::{QuotaKey, QuotaRepository, StorageError};

impl QuotaRepository for Unit<'_> {
    fn reserve_many(&mut self, key: &QuotaKey, number: u32, limit: u32) -> Result<bool, StorageError> {
        let Some(most_before) = limit.checked_sub(number) else { return Ok(false) };
        let number = i64::from(number);
        let added = on_backend!(self, conn => diesel::insert_into(quotas::table)
            .values((
                quotas::app_id.eq(key.app_id.as_bytes().as_slice()),
                quotas::kind.eq(key.kind),
                quotas::subject.eq(key.subject.as_bytes().as_slice()),
                quotas::period.eq(key.period),
                quotas::used.eq(number),
                quotas::expires_at.eq(to_stored_time(key.expires_at)),
            ))
            .on_conflict_do_nothing()
            .execute(conn))?;
        if added == 1 {
            return Ok(true);
        }
        let taken = on_backend!(self, conn => diesel::update(in_app!(quotas, key.app_id))
            .filter(quotas::kind.eq(key.kind))
            .filter(quotas::subject.eq(key.subject.as_bytes().as_slice()))
            .filter(quotas::period.eq(key.period))
            .filter(quotas::used.le(i64::from(most_before)))
            .set((quotas::used.eq(quotas::used + number), quotas::expires_at.eq(to_stored_time(key.expires_at))))
            .execute(conn))?;
        Ok(taken == 1)
    }

    fn used(&mut self, key: &QuotaKey) -> Result<u32, StorageError> {
        let used: Option<i64> = on_backend!(self, conn => in_app!(quotas, key.app_id)
            .filter(quotas::kind.eq(key.kind))
            .filter(quotas::subject.eq(key.subject.as_bytes().as_slice()))
            .filter(quotas::period.eq(key.period))
            .select(quotas::used)
            .get_result(conn)
            .optional())?;
        Ok(u32::try_from(used.unwrap_or(0)).unwrap_or(u32::MAX))
    }

    fn give_many_back(&mut self, key: &QuotaKey, number: u32) -> Result<(), StorageError> {
        let number = i64::from(number);
        // A counter that was reset meanwhile does not become negative.
        let some = on_backend!(self, conn => diesel::update(in_app!(quotas, key.app_id))
            .filter(quotas::kind.eq(key.kind))
            .filter(quotas::subject.eq(key.subject.as_bytes().as_slice()))
            .filter(quotas::period.eq(key.period))
            .filter(quotas::used.ge(number))
            .set(quotas::used.eq(quotas::used - number))
            .execute(conn))?;
        if some == 1 {
            return Ok(());
        }
        on_backend!(self, conn => diesel::update(in_app!(quotas, key.app_id))
            .filter(quotas::kind.eq(key.kind))
            .filter(quotas::subject.eq(key.subject.as_bytes().as_slice()))
            .filter(quotas::period.eq(key.period))
            .filter(quotas::used.lt(number))
            .set(quotas::used.eq(0))
            .execute(conn))?;
        Ok(())
    }

    fn reset(&mut self, key: &QuotaKey) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::delete(in_app!(quotas, key.app_id))
            .filter(quotas::kind.eq(key.kind))
            .filter(quotas::subject.eq(key.subject.as_bytes().as_slice()))
            .filter(quotas::period.eq(key.period))
            .execute(conn))?;
        Ok(())
    }
}
