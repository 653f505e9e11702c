//! Protection against guessing and flooding: rate limits, and one-time codes with their attempts.

pub(crate) mod codes;
pub(crate) mod quotas;
pub(crate) mod rates;

pub use rates::{Rate, RateLimits, RateRules};
