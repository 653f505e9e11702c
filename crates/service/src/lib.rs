//! The use cases of Latchkey, a self-hosted JWT authentication server, each once, over the ports of
//! storage, mail, time and chance. No HTTP, no SQL.
//!
//! A use case takes parsed values and a [`Caller`] whose token has been verified, and gives domain values or
//! a [`ServiceError`]. Its shape is always: compute (hash, sign, draw), one unit of work, answer. Mail is
//! written into the outbox within that unit and leaves later.
//!
//! ```
//! use latchkey_domain::{AppName, Preset, SignupFlow};
//! use latchkey_service::{NewApp, Operator, Service, ServiceError};
//!
//! /// Makes an application on any store and gives the token that its clients ship with.
//! async fn app_token(service: &Service) -> Result<String, ServiceError> {
//!     let name = AppName::parse("Shop").map_err(|_| latchkey_service::Refusal::InvalidData)?;
//!     let new = NewApp { name, preset: Preset::Recommended, jwt_enabled: true, signup_flow: SignupFlow::Code };
//!     Ok(service.create_app(Operator::command_line(), new).await?.app_token)
//! }
//! ```

mod account;
mod app;
mod app_life;
mod app_settings;
mod audit;
mod caller;
mod clock_watch;
mod codes;
mod context;
mod email_templates;
mod enrolment;
mod error;
mod hashing;
mod invite;
mod jwt_size;
mod key_rotation;
mod keys;
mod limits;
mod listing;
mod login;
mod logs;
mod mail;
mod metadata_fields;
mod new_user;
mod operator_invites;
mod operator_token;
mod outbox;
mod password;
mod payload;
mod phone;
mod provider_keys;
mod second_factor;
mod signing;
mod signup;
mod sms;
mod social;
mod throttle;
mod transfer;
mod turns;
mod upkeep;
mod user_details;
mod users;

pub use account::{DeleteAccount, UserView};
pub use app::{AppView, Discovery, NewApp};
pub use app_life::{AppFilter, AppUpdate};
pub use app_settings::{AccountChange, SettingChange};
pub use audit::Call;
pub use caller::{Caller, Credential};
pub use context::{MasterKeyReader, Outside, Service, ServiceParts, ServiceSettings};
pub use email_templates::NewWords;
pub use enrolment::{ChangeFactor, Enrolled};
pub use error::{Refusal, ServiceError};
pub use invite::{InviteSomebody, Register};
pub use key_rotation::KeyRotation;
pub use keys::{KeyView, SuperTokens};
pub use limits::{Rate, RateLimits, RateRules};
pub use listing::{Found, Listed, MOST_ON_A_PAGE, MOST_SCANNED, MOST_SKIPPED, Member, Page};
pub use login::{AnonymousLogIn, LogIn, LoggedIn, LoginName};
pub use logs::{MOST_DAYS, Waiting};
pub use mail::MailLimits;
pub use metadata_fields::FieldList;
pub use operator_invites::{Invited, Which};
pub use operator_token::{EXPIRY_NOTICE, MintedToken, NewOperatorToken, Operator, Reader};
pub use outbox::MailIdentity;
pub use password::{ChangePassword, NewPassword, ResetPassword};
pub use provider_keys::{FetchedKeySet, Fetching, KeySetSource, ProviderSettings};
pub use second_factor::{CompleteLogIn, FactorCode};
pub use signing::Tokens;
pub use signup::{CompleteSignUp, LinkPressed, PressLink, SignUp, SignUpCompleted, SignedUp};
pub use sms::{SmsLimits, TestSms};
pub use social::{ProviderToken, SocialSignUp};
pub use transfer::{
    Begun, CosyncReader, Export, FromZip, ImportHead, MOST_BYTES_AT_ONCE, MOST_HEAD_BYTES, Mapped, Seen,
    Taken, TakenIn, ZipSource, opened,
};
pub use user_details::UserDetails;
pub use users::AddUser;
