//! Rows and queries of users.

use diesel::prelude::*;
use latchkey_domain::{
    AppId, Handle, Locale, Metadata, Sealed, Sessions, TokenId, User, UserId, UserName, UserStatus,
};
use serde_json::Value;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::connection::{Unit, on_backend};
use super::convert::{Column, from_stored_time, name_of, to_stored_time};
use super::schema::users;
use crate::{StorageError, UserReader, UserRepository};

const STATUSES: [(UserStatus, &str); 2] =
    [(UserStatus::Active, "active"), (UserStatus::Suspended, "suspended")];

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = users)]
struct UserRow {
    app_id: Vec<u8>,
    id: Vec<u8>,
    handle: String,
    handle_key: String,
    user_name: Option<String>,
    status: String,
    password: Option<Vec<u8>>,
    locale: String,
    metadata: Value,
    epoch: i64,
    spared_token: Option<Vec<u8>>,
    created_at: PrimitiveDateTime,
    updated_at: PrimitiveDateTime,
    last_login_at: Option<PrimitiveDateTime>,
}

impl UserRow {
    fn of(user: &User) -> Self {
        Self {
            app_id: user.app_id.as_bytes().to_vec(),
            id: user.id.as_bytes().to_vec(),
            handle: user.handle.as_str().to_owned(),
            handle_key: user.handle.key().to_owned(),
            user_name: user.user_name.as_ref().map(|name| name.as_str().to_owned()),
            status: name_of(&STATUSES, &user.status).to_owned(),
            password: user.password.as_ref().map(|sealed| sealed.as_bytes().to_vec()),
            locale: user.locale.as_str().to_owned(),
            metadata: Value::Object(user.metadata.values().clone()),
            epoch: user.sessions.epoch,
            spared_token: user.sessions.spared.map(|id| id.as_bytes().to_vec()),
            created_at: to_stored_time(user.created_at),
            updated_at: to_stored_time(user.updated_at),
            last_login_at: user.last_login_at.map(to_stored_time),
        }
    }

    fn into_user(self) -> Result<User, StorageError> {
        let spared = self.spared_token.map(|id| Column("users", "spared_token").bytes(&id)).transpose()?;
        Ok(User {
            app_id: AppId::from_bytes(Column("users", "app_id").bytes(&self.app_id)?),
            id: UserId::from_bytes(Column("users", "id").bytes(&self.id)?),
            handle: Column("users", "handle").parsed(Handle::from_stored(&self.handle))?,
            user_name: Column("users", "user_name")
                .parsed(self.user_name.as_deref().map(UserName::parse).transpose())?,
            status: Column("users", "status").named(&STATUSES, &self.status)?,
            password: self.password.map(Sealed::from_bytes),
            locale: Column("users", "locale").parsed(Locale::parse(&self.locale))?,
            metadata: metadata(Column("users", "metadata"), self.metadata)?,
            sessions: Sessions { epoch: self.epoch, spared: spared.map(TokenId::from_bytes) },
            created_at: from_stored_time(self.created_at),
            updated_at: from_stored_time(self.updated_at),
            last_login_at: self.last_login_at.map(from_stored_time),
        })
    }
}

pub(super) fn metadata(column: Column, stored: Value) -> Result<Metadata, StorageError> {
    match stored {
        Value::Object(values) => Ok(Metadata::from_stored(values)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(column.wrong())
        }
    }
}

impl UserReader for Unit<'_> {
    fn find(&mut self, app_id: AppId, id: UserId) -> Result<Option<User>, StorageError> {
        let row = on_backend!(self, conn => users::table
            .filter(users::app_id.eq(app_id.as_bytes().as_slice()))
            .filter(users::id.eq(id.as_bytes().as_slice()))
            .select(UserRow::as_select())
            .first(conn)
            .optional())?;
        row.map(UserRow::into_user).transpose()
    }

    fn find_by_handle(&mut self, app_id: AppId, handle: &Handle) -> Result<Option<User>, StorageError> {
        let row = on_backend!(self, conn => users::table
            .filter(users::app_id.eq(app_id.as_bytes().as_slice()))
            .filter(users::handle_key.eq(handle.key()))
            .select(UserRow::as_select())
            .first(conn)
            .optional())?;
        row.map(UserRow::into_user).transpose()
    }

    fn find_by_user_name(&mut self, app_id: AppId, name: &UserName) -> Result<Option<User>, StorageError> {
        let row = on_backend!(self, conn => users::table
            .filter(users::app_id.eq(app_id.as_bytes().as_slice()))
            .filter(users::user_name.eq(name.as_str()))
            .select(UserRow::as_select())
            .first(conn)
            .optional())?;
        row.map(UserRow::into_user).transpose()
    }

    fn are_at_least(&mut self, app_id: AppId, number: u32) -> Result<bool, StorageError> {
        let Some(before) = number.checked_sub(1) else { return Ok(true) };
        let found: Option<Vec<u8>> = on_backend!(self, conn => users::table
            .filter(users::app_id.eq(app_id.as_bytes().as_slice()))
            .order(users::id)
            .select(users::id)
            .offset(i64::from(before))
            .first(conn)
            .optional())?;
        Ok(found.is_some())
    }
}

impl UserRepository for Unit<'_> {
    fn add(&mut self, user: &User) -> Result<bool, StorageError> {
        let row = UserRow::of(user);
        let added = on_backend!(self, conn => diesel::insert_into(users::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        Ok(added == 1 || UserReader::find(self, user.app_id, user.id)?.is_some())
    }

    fn replace_password(
        &mut self,
        app_id: AppId,
        id: UserId,
        verified: &Sealed,
        new: &Sealed,
    ) -> Result<bool, StorageError> {
        let changed = on_backend!(self, conn => diesel::update(users::table)
            .filter(users::app_id.eq(app_id.as_bytes().as_slice()))
            .filter(users::id.eq(id.as_bytes().as_slice()))
            .filter(users::password.eq(verified.as_bytes()))
            .set(users::password.eq(new.as_bytes()))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn change_sessions(
        &mut self,
        app_id: AppId,
        id: UserId,
        from: Sessions,
        to: Sessions,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let spared = to.spared.map(|id| id.as_bytes().to_vec());
        let changed = on_backend!(self, conn => diesel::update(users::table)
            .filter(users::app_id.eq(app_id.as_bytes().as_slice()))
            .filter(users::id.eq(id.as_bytes().as_slice()))
            .filter(users::epoch.eq(from.epoch))
            .set((
                users::epoch.eq(to.epoch),
                users::spared_token.eq(&spared),
                users::updated_at.eq(to_stored_time(now)),
            ))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn note_login(&mut self, app_id: AppId, id: UserId, now: OffsetDateTime) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::update(users::table)
            .filter(users::app_id.eq(app_id.as_bytes().as_slice()))
            .filter(users::id.eq(id.as_bytes().as_slice()))
            .set(users::last_login_at.eq(to_stored_time(now)))
            .execute(conn))?;
        Ok(())
    }
}
