//! The second half of a log-in: a login token and a code of the factor that the user has enrolled. Tries are
//! counted before a code is looked at: of one log-in, of a day, and in a row.

use latchkey_crypto::{LoginToken, SealContext, TotpSecret};
use latchkey_domain::{
    App, AppId, Code, CodePurpose, Factor, RecoveryCode, Sealed, TemplateName, TokenId, User, UserId,
    UserStatus,
};
use latchkey_notifiers::MessageKind;
use latchkey_storage::{QuotaKey, Repositories, Store};
use time::{Duration, OffsetDateTime};

use crate::audit::{Act, Call};
use crate::caller::{find_app_of, gate};
use crate::codes::{CodeSubject, CodeTry, Tried, give_back_all, reserve_all};
use crate::limits::Rate;
use crate::mail::{Notice, built_in, worded};
use crate::sms::SmsPurpose;
use crate::throttle::{Counted, Origin, forget_failures, note_login, settle_right};
use crate::{Refusal, Service, ServiceError, Tokens};

/// The owner hears of the third wrong code of a day.
const TELL_AT: u32 = 3;
/// A counter without an end of its own.
const FOR_EVER: Duration = Duration::days(36_500);

/// What stands for a second factor.
#[derive(Debug, Clone)]
pub enum FactorCode {
    /// A code of an authenticator app, or one that came by SMS.
    Digits(Code),
    /// A recovery code.
    Recovery(RecoveryCode),
}

impl FactorCode {
    /// Parses what was typed: blanks and hyphens within the digits mean nothing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n' | '-')).collect();
        match Code::parse(&digits) {
            Ok(code) => Some(Self::Digits(code)),
            Err(_) => RecoveryCode::parse(text.trim()).map(Self::Recovery),
        }
    }

    /// A JSON integer: the zeros at its beginning were lost.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::parse(&format!("{number:06}"))
    }
}

/// The end of a log-in.
#[derive(Debug, Clone)]
pub struct CompleteLogIn {
    /// The login token.
    pub login_token: String,
    /// The code.
    pub code: FactorCode,
}

/// Where the tries of a code are counted: those at a log-in apart from those that prove who changes factors, for
/// which no password is needed.
#[derive(Clone)]
struct Counters {
    login: Option<QuotaKey>,
    a_day: QuotaKey,
    in_a_row: QuotaKey,
    recovery: QuotaKey,
}

/// A code for a user, on its way to be looked at.
#[derive(Clone)]
pub(crate) struct FactorTry {
    code: FactorCode,
    counters: Counters,
    sms: Option<CodeTry>,
    /// What the message with the code took, to be given back.
    sms_refunds: Vec<QuotaKey>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FactorTried {
    /// Right, and whether it was a recovery code.
    Right { is_recovery: bool },
    /// Wrong, whether the owner is to hear of it, and whether it was the last one.
    Wrong { tells: bool, disables: bool },
}

const WRONG: FactorTried = FactorTried::Wrong { tells: false, disables: false };

pub(crate) fn authenticator_of(app_id: AppId, user: &UserId) -> SealContext<'_> {
    SealContext { purpose: "totp", app_id, row: user.as_bytes() }
}

impl<S: Store> Service<S> {
    /// Gives out a login token, and sends a code where the user's factor is a telephone.
    pub(crate) async fn ask_second_factor(
        &self,
        app: &App,
        user: &User,
        call: &Call,
        (origin, counted): (Origin, Option<Counted>),
        act: Option<Act>,
    ) -> Result<String, ServiceError> {
        let now = self.inner.clock.now();
        let token = LoginToken {
            app_id: app.id,
            user_id: user.id,
            epoch: user.sessions.epoch,
            id: TokenId::generate(now, &*self.inner.entropy)?,
            issued_at: now,
            expires_at: now + self.inner.settings.factors.login_token_life,
        };
        let asks_phone = user.factors.asked(app.settings.two_factor) == Some(Factor::Phone);
        let phone = user.factors.sms_phone().filter(|_| asks_phone).cloned();
        let (mut slot, mut placing) = (None, None);
        if let Some(phone) = phone {
            // Nobody could ever bring the code.
            if self.sms_account(app)?.is_none() {
                return Err(Refusal::SmsFailed.into());
            }
            let (app_id, locale) = (app.id, user.locale);
            let words = self.inner.store.read("login.words", move |readers| {
                worded(readers.email_templates(), app_id, TemplateName::Sms, locale)
            });
            let words = words.await?;
            let subject = CodeSubject {
                app_id: app.id,
                purpose: CodePurpose::Login,
                handle: user.handle.clone(),
                id: *user.id.as_bytes(),
            };
            let source = self.source_digest(app.id, call.source)?;
            let new_code = self.draw_code(&subject, &source, self.inner.settings.codes.sms_life)?;
            slot = self.sms_slot(app, &phone, Some(user.id), SmsPurpose::LogIn).await?;
            let sms = self.code_sms(app, slot.as_ref(), &words, (&phone, &user.handle, &new_code))?;
            placing = Some((new_code, sms));
        }
        let detail = Some("second factor".to_owned());
        let entry = act.map(|act| self.done(&Act { user_id: Some(user.id), detail, ..act })).transpose()?;
        let (rules, app_id, id) = (self.inner.settings.codes, app.id, user.id);
        let is_promised = self
            .inner
            .store
            .transact("login.second_factor", move |repos| {
                forget_failures(repos, app_id, id, origin, counted.as_ref())?;
                let is_promised = match &placing {
                    Some((new_code, sms)) => new_code.place_and_send(repos, &rules, false, sms.as_ref())?,
                    None => false,
                };
                entry.iter().try_for_each(|entry| repos.audit().add(entry))?;
                Ok::<_, ServiceError>(is_promised)
            })
            .await;
        self.settle_message(slot, is_promised).await?;
        Ok(self.inner.keys.tokens().sign(&token)?)
    }

    /// Completes a log-in with the user's second factor.
    ///
    /// # Errors
    /// [`Refusal::CredentialsWrong`] for a login token that is not good here or was used, a wrong code, and
    /// where there were too many; [`Refusal::UserSuspended`]; [`Refusal::MetadataInvalid`].
    pub async fn complete_log_in(&self, call: Call, request: CompleteLogIn) -> Result<Tokens, ServiceError> {
        let act = call.act("loginComplete", None);
        self.acting(act, Refusal::MissingParameter, |act| self.complete_log_in_now(call, request, act)).await
    }

    async fn complete_log_in_now(
        &self,
        call: Call,
        request: CompleteLogIn,
        act: Act,
    ) -> Result<Tokens, ServiceError> {
        let now = self.inner.clock.now();
        let caller = call.caller.clone();
        let app = self.inner.store.read("login.complete.app", move |readers| find_app_of(readers, &caller));
        let app = app.await?;
        let wrong = || ServiceError::from(Refusal::CredentialsWrong);
        let token: LoginToken =
            self.inner.keys.tokens().verify(&request.login_token, now).map_err(|_| wrong())?;
        if token.app_id != app.id {
            return Err(wrong());
        }
        self.inner.limits.check(Rate::FailedLogin, call.source, now)?;
        let act = Act { user_id: Some(token.user_id), ..act };
        let completed = self.try_completing(&app, &call, &token, request.code, act).await;
        if matches!(completed, Err(ServiceError::Refused(Refusal::CredentialsWrong))) {
            // Over the limit is over the limit already: the next one hears of it.
            let _ = self.inner.limits.take(Rate::FailedLogin, call.source, now);
        }
        let (app, user) = completed?;
        let id = app.id;
        let keys = self.inner.store.read("login.complete.keys", move |readers| readers.apps().keys(id));
        self.issue_tokens(&app, &keys.await?, &user)
    }

    /// Meets the challenge of a login token, once, and gives application and user as they are then.
    async fn try_completing(
        &self,
        app: &App,
        call: &Call,
        token: &LoginToken,
        code: FactorCode,
        act: Act,
    ) -> Result<(App, User), ServiceError> {
        let now = self.inner.clock.now();
        let (app_id, id, epoch) = (app.id, token.user_id, token.epoch);
        let challenge: [&[u8]; 1] = [token.id.as_bytes()];
        let life = self.inner.settings.factors.login_token_life + Duration::minutes(1);
        let mut used = self.counter(app_id, "factor.login.used", &challenge, life)?;
        (used.period, used.expires_at) = (0, token.expires_at + Duration::minutes(1));
        let tries = QuotaKey { kind: "factor.login.tries", ..used.clone() };
        let user =
            self.inner.store.read("login.complete.user", move |readers| readers.users().find(app_id, id));
        let user =
            user.await?.filter(|user| user.sessions.epoch == epoch).ok_or(Refusal::CredentialsWrong)?;
        let attempt = self.factor_try(app, &user, call, code, Some(tries))?;
        let origin = self.origin(app_id, id, call.source)?;
        let entry = self.done(&act)?;
        let recovered = self.done(&Act { detail: Some("recovery code".to_owned()), ..act })?;
        let service = self.clone();
        let tried = self
            .inner
            .store
            .transact("login.complete", move |repos| {
                // Whoever brings the same login token waits here for what becomes of it.
                if !repos.quotas().reserve(&used, 1)? {
                    return Err(ServiceError::from(Refusal::CredentialsWrong));
                }
                let app = repos.apps().find(app_id)?.ok_or(Refusal::AppGone)?;
                gate(&app)?;
                let user = repos.users().find(app_id, id)?.filter(|user| user.sessions.epoch == epoch);
                let user = user.ok_or(Refusal::CredentialsWrong)?;
                if user.status == UserStatus::Suspended {
                    return Err(Refusal::UserSuspended.into());
                }
                // What was asked for may have been switched off since: the password has to be shown again.
                if user.factors.asked(app.settings.two_factor).is_none() {
                    return Err(Refusal::CredentialsWrong.into());
                }
                let tried = service.try_factor(repos, &user, &attempt, now)?;
                match tried {
                    FactorTried::Right { is_recovery } => {
                        settle_right(repos, app_id, id, origin, None)?;
                        note_login(repos, &user, now)?;
                        repos.audit().add(if is_recovery { &recovered } else { &entry })?;
                    }
                    FactorTried::Wrong { .. } => repos.quotas().give_back(&used)?,
                }
                Ok((app, user, tried))
            })
            .await;
        let (app, user, tried) = tried?;
        self.settle_factor_try(&app, &user, tried).await?;
        Ok((app, user))
    }

    /// A code for a user. `login` counts the tries of one log-in.
    pub(crate) fn factor_try(
        &self,
        app: &App,
        user: &User,
        call: &Call,
        code: FactorCode,
        login: Option<QuotaKey>,
    ) -> Result<FactorTry, ServiceError> {
        let (parts, day): ([&[u8]; 1], _) = ([user.id.as_bytes()], Duration::days(1));
        let kinds = match login {
            Some(_) => ["factor.a_day", "factor.in_a_row", "factor.recovery"],
            None => ["factor.proof.a_day", "factor.proof.in_a_row", "factor.proof.recovery"],
        };
        let [a_day, in_a_row, recovery] = kinds;
        let mut in_a_row = self.counter(app.id, in_a_row, &parts, FOR_EVER)?;
        in_a_row.period = 0;
        let (a_day, recovery) =
            (self.counter(app.id, a_day, &parts, day)?, self.counter(app.id, recovery, &parts, day)?);
        let counters = Counters { login, a_day, in_a_row, recovery };
        let mut sms_refunds = Vec::new();
        let sms = match (&code, user.factors.sms_phone()) {
            (FactorCode::Digits(code), Some(phone)) => {
                sms_refunds = self.sms_refunds(app, phone, user.id, SmsPurpose::LogIn)?;
                let origin = self.origin(app.id, user.id, call.source)?;
                Some(CodeTry {
                    app_id: app.id,
                    purpose: CodePurpose::Login,
                    handle: user.handle.clone(),
                    subjects: vec![*user.id.as_bytes()],
                    code: code.clone(),
                    source: self.source_digest(app.id, call.source)?,
                    is_known: user.login.sources.knows(&origin.mark, origin.day),
                })
            }
            _ => None,
        };
        Ok(FactorTry { code, counters, sms, sms_refunds })
    }

    /// Looks whether a code is right, and uses it up. The try is counted before, and the count of a wrong one is
    /// kept.
    pub(crate) fn try_factor(
        &self,
        repos: &mut dyn Repositories,
        user: &User,
        attempt: &FactorTry,
        now: OffsetDateTime,
    ) -> Result<FactorTried, ServiceError> {
        let rules = self.inner.settings.factors;
        let Counters { login, a_day, in_a_row, recovery } = &attempt.counters;
        let mut wanted: Vec<_> = login.iter().map(|counter| (counter.clone(), rules.wrong_a_login)).collect();
        match &attempt.code {
            FactorCode::Digits(_) => {
                wanted.push((a_day.clone(), rules.wrong_a_day));
                wanted.push((in_a_row.clone(), rules.wrong_in_a_row));
            }
            // They have a count of their own, so that they recover a factor that was guessed at.
            FactorCode::Recovery(_) => wanted.push((recovery.clone(), rules.wrong_a_day)),
        }
        if reserve_all(repos.quotas(), &wanted)?.is_some() {
            return Ok(WRONG);
        }
        let counters: Vec<_> = wanted.into_iter().map(|(counter, _)| counter).collect();
        let verdict = match &attempt.code {
            FactorCode::Digits(code) => self.try_digits(repos, user, code, attempt, now)?,
            FactorCode::Recovery(code) => {
                let digest = self.recovery_digest(user, code)?;
                let is_right = repos.factors().use_recovery_code(user.app_id, user.id, &digest)?;
                if is_right { Verdict::Right } else { Verdict::Wrong }
            }
        };
        match verdict {
            Verdict::Right => {
                give_back_all(repos.quotas(), &counters)?;
                repos.quotas().reset(in_a_row)?;
                Ok(FactorTried::Right { is_recovery: matches!(attempt.code, FactorCode::Recovery(_)) })
            }
            Verdict::Replayed => {
                // Nothing was guessed.
                give_back_all(repos.quotas(), &counters)?;
                Ok(WRONG)
            }
            Verdict::Wrong => {
                let wrong = repos.quotas().used(a_day)?.max(repos.quotas().used(recovery)?);
                let tells = login.is_some() && wrong >= TELL_AT;
                let disables = repos.quotas().used(in_a_row)? >= rules.wrong_in_a_row;
                Ok(FactorTried::Wrong { tells, disables })
            }
        }
    }

    fn try_digits(
        &self,
        repos: &mut dyn Repositories,
        user: &User,
        code: &Code,
        attempt: &FactorTry,
        now: OffsetDateTime,
    ) -> Result<Verdict, ServiceError> {
        if let Some(own) = &user.factors.authenticator
            && let Some(step) = self.authenticator_step(user, &own.secret, code, now)?
        {
            let is_new = repos.factors().accept_step(user.app_id, user.id, &own.secret, step)?;
            return Ok(if is_new { Verdict::Right } else { Verdict::Replayed });
        }
        let sms = attempt.sms.as_ref().filter(|_| user.factors.has(Factor::Phone));
        let Some(sms) = sms else { return Ok(Verdict::Wrong) };
        match self.try_code(repos, sms, now)? {
            Tried::Right(found) if repos.codes().consume(user.app_id, found.id, now)? => {
                give_back_all(repos.quotas(), &attempt.sms_refunds)?;
                Ok(Verdict::Right)
            }
            Tried::Right(_) | Tried::Used => Ok(Verdict::Replayed),
            Tried::Expired | Tried::Wrong => Ok(Verdict::Wrong),
        }
    }

    /// The step of which a code is, by the secret that is sealed in a user's row.
    pub(crate) fn authenticator_step(
        &self,
        user: &User,
        sealed: &Sealed,
        code: &Code,
        now: OffsetDateTime,
    ) -> Result<Option<u64>, ServiceError> {
        let bytes = self.inner.keys.open_sealed(&authenticator_of(user.app_id, &user.id), sealed)?;
        let secret = TotpSecret::new(bytes.to_vec())?;
        Ok(secret.step_of(code.expose(), now, self.inner.settings.factors.steps_ahead))
    }

    /// After a try: tells the owner of wrong codes and of a used recovery code, and gives the refusal.
    pub(crate) async fn settle_factor_try(
        &self,
        app: &App,
        user: &User,
        tried: FactorTried,
    ) -> Result<(), ServiceError> {
        match tried {
            FactorTried::Right { is_recovery: false } => Ok(()),
            FactorTried::Right { is_recovery: true } => {
                self.tell_of_factor(app, user, (MessageKind::RecoveryUsed, Notice::Change), None).await
            }
            FactorTried::Wrong { tells, disables } => {
                if disables {
                    let mut act = Act::of_server("factor.disabled", app.id);
                    act.user_id = Some(user.id);
                    let entry = self.done(&act)?;
                    self.inner
                        .store
                        .transact("factor.disabled", move |repos| {
                            repos.audit().add(&entry).map_err(ServiceError::from)
                        })
                        .await?;
                }
                if tells {
                    let told =
                        self.counter(app.id, "factor.told", &[user.id.as_bytes()], Duration::days(1))?;
                    let about = (MessageKind::FactorFailed, Notice::Attack);
                    self.tell_of_factor(app, user, about, Some(told)).await?;
                }
                Err(Refusal::CredentialsWrong.into())
            }
        }
    }

    /// Mails a notice; `once` counts it where one is enough.
    async fn tell_of_factor(
        &self,
        app: &App,
        user: &User,
        (kind, about): (MessageKind, Notice),
        once: Option<QuotaKey>,
    ) -> Result<(), ServiceError> {
        let slot = self.notice_slot(app.id, &user.handle, about).await?;
        let words = built_in(kind, user.locale)?;
        let notice = self.notice(app, slot.as_ref(), &words, &user.handle)?;
        let promised = self
            .inner
            .store
            .transact("factor.tell", move |repos| {
                let Some(mail) = &notice else { return Ok(false) };
                let is_first = match &once {
                    Some(once) => repos.quotas().reserve(once, 1)?,
                    None => true,
                };
                if is_first {
                    repos.outbox().add(mail)?;
                }
                Ok::<_, ServiceError>(is_first)
            })
            .await;
        self.settle_message(slot, promised).await
    }
}

/// Of a code.
enum Verdict {
    Right,
    /// It was right, and had been used.
    Replayed,
    Wrong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_033_a_code_of_an_authenticator_may_come_as_a_number_or_with_blanks() {
        let digits = |code: Option<FactorCode>| match code {
            Some(FactorCode::Digits(code)) => code.expose().to_owned(),
            _ => String::new(),
        };
        for typed in ["012345", " 012 345 ", "012-345", "0 1 2 3 4 5"] {
            assert_eq!(digits(FactorCode::parse(typed)), "012345", "{typed}");
        }
        assert_eq!(digits(FactorCode::from_number(12_345)), "012345");
        assert_eq!(digits(FactorCode::from_number(0)), "000000");
        for wrong in ["", "12345", "123456789", "12345a", "１２３４５６", "1e5000"] {
            assert!(FactorCode::parse(wrong).is_none(), "{wrong}");
        }
        assert!(FactorCode::from_number(123_456_789).is_none());
        let recovery = FactorCode::parse("ABCD-efgh-ijkl-mn23").unwrap();
        assert!(matches!(recovery, FactorCode::Recovery(code) if code.expose() == "abcdefghijklmn23"));
    }
}
