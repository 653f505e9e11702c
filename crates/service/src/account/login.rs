//! Signing in with handle or user name and password, and anonymously.

use latchkey_crypto::{AppToken, Verdict};
use latchkey_domain::{
    App, AppKey, ClientPassword, Handle, InvalidHandle, Metadata, Signup, SignupFlow, SignupState, Source,
    User, UserId, UserName, UserStatus,
};
use latchkey_storage::{QuotaKey, Readers};
use time::Duration;

use crate::account::names::{NewUser, client_locale, new_user};
use crate::account::throttle::{AttemptGuard, Origin, note_login, record_success};
use crate::base::audit::{Action, Event};
use crate::base::caller::{Call, ensure_active, find_app};
use crate::base::error::{Refusal, ServiceError};
use crate::base::hashing::forms;
use crate::base::signing::Tokens;
use crate::protect::rates::Rate;
use crate::service::Service;

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
    pub async fn log_in(&self, call: Call<AppToken>, login: LogIn) -> Result<LoggedIn, ServiceError> {
        let event = Event::of_call(Action::Login, &call, Some(&login.name.handle));
        self.refuse_late(forms(login.password.as_ref()), async {
            self.audited(event, async |event| {
                let token = call.caller;
                let LogIn { name, password } = login;
                let source = self.source_digest(token.app_id, call.source)?;
                let finding = name.clone();
                let (app, keys, candidate) = self
                    .read("login.find", move |readers| {
                        let app = find_app(readers.apps(), &token)?;
                        finding.check(&app)?;
                        ensure_active(&app)?;
                        let keys = readers.apps().keys(app.id)?;
                        let candidate = candidate(readers, &app, &finding, source.as_bytes())?;
                        Ok((app, keys, candidate))
                    })
                    .await?;
                let is_known = match &candidate {
                    Candidate::User(user) => {
                        let origin = self.origin(app.id, user.id, call.source)?;
                        origin.is_known(user)
                    }
                    Candidate::Pending(_) | Candidate::Nobody => false,
                };
                let (handle, clock) = (Some(&name.handle), &*self.inner.clock);
                let permit = self.inner.limits.reserve_failure(call.source, handle, is_known, clock).await?;
                let result = self.log_in_as(&app, &keys, candidate, password, call.source, event).await;
                if matches!(result, Err(ServiceError::Refused(Refusal::CredentialsWrong))) {
                    // All failures are refused alike: otherwise the answer would reveal who is known to log in from here. A
                    // caller that has waited for a dummy does not wait now.
                    let refused = if is_known {
                        self.inner.limits.reserve_failure(call.source, handle, false, clock).await.map(drop)
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
            })
            .await
        })
        .await
    }

    /// Notes that log-ins from an address are stopped for a while.
    pub(crate) async fn note_spray(&self, app: &App, source: Source) -> Result<(), ServiceError> {
        tracing::warn!(address = %source.address(), "too many handles fail from one address: it has to wait");
        let mut event = Event::of_server(Action::LoginSpray, app.id);
        event.source = Some(source);
        self.record(&event).await
    }

    async fn log_in_as(
        &self,
        app: &App,
        keys: &[AppKey],
        candidate: Candidate,
        password: Option<ClientPassword>,
        source: Source,
        event: &Event,
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
                let origin = self.origin(app.id, user.id, source)?;
                let (verdict, counted) = self.try_password(app, &user, password.clone(), origin).await?;
                if verdict == Verdict::Wrong {
                    return Err(Refusal::CredentialsWrong.into());
                }
                match self.admit(app, keys, &user, verdict, password).await {
                    Ok(Some(tokens)) => {
                        match self.settle_login(app, &user, origin, counted.clone(), event).await {
                            Ok(()) => Ok(LoggedIn::Tokens(tokens)),
                            Err(error) => {
                                self.reset_failures(&user, origin, counted, false).await?;
                                Err(error)
                            }
                        }
                    }
                    Ok(None) => {
                        let asked =
                            self.ask_second_factor(app, &user, source, origin, counted.clone(), event);
                        match asked.await {
                            Ok(token) => Ok(LoggedIn::SecondFactor(token)),
                            Err(error) => {
                                self.reset_failures(&user, origin, counted, false).await?;
                                Err(error)
                            }
                        }
                    }
                    Err(error) => {
                        // The password was right, whatever else is in the way.
                        self.reset_failures(&user, origin, counted, true).await?;
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

    /// Verifies the password of an open sign-up, counted: as often as the backoff leaves free while the counter lasts. A
    /// wrong one and one that may not be tried are the same: `Wrong`, at the same cost.
    pub(crate) async fn try_attempts_password(
        &self,
        app: &App,
        signup: &Signup,
        password: ClientPassword,
        counter: QuotaKey,
    ) -> Result<Verdict, ServiceError> {
        let (free, taken) = (self.backoff(app).free, counter.clone());
        let is_counted =
            self.transact("login.pending", move |repos| Ok(repos.quotas().reserve(&taken, free)?)).await?;
        let digest = is_counted.then(|| (signup.user_id, signup.password.clone()));
        let verdict = self.verify_password(app.id, password, digest).await?;
        if verdict == Verdict::Wrong {
            return Ok(verdict);
        }
        self.transact("login.pending.right", move |repos| Ok(repos.quotas().reset(&counter)?)).await?;
        Ok(verdict)
    }

    async fn settle_login(
        &self,
        app: &App,
        user: &User,
        origin: Origin,
        counted: Option<AttemptGuard>,
        event: &Event,
    ) -> Result<(), ServiceError> {
        let now = self.inner.clock.now();
        let entry = self.entry(&Event { user_id: Some(user.id), ..event.clone() })?;
        let (user, mode) = (user.clone(), app.settings.two_factor);
        self.transact("login.settle", move |repos| {
            // Changes while the password was verified.
            let is_same = |fresh: &User| {
                fresh.status == user.status
                    && fresh.sessions.epoch == user.sessions.epoch
                    && fresh.factors.asked(mode).is_none()
            };
            if !repos.users().find(user.app_id, user.id)?.as_ref().is_some_and(is_same) {
                return Err(Refusal::CredentialsWrong.into());
            }
            record_success(repos, user.app_id, user.id, origin, counted.as_ref())?;
            note_login(repos, &user, now)?;
            Ok(repos.audit().add(&entry)?)
        })
        .await
    }

    /// Replaces a digest of an older kind, unless it was replaced meanwhile: a change of password wins.
    async fn rehash(&self, user: &User, password: ClientPassword) -> Result<(), ServiceError> {
        let Some(old) = user.password.clone() else { return Ok(()) };
        let (app_id, id) = (user.app_id, user.id);
        let new = self.hash_password(password, app_id, id).await?;
        self.transact("login.rehash", move |repos| {
            Ok(repos.users().replace_password(app_id, id, &old, &new)?)
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
        call: Call<AppToken>,
        login: AnonymousLogIn,
    ) -> Result<Tokens, ServiceError> {
        let event = Event::of_call(Action::LoginAnonymous, &call, Some(&login.handle));
        self.audited(event, async |event| match self.anonymous(&call, &login, event).await {
            // A concurrent call created the same user.
            Err(ServiceError::Refused(Refusal::HandleTaken)) => self.anonymous(&call, &login, event).await,
            first => first,
        })
        .await
    }

    async fn anonymous(
        &self,
        call: &Call<AppToken>,
        login: &AnonymousLogIn,
        event: &Event,
    ) -> Result<Tokens, ServiceError> {
        let (token, handle) = (call.caller.clone(), login.handle.clone());
        let (app, keys, user) = self
            .read("login.anonymous", move |readers| {
                let app = find_app(readers.apps(), &token)?;
                let keys = readers.apps().keys(app.id)?;
                let user = readers.users().find_by_handle(app.id, &handle)?;
                Ok((app, keys, user))
            })
            .await?;
        if !app.settings.anonymous_login {
            return Err(Refusal::NoAnonymousLogin.into());
        }
        ensure_active(&app)?;
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
                let (handle, metadata) = (login.handle.clone(), Metadata::default());
                new_user(app.id, NewUser { id, handle, password: None, locale, metadata }, now)
            }
        };
        let tokens = self.issue_tokens(&app, &keys, &user).await?;
        let entry = self.entry(&Event { user_id: Some(user.id), ..event.clone() })?;
        let admission = self.admission(&app, &user.handle)?;
        self.transact("login.anonymous", move |repos| {
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
            Ok(repos.audit().add(&entry)?)
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
