//! Rows and queries of the audit log.

use diesel::prelude::*;
use latchkey_domain::{Actor, AppId, AuditEntry, AuditId, UserId};
use time::PrimitiveDateTime;

use super::connection::{Unit, on_backend};
use super::convert::{Column, from_stored_time, name_of, to_stored_time};
use super::schema::audit_log;
use crate::{AuditReader, AuditRepository, StorageError};

const ACTORS: [(Actor, &str); 4] = [
    (Actor::Client, "client"),
    (Actor::User, "user"),
    (Actor::Operator, "operator"),
    (Actor::Server, "server"),
];

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_log)]
struct EntryRow {
    app_id: Vec<u8>,
    id: Vec<u8>,
    action: String,
    result: String,
    actor: String,
    user_id: Option<Vec<u8>>,
    handle: Option<String>,
    address: Option<String>,
    detail: Option<String>,
    created_at: PrimitiveDateTime,
    actor_name: Option<String>,
}

impl EntryRow {
    fn into_entry(self) -> Result<AuditEntry, StorageError> {
        let column = |name| Column("audit_log", name);
        let user_id = self.user_id.map(|id| column("user_id").bytes(&id)).transpose()?;
        Ok(AuditEntry {
            app_id: AppId::from_bytes(column("app_id").bytes(&self.app_id)?),
            id: AuditId::from_bytes(column("id").bytes(&self.id)?),
            action: self.action,
            result: self.result,
            actor: column("actor").named(&ACTORS, &self.actor)?,
            actor_name: self.actor_name,
            user_id: user_id.map(UserId::from_bytes),
            handle: self.handle,
            address: column("address").parsed(self.address.as_deref().map(str::parse).transpose())?,
            detail: self.detail,
            created_at: from_stored_time(self.created_at),
        })
    }
}

impl AuditReader for Unit<'_> {
    fn list(&mut self, app_id: AppId, limit: u32) -> Result<Vec<AuditEntry>, StorageError> {
        let rows: Vec<EntryRow> = on_backend!(self, conn => audit_log::table
            .filter(audit_log::app_id.eq(app_id.as_bytes().as_slice()))
            .order(audit_log::id.desc())
            .limit(i64::from(limit))
            .select(EntryRow::as_select())
            .load(conn))?;
        rows.into_iter().map(EntryRow::into_entry).collect()
    }
}

impl AuditRepository for Unit<'_> {
    fn add(&mut self, entry: &AuditEntry) -> Result<(), StorageError> {
        let row = EntryRow {
            app_id: entry.app_id.as_bytes().to_vec(),
            id: entry.id.as_bytes().to_vec(),
            action: entry.action.clone(),
            result: entry.result.clone(),
            actor: name_of(&ACTORS, &entry.actor).to_owned(),
            user_id: entry.user_id.map(|id| id.as_bytes().to_vec()),
            handle: entry.handle.clone(),
            address: entry.address.map(|address| address.to_string()),
            detail: entry.detail.clone(),
            created_at: to_stored_time(entry.created_at),
            actor_name: entry.actor_name.clone(),
        };
        on_backend!(self, conn => diesel::insert_into(audit_log::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        Ok(())
    }
}
