//! Operator tokens: the named, expiring server secrets that open the administration API.

use time::{Duration, OffsetDateTime};

use crate::id::TokenId;
use crate::text::has_forbidden_characters;

/// The longest life of an operator token.
pub const MAX_LIFE: Duration = Duration::days(365);
/// The life of an operator token when nothing else is asked for.
pub const DEFAULT_LIFE: Duration = Duration::days(90);

/// The text cannot name an operator token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 64 characters and no control characters")]
pub struct InvalidTokenName;

/// The name by which people know an operator token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName(String);

impl TokenName {
    /// Parses a name: trimmed, 1 to 64 characters.
    ///
    /// # Errors
    /// [`InvalidTokenName`].
    pub fn parse(text: &str) -> Result<Self, InvalidTokenName> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > 64 || has_forbidden_characters(text) {
            return Err(InvalidTokenName);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is stored of an operator token: never its text.
#[derive(Debug, Clone)]
pub struct OperatorToken {
    /// The token's `jti`.
    pub id: TokenId,
    /// Its name.
    pub name: TokenName,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it stops working.
    pub expires_at: OffsetDateTime,
    /// When it was revoked, if it was.
    pub revoked_at: Option<OffsetDateTime>,
}

impl OperatorToken {
    /// Whether it opens anything at this moment.
    #[must_use]
    pub fn is_good(&self, now: OffsetDateTime) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}
