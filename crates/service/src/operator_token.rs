//! Operator tokens: the server secrets that open the administration API.

use latchkey_crypto::ServerSecretToken;
use latchkey_domain::{AppId, OperatorToken, TokenId, TokenName};
use latchkey_storage::Store;
use time::{Duration, OffsetDateTime};

use crate::audit::Act;
use crate::{Service, ServiceError};

/// A server secret, told once.
#[derive(Debug, Clone)]
pub struct MintedToken {
    /// The secret.
    pub secret: String,
    /// The name under which it is known.
    pub name: TokenName,
    /// When it stops working.
    pub expires_at: OffsetDateTime,
}

impl<S: Store> Service<S> {
    /// Makes a server secret that lives for `life`.
    ///
    /// # Errors
    /// [`ServiceError`] when the database or the random source fails.
    pub async fn mint_server_secret(
        &self,
        name: TokenName,
        life: Duration,
    ) -> Result<MintedToken, ServiceError> {
        let now = self.inner.clock.now();
        let token = OperatorToken {
            id: TokenId::generate(now, &*self.inner.entropy)?,
            name: name.clone(),
            created_at: now,
            expires_at: now + life,
            revoked_at: None,
        };
        let secret = self.inner.keys.tokens().sign(&ServerSecretToken {
            id: token.id,
            name: name.as_str().to_owned(),
            issued_at: now,
            expires_at: token.expires_at,
        })?;
        let expires_at = token.expires_at;
        // It opens all applications, so its entry belongs to none.
        let mut act = Act::of_operator("mintServerSecret", AppId::from_bytes([0; 16]), None);
        act.detail = Some(name.as_str().to_owned());
        let entry = self.done(&act)?;
        self.inner
            .store
            .transact("operator_token.add", move |repos| {
                repos.operator_tokens().add(&token)?;
                repos.audit().add(&entry).map_err(ServiceError::from)
            })
            .await?;
        Ok(MintedToken { secret, name, expires_at })
    }
}
