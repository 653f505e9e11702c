//! Turns: limits the number of concurrent operations of one kind.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::error::ServiceError;

/// Above this number of entries, unused ones are removed.
const MANY: usize = 1_000;

/// Turns of each key.
pub(crate) struct Turns<K>(Mutex<HashMap<K, Arc<Semaphore>>>);

/// How many wait for a turn to read, and how long: more would wait longer than their requests may take.
const MOST_WAITING: usize = 16;
const PATIENCE: Duration = Duration::from_secs(10);

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Turns<K> {
    /// Waits for a turn, of which there are `at_once`. It lasts until the permit is dropped.
    pub(crate) async fn enter(&self, key: K, at_once: u32) -> Result<OwnedSemaphorePermit, ServiceError> {
        let turns = self.turns_of(key, at_once);
        turns.acquire_owned().await.map_err(|error| ServiceError::Internal(error.into()))
    }

    /// Waits like [`Turns::enter`], but in a queue of bounded length and for a bounded time.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] at once when many wait, or when the wait takes too long.
    pub(crate) async fn enter_soon(
        &self,
        key: K,
        at_once: u32,
    ) -> Result<OwnedSemaphorePermit, ServiceError> {
        let turns = self.turns_of(key, at_once);
        // Waiting callers hold one of these, as do running ones, the map, and this function.
        if Arc::strong_count(&turns) >= MOST_WAITING + 2 + usize::try_from(at_once).unwrap_or(usize::MAX) {
            return Err(ServiceError::Busy);
        }
        let turn = tokio::time::timeout(PATIENCE, turns.acquire_owned()).await;
        turn.map_err(|_| ServiceError::Busy)?.map_err(|error| ServiceError::Internal(error.into()))
    }

    fn turns_of(&self, key: K, at_once: u32) -> Arc<Semaphore> {
        {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= MANY {
                all.retain(|_, turns| Arc::strong_count(turns) > 1);
            }
            let turns = all
                .entry(key)
                .or_insert_with(|| Arc::new(Semaphore::new(usize::try_from(at_once.max(1)).unwrap_or(1))));
            Arc::clone(turns)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn enter(turns: &Turns<usize>, key: usize) -> Option<OwnedSemaphorePermit> {
        tokio::time::timeout(Duration::from_secs(1), turns.enter(key, 2)).await.ok().map(Result::unwrap)
    }

    #[tokio::test(start_paused = true)]
    async fn sec_090_one_key_takes_its_turns_and_no_others() {
        let turns = Turns::default();
        let (first, second) = (enter(&turns, 1).await, enter(&turns, 1).await);
        assert!(first.is_some() && second.is_some() && enter(&turns, 1).await.is_none());
        assert!(enter(&turns, 2).await.is_some());
        drop(first);
        assert!(enter(&turns, 1).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn sec_090_a_line_has_an_end() {
        let turns = Turns::default();
        let held = turns.enter_soon(1, 1).await.unwrap();
        let waiting = (0..40).map(|_| async {
            let began = tokio::time::Instant::now();
            let refused = turns.enter_soon(1, 1).await;
            (matches!(refused, Err(ServiceError::Busy)), began.elapsed())
        });
        let waited = futures_util::future::join_all(waiting).await;
        assert!(waited.iter().all(|(is_refused, _)| *is_refused));
        assert_eq!(waited.iter().filter(|(_, time)| *time >= PATIENCE).count(), MOST_WAITING);
        drop(held);
        assert!(turns.enter_soon(1, 1).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_nobody_waits_for_are_forgotten() {
        let turns = Turns::default();
        let held = (enter(&turns, 0).await, enter(&turns, 0).await);
        for key in 1..=2 * MANY {
            enter(&turns, key).await;
        }
        assert!(turns.0.lock().unwrap().len() <= MANY);
        assert!(enter(&turns, 0).await.is_none(), "it is still held");
        drop(held);
    }
}
