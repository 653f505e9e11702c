//! The use cases of Latchkey, a self-hosted JWT authentication server, each once, over the ports of
//! storage, mail, time and chance. No HTTP, no SQL.
//!
//! A use case takes parsed values and a [`Caller`] whose token has been verified, and gives domain values or
//! a [`ServiceError`]. Its shape is always: compute (hash, sign, draw), one unit of work, answer. Mail is
//! written into the outbox within that unit and leaves later.
//!
//! ```
//! use latchkey_domain::{AppName, Preset, SignupFlow};
//! use latchkey_service::operate::NewApp;
//! use latchkey_service::{Operator, Service, ServiceError};
//!
//! /// Makes an application on any store and gives the token that its clients ship with.
//! async fn app_token(service: &Service) -> Result<String, ServiceError> {
//!     let name = AppName::parse("Shop").map_err(|_| latchkey_service::Refusal::InvalidData)?;
//!     let new = NewApp { name, preset: Preset::Recommended, jwt_enabled: true, signup_flow: SignupFlow::Code };
//!     Ok(service.create_app(Operator::command_line(), new).await?.app_token)
//! }
//! ```

mod base;
mod builder;
mod service;

pub mod account;
pub mod notify;
pub mod operate;
pub mod protect;
pub mod transfer;

pub use base::audit::Call;
pub use base::caller::{AppOrUser, Caller, Credential};
pub use base::error::{Refusal, ServiceError};
pub use base::operator::{Operator, Reader};
pub use base::signing::Tokens;
pub use builder::ServiceBuilder;
pub use service::{ExternalServices, MasterKeyReader, Service, ServiceParts, ServiceSettings};
