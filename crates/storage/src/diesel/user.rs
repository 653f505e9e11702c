//! Rows and queries of users.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use latchkey_domain::{
    AppId, Failures, Handle, KnownSources, Locale, LoginRecord, Metadata, Named as _, Phone, Provider,
    Sealed, Sessions, SourceTrust, TokenId, User, UserChange, UserId, UserName, UserStatus,
};
use serde_json::Value;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::connection::{Unit, find_row, in_app, on_backend};
use super::convert::{Column, from_stored_time, name_of, to_stored_time};
use super::factor::{FactorColumns, SocialColumns};
use super::listing::listing;
use super::schema::{held_handles, users};
use crate::{StorageError, UserReader, UserRepository};

/// As the index has it: see [`Handle::underscored`].
const UNDERSCORED: &str = "replace(handle, '@', '_')";

const STATUSES: [(UserStatus, &str); 2] =
    [(UserStatus::Active, "active"), (UserStatus::Suspended, "suspended")];

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = users)]
pub(super) struct UserRow {
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
    failed_unknown: i64,
    failed_unknown_at: Option<PrimitiveDateTime>,
    failed_known: i64,
    failed_known_at: Option<PrimitiveDateTime>,
    lock_mailed_at: Option<PrimitiveDateTime>,
    known_sources: Vec<u8>,
    administrator: bool,
    email_verified: bool,
    revision: i64,
    #[diesel(embed)]
    factors: FactorColumns,
    #[diesel(embed)]
    social: SocialColumns,
}

impl UserRow {
    pub(super) fn of(user: &User) -> Self {
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
            failed_unknown: i64::from(user.login.unknown.count),
            failed_unknown_at: user.login.unknown.last_at.map(to_stored_time),
            failed_known: i64::from(user.login.known.count),
            failed_known_at: user.login.known.last_at.map(to_stored_time),
            lock_mailed_at: user.login.lock_mailed_at.map(to_stored_time),
            known_sources: user.login.sources.to_bytes(),
            administrator: user.is_administrator,
            email_verified: user.email_verified,
            revision: user.revision,
            factors: FactorColumns::of(&user.factors),
            social: SocialColumns::of(user.social.as_ref()),
        }
    }

    fn into_user(self) -> Result<User, StorageError> {
        let failures = |count, last_at: Option<PrimitiveDateTime>| Failures {
            count: u32::try_from(count).unwrap_or(u32::MAX),
            last_at: last_at.map(from_stored_time),
        };
        let sources = Column("users", "known_sources");
        let login = LoginRecord {
            unknown: failures(self.failed_unknown, self.failed_unknown_at),
            known: failures(self.failed_known, self.failed_known_at),
            lock_mailed_at: self.lock_mailed_at.map(from_stored_time),
            sources: KnownSources::from_bytes(&self.known_sources).ok_or_else(|| sources.wrong())?,
        };
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
            login,
            is_administrator: self.administrator,
            email_verified: self.email_verified,
            revision: self.revision,
            factors: self.factors.into_factors()?,
            social: self.social.into_identity()?,
        })
    }
}

/// `None` changes nothing.
#[derive(AsChangeset)]
#[diesel(table_name = users)]
struct ChangeRow {
    locale: Option<String>,
    metadata: Option<Value>,
    user_name: Option<String>,
    status: Option<String>,
    administrator: Option<bool>,
    revision: i64,
    updated_at: PrimitiveDateTime,
}

pub(super) fn metadata(column: Column, stored: Value) -> Result<Metadata, StorageError> {
    match stored {
        Value::Object(values) => Ok(Metadata::from_stored(values)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(column.wrong())
        }
    }
}

// Users' ids contain their creation time.
listing!(
    users, UserRow => User, UserRow::into_user,
    newest: users::id.desc(),
    after(position): users::id.lt(position.id.to_vec()),
    name: users::user_name
);

impl UserReader for Unit<'_> {
    fn find(&mut self, app_id: AppId, id: UserId) -> Result<Option<User>, StorageError> {
        let row = find_row!(self, users => UserRow,
            users::app_id.eq(app_id.as_bytes().as_slice()), users::id.eq(id.as_bytes().as_slice()))?;
        row.map(UserRow::into_user).transpose()
    }

    fn find_by_handle(&mut self, app_id: AppId, handle: &Handle) -> Result<Option<User>, StorageError> {
        let row = find_row!(self, users => UserRow,
            users::app_id.eq(app_id.as_bytes().as_slice()), users::handle_key.eq(handle.key()))?;
        row.map(UserRow::into_user).transpose()
    }

    fn find_by_user_name(&mut self, app_id: AppId, name: &UserName) -> Result<Option<User>, StorageError> {
        let row = find_row!(self, users => UserRow,
            users::app_id.eq(app_id.as_bytes().as_slice()), users::user_name.eq(name.as_str()))?;
        row.map(UserRow::into_user).transpose()
    }

    fn find_by_underscored(&mut self, app_id: AppId, text: &str) -> Result<Option<User>, StorageError> {
        let row = on_backend!(self, conn => in_app!(users, app_id)
            .filter(sql::<Text>(UNDERSCORED).eq(text))
            .order(users::id)
            .limit(1)
            .select(UserRow::as_select())
            .get_result(conn)
            .optional())?;
        row.map(UserRow::into_user).transpose()
    }

    fn shared_underscored(&mut self, app_id: AppId) -> Result<Option<String>, StorageError> {
        on_backend!(self, conn => in_app!(users, app_id)
            .group_by(sql::<Text>(UNDERSCORED))
            .having(diesel::dsl::count_star().gt(1))
            .select(sql::<Text>(UNDERSCORED))
            .limit(1)
            .get_result(conn)
            .optional())
    }

    fn find_by_verified_phone(&mut self, app_id: AppId, phone: &Phone) -> Result<Option<User>, StorageError> {
        let row = find_row!(self, users => UserRow,
            users::app_id.eq(app_id.as_bytes().as_slice()), users::verified_phone.eq(phone.as_str()))?;
        row.map(UserRow::into_user).transpose()
    }

    fn find_by_subject(
        &mut self,
        app_id: AppId,
        provider: Provider,
        subject: &str,
    ) -> Result<Option<User>, StorageError> {
        let row = find_row!(self, users => UserRow,
            users::app_id.eq(app_id.as_bytes().as_slice()),
            users::provider.eq(provider.name()),
            users::provider_subject.eq(subject))?;
        row.map(UserRow::into_user).transpose()
    }

    fn is_held(&mut self, app_id: AppId, handle: &Handle, now: OffsetDateTime) -> Result<bool, StorageError> {
        let until: Option<PrimitiveDateTime> = on_backend!(self, conn => in_app!(held_handles, app_id)
            .filter(held_handles::handle_key.eq(handle.key()))
            .select(held_handles::held_until)
            .get_result(conn)
            .optional())?;
        Ok(until.is_some_and(|until| now < from_stored_time(until)))
    }

    fn are_at_least(&mut self, app_id: AppId, number: u32) -> Result<bool, StorageError> {
        let Some(before) = number.checked_sub(1) else { return Ok(true) };
        let found: Option<Vec<u8>> = on_backend!(self, conn => in_app!(users, app_id)
            .order(users::id)
            .select(users::id)
            .offset(i64::from(before))
            .limit(1)
            .get_result(conn)
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
        let changed = on_backend!(self, conn => diesel::update(in_app!(users, app_id))
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
        let changed = on_backend!(self, conn => diesel::update(in_app!(users, app_id))
            .filter(users::id.eq(id.as_bytes().as_slice()))
            .filter(users::epoch.eq(from.epoch))
            .set((
                users::epoch.eq(to.epoch),
                users::spared_token.eq(&spared),
                users::revision.eq(users::revision + 1),
                users::updated_at.eq(to_stored_time(now)),
            ))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn count_failures(
        &mut self,
        app_id: AppId,
        id: UserId,
        side: SourceTrust,
        from: Failures,
        to: Failures,
    ) -> Result<bool, StorageError> {
        let (count, last_at) = (i64::from(to.count), to.last_at.map(to_stored_time));
        let changed = match side {
            SourceTrust::Unknown => on_backend!(self, conn => diesel::update(in_app!(users, app_id))
                .filter(users::id.eq(id.as_bytes().as_slice()))
                .filter(users::failed_unknown.eq(i64::from(from.count)))
                .set((users::failed_unknown.eq(count), users::failed_unknown_at.eq(last_at)))
                .execute(conn))?,
            SourceTrust::Known => on_backend!(self, conn => diesel::update(in_app!(users, app_id))
                .filter(users::id.eq(id.as_bytes().as_slice()))
                .filter(users::failed_known.eq(i64::from(from.count)))
                .set((users::failed_known.eq(count), users::failed_known_at.eq(last_at)))
                .execute(conn))?,
        };
        Ok(changed == 1)
    }

    fn note_sources(
        &mut self,
        app_id: AppId,
        id: UserId,
        from: &KnownSources,
        to: &KnownSources,
    ) -> Result<bool, StorageError> {
        let changed = on_backend!(self, conn => diesel::update(in_app!(users, app_id))
            .filter(users::id.eq(id.as_bytes().as_slice()))
            .filter(users::known_sources.eq(from.to_bytes()))
            .set(users::known_sources.eq(to.to_bytes()))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn note_lock_mail(
        &mut self,
        app_id: AppId,
        id: UserId,
        now: OffsetDateTime,
        before: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let changed = on_backend!(self, conn => diesel::update(in_app!(users, app_id))
            .filter(users::id.eq(id.as_bytes().as_slice()))
            .filter(
                users::lock_mailed_at
                    .is_null()
                    .or(users::lock_mailed_at.le(to_stored_time(before)))
                    // A time to come is of a clock that was ahead.
                    .or(users::lock_mailed_at.gt(to_stored_time(now))),
            )
            .set(users::lock_mailed_at.eq(to_stored_time(now)))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn reset_password(
        &mut self,
        app_id: AppId,
        id: UserId,
        new: &Sealed,
        from: Sessions,
        to: Sessions,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        if !self.change_sessions(app_id, id, from, to, now)? {
            return Ok(false);
        }
        let never: Option<PrimitiveDateTime> = None;
        on_backend!(self, conn => diesel::update(in_app!(users, app_id))
            .filter(users::id.eq(id.as_bytes().as_slice()))
            .set((
                users::password.eq(new.as_bytes()),
                users::failed_unknown.eq(0),
                users::failed_unknown_at.eq(never),
                users::failed_known.eq(0),
                users::failed_known_at.eq(never),
            ))
            .execute(conn))?;
        Ok(true)
    }

    fn verify_email(&mut self, app_id: AppId, id: UserId) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::update(in_app!(users, app_id))
            .filter(users::id.eq(id.as_bytes().as_slice()))
            .set(users::email_verified.eq(true))
            .execute(conn))?;
        Ok(())
    }

    fn change(
        &mut self,
        user: &User,
        change: &UserChange,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let set = ChangeRow {
            locale: change.locale.map(|locale| locale.as_str().to_owned()),
            metadata: change.metadata.as_ref().map(|metadata| Value::Object(metadata.values().clone())),
            user_name: change.user_name.as_ref().map(|name| name.as_str().to_owned()),
            status: change.status.map(|status| name_of(&STATUSES, &status).to_owned()),
            administrator: change.is_administrator,
            revision: user.revision + 1,
            updated_at: to_stored_time(now),
        };
        let changed = on_backend!(self, conn => diesel::update(in_app!(users, user.app_id))
            .filter(users::id.eq(user.id.as_bytes().as_slice()))
            .filter(users::revision.eq(user.revision))
            .set(&set)
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn remove(&mut self, app_id: AppId, id: UserId) -> Result<bool, StorageError> {
        let removed = on_backend!(self, conn => diesel::delete(in_app!(users, app_id))
            .filter(users::id.eq(id.as_bytes().as_slice()))
            .execute(conn))?;
        Ok(removed == 1)
    }

    fn hold(&mut self, app_id: AppId, handle: &Handle, until: OffsetDateTime) -> Result<(), StorageError> {
        let until = to_stored_time(until);
        on_backend!(self, conn => diesel::insert_into(held_handles::table)
            .values((
                held_handles::app_id.eq(app_id.as_bytes().as_slice()),
                held_handles::handle_key.eq(handle.key()),
                held_handles::held_until.eq(until),
            ))
            .on_conflict((held_handles::app_id, held_handles::handle_key))
            .do_update()
            .set(held_handles::held_until.eq(until))
            .execute(conn))?;
        Ok(())
    }

    fn note_login(&mut self, app_id: AppId, id: UserId, now: OffsetDateTime) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::update(in_app!(users, app_id))
            .filter(users::id.eq(id.as_bytes().as_slice()))
            .set(users::last_login_at.eq(to_stored_time(now)))
            .execute(conn))?;
        Ok(())
    }
}
