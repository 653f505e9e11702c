//! Queries of periodic work. Rows are found by an index first and removed by their keys then, so that one
//! unit of work never holds the writer for long.

use diesel::prelude::*;
use latchkey_domain::{ANONYMOUS_PREFIX, AppId};
use time::{OffsetDateTime, PrimitiveDateTime};

use super::connection::{Unit, in_app, on_backend};
use super::convert::{from_stored_time, to_stored_time};
use super::schema::{
    audit_log, codes, held_handles, invites, jobs, outbox, portal_logins, quotas, signups, users,
};
use crate::{Expired, StorageError, UpkeepRepository};

/// Removes at most `$limit` rows of a table whose `$column` lies before `$before`; `$key` is its primary key.
macro_rules! remove_before {
    ($unit:expr, $table:ident, $column:ident, ($($key:ident: $type:ty),+), $before:expr, $limit:expr) => {{
        let rows: Vec<($($type),+)> = on_backend!($unit, conn => $table::table
            .filter($table::$column.lt($before))
            .limit(i64::from($limit))
            .select(($($table::$key),+))
            .load(conn))?;
        for ($($key),+) in &rows {
            on_backend!($unit, conn => diesel::delete($table::table)
                $(.filter($table::$key.eq($key)))+
                .execute(conn))?;
        }
        rows.len()
    }};
}

impl UpkeepRepository for Unit<'_> {
    fn claim_job(
        &mut self,
        name: &'static str,
        now: OffsetDateTime,
        next: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let (now, next) = (to_stored_time(now), to_stored_time(next));
        let added = on_backend!(self, conn => diesel::insert_into(jobs::table)
            .values((jobs::name.eq(name), jobs::due_at.eq(next)))
            .on_conflict_do_nothing()
            .execute(conn))?;
        if added == 1 {
            return Ok(true);
        }
        let taken = on_backend!(self, conn => diesel::update(jobs::table)
            .filter(jobs::name.eq(name))
            // No message waits longer than one lease: a later time was set by a clock that was ahead.
            .filter(jobs::due_at.le(now).or(jobs::due_at.gt(next)))
            .set(jobs::due_at.eq(next))
            .execute(conn))?;
        Ok(taken == 1)
    }

    fn newest_time(&mut self) -> Result<Option<OffsetDateTime>, StorageError> {
        let of_log: Option<PrimitiveDateTime> = on_backend!(self, conn => audit_log::table
            .order(audit_log::created_at.desc())
            .limit(1)
            .select(audit_log::created_at)
            .get_result(conn)
            .optional())?;
        let of_jobs: Option<Option<PrimitiveDateTime>> = on_backend!(self, conn => jobs::table
            .order(jobs::last_ok_at.desc())
            .filter(jobs::last_ok_at.is_not_null())
            .limit(1)
            .select(jobs::last_ok_at)
            .get_result(conn)
            .optional())?;
        Ok(of_log.max(of_jobs.flatten()).map(from_stored_time))
    }

    fn finish_job(&mut self, name: &'static str, now: OffsetDateTime) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::update(jobs::table)
            .filter(jobs::name.eq(name))
            .set(jobs::last_ok_at.eq(to_stored_time(now)))
            .execute(conn))?;
        Ok(())
    }

    fn remove_expired(
        &mut self,
        what: Expired,
        before: OffsetDateTime,
        limit: u32,
    ) -> Result<usize, StorageError> {
        let before = to_stored_time(before);
        Ok(match what {
            Expired::Codes => {
                remove_before!(self, codes, expires_at, (app_id: Vec<u8>, id: Vec<u8>), before, limit)
            }
            Expired::Quotas => remove_before!(
                self,
                quotas,
                expires_at,
                (app_id: Vec<u8>, kind: String, subject: Vec<u8>, period: i64),
                before,
                limit
            ),
            Expired::Signups => {
                remove_before!(self, signups, updated_at, (app_id: Vec<u8>, id: Vec<u8>), before, limit)
            }
            Expired::Invites => {
                remove_before!(self, invites, updated_at, (app_id: Vec<u8>, id: Vec<u8>), before, limit)
            }
            Expired::AuditLog => {
                remove_before!(self, audit_log, created_at, (app_id: Vec<u8>, id: Vec<u8>), before, limit)
            }
            Expired::PortalLogins => {
                let logins: Vec<Vec<u8>> = on_backend!(self, conn => portal_logins::table
                    .filter(portal_logins::created_at.lt(before))
                    .limit(i64::from(limit))
                    .select(portal_logins::digest)
                    .load(conn))?;
                for digest in &logins {
                    on_backend!(self, conn => diesel::delete(portal_logins::table)
                        .filter(portal_logins::digest.eq(digest))
                        .execute(conn))?;
                }
                logins.len()
            }
            Expired::DeadMessages => {
                let ids: Vec<(Vec<u8>, Vec<u8>)> = on_backend!(self, conn => outbox::table
                    .filter(outbox::due_at.lt(before))
                    .filter(outbox::state.eq("dead"))
                    .limit(i64::from(limit))
                    .select((outbox::app_id, outbox::id))
                    .load(conn))?;
                for (app_id, id) in &ids {
                    on_backend!(self, conn => diesel::delete(outbox::table)
                        .filter(outbox::app_id.eq(app_id))
                        .filter(outbox::id.eq(id))
                        .execute(conn))?;
                }
                ids.len()
            }
            Expired::HeldHandles => remove_before!(
                self,
                held_handles,
                held_until,
                (app_id: Vec<u8>, handle_key: String),
                before,
                limit
            ),
        })
    }

    fn remove_unused_anonymous(
        &mut self,
        app_id: AppId,
        before: OffsetDateTime,
        limit: u32,
    ) -> Result<usize, StorageError> {
        let ids: Vec<Vec<u8>> = on_backend!(self, conn => in_app!(users, app_id)
            .filter(users::handle_key.ge(ANONYMOUS_PREFIX))
            .filter(users::handle_key.lt("ANON`"))
            .filter(users::created_at.lt(to_stored_time(before)))
            .filter(users::last_login_at.eq(users::created_at.nullable()))
            .filter(users::updated_at.eq(users::created_at))
            .limit(i64::from(limit))
            .select(users::id)
            .load(conn))?;
        for id in &ids {
            on_backend!(self, conn => diesel::delete(in_app!(users, app_id))
                .filter(users::id.eq(id))
                .execute(conn))?;
        }
        Ok(ids.len())
    }
}
