//! Failed log-ins per address. An attempt reserves its failure before it is made, and gives it back if it succeeds.
//! Addresses that fail with many handles have to wait.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::{Arc, PoisonError};

use latchkey_domain::{Clock, Handle, Source, SourcePrefix, has_passed};
use time::{Duration, OffsetDateTime};

use super::{MANY_KEYS, MOST_KEYS, Rate, RateLimit, RateLimits, SWEEP_EVERY, Turn, Who, Windows, check_all};
use crate::base::error::ServiceError;

#[derive(Default)]
pub(super) struct Sprays {
    /// By address prefix; `true` for untrusted web pages at that prefix.
    of: HashMap<(SourcePrefix, bool), Spray>,
    swept_at: Option<OffsetDateTime>,
}

#[derive(Default)]
pub(super) struct Spray {
    handles: Vec<u64>,
    /// Handles of pending attempts, each with their number.
    held: Vec<u64>,
    began: Option<OffsetDateTime>,
    paused_until: Option<OffsetDateTime>,
}

/// The right of one attempt to fail: reserved before the work, so that no number of attempts at once fails more often
/// than one after the other could. Given back when it is dropped.
pub(crate) struct FailurePermit {
    limits: Arc<RateLimits>,
    source: Source,
    handle: Option<u64>,
    /// Whether it is held of the address's rate.
    is_held: bool,
}

impl FailurePermit {
    /// Counts the failure. `true` when that was one handle too many from this address.
    pub(crate) fn fail(self, now: OffsetDateTime) -> bool {
        let limits = &self.limits;
        if limits.is_skipped(self.source) {
            return false;
        }
        // Counted before the reservation ends, so that no other attempt fits in between.
        let mut windows = limits.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.count(Rate::FailedLogin, &limits.limits_of(Rate::FailedLogin, self.source), now);
        self.handle.is_some_and(|handle| limits.note_failed_handle(self.source, handle, now))
    }
}

impl Drop for FailurePermit {
    fn drop(&mut self) {
        if !self.is_held || self.limits.is_skipped(self.source) {
            return;
        }
        let mut windows = self.limits.windows.lock().unwrap_or_else(PoisonError::into_inner);
        self.limits.release(&mut windows, self.source, self.handle);
        drop(windows);
        self.limits.released.notify_waiters();
    }
}

impl RateLimits {
    /// Reserves the right to fail for an attempt from this address, with this handle if it names one. If the rest of
    /// the rate is reserved, it waits for the pending attempts: it proceeds if they succeed, and is refused if they
    /// fail. Users who are known to log in from there (`is_known`) are not refused because of other users' failures:
    /// their own slow them down.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`]; [`ServiceError::Busy`] when the pending attempts take too long.
    pub(crate) async fn reserve_failure(
        self: &Arc<Self>,
        source: Source,
        handle: Option<&Handle>,
        is_known: bool,
        clock: &dyn Clock,
    ) -> Result<FailurePermit, ServiceError> {
        let handle = handle.map(|handle| self.hasher.hash_one(handle.key()));
        let permit = || FailurePermit { limits: Arc::clone(self), source, handle, is_held: !is_known };
        if is_known {
            return Ok(permit());
        }
        let deadline = tokio::time::Instant::now() + self.rules.patience;
        loop {
            // Registered before the check, so that no wake-up is missed.
            let mut released = std::pin::pin!(self.released.notified());
            released.as_mut().enable();
            if self.try_reserve(source, handle, clock.now())? {
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
        handle: Option<u64>,
        now: OffsetDateTime,
    ) -> Result<bool, ServiceError> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if handle.is_some() {
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
            let spray = sprays.of.entry(sprayed(source)).or_default();
            if spray.would_be(handle, now) > self.rules.sprayed_handles {
                return Ok(false);
            }
            spray.held.push(handle);
        }
        for who in whose(&limits) {
            *windows.held.entry(who).or_default() += 1;
        }
        Ok(true)
    }

    /// Refuses an address as it refuses one whose right to fail is used up.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`].
    pub(crate) fn check_failures(&self, source: Source, now: OffsetDateTime) -> Result<(), ServiceError> {
        self.check_spray(source, now)?;
        if self.is_skipped(source) {
            return Ok(());
        }
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        check_all(&windows, Rate::FailedLogin, &self.limits_of(Rate::FailedLogin, source), now).map(|_| ())
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
            if let Some(spray) = sprays.of.get_mut(&sprayed(source))
                && let Some(at) = spray.held.iter().position(|held| *held == handle)
            {
                spray.held.swap_remove(at);
            }
        }
    }

    /// Refuses an address that has tried too many handles.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`].
    fn check_spray(&self, source: Source, now: OffsetDateTime) -> Result<(), ServiceError> {
        let sprays = self.sprays.lock().unwrap_or_else(PoisonError::into_inner);
        let until = sprays.of.get(&sprayed(source)).and_then(|spray| spray.paused_until);
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
        let is_due = sprays.swept_at.is_none_or(|swept| has_passed(SWEEP_EVERY, swept, now));
        if is_due && sprays.of.len() > MANY_KEYS {
            sprays.of.retain(|_, spray| spray.is_live(now) || !spray.held.is_empty());
            sprays.swept_at = Some(now);
        }
        let spray = sprays.of.entry(sprayed(source)).or_default();
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

/// Key under which failed handles of a source are counted.
fn sprayed(source: Source) -> (SourcePrefix, bool) {
    (source.prefix(), source.is_page())
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
        self.began.is_none_or(|began| has_passed(Duration::hours(1), began, now))
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
        !self.is_over(now) || self.paused_until.is_some_and(|until| now < until)
    }
}
