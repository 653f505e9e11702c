//! Invitations: a user invites another person, who registers with a mailed code.

use time::OffsetDateTime;

use crate::handle::Handle;
use crate::id::{AppId, InviteId, UserId};
use crate::locale::Locale;
use crate::metadata::Metadata;

/// Where an invitation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
pub enum InviteState {
    /// A code was sent.
    #[strum(serialize = "pending")]
    Pending,
    /// The invited person has registered.
    #[strum(serialize = "verified")]
    Verified,
}

/// An invitation.
#[derive(Debug, Clone)]
pub struct Invite {
    /// The application.
    pub app_id: AppId,
    /// Its id, which follows from application, handle and sender: a repeat is the same invitation.
    pub id: InviteId,
    /// Who is invited.
    pub handle: Handle,
    /// Who invites.
    pub sender_id: UserId,
    /// The sender's handle when they invited.
    pub sender_handle: Handle,
    /// The client's own reference to the sender, stored and never interpreted.
    pub sender_reference: String,
    /// Where it stands.
    pub state: InviteState,
    /// The language of its mail.
    pub locale: Locale,
    /// Metadata that the sender sets for the invited user.
    pub metadata: Metadata,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last repeated.
    pub updated_at: OffsetDateTime,
}
