//! One-time codes of all purposes: generation, storage and verification.
//!
//! A code belongs to a purpose, a subject (sign-up, invitation or user) and the address prefix that requested it. Wrong
//! attempts are counted before a code is checked: those of that prefix separately from all others, and all of a handle
//! per day. A code that is requested by one person and used by another, such as an invitation's, has separate attempts
//! for each prefix (IPv6: for each site). After many wrong guesses, new codes have eight digits and a budget of their
//! own, so that exhausting the budget of the six-digit codes does not block the owner's next code.

use latchkey_crypto::digests_match;
use latchkey_domain::{
    AppId, Code, CodeId, CodeLength, CodePurpose, CodeRules, Handle, KeyedDigest, Named as _, OutboxMessage,
    Source, StoredCode, cost_of_guess, has_passed,
};
use latchkey_storage::{QuotaKey, Repositories};
use time::{Duration, OffsetDateTime};

use crate::base::error::ServiceError;
use crate::protect::quotas::give_back_all;
use crate::service::Service;

/// Whom a code is for.
#[derive(Debug, Clone)]
pub(crate) struct CodeSubject {
    pub(crate) app_id: AppId,
    pub(crate) purpose: CodePurpose,
    pub(crate) handle: Handle,
    pub(crate) id: [u8; 16],
}

/// A code that was drawn and may be placed.
#[derive(Clone)]
pub(crate) struct NewCode {
    pub(crate) code: Code,
    pub(crate) stored: StoredCode,
    /// None for codes by SMS, which have limits of their own.
    requests: Option<Requests>,
}

#[derive(Clone)]
struct Requests {
    an_hour: QuotaKey,
    a_day: QuotaKey,
    subject_a_day: QuotaKey,
    firsts_a_day: QuotaKey,
    known_a_day: QuotaKey,
}

/// The place where a code is requested or used.
#[derive(Clone)]
pub(crate) struct CodeSource {
    /// Whose the code is.
    pub(crate) own: KeyedDigest,
    /// The network of one customer, whose requests and attempts are counted together.
    wide: KeyedDigest,
}

impl CodeSource {
    /// A source without an address.
    pub(crate) fn only(own: KeyedDigest) -> Self {
        Self { wide: own.clone(), own }
    }
}

/// A code that came back.
#[derive(Clone)]
pub(crate) struct CodeTry {
    pub(crate) app_id: AppId,
    pub(crate) purpose: CodePurpose,
    pub(crate) handle: Handle,
    pub(crate) subjects: Vec<[u8; 16]>,
    pub(crate) code: Code,
    pub(crate) source: CodeSource,
    /// Whether the user is known to log in from this source.
    pub(crate) is_known: bool,
}

/// The result of checking a code.
pub(crate) enum Tried {
    Right(StoredCode),
    Used,
    Expired,
    Wrong,
}

impl Service {
    pub(crate) fn code_source(&self, app_id: AppId, source: Source) -> Result<CodeSource, ServiceError> {
        let (own, wide) =
            (self.source_digest(app_id, source)?, self.source_digest(app_id, source.widened())?);
        Ok(CodeSource { own, wide })
    }

    /// Draws a code of six digits for a subject.
    pub(crate) fn draw_code(
        &self,
        subject: &CodeSubject,
        source: &CodeSource,
        life: Duration,
    ) -> Result<NewCode, ServiceError> {
        self.draw(subject, source, life, CodeLength::Six)
    }

    pub(crate) fn draw(
        &self,
        subject: &CodeSubject,
        source: &CodeSource,
        life: Duration,
        length: CodeLength,
    ) -> Result<NewCode, ServiceError> {
        let (now, entropy) = (self.inner.clock.now(), &*self.inner.entropy);
        let code = Code::generate(entropy, length)?;
        let stored = StoredCode {
            id: CodeId::generate(now, entropy)?,
            app_id: subject.app_id,
            purpose: subject.purpose,
            subject: subject.id,
            digest: self.code_digest(subject.app_id, subject.purpose, &subject.id, &code)?,
            created_at: now,
            expires_at: now + life,
            consumed_at: None,
            source: Some(source.own.clone()),
            length,
        };
        let (name, handle) = (subject.purpose.name().as_bytes(), subject.handle.key().as_bytes());
        let per_source: [&[u8]; 3] = [name, handle, source.wide.as_bytes()];
        let app_id = subject.app_id;
        let requests = match subject.purpose {
            CodePurpose::Phone | CodePurpose::Login => None,
            CodePurpose::SignUp | CodePurpose::Invite | CodePurpose::Reset => Some(Requests {
                an_hour: self.counter(app_id, "code.requests.hour", &per_source, Duration::hours(1))?,
                a_day: self.counter(app_id, "code.requests.day", &per_source, Duration::days(1))?,
                subject_a_day: self.counter(app_id, "code.requests", &[name, handle], Duration::days(1))?,
                firsts_a_day: self.counter(
                    app_id,
                    "code.requests.first",
                    &[name, handle],
                    Duration::days(1),
                )?,
                known_a_day: self.counter(app_id, "code.requests.known", &per_source, Duration::days(1))?,
            }),
        };
        Ok(NewCode { code, stored, requests })
    }

    fn code_digest(
        &self,
        app_id: AppId,
        purpose: CodePurpose,
        subject: &[u8; 16],
        code: &Code,
    ) -> Result<KeyedDigest, ServiceError> {
        let parts = [app_id.as_bytes().as_slice(), subject, code.expose().as_bytes()];
        Ok(self.key_ring().digests().digest(&format!("code/{}", purpose.name()), &parts)?)
    }

    /// The daily budgets for guesses at a handle's codes, in hundredths, with their limits: for six-digit codes, for
    /// eight-digit codes, and for eight-digit codes that may be used from any address.
    pub(crate) fn budgets(
        &self,
        app_id: AppId,
        purpose: CodePurpose,
        handle: &Handle,
    ) -> Result<[(QuotaKey, u32); 3], ServiceError> {
        let rules = self.inner.settings.codes;
        // Anybody may try mailed codes, but only holders of a token may try SMS codes: attempts at one must not use up
        // those at the other.
        let (group, short): (&[u8], u32) = match purpose {
            CodePurpose::SignUp | CodePurpose::Invite | CodePurpose::Reset => (b"mail", rules.short_budget()),
            CodePurpose::Phone => (b"phone", hundredths(rules.wrong_a_day)),
            CodePurpose::Login => (b"login", hundredths(rules.wrong_a_day)),
        };
        let subject = [group, handle.key().as_bytes()];
        let counter = |kind| self.counter(app_id, kind, &subject, Duration::days(1));
        Ok([
            (counter("code.wrong")?, short),
            (counter("code.wrong.long")?, rules.long_budget()),
            (counter("code.wrong.anywhere")?, rules.long_budget()),
        ])
    }

    /// Looks whether a code is right. The try is counted before, and the count of a wrong one is kept.
    pub(crate) fn try_code(
        &self,
        repos: &mut dyn Repositories,
        attempt: &CodeTry,
        now: OffsetDateTime,
    ) -> Result<Tried, ServiceError> {
        let CodeTry { app_id, purpose, .. } = *attempt;
        let rules = self.inner.settings.codes;
        let mut codes = Vec::new();
        for subject in &attempt.subjects {
            codes.extend(repos.codes().list(app_id, purpose, subject)?);
        }
        if codes.is_empty() {
            return Ok(Tried::Wrong);
        }
        let is_live = |code: &StoredCode| code.consumed_at.is_none() && !code.is_expired(now);
        let (mut tries, mut right) = (Vec::new(), None);
        let mut compared: [Vec<CodeLength>; 3] = Default::default();
        for code in codes {
            let counter = tries_at(&code, &attempt.source);
            if !repos.quotas().reserve(&counter, rules.wrong_tries)? {
                continue;
            }
            tries.push(counter);
            let [short, long, anywhere] = &mut compared;
            match code.length {
                _ if !is_live(&code) => {}
                CodeLength::Six => short.push(code.length),
                CodeLength::Eight if code.is_for_anywhere() => anywhere.push(code.length),
                CodeLength::Eight => long.push(code.length),
            }
            let digest = self.code_digest(app_id, purpose, &code.subject, &attempt.code)?;
            if right.is_none() && digests_match(&code.digest, &digest) {
                right = Some(code);
            }
        }
        let mut taken = Vec::new();
        for ((budget, limit), compared) in
            self.budgets(app_id, purpose, &attempt.handle)?.into_iter().zip(compared)
        {
            let cost = cost_of_guess(&attempt.code, &compared);
            match self.take(repos, attempt, budget, limit, cost)? {
                Some(budget) => taken.push((budget, cost)),
                // The day's tries are spent, so nothing was guessed.
                None => {
                    give_back(repos, &tries, &taken)?;
                    return Ok(Tried::Wrong);
                }
            }
        }
        let Some(code) = right else { return Ok(Tried::Wrong) };
        give_back(repos, &tries, &taken)?;
        Ok(if code.consumed_at.is_some() {
            Tried::Used
        } else if code.is_expired(now) {
            Tried::Expired
        } else {
            Tried::Right(code)
        })
    }

    /// Takes the cost of a guess from the daily budget, or else from the extra budget of known sources, and returns the
    /// budget that was used. `None` if neither has enough left.
    fn take(
        &self,
        repos: &mut dyn Repositories,
        attempt: &CodeTry,
        budget: QuotaKey,
        limit: u32,
        cost: u32,
    ) -> Result<Option<QuotaKey>, ServiceError> {
        if cost == 0 || repos.quotas().reserve_many(&budget, cost, limit)? {
            return Ok(Some(budget));
        }
        let beyond = hundredths(self.inner.settings.codes.wrong_a_day_known);
        let known = QuotaKey { kind: "code.wrong.known", ..budget };
        let is_granted = attempt.is_known && repos.quotas().reserve_many(&known, cost, beyond)?;
        Ok(is_granted.then_some(known))
    }
}

/// The counter of wrong attempts at a code: one for the source that requested it, one for all others. A code that may
/// be used from any address has one counter for each source.
fn tries_at(code: &StoredCode, source: &CodeSource) -> QuotaKey {
    let is_own = code.source.as_ref().is_some_and(|asked| digests_match(asked, &source.own));
    let (kind, whose) = match (code.is_for_anywhere(), is_own) {
        (true, _) => ("code.tries.each", source.wide.as_bytes().as_slice()),
        (false, true) => ("code.tries.own", &[][..]),
        (false, false) => ("code.tries.others", &[][..]),
    };
    // Both are random already: an id, and a keyed digest.
    let mut subject = [0; 32];
    subject.iter_mut().zip(code.id.as_bytes().iter().chain(whose)).for_each(|(to, from)| *to = *from);
    QuotaKey {
        app_id: code.app_id,
        kind,
        subject: KeyedDigest::from_bytes(subject),
        period: 0,
        expires_at: code.expires_at + Duration::days(1),
    }
}

fn give_back(
    repos: &mut dyn Repositories,
    tries: &[QuotaKey],
    taken: &[(QuotaKey, u32)],
) -> Result<(), ServiceError> {
    give_back_all(repos.quotas(), tries)?;
    for (budget, cost) in taken.iter().filter(|(_, cost)| *cost > 0) {
        repos.quotas().give_many_back(budget, *cost)?;
    }
    Ok(())
}

/// A day's wrong tries are counted in hundredths: see [`cost_of_guess`].
fn hundredths(tries: u32) -> u32 {
    tries.saturating_mul(100)
}

pub(crate) fn is_of_one_source(one: &StoredCode, other: &StoredCode) -> bool {
    match (&one.source, &other.source) {
        (Some(one), Some(other)) => digests_match(one, other),
        _ => false,
    }
}

impl NewCode {
    /// Stores the code and its message, both or neither; see [`NewCode::place`]. Without a message nobody could
    /// use the code.
    pub(crate) fn place_and_send(
        &self,
        repos: &mut dyn Repositories,
        rules: &CodeRules,
        is_known: bool,
        message: Option<&OutboxMessage>,
    ) -> Result<bool, ServiceError> {
        let Some(message) = message else { return Ok(false) };
        let is_placed = self.place(repos, rules, is_known)?;
        if is_placed {
            repos.outbox().add(message)?;
        }
        Ok(is_placed)
    }

    /// Stores the code beside the valid ones of its source. Returns `false`, and nothing is sent, if one was sent just
    /// now or too many were requested; a known source has a few more.
    fn place(
        &self,
        repos: &mut dyn Repositories,
        rules: &CodeRules,
        is_known: bool,
    ) -> Result<bool, ServiceError> {
        let StoredCode { app_id, purpose, created_at: now, .. } = self.stored;
        let is_ours = |code: &StoredCode| is_of_one_source(code, &self.stored);
        let mut live = repos.codes().list(app_id, purpose, &self.stored.subject)?;
        live.retain(|code| code.consumed_at.is_none() && !code.is_expired(now) && is_ours(code));
        if let (Some(newest), Some(source)) = (live.first(), &self.stored.source) {
            let is_recent = !has_passed(rules.resend_after, newest.created_at, now);
            // A code without remaining attempts is not kept: it would be useless.
            if is_recent
                && repos.quotas().used(&tries_at(newest, &CodeSource::only(source.clone())))?
                    < rules.wrong_tries
            {
                return Ok(false);
            }
        }
        if let Some(requests) = &self.requests {
            let limits = rules.requests;
            let is_granted = repos.quotas().reserve(&requests.an_hour, limits.an_hour)?
                && repos.quotas().reserve(&requests.a_day, limits.a_day)?
                && (repos.quotas().reserve(&requests.subject_a_day, limits.subject_a_day)?
                    // Two addresses that request all codes do not use up the day of a third.
                    || (repos.quotas().used(&requests.a_day)? == 1
                        && repos.quotas().reserve(&requests.firsts_a_day, limits.firsts_a_day())?));
            let is_granted = is_granted
                || (is_known && repos.quotas().reserve(&requests.known_a_day, limits.known_a_day)?);
            if !is_granted {
                return Ok(false);
            }
        }
        for old in live.iter().skip(rules.live_per_subject.saturating_sub(1)) {
            repos.codes().remove(app_id, old.id)?;
        }
        repos.codes().add(&self.stored)?;
        Ok(true)
    }
}
