//! Errors of use cases. The server maps them to numbers, statuses and texts.

use latchkey_crypto::{CryptoError, PoolFull};
use latchkey_domain::{AppName, EntropyError, InvalidMetadata, MissingField};
use latchkey_storage::StorageError;

/// A request that is refused because of the caller, by its reason. The names are stored in the audit log, and frozen by a
/// test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
pub enum Refusal {
    /// The app token is missing or invalid.
    AppTokenInvalid,
    /// The application no longer exists.
    AppGone,
    /// The application is inactive, suspended or blocked.
    AppSuspended,
    /// A parameter is missing.
    MissingParameter,
    /// The user is suspended.
    UserSuspended,
    /// The access token is missing or invalid.
    AccessTokenInvalid,
    /// The application accepts no sign-ups, or no more users.
    SignupOff,
    /// The sign-up code is right but expired.
    CodeExpired,
    /// The application has moved to another server.
    AppMigrated,
    /// The server secret is invalid.
    ServerSecretInvalid,
    /// The server secret has expired.
    ServerSecretExpired,
    /// Handle and password do not match.
    CredentialsWrong,
    /// The handle is taken.
    HandleTaken,
    /// A value is malformed, or a code is wrong.
    InvalidData,
    /// The metadata lack a required field or contain a forbidden value.
    MetadataInvalid,
    /// The application has no user names.
    NoUserNames,
    /// The account has not been verified yet.
    NotVerified,
    /// A call of the administration API without a server secret, or without the scope.
    ServerScopeNeeded,
    /// The application does not exist.
    UnknownApp,
    /// The application has no invitations.
    InvitationsOff,
    /// The application has no authenticator apps.
    NoAuthenticator,
    /// The application has no second factor by SMS.
    NoPhoneFactor,
    /// The user has no verified phone number.
    PhoneNotVerified,
    /// Another user has verified this number.
    PhoneTaken,
    /// The application does not accept Apple's tokens.
    NoAppleLogin,
    /// The application does not accept Google's tokens.
    NoGoogleLogin,
    /// A text message cannot be sent.
    SmsFailed,
    /// A mail cannot be sent.
    MailFailed,
    /// The identity belongs to an account that logs in by its handle.
    HandleAccountExists,
    /// The identity belongs to an account that signs in with Apple.
    AppleAccountExists,
    /// The identity belongs to an account that signs in with Google.
    GoogleAccountExists,
    /// A provider's token is invalid.
    ProviderTokenInvalid,
    /// The application has no anonymous users.
    NoAnonymousLogin,
    /// The account does not exist.
    AccountUnknown,
    /// The user name is taken.
    UserNameTaken,
    /// The user does not exist.
    UnknownUser,
    /// The named thing does not exist.
    Unknown,
    /// The current state does not allow it.
    Conflict,
    /// This server does not offer it.
    NotOffered,
    /// An application of this name exists.
    AppNameTaken,
}

/// An error of a use case.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The caller's doing.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// The database is unavailable: try again.
    #[error("try again: {0}")]
    Unavailable(String),
    /// The keys of an identity provider cannot be had: try again.
    #[error("identity provider unavailable")]
    ProviderAway,
    /// Too many password hashes wait: try again.
    #[error("too many password hashes wait")]
    Busy,
    /// More than one may do; it is possible again after so many seconds.
    #[error("too much at once, again in {seconds} s")]
    TooMany {
        /// After how many seconds.
        seconds: u32,
    },
    /// A refusal with what is wrong in words, for operators.
    #[error("refused: {1}")]
    Explained(Refusal, String),
    /// The server's keys were replaced, and this process cannot open the new ones.
    #[error("the server's keys were replaced, and the new ones do not open: {0}")]
    KeysReplaced(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Our doing.
    #[error("internal error: {0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<Refusal> for ServiceError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StorageError> for ServiceError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable(reason) => Self::Unavailable(reason),
            StorageError::AppGone => Self::Refused(Refusal::AppGone),
            other => Self::Internal(Box::new(other)),
        }
    }
}

impl From<CryptoError> for ServiceError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::OutOfMemory => Self::Busy,
            other => Self::Internal(Box::new(other)),
        }
    }
}

impl From<EntropyError> for ServiceError {
    fn from(error: EntropyError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<PoolFull> for ServiceError {
    fn from(_: PoolFull) -> Self {
        Self::Busy
    }
}

impl ServiceError {
    /// Which refusal it is, if it is the caller's doing.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) | Self::Explained(refusal, _) => Some(*refusal),
            Self::Unavailable(_)
            | Self::ProviderAway
            | Self::Busy
            | Self::TooMany { .. }
            | Self::KeysReplaced(_)
            | Self::Internal(_) => None,
        }
    }

    pub(crate) fn issuer_taken(issuer: &str) -> Self {
        Self::invalid(format!("the issuer {issuer:?} belongs to another application"))
    }

    /// A user without a value for a required field, for whom there is no token.
    pub(crate) fn missing_field(missing: &MissingField) -> Self {
        Self::Explained(Refusal::MetadataInvalid, format!("invalid metadata: {missing}"))
    }

    /// Invalid metadata: the field and the rule that it breaks.
    pub(crate) fn metadata(error: &InvalidMetadata) -> Self {
        Self::Explained(Refusal::MetadataInvalid, format!("invalid metadata: {error}"))
    }

    /// Invalid input, explained.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::Explained(Refusal::InvalidData, text.into())
    }

    /// An application of this name is there already.
    pub(crate) fn app_name_taken(name: &AppName) -> Self {
        Self::Explained(Refusal::AppNameTaken, format!("App '{}' already exists.", name.as_str()))
    }
}
