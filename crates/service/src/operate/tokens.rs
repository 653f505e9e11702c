//! Operators, and their tokens: the server secrets that open the administration API.

use latchkey_crypto::ServerSecretToken;
use latchkey_domain::{AppId, MAX_TOKEN_LIFE, OperatorToken, Scopes, TokenId, TokenName};
use time::{Duration, OffsetDateTime};

use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::service::Service;

/// How long before its end a server secret is reported to expire.
pub const EXPIRY_NOTICE: Duration = Duration::days(14);
/// The number of operator tokens, newest first, that are checked for it.
const MOST_REPORTED: u32 = 1_000;

/// A server secret to be made.
#[derive(Debug, Clone)]
pub struct NewOperatorToken {
    /// The name under which it will be known.
    pub name: TokenName,
    /// The lifetime, at most [`MAX_TOKEN_LIFE`].
    pub life: Duration,
    /// What it opens.
    pub scopes: Scopes,
    /// The one application that it reaches; all if none.
    pub only_app: Option<AppId>,
}

/// A new server secret, shown once.
#[derive(Debug, Clone)]
pub struct MintedToken {
    /// The secret.
    pub secret: String,
    /// The stored part.
    pub token: OperatorToken,
}

impl Service {
    /// Creates a server secret. It has at most the reach and expiry of the one that creates it, and is revoked with it.
    ///
    /// # Errors
    /// [`Refusal::ServerSecretInvalid`] when the operator's own was revoked meanwhile; [`Refusal::InvalidData`] when it
    /// would live too long; [`Refusal::UnknownApp`] when the one application does not exist, or is out of reach;
    /// [`Refusal::ServerScopeNeeded`].
    pub async fn mint_operator_token(
        &self,
        operator: Operator,
        new: NewOperatorToken,
    ) -> Result<MintedToken, ServiceError> {
        let mut event =
            Event::of_operator(Action::CreateOperatorToken, new.only_app.unwrap_or(AppId::NONE), &operator);
        event.detail = Some(format!("{} ({})", new.name.as_str(), new.scopes));
        self.audited(event, async |event| {
            match new.only_app {
                Some(id) => operator.reaches(id)?,
                None => operator.reaches_all()?,
            }
            if !new.life.is_positive() || new.life > MAX_TOKEN_LIFE {
                let text = format!("a server secret lives 1 to {} days", MAX_TOKEN_LIFE.whole_days());
                return Err(ServiceError::invalid(text));
            }
            let now = self.inner.clock.now();
            let token = OperatorToken {
                id: TokenId::generate(now, &*self.inner.entropy)?,
                name: new.name,
                scopes: new.scopes,
                only_app: new.only_app,
                made_by: operator.token.map(|(id, _)| id),
                created_at: now,
                expires_at: operator.token.map_or(now + new.life, |(_, until)| until.min(now + new.life)),
                revoked_at: None,
                last_used_at: None,
            };
            let secret = self.key_ring().tokens().sign(&ServerSecretToken {
                id: token.id,
                name: token.name.as_str().to_owned(),
                issued_at: now,
                expires_at: token.expires_at,
            })?;
            let entry = self.entry(event)?;
            let added = token.clone();
            self.transact("operator_token.add", move |repos| {
                if let Some(id) = added.only_app {
                    repos.apps().find(id)?.ok_or(Refusal::UnknownApp)?;
                }
                if let Some(maker) = added.made_by
                    && !repos.operator_tokens().note_use(maker, now)?
                {
                    return Err(Refusal::ServerSecretInvalid.into());
                }
                repos.operator_tokens().add(&added)?;
                Ok(repos.audit().add(&entry)?)
            })
            .await?;
            Ok(MintedToken { secret, token })
        })
        .await
    }

    /// At most `limit` operator tokens within reach, newest first, those made before `before` if it is given.
    pub async fn list_operator_tokens(
        &self,
        operator: Operator,
        before: Option<TokenId>,
        limit: u32,
    ) -> Result<Vec<OperatorToken>, ServiceError> {
        let only_app = operator.only_app;
        self.read("operator_token.list", move |readers| {
            Ok(readers.operator_tokens().list(only_app, before, limit)?)
        })
        .await
    }

    /// Logs the operator tokens that end soon, once a day.
    pub(crate) async fn report_expiring_tokens(&self, now: OffsetDateTime) -> Result<(), ServiceError> {
        let tokens = self.transact("operator_token.expiring", move |repos| {
            if !repos.upkeep().claim_job("secrets", now, now + Duration::days(1))? {
                return Ok(Vec::new());
            }
            Ok(repos.operator_tokens().list(None, None, MOST_REPORTED)?)
        });
        let ends_soon = |token: &OperatorToken| token.is_good(now) && token.expires_at - now < EXPIRY_NOTICE;
        for token in tokens.await?.into_iter().filter(ends_soon) {
            tracing::warn!(
                id = %token.id,
                name = token.name.as_str(),
                expires_at = %token.expires_at,
                "server secret expires soon; create another with `latchkey token server`"
            );
        }
        Ok(())
    }

    /// Revokes an operator token and all tokens created with it. Revoking it again changes nothing.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when none of this id is within reach.
    pub async fn revoke_operator_token(&self, operator: Operator, id: TokenId) -> Result<(), ServiceError> {
        let now = self.inner.clock.now();
        let found =
            self.read("operator_token.find", move |readers| Ok(readers.operator_tokens().find(id)?)).await?;
        let is_in_reach =
            |token: &OperatorToken| operator.only_app.is_none() || token.only_app == operator.only_app;
        let none =
            || ServiceError::Explained(Refusal::Unknown, "there is no server secret of this id".to_owned());
        let token = found.filter(is_in_reach).ok_or_else(none)?;
        // What reaches all applications has its entries under none.
        let mut event =
            Event::of_operator(Action::RevokeOperatorToken, token.only_app.unwrap_or(AppId::NONE), &operator);
        event.detail = Some(format!("{} ({})", token.name.as_str(), token.scopes));
        let entry = self.entry(&event)?;
        self.transact("operator_token.revoke", move |repos| {
            let revoked = repos.operator_tokens().revoke(id, now)?;
            if let Some(others) = revoked.checked_sub(1) {
                let mut entry = entry.clone();
                if let (Some(detail), 1..) = (&mut entry.detail, others) {
                    detail.push_str(&format!(", and {others} made with it"));
                }
                repos.audit().add(&entry)?;
            }
            Ok(())
        })
        .await
    }
}
