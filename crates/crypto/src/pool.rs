//! The bounded pool on which everything expensive runs: password hashes and key generation.
//! As many threads as cores, a queue with an end, nothing that grows with the number of clients.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// The queue has reached its end: come back later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue for password hashes is full")]
pub struct PoolFull;

struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    capacity: usize,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Threads that work off a bounded queue. Dropping the pool finishes what is queued.
pub struct HashPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl HashPool {
    /// A pool of `threads` (at least one) with a queue of `capacity`.
    ///
    /// # Errors
    /// The system's refusal to start a thread.
    pub fn new(threads: usize, capacity: usize) -> Result<Self, std::io::Error> {
        let queue = Mutex::new(Queue { jobs: VecDeque::new(), closed: false });
        let shared = Arc::new(Shared { queue, changed: Condvar::new(), capacity });
        let threads = (0..threads.max(1))
            .map(|number| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new().name(format!("hash-{number}")).spawn(move || {
                    while let Some(job) = shared.next() {
                        // A job that panics has dropped its answer; the thread lives on for the others.
                        let _ = catch_unwind(AssertUnwindSafe(job));
                    }
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { shared, threads })
    }

    /// Puts a job into the queue. It is run even if nobody waits for its answer any more.
    ///
    /// # Errors
    /// [`PoolFull`] at once when the queue is full.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), PoolFull> {
        let mut queue = self.shared.queue();
        if queue.jobs.len() >= self.shared.capacity {
            return Err(PoolFull);
        }
        queue.jobs.push_back(Box::new(job));
        drop(queue);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// How many jobs wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue().jobs.len()
    }
}

impl std::fmt::Debug for HashPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HashPool({} threads, {} waiting)", self.threads.len(), self.waiting())
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn sec_116_a_full_queue_refuses_at_once_and_the_rest_is_served() {
        let pool = HashPool::new(1, 2).unwrap();
        let (started, has_started) = channel();
        let (release, released) = channel::<()>();
        let (done, is_done) = channel();
        pool.submit(move || {
            started.send(()).unwrap();
            released.recv().unwrap();
        })
        .unwrap();
        has_started.recv().unwrap();
        for number in 0..2 {
            let done = done.clone();
            pool.submit(move || done.send(number).unwrap()).unwrap();
        }
        assert_eq!(pool.submit(|| {}), Err(PoolFull));
        release.send(()).unwrap();
        assert_eq!((is_done.recv().unwrap(), is_done.recv().unwrap()), (0, 1));
        assert_eq!(pool.submit(|| {}), Ok(()));
    }

    #[test]
    fn a_job_that_panics_takes_nobody_with_it() {
        let pool = HashPool::new(1, 8).unwrap();
        let (done, is_done) = channel();
        pool.submit(|| panic!("on purpose")).unwrap();
        pool.submit(move || done.send(1).unwrap()).unwrap();
        assert_eq!(is_done.recv().unwrap(), 1);
    }

    #[test]
    fn dropping_the_pool_finishes_what_is_queued() {
        let pool = HashPool::new(2, 100).unwrap();
        let (done, is_done) = channel();
        for number in 0..50 {
            let done = done.clone();
            pool.submit(move || done.send(number).unwrap()).unwrap();
        }
        drop((pool, done));
        assert_eq!(is_done.iter().count(), 50);
    }
}
