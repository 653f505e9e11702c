//! What every use case needs: callers, errors, the audit log, hashing, signing.

pub(crate) mod audit;
pub(crate) mod caller;
pub(crate) mod clock_watch;
pub(crate) mod error;
pub(crate) mod hashing;
pub(crate) mod jwt_size;
pub(crate) mod operator;
pub(crate) mod retry;
pub(crate) mod signing;
pub(crate) mod turns;
