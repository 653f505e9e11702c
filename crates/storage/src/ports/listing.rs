//! Lists of an application's members: newest first, by a prefix, by any part.

use latchkey_domain::AppId;
use time::OffsetDateTime;

use crate::StorageError;

/// The position of a row in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// Its id.
    pub id: [u8; 16],
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageStart {
    /// After so many rows. They are read and passed over: not for deep pages.
    Skip(u32),
    /// After this row.
    After(Position),
}

/// How far one step of a search goes.
#[derive(Debug, Clone, Copy)]
pub struct ScanBounds {
    /// The maximum number of rows to scan.
    pub rows: u32,
    /// How many it finds.
    pub found: usize,
    /// Whether those who are anonymous count as not found.
    pub without_anonymous: bool,
}

/// One step of a search through a collection.
#[derive(Debug, Clone)]
pub struct Scan<T> {
    /// The matches.
    pub found: Vec<T>,
    /// Where the next step begins; none at the end.
    pub next: Option<Position>,
    /// The number of scanned rows.
    pub looked_at: u32,
}

/// A collection whose members have handles. Searched text is folded as `Handle::search_key` does.
pub trait Listing<T> {
    /// At most `limit` members, newest first, optionally without anonymous ones.
    fn page(
        &mut self,
        app_id: AppId,
        start: PageStart,
        limit: u32,
        without_anonymous: bool,
    ) -> Result<Vec<T>, StorageError>;

    /// How many members there are: all, and those who are anonymous.
    fn count(&mut self, app_id: AppId) -> Result<(u64, u64), StorageError>;

    /// At most `limit` members whose handle, or user name where there are any, begins with a text: by an index.
    fn beginning_with(&mut self, app_id: AppId, text: &str, limit: u32) -> Result<Vec<T>, StorageError>;

    /// Looks through members, newest first, for those with a text anywhere in their handle, or user name where there
    /// are any.
    fn scan(
        &mut self,
        app_id: AppId,
        after: Option<Position>,
        bounds: ScanBounds,
        text: &str,
    ) -> Result<Scan<T>, StorageError>;
}
