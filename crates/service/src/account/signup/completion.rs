//! The second half of a sign-up: its code comes back, from the app or by the page behind a mailed link, and the attempt
//! becomes a user.

use latchkey_crypto::Verdict;
use latchkey_domain::{
    App, AppId, AppKey, ClientPassword, Code, CodeId, CodePurpose, Handle, LinkAsksPassword, Locale, Signup,
    SignupFlow, Source, TemplateName, User,
};
use latchkey_notifiers::{MessageKind, check_html, cleaned};
use latchkey_storage::Repositories;
use time::{Duration, OffsetDateTime};

use super::{is_open, is_rival};
use crate::account::names::{NewUser, new_user};
use crate::account::throttle::record_success;
use crate::base::audit::{Action, Event};
use crate::base::caller::{AppOrUser, Call, find_app_of};
use crate::base::error::{Refusal, ServiceError};
use crate::base::hashing::forms;
use crate::base::signing::Tokens;
use crate::notify::mail::{built_in, worded};
use crate::protect::codes::{CodeTry, Tried};
use crate::protect::rates::Rate;
use crate::service::Service;

/// A code that comes back.
#[derive(Debug, Clone)]
pub struct CompleteSignUp {
    /// The handle.
    pub handle: Handle,
    /// The code.
    pub code: Code,
}

/// A sign-up that is complete.
#[derive(Debug, Clone)]
pub struct SignUpCompleted {
    /// The tokens of the new user.
    pub tokens: Tokens,
    /// The application.
    pub app: App,
    /// The new user's locale.
    pub locale: Locale,
    /// The application's page for a completed sign-up: HTML with placeholders, without anything active.
    pub click_through: String,
}

/// The button of the page behind a mailed link.
#[derive(Debug, Clone)]
pub struct PressLink {
    /// The parameters of the link.
    pub link: CompleteSignUp,
    /// The text in the page's password field, if any.
    pub password: Option<ClientPassword>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum LinkPressed {
    /// The sign-up is complete.
    Completed(Box<SignUpCompleted>),
    /// The link is good, but from here the password of the sign-up is needed too. Nothing was counted.
    AsksPassword,
}

/// An attempt whose code came back.
struct FoundAttempt {
    app: App,
    keys: Vec<AppKey>,
    code_try: CodeTry,
    attempt: Signup,
    /// Whether others have open attempts of the same handle.
    has_rivals: bool,
}

impl FoundAttempt {
    /// Whether the code was brought from where the sign-up came from.
    fn is_own(&self) -> bool {
        self.attempt.source.as_bytes() == self.code_try.source.own.as_bytes()
    }
}

impl Service {
    /// Completes a sign-up with the code that was mailed. In flow `link` it takes what the page behind the link takes.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`] when no open attempt of the handle has this code, or too many wrong ones came
    /// from here; [`Refusal::CodeExpired`]; [`Refusal::HandleTaken`] when it was completed before;
    /// [`Refusal::MissingParameter`] and [`Refusal::CredentialsWrong`] in flow `link`, for the password.
    pub async fn complete_sign_up(
        &self,
        call: Call<AppOrUser>,
        request: PressLink,
    ) -> Result<SignUpCompleted, ServiceError> {
        let PressLink { link, password } = request;
        let forms = forms(password.as_ref());
        let event = Event::of_call(Action::CompleteSignup, &call, Some(&link.handle));
        let completed = self.audited(event, async |event| {
            let (found, source) = (self.find_by_code(&call, link).await?, call.source);
            let is_theirs = match found.app.settings.signup_flow {
                SignupFlow::None | SignupFlow::Code => self.check_bearer(&found, password, source).await?,
                SignupFlow::Link => {
                    self.check_link(&found, password, source).await?.ok_or(Refusal::MissingParameter)?
                }
            };
            self.make_user_of(found, source, is_theirs, event).await
        });
        self.refuse_late(forms, completed).await
    }

    /// Whether the page behind a link requires the sign-up's password here. `attempt` is the link's reference to its
    /// sign-up. Nothing is looked up: opening a page must not reveal who has signed up.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] when a library fails.
    pub fn link_asks_password(
        &self,
        app: &App,
        handle: &Handle,
        attempt: &str,
        source: Source,
    ) -> Result<bool, ServiceError> {
        let own = self.attempt_id(app.id, handle, &self.source_digest(app.id, source)?)?;
        Ok(self.asks_password(app, own.to_string() == attempt, source))
    }

    /// Completes a sign-up from the page behind its link. Mail scanners submit forms, so from elsewhere than the
    /// sign-up came from it takes the password too, as the application wishes it.
    ///
    /// # Errors
    /// As [`Service::complete_sign_up`]; [`Refusal::CredentialsWrong`] for a wrong password, or after too many of them
    /// from this address; [`ServiceError::TooMany`].
    pub async fn press_link(
        &self,
        call: Call<AppOrUser>,
        press: PressLink,
    ) -> Result<LinkPressed, ServiceError> {
        let PressLink { link, password } = press;
        let forms = forms(password.as_ref());
        let event = Event::of_call(Action::CompleteSignup, &call, Some(&link.handle));
        let pressed = self.audited(event, async |event| {
            let found = self.find_by_code(&call, link).await?;
            let Some(is_theirs) = self.check_link(&found, password, call.source).await? else {
                return Ok(LinkPressed::AsksPassword);
            };
            let done = self.make_user_of(found, call.source, is_theirs, event).await?;
            Ok(LinkPressed::Completed(Box::new(done)))
        });
        self.refuse_late(forms, pressed).await
    }

    /// Whether a link completes its sign-up from here with this password: returns whether the address is verified as
    /// theirs. `None` if a password is required and missing.
    async fn check_link(
        &self,
        found: &FoundAttempt,
        password: Option<ClientPassword>,
        source: Source,
    ) -> Result<Option<bool>, ServiceError> {
        let Some(password) = password else {
            let asks = self.asks_password(&found.app, found.is_own(), source);
            return Ok(if asks { None } else { Some(found.is_own()) });
        };
        // A password that was sent is always verified: the person expects it to be the account's password.
        self.check_attempts_password(found, password, source).await?;
        Ok(Some(true))
    }

    /// Checks that the code belongs to the person who enters it. If several addresses have open sign-ups for the handle
    /// and this is not the one that requested the code, the password of the sign-up is required: without it, the
    /// account could start with a stranger's password.
    async fn check_bearer(
        &self,
        found: &FoundAttempt,
        password: Option<ClientPassword>,
        source: Source,
    ) -> Result<bool, ServiceError> {
        match password {
            Some(password) => self.check_attempts_password(found, password, source).await?,
            None if found.has_rivals && !found.is_own() => return Err(Refusal::MissingParameter.into()),
            None => {}
        }
        Ok(true)
    }

    fn asks_password(&self, app: &App, is_own: bool, source: Source) -> bool {
        match app.settings.link_asks_password {
            LinkAsksPassword::Always => true,
            // If anybody may be behind the address, it proves nothing.
            LinkAsksPassword::Elsewhere => !is_own || self.inner.limits.is_shared(source),
            LinkAsksPassword::Never => false,
        }
    }

    /// Wrong passwords are counted for the address that opened the link, so nobody can block it for others.
    async fn check_attempts_password(
        &self,
        found: &FoundAttempt,
        password: ClientPassword,
        source: Source,
    ) -> Result<(), ServiceError> {
        let FoundAttempt { app, attempt, code_try, .. } = found;
        let clock = &*self.inner.clock;
        let permit = self.inner.limits.reserve_failure(source, Some(&attempt.handle), false, clock).await?;
        // Each sign-up has a user id of its own, so one that is begun again begins to count again.
        let parts = [attempt.user_id.as_bytes().as_slice(), code_try.source.own.as_bytes()];
        let counter = self.counter(app.id, "signup.link", &parts, Duration::days(1))?;
        if self.try_attempts_password(app, attempt, password, counter).await? == Verdict::Wrong {
            if permit.fail(clock.now()) {
                self.note_spray(app, source).await?;
            }
            return Err(Refusal::CredentialsWrong.into());
        }
        Ok(())
    }

    /// The sign-up that a code completes. The code is checked before anything is used or created for the caller.
    async fn find_by_code(
        &self,
        call: &Call<AppOrUser>,
        request: CompleteSignUp,
    ) -> Result<FoundAttempt, ServiceError> {
        let caller = call.caller.clone();
        let (app, keys) = self
            .read("signup.complete.app", move |readers| {
                let app = find_app_of(readers, &caller)?;
                let keys = readers.apps().keys(app.id)?;
                Ok((app, keys))
            })
            .await?;
        if !app.settings.signup_enabled {
            return Err(Refusal::SignupOff.into());
        }
        let (service, app_id, now) = (self.clone(), app.id, self.inner.clock.now());
        let flow = app.settings.signup_flow;
        let code_try = CodeTry {
            app_id,
            purpose: CodePurpose::SignUp,
            handle: request.handle.clone(),
            subjects: Vec::new(),
            code: request.code,
            source: self.code_source(app_id, call.source)?,
            is_known: false,
        };
        let trying = code_try.clone();
        let found = self
            .transact("signup.try", move |repos| {
                let attempts = repos.signups().list(app_id, &trying.handle)?;
                let found = service.find_attempt(repos, &attempts, &trying, flow, now)?;
                let rules = service.inner.settings.codes;
                Ok(found.map(|(attempt, _)| {
                    let has_rivals = attempts.iter().any(|other| is_rival(other, &attempt, &rules, now));
                    (attempt, has_rivals)
                }))
            })
            .await??;
        Ok(FoundAttempt { app, keys, code_try, attempt: found.0, has_rivals: found.1 })
    }

    /// Creates the user. `is_theirs` is whether the address is verified as theirs: a caller with only the link's button
    /// may be a scanner.
    async fn make_user_of(
        &self,
        found: FoundAttempt,
        source: Source,
        is_theirs: bool,
        event: &Event,
    ) -> Result<SignUpCompleted, ServiceError> {
        let is_own = found.is_own();
        let FoundAttempt { app, keys, code_try, attempt, .. } = found;
        let (service, app_id, now) = (self.clone(), app.id, self.inner.clock.now());
        let click_through = self.click_through(app_id, attempt.locale).await?;
        let flow = app.settings.signup_flow;
        let Signup { handle, user_id, password, locale, metadata, .. } = attempt;
        let metadata = app.settings.metadata.still_settable(&metadata);
        let new = NewUser { id: user_id, handle, password: Some(password), locale, metadata };
        let user = User { email_verified: true, ..new_user(app_id, new, now) };
        let tokens = self.issue_tokens(&app, &keys, &user).await?;
        let (slot, welcomes) = self.welcomes(&app, &user.handle, &[locale]).await?;
        let origin = self.origin(app_id, user_id, source)?;
        let entry = self.entry(&Event { user_id: Some(user_id), ..event.clone() })?;
        let admission = self.admission(&app, &user.handle)?;
        let completed = self
            .transact("signup.complete", move |repos| {
                let attempts = repos.signups().list(app_id, &code_try.handle)?;
                let (attempt, code) = service.find_attempt(repos, &attempts, &code_try, flow, now)??;
                // A concurrent sign-up has replaced the password: the tokens are not this caller's.
                if attempt.user_id != user.id {
                    return Err(Refusal::InvalidData.into());
                }
                complete(repos, &attempts, &attempt, code, now)?;
                let app = repos.apps().find(app_id)?.ok_or(Refusal::AppGone)?;
                admission.add(repos, &app, &user, now)?;
                if is_theirs {
                    record_success(repos, app_id, user.id, origin, None)?;
                }
                welcomes.iter().try_for_each(|(_, mail)| repos.outbox().add(mail))?;
                Ok(repos.audit().add(&entry)?)
            })
            .await;
        self.settle_message(slot, completed.map(|()| true)).await?;
        if is_own {
            self.inner.limits.give_back(Rate::SignUp, source);
        }
        Ok(SignUpCompleted { tokens, app, locale, click_through })
    }

    /// The page of an application that shows that a sign-up is complete.
    async fn click_through(&self, app_id: AppId, locale: Locale) -> Result<String, ServiceError> {
        let name = TemplateName::ClickThrough;
        let read = self.read("signup.click_through", move |readers| {
            worded(readers.email_templates(), app_id, name, locale)
        });
        let html = read.await?.into_html();
        // HTML that was made for it takes as long as a password hash.
        let work = move || match check_html(&html) {
            Ok(()) => Ok(cleaned(&html)),
            // An older version took it.
            Err(_) => Ok(built_in(MessageKind::Named(name), locale)?.into_html()),
        };
        self.on_pool(app_id, 1, work).await
    }

    /// The pending sign-up that this code completes. In flow `code`, only the one from the same address, if there is
    /// one: a person who enters a code takes it for theirs (in flow `link` the page asks for the password). Attempts
    /// are counted by [`Service::try_code`].
    fn find_attempt(
        &self,
        repos: &mut dyn Repositories,
        attempts: &[Signup],
        code_try: &CodeTry,
        flow: SignupFlow,
        now: OffsetDateTime,
    ) -> Result<Result<(Signup, CodeId), Refusal>, ServiceError> {
        // Look-alike handles share a place, but not a mailbox: only what the code was mailed to is proven.
        let of_handle = || attempts.iter().filter(|attempt| attempt.handle == code_try.handle);
        let is_own = |attempt: &&Signup| {
            attempt.source.as_bytes() == code_try.source.own.as_bytes()
                && is_open(attempt, &self.inner.settings.codes, now)
        };
        let has_own = flow != SignupFlow::Link && of_handle().any(|attempt| is_own(&attempt));
        let subjects = of_handle().filter(|attempt| !has_own || is_own(attempt));
        let subjects = subjects.map(|attempt| *attempt.id.as_bytes()).collect();
        let code = match self.try_code(repos, &CodeTry { subjects, ..code_try.clone() }, now)? {
            Tried::Right(code) => code,
            Tried::Used => return Ok(Err(Refusal::HandleTaken)),
            Tried::Expired => return Ok(Err(Refusal::CodeExpired)),
            Tried::Wrong => return Ok(Err(Refusal::InvalidData)),
        };
        let attempt = attempts.iter().find(|attempt| *attempt.id.as_bytes() == code.subject);
        Ok(attempt.map(|attempt| (attempt.clone(), code.id)).ok_or(Refusal::InvalidData))
    }
}

/// Marks an attempt as verified; its other codes and its rivals go.
fn complete(
    repos: &mut dyn Repositories,
    attempts: &[Signup],
    attempt: &Signup,
    code: CodeId,
    now: OffsetDateTime,
) -> Result<(), ServiceError> {
    let app_id = attempt.app_id;
    if !repos.signups().verify(attempt, now)? || !repos.codes().consume(app_id, code, now)? {
        return Err(Refusal::HandleTaken.into());
    }
    for other in attempts {
        repos.codes().remove_unconsumed(app_id, other.id.as_bytes())?;
        if other.id != attempt.id {
            repos.signups().remove(app_id, other.id)?;
        }
    }
    Ok(())
}
