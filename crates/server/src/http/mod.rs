//! Request middleware, extractors and answers.

mod address;
mod answer;
mod connections;
pub(crate) mod field;
mod fields;
mod identity;
mod middleware;
mod pages;
mod path;
mod syntax;
mod wire_error;

pub(crate) use address::{ClientAddress, TrustedProxies, source_of};
pub(crate) use answer::{Answer, json, ok_true, page};
pub(crate) use connections::{Connections, Paced};
pub(crate) use fields::{BodyLimits, Fields, Query, WrongField};
pub use identity::Auth;
pub(crate) use identity::{
    ByApp, ByAppOrUser, ByOperator, BySuperUser, ByUser, Verified, authenticate, family_of,
};
pub use middleware::edge_middleware;
pub(crate) use middleware::{EdgeState, USER_API, rate_limit};
pub(crate) use pages::TrustedPages;
pub(crate) use path::BasePath;
pub(crate) use wire_error::{ApiError, Family, message_of, wire_answer};
