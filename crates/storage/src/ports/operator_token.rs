//! Operator tokens: what is known of the server secrets that were handed out.

use latchkey_domain::{OperatorToken, TokenId};

use crate::StorageError;

/// Looks operator tokens up.
pub trait OperatorTokenReader {
    /// The token with this id.
    ///
    /// # Errors
    /// [`StorageError`].
    fn find(&mut self, id: TokenId) -> Result<Option<OperatorToken>, StorageError>;
}

/// Changes operator tokens.
pub trait OperatorTokenRepository: OperatorTokenReader {
    /// Adds a token.
    ///
    /// # Errors
    /// [`StorageError`].
    fn add(&mut self, token: &OperatorToken) -> Result<(), StorageError>;
}
