//! Callers: the identity in a verified token, and its current state in the database.

use std::sync::PoisonError;

use latchkey_crypto::{AccessToken, AppToken, ServerSecretToken, SuperToken, TokenError};
use latchkey_domain::{App, AppId, AppStatus, Source, User, UserId, UserStatus};
use latchkey_storage::{AppReader, Readers};

use crate::base::error::{Refusal, ServiceError};
use crate::service::Service;

/// A received token, by its header. No kind of token is accepted in another header.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// The header `server-secret`.
    ServerSecret(&'a str),
    /// The header `app-token`, or the query's `appToken`.
    AppToken(&'a str),
    /// The header `access-token`.
    AccessToken(&'a str),
}

/// The caller, as verified by a signature. The use case that serves the caller checks in the database whether the token
/// was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A call without credentials.
    Nobody,
    /// An operator.
    Operator(ServerSecretToken),
    /// A client of an application.
    App(AppToken),
    /// A user who signed in.
    User(AccessToken),
    /// An administrator of an application.
    SuperUser(SuperToken),
}

/// The token of a client, or of a user who signed in, where the application alone matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppOrUser {
    /// A client of an application.
    App(AppToken),
    /// A user who signed in.
    User(AccessToken),
}

/// A verified caller, and where they are.
#[derive(Debug, Clone)]
pub struct Call<C> {
    /// The token that was sent.
    pub caller: C,
    /// From where.
    pub source: Source,
}

/// The application and user of a token.
pub(crate) trait Identity {
    fn app_id(&self) -> AppId;
    fn user_id(&self) -> Option<UserId>;
}

impl Identity for AppToken {
    fn app_id(&self) -> AppId {
        self.app_id
    }

    fn user_id(&self) -> Option<UserId> {
        None
    }
}

impl Identity for AccessToken {
    fn app_id(&self) -> AppId {
        self.app_id
    }

    fn user_id(&self) -> Option<UserId> {
        Some(self.user_id)
    }
}

impl Identity for SuperToken {
    fn app_id(&self) -> AppId {
        self.app_id
    }

    fn user_id(&self) -> Option<UserId> {
        Some(self.user_id)
    }
}

impl Identity for AppOrUser {
    fn app_id(&self) -> AppId {
        match self {
            Self::App(token) => token.app_id,
            Self::User(token) => token.app_id,
        }
    }

    fn user_id(&self) -> Option<UserId> {
        match self {
            Self::App(_) => None,
            Self::User(token) => Some(token.user_id),
        }
    }
}

impl Service {
    /// The client that sent this app token.
    ///
    /// # Errors
    /// [`Refusal::AppTokenInvalid`].
    pub fn client(&self, app_token: &str, source: Source) -> Result<Call<AppToken>, ServiceError> {
        match self.identify(Credential::AppToken(app_token))? {
            Caller::App(caller) => Ok(Call { caller, source }),
            _ => Err(Refusal::AppTokenInvalid.into()),
        }
    }

    /// Verifies a token as the kind that its header stands for.
    ///
    /// # Errors
    /// The refusal of that kind.
    pub fn identify(&self, credential: Credential<'_>) -> Result<Caller, Refusal> {
        let (ring, now) = (self.key_ring(), self.inner.clock.now());
        let tokens = ring.tokens();
        let (caller, refusal) = match credential {
            Credential::ServerSecret(text) => {
                let operator = tokens.verify(text, now).map(Caller::Operator);
                let is_expired = matches!(operator, Err(TokenError::Expired));
                let refusal =
                    if is_expired { Refusal::ServerSecretExpired } else { Refusal::ServerSecretInvalid };
                (operator, refusal)
            }
            Credential::AppToken(text) => {
                let app = tokens.verify(text, now).or_else(|error| {
                    let old_servers = self.inner.old_servers.read().unwrap_or_else(PoisonError::into_inner);
                    old_servers.verify(text, now).map_err(|_| error)
                });
                (app.map(Caller::App), Refusal::AppTokenInvalid)
            }
            Credential::AccessToken(text) => {
                let user = tokens.verify(text, now).map(Caller::User);
                // Administrators' tokens come in the same header, and are another kind.
                let caller =
                    user.or_else(|error| tokens.verify(text, now).map(Caller::SuperUser).map_err(|_| error));
                (caller, Refusal::AccessTokenInvalid)
            }
        };
        caller.map_err(|error| {
            tracing::debug!(%error, ?refusal, "token refused");
            refusal
        })
    }
}

/// The application of an app token, if the token is of its present generation.
pub(crate) fn find_app<R: AppReader + ?Sized>(apps: &mut R, token: &AppToken) -> Result<App, ServiceError> {
    let app = existing(apps, token.app_id)?;
    if app.token_generation == token.generation { Ok(app) } else { Err(Refusal::AppTokenInvalid.into()) }
}

pub(crate) fn existing<R: AppReader + ?Sized>(apps: &mut R, id: AppId) -> Result<App, ServiceError> {
    apps.find(id)?.ok_or_else(|| Refusal::AppGone.into())
}

/// Refuses what an application that is not active refuses.
pub(crate) fn ensure_active(app: &App) -> Result<(), Refusal> {
    match app.status {
        AppStatus::Active => Ok(()),
        AppStatus::Inactive | AppStatus::Suspended | AppStatus::Blocked => Err(Refusal::AppSuspended),
        AppStatus::Migrated => Err(Refusal::AppMigrated),
    }
}

/// The application and user of an access token, if it has not been ended since.
pub(crate) fn find_user(
    readers: &mut (impl Readers + ?Sized),
    token: &AccessToken,
) -> Result<(App, User), ServiceError> {
    let app = existing(readers.apps(), token.app_id)?;
    ensure_active(&app)?;
    let user = readers.users().find(token.app_id, token.user_id)?;
    Ok((app, check_session(user, token)?))
}

/// Returns the user if the access token is still valid for them.
pub(crate) fn check_session(user: Option<User>, token: &AccessToken) -> Result<User, Refusal> {
    let user = user.ok_or(Refusal::AccessTokenInvalid)?;
    if !user.sessions.accepts(token.epoch, token.id) {
        return Err(Refusal::AccessTokenInvalid);
    }
    match user.status {
        UserStatus::Active => Ok(user),
        UserStatus::Suspended => Err(Refusal::UserSuspended),
    }
}

/// The application of a caller, if it is active and the token is valid.
pub(crate) fn find_app_of(
    readers: &mut (impl Readers + ?Sized),
    caller: &AppOrUser,
) -> Result<App, ServiceError> {
    match caller {
        AppOrUser::App(token) => {
            let app = find_app(readers.apps(), token)?;
            ensure_active(&app)?;
            Ok(app)
        }
        AppOrUser::User(token) => find_user(readers, token).map(|(app, _)| app),
    }
}

#[cfg(test)]
mod tests {
    use latchkey_domain::{AppName, AppSettings, AppType, Owner, Preset};
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn an_application_that_is_not_active_refuses_all_user_calls() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let mut app = App {
            id: AppId::from_bytes([1; 16]),
            owner: Owner::Server,
            name: AppName::parse("Shop").unwrap(),
            kind: AppType::Development,
            status: AppStatus::Active,
            issuer: String::new(),
            token_generation: 1,
            token_issued_at: now,
            revision: 1,
            settings: AppSettings::preset(Preset::Compatible),
            created_at: now,
            updated_at: now,
        };
        for (status, expected) in [
            (AppStatus::Active, Ok(())),
            (AppStatus::Inactive, Err(Refusal::AppSuspended)),
            (AppStatus::Suspended, Err(Refusal::AppSuspended)),
            (AppStatus::Blocked, Err(Refusal::AppSuspended)),
            (AppStatus::Migrated, Err(Refusal::AppMigrated)),
        ] {
            app.status = status;
            assert_eq!(ensure_active(&app), expected, "{status:?}");
        }
    }
}
