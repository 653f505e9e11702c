//! Applications that are being brought in. They are in no list and found by nobody until they are whole.

use latchkey_domain::{App, AppId, ImportMark, User};
use time::OffsetDateTime;

use crate::StorageError;

/// What became of a row that was brought in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
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
    ///
    /// # Errors
    /// [`StorageError`].
    fn find(&mut self, source: &[u8; 32]) -> Result<Option<ImportMark>, StorageError>;

    /// All imports that are not whole.
    ///
    /// # Errors
    /// [`StorageError`].
    fn list(&mut self) -> Result<Vec<ImportMark>, StorageError>;

    /// Begins: from now on there is a place for what belongs to the application. `false` when there is an
    /// application of this id.
    ///
    /// # Errors
    /// [`StorageError`].
    fn begin(&mut self, app: &App, mark: &ImportMark) -> Result<bool, StorageError>;

    /// Notes how far an import is, unless it is no longer where it was. `false` then.
    ///
    /// # Errors
    /// [`StorageError`].
    fn advance(
        &mut self,
        app_id: AppId,
        from: i64,
        to: i64,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError>;

    /// Lets everybody see the application: it is whole. `false` when there is no such import.
    ///
    /// # Errors
    /// [`StorageError`].
    fn reveal(&mut self, app: &App) -> Result<bool, StorageError>;

    /// Brings a user in.
    ///
    /// # Errors
    /// [`StorageError`].
    fn add_user(&mut self, user: &User) -> Result<Brought, StorageError>;
}
