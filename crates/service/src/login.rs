//! Signing in with a password.

use latchkey_crypto::{AppToken, Verdict};
use latchkey_domain::{
    App, AppKey, ClientPassword, Handle, InvalidHandle, Signup, SignupFlow, SignupState, SourcePrefix, User,
    UserName, UserStatus,
};
use latchkey_storage::{Readers, Store};

use crate::caller::{find_app, gate};
use crate::{Refusal, Service, ServiceError, Tokens};

/// What somebody says their name is: a handle, or a user name, which never holds an `@`.
#[derive(Debug, Clone)]
pub struct LoginName {
    handle: Handle,
    user_name: Option<UserName>,
}

impl LoginName {
    /// Parses what was typed.
    ///
    /// # Errors
    /// [`InvalidHandle`].
    pub fn parse(typed: &str) -> Result<Self, InvalidHandle> {
        Ok(Self { handle: Handle::parse(typed)?, user_name: UserName::parse(typed).ok() })
    }
}

/// A sign-in.
#[derive(Debug, Clone)]
pub struct LogIn {
    /// Who it is said to be.
    pub name: LoginName,
    /// The password; none when what was sent cannot be one, which is a wrong password.
    pub password: Option<ClientPassword>,
    /// Where the request comes from.
    pub source: SourcePrefix,
}

/// Whose password will be verified. Exactly one digest is, whatever there is.
enum Candidate {
    User(Box<User>),
    Pending(Box<Signup>),
    Nobody,
}

impl<S: Store> Service<S> {
    /// Signs a user in. An unknown name, a wrong password and an account in any other state cost the same
    /// and are told apart only by who knows the password.
    ///
    /// # Errors
    /// [`Refusal::CredentialsWrong`]; with the right password [`Refusal::NotVerified`],
    /// [`Refusal::UserSuspended`] or [`Refusal::MetadataInvalid`] (a required field has no value).
    pub async fn log_in(&self, token: AppToken, login: LogIn) -> Result<Tokens, ServiceError> {
        let LogIn { name, password, source } = login;
        let digest_of_source = self.source_digest(token.app_id, source)?;
        let (app, keys, candidate) = self
            .inner
            .store
            .read("login.find", move |readers| {
                let app = find_app(readers.apps(), &token)?;
                if !name.handle.as_str().contains('@') && !app.settings.user_names {
                    return Err(Refusal::NoUserNames.into());
                }
                gate(&app)?;
                let keys = readers.apps().keys(app.id)?;
                let candidate = candidate(readers, &app, &name, digest_of_source.as_bytes())?;
                Ok::<_, ServiceError>((app, keys, candidate))
            })
            .await?;

        let digest = match &candidate {
            Candidate::User(user) => user.password.clone().map(|sealed| (app.id, user.id, sealed)),
            Candidate::Pending(signup) => Some((app.id, signup.user_id, signup.password.clone())),
            Candidate::Nobody => None,
        };
        let Some(password) = password else {
            self.verify_nobody().await?;
            return Err(Refusal::CredentialsWrong.into());
        };
        let verdict = self.verify_password(password.clone(), digest).await?;
        match (candidate, verdict) {
            (_, Verdict::Wrong) | (Candidate::Nobody, _) => Err(Refusal::CredentialsWrong.into()),
            (Candidate::Pending(_), Verdict::Right | Verdict::RightButOutdated) => {
                Err(Refusal::NotVerified.into())
            }
            (Candidate::User(user), _) if user.status == UserStatus::Suspended => {
                Err(Refusal::UserSuspended.into())
            }
            (Candidate::User(user), verdict) => {
                if verdict == Verdict::RightButOutdated {
                    self.rehash(&user, password).await?;
                }
                self.signed_in(&app, &keys, &user).await
            }
        }
    }

    async fn signed_in(&self, app: &App, keys: &[AppKey], user: &User) -> Result<Tokens, ServiceError> {
        let tokens = self.issue_tokens(app, keys, user)?;
        let now = self.inner.clock.now();
        if user.notes_login_at(now) {
            let (app_id, id) = (user.app_id, user.id);
            self.inner
                .store
                .transact("login.note", move |repos| {
                    repos.users().note_login(app_id, id, now).map_err(ServiceError::from)
                })
                .await?;
        }
        Ok(tokens)
    }

    /// Replaces a digest of an older kind, unless it was replaced meanwhile: a change of password wins.
    async fn rehash(&self, user: &User, password: ClientPassword) -> Result<(), ServiceError> {
        let Some(old) = user.password.clone() else { return Ok(()) };
        let (app_id, id) = (user.app_id, user.id);
        let new = self.hash_password(password, app_id, id).await?;
        self.inner
            .store
            .transact("login.rehash", move |repos| {
                repos.users().replace_password(app_id, id, &old, &new).map_err(ServiceError::from)
            })
            .await?;
        Ok(())
    }
}

fn candidate(
    readers: &mut dyn Readers,
    app: &App,
    name: &LoginName,
    source: &[u8; 32],
) -> Result<Candidate, ServiceError> {
    let mut user = readers.users().find_by_handle(app.id, &name.handle)?;
    if let (None, Some(user_name)) = (&user, name.user_name.as_ref().filter(|_| app.settings.user_names)) {
        user = readers.users().find_by_user_name(app.id, user_name)?;
    }
    if let Some(user) = user {
        return Ok(Candidate::User(Box::new(user)));
    }
    if app.settings.signup_flow == SignupFlow::None {
        return Ok(Candidate::Nobody);
    }
    let mut pending = readers.signups().list(app.id, &name.handle)?;
    pending.retain(|signup| signup.state == SignupState::Pending);
    let own = pending.iter().position(|signup| signup.source.as_bytes() == source).unwrap_or(0);
    if own < pending.len() {
        Ok(Candidate::Pending(Box::new(pending.swap_remove(own))))
    } else {
        Ok(Candidate::Nobody)
    }
}
