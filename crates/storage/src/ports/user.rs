//! Users.

use latchkey_domain::{
    AppId, Failures, Handle, KnownSources, Phone, Provider, Sealed, Sessions, SourceTrust, User, UserChange,
    UserId, UserName,
};
use time::OffsetDateTime;

use crate::{Listing, StorageError};

/// Looks users up, always within their application.
pub trait UserReader: Listing<User> {
    /// The user with this id.
    fn find(&mut self, app_id: AppId, id: UserId) -> Result<Option<User>, StorageError>;

    /// The user with this handle, in any of its spellings.
    fn find_by_handle(&mut self, app_id: AppId, handle: &Handle) -> Result<Option<User>, StorageError>;

    /// The user with this user name.
    fn find_by_user_name(&mut self, app_id: AppId, name: &UserName) -> Result<Option<User>, StorageError>;

    /// A user whose handle has this underscored form ([`Handle::underscored`]).
    fn find_by_underscored(&mut self, app_id: AppId, text: &str) -> Result<Option<User>, StorageError>;

    /// An underscored form that the handles of two users share, if there is one.
    fn shared_underscored(&mut self, app_id: AppId) -> Result<Option<String>, StorageError>;

    /// The user who verified this number.
    fn find_by_verified_phone(&mut self, app_id: AppId, phone: &Phone) -> Result<Option<User>, StorageError>;

    /// The user with this identity at a provider.
    fn find_by_subject(
        &mut self,
        app_id: AppId,
        provider: Provider,
        subject: &str,
    ) -> Result<Option<User>, StorageError>;

    /// Whether the handle of a deleted user is still held at this moment.
    fn is_held(&mut self, app_id: AppId, handle: &Handle, now: OffsetDateTime) -> Result<bool, StorageError>;

    /// Whether the application has at least `number` users; no more rows than that are read.
    fn are_at_least(&mut self, app_id: AppId, number: u32) -> Result<bool, StorageError>;
}

/// Changes users.
pub trait UserRepository: UserReader {
    /// Adds a user. Returns `false`, and adds nothing, if the handle or user name is taken. Adding the same user again
    /// is not a conflict: a repeated unit of work finds its own row.
    fn add(&mut self, user: &User) -> Result<bool, StorageError>;

    /// Replaces a password hash, unless it has changed since it was verified. Returns `false` then.
    fn replace_password(
        &mut self,
        app_id: AppId,
        id: UserId,
        verified: &Sealed,
        new: &Sealed,
    ) -> Result<bool, StorageError>;

    /// Ends sessions, unless they have changed since they were read. `false` then.
    fn change_sessions(
        &mut self,
        app_id: AppId,
        id: UserId,
        from: Sessions,
        to: Sessions,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError>;

    /// Sets the failures of one kind of source, unless their number has changed since it was read. `false`
    /// then.
    fn count_failures(
        &mut self,
        app_id: AppId,
        id: UserId,
        side: SourceTrust,
        from: Failures,
        to: Failures,
    ) -> Result<bool, StorageError>;

    /// Replaces the known sources of a user, unless they have changed since they were read. Returns `false` then.
    fn note_sources(
        &mut self,
        app_id: AppId,
        id: UserId,
        from: &KnownSources,
        to: &KnownSources,
    ) -> Result<bool, StorageError>;

    /// Records that the owner was notified of a lock, unless that happened since `before`. Returns `false` then.
    fn note_lock_mail(
        &mut self,
        app_id: AppId,
        id: UserId,
        now: OffsetDateTime,
        before: OffsetDateTime,
    ) -> Result<bool, StorageError>;

    /// Sets a password whatever was there, ends the sessions from `from` to `to`, and resets all failures.
    /// `false` when the sessions have changed since they were read.
    fn reset_password(
        &mut self,
        app_id: AppId,
        id: UserId,
        new: &Sealed,
        from: Sessions,
        to: Sessions,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError>;

    /// Marks a user's address as verified: a code or link mailed there has come back.
    fn verify_email(&mut self, app_id: AppId, id: UserId) -> Result<(), StorageError>;

    /// Changes what `change` names, unless the user is gone or their revision has moved since `user` was read.
    /// `false` then.
    fn change(&mut self, user: &User, change: &UserChange, now: OffsetDateTime)
    -> Result<bool, StorageError>;

    /// Removes a user. Returns `false` for an unknown id.
    fn remove(&mut self, app_id: AppId, id: UserId) -> Result<bool, StorageError>;

    /// Keeps a handle taken until then.
    fn hold(&mut self, app_id: AppId, handle: &Handle, until: OffsetDateTime) -> Result<(), StorageError>;

    /// Notes a sign-in.
    fn note_login(&mut self, app_id: AppId, id: UserId, now: OffsetDateTime) -> Result<(), StorageError>;
}
