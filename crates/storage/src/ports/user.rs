//! Users.

use latchkey_domain::{AppId, Handle, Sealed, Sessions, User, UserId, UserName};
use time::OffsetDateTime;

use crate::StorageError;

/// Looks users up, always within their application.
pub trait UserReader {
    /// The user with this id.
    ///
    /// # Errors
    /// [`StorageError`].
    fn find(&mut self, app_id: AppId, id: UserId) -> Result<Option<User>, StorageError>;

    /// The user with this handle, in any of its spellings.
    ///
    /// # Errors
    /// [`StorageError`].
    fn find_by_handle(&mut self, app_id: AppId, handle: &Handle) -> Result<Option<User>, StorageError>;

    /// The user with this user name.
    ///
    /// # Errors
    /// [`StorageError`].
    fn find_by_user_name(&mut self, app_id: AppId, name: &UserName) -> Result<Option<User>, StorageError>;

    /// Whether the application has at least `number` users; no more rows than that are read.
    ///
    /// # Errors
    /// [`StorageError`].
    fn are_at_least(&mut self, app_id: AppId, number: u32) -> Result<bool, StorageError>;
}

/// Changes users.
pub trait UserRepository: UserReader {
    /// Adds a user. `false`, and nothing is added, when the handle or user name is taken. Adding the same
    /// user again is no conflict: a repeated unit of work finds its own row.
    ///
    /// # Errors
    /// [`StorageError`].
    fn add(&mut self, user: &User) -> Result<bool, StorageError>;

    /// Replaces a password digest, unless it is no longer the one that was verified. `false` then.
    ///
    /// # Errors
    /// [`StorageError`].
    fn replace_password(
        &mut self,
        app_id: AppId,
        id: UserId,
        verified: &Sealed,
        new: &Sealed,
    ) -> Result<bool, StorageError>;

    /// Ends sessions, unless they have changed since they were read. `false` then.
    ///
    /// # Errors
    /// [`StorageError`].
    fn change_sessions(
        &mut self,
        app_id: AppId,
        id: UserId,
        from: Sessions,
        to: Sessions,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError>;

    /// Notes a sign-in.
    ///
    /// # Errors
    /// [`StorageError`].
    fn note_login(&mut self, app_id: AppId, id: UserId, now: OffsetDateTime) -> Result<(), StorageError>;
}
