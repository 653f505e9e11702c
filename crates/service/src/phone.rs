//! The telephone number of a user: given, and verified by a code.

use latchkey_domain::{App, Code, CodePurpose, Factor, Phone, TemplateName, User, UserId};
use latchkey_notifiers::MessageKind;
use latchkey_storage::{Readers, Store};

use crate::audit::{Act, Call};
use crate::caller::{accepted, gate};
use crate::codes::{CodeSubject, CodeTry, Tried};
use crate::limits::Rate;
use crate::mail::{built_in, worded};
use crate::{Refusal, Service, ServiceError};

impl<S: Store> Service<S> {
    /// Takes a number of the caller, and sends a code to it. The verified one stays until the new one is.
    ///
    /// # Errors
    /// [`Refusal::NoPhoneFactor`], [`Refusal::PhoneTaken`], [`Refusal::InvalidData`] for a number to which the
    /// application sends nothing, [`Refusal::SmsFailed`] where it cannot send,
    /// [`Refusal::AccessTokenInvalid`] where a verified number would be replaced and the log-in is too long ago.
    pub async fn set_phone(&self, call: Call, phone: Phone) -> Result<(), ServiceError> {
        let mut act = call.act("setPhone", None);
        if let Some(act) = &mut act {
            act.detail = Some(phone.masked());
        }
        self.acting(act, Refusal::InvalidData, |act| self.set_phone_now(call, phone, act)).await
    }

    async fn set_phone_now(&self, call: Call, phone: Phone, act: Act) -> Result<(), ServiceError> {
        let (app, user, proof) = self.begin_change(&call, None).await?;
        if !app.settings.two_factor.offers(Factor::Phone) {
            return Err(Refusal::NoPhoneFactor.into());
        }
        self.inner.limits.take_for(Rate::NameCheck, user.id, self.inner.clock.now())?;
        self.check_phone(&app, &phone)?;
        proof.check(&app, &user)?;
        let (app_id, locale, wanted) = (app.id, user.locale, phone.clone());
        let found = self.inner.store.read("phone.find", move |readers| {
            refuse_taken(readers, app_id, &wanted)?;
            worded(readers.email_templates(), app_id, TemplateName::Sms, locale)
        });
        let words = found.await?;
        let subject = CodeSubject {
            app_id: app.id,
            purpose: CodePurpose::Phone,
            handle: user.handle.clone(),
            id: self.phone_subject(user.id, &phone)?,
        };
        let (rules, source) = (self.inner.settings.codes, self.source_digest(app.id, call.source)?);
        let new_code = self.draw_code(&subject, &source, rules.sms_life)?;
        let slot = self.sms_slot(&app, &phone, Some(user.id)).await?;
        let sms = self.code_sms(&app, slot.as_ref(), &words, (&phone, &user.handle, &new_code))?;
        let (now, entry) = (self.inner.clock.now(), self.done(&act)?);
        let is_promised = self
            .inner
            .store
            .transact("phone.set", move |repos| {
                let token = &proof.token;
                let user = accepted(repos.users().find(token.app_id, token.user_id)?, token)?;
                proof.check(&app, &user)?;
                if repos.users().find_by_verified_phone(app.id, &phone)?.is_some() {
                    return Err(ServiceError::from(Refusal::PhoneTaken));
                }
                let mut to = user.factors.clone();
                to.given_phone = Some(phone.clone());
                if to != user.factors && !repos.factors().change(app.id, user.id, &user.factors, &to, now)? {
                    return Err(changed_meanwhile());
                }
                repos.audit().add(&entry)?;
                new_code.place_and_send(repos, &rules, false, sms.as_ref())
            })
            .await;
        self.settle_message(slot, is_promised).await
    }

    /// A code belongs to a user and the number that it was sent to: it verifies no other.
    fn phone_subject(&self, user: UserId, phone: &Phone) -> Result<[u8; 16], ServiceError> {
        self.derived_id("phone.subject", &[user.as_bytes(), phone.as_str().as_bytes()])
    }

    /// Verifies the number that the caller gave last, with the code that was sent to it.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`] for a wrong code, [`Refusal::PhoneTaken`] when somebody else verified the number
    /// meanwhile, [`Refusal::NoPhoneFactor`].
    pub async fn verify_phone(&self, call: Call, code: Code) -> Result<(), ServiceError> {
        let act = call.act("verifyPhone", None);
        self.acting(act, Refusal::InvalidData, |act| self.verify_phone_now(call, code, act)).await
    }

    async fn verify_phone_now(&self, call: Call, code: Code, act: Act) -> Result<(), ServiceError> {
        let (app, user, proof) = self.begin_change(&call, None).await?;
        if !app.settings.two_factor.offers(Factor::Phone) {
            return Err(Refusal::NoPhoneFactor.into());
        }
        let given = user.factors.given_phone.clone().ok_or(Refusal::InvalidData)?;
        let origin = self.origin(app.id, user.id, call.source)?;
        let code_try = CodeTry {
            app_id: app.id,
            purpose: CodePurpose::Phone,
            handle: user.handle.clone(),
            subjects: vec![self.phone_subject(user.id, &given)?],
            code,
            source: self.source_digest(app.id, call.source)?,
            is_known: user.login.sources.knows(&origin.mark, origin.day),
        };
        let slot = self.notice_slot(&user.handle).await?;
        let words = built_in(MessageKind::FactorChanged, user.locale)?;
        let notice = self.notice(&app, slot.as_ref(), &words, &user.handle)?;
        let (service, now, entry) = (self.clone(), self.inner.clock.now(), self.done(&act)?);
        let verified = self
            .inner
            .store
            .transact("phone.verify", move |repos| {
                let token = &proof.token;
                let user = accepted(repos.users().find(token.app_id, token.user_id)?, token)?;
                let app: App = repos.apps().find(app.id)?.ok_or(Refusal::AppGone)?;
                gate(&app)?;
                if user.factors.given_phone.as_ref() != Some(&given) {
                    return Err(ServiceError::from(Refusal::InvalidData));
                }
                let Tried::Right(found) = service.try_code(repos, &code_try, now)? else {
                    return Ok(Err(()));
                };
                if !repos.codes().consume(app.id, found.id, now)? {
                    return Ok(Err(()));
                }
                let other = repos.users().find_by_verified_phone(app.id, &given)?;
                if other.is_some_and(|other: User| other.id != user.id) {
                    return Err(Refusal::PhoneTaken.into());
                }
                let mut to = user.factors.clone();
                to.verified_phone = Some(given.clone());
                let replaces = user.factors.verified_phone.is_some() && to != user.factors;
                if !repos.factors().change(app.id, user.id, &user.factors, &to, now)? {
                    return Err(changed_meanwhile());
                }
                if replaces {
                    notice.iter().try_for_each(|mail| repos.outbox().add(mail))?;
                }
                repos.audit().add(&entry)?;
                Ok(Ok(replaces && notice.is_some()))
            })
            .await;
        let is_promised = match &verified {
            Ok(Ok(is_promised)) => Ok(*is_promised),
            Ok(Err(())) | Err(_) => Ok(false),
        };
        self.settle_message(slot, is_promised).await?;
        match verified? {
            Ok(_) => Ok(()),
            Err(()) => Err(Refusal::InvalidData.into()),
        }
    }
}

fn refuse_taken(
    readers: &mut dyn Readers,
    app_id: latchkey_domain::AppId,
    phone: &Phone,
) -> Result<(), ServiceError> {
    if readers.users().find_by_verified_phone(app_id, phone)?.is_some() {
        return Err(Refusal::PhoneTaken.into());
    }
    Ok(())
}

fn changed_meanwhile() -> ServiceError {
    ServiceError::Unavailable("the factors were changed by others meanwhile".to_owned())
}
