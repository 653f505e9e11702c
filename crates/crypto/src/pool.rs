//! The bounded pool on which everything expensive runs: password hashes and key generation.
//! As many threads as cores, a queue with an end, nothing that grows with the number of clients. Tenants share it
//! fairly, by what their jobs cost: none can keep the others waiting (SEC-090).

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// The queue has reached its end: come back later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue for password hashes is full")]
pub struct PoolFull;

/// Whose a job is: an application's id, or all zeros for the server itself.
pub type Tenant = [u8; 16];

/// The jobs of one tenant, and when its next one has its turn, in virtual time: the sum of what its jobs cost, but
/// never before the job that runs now.
#[derive(Default)]
struct Line {
    jobs: VecDeque<(u64, Job)>,
    turn: u64,
}

#[derive(Default)]
struct Queue {
    lines: HashMap<Tenant, Line>,
    waiting: usize,
    /// The turn of the job that was taken last.
    now: u64,
    closed: bool,
}

impl Queue {
    fn push(&mut self, tenant: Tenant, cost: u64, job: Job) {
        let now = self.now;
        let line = self.lines.entry(tenant).or_default();
        if line.jobs.is_empty() {
            line.turn = line.turn.max(now);
        }
        line.jobs.push_back((cost, job));
        self.waiting += 1;
    }

    /// The next job: that of the tenant whose turn comes first.
    fn pop(&mut self) -> Option<Job> {
        let next = self.lines.iter_mut().filter(|(_, line)| !line.jobs.is_empty());
        let (_, line) = next.min_by_key(|(tenant, line)| (line.turn, **tenant))?;
        let (cost, job) = line.jobs.pop_front()?;
        self.now = line.turn;
        line.turn = line.turn.saturating_add(cost.max(1));
        self.waiting -= 1;
        let now = self.now;
        // Tenants that used more than others are remembered until the others have caught up.
        self.lines.retain(|_, line| !line.jobs.is_empty() || line.turn > now);
        Some(job)
    }

    /// Makes room for a tenant that has fewer waiting jobs than another one, by dropping the last job of the longest
    /// queue. Returns `false` if there is no such queue.
    fn make_room(&mut self, tenant: Tenant) -> bool {
        let own = self.lines.get(&tenant).map_or(0, |line| line.jobs.len());
        let longest = self.lines.values_mut().max_by_key(|line| line.jobs.len());
        let Some(longest) = longest.filter(|line| line.jobs.len() > own + 1) else { return false };
        // The caller of the dropped job gets `PoolFull`.
        drop(longest.jobs.pop_back());
        self.waiting -= 1;
        true
    }
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
            if let Some(job) = queue.pop() {
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
        let shared = Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new(), capacity });
        let threads = (0..threads.max(1))
            .map(|number| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new().name(format!("hash-{number}")).spawn(move || {
                    while let Some(job) = shared.next() {
                        // A job that panics has dropped its answer; the thread continues with the next one.
                        let _ = catch_unwind(AssertUnwindSafe(job));
                    }
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { shared, threads })
    }

    /// Queues a job of a tenant; `cost` is relative to that of other jobs. The job runs even if its caller stopped
    /// waiting. It is dropped without running when the queue is full and a tenant with fewer waiting jobs needs its
    /// place.
    ///
    /// # Errors
    /// [`PoolFull`] at once when the queue is full and no other tenant waits for more than this one.
    pub fn submit(
        &self,
        tenant: Tenant,
        cost: u64,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<(), PoolFull> {
        let mut queue = self.shared.queue();
        if queue.waiting >= self.shared.capacity && !queue.make_room(tenant) {
            return Err(PoolFull);
        }
        queue.push(tenant, cost, Box::new(job));
        drop(queue);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// How many jobs wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue().waiting
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

    const A: Tenant = [1; 16];
    const B: Tenant = [2; 16];

    /// A pool of one thread that works on something until the sender is dropped.
    fn held(capacity: usize) -> (HashPool, std::sync::mpsc::Sender<()>) {
        let pool = HashPool::new(1, capacity).unwrap();
        let (started, has_started) = channel();
        let (release, released) = channel::<()>();
        pool.submit([0; 16], 1, move || {
            started.send(()).unwrap();
            let _ = released.recv();
        })
        .unwrap();
        has_started.recv().unwrap();
        (pool, release)
    }

    #[test]
    fn sec_090_tenants_take_turns_by_what_their_jobs_cost() {
        let (pool, release) = held(100);
        let (done, order) = channel();
        let submit = |tenant: Tenant, cost, times| {
            for _ in 0..times {
                let done = done.clone();
                pool.submit(tenant, cost, move || done.send(tenant).unwrap()).unwrap();
            }
        };
        // One that came first with many, and costly ones, does not keep the other waiting.
        submit(A, 5, 10);
        submit(B, 1, 10);
        drop((release, done));
        let order: Vec<Tenant> = order.iter().collect();
        let before = |count: usize| order.iter().take(count).filter(|tenant| **tenant == B).count();
        assert_eq!(order.len(), 20);
        assert!(before(2) >= 1 && before(8) >= 5 && before(13) == 10, "{order:?}");
    }

    #[test]
    fn sec_090_whoever_has_used_much_waits_for_the_others_to_catch_up() {
        let (pool, release) = held(100);
        let (done, order) = channel();
        let submit = |tenant: Tenant, cost| {
            let done = done.clone();
            pool.submit(tenant, cost, move || done.send(tenant).unwrap()).unwrap();
        };
        submit(A, 100);
        (0..5).for_each(|_| submit(B, 10));
        submit(A, 100);
        drop((release, done));
        assert_eq!(order.iter().collect::<Vec<_>>(), [A, B, B, B, B, B, A]);
    }

    #[test]
    fn sec_090_a_full_queue_makes_room_for_whoever_waits_for_less() {
        let (pool, release) = held(4);
        let (done, order) = channel();
        let submit = |tenant: Tenant| {
            let done = done.clone();
            pool.submit(tenant, 1, move || done.send(tenant).unwrap())
        };
        (0..4).for_each(|_| submit(A).unwrap());
        assert_eq!(submit(A), Err(PoolFull));
        assert_eq!((submit(B), submit(B)), (Ok(()), Ok(())));
        assert_eq!(submit(B), Err(PoolFull), "two each");
        assert_eq!(pool.waiting(), 4);
        drop((release, done));
        let order: Vec<Tenant> = order.iter().collect();
        assert_eq!(order.iter().filter(|tenant| **tenant == A).count(), 2);
        assert_eq!(order.len(), 4);
    }

    #[test]
    fn sec_116_a_full_queue_refuses_at_once_and_the_rest_is_served() {
        let pool = HashPool::new(1, 2).unwrap();
        let (started, has_started) = channel();
        let (release, released) = channel::<()>();
        let (done, is_done) = channel();
        pool.submit(A, 1, move || {
            started.send(()).unwrap();
            released.recv().unwrap();
        })
        .unwrap();
        has_started.recv().unwrap();
        for number in 0..2 {
            let done = done.clone();
            pool.submit(A, 1, move || done.send(number).unwrap()).unwrap();
        }
        assert_eq!(pool.submit(A, 1, || {}), Err(PoolFull));
        release.send(()).unwrap();
        assert_eq!((is_done.recv().unwrap(), is_done.recv().unwrap()), (0, 1));
        assert_eq!(pool.submit(A, 1, || {}), Ok(()));
    }

    #[test]
    fn a_job_that_panics_takes_nobody_with_it() {
        let pool = HashPool::new(1, 8).unwrap();
        let (done, is_done) = channel();
        pool.submit(A, 1, || panic!("on purpose")).unwrap();
        pool.submit(A, 1, move || done.send(1).unwrap()).unwrap();
        assert_eq!(is_done.recv().unwrap(), 1);
    }

    #[test]
    fn dropping_the_pool_finishes_what_is_queued() {
        let pool = HashPool::new(2, 100).unwrap();
        let done = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        for _ in 0..50 {
            let done = Arc::clone(&done);
            pool.submit(A, 1, move || {
                std::thread::sleep(std::time::Duration::from_millis(1));
                done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            })
            .unwrap();
        }
        assert!(format!("{pool:?}").starts_with("HashPool(2 threads, "));
        drop(pool);
        assert_eq!(done.load(std::sync::atomic::Ordering::SeqCst), 50);
    }

    #[test]
    fn sec_090_what_a_tenant_has_used_is_remembered_until_the_others_have_caught_up() {
        let mut queue = Queue::default();
        let take = |queue: &mut Queue| drop(queue.pop().unwrap());
        queue.push(A, 3, Box::new(|| {}));
        take(&mut queue);
        assert!(queue.lines.contains_key(&A));
        for caught_up in [false, false, false, true] {
            assert!(queue.lines.contains_key(&A), "{caught_up}");
            queue.push(B, 1, Box::new(|| {}));
            take(&mut queue);
            assert_eq!(!queue.lines.contains_key(&A), caught_up);
        }
        assert_eq!(queue.now, 3);
    }

    #[test]
    fn sec_090_who_waits_for_one_job_keeps_it() {
        let (pool, release) = held(1);
        pool.submit(A, 1, || {}).unwrap();
        assert_eq!(pool.submit(B, 1, || {}), Err(PoolFull), "one each would be none for the first");
        drop(release);
    }
}
