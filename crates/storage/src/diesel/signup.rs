//! Rows and queries of sign-up attempts.

use diesel::prelude::*;
use latchkey_domain::{AppId, Handle, KeyedDigest, Locale, Sealed, Signup, SignupId, SignupState, UserId};
use serde_json::Value;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::connection::{Unit, in_app, on_backend};
use super::convert::{Column, from_stored_time, name_of, to_stored_time};
use super::listing::listing;
use super::schema::signups;
use super::user::metadata;
use crate::{SignupReader, SignupRepository, StorageError};

const STATES: [(SignupState, &str); 2] =
    [(SignupState::Pending, "pending"), (SignupState::Verified, "verified")];

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = signups)]
struct SignupRow {
    app_id: Vec<u8>,
    id: Vec<u8>,
    handle: String,
    handle_key: String,
    source: Vec<u8>,
    user_id: Vec<u8>,
    state: String,
    password: Vec<u8>,
    locale: String,
    metadata: Value,
    created_at: PrimitiveDateTime,
    updated_at: PrimitiveDateTime,
}

impl SignupRow {
    fn of(signup: &Signup) -> Self {
        Self {
            app_id: signup.app_id.as_bytes().to_vec(),
            id: signup.id.as_bytes().to_vec(),
            handle: signup.handle.as_str().to_owned(),
            handle_key: signup.handle.key().to_owned(),
            source: signup.source.as_bytes().to_vec(),
            user_id: signup.user_id.as_bytes().to_vec(),
            state: name_of(&STATES, &signup.state).to_owned(),
            password: signup.password.as_bytes().to_vec(),
            locale: signup.locale.as_str().to_owned(),
            metadata: Value::Object(signup.metadata.values().clone()),
            created_at: to_stored_time(signup.created_at),
            updated_at: to_stored_time(signup.updated_at),
        }
    }

    fn into_signup(self) -> Result<Signup, StorageError> {
        Ok(Signup {
            app_id: AppId::from_bytes(Column("signups", "app_id").bytes(&self.app_id)?),
            id: SignupId::from_bytes(Column("signups", "id").bytes(&self.id)?),
            handle: Column("signups", "handle").parsed(Handle::from_stored(&self.handle))?,
            source: KeyedDigest::from_bytes(Column("signups", "source").bytes(&self.source)?),
            user_id: UserId::from_bytes(Column("signups", "user_id").bytes(&self.user_id)?),
            state: Column("signups", "state").named(&STATES, &self.state)?,
            password: Sealed::from_bytes(self.password),
            locale: Column("signups", "locale").parsed(Locale::parse(&self.locale))?,
            metadata: metadata(Column("signups", "metadata"), self.metadata)?,
            created_at: from_stored_time(self.created_at),
            updated_at: from_stored_time(self.updated_at),
        })
    }
}

listing!(
    signups, SignupRow => Signup, SignupRow::into_signup,
    newest: (signups::created_at.desc(), signups::id.desc()),
    after(position): signups::created_at.lt(to_stored_time(position.created_at)).or(
        signups::created_at.eq(to_stored_time(position.created_at)).and(signups::id.lt(position.id.to_vec()))
    ),
    name: signups::handle_key.nullable()
);

impl SignupReader for Unit<'_> {
    fn list(&mut self, app_id: AppId, handle: &Handle) -> Result<Vec<Signup>, StorageError> {
        let rows: Vec<SignupRow> = on_backend!(self, conn => in_app!(signups, app_id)
            .filter(signups::handle_key.eq(handle.key()))
            .order((signups::updated_at.desc(), signups::id.desc()))
            .select(SignupRow::as_select())
            .load(conn))?;
        rows.into_iter().map(SignupRow::into_signup).collect()
    }
}

impl SignupRepository for Unit<'_> {
    fn put(&mut self, signup: &Signup) -> Result<(), StorageError> {
        let row = SignupRow::of(signup);
        on_backend!(self, conn => diesel::insert_into(signups::table)
            .values(&row)
            .on_conflict((signups::app_id, signups::id))
            .do_update()
            .set((
                signups::handle.eq(&row.handle),
                signups::user_id.eq(&row.user_id),
                signups::state.eq(&row.state),
                signups::password.eq(&row.password),
                signups::locale.eq(&row.locale),
                signups::metadata.eq(&row.metadata),
                signups::updated_at.eq(row.updated_at),
            ))
            .execute(conn))?;
        Ok(())
    }

    fn verify(&mut self, signup: &Signup, now: OffsetDateTime) -> Result<bool, StorageError> {
        let changed = on_backend!(self, conn => diesel::update(in_app!(signups, signup.app_id))
            .filter(signups::id.eq(signup.id.as_bytes().as_slice()))
            .filter(signups::user_id.eq(signup.user_id.as_bytes().as_slice()))
            .filter(signups::state.eq(name_of(&STATES, &SignupState::Pending)))
            .set((
                signups::state.eq(name_of(&STATES, &SignupState::Verified)),
                signups::updated_at.eq(to_stored_time(now)),
            ))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn remove(&mut self, app_id: AppId, id: SignupId) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::delete(in_app!(signups, app_id))
            .filter(signups::id.eq(id.as_bytes().as_slice()))
            .execute(conn))?;
        Ok(())
    }
}
