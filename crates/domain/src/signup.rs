//! Pending sign-ups: requested, and waiting for their code.
//!
//! A sign-up belongs to a handle *and* to the address prefix of the request (and to the web page, if it is another
//! site's), so that nobody elsewhere can replace its password and let the owner of the mailbox confirm it. Behind one
//! address, the newest password counts.

use time::OffsetDateTime;

use crate::handle::Handle;
use crate::id::{AppId, SignupId, UserId};
use crate::locale::Locale;
use crate::metadata::Metadata;
use crate::secret::{KeyedDigest, Sealed};

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
pub enum SignupState {
    /// A code was sent.
    #[strum(serialize = "pending")]
    Pending,
    /// Its code came back and the user exists.
    #[strum(serialize = "verified")]
    Verified,
}

/// A sign-up attempt.
#[derive(Debug, Clone)]
pub struct Signup {
    /// The application.
    pub app_id: AppId,
    /// Its id, which follows from application, handle and source: a repeat is the same attempt.
    pub id: SignupId,
    /// The handle to be verified.
    pub handle: Handle,
    /// Keyed digest of the source of the request.
    pub source: KeyedDigest,
    /// The id that the user will have: the password digest is bound to it.
    pub user_id: UserId,
    /// Where it stands.
    pub state: SignupState,
    /// The password digest, sealed for `user_id`.
    pub password: Sealed,
    /// The requested locale.
    pub locale: Locale,
    /// The metadata that was sent.
    pub metadata: Metadata,
    /// When it was opened.
    pub created_at: OffsetDateTime,
    /// When it was last requested.
    pub updated_at: OffsetDateTime,
}
