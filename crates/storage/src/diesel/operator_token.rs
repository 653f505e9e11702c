//! Rows and queries of operator tokens.

use diesel::prelude::*;
use latchkey_domain::{AppId, OperatorToken, Scopes, TokenId, TokenName};
use time::{OffsetDateTime, PrimitiveDateTime};

use super::connection::{Unit, find_row, on_backend};
use super::convert::{Column, from_stored_time, to_stored_time};
use super::schema::operator_tokens;
use crate::{OperatorTokenReader, OperatorTokenRepository, StorageError};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = operator_tokens)]
struct OperatorTokenRow {
    id: Vec<u8>,
    name: String,
    created_at: PrimitiveDateTime,
    expires_at: PrimitiveDateTime,
    revoked_at: Option<PrimitiveDateTime>,
    scopes: String,
    only_app: Option<Vec<u8>>,
    last_used_at: Option<PrimitiveDateTime>,
    made_by: Option<Vec<u8>>,
}

impl OperatorTokenRow {
    fn into_token(self) -> Result<OperatorToken, StorageError> {
        let column = |name| Column("operator_tokens", name);
        let only_app = self.only_app.map(|id| column("only_app").bytes(&id)).transpose()?;
        let made_by = self.made_by.map(|id| column("made_by").bytes(&id)).transpose()?;
        Ok(OperatorToken {
            id: TokenId::from_bytes(column("id").bytes(&self.id)?),
            name: column("name").parsed(TokenName::parse(&self.name))?,
            scopes: column("scopes").parsed(Scopes::parse(&self.scopes))?,
            only_app: only_app.map(AppId::from_bytes),
            made_by: made_by.map(TokenId::from_bytes),
            created_at: from_stored_time(self.created_at),
            expires_at: from_stored_time(self.expires_at),
            revoked_at: self.revoked_at.map(from_stored_time),
            last_used_at: self.last_used_at.map(from_stored_time),
        })
    }
}

impl OperatorTokenReader for Unit<'_> {
    fn find(&mut self, id: TokenId) -> Result<Option<OperatorToken>, StorageError> {
        let row: Option<OperatorTokenRow> = find_row!(self, operator_tokens => OperatorTokenRow,
            operator_tokens::id.eq(id.as_bytes().as_slice()))?;
        row.map(OperatorTokenRow::into_token).transpose()
    }

    fn list(
        &mut self,
        only_app: Option<AppId>,
        before: Option<TokenId>,
        limit: u32,
    ) -> Result<Vec<OperatorToken>, StorageError> {
        let last = before.map_or([0xff; 16], |id| *id.as_bytes());
        let rows: Vec<OperatorTokenRow> = match only_app {
            None => on_backend!(self, conn => operator_tokens::table
                .filter(operator_tokens::id.lt(last.as_slice()))
                .order(operator_tokens::id.desc())
                .limit(i64::from(limit))
                .select(OperatorTokenRow::as_select())
                .load(conn))?,
            Some(app) => on_backend!(self, conn => operator_tokens::table
                .filter(operator_tokens::id.lt(last.as_slice()))
                .filter(operator_tokens::only_app.eq(app.as_bytes().as_slice()))
                .order(operator_tokens::id.desc())
                .limit(i64::from(limit))
                .select(OperatorTokenRow::as_select())
                .load(conn))?,
        };
        rows.into_iter().map(OperatorTokenRow::into_token).collect()
    }
}

impl OperatorTokenRepository for Unit<'_> {
    fn add(&mut self, token: &OperatorToken) -> Result<(), StorageError> {
        let row = OperatorTokenRow {
            id: token.id.as_bytes().to_vec(),
            name: token.name.as_str().to_owned(),
            created_at: to_stored_time(token.created_at),
            expires_at: to_stored_time(token.expires_at),
            revoked_at: token.revoked_at.map(to_stored_time),
            scopes: token.scopes.to_string(),
            only_app: token.only_app.map(|id| id.as_bytes().to_vec()),
            last_used_at: token.last_used_at.map(to_stored_time),
            made_by: token.made_by.map(|id| id.as_bytes().to_vec()),
        };
        on_backend!(self, conn => diesel::insert_into(operator_tokens::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        Ok(())
    }

    fn revoke(&mut self, id: TokenId, now: OffsetDateTime) -> Result<usize, StorageError> {
        let (mut revoked, mut left) = (0, vec![id.as_bytes().to_vec()]);
        // A token first and then what it made: one that makes another at this moment holds its own row until then.
        while let Some(id) = left.pop() {
            revoked += on_backend!(self, conn => diesel::update(operator_tokens::table)
                .filter(operator_tokens::id.eq(&id))
                .filter(operator_tokens::revoked_at.is_null())
                .set(operator_tokens::revoked_at.eq(to_stored_time(now)))
                .execute(conn))?;
            let made: Vec<Vec<u8>> = on_backend!(self, conn => operator_tokens::table
                .filter(operator_tokens::made_by.eq(&id))
                .select(operator_tokens::id)
                .load(conn))?;
            left.extend(made);
        }
        Ok(revoked)
    }

    fn note_use(&mut self, id: TokenId, now: OffsetDateTime) -> Result<bool, StorageError> {
        let changed = on_backend!(self, conn => diesel::update(operator_tokens::table)
            .filter(operator_tokens::id.eq(id.as_bytes().as_slice()))
            .filter(operator_tokens::revoked_at.is_null())
            .set(operator_tokens::last_used_at.eq(to_stored_time(now)))
            .execute(conn))?;
        Ok(changed == 1)
    }
}
