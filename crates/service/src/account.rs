//! What a user may know of themselves.

use latchkey_domain::{App, User};
use latchkey_storage::Store;

use crate::caller::find_user;
use crate::{Caller, Refusal, Service, ServiceError};

/// A user with the application whose user they are.
#[derive(Debug, Clone)]
pub struct UserView {
    /// The application.
    pub app: App,
    /// The user.
    pub user: User,
}

impl<S: Store> Service<S> {
    /// The user who calls.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`] without an access token, [`Refusal::AccessTokenInvalid`] when it was ended,
    /// and what an application that is not active refuses.
    pub async fn current_user(&self, caller: Caller) -> Result<UserView, ServiceError> {
        let token = caller.user(Refusal::InvalidData)?;
        let (app, user) =
            self.inner.store.read("user.current", move |readers| find_user(readers, &token)).await?;
        Ok(UserView { app, user })
    }
}
