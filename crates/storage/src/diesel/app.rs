//! Rows and queries of applications and their keys.

use diesel::prelude::*;
use latchkey_domain::{App, AppId, AppKey, AppName, AppStatus, AppType, Owner, Sealed};
use serde_json::Value;
use time::PrimitiveDateTime;

use super::connection::{Unit, find_row, in_app, on_backend};
use super::convert::{Column, from_stored_time, name_of, to_stored_time};
use super::schema::{
    app_keys, apps, audit_log, codes, email_templates, held_handles, imports, invites, operator_tokens,
    outbox, quotas, recovery_codes, signups, usage_days, users,
};
use crate::{AppReader, AppRepository, StorageError, settings_from_json, settings_to_json};

const KINDS: [(AppType, &str); 2] =
    [(AppType::Development, "development"), (AppType::Commercial, "commercial")];
const STATUSES: [(AppStatus, &str); 5] = [
    (AppStatus::Active, "active"),
    (AppStatus::Inactive, "inactive"),
    (AppStatus::Suspended, "suspended"),
    (AppStatus::Blocked, "blocked"),
    (AppStatus::Migrated, "migrated"),
];
/// The status of a row of an application that is being imported.
pub(super) const IMPORTING: &str = "importing";

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = apps)]
pub(super) struct AppRow {
    id: Vec<u8>,
    owner_id: Vec<u8>,
    pub(super) name: String,
    kind: String,
    pub(super) status: String,
    issuer: String,
    token_generation: i64,
    token_issued_at: PrimitiveDateTime,
    revision: i64,
    settings: Value,
    created_at: PrimitiveDateTime,
    updated_at: PrimitiveDateTime,
}

impl AppRow {
    pub(super) fn of(app: &App) -> Result<Self, StorageError> {
        Ok(Self {
            id: app.id.as_bytes().to_vec(),
            owner_id: app.owner.as_bytes().to_vec(),
            name: app.name.as_str().to_owned(),
            kind: name_of(&KINDS, &app.kind).to_owned(),
            status: name_of(&STATUSES, &app.status).to_owned(),
            issuer: app.issuer.clone(),
            token_generation: app.token_generation,
            token_issued_at: to_stored_time(app.token_issued_at),
            revision: app.revision,
            settings: settings_to_json(&app.settings)?,
            created_at: to_stored_time(app.created_at),
            updated_at: to_stored_time(app.updated_at),
        })
    }

    fn into_app(self) -> Result<App, StorageError> {
        Ok(App {
            id: AppId::from_bytes(Column("apps", "id").bytes(&self.id)?),
            owner: Owner::from_bytes(Column("apps", "owner_id").bytes(&self.owner_id)?),
            name: Column("apps", "name").parsed(AppName::parse(&self.name))?,
            kind: Column("apps", "kind").named(&KINDS, &self.kind)?,
            status: Column("apps", "status").named(&STATUSES, &self.status)?,
            issuer: self.issuer,
            token_generation: self.token_generation,
            token_issued_at: from_stored_time(self.token_issued_at),
            revision: self.revision,
            settings: settings_from_json(self.settings)?,
            created_at: from_stored_time(self.created_at),
            updated_at: from_stored_time(self.updated_at),
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = app_keys)]
struct AppKeyRow {
    app_id: Vec<u8>,
    kid: String,
    public_pem: String,
    private: Vec<u8>,
    created_at: PrimitiveDateTime,
    signs_from: PrimitiveDateTime,
    published_until: Option<PrimitiveDateTime>,
    tokens_until: Option<PrimitiveDateTime>,
}

impl AppKeyRow {
    fn of(key: &AppKey) -> Self {
        Self {
            app_id: key.app_id.as_bytes().to_vec(),
            kid: key.kid.clone(),
            public_pem: key.public_pem.clone(),
            private: key.private.as_ref().map_or_else(Vec::new, |sealed| sealed.as_bytes().to_vec()),
            created_at: to_stored_time(key.created_at),
            signs_from: to_stored_time(key.signs_from),
            published_until: key.published_until.map(to_stored_time),
            tokens_until: key.tokens_until.map(to_stored_time),
        }
    }

    fn into_key(self) -> Result<AppKey, StorageError> {
        Ok(AppKey {
            app_id: AppId::from_bytes(Column("app_keys", "app_id").bytes(&self.app_id)?),
            kid: self.kid,
            public_pem: self.public_pem,
            // An empty column is a key whose private half stayed elsewhere.
            private: Some(self.private).filter(|sealed| !sealed.is_empty()).map(Sealed::from_bytes),
            created_at: from_stored_time(self.created_at),
            signs_from: from_stored_time(self.signs_from),
            published_until: self.published_until.map(from_stored_time),
            tokens_until: self.tokens_until.map(from_stored_time),
        })
    }
}

/// Removes all rows of an application from some tables. Most have none: what is not written cannot lose a race.
macro_rules! remove_of_app {
    ($unit:expr, $id:expr, $($table:ident),+) => {$({
        let is_there: bool = on_backend!($unit, conn => diesel::select(diesel::dsl::exists(
            $table::table.filter($table::app_id.eq($id.as_bytes().as_slice()))
        ))
        .get_result(conn))?;
        if is_there {
            on_backend!($unit, conn => diesel::delete($table::table)
                .filter($table::app_id.eq($id.as_bytes().as_slice()))
                .execute(conn))?;
        }
    })+};
}

impl AppReader for Unit<'_> {
    fn find(&mut self, id: AppId) -> Result<Option<App>, StorageError> {
        let row = find_row!(self, apps => AppRow,
            apps::id.eq(id.as_bytes().as_slice()), apps::status.ne(IMPORTING))?;
        row.map(AppRow::into_app).transpose()
    }

    fn find_by_name(&mut self, owner: Owner, name: &AppName) -> Result<Option<App>, StorageError> {
        let row = find_row!(self, apps => AppRow,
            apps::owner_id.eq(owner.as_bytes().as_slice()),
            apps::name.eq(name.as_str()),
            apps::status.ne(IMPORTING))?;
        row.map(AppRow::into_app).transpose()
    }

    fn find_by_issuer(&mut self, issuer: &str) -> Result<Option<AppId>, StorageError> {
        let id: Option<Vec<u8>> = on_backend!(self, conn => apps::table
            .filter(apps::issuer.eq(issuer))
            .order(apps::id)
            .limit(1)
            .select(apps::id)
            .get_result(conn)
            .optional())?;
        id.map(|id| Column("apps", "id").bytes(&id).map(AppId::from_bytes)).transpose()
    }

    fn find_by_key(&mut self, kid: &str) -> Result<Vec<AppId>, StorageError> {
        let ids: Vec<Vec<u8>> = on_backend!(self, conn => app_keys::table
            .filter(app_keys::kid.eq(kid))
            .order(app_keys::app_id)
            .select(app_keys::app_id)
            .load(conn))?;
        ids.iter().map(|id| Column("app_keys", "app_id").bytes(id).map(AppId::from_bytes)).collect()
    }

    fn list(
        &mut self,
        owner: Option<Owner>,
        before: Option<AppId>,
        limit: u32,
    ) -> Result<Vec<App>, StorageError> {
        // All owners lie between these two.
        let (first_owner, last_owner) =
            owner.map_or(([0; 16], [0xff; 16]), |owner| (*owner.as_bytes(), *owner.as_bytes()));
        let mut last = before.map_or(vec![0xff; 16], |id| id.as_bytes().to_vec());
        loop {
            let rows: Vec<AppRow> = on_backend!(self, conn => apps::table
                .filter(apps::id.lt(&last))
                .filter(apps::owner_id.between(first_owner.as_slice(), last_owner.as_slice()))
                .filter(apps::status.ne(IMPORTING))
                .order(apps::id.desc())
                .limit(i64::from(limit))
                .select(AppRow::as_select())
                .load(conn))?;
            let Some(oldest) = rows.last() else { return Ok(Vec::new()) };
            last.clone_from(&oldest.id);
            // Rows that do not make sense must not hide all others, nor stop the server's start.
            let readable = rows.into_iter().filter_map(|row| {
                let id = row.id.clone();
                row.into_app()
                    .inspect_err(|error| tracing::error!(?id, %error, "an application cannot be read"))
                    .ok()
            });
            let readable: Vec<App> = readable.collect();
            if !readable.is_empty() {
                return Ok(readable);
            }
        }
    }

    fn keys(&mut self, id: AppId) -> Result<Vec<AppKey>, StorageError> {
        let rows: Vec<AppKeyRow> = on_backend!(self, conn => in_app!(app_keys, id)
            .order((app_keys::signs_from, app_keys::kid))
            .select(AppKeyRow::as_select())
            .load(conn))?;
        rows.into_iter().map(AppKeyRow::into_key).collect()
    }
}

impl AppRepository for Unit<'_> {
    fn add(&mut self, app: &App, key: &AppKey) -> Result<bool, StorageError> {
        let row = AppRow::of(app)?;
        let added = on_backend!(self, conn => diesel::insert_into(apps::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        if added == 0 {
            // A unit that runs again after a lost answer finds its own row.
            return Ok(AppReader::find(self, app.id)?.is_some());
        }
        let key = AppKeyRow::of(key);
        on_backend!(self, conn => diesel::insert_into(app_keys::table).values(&key).execute(conn))?;
        Ok(true)
    }

    fn update(&mut self, app: &App, from_revision: i64) -> Result<bool, StorageError> {
        let row = AppRow::of(app)?;
        let changed = on_backend!(self, conn => diesel::update(apps::table)
            .filter(apps::id.eq(app.id.as_bytes().as_slice()))
            .filter(apps::revision.eq(from_revision))
            .set((
                apps::name.eq(&row.name),
                apps::kind.eq(&row.kind),
                apps::status.eq(&row.status),
                apps::issuer.eq(&row.issuer),
                apps::revision.eq(row.revision),
                apps::settings.eq(&row.settings),
                apps::token_generation.eq(row.token_generation),
                apps::token_issued_at.eq(row.token_issued_at),
                apps::updated_at.eq(row.updated_at),
            ))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn hold(&mut self, id: AppId) -> Result<Option<App>, StorageError> {
        on_backend!(self, conn => diesel::update(apps::table)
            .filter(apps::id.eq(id.as_bytes().as_slice()))
            .set(apps::revision.eq(apps::revision + 1))
            .execute(conn))?;
        AppReader::find(self, id)
    }

    fn change_key(&mut self, key: &AppKey) -> Result<bool, StorageError> {
        let row = AppKeyRow::of(key);
        let changed = on_backend!(self, conn => diesel::update(app_keys::table)
            .filter(app_keys::app_id.eq(&row.app_id))
            .filter(app_keys::kid.eq(&row.kid))
            .set((
                app_keys::signs_from.eq(row.signs_from),
                app_keys::published_until.eq(row.published_until),
                app_keys::tokens_until.eq(row.tokens_until),
            ))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn put_key(&mut self, key: &AppKey) -> Result<(), StorageError> {
        let row = AppKeyRow::of(key);
        on_backend!(self, conn => diesel::insert_into(app_keys::table)
            .values(&row)
            .on_conflict((app_keys::app_id, app_keys::kid))
            .do_update()
            .set((
                app_keys::signs_from.eq(row.signs_from),
                app_keys::published_until.eq(row.published_until),
                app_keys::tokens_until.eq(row.tokens_until),
            ))
            .execute(conn))?;
        Ok(())
    }

    fn remove_key(&mut self, id: AppId, kid: &str) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::delete(in_app!(app_keys, id))
            .filter(app_keys::kid.eq(kid))
            .execute(conn))?;
        Ok(())
    }

    fn remove_content(&mut self, id: AppId) -> Result<(), StorageError> {
        remove_of_app!(self, id, users, signups, invites, codes, recovery_codes, held_handles, outbox);
        Ok(())
    }

    fn remove(&mut self, id: AppId) -> Result<(), StorageError> {
        self.remove_content(id)?;
        remove_of_app!(self, id, quotas, audit_log, usage_days, email_templates, app_keys, imports);
        on_backend!(self, conn => diesel::delete(operator_tokens::table)
            .filter(operator_tokens::only_app.eq(id.as_bytes().as_slice()))
            .execute(conn))?;
        on_backend!(self, conn => diesel::delete(apps::table)
            .filter(apps::id.eq(id.as_bytes().as_slice()))
            .execute(conn))?;
        Ok(())
    }
}
