//! The use cases.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod base;
mod builder;
mod service;

pub mod account;
pub mod notify;
pub mod operate;
pub mod portal;
pub mod protect;
pub mod transfer;

pub use base::caller::{AppOrUser, Call, Caller, Credential};
pub use base::error::{Refusal, ServiceError};
pub use base::operator::{Operator, Reader};
pub use base::signing::Tokens;
pub use builder::ServiceBuilder;
pub use service::{ExternalServices, MasterKeyReader, Service, ServiceParts, ServiceSettings};
