//! Operator tokens: what is known of the server secrets that were handed out.

use latchkey_domain::{AppId, OperatorToken, TokenId};
use time::OffsetDateTime;

use crate::StorageError;

/// Looks operator tokens up.
pub trait OperatorTokenReader {
    /// The token with this id.
    fn find(&mut self, id: TokenId) -> Result<Option<OperatorToken>, StorageError>;

    /// At most `limit` tokens, newest first, those made before `before` if it is given: those of one
    /// application alone, or all.
    fn list(
        &mut self,
        only_app: Option<AppId>,
        before: Option<TokenId>,
        limit: u32,
    ) -> Result<Vec<OperatorToken>, StorageError>;
}

/// Changes operator tokens.
pub trait OperatorTokenRepository: OperatorTokenReader {
    /// Adds a token.
    fn add(&mut self, token: &OperatorToken) -> Result<(), StorageError>;

    /// Revokes a token and all that it and those have made. Says how many were not revoked before.
    fn revoke(&mut self, id: TokenId, now: OffsetDateTime) -> Result<usize, StorageError>;

    /// Notes that a token is used, and keeps others from revoking it until the unit of work ends. `false` when it is
    /// revoked.
    fn note_use(&mut self, id: TokenId, now: OffsetDateTime) -> Result<bool, StorageError>;
}
