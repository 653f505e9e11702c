//! Keys, tokens, password hashes, sealing and digests.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod app_key;
mod common;
mod digest;
mod entropy;
mod error;
mod id_token;
mod jwt;
mod keyring;
mod master_key;
mod old_seal;
mod old_server_key;
mod passphrase;
mod password;
mod pool;
mod seal;
mod server_token;
mod totp;

pub use app_key::{PublicKey, RsaSize, SigningKey, jwks, verify_user_jwt};
pub use common::is_common_password;
pub use digest::{DigestRoot, digests_match, sha256};
pub use entropy::SystemEntropy;
pub use error::CryptoError;
pub use id_token::{IdToken, IdTokenRules, ProviderKeys, is_subject, may_be_id_token, verify_id_token};
pub use jwt::{MAX_TOKEN_BYTES, TokenError};
pub use keyring::{KeyRing, KeyRingError};
pub use master_key::MasterKey;
pub use old_seal::OldSeal;
pub use old_server_key::{OLD_GENERATION, OldServerKeys, old_server_key};
pub use passphrase::PassphraseKey;
pub use password::{Engine, HashCost, OVER_RAW, PasswordHasher, StoredCost, Verdict, client_password};
pub use pool::{HashPool, PoolFull, Tenant};
pub use seal::SealContext;
pub use server_token::{
    AccessToken, AppToken, LoginToken, ServerSecretToken, ServerToken, SuperToken, TokenKeys,
};
pub use totp::TotpSecret;

/// How far clocks may differ when a token of ours is verified, in seconds.
pub(crate) const LEEWAY_SECONDS: i64 = 30;
/// How far in the future a token of ours may have been made, in seconds: the clock may have been ahead then, and was set
/// back since.
pub(crate) const FUTURE_SECONDS: i64 = 86_400;
