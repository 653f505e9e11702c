//! Rows and queries of invitations.

use diesel::prelude::*;
use latchkey_domain::{AppId, Handle, Invite, InviteId, InviteState, Locale, UserId};
use serde_json::Value;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::connection::{Unit, in_app, on_backend};
use super::convert::{Column, from_stored_time, name_of, to_stored_time};
use super::listing::listing;
use super::schema::invites;
use super::user::metadata;
use crate::{InviteReader, InviteRepository, StorageError};

const STATES: [(InviteState, &str); 2] =
    [(InviteState::Pending, "pending"), (InviteState::Verified, "verified")];

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = invites)]
struct InviteRow {
    app_id: Vec<u8>,
    id: Vec<u8>,
    handle: String,
    handle_key: String,
    sender_id: Vec<u8>,
    sender_handle: String,
    sender_reference: String,
    state: String,
    locale: String,
    metadata: Value,
    created_at: PrimitiveDateTime,
    updated_at: PrimitiveDateTime,
}

impl InviteRow {
    fn of(invite: &Invite) -> Self {
        Self {
            app_id: invite.app_id.as_bytes().to_vec(),
            id: invite.id.as_bytes().to_vec(),
            handle: invite.handle.as_str().to_owned(),
            handle_key: invite.handle.key().to_owned(),
            sender_id: invite.sender_id.as_bytes().to_vec(),
            sender_handle: invite.sender_handle.as_str().to_owned(),
            sender_reference: invite.sender_reference.clone(),
            state: name_of(&STATES, &invite.state).to_owned(),
            locale: invite.locale.as_str().to_owned(),
            metadata: Value::Object(invite.metadata.values().clone()),
            created_at: to_stored_time(invite.created_at),
            updated_at: to_stored_time(invite.updated_at),
        }
    }

    fn into_invite(self) -> Result<Invite, StorageError> {
        let column = |name| Column("invites", name);
        Ok(Invite {
            app_id: AppId::from_bytes(column("app_id").bytes(&self.app_id)?),
            id: InviteId::from_bytes(column("id").bytes(&self.id)?),
            handle: column("handle").parsed(Handle::from_stored(&self.handle))?,
            sender_id: UserId::from_bytes(column("sender_id").bytes(&self.sender_id)?),
            sender_handle: column("sender_handle").parsed(Handle::from_stored(&self.sender_handle))?,
            sender_reference: self.sender_reference,
            state: column("state").named(&STATES, &self.state)?,
            locale: column("locale").parsed(Locale::parse(&self.locale))?,
            metadata: metadata(column("metadata"), self.metadata)?,
            created_at: from_stored_time(self.created_at),
            updated_at: from_stored_time(self.updated_at),
        })
    }
}

listing!(
    invites, InviteRow => Invite, InviteRow::into_invite,
    newest: (invites::created_at.desc(), invites::id.desc()),
    after(position): invites::created_at.lt(to_stored_time(position.created_at)).or(
        invites::created_at.eq(to_stored_time(position.created_at)).and(invites::id.lt(position.id.to_vec()))
    ),
    name: invites::handle_key.nullable()
);

impl InviteReader for Unit<'_> {
    fn list(&mut self, app_id: AppId, handle: &Handle) -> Result<Vec<Invite>, StorageError> {
        let rows: Vec<InviteRow> = on_backend!(self, conn => in_app!(invites, app_id)
            .filter(invites::handle_key.eq(handle.key()))
            .order((invites::updated_at.desc(), invites::id.desc()))
            .select(InviteRow::as_select())
            .load(conn))?;
        rows.into_iter().map(InviteRow::into_invite).collect()
    }
}

impl InviteRepository for Unit<'_> {
    fn put(&mut self, invite: &Invite) -> Result<(), StorageError> {
        let row = InviteRow::of(invite);
        on_backend!(self, conn => diesel::insert_into(invites::table)
            .values(&row)
            .on_conflict((invites::app_id, invites::id))
            .do_update()
            .set((
                invites::handle.eq(&row.handle),
                invites::sender_handle.eq(&row.sender_handle),
                invites::sender_reference.eq(&row.sender_reference),
                invites::state.eq(&row.state),
                invites::locale.eq(&row.locale),
                invites::metadata.eq(&row.metadata),
                invites::updated_at.eq(row.updated_at),
            ))
            .execute(conn))?;
        Ok(())
    }

    fn verify(&mut self, invite: &Invite, now: OffsetDateTime) -> Result<bool, StorageError> {
        let changed = on_backend!(self, conn => diesel::update(in_app!(invites, invite.app_id))
            .filter(invites::id.eq(invite.id.as_bytes().as_slice()))
            .filter(invites::updated_at.eq(to_stored_time(invite.updated_at)))
            .filter(invites::state.eq(name_of(&STATES, &InviteState::Pending)))
            .set((
                invites::state.eq(name_of(&STATES, &InviteState::Verified)),
                invites::updated_at.eq(to_stored_time(now)),
            ))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn remove(&mut self, app_id: AppId, id: InviteId) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::delete(in_app!(invites, app_id))
            .filter(invites::id.eq(id.as_bytes().as_slice()))
            .execute(conn))?;
        Ok(())
    }
}
