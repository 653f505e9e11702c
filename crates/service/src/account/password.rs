//! Passwords that are set: the two forms in which they arrive, the application's demands, the change and the
//! reset by mail.

use latchkey_crypto::{AccessToken, Verdict, client_password};
use latchkey_domain::{
    App, ClientPassword, Code, CodeId, CodePurpose, Handle, InvalidPassword, RawPassword, Sealed,
    TemplateName, User, UserStatus,
};
use latchkey_notifiers::MessageKind;
use latchkey_storage::Repositories;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::account::login::LoginName;
use crate::account::names::is_guessable;
use crate::account::throttle::{AttemptGuard, Origin, record_success};
use crate::base::audit::{Action, Event};
use crate::base::caller::{AppOrUser, Call, check_session, find_app_of, find_user};
use crate::base::error::{Refusal, ServiceError};
use crate::base::retry::{MOST_RACES, too_many_races};
use crate::notify::mail::{Notice, built_in, is_mailable, worded};
use crate::notify::mailed_code::CodeMail;
use crate::protect::codes::{CodeSubject, CodeTry, Tried};
use crate::protect::rates::Rate;
use crate::service::Service;

/// A password that is to be set, in the form or forms in which it was sent.
#[derive(Debug, Clone)]
pub struct NewPassword {
    client: ClientPassword,
}

impl NewPassword {
    /// Takes what was sent: the client's digits, the password itself, or both if they agree.
    ///
    /// # Errors
    /// [`Refusal::MissingParameter`] without either, [`Refusal::InvalidData`], explained, when a form is wrong or the
    /// two disagree.
    pub fn parse(client: Option<&str>, raw: Option<&str>) -> Result<Self, ServiceError> {
        let invalid =
            |error: InvalidPassword| ServiceError::invalid(format!("invalid data: the password {error}"));
        let raw = raw.map(RawPassword::parse).transpose().map_err(invalid)?;
        let computed = raw.as_ref().map(client_password).transpose()?;
        let client = match (client, computed) {
            (None, None) => return Err(Refusal::MissingParameter.into()),
            (None, Some(computed)) => computed,
            (Some(sent), computed) => {
                let sent = ClientPassword::parse(sent).map_err(invalid)?;
                let is_sent = |form: &ClientPassword| form.expose() == sent.expose();
                match computed {
                    // The client's digest may be of the text as typed, and is what it sends again.
                    Some(computed) if computed.as_typed().is_some_and(is_sent) => {
                        computed.as_typed().cloned().unwrap_or(computed)
                    }
                    Some(computed) if !is_sent(&computed) => {
                        return Err(ServiceError::invalid(
                            "invalid data: `password` and `rawPassword` do not match",
                        ));
                    }
                    Some(computed) => computed,
                    None => sent,
                }
            }
        };
        Ok(Self { client })
    }

    /// The form in which passwords are hashed.
    #[must_use]
    pub fn into_client(self) -> ClientPassword {
        self.client
    }

    /// Refuses a password that the application's filter does not allow, where it can be seen, and one that
    /// everybody uses, which can be seen in both forms.
    pub(crate) fn check(&self, app: &App, handle: &Handle) -> Result<(), ServiceError> {
        let policy = &app.settings.password;
        if self.client.raw().is_some_and(|raw| !policy.allows(raw)) {
            return Err(ServiceError::invalid(format!(
                "invalid data: the password must have at least {}",
                policy.minima()
            )));
        }
        if policy.refuse_common && is_guessable(&self.client, app, handle) {
            return Err(ServiceError::invalid(
                "invalid data: the password must not be a common one, or made of names",
            ));
        }
        Ok(())
    }

    fn is_same_as(&self, other: &ClientPassword) -> bool {
        self.client.expose() == other.expose()
    }
}

/// A change of password.
#[derive(Debug, Clone)]
pub struct ChangePassword {
    /// The present one.
    pub current: ClientPassword,
    /// The new one.
    pub new: NewPassword,
}

/// A new password, with the code that was mailed.
#[derive(Debug, Clone)]
pub struct ResetPassword {
    /// Whose.
    pub name: LoginName,
    /// The new one.
    pub password: NewPassword,
    /// The code.
    pub code: Code,
}

/// A change of password whose present one was right.
struct VerifiedChange {
    token: AccessToken,
    /// The hash that it was compared with.
    old: Sealed,
    new: NewPassword,
    origin: Origin,
    counted: Option<AttemptGuard>,
}

impl Service {
    /// Changes the caller's password and ends all their other sessions.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`] when the current password is wrong, the new one is the same or not allowed,
    /// or it was changed meanwhile; [`Refusal::AccessTokenInvalid`] when the token was revoked.
    pub async fn change_password(
        &self,
        call: Call<AccessToken>,
        change: ChangePassword,
    ) -> Result<(), ServiceError> {
        let event = Event::of_call(Action::ChangePassword, &call, None);
        self.audited(event, async |event| {
            let token = call.caller;
            if change.new.is_same_as(&change.current) {
                return Err(ServiceError::invalid(
                    "invalid data: the new password must differ from the present one",
                ));
            }
            self.inner.limits.take_for(Rate::Write, token.app_id, token.user_id, self.inner.clock.now())?;
            for _ in 0..MOST_RACES {
                let reading = token.clone();
                let (app, user) =
                    self.read("password.user", move |readers| find_user(readers, &reading)).await?;
                change.new.check(&app, &user.handle)?;
                let old = user.password.clone().ok_or(Refusal::InvalidData)?;
                let origin = self.origin(app.id, user.id, call.source)?;
                let (verdict, counted) =
                    self.try_password(&app, &user, change.current.clone(), origin).await?;
                if verdict == Verdict::Wrong {
                    return Err(Refusal::InvalidData.into());
                }
                let verified = VerifiedChange {
                    token: token.clone(),
                    old,
                    new: change.new.clone(),
                    origin,
                    counted: counted.clone(),
                };
                let changed = self.replace_password(&app, &user, verified, event).await;
                if matches!(changed, Ok(true)) {
                    return Ok(());
                }
                // The present password was right, whatever came of the rest.
                self.reset_failures(&user, origin, counted, true).await?;
                changed?;
            }
            Err(too_many_races())
        })
        .await
    }

    /// `false` if the stored hash has changed since it was verified. A log-in or a key rotation may have stored the
    /// same password differently.
    async fn replace_password(
        &self,
        app: &App,
        user: &User,
        verified: VerifiedChange,
        event: &Event,
    ) -> Result<bool, ServiceError> {
        let VerifiedChange { token, old, new, origin, counted } = verified;
        let new = self.hash_password(new.into_client(), app.id, user.id).await?;
        let now = self.inner.clock.now();
        let slot = self.reserve_notice(app.id, &user.handle, Notice::Change).await?;
        let words = built_in(MessageKind::PasswordChanged, user.locale)?;
        let notice = self.notice(app, slot.as_ref(), &words, &user.handle).await?;
        let entry = self.entry(event)?;
        let changed = self
            .transact("password.change", move |repos| {
                let user = check_session(repos.users().find(token.app_id, token.user_id)?, &token)?;
                let (from, to) = (user.sessions, user.sessions.end_all_but(token.id));
                let users = repos.users();
                if !users.replace_password(user.app_id, user.id, &old, &new)? {
                    return Ok(false);
                }
                if !users.change_sessions(user.app_id, user.id, from, to, now)? {
                    return Err(ServiceError::from(Refusal::InvalidData));
                }
                record_success(repos, user.app_id, user.id, origin, counted.as_ref())?;
                repos.codes().remove_all(user.app_id, user.id.as_bytes())?;
                notice.iter().try_for_each(|mail| repos.outbox().add(mail))?;
                repos.audit().add(&entry)?;
                Ok(true)
            })
            .await;
        let is_changed = matches!(changed, Ok(true));
        self.settle_message(slot, changed).await?;
        Ok(is_changed)
    }

    /// Mails a code with which a new password can be set.
    ///
    /// # Errors
    /// [`Refusal::NoUserNames`]; [`Refusal::AccountUnknown`], unless the application answers neutrally;
    /// [`Refusal::InvalidData`] when no mail can reach the user; [`ServiceError::TooMany`].
    pub async fn forgot_password(&self, call: Call<AppOrUser>, name: LoginName) -> Result<(), ServiceError> {
        let began = Instant::now();
        let event = Event::of_call(Action::ForgotPassword, &call, Some(&name.handle));
        let result = self
            .audited(event, async |event| {
                let (caller, typed) = (call.caller.clone(), name.handle.clone());
                let (app, user, words) = self
                    .read("password.forgot", move |readers| {
                        let app = find_app_of(readers, &caller)?;
                        name.check(&app)?;
                        let user = name.find(readers, &app)?;
                        let locale = user.as_ref().map_or(latchkey_domain::Locale::EN, |user| user.locale);
                        let words =
                            worded(readers.email_templates(), app.id, TemplateName::ResetPassword, locale)?;
                        Ok((app, user, words))
                    })
                    .await?;
                self.inner.limits.take(Rate::CodeRequest, call.source, self.inner.clock.now())?;
                // Mail never goes to a mailbox that only looks like the typed one.
                let user = match user.filter(|user| !typed.only_looks_like(&user.handle)) {
                    Some(user) => user,
                    None if app.settings.neutral_answers => return self.record(event).await,
                    None => return Err(Refusal::AccountUnknown.into()),
                };
                if !is_mailable(&self.inner.settings.mail, &user.handle) {
                    let is_neutral = app.settings.neutral_answers;
                    return if is_neutral {
                        self.record(event).await
                    } else {
                        Err(Refusal::InvalidData.into())
                    };
                }
                let rules = self.inner.settings.codes;
                let subject = CodeSubject {
                    app_id: app.id,
                    purpose: CodePurpose::Reset,
                    handle: user.handle.clone(),
                    id: *user.id.as_bytes(),
                };
                let source = self.code_source(app.id, call.source)?;
                let origin = self.origin(app.id, user.id, call.source)?;
                let is_known = origin.is_known(&user);
                let slot = self.mail_slot_for(app.id, &user.handle, is_known.then_some(origin.mark)).await?;
                let life = rules.reset_life;
                let mail =
                    CodeMail { slot: slot.as_ref(), words: &words, subject: &subject, source: &source, life };
                let new_code = self.mailed_code(&app, mail, |_| Ok(None)).await?;
                let entry = self.entry(&Event { user_id: Some(user.id), ..event.clone() })?;
                let is_sent = self
                    .transact("password.forgot", move |repos| {
                        repos.audit().add(&entry)?;
                        new_code.place_and_send(repos, &rules, is_known)
                    })
                    .await;
                self.settle_message(slot, is_sent).await
            })
            .await;
        // Neutral answers must not differ in time.
        tokio::time::sleep_until(began + self.answer_floor()).await;
        result
    }

    /// Sets a new password with a mailed code. It ends all sessions and delays; it lifts no suspension, touches no
    /// second factor and logs nobody in.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`] when the user has no such code, or for the password;
    /// [`Refusal::UserSuspended`] with the right code.
    pub async fn reset_password(
        &self,
        call: Call<AppOrUser>,
        request: ResetPassword,
    ) -> Result<(), ServiceError> {
        let event = Event::of_call(Action::ResetPassword, &call, Some(&request.name.handle));
        let reset = self.audited(event, async |event| {
            let ResetPassword { name, password, code } = request;
            let caller = call.caller.clone();
            let now = self.inner.clock.now();
            let (app, user) = self
                .read("password.reset", move |readers| {
                    let app = find_app_of(readers, &caller)?;
                    let user = name.find(readers, &app)?;
                    Ok((app, user))
                })
                .await?;
            let user = user.ok_or(Refusal::InvalidData)?;
            let origin = self.origin(app.id, user.id, call.source)?;
            let code_try = CodeTry {
                app_id: app.id,
                purpose: CodePurpose::Reset,
                handle: user.handle.clone(),
                subjects: vec![*user.id.as_bytes()],
                code,
                source: self.code_source(app.id, call.source)?,
                is_known: origin.is_known(&user),
            };
            let (service, trying) = (self.clone(), code_try.clone());
            self.transact("password.try", move |repos| service.reset_code(repos, &trying, now)).await??;
            if user.status == UserStatus::Suspended {
                return Err(Refusal::UserSuspended.into());
            }
            password.check(&app, &user.handle)?;
            let new = self.hash_password(password.into_client(), app.id, user.id).await?;
            let slot = self.reserve_notice(app.id, &user.handle, Notice::Change).await?;
            let words = built_in(MessageKind::PasswordChanged, user.locale)?;
            let notice = self.notice(&app, slot.as_ref(), &words, &user.handle).await?;
            let entry = self.entry(&Event { user_id: Some(user.id), ..event.clone() })?;
            let (service, id) = (self.clone(), user.id);
            let reset = self
                .transact("password.reset", move |repos| {
                    let code = service.reset_code(repos, &code_try, now)??;
                    if !repos.codes().consume(code_try.app_id, code, now)? {
                        return Err(Refusal::InvalidData.into());
                    }
                    // A user who was suspended or removed meanwhile stays so.
                    let user: User = repos.users().find(code_try.app_id, id)?.ok_or(Refusal::InvalidData)?;
                    if user.status == UserStatus::Suspended {
                        return Err(Refusal::UserSuspended.into());
                    }
                    let (from, to) = (user.sessions, user.sessions.end_all());
                    if !repos.users().reset_password(user.app_id, id, &new, from, to, now)? {
                        return Err(Refusal::InvalidData.into());
                    }
                    repos.users().verify_email(user.app_id, id)?;
                    repos.codes().remove_all(user.app_id, id.as_bytes())?;
                    notice.iter().try_for_each(|mail| repos.outbox().add(mail))?;
                    Ok(repos.audit().add(&entry)?)
                })
                .await;
            self.settle_message(slot, reset.map(|()| true)).await?;
            self.inner.limits.give_back(Rate::CodeRequest, call.source);
            Ok(())
        });
        self.refuse_late(1, reset).await
    }

    /// The code, if it is right. Tries are counted by [`Service::try_code`].
    fn reset_code(
        &self,
        repos: &mut dyn Repositories,
        code_try: &CodeTry,
        now: OffsetDateTime,
    ) -> Result<Result<CodeId, Refusal>, ServiceError> {
        Ok(match self.try_code(repos, code_try, now)? {
            Tried::Right(code) => Ok(code.id),
            Tried::Used | Tried::Expired | Tried::Wrong => Err(Refusal::InvalidData),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_005_digits_of_a_text_that_is_not_normalized_stay_those_that_the_client_sent() {
        let (composed, decomposed) = ("p\u{e4}ssword 123", "pa\u{308}ssword 123");
        let digits = |raw: &str| client_password(&RawPassword::parse(raw).unwrap()).unwrap();
        let (of_composed, of_decomposed) = (digits(composed), digits(decomposed));
        assert_eq!(of_composed.expose(), of_decomposed.expose());
        let typed = of_decomposed.as_typed().unwrap().expose().to_owned();
        assert_ne!(typed, of_composed.expose());
        let stored = |client: Option<&str>, raw| {
            NewPassword::parse(client, Some(raw)).map(|new| new.client.expose().to_owned())
        };
        assert_eq!(stored(None, decomposed).unwrap(), of_composed.expose());
        assert_eq!(stored(Some(of_composed.expose()), decomposed).unwrap(), of_composed.expose());
        assert_eq!(stored(Some(&typed), decomposed).unwrap(), typed);
        assert!(stored(Some(&typed), composed).is_err());
    }

    #[test]
    fn sec_005_both_forms_are_one_password_and_must_agree() {
        let md5 = "482c811da5d5b4bc6d497ffa98491e38";
        let parsed = |client, raw| NewPassword::parse(client, raw).map(|new| new.client.expose().to_owned());
        assert_eq!(parsed(Some(md5), None).unwrap(), md5);
        assert_eq!(parsed(None, Some("password123")).unwrap(), md5);
        assert_eq!(parsed(Some(md5), Some("password123")).unwrap(), md5);
        for (client, raw, refusal) in [
            (None, None, Refusal::MissingParameter),
            (Some(md5), Some("password124"), Refusal::InvalidData),
            (Some("482C811DA5D5B4BC6D497FFA98491E38"), None, Refusal::InvalidData),
            (None, Some(""), Refusal::InvalidData),
        ] {
            assert!(matches!(parsed(client, raw), Err(error) if error.refusal() == Some(refusal)));
        }
    }
}
