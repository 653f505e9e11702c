//! Queries of imports. A row in `apps` with a status of its own holds the place of an application that is not whole:
//! the queries of `app.rs` pass it over.

use diesel::prelude::*;
use latchkey_domain::{App, AppId, ImportProgress, User};
use time::{OffsetDateTime, PrimitiveDateTime};

use super::app::{AppRow, IMPORTING};
use super::connection::{Unit, find_row, in_app, on_backend};
use super::convert::{Column, from_stored_time, to_stored_time};
use super::schema::{apps, imports, users};
use super::user::UserRow;
use crate::{ImportRepository, RowOutcome, StorageError, UserReader};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = imports)]
struct ImportRow {
    app_id: Vec<u8>,
    source: Vec<u8>,
    done: i64,
    began_at: PrimitiveDateTime,
    updated_at: PrimitiveDateTime,
}

impl ImportRow {
    fn into_mark(self) -> Result<ImportProgress, StorageError> {
        Ok(ImportProgress {
            app_id: AppId::from_bytes(Column("imports", "app_id").bytes(&self.app_id)?),
            source: Column("imports", "source").bytes(&self.source)?,
            done: self.done,
            began_at: from_stored_time(self.began_at),
            updated_at: from_stored_time(self.updated_at),
        })
    }
}

impl ImportRepository for Unit<'_> {
    fn find(&mut self, source: &[u8; 32]) -> Result<Option<ImportProgress>, StorageError> {
        let row: Option<ImportRow> = find_row!(self, imports => ImportRow,
            imports::source.eq(source.as_slice()))?;
        row.map(ImportRow::into_mark).transpose()
    }

    fn list(&mut self) -> Result<Vec<ImportProgress>, StorageError> {
        let rows: Vec<ImportRow> = on_backend!(self, conn => imports::table
            .order(imports::began_at)
            .select(ImportRow::as_select())
            .load(conn))?;
        rows.into_iter().map(ImportRow::into_mark).collect()
    }

    fn begin(&mut self, app: &App, mark: &ImportProgress) -> Result<bool, StorageError> {
        let mut row = AppRow::of(app)?;
        // Its own name may be taken until it is whole.
        (row.name, row.status) = (format!("{IMPORTING} {}", app.id), IMPORTING.to_owned());
        let added = on_backend!(self, conn => diesel::insert_into(apps::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        if added == 0 {
            return Ok(ImportRepository::find(self, &mark.source)?.is_some_and(|mark| mark.app_id == app.id));
        }
        let row = ImportRow {
            app_id: mark.app_id.as_bytes().to_vec(),
            source: mark.source.to_vec(),
            done: mark.done,
            began_at: to_stored_time(mark.began_at),
            updated_at: to_stored_time(mark.updated_at),
        };
        on_backend!(self, conn => diesel::insert_into(imports::table).values(&row).execute(conn))?;
        Ok(true)
    }

    fn advance(
        &mut self,
        app_id: AppId,
        from: i64,
        to: i64,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let changed = on_backend!(self, conn => diesel::update(in_app!(imports, app_id))
            .filter(imports::done.eq(from))
            .set((imports::done.eq(to), imports::updated_at.eq(to_stored_time(now))))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn reveal(&mut self, app: &App) -> Result<bool, StorageError> {
        let row = AppRow::of(app)?;
        on_backend!(self, conn => diesel::delete(in_app!(imports, app.id))
            .execute(conn))?;
        let changed = on_backend!(self, conn => diesel::update(apps::table)
            .filter(apps::id.eq(app.id.as_bytes().as_slice()))
            .filter(apps::status.eq(IMPORTING))
            .set((apps::name.eq(&row.name), apps::status.eq(&row.status)))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn add_user(&mut self, user: &User) -> Result<RowOutcome, StorageError> {
        let row = UserRow::of(user);
        let added = on_backend!(self, conn => diesel::insert_into(users::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        if added == 1 {
            return Ok(RowOutcome::Added);
        }
        let same = UserReader::find(self, user.app_id, user.id)?;
        let is_known = same.is_some_and(|same| same.handle.key() == user.handle.key());
        Ok(if is_known { RowOutcome::Known } else { RowOutcome::Taken })
    }
}
