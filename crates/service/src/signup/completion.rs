//! The second half of a sign-up: its code comes back, and the attempt becomes a user.

use latchkey_domain::{App, Code, CodeId, CodePurpose, Handle, Locale, Signup, TemplateName};
use latchkey_notifiers::cleaned;
use latchkey_storage::{Repositories, Store};
use time::OffsetDateTime;

use crate::audit::{Act, Call};
use crate::caller::find_app_of;
use crate::codes::{CodeTry, Tried};
use crate::limits::Rate;
use crate::mail::worded;
use crate::new_user::new_user;
use crate::throttle::settle_right;
use crate::{Refusal, Service, ServiceError, Tokens};

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
    /// What the application shows then: HTML with its marks, without anything that runs, submits or loads.
    pub click_through: String,
}

impl<S: Store> Service<S> {
    /// Completes a sign-up with the code that was mailed.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`] when no open attempt of the handle has this code, or too many wrong ones came
    /// from here; [`Refusal::CodeExpired`]; [`Refusal::HandleTaken`] when it was completed before.
    pub async fn complete_sign_up(
        &self,
        call: Call,
        request: CompleteSignUp,
    ) -> Result<SignUpCompleted, ServiceError> {
        let act = call.act("completeSignup", Some(&request.handle));
        let completed =
            self.acting(act, Refusal::MissingParameter, |act| self.complete_now(call, request, act));
        self.refuse_late(completed).await
    }

    async fn complete_now(
        &self,
        call: Call,
        request: CompleteSignUp,
        act: Act,
    ) -> Result<SignUpCompleted, ServiceError> {
        let caller = call.caller.clone();
        let (app, keys) = self
            .inner
            .store
            .read("signup.complete.app", move |readers| {
                let app = find_app_of(readers, &caller)?;
                let keys = readers.apps().keys(app.id)?;
                Ok::<_, ServiceError>((app, keys))
            })
            .await?;
        if !app.settings.signup_enabled {
            return Err(Refusal::SignupOff.into());
        }
        let (service, app_id, now) = (self.clone(), app.id, self.inner.clock.now());
        let code_try = CodeTry {
            app_id,
            purpose: CodePurpose::SignUp,
            handle: request.handle.clone(),
            subjects: Vec::new(),
            code: request.code,
            source: self.source_digest(app_id, call.source)?,
            is_known: false,
        };
        // The code is looked at before anything is taken or made for whoever brings it.
        let (trying, service_of_try) = (code_try.clone(), self.clone());
        let found = self
            .inner
            .store
            .transact("signup.try", move |repos| {
                let attempts = repos.signups().list(app_id, &trying.handle)?;
                service_of_try.find_attempt(repos, &attempts, &trying, now)
            })
            .await??;
        let Signup { handle, user_id, password, locale, metadata, .. } = found.0;
        let user = new_user(app_id, handle, (user_id, Some(password), locale, metadata), now);
        let tokens = self.issue_tokens(&app, &keys, &user).await?;
        let (slot, welcomes) = self.welcomes(&app, &user.handle, &[locale]).await?;
        let origin = self.origin(app_id, user_id, call.source)?;
        let entry = self.done(&Act { user_id: Some(user_id), ..act })?;
        let admission = self.admission(&app, &user.handle)?;
        let completed = self
            .inner
            .store
            .transact("signup.complete", move |repos| {
                let attempts = repos.signups().list(app_id, &code_try.handle)?;
                let (attempt, code) = service.find_attempt(repos, &attempts, &code_try, now)??;
                // Whoever asked again meanwhile has another password: the tokens are not theirs.
                if attempt.user_id != user.id {
                    return Err(Refusal::InvalidData.into());
                }
                complete(repos, &attempts, &attempt, code, now)?;
                let app = repos.apps().find(app_id)?.ok_or(Refusal::AppGone)?;
                admission.add(repos, &app, &user, now)?;
                settle_right(repos, app_id, user.id, origin, None)?;
                welcomes.iter().try_for_each(|(_, mail)| repos.outbox().add(mail))?;
                repos.audit().add(&entry).map_err(ServiceError::from)
            })
            .await;
        self.settle_message(slot, completed.map(|()| true)).await?;
        self.inner.limits.give_back(Rate::SignUp, call.source);
        let shown = self.inner.store.read("signup.click_through", move |readers| {
            worded(readers.email_templates(), app_id, TemplateName::ClickThrough, locale)
        });
        let html = shown.await?.into_html();
        // Cleaning takes long for HTML that was made for it.
        let click_through = self.off_thread(move || Ok(cleaned(&html))).await?;
        Ok(SignUpCompleted { tokens, app, locale, click_through })
    }

    /// The open attempt that this code completes. Tries are counted by [`Service::try_code`].
    fn find_attempt(
        &self,
        repos: &mut dyn Repositories,
        attempts: &[Signup],
        code_try: &CodeTry,
        now: OffsetDateTime,
    ) -> Result<Result<(Signup, CodeId), Refusal>, ServiceError> {
        // Look-alike handles share a place, but not a mailbox: only what the code was mailed to is proven.
        let own = attempts.iter().filter(|attempt| attempt.handle == code_try.handle);
        let subjects = own.map(|attempt| *attempt.id.as_bytes()).collect();
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
