//! One-time codes of all purposes: generation, storage and verification.
//!
//! A code belongs to a purpose, a subject (sign-up, invitation or user) and the address prefix that requested it. Wrong
//! attempts are counted before a code is checked: those of that prefix separately from all others, and all of a handle
//! per day. A code that is requested by one person and used by another, such as an invitation's, has separate attempts
//! for each prefix (IPv6: for each site). After many wrong guesses, new codes have eight digits and a budget of their
//! own, so that exhausting the budget of the six-digit codes does not block the owner's next code.

use latchkey_crypto::digests_match;
use latchkey_domain::{
    App, AppId, Code, CodeId, CodeLength, CodePurpose, CodeRules, Handle, KeyedDigest, OutboxMessage, Source,
    StoredCode, cost_of_guess, has_passed,
};
use latchkey_storage::{QuotaKey, QuotaRepository, Repositories};
use time::{Duration, OffsetDateTime};

use crate::mail::{Slot, Worded};
use crate::{Service, ServiceError};

/// Takes one from each counter, or none; returns the one that was full.
pub(crate) fn reserve_all(
    quotas: &mut dyn QuotaRepository,
    wanted: &[(QuotaKey, u32)],
) -> Result<Option<&'static str>, ServiceError> {
    for (number, (counter, limit)) in wanted.iter().enumerate() {
        if !quotas.reserve(counter, *limit)? {
            wanted.iter().take(number).try_for_each(|(taken, _)| quotas.give_back(taken))?;
            return Ok(Some(counter.kind));
        }
    }
    Ok(None)
}

/// Gives one of each counter back.
pub(crate) fn give_back_all(
    quotas: &mut dyn QuotaRepository,
    counters: &[QuotaKey],
) -> Result<(), ServiceError> {
    counters.iter().try_for_each(|counter| quotas.give_back(counter)).map_err(ServiceError::from)
}

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
        self.draw(subject, source, (life, CodeLength::Six))
    }

    /// Generates a mailed code with its mail: one with six digits, one with eight if another source's code is valid.
    /// `url` is the page that the mail links to, if any.
    pub(crate) async fn mailed_code(
        &self,
        app: &App,
        (slot, words): (Option<&Slot>, &Worded),
        (subject, source): (&CodeSubject, &CodeSource),
        life: Duration,
        url: impl Fn(&Code) -> Result<Option<String>, ServiceError>,
    ) -> Result<MailedCode, ServiceError> {
        let mut variants = Vec::with_capacity(2);
        for length in [CodeLength::Six, CodeLength::Eight] {
            let new = self.draw(subject, source, (life, length))?;
            let url = url(&new.code)?;
            let mail = self.code_mail(app, slot, words, (&subject.handle, &new), url.as_deref()).await?;
            variants.push((new, mail));
        }
        let parts = [subject.purpose.name().as_bytes(), subject.handle.key().as_bytes()];
        let gate = self.counter(subject.app_id, "codes.gate", &parts, Duration::days(1))?;
        let [wrong, ..] = self.budgets(subject.app_id, subject.purpose, &subject.handle)?;
        Ok(MailedCode { variants, handle: subject.handle.clone(), gate, wrong })
    }

    fn draw(
        &self,
        subject: &CodeSubject,
        source: &CodeSource,
        (life, length): (Duration, CodeLength),
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
    fn budgets(
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

    /// A counter that restarts with each period.
    pub(crate) fn counter(
        &self,
        app_id: AppId,
        kind: &'static str,
        parts: &[&[u8]],
        period: Duration,
    ) -> Result<QuotaKey, ServiceError> {
        let seconds = period.whole_seconds().max(1);
        let now = self.inner.clock.now();
        let subject = self.key_ring().lasting_digests().digest(kind, parts)?;
        Ok(QuotaKey {
            app_id,
            kind,
            subject,
            period: now.unix_timestamp() / seconds,
            expires_at: now + period,
        })
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
            match self.take(repos, attempt, (budget, limit), cost)? {
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
        (budget, limit): (QuotaKey, u32),
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

/// A code that is mailed, in two lengths with a mail each: which one goes out is decided where it is placed.
pub(crate) struct MailedCode {
    variants: Vec<(NewCode, Option<OutboxMessage>)>,
    handle: Handle,
    gate: QuotaKey,
    /// The day's wrong tries at codes of six digits, with their limit.
    wrong: (QuotaKey, u32),
}

impl MailedCode {
    /// Stores one of the codes and its mail, both or neither; see [`NewCode::place`]. The code has eight digits if
    /// another source's six-digit code is valid for the same handle and purpose, since one guess must not be compared
    /// with many, or if half of the day's wrong attempts at six-digit codes are used up.
    pub(crate) fn place_and_send(
        &self,
        repos: &mut dyn Repositories,
        rules: &CodeRules,
        is_known: bool,
    ) -> Result<bool, ServiceError> {
        // Of two who come at once, the second one sees what the first one has placed.
        repos.quotas().reserve(&self.gate, u32::MAX)?;
        let [(short, _), ..] = self.variants.as_slice() else { return Ok(false) };
        let (wrong, limit) = &self.wrong;
        let is_attacked = repos.quotas().used(wrong)? >= limit / 2;
        let is_long = is_attacked || self.is_crowded(repos, &short.stored)?;
        let wanted = if is_long { CodeLength::Eight } else { CodeLength::Six };
        let chosen = self.variants.iter().find(|(code, _)| code.stored.length == wanted);
        let Some((code, mail)) = chosen else { return Ok(false) };
        code.place_and_send(repos, rules, is_known, mail.as_ref())
    }

    fn is_crowded(&self, repos: &mut dyn Repositories, own: &StoredCode) -> Result<bool, ServiceError> {
        let (app_id, purpose) = (own.app_id, own.purpose);
        let subjects: Vec<[u8; 16]> = match purpose {
            CodePurpose::SignUp => {
                let attempts = repos.signups().list(app_id, &self.handle)?;
                attempts.iter().map(|attempt| *attempt.id.as_bytes()).collect()
            }
            CodePurpose::Invite => {
                let invites = repos.invites().list(app_id, &self.handle)?;
                invites.iter().map(|invite| *invite.id.as_bytes()).collect()
            }
            CodePurpose::Reset | CodePurpose::Phone | CodePurpose::Login => vec![own.subject],
        };
        for subject in subjects {
            let codes = repos.codes().list(app_id, purpose, &subject)?;
            let is_others = |code: &StoredCode| subject != own.subject || !is_of_one_source(code, own);
            let is_in_the_way = |code: &StoredCode| {
                code.length == CodeLength::Six
                    && code.consumed_at.is_none()
                    && !code.is_expired(own.created_at)
                    && is_others(code)
            };
            if codes.iter().any(is_in_the_way) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn is_of_one_source(one: &StoredCode, other: &StoredCode) -> bool {
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
