//! What callers of storage can act on. Database text stays in the source of an error: it is for the log.

/// A unit of work could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The database is unavailable, overloaded, or kept losing races: try again later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A row holds something that this program would never have written.
    #[error("the database is inconsistent: {table}.{column}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The application that a row belongs to was removed meanwhile.
    #[error("the application was removed")]
    AppGone,
    /// The data was written by a newer version of the program.
    #[error(
        "the data was written by a newer Latchkey (migration {0}): start that version, or restore an older backup"
    )]
    NewerSchema(String),
    /// The data was written by a build from before the first migration of this one.
    #[error(
        "the data was written by a Latchkey from before the first release (migration {0}): export its applications with that build, and import them into an empty folder"
    )]
    EarlierSchema(String),
    /// The database failed in another way.
    #[error("the database failed: {0}")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}
