//! Rows and queries of operator tokens.

use diesel::prelude::*;
use latchkey_domain::{OperatorToken, TokenId, TokenName};
use time::PrimitiveDateTime;

use super::connection::{Unit, on_backend};
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
}

impl OperatorTokenReader for Unit<'_> {
    fn find(&mut self, id: TokenId) -> Result<Option<OperatorToken>, StorageError> {
        let row: Option<OperatorTokenRow> = on_backend!(self, conn => operator_tokens::table
            .filter(operator_tokens::id.eq(id.as_bytes().as_slice()))
            .select(OperatorTokenRow::as_select())
            .first(conn)
            .optional())?;
        row.map(|row| {
            Ok(OperatorToken {
                id,
                name: Column("operator_tokens", "name").parsed(TokenName::parse(&row.name))?,
                created_at: from_stored_time(row.created_at),
                expires_at: from_stored_time(row.expires_at),
                revoked_at: row.revoked_at.map(from_stored_time),
            })
        })
        .transpose()
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
        };
        on_backend!(self, conn => diesel::insert_into(operator_tokens::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        Ok(())
    }
}
