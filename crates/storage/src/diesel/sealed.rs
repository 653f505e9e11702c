//! Queries over the columns that hold something sealed.

use diesel::prelude::*;
use latchkey_domain::{AppId, Sealed};

use super::connection::{Unit, on_backend};
use super::convert::Column;
use super::schema::{app_keys, apps, developers, outbox, signups, users};
use crate::{SealedCell, SealedColumn, SealedReader, SealedRepository, StorageError};

/// Values of one column, with the names of their rows and what they are bound to.
macro_rules! cells {
    ($unit:ident, ($app_id:ident, $after:expr, $limit:ident), $table:ident, $row:ident, $bound:ident, $column:ident) => {
        on_backend!($unit, conn => $table::table
            .filter($table::app_id.eq($app_id.as_bytes().as_slice()))
            .filter($table::$row.gt($after))
            .filter($table::$column.is_not_null())
            .order($table::$row)
            .limit(i64::from($limit))
            .select(($table::$row, $table::$bound, $table::$column.assume_not_null()))
            .load(conn))?
    };
}

/// Gives one value another seal.
macro_rules! replace {
    ($unit:ident, ($app_id:ident, $row:expr, $old:expr), $table:ident, $id:ident, $column:ident, $set:expr) => {
        on_backend!($unit, conn => diesel::update($table::table)
            .filter($table::app_id.eq($app_id.as_bytes().as_slice()))
            .filter($table::$id.eq($row))
            .filter($table::$column.eq($old))
            .set($set)
            .execute(conn))?
    };
}

impl SealedReader for Unit<'_> {
    fn apps(&mut self, after: Option<AppId>, limit: u32) -> Result<Vec<AppId>, StorageError> {
        let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
        let ids: Vec<Vec<u8>> = on_backend!(self, conn => apps::table
            .filter(apps::id.gt(after.as_slice()))
            .order(apps::id)
            .limit(i64::from(limit))
            .select(apps::id)
            .load(conn))?;
        ids.iter().map(|id| Column("apps", "id").bytes(id).map(AppId::from_bytes)).collect()
    }

    fn list(
        &mut self,
        column: SealedColumn,
        app_id: AppId,
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<SealedCell>, StorageError> {
        let rows: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = match column {
            SealedColumn::Password => cells!(self, (app_id, after, limit), users, id, id, password),
            SealedColumn::Authenticator => cells!(self, (app_id, after, limit), users, id, id, totp_secret),
            SealedColumn::PendingAuthenticator => {
                cells!(self, (app_id, after, limit), users, id, id, totp_pending)
            }
            SealedColumn::SignUpPassword => {
                cells!(self, (app_id, after, limit), signups, id, user_id, password)
            }
            SealedColumn::Message => cells!(self, (app_id, after, limit), outbox, id, id, payload),
            SealedColumn::DeveloperPassword => on_backend!(self, conn => developers::table
                .filter(developers::id.gt(after))
                .order(developers::id)
                .limit(i64::from(limit))
                .select((developers::id, developers::id, developers::password))
                .load(conn))?,
            SealedColumn::AppKey => {
                let after = kid_of(after)?;
                let keys: Vec<(String, String, Vec<u8>)> =
                    cells!(self, (app_id, after, limit), app_keys, kid, kid, private);
                keys.into_iter().map(|(kid, bound, value)| (kid.into(), bound.into(), value)).collect()
            }
        };
        let cell = |(row, bound_to, value)| SealedCell { row, bound_to, value: Sealed::from_bytes(value) };
        Ok(rows.into_iter().map(cell).collect())
    }
}

impl SealedRepository for Unit<'_> {
    fn replace(
        &mut self,
        column: SealedColumn,
        app_id: AppId,
        cell: &SealedCell,
        value: &Sealed,
    ) -> Result<bool, StorageError> {
        let (row, old, new) = (cell.row.as_slice(), cell.value.as_bytes(), value.as_bytes());
        // A use case that has read the factors and writes them back finds another revision, and reads them again.
        let next = users::factor_revision.eq(users::factor_revision + 1);
        let changed = match column {
            SealedColumn::Password => {
                replace!(self, (app_id, row, old), users, id, password, users::password.eq(new))
            }
            SealedColumn::Authenticator => {
                replace!(self, (app_id, row, old), users, id, totp_secret, (users::totp_secret.eq(new), next))
            }
            SealedColumn::PendingAuthenticator => {
                replace!(
                    self,
                    (app_id, row, old),
                    users,
                    id,
                    totp_pending,
                    (users::totp_pending.eq(new), next)
                )
            }
            SealedColumn::SignUpPassword => {
                replace!(self, (app_id, row, old), signups, id, password, signups::password.eq(new))
            }
            SealedColumn::Message => {
                replace!(self, (app_id, row, old), outbox, id, payload, outbox::payload.eq(new))
            }
            SealedColumn::DeveloperPassword => on_backend!(self, conn => diesel::update(developers::table)
                .filter(developers::id.eq(row))
                .filter(developers::password.eq(old))
                .set((developers::password.eq(new), developers::revision.eq(developers::revision + 1)))
                .execute(conn))?,
            SealedColumn::AppKey => {
                let kid = kid_of(row)?;
                replace!(self, (app_id, kid, old), app_keys, kid, private, app_keys::private.eq(new))
            }
        };
        Ok(changed == 1)
    }
}

fn kid_of(row: &[u8]) -> Result<&str, StorageError> {
    Column("app_keys", "kid").parsed(std::str::from_utf8(row))
}
