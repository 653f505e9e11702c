//! The second half of a sign-up: its code comes back, and the attempt becomes a user.

use latchkey_domain::{App, AuditEntry, Code, CodePurpose, Handle, Locale, Signup, TemplateName, max_users};
use latchkey_storage::{Repositories, Store};
use time::OffsetDateTime;

use crate::audit::{Act, Call};
use crate::caller::find_app_of;
use crate::codes::{CodeTry, Tried};
use crate::limits::Rate;
use crate::mail::worded;
use crate::new_user::{add_within_limit, new_user};
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
    /// What the application shows then, as HTML with its marks.
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
        let result = match act.clone() {
            Some(act) => self.complete_now(call, request, act).await,
            None => Err(Refusal::MissingParameter.into()),
        };
        self.note(act, result).await
    }

    async fn complete_now(
        &self,
        call: Call,
        request: CompleteSignUp,
        act: Act,
    ) -> Result<SignUpCompleted, ServiceError> {
        let (caller, handle) = (call.caller.clone(), request.handle.clone());
        let (app, keys, attempts) = self
            .inner
            .store
            .read("signup.complete.app", move |readers| {
                let app = find_app_of(readers, &caller)?;
                let keys = readers.apps().keys(app.id)?;
                let attempts = readers.signups().list(app.id, &handle)?;
                Ok::<_, ServiceError>((app, keys, attempts))
            })
            .await?;
        if !app.settings.signup_enabled {
            return Err(Refusal::SignupOff.into());
        }
        let (service, app_id, now) = (self.clone(), app.id, self.inner.clock.now());
        let locales: Vec<Locale> = attempts.iter().map(|attempt| attempt.locale).collect();
        let (slot, welcomes) = self.welcomes(&app, &request.handle, &locales).await?;
        let mut code_try = CodeTry {
            app_id,
            purpose: CodePurpose::SignUp,
            handle: request.handle.clone(),
            subjects: Vec::new(),
            code: request.code,
            source: self.source_digest(app_id, call.source)?,
            is_known: false,
        };
        code_try.subjects = attempts.iter().map(|attempt| *attempt.id.as_bytes()).collect();
        let origins = attempts
            .iter()
            .map(|attempt| Ok((attempt.user_id, self.origin(app_id, attempt.user_id, call.source)?)))
            .collect::<Result<Vec<_>, ServiceError>>()?;
        let entry = self.done(&act)?;
        let limit = max_users(&app, self.inner.settings.mode);
        let completed = self
            .inner
            .store
            .transact("signup.complete", move |repos| {
                let attempts = repos.signups().list(app_id, &code_try.handle)?;
                let attempt = match service.find_attempt(repos, &attempts, &code_try, now)? {
                    Ok(attempt) => attempt,
                    // What was counted stays counted.
                    Err(refusal) => return Ok(Err(refusal)),
                };
                let Signup { handle, user_id, password, locale, metadata, .. } = attempt;
                let user = new_user(app_id, handle, (user_id, Some(password), locale, metadata), now);
                add_within_limit(repos, &user, limit, now)?;
                if let Some((_, origin)) = origins.iter().find(|(id, _)| *id == user_id) {
                    settle_right(repos, app_id, user_id, *origin, None)?;
                }
                let welcome = welcomes.iter().find(|(known, _)| *known == locale).or(welcomes.first());
                welcome.iter().try_for_each(|(_, mail)| repos.outbox().add(mail))?;
                repos.audit().add(&AuditEntry { user_id: Some(user_id), ..entry.clone() })?;
                Ok::<_, ServiceError>(Ok(user))
            })
            .await
            .and_then(|tried| tried.map_err(ServiceError::from));
        let user = match completed {
            Ok(user) => user,
            Err(error) => {
                self.release(slot).await?;
                return Err(error);
            }
        };
        self.outbox_has_mail();
        self.inner.limits.give_back(Rate::SignUp, call.source);
        let tokens = self.issue_tokens(&app, &keys, &user)?;
        let locale = user.locale;
        let shown = self.inner.store.read("signup.click_through", move |readers| {
            worded(readers.email_templates(), app_id, TemplateName::ClickThrough, locale)
        });
        let click_through = shown.await?.template.html;
        Ok(SignUpCompleted { tokens, app, locale, click_through })
    }

    /// The attempt that this code completes, marked as verified, its other codes and rivals gone.
    fn find_attempt(
        &self,
        repos: &mut dyn Repositories,
        attempts: &[Signup],
        code_try: &CodeTry,
        now: OffsetDateTime,
    ) -> Result<Result<Signup, Refusal>, ServiceError> {
        let app_id = code_try.app_id;
        let subjects = attempts.iter().map(|attempt| *attempt.id.as_bytes()).collect();
        let code = match self.try_code(repos, &CodeTry { subjects, ..code_try.clone() }, now)? {
            Tried::Right(code) => code,
            Tried::Used => return Ok(Err(Refusal::HandleTaken)),
            Tried::Expired => return Ok(Err(Refusal::CodeExpired)),
            Tried::Wrong => return Ok(Err(Refusal::InvalidData)),
        };
        let Some(attempt) = attempts.iter().find(|attempt| *attempt.id.as_bytes() == code.subject) else {
            return Ok(Err(Refusal::InvalidData));
        };
        if !repos.signups().verify(app_id, attempt.id, now)?
            || !repos.codes().consume(app_id, code.id, now)?
        {
            return Ok(Err(Refusal::HandleTaken));
        }
        for other in attempts {
            repos.codes().remove_unconsumed(app_id, other.id.as_bytes())?;
            if other.id != attempt.id {
                repos.signups().remove(app_id, other.id)?;
            }
        }
        Ok(Ok(attempt.clone()))
    }
}
