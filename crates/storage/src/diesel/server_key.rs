//! Rows and queries of the server's keys.

use diesel::prelude::*;
use latchkey_domain::{Sealed, ServerKey, ServerKeyId, ServerKeyPurpose};
use time::{OffsetDateTime, PrimitiveDateTime};

use super::connection::{Unit, on_backend};
use super::convert::{Column, from_stored_time, name_of, to_stored_time};
use super::schema::{old_server_keys, server_keys};
use crate::{ServerKeyReader, ServerKeyRepository, StorageError};

const PURPOSES: [(ServerKeyPurpose, &str); 3] = [
    (ServerKeyPurpose::Data, "data"),
    (ServerKeyPurpose::Digest, "digest"),
    (ServerKeyPurpose::Token, "token"),
];

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = server_keys)]
struct ServerKeyRow {
    purpose: String,
    generation: i64,
    id: Vec<u8>,
    wrapped: Vec<u8>,
    created_at: PrimitiveDateTime,
    used_from: Option<PrimitiveDateTime>,
    ends_at: Option<PrimitiveDateTime>,
}

impl ServerKeyReader for Unit<'_> {
    fn list(&mut self) -> Result<Vec<ServerKey>, StorageError> {
        let rows: Vec<ServerKeyRow> = on_backend!(self, conn => server_keys::table
            .order((server_keys::purpose, server_keys::generation))
            .select(ServerKeyRow::as_select())
            .load(conn))?;
        rows.into_iter()
            .map(|row| {
                Ok(ServerKey {
                    id: ServerKeyId::from_bytes(Column("server_keys", "id").bytes(&row.id)?),
                    purpose: Column("server_keys", "purpose").named(&PURPOSES, &row.purpose)?,
                    generation: row.generation,
                    wrapped: Sealed::from_bytes(row.wrapped),
                    created_at: from_stored_time(row.created_at),
                    used_from: row.used_from.map(from_stored_time),
                    ends_at: row.ends_at.map(from_stored_time),
                })
            })
            .collect()
    }

    fn old_public_keys(&mut self) -> Result<Vec<String>, StorageError> {
        on_backend!(self, conn => old_server_keys::table
            .order(old_server_keys::created_at)
            .select(old_server_keys::public_pem)
            .load(conn))
    }
}

impl ServerKeyRepository for Unit<'_> {
    fn add(&mut self, key: &ServerKey) -> Result<bool, StorageError> {
        let row = ServerKeyRow {
            purpose: name_of(&PURPOSES, &key.purpose).to_owned(),
            generation: key.generation,
            id: key.id.as_bytes().to_vec(),
            wrapped: key.wrapped.as_bytes().to_vec(),
            created_at: to_stored_time(key.created_at),
            used_from: key.used_from.map(to_stored_time),
            ends_at: key.ends_at.map(to_stored_time),
        };
        let added = on_backend!(self, conn => diesel::insert_into(server_keys::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        Ok(added == 1)
    }

    fn rewrap(&mut self, key: &ServerKey, from: &Sealed) -> Result<bool, StorageError> {
        let changed = on_backend!(self, conn => diesel::update(server_keys::table)
            .filter(server_keys::purpose.eq(name_of(&PURPOSES, &key.purpose)))
            .filter(server_keys::generation.eq(key.generation))
            .filter(server_keys::wrapped.eq(from.as_bytes()))
            .set(server_keys::wrapped.eq(key.wrapped.as_bytes()))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn end(&mut self, key: &ServerKey, at: OffsetDateTime) -> Result<bool, StorageError> {
        let changed = on_backend!(self, conn => diesel::update(server_keys::table)
            .filter(server_keys::purpose.eq(name_of(&PURPOSES, &key.purpose)))
            .filter(server_keys::generation.eq(key.generation))
            .filter(server_keys::ends_at.is_null())
            .set(server_keys::ends_at.eq(to_stored_time(at)))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn remove(&mut self, key: &ServerKey) -> Result<bool, StorageError> {
        let removed = on_backend!(self, conn => diesel::delete(server_keys::table)
            .filter(server_keys::purpose.eq(name_of(&PURPOSES, &key.purpose)))
            .filter(server_keys::generation.eq(key.generation))
            .execute(conn))?;
        Ok(removed == 1)
    }

    fn trust_old(&mut self, kid: &str, public_pem: &str, now: OffsetDateTime) -> Result<bool, StorageError> {
        let added = on_backend!(self, conn => diesel::insert_into(old_server_keys::table)
            .values((
                old_server_keys::kid.eq(kid),
                old_server_keys::public_pem.eq(public_pem),
                old_server_keys::created_at.eq(to_stored_time(now)),
            ))
            .on_conflict_do_nothing()
            .execute(conn))?;
        Ok(added == 1)
    }
}
