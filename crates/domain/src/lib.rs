//! The rules of Latchkey, a self-hosted JWT authentication server.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod app;
mod audit;
mod claims;
mod clock;
mod clock_guard;
mod code;
mod developer;
mod entropy;
mod fixed_claims;
mod handle;
mod id;
mod import;
mod invite;
mod key;
mod locale;
mod login;
mod metadata;
pub mod named;
mod operator_token;
mod outbox;
mod password;
mod phone;
mod plain_settings;
mod plan;
mod recovery;
mod secret;
mod settings;
mod signup;
mod social;
mod source;
mod template;
mod text;
mod two_factor;
mod usage;
mod user;

pub use app::{App, AppName, AppStatus, AppType, InvalidAppName};
pub use audit::{Actor, AuditEntry, AuditFilter, masked};
pub use claims::{MAX_JWT_BYTES, MissingField, WARN_JWT_BYTES, jwt_bytes, meaning_of_claim, user_claims};
pub use clock::{Clock, ManualClock, SystemClock, has_passed};
pub use clock_guard::{ClockGuard, ClockState};
pub use code::{
    Code, CodeLength, CodePurpose, CodeRules, InvalidCode, RequestLimits, StoredCode, cost_of_guess,
};
pub use developer::{
    Developer, DeveloperRole, DeveloperStatus, InvalidPortalAddress, InvalidPortalPassword, LOGIN_LIFE,
    LoginStage, PORTAL_PASSWORD, PortalLogin, SetupLink, check_portal_password, portal_address,
};
pub use entropy::{Entropy, EntropyError, SeededEntropy};
pub use fixed_claims::{ClaimSource, FixedClaim, FixedClaims, InvalidFixedClaims};
pub use handle::{ANONYMOUS_PREFIX, Handle, InvalidHandle, UserName, search_key};
pub use id::{
    AppId, AuditId, CodeId, DeveloperId, InvalidId, InviteId, MessageId, Owner, ServerKeyId, SignupId,
    TokenId, UserId,
};
pub use import::ImportProgress;
pub use invite::{Invite, InviteState};
pub use key::{AppKey, KEY_LEAD, KEY_TAIL, KeyState, ServerKey, ServerKeyPurpose, key_state, signing_key};

pub use locale::{InvalidLocale, Locale};
pub use login::{BackoffPolicy, Failures, KnownSources, Lock, LoginRecord, SourceMark, SourceTrust};
pub use metadata::{
    CLAIMS_OF_MEANING, InvalidFields, InvalidMetadata, MAX_METADATA_BYTES, MAX_METADATA_KEYS, Metadata,
    MetadataField, MetadataFields, MetadataKind, MetadataPath, OWN_CLAIMS,
};
pub use named::Named;
pub use operator_token::{
    DEFAULT_LIFE as DEFAULT_TOKEN_LIFE, InvalidScopes, MAX_LIFE as MAX_TOKEN_LIFE, OperatorToken, Scope,
    Scopes, TokenName,
};
pub use outbox::{Channel, MessageState, OutboxMessage, OutboxRules};
pub use password::{ClientPassword, InvalidPassword, PasswordPolicy, RawPassword, SPECIAL_CHARACTERS};
pub use phone::{CallingCode, InvalidCallingCode, InvalidPhone, Phone};
pub use plain_settings::{PlainKind, PlainSetting, PlainValue};
pub use plan::{DEVELOPMENT_USERS, ServerMode, max_users};
pub use recovery::{RECOVERY_CODES, RecoveryCode};
pub use secret::{KeyedDigest, Sealed};
pub use settings::{
    AppSettings, Audience, LinkAsksPassword, PLAIN_SETTINGS, Preset, SMS_A_DAY, SignupFlow, SocialLogin,
    TwoFactorMode, UserIdFormat,
};
pub use signup::{Signup, SignupState};
pub use social::{Provider, SocialIdentity};
pub use source::{Source, SourcePrefix};
pub use template::{EmailTemplate, TemplateName};
pub use text::{has_forbidden_characters, is_forbidden_character};
pub use two_factor::{Authenticator, Factor, FactorRules, Factors};
pub use usage::{UsageDay, UsageKind, day_of};
pub use user::{Sessions, User, UserChange, UserKey, UserStatus};
