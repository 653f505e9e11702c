//! The tokens of a log-in: the user's JWT and the access token. Parsed private keys are cached, since parsing costs as
//! much as signing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use latchkey_crypto::{AccessToken, CryptoError, SealContext, SigningKey};
use latchkey_domain::{App, AppId, AppKey, Sealed, TokenId, User, signing_key, user_claims};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::base::error::ServiceError;
use crate::service::Service;

/// About eight kilobytes each.
const KEPT_KEYS: usize = 1_000;

/// The tokens of a log-in.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The user's JWT, for the team's database and backends.
    pub jwt: String,
    /// The access token, for this server.
    pub access_token: String,
}

/// Parsed private keys by application and key id. An entry is used only for the sealed value that it was parsed from,
/// so the cache never outlives the row (SEC-096).
#[derive(Default)]
pub(crate) struct SigningKeys(Mutex<HashMap<(AppId, String), ParsedKey>>);

struct ParsedKey {
    sealed: Sealed,
    key: Arc<SigningKey>,
}

impl SigningKeys {
    fn get(&self, row: &AppKey, sealed: &Sealed) -> Option<Arc<SigningKey>> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let parsed = keys.get(&(row.app_id, row.kid.clone()))?;
        (parsed.sealed == *sealed && is_pair(&parsed.key, row)).then(|| Arc::clone(&parsed.key))
    }

    fn keep(&self, row: &AppKey, parsed: ParsedKey) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEPT_KEYS {
            keys.clear();
        }
        keys.insert((row.app_id, row.kid.clone()), parsed);
    }

    /// Removes an application's keys that were deleted from the database.
    pub(crate) fn forget(&self, app_id: AppId, kids: &[String]) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kids.iter().for_each(|kid| {
            keys.remove(&(app_id, kid.clone()));
        });
    }
}

/// Whether a private half belongs to the public half in the row, under the name that the row gives it.
fn is_pair(private: &SigningKey, row: &AppKey) -> bool {
    private.public().kid() == row.kid && private.public().to_pem() == row.public_pem
}

/// What such a value is sealed as.
pub(crate) const SEALED_AS: &str = "app-key";

pub(crate) fn private_key_of(app_id: AppId, kid: &str) -> SealContext<'_> {
    SealContext { purpose: SEALED_AS, app_id, row: kid.as_bytes() }
}

impl Service {
    /// Creates the tokens of an authenticated user.
    pub(crate) async fn issue_tokens(
        &self,
        app: &App,
        keys: &[AppKey],
        user: &User,
    ) -> Result<Tokens, ServiceError> {
        let now = self.inner.clock.now();
        let jwt = self.user_jwt(app, keys, user, None).await?;
        let access = AccessToken {
            app_id: app.id,
            user_id: user.id,
            handle: user.handle.as_str().to_owned(),
            epoch: user.sessions.epoch,
            id: TokenId::generate(now, &*self.inner.entropy)?,
            issued_at: now,
            expires_at: now + Duration::days(i64::from(app.settings.access_token_days)),
        };
        Ok(Tokens { jwt, access_token: self.key_ring().tokens().sign(&access)? })
    }

    /// A user's JWT. It expires after the application's lifetime, or earlier.
    pub(crate) async fn user_jwt(
        &self,
        app: &App,
        keys: &[AppKey],
        user: &User,
        at_most_until: Option<OffsetDateTime>,
    ) -> Result<String, ServiceError> {
        let now = self.inner.clock.now();
        let mut claims =
            user_claims(app, user, now).map_err(|missing| ServiceError::missing_field(&missing))?;
        if let Some(until) = at_most_until.map(OffsetDateTime::unix_timestamp)
            && claims.get("exp").and_then(Value::as_i64).is_none_or(|exp| exp > until)
        {
            claims.insert("exp".to_owned(), until.into());
        }
        let key = signing_key(keys, now).ok_or(CryptoError::Key("the application has no signing key"))?;
        let key = self.signing_key(app.id, key)?;
        let jwt = self.off_thread(move || Ok(key.sign(&claims)?)).await?;
        self.inner.long_tokens.report(app.id, &jwt);
        Ok(jwt)
    }

    /// Opens the private half of a key and checks that it belongs to the public half beside it: what consumers verify
    /// with must be what signs.
    pub(crate) fn signing_key(&self, app_id: AppId, key: &AppKey) -> Result<Arc<SigningKey>, ServiceError> {
        let sealed = key.private.as_ref().ok_or(CryptoError::Key("the key has no private half"))?;
        if let Some(kept) = self.inner.signing.get(key, sealed) {
            return Ok(kept);
        }
        let der = self.key_ring().open_sealed(&private_key_of(app_id, &key.kid), sealed)?;
        let parsed = Arc::new(SigningKey::from_pkcs8(&der)?);
        if !is_pair(&parsed, key) {
            return Err(CryptoError::Key("the private half belongs to another public half").into());
        }
        self.inner.signing.keep(key, ParsedKey { sealed: sealed.clone(), key: Arc::clone(&parsed) });
        Ok(parsed)
    }
}
