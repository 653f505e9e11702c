//! Operators: the holders of server secrets, and the command line.

use latchkey_crypto::ServerSecretToken;
use latchkey_domain::{AppId, Developer, Scope, Scopes, Source, TokenId};
use time::OffsetDateTime;

use crate::base::caller::Call;
use crate::base::error::{Refusal, ServiceError};
use crate::service::Service;

/// The operator: the holder of a valid token, a developer in the portal, or the server's own command line.
#[derive(Debug, Clone)]
pub struct Operator {
    pub(crate) name: String,
    pub(crate) source: Option<Source>,
    scopes: Scopes,
    pub(crate) only_app: Option<AppId>,
    /// The token, and when it ends; the command line and developers have none.
    pub(crate) token: Option<(TokenId, OffsetDateTime)>,
    reader: Reader,
}

/// Identity of a caller in the queues for long reads: the id of a server secret or of a developer, or zeros for the
/// command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reader([u8; 16]);

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
            reader: Reader([0; 16]),
        }
    }

    /// A developer who is signed in to the portal and acts on one application, or makes one.
    pub(crate) fn developer(developer: &Developer, source: Source, only_app: Option<AppId>) -> Self {
        Self {
            name: developer.email.as_str().to_owned(),
            source: Some(source),
            scopes: Scopes::everything(),
            only_app,
            token: None,
            reader: Reader(*developer.id.as_bytes()),
        }
    }

    /// Returns the identity by which long reads are queued.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader
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

impl Service {
    /// Requires a server secret that has not been revoked and has the scope.
    ///
    /// # Errors
    /// [`Refusal::ServerScopeNeeded`] for other callers and secrets without the scope, [`Refusal::ServerSecretInvalid`]
    /// when it was revoked.
    pub async fn authorize_operator(
        &self,
        call: Call<ServerSecretToken>,
        needed: Scope,
    ) -> Result<Operator, ServiceError> {
        let id = call.caller.id;
        let known =
            self.read("operator_token.find", move |readers| Ok(readers.operator_tokens().find(id)?)).await?;
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
            self.transact("operator_token.used", move |repos| {
                Ok(repos.operator_tokens().note_use(id, now)?)
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
            reader: Reader(*known.id.as_bytes()),
        })
    }
}
