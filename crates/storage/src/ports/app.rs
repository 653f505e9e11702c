//! Applications and their keys.

use latchkey_domain::{App, AppId, AppKey};

use crate::StorageError;

/// Looks applications up.
pub trait AppReader {
    /// The application with this id.
    ///
    /// # Errors
    /// [`StorageError`].
    fn find(&mut self, id: AppId) -> Result<Option<App>, StorageError>;

    /// At most `limit` applications, newest first, those made before `before` if it is given.
    ///
    /// # Errors
    /// [`StorageError`].
    fn list(&mut self, before: Option<AppId>, limit: u32) -> Result<Vec<App>, StorageError>;

    /// The keys of an application, oldest first.
    ///
    /// # Errors
    /// [`StorageError`].
    fn keys(&mut self, id: AppId) -> Result<Vec<AppKey>, StorageError>;
}

/// Changes applications.
pub trait AppRepository: AppReader {
    /// Adds an application with its first key. `false`, and nothing is added, when its developer has
    /// another application of that name.
    ///
    /// # Errors
    /// [`StorageError`].
    fn add(&mut self, app: &App, key: &AppKey) -> Result<bool, StorageError>;

    /// Gives an application new values, unless its revision is no longer `from_revision`. `false` then.
    ///
    /// # Errors
    /// [`StorageError`].
    fn update(&mut self, app: &App, from_revision: i64) -> Result<bool, StorageError>;
}
