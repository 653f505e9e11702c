//! Applications that are being imported. No list or query finds them until they are complete.

use latchkey_domain::{App, AppId, ImportProgress, User};
use time::OffsetDateTime;

use crate::StorageError;

/// The outcome of an imported row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOutcome {
    /// It is there now.
    Added,
    /// It was there already: the same user.
    Known,
    /// Handle, user name, number or identity are another user's.
    Taken,
}

/// Brings applications and users in.
pub trait ImportRepository {
    /// The import of a source that was begun and is not whole.
    fn find(&mut self, source: &[u8; 32]) -> Result<Option<ImportProgress>, StorageError>;

    /// All imports that are not whole.
    fn list(&mut self) -> Result<Vec<ImportProgress>, StorageError>;

    /// Begins: from now on there is a place for what belongs to the application. `false` when there is an
    /// application of this id.
    fn begin(&mut self, app: &App, mark: &ImportProgress) -> Result<bool, StorageError>;

    /// Records the progress of an import, unless it has changed meanwhile. Returns `false` then.
    fn advance(
        &mut self,
        app_id: AppId,
        from: i64,
        to: i64,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError>;

    /// Makes a completely imported application visible. Returns `false` when there is no such import.
    fn reveal(&mut self, app: &App) -> Result<bool, StorageError>;

    /// Brings a user in.
    fn add_user(&mut self, user: &User) -> Result<RowOutcome, StorageError>;
}
