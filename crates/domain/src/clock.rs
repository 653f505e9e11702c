//! The port through which time comes in, the system clock behind it and one that tests move by hand.
//! Nothing else in the workspace reads the time of day.

use std::sync::Mutex;

use time::{Duration, OffsetDateTime};

/// Tells the time. All times are UTC with whole microseconds, which both databases keep exactly.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> OffsetDateTime;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the time of day")]
        whole_microseconds(OffsetDateTime::now_utc())
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock(Mutex<OffsetDateTime>);

impl ManualClock {
    /// A clock that shows `start`, a number of seconds since 1970.
    #[must_use]
    pub fn at(start: i64) -> Self {
        Self(Mutex::new(OffsetDateTime::from_unix_timestamp(start).unwrap_or(OffsetDateTime::UNIX_EPOCH)))
    }

    /// Moves the clock, backwards if `by` is negative.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        whole_microseconds(*self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

fn whole_microseconds(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(time.microsecond() * 1_000).unwrap_or(time)
}
