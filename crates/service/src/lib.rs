//! The use cases of Latchkey, a self-hosted JWT authentication server, each once, over the ports of
//! storage, mail, time and chance. No HTTP, no SQL.
//!
//! A use case takes parsed values and a [`Caller`] whose token has been verified, and gives domain values or
//! a [`ServiceError`]. Its shape is always: compute (hash, sign, draw), one unit of work, answer. Mail is
//! written into the outbox within that unit and leaves later.
//!
//! ```
//! use latchkey_domain::{AppName, Preset, SignupFlow};
//! use latchkey_service::{NewApp, Service, ServiceError};
//! use latchkey_storage::Store;
//!
//! /// Makes an application on any store and gives the token that its clients ship with.
//! async fn app_token<S: Store>(service: &Service<S>) -> Result<String, ServiceError> {
//!     let name = AppName::parse("Shop").map_err(|_| latchkey_service::Refusal::InvalidData)?;
//!     let new = NewApp { name, preset: Preset::Recommended, jwt_enabled: true, signup_flow: SignupFlow::Code };
//!     Ok(service.create_app(new).await?.app_token)
//! }
//! ```

mod account;
mod app;
mod caller;
mod context;
mod error;
mod hashing;
mod login;
mod operator_token;
mod outbox;
mod password;
mod signing;
mod signup;

pub use account::UserView;
pub use app::{AppView, Discovery, NewApp};
pub use caller::{Caller, Credential};
pub use context::{Service, ServiceParts, ServiceSettings};
pub use error::{Refusal, ServiceError};
pub use login::{LogIn, LoginName};
pub use operator_token::MintedToken;
pub use outbox::MailIdentity;
pub use password::{ChangePassword, NewPassword};
pub use signing::Tokens;
pub use signup::{CompleteSignUp, SignUp, SignedUp};
