//! What a use case can answer instead of a value. Numbers, statuses and texts are the server's business.

use latchkey_crypto::{CryptoError, PoolFull};
use latchkey_domain::{AppName, EntropyError, InvalidMetadata, MissingField};
use latchkey_storage::StorageError;

/// A named refusal: the caller did something that is not possible, and is told what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The app token is absent or not good.
    AppTokenInvalid,
    /// The application no longer exists.
    AppGone,
    /// The application is inactive, suspended or blocked.
    AppSuspended,
    /// A parameter is missing.
    MissingParameter,
    /// The user is suspended.
    UserSuspended,
    /// The access token is absent or not good.
    AccessTokenInvalid,
    /// The application does not take sign-ups, or no more users.
    SignupOff,
    /// The sign-up code is right but has expired.
    CodeExpired,
    /// The application has moved to another server.
    AppMigrated,
    /// The server secret is not good.
    ServerSecretInvalid,
    /// The server secret has expired.
    ServerSecretExpired,
    /// Handle and password do not belong together.
    CredentialsWrong,
    /// The handle is taken.
    HandleTaken,
    /// A value has not the form that it must have, or a code is wrong.
    InvalidData,
    /// The metadata lack a required field or hold what they must not.
    MetadataInvalid,
    /// The application has no user names.
    NoUserNames,
    /// The account has not been verified yet.
    NotVerified,
    /// The administration API was called without a server secret.
    ServerScopeNeeded,
    /// There is no such application.
    UnknownApp,
    /// The application takes no invitations.
    InvitationsOff,
    /// The application offers no authenticator apps.
    NoAuthenticator,
    /// The application offers no second factor by SMS.
    NoPhoneFactor,
    /// The user has no verified telephone number.
    PhoneNotVerified,
    /// A user has verified this number already.
    PhoneTaken,
    /// The application takes no tokens of Apple.
    NoAppleLogin,
    /// The application takes no tokens of Google.
    NoGoogleLogin,
    /// A text message cannot be sent.
    SmsFailed,
    /// A mail cannot be sent.
    MailFailed,
    /// The identity belongs to an account that signs in by its handle.
    HandleAccountExists,
    /// The identity belongs to an account that signs in with Apple.
    AppleAccountExists,
    /// The identity belongs to an account that signs in with Google.
    GoogleAccountExists,
    /// A provider's token is not good.
    ProviderTokenInvalid,
    /// The application takes no anonymous users.
    NoAnonymousLogin,
    /// There is no account of that name.
    AccountUnknown,
    /// The user name is taken.
    UserNameTaken,
    /// There is no such user.
    UnknownUser,
    /// There is nothing of that name or id.
    Unknown,
    /// It cannot be done as things stand.
    Conflict,
    /// This server does not do that.
    NotOffered,
    /// An application of that name exists.
    AppNameTaken,
}

/// Why a use case has no value to give.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The caller's doing.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// The database is away: try again.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The keys of an identity provider cannot be had: try again.
    #[error("the identity provider is away")]
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

    /// A user without a value for a required field: there is no token.
    pub(crate) fn missing_field(missing: &MissingField) -> Self {
        Self::Explained(Refusal::MetadataInvalid, format!("invalid metadata: {missing}"))
    }

    /// Invalid metadata: the field and the rule that it breaks.
    pub(crate) fn metadata(error: &InvalidMetadata) -> Self {
        Self::Explained(Refusal::MetadataInvalid, format!("invalid metadata: {error}"))
    }

    /// What was given cannot be taken, in words.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::Explained(Refusal::InvalidData, text.into())
    }

    /// An application of this name is there already.
    pub(crate) fn app_name_taken(name: &AppName) -> Self {
        Self::Explained(Refusal::AppNameTaken, format!("App '{}' already exists.", name.as_str()))
    }
}
