//! Operators, and their tokens: the server secrets that open the administration API.

use latchkey_crypto::ServerSecretToken;
use latchkey_domain::{AppId, MAX_TOKEN_LIFE, OperatorToken, Scope, Scopes, Source, TokenId, TokenName};
use time::{Duration, OffsetDateTime};

use crate::audit::Act;
use crate::{Call, Caller, Refusal, Service, ServiceError};

/// The operator: the holder of a valid token, or the server's own command line.
#[derive(Debug, Clone)]
pub struct Operator {
    pub(crate) name: String,
    pub(crate) source: Option<Source>,
    scopes: Scopes,
    only_app: Option<AppId>,
    /// The token, and when it ends; the command line has none.
    token: Option<(TokenId, OffsetDateTime)>,
}

/// How long before its end a server secret is reported to expire.
pub const EXPIRY_NOTICE: Duration = Duration::days(14);
/// The number of operator tokens, newest first, that are checked for it.
const MOST_REPORTED: u32 = 1_000;

/// Identity of a caller in the queues for long reads: a server secret, or the command line (`None`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reader(Option<TokenId>);

impl Operator {
    /// The command line on the server's machine, which may do everything.
    #[must_use]
    pub fn command_line() -> Self {
        Self {
            name: "command line".to_owned(),
            source: None,
            scopes: Scopes::everything(),
            only_app: None,
            token: None,
        }
    }

    /// Returns the identity by which long reads are queued.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(self.token.map(|(id, _)| id))
    }

    /// Whether something that needs this scope is open.
    #[must_use]
    pub fn may(&self, needed: Scope) -> bool {
        self.scopes.allow(needed)
    }

    /// The one application that is reached; all if none.
    #[must_use]
    pub fn only_app(&self) -> Option<AppId> {
        self.only_app
    }

    /// Demands that an application is within reach. One that is not is as unknown as one that is not there.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub fn reaches(&self, id: AppId) -> Result<(), Refusal> {
        if self.only_app.is_none_or(|only| only == id) { Ok(()) } else { Err(Refusal::UnknownApp) }
    }

    /// Demands that all applications are within reach.
    ///
    /// # Errors
    /// [`Refusal::ServerScopeNeeded`], explained.
    pub fn reaches_all(&self) -> Result<(), ServiceError> {
        if self.only_app.is_none() {
            return Ok(());
        }
        let text = "this server secret is for one app only".to_owned();
        Err(ServiceError::Explained(Refusal::ServerScopeNeeded, text))
    }
}

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
    /// Requires a server secret that has not been revoked and has the scope.
    ///
    /// # Errors
    /// [`Refusal::ServerScopeNeeded`] for other callers and secrets without the scope, [`Refusal::ServerSecretInvalid`]
    /// when it was revoked.
    pub async fn authorize_operator(&self, call: Call, needed: Scope) -> Result<Operator, ServiceError> {
        let Caller::Operator(token) = call.caller else { return Err(Refusal::ServerScopeNeeded.into()) };
        let id = token.id;
        let known = self
            .inner
            .store
            .read("operator_token.find", move |readers| {
                readers.operator_tokens().find(id).map_err(ServiceError::from)
            })
            .await?;
        let now = self.inner.clock.now();
        let known = known.filter(|known| known.revoked_at.is_none()).ok_or(Refusal::ServerSecretInvalid)?;
        if !known.is_good(now) {
            return Err(Refusal::ServerSecretExpired.into());
        }
        if !known.scopes.allow(needed) {
            let text = format!("this server secret lacks the scope {}", needed.name());
            return Err(ServiceError::Explained(Refusal::ServerScopeNeeded, text));
        }
        if known.notes_use_at(now) {
            self.inner
                .store
                .transact("operator_token.used", move |repos| {
                    repos.operator_tokens().note_use(id, now).map_err(ServiceError::from)
                })
                .await?
                .then_some(())
                .ok_or(Refusal::ServerSecretInvalid)?;
        }
        Ok(Operator {
            name: known.name.as_str().to_owned(),
            source: Some(call.source),
            scopes: known.scopes,
            only_app: known.only_app,
            token: Some((known.id, known.expires_at)),
        })
    }

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
        let mut act = Act::of_operator("createOperatorToken", new.only_app.unwrap_or(AppId::NONE), &operator);
        act.detail = Some(format!("{} ({})", new.name.as_str(), new.scopes));
        let minted = self.mint_now(operator, new, &act).await;
        self.note(Some(act), minted).await
    }

    async fn mint_now(
        &self,
        operator: Operator,
        new: NewOperatorToken,
        act: &Act,
    ) -> Result<MintedToken, ServiceError> {
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
        let entry = self.done(act)?;
        let added = token.clone();
        self.inner
            .store
            .transact("operator_token.add", move |repos| {
                if let Some(id) = added.only_app {
                    repos.apps().find(id)?.ok_or(Refusal::UnknownApp)?;
                }
                if let Some(maker) = added.made_by
                    && !repos.operator_tokens().note_use(maker, now)?
                {
                    return Err(Refusal::ServerSecretInvalid.into());
                }
                repos.operator_tokens().add(&added)?;
                repos.audit().add(&entry).map_err(ServiceError::from)
            })
            .await?;
        Ok(MintedToken { secret, token })
    }

    /// At most `limit` operator tokens within reach, newest first, those made before `before` if it is given.
    ///
    /// # Errors
    /// [`ServiceError`] when the database fails.
    pub async fn list_operator_tokens(
        &self,
        operator: Operator,
        before: Option<TokenId>,
        limit: u32,
    ) -> Result<Vec<OperatorToken>, ServiceError> {
        let only_app = operator.only_app;
        self.inner
            .store
            .read("operator_token.list", move |readers| {
                readers.operator_tokens().list(only_app, before, limit).map_err(ServiceError::from)
            })
            .await
    }

    /// Logs the operator tokens that end soon, once a day.
    pub(crate) async fn report_expiring_tokens(&self, now: OffsetDateTime) -> Result<(), ServiceError> {
        let tokens = self.inner.store.transact("operator_token.expiring", move |repos| {
            if !repos.upkeep().claim_job("secrets", now, now + Duration::days(1))? {
                return Ok(Vec::new());
            }
            repos.operator_tokens().list(None, None, MOST_REPORTED).map_err(ServiceError::from)
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
        let found = self
            .inner
            .store
            .read("operator_token.find", move |readers| {
                readers.operator_tokens().find(id).map_err(ServiceError::from)
            })
            .await?;
        let is_in_reach =
            |token: &OperatorToken| operator.only_app.is_none() || token.only_app == operator.only_app;
        let none =
            || ServiceError::Explained(Refusal::Unknown, "there is no server secret of this id".to_owned());
        let token = found.filter(is_in_reach).ok_or_else(none)?;
        // What reaches all applications has its entries under none.
        let mut act =
            Act::of_operator("revokeOperatorToken", token.only_app.unwrap_or(AppId::NONE), &operator);
        act.detail = Some(format!("{} ({})", token.name.as_str(), token.scopes));
        let entry = self.done(&act)?;
        self.inner
            .store
            .transact("operator_token.revoke", move |repos| {
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
