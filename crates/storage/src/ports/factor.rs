//! Second factors of users, and their recovery codes.

use latchkey_domain::{AppId, Factors, KeyedDigest, Sealed, SocialIdentity, User, UserId};
use time::OffsetDateTime;

use crate::StorageError;

/// Changes second factors, and what ties a user to another service.
pub trait FactorRepository {
    /// Replaces a user's factors, unless they or the user's epoch have changed since `user` was read: a user who was
    /// suspended or signed out meanwhile changes nothing. Returns `false` then. The last step of a remaining
    /// authenticator stays.
    fn change(&mut self, user: &User, to: &Factors, now: OffsetDateTime) -> Result<bool, StorageError>;

    /// Accepts a step of an authenticator: it and all older ones are used up. `false` when it was already, or
    /// the authenticator is another one now.
    fn accept_step(
        &mut self,
        app_id: AppId,
        id: UserId,
        secret: &Sealed,
        step: u64,
    ) -> Result<bool, StorageError>;

    /// Replaces all recovery codes of a user.
    fn replace_recovery_codes(
        &mut self,
        app_id: AppId,
        id: UserId,
        digests: &[KeyedDigest],
    ) -> Result<(), StorageError>;

    /// Uses a recovery code up. Returns `false` if none has this digest.
    fn use_recovery_code(
        &mut self,
        app_id: AppId,
        id: UserId,
        digest: &KeyedDigest,
    ) -> Result<bool, StorageError>;

    /// Gives a user whose provider's `sub` is not known the one that was shown with their address, which is verified by
    /// that.
    /// `false` when they have one.
    fn set_subject(
        &mut self,
        app_id: AppId,
        id: UserId,
        identity: &SocialIdentity,
    ) -> Result<bool, StorageError>;
}
