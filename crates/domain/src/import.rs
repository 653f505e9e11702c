//! The progress of an import of an application.

use time::OffsetDateTime;

use crate::id::AppId;

/// How far an import is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportProgress {
    /// The application that it makes.
    pub app_id: AppId,
    /// SHA-256 of what it is made from.
    pub source: [u8; 32],
    /// How many records were taken in.
    pub done: i64,
    /// When it was begun.
    pub began_at: OffsetDateTime,
    /// When it last went on.
    pub updated_at: OffsetDateTime,
}
