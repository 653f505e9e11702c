//! Turns: how many of one kind go on at once, so that the others are not kept waiting.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ServiceError;

/// More entries than this are looked through for those that nobody waits for.
const MANY: usize = 1_000;

/// Turns of each key.
pub(crate) struct Turns<K>(Mutex<HashMap<K, Arc<Semaphore>>>);

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Turns<K> {
    /// Waits for a turn, of which there are `at_once`. It lasts until the permit is dropped.
    pub(crate) async fn enter(&self, key: K, at_once: u32) -> Result<OwnedSemaphorePermit, ServiceError> {
        let turns = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= MANY {
                all.retain(|_, turns| Arc::strong_count(turns) > 1);
            }
            let turns = all
                .entry(key)
                .or_insert_with(|| Arc::new(Semaphore::new(usize::try_from(at_once.max(1)).unwrap_or(1))));
            Arc::clone(turns)
        };
        turns.acquire_owned().await.map_err(|error| ServiceError::Internal(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
