//! Rates per address and per user, in this process's memory: exact counts of subjects are the database's.
//! With several instances each counts for itself, so that an address has up to as many times its share.
//!
//! Why no library: what is counted here can be given back (a completed sign-up, a right password), which the
//! usual rate limiters cannot.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use latchkey_domain::{AppId, Clock, Handle, Source, SourcePrefix, UserId};
use time::{Duration, OffsetDateTime};
use tokio::sync::Notify;

use crate::ServiceError;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rate {
    /// Any request.
    Request,
    /// A log-in that failed.
    FailedLogin,
    /// A sign-up, given back when it is completed.
    SignUp,
    /// A code that was asked for, given back when it is used.
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
    /// How long a request waits for others that may still fail or succeed, before it is told to come again.
    pub patience: std::time::Duration,
    /// Whether loopback is not counted: no proxy is declared, so it is somebody trying the server out.
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
    Site(SourcePrefix),
    User(AppId, UserId),
}

/// Two windows beside each other: the older one counts as far as it still lies within the time.
#[derive(Default, Clone, Copy)]
struct Window {
    number: i64,
    current: u32,
    previous: u32,
}

#[derive(Default)]
struct Sprays {
    of: HashMap<SourcePrefix, Spray>,
    swept_at: Option<OffsetDateTime>,
}

#[derive(Default)]
struct Spray {
    handles: Vec<u64>,
    /// Handles of attempts under way, each as often as it is tried.
    held: Vec<u64>,
    began: Option<OffsetDateTime>,
    paused_until: Option<OffsetDateTime>,
}

type Counts = HashMap<(Rate, i64, Who), Window>;

#[derive(Default)]
struct Windows {
    counts: Counts,
    /// Attempts under way that count as failures when they fail.
    held: HashMap<Who, u32>,
    swept_at: Option<OffsetDateTime>,
}

/// What an attempt that may fail has to do.
enum Turn {
    /// It may begin.
    Now,
    /// What is left of a rate is reserved by attempts under way: they may succeed yet.
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
            tracing::warn!("too many addresses to count: all counts of addresses begin anew");
            self.counts.clear();
        }
        let is_due = self.swept_at.is_none_or(|swept| now - swept >= SWEEP_EVERY);
        if is_due && self.counts.len() > MANY_KEYS {
            self.counts.retain(|(_, seconds, _), window| now.unix_timestamp() / seconds - window.number < 2);
            self.swept_at = Some(now);
        }
    }
}

/// Refuses what is over one of the limits, or says that it must wait for the `held` ones. Reads only: a refusal leaves
/// nothing behind.
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

/// The right of one attempt to fail: reserved before the work, so that no number of attempts at once fails more often than
/// one after the other could. Given back when it is dropped.
pub(crate) struct FailurePermit {
    limits: Arc<RateLimits>,
    source: Source,
    handle: Option<u64>,
}

impl FailurePermit {
    /// Counts the failure. `true` when that was one handle too many from this address.
    pub(crate) fn fail(self, now: OffsetDateTime) -> bool {
        let limits = &self.limits;
        if limits.is_skipped(self.source) {
            return false;
        }
        // It is counted before it is no longer reserved: nobody comes in between.
        let mut windows = limits.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.count(Rate::FailedLogin, &limits.limits_of(Rate::FailedLogin, self.source), now);
        self.handle.is_some_and(|handle| limits.note_failed_handle(self.source, handle, now))
    }
}

impl Drop for FailurePermit {
    fn drop(&mut self) {
        if self.limits.is_skipped(self.source) {
            return;
        }
        let mut windows = self.limits.windows.lock().unwrap_or_else(PoisonError::into_inner);
        self.limits.release(&mut windows, self.source, self.handle);
        drop(windows);
        self.limits.released.notify_waiters();
    }
}

/// Counts rates.
pub struct RateLimits {
    rules: RateRules,
    windows: Mutex<Windows>,
    sprays: Mutex<Sprays>,
    hasher: RandomState,
    /// Wakes whoever waits for attempts under way.
    released: Notify,
}

impl RateLimits {
    pub(crate) fn new(rules: RateRules) -> Self {
        Self {
            rules,
            windows: Mutex::default(),
            sprays: Mutex::default(),
            hasher: RandomState::new(),
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
        let mut limits = Vec::with_capacity(2 * own.len());
        for (most, within) in own.iter().copied() {
            if let Some(site) = source.site() {
                let most = most.saturating_mul(rules.site_share);
                limits.push((Who::Site(site), RateLimit { most, within }));
            }
            limits.push((Who::Prefix(source.prefix()), RateLimit { most, within }));
        }
        limits
    }

    fn is_skipped(&self, source: Source) -> bool {
        self.rules.skip_loopback && source.address().is_loopback()
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
        (app_id, user): (AppId, UserId),
        now: OffsetDateTime,
    ) -> Result<(), ServiceError> {
        let limit = match rate {
            Rate::NameCheck => RateLimit { most: self.rules.name_checks, within: Duration::hours(1) },
            _ => RateLimit { most: self.rules.writes, within: Duration::minutes(1) },
        };
        self.take_all(rate, &[(Who::User(app_id, user), limit)], now)
    }

    /// Reserves the right to fail for an attempt from this address, with this handle if it names one. Where the rest of
    /// the rate is reserved, it waits for those under way: if they succeed, it has its turn, if they fail, it is refused.
    /// Users who are known to log in from there (`is_known`) are not refused for the handles that others try.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`]; [`ServiceError::Busy`] when those under way take too long.
    pub(crate) async fn reserve_failure(
        self: &Arc<Self>,
        source: Source,
        (handle, is_known): (Option<&Handle>, bool),
        clock: &dyn Clock,
    ) -> Result<FailurePermit, ServiceError> {
        let handle = handle.map(|handle| self.hasher.hash_one(handle.key()));
        let permit = || FailurePermit { limits: Arc::clone(self), source, handle };
        let deadline = tokio::time::Instant::now() + self.rules.patience;
        loop {
            // Before the look: whoever is released after it wakes us.
            let mut released = std::pin::pin!(self.released.notified());
            released.as_mut().enable();
            if self.try_reserve(source, (handle, is_known), clock.now())? {
                return Ok(permit());
            }
            if tokio::time::timeout_at(deadline, released).await.is_err() {
                return Err(ServiceError::Busy);
            }
        }
    }

    fn try_reserve(
        &self,
        source: Source,
        (handle, is_known): (Option<u64>, bool),
        now: OffsetDateTime,
    ) -> Result<bool, ServiceError> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_known && handle.is_some() {
            self.check_spray(source, now)?;
        }
        if self.is_skipped(source) {
            return Ok(true);
        }
        let limits = self.limits_of(Rate::FailedLogin, source);
        if matches!(check_all(&windows, Rate::FailedLogin, &limits, now)?, Turn::Later) {
            return Ok(false);
        }
        if let Some(handle) = handle {
            let mut sprays = self.sprays.lock().unwrap_or_else(PoisonError::into_inner);
            let spray = sprays.of.entry(source.prefix()).or_default();
            if !is_known && spray.would_be(handle, now) > self.rules.sprayed_handles {
                return Ok(false);
            }
            spray.held.push(handle);
        }
        for who in whose(&limits) {
            *windows.held.entry(who).or_default() += 1;
        }
        Ok(true)
    }

    /// Gives the right to fail back.
    fn release(&self, windows: &mut Windows, source: Source, handle: Option<u64>) {
        for who in whose(&self.limits_of(Rate::FailedLogin, source)) {
            if let Some(held) = windows.held.get_mut(&who) {
                *held = held.saturating_sub(1);
                if *held == 0 {
                    windows.held.remove(&who);
                }
            }
        }
        if let Some(handle) = handle {
            let mut sprays = self.sprays.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(spray) = sprays.of.get_mut(&source.prefix())
                && let Some(at) = spray.held.iter().position(|held| *held == handle)
            {
                spray.held.swap_remove(at);
            }
        }
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

    /// Refuses an address that has tried too many handles.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`].
    fn check_spray(&self, source: Source, now: OffsetDateTime) -> Result<(), ServiceError> {
        let sprays = self.sprays.lock().unwrap_or_else(PoisonError::into_inner);
        let until = sprays.of.get(&source.prefix()).and_then(|spray| spray.paused_until);
        match until.filter(|until| now < *until) {
            // No pause is longer than one, whatever the clock did.
            Some(until) if until - now <= self.rules.spray_pause => {
                let seconds = (until - now).whole_seconds() + 1;
                Err(ServiceError::TooMany { seconds: u32::try_from(seconds).unwrap_or(u32::MAX) })
            }
            _ => Ok(()),
        }
    }

    /// Notes that a log-in with this handle failed from this address. `true` when that was one too many.
    fn note_failed_handle(&self, source: Source, mark: u64, now: OffsetDateTime) -> bool {
        let mut sprays = self.sprays.lock().unwrap_or_else(PoisonError::into_inner);
        if sprays.of.len() >= MOST_KEYS {
            sprays.of.clear();
        }
        let is_due = sprays.swept_at.is_none_or(|swept| now - swept >= SWEEP_EVERY);
        if is_due && sprays.of.len() > MANY_KEYS {
            sprays.of.retain(|_, spray| spray.is_live(now) || !spray.held.is_empty());
            sprays.swept_at = Some(now);
        }
        let spray = sprays.of.entry(source.prefix()).or_default();
        if spray.is_over(now) {
            spray.handles.clear();
            spray.began = Some(now);
        }
        if !spray.handles.contains(&mark) {
            spray.handles.push(mark);
        }
        let is_too_many = spray.handles.len() >= self.rules.sprayed_handles;
        if is_too_many {
            spray.handles.clear();
            (spray.began, spray.paused_until) = (None, Some(now + self.rules.spray_pause));
        }
        is_too_many
    }
}

/// Each address or user once, in however many windows it is counted.
fn whose(limits: &[(Who, RateLimit)]) -> Vec<Who> {
    let mut all: Vec<Who> = Vec::with_capacity(limits.len());
    for (who, _) in limits {
        if !all.contains(who) {
            all.push(*who);
        }
    }
    all
}

impl Spray {
    /// Whether the hour in which handles are counted is over.
    fn is_over(&self, now: OffsetDateTime) -> bool {
        self.began.is_none_or(|began| !(Duration::ZERO..Duration::hours(1)).contains(&(now - began)))
    }

    /// How many different handles would have failed if this one and all under way failed.
    fn would_be(&self, handle: u64, now: OffsetDateTime) -> usize {
        let failed: &[u64] = if self.is_over(now) { &[] } else { &self.handles };
        let mut all: Vec<u64> = failed.iter().chain(&self.held).copied().chain([handle]).collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    }

    fn is_live(&self, now: OffsetDateTime) -> bool {
        self.began.is_some_and(|began| now - began < Duration::hours(1))
            || self.paused_until.is_some_and(|until| now < until)
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
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::at(text.parse().unwrap())
    }

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_700_000_000 - 1_700_000_000 % 3_600 + seconds).unwrap()
    }

    fn taken(limits: &RateLimits, rate: Rate, from: &str, number: usize, now: OffsetDateTime) -> usize {
        (0..number).filter(|_| limits.take(rate, source(from), now).is_ok()).count()
    }

    #[test]
    fn what_is_taken_comes_back_with_time_or_when_it_is_given_back() {
        let limits = RateLimits::new(RateRules::default());
        assert_eq!(taken(&limits, Rate::FailedLogin, "192.0.2.1", 30, at(0)), 20);
        let error = limits.take(Rate::FailedLogin, source("192.0.2.1"), at(10)).unwrap_err();
        assert!(matches!(error, ServiceError::TooMany { seconds: 50 }), "{error:?}");
        limits.give_back(Rate::FailedLogin, source("192.0.2.1"));
        assert_eq!(taken(&limits, Rate::FailedLogin, "192.0.2.1", 5, at(10)), 1);
        // Half a minute into the next one, half of the last one still counts.
        assert_eq!(taken(&limits, Rate::FailedLogin, "192.0.2.1", 30, at(90)), 10);
        assert_eq!(taken(&limits, Rate::FailedLogin, "192.0.2.1", 30, at(600)), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn sec_018_whoever_finds_the_rest_reserved_waits_and_is_told_when_that_takes_too_long() {
        let limits = Arc::new(RateLimits::new(RateRules { logins_a_minute: 2, ..RateRules::default() }));
        let clock = latchkey_domain::ManualClock::at(1_700_000_000);
        let reserve = async |limits: &Arc<RateLimits>| {
            limits.reserve_failure(source("192.0.2.1"), (None, false), &clock).await
        };
        let (first, second) = (reserve(&limits).await.unwrap(), reserve(&limits).await.unwrap());
        // One that succeeds makes room; one that fails does not.
        let (third, ()) = tokio::join!(reserve(&limits), async { drop(first) });
        let third = third.unwrap();
        assert!(!second.fail(clock.now()));
        let waited = reserve(&limits).await;
        assert!(matches!(waited, Err(ServiceError::Busy)), "after the patience of the rules");
        assert!(!third.fail(clock.now()));
        assert!(matches!(reserve(&limits).await, Err(ServiceError::TooMany { .. })));
        assert!(limits.windows.lock().unwrap().held.is_empty());
        assert!(limits.reserve_failure(source("192.0.2.2"), (None, false), &clock).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn sec_018_handles_under_way_count_among_those_that_failed() {
        let rules =
            RateRules { sprayed_handles: 3, patience: std::time::Duration::ZERO, ..RateRules::default() };
        let limits = Arc::new(RateLimits::new(rules));
        let clock = latchkey_domain::ManualClock::at(1_700_000_000);
        let reserve = async |name: &str, is_known| {
            let handle = Handle::parse(name).unwrap();
            limits.reserve_failure(source("192.0.2.1"), (Some(&handle), is_known), &clock).await
        };
        let held = [reserve("a", false).await.unwrap(), reserve("b", false).await.unwrap()];
        let third = reserve("c", false).await.unwrap();
        assert!(matches!(reserve("d", false).await, Err(ServiceError::Busy)), "a fourth handle waits");
        assert!(reserve("a", false).await.is_ok(), "one of the three does not");
        assert!(reserve("d", true).await.is_ok(), "nor does a user who is known there");
        drop(third);
        assert!(reserve("d", false).await.is_ok());
        let told: Vec<bool> = held.into_iter().map(|permit| permit.fail(clock.now())).collect();
        assert_eq!(told, [false, false]);
        assert!(reserve("c", false).await.unwrap().fail(clock.now()), "the third handle that failed");
        assert!(matches!(reserve("a", false).await, Err(ServiceError::TooMany { seconds: 901 })));
    }

    #[test]
    fn sec_016_spellings_share_a_bucket_and_a_site_has_one_too() {
        let limits = RateLimits::new(RateRules::default());
        assert_eq!(taken(&limits, Rate::SignUp, "192.0.2.1", 200, at(0)), 100);
        assert_eq!(taken(&limits, Rate::SignUp, "::ffff:192.0.2.1", 9, at(0)), 0);
        let mut all = 0;
        for subnet in 0..0x1_0000_u32 {
            all += taken(&limits, Rate::SignUp, &format!("2001:db8:1:{subnet:x}::1"), 1, at(0));
        }
        assert_eq!(all, 100, "the /48 has ten times the share of a /64");
        assert_eq!(taken(&limits, Rate::SignUp, "2001:db8:2::1", 20, at(0)), 10);
    }

    #[test]
    fn refusals_leave_nothing_behind_and_stale_keys_go() {
        let limits = RateLimits::new(RateRules::default());
        for subnet in 0..0x1_0000_u32 {
            taken(&limits, Rate::SignUp, &format!("2001:db8:1:{subnet:x}::1"), 1, at(0));
        }
        let kept = |limits: &RateLimits| limits.windows.lock().unwrap().counts.len();
        assert_eq!(kept(&limits), 101, "a hundred prefixes and their /48");
        for number in 0..20_000_u32 {
            taken(
                &limits,
                Rate::SignUp,
                &format!("2001:{:x}:{:x}::1", number / 100, number % 100),
                1,
                at(60),
            );
        }
        assert!(kept(&limits) > 40_000);
        taken(&limits, Rate::SignUp, "192.0.2.1", 1, at(3 * 3_600));
        assert_eq!(kept(&limits), 1);
    }

    #[test]
    fn loopback_is_counted_where_a_proxy_is_declared() {
        let limits = RateLimits::new(RateRules::default());
        assert_eq!(taken(&limits, Rate::FailedLogin, "127.0.0.1", 30, at(0)), 30);
        let strict = RateLimits::new(RateRules { skip_loopback: false, ..RateRules::default() });
        assert_eq!(taken(&strict, Rate::FailedLogin, "127.0.0.1", 30, at(0)), 20);
    }

    #[test]
    fn a_user_has_a_share_of_writes() {
        let limits = RateLimits::new(RateRules::default());
        let (app_id, user) = (AppId::from_bytes([7; 16]), UserId::from_bytes([1; 16]));
        let taken = |rate| (0..200).filter(|_| limits.take_for(rate, (app_id, user), at(0)).is_ok()).count();
        assert_eq!((taken(Rate::Write), taken(Rate::NameCheck)), (60, 120));
    }
}
