//! Rows and queries of one-time codes.

use diesel::prelude::*;
use latchkey_domain::{AppId, CodeId, CodeLength, CodePurpose, KeyedDigest, Named as _, StoredCode};
use time::{OffsetDateTime, PrimitiveDateTime};

use super::connection::{Unit, in_app, on_backend};
use super::convert::{Column, from_stored_time, to_stored_time};
use super::schema::codes;
use crate::{CodeReader, CodeRepository, StorageError};

const LONG: i64 = CodeLength::Eight.digits() as i64;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = codes)]
struct CodeRow {
    app_id: Vec<u8>,
    id: Vec<u8>,
    purpose: String,
    subject: Vec<u8>,
    digest: Vec<u8>,
    created_at: PrimitiveDateTime,
    expires_at: PrimitiveDateTime,
    consumed_at: Option<PrimitiveDateTime>,
    source: Option<Vec<u8>>,
    digits: i64,
}

impl CodeRow {
    fn into_code(self) -> Result<StoredCode, StorageError> {
        let purpose = Column("codes", "purpose");
        let source = self.source.map(|source| Column("codes", "source").bytes(&source)).transpose()?;
        Ok(StoredCode {
            id: CodeId::from_bytes(Column("codes", "id").bytes(&self.id)?),
            app_id: AppId::from_bytes(Column("codes", "app_id").bytes(&self.app_id)?),
            purpose: CodePurpose::from_name(&self.purpose).ok_or_else(|| purpose.wrong())?,
            subject: Column("codes", "subject").bytes(&self.subject)?,
            digest: KeyedDigest::from_bytes(Column("codes", "digest").bytes(&self.digest)?),
            created_at: from_stored_time(self.created_at),
            expires_at: from_stored_time(self.expires_at),
            consumed_at: self.consumed_at.map(from_stored_time),
            source: source.map(KeyedDigest::from_bytes),
            length: if self.digits == LONG { CodeLength::Eight } else { CodeLength::Six },
        })
    }
}

impl CodeReader for Unit<'_> {
    fn list(
        &mut self,
        app_id: AppId,
        purpose: CodePurpose,
        subject: &[u8; 16],
    ) -> Result<Vec<StoredCode>, StorageError> {
        let rows: Vec<CodeRow> = on_backend!(self, conn => in_app!(codes, app_id)
            .filter(codes::subject.eq(subject.as_slice()))
            .filter(codes::purpose.eq(purpose.name()))
            .order((codes::created_at.desc(), codes::id.desc()))
            .select(CodeRow::as_select())
            .load(conn))?;
        rows.into_iter().map(CodeRow::into_code).collect()
    }
}

impl CodeRepository for Unit<'_> {
    fn add(&mut self, code: &StoredCode) -> Result<(), StorageError> {
        let row = CodeRow {
            app_id: code.app_id.as_bytes().to_vec(),
            id: code.id.as_bytes().to_vec(),
            purpose: code.purpose.name().to_owned(),
            subject: code.subject.to_vec(),
            digest: code.digest.as_bytes().to_vec(),
            created_at: to_stored_time(code.created_at),
            expires_at: to_stored_time(code.expires_at),
            consumed_at: code.consumed_at.map(to_stored_time),
            source: code.source.as_ref().map(|source| source.as_bytes().to_vec()),
            digits: i64::from(code.length.digits()),
        };
        on_backend!(self, conn => diesel::insert_into(codes::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        Ok(())
    }

    fn consume(&mut self, app_id: AppId, id: CodeId, now: OffsetDateTime) -> Result<bool, StorageError> {
        let changed = on_backend!(self, conn => diesel::update(in_app!(codes, app_id))
            .filter(codes::id.eq(id.as_bytes().as_slice()))
            .filter(codes::consumed_at.is_null())
            .set(codes::consumed_at.eq(to_stored_time(now)))
            .execute(conn))?;
        Ok(changed == 1)
    }

    fn remove(&mut self, app_id: AppId, id: CodeId) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::delete(in_app!(codes, app_id))
            .filter(codes::id.eq(id.as_bytes().as_slice()))
            .execute(conn))?;
        Ok(())
    }

    fn remove_all(&mut self, app_id: AppId, subject: &[u8; 16]) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::delete(in_app!(codes, app_id))
            .filter(codes::subject.eq(subject.as_slice()))
            .execute(conn))?;
        Ok(())
    }

    fn remove_unconsumed(&mut self, app_id: AppId, subject: &[u8; 16]) -> Result<(), StorageError> {
        on_backend!(self, conn => diesel::delete(in_app!(codes, app_id))
            .filter(codes::subject.eq(subject.as_slice()))
            .filter(codes::consumed_at.is_null())
            .execute(conn))?;
        Ok(())
    }
}
