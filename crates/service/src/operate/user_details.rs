//! Users as operators see them.

use latchkey_domain::{App, AppId, Lock, SourceTrust, User, UserKey};

use crate::base::error::{Refusal, ServiceError};
use crate::service::Service;

/// A user as operators see them.
#[derive(Debug, Clone)]
pub struct UserDetails {
    /// The user.
    pub user: User,
    /// How long log-ins from sources that the user has not used before are refused.
    pub lock: Option<Lock>,
    /// Warnings for the operator.
    pub warnings: Vec<String>,
}

impl Service {
    /// Users of one application as operators see them.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn user_details(
        &self,
        app_id: AppId,
        users: Vec<User>,
    ) -> Result<Vec<UserDetails>, ServiceError> {
        let app = self.read("user.details", move |readers| {
            readers.apps().find(app_id)?.ok_or_else(|| ServiceError::from(Refusal::UnknownApp))
        });
        let app = app.await?;
        Ok(users.into_iter().map(|user| self.details_of(&app, user)).collect())
    }

    /// One user as operators see them.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::UnknownUser`].
    pub async fn details_of_user(&self, key: UserKey) -> Result<UserDetails, ServiceError> {
        let (app, user) = self.app_and_user(key).await?;
        Ok(self.details_of(&app, user))
    }

    pub(crate) fn details_of(&self, app: &App, user: User) -> UserDetails {
        let now = self.inner.clock.now();
        let lock = self.backoff(app).lock(user.login.unknown, SourceTrust::Unknown, now);
        let warnings = self.jwt_size().warning(app, &user, now).into_iter().collect();
        UserDetails { user, lock, warnings }
    }
}
