//! An identity provider in memory: it signs what it is asked to, and its key set may be away, old or nonsense.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use latchkey_crypto::{RsaSize, SigningKey};
use latchkey_service::account::{FetchedKeySet, Fetching, KeySetSource};
use serde_json::{Value, json};
use time::Duration;

pub(crate) const APPLE: &str = "https://appleid.apple.com";
pub(crate) const GOOGLE: &str = "https://accounts.google.com";

/// What the provider answers when its keys are asked for.
#[derive(Clone)]
pub(crate) enum KeySet {
    Keys(Vec<Value>),
    Bytes(Vec<u8>),
    Away,
}

pub(crate) struct FakeProvider {
    set: Mutex<KeySet>,
    fetched: Mutex<Vec<String>>,
}

impl Default for FakeProvider {
    fn default() -> Self {
        Self { set: Mutex::new(KeySet::Keys(vec![key(0).public().to_jwk()])), fetched: Mutex::default() }
    }
}

impl FakeProvider {
    pub(crate) fn answers(&self, set: KeySet) {
        *self.set.lock().unwrap() = set;
    }

    /// The addresses that were asked for.
    pub(crate) fn fetched(&self) -> Vec<String> {
        self.fetched.lock().unwrap().clone()
    }
}

impl KeySetSource for FakeProvider {
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        self.fetched.lock().unwrap().push(url.to_owned());
        let set = self.set.lock().unwrap().clone();
        Box::pin(async move {
            // Others run meanwhile, as over a network.
            tokio::task::yield_now().await;
            let body = match set {
                KeySet::Keys(keys) => json!({ "keys": keys }).to_string().into_bytes(),
                KeySet::Bytes(bytes) => bytes,
                KeySet::Away => return Err("away".to_owned()),
            };
            Ok(FetchedKeySet { body, fresh_for: Some(Duration::minutes(10)) })
        })
    }
}

/// A key of the provider.
pub(crate) fn key(number: usize) -> SigningKey {
    static KEYS: OnceLock<Vec<SigningKey>> = OnceLock::new();
    let make = || (0..3).map(|_| SigningKey::generate(RsaSize::Rsa2048).unwrap()).collect();
    KEYS.get_or_init(make)[number].clone()
}

/// The claims of an ID token that is right at the tests' time.
pub(crate) fn claims(issuer: &str, subject: &str, email: &str) -> Value {
    json!({
        "iss": issuer, "aud": "client-1", "sub": subject, "email": email, "email_verified": true,
        "iat": 1_700_000_000, "exp": 1_700_000_000 + 10 * 24 * 3_600,
    })
}

/// A token with these claims. No two are the same, as a provider's are not.
pub(crate) fn signed(claims: &Value) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut claims = claims.as_object().unwrap().clone();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    claims.entry("jti").or_insert_with(|| json!(number.to_string()));
    key(0).sign(&claims).unwrap()
}

/// A right token.
pub(crate) fn token(issuer: &str, subject: &str, email: &str) -> String {
    signed(&claims(issuer, subject, email))
}
