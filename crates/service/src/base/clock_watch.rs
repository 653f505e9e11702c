//! Watching the clock, so that one that jumps deletes nothing (SEC-130).

use std::sync::{Mutex, PoisonError};

use latchkey_domain::{ClockGuard, ClockState};

use crate::base::error::ServiceError;
use crate::service::Service;

/// The guard, and whether the time known to the database was read.
pub(crate) struct ClockWatch(Mutex<(ClockGuard, bool)>);

impl ClockWatch {
    pub(crate) fn new(guard: ClockGuard) -> Self {
        Self(Mutex::new((guard, false)))
    }

    fn with<T>(&self, look: impl FnOnce(&mut (ClockGuard, bool)) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Service {
    /// Looks at the clock, and logs what is new about it.
    pub(crate) fn look_at_clock(&self) -> ClockState {
        let (now, elapsed) = (self.inner.clock.now(), self.inner.clock.elapsed());
        let state = self.inner.clock_watch.with(|(guard, _)| guard.look(now, elapsed));
        match state {
            ClockState::Jumped(by) => tracing::warn!(
                jumped_seconds = by.whole_seconds(),
                %now,
                "the clock jumped: nothing is deleted for its age until it has kept the new time for an hour; \
                 if it is right, run: latchkey jobs run --now"
            ),
            ClockState::Confirmed => {
                tracing::info!(%now, "the clock has kept its new time for an hour and is believed");
            }
            ClockState::Steady | ClockState::Unconfirmed => {}
        }
        state
    }

    /// The same, beginning with what the database knows: a clock that is behind its newest row waits.
    pub(crate) async fn is_clock_trusted(&self) -> Result<bool, ServiceError> {
        if !self.inner.clock_watch.with(|(_, is_compared)| *is_compared) {
            let newest = self.transact("clock.newest", |repos| Ok(repos.upkeep().newest_time()?));
            let newest = newest.await?;
            let (now, elapsed) = (self.inner.clock.now(), self.inner.clock.elapsed());
            self.inner.clock_watch.with(|watch| *watch = (ClockGuard::new(now, elapsed, newest), true));
        }
        Ok(self.look_at_clock().is_trusted())
    }

    /// Trusts the clock from now on: an operator has confirmed it.
    pub(crate) fn trust_clock(&self) {
        let (now, elapsed) = (self.inner.clock.now(), self.inner.clock.elapsed());
        self.inner.clock_watch.with(|(guard, is_compared)| {
            guard.trust(now, elapsed);
            *is_compared = true;
        });
    }
}
