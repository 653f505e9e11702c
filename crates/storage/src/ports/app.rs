//! Applications and their keys.

use latchkey_domain::{App, AppId, AppKey, AppName, Owner};

use crate::StorageError;

/// Looks applications up.
pub trait AppReader {
    /// The application with this id.
    fn find(&mut self, id: AppId) -> Result<Option<App>, StorageError>;

    /// An owner's application of this name.
    fn find_by_name(&mut self, owner: Owner, name: &AppName) -> Result<Option<App>, StorageError>;

    /// The id of the application with this issuer, one that is being imported included.
    fn find_by_issuer(&mut self, issuer: &str) -> Result<Option<AppId>, StorageError>;

    /// The applications that have the key with this id, ones that are being imported included.
    fn find_by_key(&mut self, kid: &str) -> Result<Vec<AppId>, StorageError>;

    /// At most `limit` applications of an owner, or of all, newest first, those made before `before` if it is given.
    fn list(
        &mut self,
        owner: Option<Owner>,
        before: Option<AppId>,
        limit: u32,
    ) -> Result<Vec<App>, StorageError>;

    /// The keys of an application, oldest first.
    fn keys(&mut self, id: AppId) -> Result<Vec<AppKey>, StorageError>;
}

/// Changes applications.
pub trait AppRepository: AppReader {
    /// Adds an application with its first key. `false`, and nothing is added, when its developer has
    /// another application of that name.
    fn add(&mut self, app: &App, key: &AppKey) -> Result<bool, StorageError>;

    /// Updates an application, unless its revision is no longer `from_revision`. Returns `false` then.
    fn update(&mut self, app: &App, from_revision: i64) -> Result<bool, StorageError>;

    /// Locks the application's row until the unit of work ends, increments its revision, and returns the application.
    /// `None` for an unknown id.
    fn hold(&mut self, id: AppId) -> Result<Option<App>, StorageError>;

    /// Adds a key, or gives the one of its name its times.
    fn put_key(&mut self, key: &AppKey) -> Result<(), StorageError>;

    /// Updates a key's times. `false` if the key no longer exists; it is never inserted.
    fn change_key(&mut self, key: &AppKey) -> Result<bool, StorageError>;

    /// Removes a key.
    fn remove_key(&mut self, id: AppId, kid: &str) -> Result<(), StorageError>;

    /// Removes users, sign-ups, invitations, codes and messages to be sent of an application. Its log and its counters
    /// stay.
    fn remove_content(&mut self, id: AppId) -> Result<(), StorageError>;

    /// Removes an application with everything that is of it.
    fn remove(&mut self, id: AppId) -> Result<(), StorageError>;
}
