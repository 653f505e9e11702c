//! Accounts of the portal, their log-ins, and the links to its set-up page.

use latchkey_domain::{Developer, DeveloperId, KeyedDigest, PortalLogin, SetupLink};
use time::OffsetDateTime;

use crate::StorageError;

/// Looks accounts and log-ins up.
pub trait PortalReader {
    /// The account with this id.
    fn find_developer(&mut self, id: DeveloperId) -> Result<Option<Developer>, StorageError>;

    /// The account with this address, by its key: see [`Handle::key`](latchkey_domain::Handle::key).
    fn find_by_email(&mut self, email_key: &str) -> Result<Option<Developer>, StorageError>;

    /// Whether there is an administrator who can sign in.
    fn has_administrator(&mut self) -> Result<bool, StorageError>;

    /// The log-in of a cookie.
    fn find_login(&mut self, digest: &KeyedDigest) -> Result<Option<PortalLogin>, StorageError>;

    /// The log-ins of an account, those used last first.
    fn logins(&mut self, developer_id: DeveloperId) -> Result<Vec<PortalLogin>, StorageError>;

    /// The set-up link with this digest.
    fn find_setup_link(&mut self, digest: &KeyedDigest) -> Result<Option<SetupLink>, StorageError>;
}

/// Changes accounts and log-ins.
pub trait PortalRepository: PortalReader {
    /// Adds an account. `false`, and nothing is added, when its address has one.
    fn add_developer(&mut self, developer: &Developer) -> Result<bool, StorageError>;

    /// Updates an account, unless its revision is no longer `from_revision`. Returns `false` then.
    fn update_developer(&mut self, developer: &Developer, from_revision: i64) -> Result<bool, StorageError>;

    /// Notes a sign-in, unless the account was blocked, or its password is no longer the one of this time. Returns
    /// `false` then.
    fn note_sign_in(
        &mut self,
        id: DeveloperId,
        password_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError>;

    /// Adds a log-in.
    fn add_login(&mut self, login: &PortalLogin) -> Result<(), StorageError>;

    /// Notes that a log-in is used. `false` when it has ended.
    fn note_use(&mut self, digest: &KeyedDigest, now: OffsetDateTime) -> Result<bool, StorageError>;

    /// Ends a log-in. `false` when it had ended already.
    fn remove_login(&mut self, digest: &KeyedDigest) -> Result<bool, StorageError>;

    /// Ends the log-ins of an account, except one if it is given. Returns how many.
    fn remove_logins_of(
        &mut self,
        developer_id: DeveloperId,
        except: Option<&KeyedDigest>,
    ) -> Result<usize, StorageError>;

    /// Replaces all set-up links by this one, or by none.
    fn replace_setup_links(&mut self, link: Option<&SetupLink>) -> Result<(), StorageError>;
}
