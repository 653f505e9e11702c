//! Invitations.

use latchkey_domain::{AppId, Handle, Invite, InviteId};
use time::OffsetDateTime;

use crate::{Listing, StorageError};

/// Looks invitations up.
pub trait InviteReader: Listing<Invite> {
    /// The invitations of a handle, in any of its spellings: the newest first.
    fn list(&mut self, app_id: AppId, handle: &Handle) -> Result<Vec<Invite>, StorageError>;
}

/// Changes invitations.
pub trait InviteRepository: InviteReader {
    /// Adds an invitation, or gives the one with its id the newer values. When it was made stays.
    fn put(&mut self, invite: &Invite) -> Result<(), StorageError>;

    /// Marks a pending invitation as verified. Returns `false` if it is not pending any more, or was sent again since
    /// it was read.
    fn verify(&mut self, invite: &Invite, now: OffsetDateTime) -> Result<bool, StorageError>;

    /// Removes an invitation.
    fn remove(&mut self, app_id: AppId, id: InviteId) -> Result<(), StorageError>;
}
