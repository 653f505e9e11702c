//! Rates per address and per user, in this process's memory. What must be counted exactly is counted in the database
//! (`quotas`).
//! With several instances each counts for itself, so that an address has up to as many times its share.
//!
//! Why no library: what is counted here can be given back (a completed sign-up, a right password), which the
//! usual rate limiters cannot.

use std::collections::HashMap;
use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use latchkey_domain::{AppId, Source, SourcePrefix, UserId, has_passed};
use time::{Duration, OffsetDateTime};
use tokio::sync::Notify;

mod failures;

use failures::Sprays;

use crate::base::error::ServiceError;

/// A counted event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rate {
    /// Any request.
    Request,
    /// A log-in that failed.
    FailedLogin,
    /// A sign-up, given back when it is completed.
    SignUp,
    /// A requested code, returned to the limit when it is used.
    CodeRequest,
    /// A new anonymous user.
    Anonymous,
    /// A user's writing call.
    Write,
    /// A user's question whether a name is free.
    NameCheck,
}

/// How many, in which time.
#[derive(Debug, Clone, Copy)]
struct RateLimit {
    most: u32,
    within: Duration,
}

/// The limits. The defaults are those of docs/security.md.
#[derive(Debug, Clone)]
pub struct RateRules {
    /// Requests of an address in a minute.
    pub requests: u32,
    /// Failed log-ins of an address in a minute.
    pub logins_a_minute: u32,
    /// Failed log-ins of an address in an hour.
    pub logins_an_hour: u32,
    /// Open sign-ups of an IPv6 prefix in an hour.
    pub sign_ups: u32,
    /// Unused code requests of an IPv6 prefix in an hour.
    pub code_requests: u32,
    /// How many times as much an IPv4 address may do of the two above, since many share one.
    pub ipv4_share: u32,
    /// How many times as much the /48 around an IPv6 prefix may do.
    pub site_share: u32,
    /// New anonymous users of an address in an hour.
    pub anonymous: u32,
    /// Writing calls of a user in a minute.
    pub writes: u32,
    /// A user's questions whether a name is free, in an hour.
    pub name_checks: u32,
    /// So many different handles failing from one address within an hour stop log-ins from it.
    pub sprayed_handles: usize,
    /// For how long.
    pub spray_pause: Duration,
    /// How long a request waits for pending attempts before it is refused.
    pub patience: std::time::Duration,
    /// Whether loopback is exempt: without a declared proxy, it is a developer on the same machine.
    pub skip_loopback: bool,
}

impl Default for RateRules {
    fn default() -> Self {
        Self {
            requests: 600,
            logins_a_minute: 20,
            logins_an_hour: 100,
            sign_ups: 10,
            code_requests: 10,
            ipv4_share: 10,
            site_share: 10,
            anonymous: 300,
            writes: 60,
            name_checks: 120,
            sprayed_handles: 30,
            spray_pause: Duration::minutes(15),
            patience: std::time::Duration::from_secs(20),
            skip_loopback: true,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Prefix(SourcePrefix),
    /// The untrusted web pages at a prefix.
    Pages(SourcePrefix),
    Site(SourcePrefix),
    User(AppId, UserId),
}

/// Two adjacent windows: the older one counts by the share that is still within the time.
#[derive(Default, Clone, Copy)]
struct Window {
    number: i64,
    current: u32,
    previous: u32,
}

type Counts = HashMap<(Rate, i64, Who), Window>;

#[derive(Default)]
struct Windows {
    counts: Counts,
    /// Attempts under way that count as failures when they fail.
    held: HashMap<Who, u32>,
    swept_at: Option<OffsetDateTime>,
}

/// The decision about an attempt that may fail.
enum Turn {
    /// It may begin.
    Now,
    /// The rest of the rate is reserved by pending attempts, which may still succeed.
    Later,
}

/// Stale keys are looked for so often, and only where there are many.
const SWEEP_EVERY: Duration = Duration::minutes(1);
const MANY_KEYS: usize = 10_000;
/// More keys than this are forgotten all at once: about 100 MiB.
const MOST_KEYS: usize = 1_000_000;

impl Windows {
    fn count(&mut self, rate: Rate, limits: &[(Who, RateLimit)], now: OffsetDateTime) {
        for (who, limit) in limits {
            let window = self.counts.entry((rate, limit.seconds(), *who)).or_default();
            window.move_to(now.unix_timestamp() / limit.seconds());
            window.current = window.current.saturating_add(1);
        }
    }

    fn sweep(&mut self, now: OffsetDateTime) {
        if self.counts.len() >= MOST_KEYS {
            tracing::warn!("too many addresses to count: all counters of addresses restart");
            self.counts.clear();
        }
        let is_due = self.swept_at.is_none_or(|swept| has_passed(SWEEP_EVERY, swept, now));
        if is_due && self.counts.len() > MANY_KEYS {
            self.counts.retain(|(_, seconds, _), window| now.unix_timestamp() / seconds - window.number < 2);
            self.swept_at = Some(now);
        }
    }
}

/// Refuses an attempt over a limit, or asks it to wait for the `held` ones. Reads only: a refusal leaves nothing
/// behind.
fn check_all(
    windows: &Windows,
    rate: Rate,
    limits: &[(Who, RateLimit)],
    now: OffsetDateTime,
) -> Result<Turn, ServiceError> {
    let mut turn = Turn::Now;
    for (who, limit) in limits {
        let seconds = limit.seconds();
        let mut window = windows.counts.get(&(rate, seconds, *who)).copied().unwrap_or_default();
        window.move_to(now.unix_timestamp() / seconds);
        let into = u64::try_from(now.unix_timestamp().rem_euclid(seconds)).unwrap_or(0);
        let whole = u64::try_from(seconds).unwrap_or(1);
        let weighted = u64::from(window.previous) * (whole - into) / whole + u64::from(window.current);
        if weighted >= u64::from(limit.most) {
            let wait = if window.current >= limit.most { whole - into } else { (whole - into) / 4 + 1 };
            return Err(ServiceError::TooMany { seconds: u32::try_from(wait).unwrap_or(u32::MAX) });
        }
        let held = if rate == Rate::FailedLogin { windows.held.get(who).copied().unwrap_or(0) } else { 0 };
        if weighted + u64::from(held) >= u64::from(limit.most) {
            turn = Turn::Later;
        }
    }
    Ok(turn)
}

/// Counts rates.
pub struct RateLimits {
    rules: RateRules,
    windows: Mutex<Windows>,
    sprays: Mutex<Sprays>,
    hasher: RandomState,
    is_behind_proxy: AtomicBool,
    /// Wakes all that wait for pending attempts.
    released: Notify,
}

impl RateLimits {
    pub(crate) fn new(rules: RateRules) -> Self {
        Self {
            rules,
            windows: Mutex::default(),
            sprays: Mutex::default(),
            hasher: RandomState::new(),
            is_behind_proxy: AtomicBool::new(false),
            released: Notify::new(),
        }
    }

    fn limits_of(&self, rate: Rate, source: Source) -> Vec<(Who, RateLimit)> {
        let rules = &self.rules;
        let is_v4 = matches!(source.address(), IpAddr::V4(_));
        let shared = |most: u32| if is_v4 { most.saturating_mul(rules.ipv4_share) } else { most };
        let (minute, hour) = (Duration::minutes(1), Duration::hours(1));
        let own: &[(u32, Duration)] = match rate {
            Rate::Request => &[(rules.requests, minute)],
            Rate::FailedLogin => &[(rules.logins_a_minute, minute), (rules.logins_an_hour, hour)],
            Rate::SignUp => &[(shared(rules.sign_ups), hour)],
            Rate::CodeRequest => &[(shared(rules.code_requests), hour)],
            Rate::Anonymous => &[(rules.anonymous, hour)],
            Rate::Write | Rate::NameCheck => &[],
        };
        // The wider one first: where it refuses, nothing is kept of the narrower.
        let mut limits = Vec::with_capacity(3 * own.len());
        for (most, within) in own.iter().copied() {
            if let Some(site) = source.site() {
                let most = most.saturating_mul(rules.site_share);
                limits.push((Who::Site(site), RateLimit { most, within }));
            }
            limits.push((Who::Prefix(source.prefix()), RateLimit { most, within }));
            if source.is_page() {
                // The other half is left to the visitor of the page.
                limits.push((Who::Pages(source.prefix()), RateLimit { most: most.div_ceil(2), within }));
            }
        }
        limits
    }

    fn is_skipped(&self, source: Source) -> bool {
        self.is_shared(source) && self.rules.skip_loopback && !self.is_behind_proxy.load(Ordering::Relaxed)
    }

    /// Whether many clients may share this address: that of a proxy, or loopback where no proxy is declared. It does not
    /// identify a client.
    pub(crate) fn is_shared(&self, source: Source) -> bool {
        source.is_proxys() || (self.rules.skip_loopback && source.address().is_loopback())
    }

    /// Counts loopback from now on: a request came through an undeclared proxy, so loopback is not a developer. Returns
    /// `true` the first time.
    pub fn end_loopback_exemption(&self) -> bool {
        self.rules.skip_loopback && !self.is_behind_proxy.swap(true, Ordering::Relaxed)
    }

    /// Whether loopback is not counted: no proxy is declared, and none was seen.
    #[must_use]
    pub fn exempts_loopback(&self) -> bool {
        self.rules.skip_loopback && !self.is_behind_proxy.load(Ordering::Relaxed)
    }

    /// Takes one for an address.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`], and nothing is taken.
    pub fn take(&self, rate: Rate, source: Source, now: OffsetDateTime) -> Result<(), ServiceError> {
        if self.is_skipped(source) {
            return Ok(());
        }
        self.take_all(rate, &self.limits_of(rate, source), now)
    }

    /// Takes one for a user.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`], and nothing is taken.
    pub fn take_for(
        &self,
        rate: Rate,
        app_id: AppId,
        user: UserId,
        now: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        let limit = match rate {
            Rate::NameCheck => RateLimit { most: self.rules.name_checks, within: Duration::hours(1) },
            _ => RateLimit { most: self.rules.writes, within: Duration::minutes(1) },
        };
        self.take_all(rate, &[(Who::User(app_id, user), limit)], now)
    }

    fn take_all(
        &self,
        rate: Rate,
        limits: &[(Who, RateLimit)],
        now: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.sweep(now);
        check_all(&windows, rate, limits, now)?;
        windows.count(rate, limits, now);
        Ok(())
    }

    /// Gives one back.
    pub fn give_back(&self, rate: Rate, source: Source) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        for (who, limit) in self.limits_of(rate, source) {
            if let Some(window) = windows.counts.get_mut(&(rate, limit.seconds(), who)) {
                window.current = window.current.saturating_sub(1);
            }
        }
    }
}

impl RateLimit {
    fn seconds(self) -> i64 {
        self.within.whole_seconds().max(1)
    }
}

impl Window {
    fn move_to(&mut self, number: i64) {
        if number == self.number {
            return;
        }
        self.previous = if number == self.number + 1 { self.current } else { 0 };
        self.current = 0;
        self.number = number;
    }
}

#[cfg(test)]
mod tests;
