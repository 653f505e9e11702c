//! Everything that is sealed with the server's data keys, column by column, so that another key can take over.
//! What applications' settings hold sealed is read and written with the application.

use latchkey_domain::{AppId, Sealed};

use crate::StorageError;

/// A column whose values are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedColumn {
    /// Users' password hashes.
    Password,
    /// The secrets of their authenticators.
    Authenticator,
    /// Secrets of authenticators that have not proven a code yet.
    PendingAuthenticator,
    /// Password hashes of open sign-ups.
    SignUpPassword,
    /// The private halves of applications' keys.
    AppKey,
    /// Messages to be sent.
    Message,
    /// Password hashes of the portal's accounts, which belong to no application: [`AppId::NONE`].
    DeveloperPassword,
}

impl SealedColumn {
    /// Those of applications.
    pub const OF_APPS: [Self; 6] = [
        Self::Password,
        Self::Authenticator,
        Self::PendingAuthenticator,
        Self::SignUpPassword,
        Self::AppKey,
        Self::Message,
    ];
    /// Those of the server itself.
    pub const OF_SERVER: [Self; 1] = [Self::DeveloperPassword];
}

/// A value of such a column.
#[derive(Debug, Clone)]
pub struct SealedCell {
    /// Names its row within the application.
    pub row: Vec<u8>,
    /// The context that the value is bound to.
    pub bound_to: Vec<u8>,
    /// The value.
    pub value: Sealed,
}

/// Reads what is sealed.
pub trait SealedReader {
    /// At most `limit` applications in the order of their ids, those after `after`, including applications that are being
    /// imported or cannot be read.
    fn apps(&mut self, after: Option<AppId>, limit: u32) -> Result<Vec<AppId>, StorageError>;

    /// At most `limit` values of an application's column, ordered by row, those after the row `after`. A column without
    /// a value is left out.
    fn list(
        &mut self,
        column: SealedColumn,
        app_id: AppId,
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<SealedCell>, StorageError>;
}

/// Replaces sealed values.
pub trait SealedRepository: SealedReader {
    /// Replaces a value, unless it has changed since it was read. Returns `false` then.
    fn replace(
        &mut self,
        column: SealedColumn,
        app_id: AppId,
        cell: &SealedCell,
        value: &Sealed,
    ) -> Result<bool, StorageError>;
}
