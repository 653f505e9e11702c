//! What a sign-in gives: the user's JWT and the access token. Parsed private keys are kept, since parsing
//! costs as much as signing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use latchkey_crypto::{AccessToken, CryptoError, SealContext, SigningKey};
use latchkey_domain::{App, AppKey, KeyState, TokenId, User, user_claims};
use latchkey_storage::Store;
use time::Duration;

use crate::{Refusal, Service, ServiceError};

/// About eight kilobytes each.
const KEPT_KEYS: usize = 1_000;

/// What a sign-in gives.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The user's JWT, for the team's database and backends.
    pub jwt: String,
    /// The access token, for this server.
    pub access_token: String,
}

/// Parsed private keys by name. A key's name is the digest of its public half, so an entry is never wrong.
#[derive(Default)]
pub(crate) struct SigningKeys(Mutex<HashMap<String, Arc<SigningKey>>>);

impl SigningKeys {
    fn get(&self, kid: &str) -> Option<Arc<SigningKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(kid).cloned()
    }

    fn keep(&self, kid: String, key: &Arc<SigningKey>) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEPT_KEYS {
            keys.clear();
        }
        keys.insert(kid, Arc::clone(key));
    }
}

pub(crate) fn private_key_of<'a>(app: &'a App, kid: &'a str) -> SealContext<'a> {
    SealContext { purpose: "app-key", app_id: app.id, row: kid.as_bytes() }
}

impl<S: Store> Service<S> {
    /// Makes the tokens of a user who has shown who they are.
    pub(crate) fn issue_tokens(
        &self,
        app: &App,
        keys: &[AppKey],
        user: &User,
    ) -> Result<Tokens, ServiceError> {
        let now = self.inner.clock.now();
        let claims = user_claims(app, user, now).map_err(|_| Refusal::MetadataInvalid)?;
        let key = keys
            .iter()
            .find(|key| key.state == KeyState::Current)
            .ok_or(CryptoError::Key("there is none"))?;
        let jwt = self.signing_key(app, key)?.sign(&claims)?;
        let access = AccessToken {
            app_id: app.id,
            user_id: user.id,
            handle: user.handle.as_str().to_owned(),
            epoch: user.sessions.epoch,
            id: TokenId::generate(now, &*self.inner.entropy)?,
            issued_at: now,
            expires_at: now + Duration::days(i64::from(app.settings.access_token_days)),
        };
        Ok(Tokens { jwt, access_token: self.inner.keys.tokens().sign(&access)? })
    }

    fn signing_key(&self, app: &App, key: &AppKey) -> Result<Arc<SigningKey>, ServiceError> {
        if let Some(kept) = self.inner.signing.get(&key.kid) {
            return Ok(kept);
        }
        let der = self.inner.keys.open_sealed(&private_key_of(app, &key.kid), &key.private)?;
        let parsed = Arc::new(SigningKey::from_pkcs8(&der)?);
        self.inner.signing.keep(key.kid.clone(), &parsed);
        Ok(parsed)
    }
}
