//! Keys as they are stored: those of applications and those of the server.
//! Making and using them is `latchkey-crypto`'s business.

use time::OffsetDateTime;

use crate::id::{AppId, ServerKeyId};
use crate::secret::Sealed;

/// Where an application's key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It signs.
    Current,
}

/// The RSA key pair of an application.
#[derive(Debug, Clone)]
pub struct AppKey {
    /// The application.
    pub app_id: AppId,
    /// The RFC 7638 thumbprint of the public half.
    pub kid: String,
    /// Where it stands.
    pub state: KeyState,
    /// The public half: PEM (SPKI, RFC 7468 section 13).
    pub public_pem: String,
    /// The private half (PKCS#8), sealed.
    pub private: Sealed,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// What a key of the server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerKeyPurpose {
    /// Seals what must be read back.
    Data,
    /// The root of the keyed digests.
    Digest,
    /// Signs the server's own tokens (Ed25519).
    Token,
}

/// A key of the server, wrapped by the master key.
#[derive(Debug, Clone)]
pub struct ServerKey {
    /// Its id.
    pub id: ServerKeyId,
    /// What it is for.
    pub purpose: ServerKeyPurpose,
    /// Counts the keys of one purpose from 1: the newest one is used for what is new.
    pub generation: i64,
    /// The wrapped key.
    pub wrapped: Sealed,
    /// When it was made.
    pub created_at: OffsetDateTime,
}
