//! Users' phone numbers: set, and verified by a code.

use latchkey_domain::{App, Code, CodePurpose, Factor, Phone, TemplateName, User, UserId};
use latchkey_notifiers::MessageKind;

use crate::account::enrolment::write_factors;
use crate::account::second_factor::FactorCode;
use crate::base::audit::{Action, Event};
use crate::base::caller::{Call, check_session, ensure_active};
use crate::base::error::{Refusal, ServiceError};
use crate::base::retry::retry;
use crate::notify::mail::{Notice, built_in, worded};
use crate::notify::sms::SmsPurpose;
use crate::protect::codes::{CodeSubject, CodeTry, Tried};
use crate::protect::quotas::give_back_all;
use crate::protect::rates::Rate;
use crate::service::Service;
use latchkey_crypto::AccessToken;

impl Service {
    /// Takes a number of the caller, and sends a code to it. The verified one stays until the new one is.
    ///
    /// # Errors
    /// [`Refusal::NoPhoneFactor`], [`Refusal::PhoneTaken`], [`Refusal::InvalidData`] for a number to which the
    /// application sends nothing, [`Refusal::SmsFailed`] where it cannot send,
    /// [`Refusal::AccessTokenInvalid`] where the log-in is too long ago and no code was sent.
    pub async fn set_phone(
        &self,
        call: Call<AccessToken>,
        phone: Phone,
        code: Option<FactorCode>,
    ) -> Result<(), ServiceError> {
        let event = Event::of_call(Action::SetPhone, &call, None);
        let event = Event { detail: Some(phone.masked()), ..event.clone() };
        self.audited(event, async |event| {
            let (app, user, proof) = self.begin_change(&call, code).await?;
            if !app.settings.two_factor.offers(Factor::Phone) {
                return Err(Refusal::NoPhoneFactor.into());
            }
            let now = self.inner.clock.now();
            self.inner.limits.take_for(Rate::NameCheck, user.app_id, user.id, now)?;
            // A number that is verified is worth as much as a factor: it may become one.
            proof.check(&app)?;
            let (app_id, locale, wanted) = (app.id, user.locale, phone.clone());
            let found = self.read("phone.find", move |readers| {
                let holder = readers.users().find_by_verified_phone(app_id, &wanted)?;
                let words = worded(readers.email_templates(), app_id, TemplateName::Sms, locale)?;
                Ok((holder, words))
            });
            let (holder, words) = found.await?;
            let is_own = holder.as_ref().is_some_and(|holder| holder.id == user.id);
            if holder.is_some() && (!is_own || user.factors.is_phone_verified()) {
                return Err(Refusal::PhoneTaken.into());
            }
            // Going back to the number that is verified takes no code.
            if !is_own {
                self.check_phone(&app, &phone)?;
                self.inner.limits.take(Rate::CodeRequest, call.source, now)?;
            }
            let subject = CodeSubject {
                app_id: app.id,
                purpose: CodePurpose::Phone,
                handle: user.handle.clone(),
                id: self.phone_subject(user.id, &phone)?,
            };
            let (rules, source) = (self.inner.settings.codes, self.code_source(app.id, call.source)?);
            let new_code = self.draw_code(&subject, &source, rules.sms_life)?;
            let slot = if is_own {
                None
            } else {
                self.reserve_sms(&app, &phone, Some(user.id), SmsPurpose::NewNumber).await?
            };
            let sms = self.code_sms(&app, slot.as_ref(), &words, &phone, &user.handle, &new_code).await?;
            let entry = self.entry(event)?;
            let is_promised = self
                .transact("phone.set", move |repos| {
                    let token = &proof.token;
                    retry(|| {
                        let user = check_session(repos.users().find(token.app_id, token.user_id)?, token)?;
                        let holder = repos.users().find_by_verified_phone(app.id, &phone)?;
                        if holder.is_some_and(|holder| holder.id != user.id) {
                            return Err(Refusal::PhoneTaken.into());
                        }
                        let mut to = user.factors.clone();
                        to.given_phone = Some(phone.clone());
                        if to != user.factors && !write_factors(repos, &user, &to, None, now)? {
                            return Ok(None);
                        }
                        repos.audit().add(&entry)?;
                        new_code.place_and_send(repos, &rules, false, sms.as_ref()).map(Some)
                    })
                })
                .await;
            self.settle_message(slot, is_promised).await
        })
        .await
    }

    /// A code belongs to a user and the number that it was sent to: it verifies no other.
    fn phone_subject(&self, user: UserId, phone: &Phone) -> Result<[u8; 16], ServiceError> {
        self.derived_id("phone.subject", &[user.as_bytes(), phone.as_str().as_bytes()])
    }

    /// Verifies the number that the caller set last, with the code that was sent to it.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`] for a wrong code, [`Refusal::PhoneTaken`] when another user verified the number
    /// meanwhile, [`Refusal::NoPhoneFactor`].
    pub async fn verify_phone(&self, call: Call<AccessToken>, code: Code) -> Result<(), ServiceError> {
        let event = Event::of_call(Action::VerifyPhone, &call, None);
        self.audited(event, async |event| {
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
                source: self.code_source(app.id, call.source)?,
                is_known: origin.is_known(&user),
            };
            let refunds = self.sms_refunds(&app, &given, user.id, SmsPurpose::NewNumber)?;
            let slot = self.reserve_notice(app.id, &user.handle, Notice::Change).await?;
            let words = built_in(MessageKind::FactorChanged, user.locale)?;
            let notice = self.notice(&app, slot.as_ref(), &words, &user.handle).await?;
            let (service, now, entry) = (self.clone(), self.inner.clock.now(), self.entry(event)?);
            let verified = self
                .transact("phone.verify", move |repos| {
                    let token = &proof.token;
                    let user = check_session(repos.users().find(token.app_id, token.user_id)?, token)?;
                    let app: App = repos.apps().find(app.id)?.ok_or(Refusal::AppGone)?;
                    ensure_active(&app)?;
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
                    let is_new = retry(|| {
                        let user = check_session(repos.users().find(token.app_id, token.user_id)?, token)?;
                        if user.factors.given_phone.as_ref() != Some(&given) {
                            return Err(Refusal::InvalidData.into());
                        }
                        let mut to = user.factors.clone();
                        to.verified_phone = Some(given.clone());
                        let is_new = to != user.factors;
                        Ok(write_factors(repos, &user, &to, None, now)?.then_some(is_new))
                    })?;
                    give_back_all(repos.quotas(), &refunds)?;
                    if is_new {
                        notice.iter().try_for_each(|mail| repos.outbox().add(mail))?;
                    }
                    repos.audit().add(&entry)?;
                    Ok(Ok(is_new && notice.is_some()))
                })
                .await;
            let is_promised = match &verified {
                Ok(Ok(is_promised)) => Ok(*is_promised),
                Ok(Err(())) | Err(_) => Ok(false),
            };
            self.settle_message(slot, is_promised).await?;
            match verified? {
                Ok(_) => {
                    self.inner.limits.give_back(Rate::CodeRequest, call.source);
                    Ok(())
                }
                Err(()) => Err(Refusal::InvalidData.into()),
            }
        })
        .await
    }
}
