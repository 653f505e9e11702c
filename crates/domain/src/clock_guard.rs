//! Telling a clock that jumped from time that passed: what deletes by age waits until a new time has held.

use std::time::Duration as Elapsed;

use time::{Duration, OffsetDateTime};

/// Differences between the clock and the elapsed time that are not a jump: slow drift, a leap second, NTP at work.
const DRIFT: Duration = Duration::minutes(5);
/// How long a clock must have kept its new time before it is believed.
const CONFIRMED_AFTER: Elapsed = Elapsed::from_secs(3_600);

/// The result of a check of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// It runs as time passes.
    Steady,
    /// It has just jumped by this much.
    Jumped(Duration),
    /// It jumped less than an hour ago.
    Unconfirmed,
    /// It has kept its new time for an hour, and is believed from now on.
    Confirmed,
}

impl ClockState {
    /// Whether rows may be deleted for their age.
    #[must_use]
    pub fn is_trusted(self) -> bool {
        matches!(self, Self::Steady | Self::Confirmed)
    }
}

/// Compares the clock with the time that passes while it is not set.
#[derive(Debug)]
pub struct ClockGuard {
    trusted: (OffsetDateTime, Elapsed),
    candidate: Option<(OffsetDateTime, Elapsed)>,
}

impl ClockGuard {
    /// Begins at a start: `newest` is the time of the newest row, `elapsed` counts from any fixed moment. A server that
    /// was stopped for long finds its newest row in the past, and believes the clock; a clock that is behind that row
    /// was ahead once, or is wrong now.
    #[must_use]
    pub fn new(now: OffsetDateTime, elapsed: Elapsed, newest: Option<OffsetDateTime>) -> Self {
        match newest.filter(|newest| *newest - now > DRIFT) {
            Some(newest) => Self { trusted: (newest, elapsed), candidate: Some((now, elapsed)) },
            None => Self { trusted: (now, elapsed), candidate: None },
        }
    }

    /// Looks at the clock.
    pub fn look(&mut self, now: OffsetDateTime, elapsed: Elapsed) -> ClockState {
        if is_on_time(self.trusted.0, self.trusted.1, now, elapsed) {
            (self.trusted, self.candidate) = ((now, elapsed), None);
            return ClockState::Steady;
        }
        match self.candidate {
            Some((_, since))
                if elapsed.saturating_sub(since) >= CONFIRMED_AFTER && self.is_candidate(now, elapsed) =>
            {
                (self.trusted, self.candidate) = ((now, elapsed), None);
                ClockState::Confirmed
            }
            Some(_) if self.is_candidate(now, elapsed) => ClockState::Unconfirmed,
            _ => {
                let expected = self.trusted.0 + elapsed.saturating_sub(self.trusted.1);
                self.candidate = Some((now, elapsed));
                ClockState::Jumped(now - expected)
            }
        }
    }

    /// Believes the clock at once: an operator said so.
    pub fn trust(&mut self, now: OffsetDateTime, elapsed: Elapsed) {
        (self.trusted, self.candidate) = ((now, elapsed), None);
    }

    fn is_candidate(&self, now: OffsetDateTime, elapsed: Elapsed) -> bool {
        self.candidate.is_some_and(|(then, at)| is_on_time(then, at, now, elapsed))
    }
}

fn is_on_time(then: OffsetDateTime, at: Elapsed, now: OffsetDateTime, elapsed: Elapsed) -> bool {
    let passed = elapsed.saturating_sub(at);
    (now - then - passed).abs() <= DRIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_700_000_000 + seconds).unwrap()
    }

    fn after(seconds: u64) -> Elapsed {
        Elapsed::from_secs(1_000 + seconds)
    }

    #[test]
    fn sec_130_a_jump_is_believed_after_an_hour() {
        let mut guard = ClockGuard::new(at(0), after(0), Some(at(-100 * DAY)));
        assert_eq!(guard.look(at(60), after(60)), ClockState::Steady, "a long stop is no jump");
        let ahead = 91 * DAY;
        assert_eq!(guard.look(at(ahead + 120), after(120)), ClockState::Jumped(Duration::days(91)));
        assert_eq!(guard.look(at(ahead + 1_800), after(1_800)), ClockState::Unconfirmed);
        assert_eq!(guard.look(at(ahead + 3_719), after(3_719)), ClockState::Unconfirmed);
        assert_eq!(guard.look(at(ahead + 3_720), after(3_720)), ClockState::Confirmed);
        assert_eq!(guard.look(at(ahead + 3_780), after(3_780)), ClockState::Steady);
    }

    #[test]
    fn sec_130_a_clock_that_comes_back_was_never_believed() {
        let mut guard = ClockGuard::new(at(0), after(0), None);
        assert!(!guard.look(at(91 * DAY), after(2)).is_trusted());
        assert_eq!(guard.look(at(4), after(4)), ClockState::Steady);
        // Nor is one that keeps jumping.
        for minute in 1..200 {
            let now = at(i64::try_from(minute).unwrap() * DAY);
            let state = guard.look(now, after(4 + minute * 60));
            assert!(matches!(state, ClockState::Jumped(_)) && !state.is_trusted(), "{minute}");
        }
        assert!(ClockState::Steady.is_trusted() && ClockState::Confirmed.is_trusted());
        assert!(!ClockState::Unconfirmed.is_trusted());
        guard.trust(at(500 * DAY), after(20_000));
        assert_eq!(guard.look(at(500 * DAY + 60), after(20_060)), ClockState::Steady);
    }

    #[test]
    fn sec_130_a_start_behind_the_newest_row_waits() {
        let mut guard = ClockGuard::new(at(0), after(0), Some(at(91 * DAY)));
        assert_eq!(guard.look(at(1), after(1)), ClockState::Unconfirmed);
        assert_eq!(guard.look(at(3_600), after(3_600)), ClockState::Confirmed);
        let mut guard = ClockGuard::new(at(0), after(0), Some(at(60)));
        assert_eq!(guard.look(at(1), after(1)), ClockState::Steady, "instances may differ by a minute");
    }

    #[test]
    fn sec_130_drift_is_no_jump() {
        let mut guard = ClockGuard::new(at(0), after(0), None);
        let mut now = 0;
        for minute in 1..1_000 {
            // One second too fast in each minute.
            now += 61;
            assert_eq!(guard.look(at(now), after(minute * 60)), ClockState::Steady);
        }
    }
}
