//! Stores that misbehave on purpose: one runs everything twice, one is always unavailable, one pauses on demand.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use latchkey_storage::{Answer, Engine, ReadUnit, Readers, Repositories, StorageError, Store, WriteUnit};
use tokio::sync::oneshot;

/// Runs every unit of work, takes it back, and runs it again: what a lost race does to it. A closure that is
/// not a function of what it borrows and reads shows itself here.
struct TwiceEngine(Store);

/// Wraps a store so that it runs every unit of work twice.
#[must_use]
pub fn twice(store: Store) -> Store {
    Store::new(TwiceEngine(store))
}

impl Engine for TwiceEngine {
    fn write(&self, name: &'static str, unit: WriteUnit) -> Answer<'_> {
        let unit = Arc::new(Mutex::new(unit));
        let first = Arc::clone(&unit);
        Box::pin(async move {
            let rolled_back = Box::new(move |repositories: &mut dyn Repositories| {
                lock(&first)(repositories);
                false
            });
            self.0.engine().write(name, rolled_back).await?;
            let again = Box::new(move |repositories: &mut dyn Repositories| lock(&unit)(repositories));
            self.0.engine().write(name, again).await
        })
    }

    fn read(&self, name: &'static str, mut unit: ReadUnit) -> Answer<'_> {
        let twice = Box::new(move |readers: &mut dyn Readers| {
            unit(readers);
            unit(readers);
        });
        self.0.engine().read(name, twice)
    }

    fn probe(&self) -> Answer<'_> {
        self.0.engine().probe()
    }
}

/// A database that is unavailable.
struct BrokenEngine;

/// A store whose database is unavailable.
#[must_use]
pub fn broken() -> Store {
    Store::new(BrokenEngine)
}

impl BrokenEngine {
    fn unavailable() -> Answer<'static> {
        Box::pin(async { Err(StorageError::Unavailable("canary of the database".to_owned())) })
    }
}

impl Engine for BrokenEngine {
    fn write(&self, _name: &'static str, _unit: WriteUnit) -> Answer<'_> {
        Self::unavailable()
    }

    fn read(&self, _name: &'static str, _unit: ReadUnit) -> Answer<'_> {
        Self::unavailable()
    }

    fn probe(&self) -> Answer<'_> {
        Self::unavailable()
    }
}

/// Pauses one unit of work, so that a test can let another one run in between.
#[derive(Clone)]
pub struct Interleaving {
    store: Store,
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

impl Interleaving {
    /// Wraps a store. Nothing pauses yet.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, pause: Arc::default() }
    }

    /// The store whose units pause.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::new(self.clone())
    }

    /// Pauses the next unit of this name: before it begins, or before its access to the repositories with this number,
    /// counted from 0.
    pub fn pause(&self, unit: &'static str, access: Option<usize>) -> Paused {
        let (reached, has_reached) = oneshot::channel();
        let (resume, resumed) = mpsc::channel();
        *lock(&self.pause) = Some(Pause { unit, access, reached, resume: resumed });
        Paused { reached: has_reached, _resume: resume }
    }

    fn take(&self, unit: &'static str, is_at: impl Fn(Option<usize>) -> bool) -> Option<Pause> {
        lock(&self.pause).take_if(|pause| pause.unit == unit && is_at(pause.access))
    }

    async fn pause_before(&self, unit: &'static str) {
        if let Some(pause) = self.take(unit, |access| access.is_none()) {
            let _ = tokio::task::spawn_blocking(move || pause.wait()).await;
        }
    }
}

impl Engine for Interleaving {
    fn write(&self, name: &'static str, mut unit: WriteUnit) -> Answer<'_> {
        Box::pin(async move {
            self.pause_before(name).await;
            let watching = self.clone();
            let watched = Box::new(move |repositories: &mut dyn Repositories| {
                unit(&mut Watched { repositories, accesses: 0, store: &watching, unit: name })
            });
            let result = self.store.engine().write(name, watched).await;
            // A unit with fewer accesses never pauses: its waiter is released.
            drop(self.take(name, |_| true));
            result
        })
    }

    fn read(&self, name: &'static str, unit: ReadUnit) -> Answer<'_> {
        Box::pin(async move {
            self.pause_before(name).await;
            self.store.engine().read(name, unit).await
        })
    }

    fn probe(&self) -> Answer<'_> {
        self.store.engine().probe()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Watched<'a> {
    repositories: &'a mut dyn Repositories,
    accesses: usize,
    store: &'a Interleaving,
    unit: &'static str,
}

impl Watched<'_> {
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
        impl Repositories for Watched<'_> {$(
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
    portal: PortalRepository,
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
