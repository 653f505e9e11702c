//! Which applications a developer reaches.

use latchkey_domain::{App, AppId, Owner, Source};

use super::logins::SignedIn;
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::operate::{AppView, NewApp};
use crate::service::Service;

impl SignedIn {
    fn owner(&self) -> Owner {
        Owner::Developer(self.developer.id)
    }

    fn reaches(&self, app: &App) -> bool {
        self.is_administrator() || app.owner == self.owner()
    }
}

impl Service {
    /// The applications of a developer, or all of them for an administrator: at most `limit`, newest first, those made
    /// before `before` if it is given.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn apps_of(
        &self,
        signed_in: &SignedIn,
        before: Option<AppId>,
        limit: u32,
    ) -> Result<Vec<App>, ServiceError> {
        let owner = (!signed_in.is_administrator()).then(|| signed_in.owner());
        self.read("portal.apps", move |readers| Ok(readers.apps().list(owner, before, limit)?)).await
    }

    /// An application, with the operator as whom the developer acts on it. Another developer's is as unknown as one that
    /// is not there.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn app_of(
        &self,
        signed_in: &SignedIn,
        id: AppId,
        source: Source,
    ) -> Result<(AppView, Operator), ServiceError> {
        let view = self.find_app(id).await?;
        if !signed_in.reaches(&view.app) {
            return Err(Refusal::UnknownApp.into());
        }
        Ok((view, signed_in.operator(source, Some(id))))
    }

    /// Makes an application that the developer owns.
    ///
    /// # Errors
    /// As [`Service::create_app`].
    pub async fn create_own_app(
        &self,
        signed_in: &SignedIn,
        source: Source,
        new: NewApp,
    ) -> Result<AppView, ServiceError> {
        self.create_owned(signed_in.operator(source, None), signed_in.owner(), new).await
    }
}
