//! The port through which time comes in, the system clock behind it and one that tests move by hand.
//! Nothing else in the workspace reads the time of day.

use std::sync::{Mutex, OnceLock};
use std::time::{Duration as Elapsed, Instant};

use time::{Duration, OffsetDateTime};

/// Tells the time. All times are UTC with whole microseconds, which both databases keep exactly.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> OffsetDateTime;

    /// How much time has passed since some fixed moment. Setting the clock does not change it.
    fn elapsed(&self) -> Elapsed;
}

/// Whether so much time has passed since then. A clock that was set back makes a wait no longer than twice its length.
#[must_use]
pub fn has_passed(length: Duration, since: OffsetDateTime, now: OffsetDateTime) -> bool {
    (now - since).abs() >= length
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the time of day")]
        whole_microseconds(OffsetDateTime::now_utc())
    }

    fn elapsed(&self) -> Elapsed {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock(Mutex<(OffsetDateTime, Elapsed)>);

impl ManualClock {
    /// A clock that shows `start`, a number of seconds since 1970.
    #[must_use]
    pub fn at(start: i64) -> Self {
        let start = OffsetDateTime::from_unix_timestamp(start).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Self(Mutex::new((start, Elapsed::ZERO)))
    }

    /// Lets time pass. A negative time sets the clock back.
    pub fn advance(&self, by: Duration) {
        let mut clock = self.lock();
        clock.0 += by;
        if by.is_positive() {
            clock.1 += by.unsigned_abs();
        }
    }

    /// Sets the clock forward or back, in no time.
    pub fn jump(&self, by: Duration) {
        self.lock().0 += by;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (OffsetDateTime, Elapsed)> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        whole_microseconds(self.lock().0)
    }

    fn elapsed(&self) -> Elapsed {
        self.lock().1
    }
}

fn whole_microseconds(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(time.microsecond() * 1_000).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_shows_what_it_is_set_to_and_what_has_passed() {
        let clock = ManualClock::at(100);
        let shown = || (clock.now().unix_timestamp(), clock.elapsed().as_secs());
        assert_eq!(shown(), (100, 0));
        clock.advance(Duration::seconds(2));
        assert_eq!(shown(), (102, 2));
        clock.advance(Duration::seconds(-1));
        assert_eq!(shown(), (101, 2), "no time passes backwards");
        clock.jump(Duration::seconds(60));
        assert_eq!(shown(), (161, 2), "a clock that is set moves no time");
        clock.jump(Duration::seconds(-61));
        assert_eq!(shown(), (100, 2));
    }

    #[test]
    fn times_are_whole_microseconds() {
        let clock = ManualClock::at(0);
        clock.advance(Duration::nanoseconds(1_234_567));
        assert_eq!(clock.now().nanosecond(), 1_234_000);
    }

    #[test]
    fn the_time_that_has_passed_grows() {
        let clock = SystemClock;
        let first = clock.elapsed();
        while clock.elapsed() <= first {
            std::hint::spin_loop();
        }
    }
}
