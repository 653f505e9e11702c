//! Attempts at a second factor: counters, verification, and notices to the owner.

use latchkey_crypto::TotpSecret;
use latchkey_domain::{App, AppId, Code, CodePurpose, Factor, Sealed, User};
use latchkey_notifiers::MessageKind;
use latchkey_storage::{QuotaKey, Repositories};
use time::{Duration, OffsetDateTime};

use super::{FactorCode, authenticator_of};
use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::notify::mail::{Notice, built_in};
use crate::notify::sms::SmsPurpose;
use crate::protect::codes::{CodeTry, Tried};
use crate::protect::quotas::{give_back_all, reserve_all};
use crate::service::Service;
use latchkey_domain::Source;

/// The owner is notified of the third wrong code of a day.
const TELL_AT: u32 = 3;
/// A counter without an end of its own.
const FOR_EVER: Duration = Duration::days(36_500);

/// Where the tries of a code are counted: those at a log-in apart from those that prove who changes factors, for
/// which no password is needed.
#[derive(Clone)]
struct Counters {
    login: Option<QuotaKey>,
    a_day: QuotaKey,
    in_a_row: QuotaKey,
    recovery: QuotaKey,
}

/// A code of a user, to be checked.
#[derive(Clone)]
pub(crate) struct FactorTry {
    code: FactorCode,
    counters: Counters,
    sms: Option<CodeTry>,
    /// The counters of the message with the code, to be restored.
    sms_refunds: Vec<QuotaKey>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FactorTried {
    /// Right, and whether it was a recovery code.
    Right { is_recovery: bool },
    /// Wrong, with whether the owner is notified, and whether it was the last attempt.
    Wrong { tells: bool, disables: bool },
}

const WRONG: FactorTried = FactorTried::Wrong { tells: false, disables: false };

impl Service {
    /// A code for a user. `login` counts the tries of one log-in.
    pub(crate) fn factor_try(
        &self,
        app: &App,
        user: &User,
        source: Source,
        code: FactorCode,
        login: Option<QuotaKey>,
    ) -> Result<FactorTry, ServiceError> {
        let counters = self.counters_of(app.id, user, login)?;
        let mut sms_refunds = Vec::new();
        let sms = match (&code, user.factors.sms_phone()) {
            (FactorCode::Digits(code), Some(phone)) => {
                sms_refunds = self.sms_refunds(app, phone, user.id, SmsPurpose::LogIn)?;
                let origin = self.origin(app.id, user.id, source)?;
                Some(CodeTry {
                    app_id: app.id,
                    purpose: CodePurpose::Login,
                    handle: user.handle.clone(),
                    subjects: vec![*user.id.as_bytes()],
                    code: code.clone(),
                    source: self.code_source(app.id, source)?,
                    is_known: origin.is_known(user),
                })
            }
            _ => None,
        };
        Ok(FactorTry { code, counters, sms, sms_refunds })
    }

    /// Where the tries of a user are counted: at a log-in, or to prove who changes factors.
    fn counters_of(
        &self,
        app_id: AppId,
        user: &User,
        login: Option<QuotaKey>,
    ) -> Result<Counters, ServiceError> {
        let (parts, day): ([&[u8]; 1], _) = ([user.id.as_bytes()], Duration::days(1));
        let kinds = match login {
            Some(_) => ["factor.a_day", "factor.in_a_row", "factor.recovery"],
            None => ["factor.proof.a_day", "factor.proof.in_a_row", "factor.proof.recovery"],
        };
        let [a_day, in_a_row, recovery] = kinds;
        let mut in_a_row = self.counter(app_id, in_a_row, &parts, FOR_EVER)?;
        in_a_row.period = 0;
        let (a_day, recovery) =
            (self.counter(app_id, a_day, &parts, day)?, self.counter(app_id, recovery, &parts, day)?);
        Ok(Counters { login, a_day, in_a_row, recovery })
    }

    /// All that is counted against a user's second factors.
    pub(crate) fn factor_counters(&self, app_id: AppId, user: &User) -> Result<Vec<QuotaKey>, ServiceError> {
        let proof = self.counters_of(app_id, user, None)?;
        let login = self.counters_of(app_id, user, Some(proof.a_day.clone()))?;
        let all = [proof, login].map(|counters| [counters.a_day, counters.in_a_row, counters.recovery]);
        Ok(all.into_iter().flatten().collect())
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
        let bytes = self.key_ring().open_sealed(&authenticator_of(user.app_id, &user.id), sealed)?;
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
                self.tell_of_factor(app, user, MessageKind::RecoveryUsed, Notice::Change, None).await
            }
            FactorTried::Wrong { tells, disables } => {
                if disables {
                    let mut event = Event::of_server(Action::FactorDisabled, app.id);
                    event.user_id = Some(user.id);
                    self.record(&event).await?;
                }
                if tells {
                    let told =
                        self.counter(app.id, "factor.told", &[user.id.as_bytes()], Duration::days(1))?;
                    let kind = MessageKind::FactorFailed;
                    self.tell_of_factor(app, user, kind, Notice::Attack, Some(told)).await?;
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
        kind: MessageKind,
        about: Notice,
        once: Option<QuotaKey>,
    ) -> Result<(), ServiceError> {
        let slot = self.reserve_notice(app.id, &user.handle, about).await?;
        let words = built_in(kind, user.locale)?;
        let notice = self.notice(app, slot.as_ref(), &words, &user.handle).await?;
        let promised = self
            .transact("factor.tell", move |repos| {
                let Some(mail) = &notice else { return Ok(false) };
                let is_first = match &once {
                    Some(once) => repos.quotas().reserve(once, 1)?,
                    None => true,
                };
                if is_first {
                    repos.outbox().add(mail)?;
                }
                Ok(is_first)
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
