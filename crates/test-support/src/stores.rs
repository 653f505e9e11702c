//! Stores that misbehave on purpose: one runs everything twice, one is always unavailable, one pauses on demand.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use latchkey_storage::{Readers, Repositories, StorageError, Store};
use tokio::sync::oneshot;

/// Runs every unit of work, takes it back, and runs it again: what a lost race does to it. A closure that is
/// not a function of what it borrows and reads shows itself here.
#[derive(Clone)]
pub struct TwiceStore<S>(pub S);

enum Never<E> {
    RolledBack,
    Storage(E),
}

impl<E: From<StorageError>> From<StorageError> for Never<E> {
    fn from(error: StorageError) -> Self {
        Self::Storage(error.into())
    }
}

impl<S: Store> Store for TwiceStore<S> {
    async fn transact<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: Fn(&mut dyn Repositories) -> Result<T, E> + Send + Sync + 'static,
    {
        let work = Arc::new(work);
        let first = Arc::clone(&work);
        let rolled_back: Result<(), Never<E>> = self
            .0
            .transact(name, move |repositories| {
                let _ = first(repositories);
                Err(Never::RolledBack)
            })
            .await;
        if let Err(Never::Storage(error)) = rolled_back {
            return Err(error);
        }
        self.0.transact(name, move |repositories| work(repositories)).await
    }

    async fn read<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: Fn(&mut dyn Readers) -> Result<T, E> + Send + Sync + 'static,
    {
        self.0
            .read(name, move |readers| {
                let _ = work(readers);
                work(readers)
            })
            .await
    }
}

/// A database that is away.
#[derive(Clone, Default)]
pub struct BrokenStore;

impl Store for BrokenStore {
    async fn transact<T, E, F>(&self, _name: &'static str, _work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: Fn(&mut dyn Repositories) -> Result<T, E> + Send + Sync + 'static,
    {
        Err(StorageError::Unavailable("canary of the database".to_owned()).into())
    }

    async fn read<T, E, F>(&self, _name: &'static str, _work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: Fn(&mut dyn Readers) -> Result<T, E> + Send + Sync + 'static,
    {
        Err(StorageError::Unavailable("canary of the database".to_owned()).into())
    }
}

/// Pauses one unit of work, so that a test can let another one run in between.
#[derive(Clone)]
pub struct InterleavingStore<S> {
    store: S,
    pause: Arc<Mutex<Option<Pause>>>,
}

struct Pause {
    unit: &'static str,
    access: Option<usize>,
    reached: oneshot::Sender<()>,
    resume: mpsc::Receiver<()>,
}

/// The longest that a unit of work stays paused: on SQLite no other one can write meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Pause {
    fn wait(self) {
        let _ = self.reached.send(());
        let _ = self.resume.recv_timeout(LONGEST_PAUSE);
    }
}

/// A unit of work that will pause. Dropping this lets it go on.
pub struct Paused {
    reached: oneshot::Receiver<()>,
    _resume: mpsc::Sender<()>,
}

impl Paused {
    /// Waits until the unit has paused. `false` when it never reached that point.
    pub async fn reached(&mut self) -> bool {
        (&mut self.reached).await.is_ok()
    }
}

impl<S> InterleavingStore<S> {
    /// Wraps a store that pauses nothing yet.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self { store, pause: Arc::default() }
    }

    /// Pauses the next unit of this name: before it begins, or before its access to the repositories with this number,
    /// counted from 0.
    pub fn pause(&self, unit: &'static str, access: Option<usize>) -> Paused {
        let (reached, has_reached) = oneshot::channel();
        let (resume, resumed) = mpsc::channel();
        *self.lock() = Some(Pause { unit, access, reached, resume: resumed });
        Paused { reached: has_reached, _resume: resume }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Pause>> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, unit: &'static str, is_at: impl Fn(Option<usize>) -> bool) -> Option<Pause> {
        self.lock().take_if(|pause| pause.unit == unit && is_at(pause.access))
    }

    async fn pause_before(&self, unit: &'static str) {
        if let Some(pause) = self.take(unit, |access| access.is_none()) {
            let _ = tokio::task::spawn_blocking(move || pause.wait()).await;
        }
    }
}

impl<S: Store> Store for InterleavingStore<S> {
    async fn transact<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: Fn(&mut dyn Repositories) -> Result<T, E> + Send + Sync + 'static,
    {
        self.pause_before(name).await;
        let watching = self.clone();
        let result = self.store.transact(name, move |repositories| {
            let mut watched = Watched { repositories, accesses: 0, store: &watching, unit: name };
            work(&mut watched)
        });
        let result = result.await;
        // A unit that has fewer accesses never pauses: whoever waits for it is told so.
        drop(self.take(name, |_| true));
        result
    }

    async fn read<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: Fn(&mut dyn Readers) -> Result<T, E> + Send + Sync + 'static,
    {
        self.pause_before(name).await;
        self.store.read(name, work).await
    }
}

struct Watched<'a, S> {
    repositories: &'a mut dyn Repositories,
    accesses: usize,
    store: &'a InterleavingStore<S>,
    unit: &'static str,
}

impl<S> Watched<'_, S> {
    fn repositories(&mut self) -> &mut dyn Repositories {
        let number = self.accesses;
        self.accesses += 1;
        if let Some(pause) = self.store.take(self.unit, |access| access == Some(number)) {
            pause.wait();
        }
        self.repositories
    }
}

macro_rules! watched {
    ($($repository:ident: $port:ident),+ $(,)?) => {
        impl<S> Repositories for Watched<'_, S> {$(
            fn $repository(&mut self) -> &mut dyn latchkey_storage::$port {
                self.repositories().$repository()
            }
        )+}
    };
}

watched!(
    apps: AppRepository,
    server_keys: ServerKeyRepository,
    sealed: SealedRepository,
    operator_tokens: OperatorTokenRepository,
    users: UserRepository,
    factors: FactorRepository,
    signups: SignupRepository,
    codes: CodeRepository,
    quotas: QuotaRepository,
    outbox: OutboxRepository,
    invites: InviteRepository,
    email_templates: EmailTemplateRepository,
    audit: AuditRepository,
    imports: ImportRepository,
    upkeep: UpkeepRepository,
);
