//! Signing in with handle or user name and password, and anonymously.

use latchkey_crypto::{AppToken, Verdict};
use latchkey_domain::{
    App, AppKey, ClientPassword, Handle, InvalidHandle, Metadata, Signup, SignupFlow, SignupState, Source,
    User, UserId, UserName, UserStatus,
};
use latchkey_storage::{QuotaKey, Readers};
use time::Duration;

use crate::audit::{Act, Call};
use crate::caller::{find_app, gate};
use crate::hashing::forms;
use crate::limits::Rate;
use crate::new_user::{client_locale, new_user};
use crate::throttle::{Counted, Origin, note_login, settle_right};
use crate::{Refusal, Service, ServiceError, Tokens};

/// The name that a user logs in with: a handle, or a user name, which never contains an `@`.
#[derive(Debug, Clone)]
pub struct LoginName {
    pub(crate) handle: Handle,
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

    /// Refuses a name that can only be a user name if the application has none.
    pub(crate) fn check(&self, app: &App) -> Result<(), Refusal> {
        if self.handle.as_str().contains('@') || app.settings.user_names {
            Ok(())
        } else {
            Err(Refusal::NoUserNames)
        }
    }

    /// The user of this name. A handle wins over a user name.
    pub(crate) fn find(&self, readers: &mut dyn Readers, app: &App) -> Result<Option<User>, ServiceError> {
        let user = readers.users().find_by_handle(app.id, &self.handle)?;
        match (user, self.user_name.as_ref().filter(|_| app.settings.user_names)) {
            (None, Some(name)) => Ok(readers.users().find_by_user_name(app.id, name)?),
            (user, _) => Ok(user),
        }
    }
}

/// A sign-in.
#[derive(Debug, Clone)]
pub struct LogIn {
    /// Who it is said to be.
    pub name: LoginName,
    /// The password; none when what was sent cannot be one, which is a wrong password.
    pub password: Option<ClientPassword>,
}

/// The result of a log-in with the right password.
#[derive(Debug, Clone)]
pub enum LoggedIn {
    /// Everything.
    Tokens(Tokens),
    /// A login token, with which the second factor completes the log-in.
    SecondFactor(String),
}

/// A sign-in without a password.
#[derive(Debug, Clone)]
pub struct AnonymousLogIn {
    /// The handle, which is the only secret.
    pub handle: Handle,
    /// The locale of a new user.
    pub locale: Option<String>,
}

/// Whose password will be verified. Exactly one digest is, whatever there is.
enum Candidate {
    User(Box<User>),
    Pending(Box<Signup>),
    Nobody,
}

impl Service {
    /// Logs a user in. An unknown name, a wrong password, a throttled one and an account in any other state have the
    /// same cost and time, and only a caller with the password can tell them apart.
    ///
    /// # Errors
    /// [`Refusal::CredentialsWrong`]; with the right password [`Refusal::NotVerified`],
    /// [`Refusal::UserSuspended`] or [`Refusal::MetadataInvalid`] (a required field has no value);
    /// [`ServiceError::TooMany`] when too many failed from there.
    pub async fn log_in(&self, call: Call, login: LogIn) -> Result<LoggedIn, ServiceError> {
        let act = call.act("login", Some(&login.name.handle));
        self.refuse_late(forms(login.password.as_ref()), async {
            let result = self.log_in_now(&call, login, act.clone()).await;
            self.note(act, result).await
        })
        .await
    }

    async fn log_in_now(
        &self,
        call: &Call,
        login: LogIn,
        act: Option<Act>,
    ) -> Result<LoggedIn, ServiceError> {
        let token = call.caller.clone().app()?;
        let LogIn { name, password } = login;
        let source = self.source_digest(token.app_id, call.source)?;
        let finding = name.clone();
        let (app, keys, candidate) = self
            .inner
            .store
            .read("login.find", move |readers| {
                let app = find_app(readers.apps(), &token)?;
                finding.check(&app)?;
                gate(&app)?;
                let keys = readers.apps().keys(app.id)?;
                let candidate = candidate(readers, &app, &finding, source.as_bytes())?;
                Ok::<_, ServiceError>((app, keys, candidate))
            })
            .await?;
        let is_known = match &candidate {
            Candidate::User(user) => {
                let origin = self.origin(app.id, user.id, call.source)?;
                origin.is_known(user)
            }
            Candidate::Pending(_) | Candidate::Nobody => false,
        };
        let attempt = (Some(&name.handle), is_known);
        let permit = self.inner.limits.reserve_failure(call.source, attempt, &*self.inner.clock).await?;
        let result = self.log_in_as(&app, &keys, candidate, password, (call, act)).await;
        if matches!(result, Err(ServiceError::Refused(Refusal::CredentialsWrong))) {
            // All failures are refused alike: otherwise the answer would reveal who is known to log in from here. A
            // caller that has waited for a dummy does not wait now.
            let refused = if is_known {
                let attempt = (Some(&name.handle), false);
                self.inner.limits.reserve_failure(call.source, attempt, &*self.inner.clock).await.map(drop)
            } else {
                self.inner.limits.check_failures(call.source, self.inner.clock.now())
            };
            let now = self.inner.clock.now();
            if permit.fail(now) {
                self.note_spray(&app, call.source).await?;
            }
            refused?;
        }
        result
    }

    /// Notes that log-ins from an address are stopped for a while.
    pub(crate) async fn note_spray(&self, app: &App, source: Source) -> Result<(), ServiceError> {
        tracing::warn!(address = %source.address(), "too many handles fail from one address: it has to wait");
        let mut act = Act::of_server("login.spray", app.id);
        act.source = Some(source);
        let entry = self.done(&act)?;
        self.inner
            .store
            .transact("login.spray", move |repos| repos.audit().add(&entry).map_err(ServiceError::from))
            .await
    }

    async fn log_in_as(
        &self,
        app: &App,
        keys: &[AppKey],
        candidate: Candidate,
        password: Option<ClientPassword>,
        (call, act): (&Call, Option<Act>),
    ) -> Result<LoggedIn, ServiceError> {
        let Some(password) = password else {
            self.verify_nobody(app.id).await?;
            return Err(Refusal::CredentialsWrong.into());
        };
        match candidate {
            Candidate::Nobody => {
                self.verify_password(app.id, password, None).await?;
                Err(Refusal::CredentialsWrong.into())
            }
            Candidate::Pending(signup) => Err(self.try_pending(app, &signup, password).await?.into()),
            Candidate::User(user) => {
                let origin = self.origin(app.id, user.id, call.source)?;
                let (verdict, counted) = self.try_password(app, &user, password.clone(), origin).await?;
                if verdict == Verdict::Wrong {
                    return Err(Refusal::CredentialsWrong.into());
                }
                match self.admit(app, keys, &user, verdict, password).await {
                    Ok(Some(tokens)) => {
                        match self.settle_login(app, &user, (origin, counted.clone()), act).await {
                            Ok(()) => Ok(LoggedIn::Tokens(tokens)),
                            Err(error) => {
                                self.forgive(&user, origin, counted, false).await?;
                                Err(error)
                            }
                        }
                    }
                    Ok(None) => {
                        let counting = (origin, counted.clone());
                        match self.ask_second_factor(app, &user, call, counting, act).await {
                            Ok(token) => Ok(LoggedIn::SecondFactor(token)),
                            Err(error) => {
                                self.forgive(&user, origin, counted, false).await?;
                                Err(error)
                            }
                        }
                    }
                    Err(error) => {
                        // The password was right, whatever else is in the way.
                        self.forgive(&user, origin, counted, true).await?;
                        Err(error)
                    }
                }
            }
        }
    }

    /// The tokens of a user whose password was right, if nothing else is in the way; none where a second factor
    /// is still to come.
    async fn admit(
        &self,
        app: &App,
        keys: &[AppKey],
        user: &User,
        verdict: Verdict,
        password: ClientPassword,
    ) -> Result<Option<Tokens>, ServiceError> {
        if user.status == UserStatus::Suspended {
            return Err(Refusal::UserSuspended.into());
        }
        if verdict == Verdict::RightButOutdated {
            self.rehash(user, password).await?;
        }
        if user.factors.asked(app.settings.two_factor).is_some() {
            return Ok(None);
        }
        self.issue_tokens(app, keys, user).await.map(Some)
    }

    /// The password of a pending sign-up: right or wrong, nobody is logged in. Its daily attempts equal the free
    /// attempts of the backoff, so that the later user's password cannot be guessed here.
    async fn try_pending(
        &self,
        app: &App,
        signup: &Signup,
        password: ClientPassword,
    ) -> Result<Refusal, ServiceError> {
        let counter = self.counter(app.id, "login.pending", &[signup.id.as_bytes()], Duration::days(1))?;
        if self.try_attempts_password(app, signup, password, counter).await? == Verdict::Wrong {
            return Ok(Refusal::CredentialsWrong);
        }
        // To whom a neutral application tells what is open, it tells what is not.
        Ok(if app.settings.neutral_answers { Refusal::CredentialsWrong } else { Refusal::NotVerified })
    }

    /// Verifies the password of an open sign-up, counted: as often as the ladder leaves free while the counter lasts. A
    /// wrong one and one that may not be tried are the same: `Wrong`, at the same cost.
    pub(crate) async fn try_attempts_password(
        &self,
        app: &App,
        signup: &Signup,
        password: ClientPassword,
        counter: QuotaKey,
    ) -> Result<Verdict, ServiceError> {
        let (free, taken) = (self.ladder(app).free, counter.clone());
        let is_counted = self
            .inner
            .store
            .transact("login.pending", move |repos| {
                repos.quotas().reserve(&taken, free).map_err(ServiceError::from)
            })
            .await?;
        let digest = is_counted.then(|| (signup.user_id, signup.password.clone()));
        let verdict = self.verify_password(app.id, password, digest).await?;
        if verdict == Verdict::Wrong {
            return Ok(verdict);
        }
        self.inner
            .store
            .transact("login.pending.right", move |repos| {
                repos.quotas().reset(&counter).map_err(ServiceError::from)
            })
            .await?;
        Ok(verdict)
    }

    async fn settle_login(
        &self,
        app: &App,
        user: &User,
        (origin, counted): (Origin, Option<Counted>),
        act: Option<Act>,
    ) -> Result<(), ServiceError> {
        let now = self.inner.clock.now();
        let entry = act.map(|act| self.done(&Act { user_id: Some(user.id), ..act })).transpose()?;
        let (user, mode) = (user.clone(), app.settings.two_factor);
        self.inner
            .store
            .transact("login.settle", move |repos| {
                // Changes while the password was verified.
                let is_same = |fresh: &User| {
                    fresh.status == user.status
                        && fresh.sessions.epoch == user.sessions.epoch
                        && fresh.factors.asked(mode).is_none()
                };
                if !repos.users().find(user.app_id, user.id)?.as_ref().is_some_and(is_same) {
                    return Err(Refusal::CredentialsWrong.into());
                }
                settle_right(repos, user.app_id, user.id, origin, counted.as_ref())?;
                note_login(repos, &user, now)?;
                entry.iter().try_for_each(|entry| repos.audit().add(entry))?;
                Ok::<_, ServiceError>(())
            })
            .await
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

    /// Signs an anonymous user in, and makes them first if the handle is new.
    ///
    /// # Errors
    /// [`Refusal::NoAnonymousLogin`], [`Refusal::InvalidData`] (locale), [`Refusal::UserSuspended`];
    /// [`ServiceError::TooMany`] when too many were made from there.
    pub async fn log_in_anonymously(
        &self,
        call: Call,
        login: AnonymousLogIn,
    ) -> Result<Tokens, ServiceError> {
        let act = call.act("loginAnonymous", Some(&login.handle));
        let result = match (call.caller.clone().app(), act.clone()) {
            (Ok(token), Some(act)) => {
                let first = self.anonymous(&call, token.clone(), login.clone(), act.clone()).await;
                match first {
                    // A concurrent call created the same user.
                    Err(ServiceError::Refused(Refusal::HandleTaken)) => {
                        self.anonymous(&call, token, login, act).await
                    }
                    first => first,
                }
            }
            _ => Err(Refusal::AppTokenInvalid.into()),
        };
        self.note(act, result).await
    }

    async fn anonymous(
        &self,
        call: &Call,
        token: AppToken,
        login: AnonymousLogIn,
        act: Act,
    ) -> Result<Tokens, ServiceError> {
        let handle = login.handle.clone();
        let (app, keys, user) = self
            .inner
            .store
            .read("login.anonymous", move |readers| {
                let app = find_app(readers.apps(), &token)?;
                let keys = readers.apps().keys(app.id)?;
                let user = readers.users().find_by_handle(app.id, &handle)?;
                Ok::<_, ServiceError>((app, keys, user))
            })
            .await?;
        if !app.settings.anonymous_login {
            return Err(Refusal::NoAnonymousLogin.into());
        }
        gate(&app)?;
        let (now, is_new) = (self.inner.clock.now(), user.is_none());
        let user = match user {
            Some(user) => {
                may_come_back(&user)?;
                user
            }
            None => {
                let locale = client_locale(&app, login.locale.as_deref());
                self.inner.limits.take(Rate::Anonymous, call.source, now)?;
                let id = UserId::generate(now, &*self.inner.entropy)?;
                new_user(app.id, login.handle, (id, None, locale, Metadata::default()), now)
            }
        };
        let tokens = self.issue_tokens(&app, &keys, &user).await?;
        let entry = self.done(&Act { user_id: Some(user.id), ..act })?;
        let admission = self.admission(&app, &user.handle)?;
        self.inner
            .store
            .transact("login.anonymous", move |repos| {
                if is_new {
                    let app = repos.apps().find(user.app_id)?.ok_or(Refusal::AppGone)?;
                    admission.add(repos, &app, &user, now)?;
                } else {
                    let fresh = repos.users().find(user.app_id, user.id)?;
                    let fresh = fresh.filter(|fresh| fresh.sessions.epoch == user.sessions.epoch);
                    may_come_back(&fresh.ok_or(Refusal::CredentialsWrong)?)?;
                    // Every return is noted: who never came back is removed after a while.
                    repos.users().note_login(user.app_id, user.id, now)?;
                }
                repos.audit().add(&entry).map_err(ServiceError::from)
            })
            .await?;
        Ok(tokens)
    }
}

/// Whether the handle alone identifies this user.
fn may_come_back(user: &User) -> Result<(), Refusal> {
    if !user.is_anonymous() {
        return Err(Refusal::CredentialsWrong);
    }
    if user.status == UserStatus::Suspended { Err(Refusal::UserSuspended) } else { Ok(()) }
}

fn candidate(
    readers: &mut dyn Readers,
    app: &App,
    name: &LoginName,
    source: &[u8; 32],
) -> Result<Candidate, ServiceError> {
    if let Some(user) = name.find(readers, app)? {
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
