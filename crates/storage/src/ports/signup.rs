//! Sign-up attempts.

use latchkey_domain::{AppId, Handle, Signup, SignupId};
use time::OffsetDateTime;

use crate::{Listing, StorageError};

/// Looks sign-up attempts up.
pub trait SignupReader: Listing<Signup> {
    /// The sign-ups of a handle, in any of its spellings, the most recently requested first.
    fn list(&mut self, app_id: AppId, handle: &Handle) -> Result<Vec<Signup>, StorageError>;
}

/// Changes sign-up attempts.
pub trait SignupRepository: SignupReader {
    /// Adds an attempt, or gives the one with its id the newer values. When it was opened stays.
    fn put(&mut self, signup: &Signup) -> Result<(), StorageError>;

    /// Marks a pending sign-up as verified. Returns `false` if it is not pending any more, or was replaced since it was
    /// read.
    fn verify(&mut self, signup: &Signup, now: OffsetDateTime) -> Result<bool, StorageError>;

    /// Removes an attempt.
    fn remove(&mut self, app_id: AppId, id: SignupId) -> Result<(), StorageError>;
}
