//! Units of work on SQLite: one thread writes and commits the units that wait together, each in a savepoint
//! of its own; a pool of connections reads beside it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use diesel::RunQueryDsl as _;
use diesel::connection::{Connection as _, SimpleConnection as _};
use tokio::sync::{Semaphore, oneshot};

use super::connection::{Connection, DiskFault, Failure, Unit, backend};
use super::database_file::DatabaseFile;
use super::pool::Pool;
use super::{DatabaseSettings, blocking, panicked};
use crate::StorageError;
use crate::ports::{ReadUnit, WriteUnit};

/// The most units that one commit carries.
const BATCH: usize = 64;
/// The most units that wait for the writer.
const QUEUE: usize = 4_096;

#[derive(Clone)]
pub(super) struct SqliteStore {
    file: Arc<DatabaseFile>,
    readers: Arc<Pool>,
    writer: Arc<Writer>,
}

impl SqliteStore {
    pub(super) fn open(
        path: PathBuf,
        settings: &DatabaseSettings,
        disk: DiskFault,
    ) -> Result<Self, StorageError> {
        let durable = settings.durable;
        let writing = connect(&path, durable, Access::Write)?;
        let file = Arc::new(DatabaseFile::of(&path)?);
        let reading = path.clone();
        let readers = Pool::new(
            settings.connections,
            settings.wait,
            Box::new(move || connect(&reading, durable, Access::Read)),
        );
        let opened = Arc::clone(&file);
        let reopen = Box::new(move || {
            opened.check()?;
            connect(&path, durable, Access::Write)
        });
        let thread = Writing { connection: Some(writing), reopen, file: Arc::clone(&file), disk };
        Ok(Self { file, readers, writer: Arc::new(Writer::start(thread, settings)?) })
    }

    pub(super) async fn write(&self, unit: WriteUnit) -> Result<(), StorageError> {
        let waiting = Arc::clone(&self.writer.places).acquire_owned();
        let Ok(Ok(place)) = tokio::time::timeout(self.writer.wait, waiting).await else {
            return Err(StorageError::Unavailable("too many writes wait".to_owned()));
        };
        let (answer, answered) = oneshot::channel();
        self.writer.send(Task { unit, ran: Ran::Panicked, answer, _place: place })?;
        answered.await.unwrap_or_else(|_| Err(panicked()))
    }

    pub(super) async fn read(&self, mut unit: ReadUnit) -> Result<(), StorageError> {
        let mut lease = self.readers.lease().await?;
        let file = Arc::clone(&self.file);
        blocking(move || {
            file.check()?;
            let connection = lease.connection()?;
            connection.begin_inner().map_err(backend)?;
            unit(&mut Unit::on(connection));
            if connection.roll_back().is_err() {
                lease.discard();
            }
            Ok(())
        })
        .await
    }
}

/// A unit of work on its way through the writer.
struct Task {
    unit: WriteUnit,
    ran: Ran,
    answer: oneshot::Sender<Result<(), StorageError>>,
    _place: tokio::sync::OwnedSemaphorePermit,
}

/// How the last run of a unit ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ran {
    /// Its changes are to be kept.
    Keep,
    /// It refused: nothing of it is to be kept.
    Discard,
    /// It panicked, or has not run yet.
    Panicked,
}

impl Task {
    /// Runs the unit. Returns whether its changes are to be kept.
    fn run(&mut self, unit: &mut Unit<'_>) -> bool {
        let run = std::panic::AssertUnwindSafe(|| (self.unit)(unit));
        self.ran = match std::panic::catch_unwind(run) {
            Ok(true) => Ran::Keep,
            Ok(false) => Ran::Discard,
            Err(_) => Ran::Panicked,
        };
        self.ran == Ran::Keep
    }

    /// Answers the caller. A unit that refused is answered so even where the commit of its neighbours failed.
    fn answer(self, committed: Result<(), &NotKept>) {
        let answer = match (self.ran, committed) {
            (_, Err(NotKept::NeverBegun(reason))) | (Ran::Keep, Err(NotKept::Disk(reason))) => {
                Err(StorageError::Unavailable(reason.clone()))
            }
            (Ran::Keep, Err(NotKept::Failed(reason))) => Err(StorageError::Backend(reason.as_str().into())),
            (Ran::Panicked, _) => Err(panicked()),
            (Ran::Keep | Ran::Discard, _) => Ok(()),
        };
        let _ = self.answer.send(answer);
    }
}

/// Why the changes of units are not kept.
enum NotKept {
    /// There was no transaction: nothing ran.
    NeverBegun(String),
    /// The disk is full or failed, or holds another file now.
    Disk(String),
    /// The transaction failed in another way.
    Failed(String),
}

impl NotKept {
    fn never_begun(error: StorageError) -> Self {
        Self::NeverBegun(error.to_string())
    }

    fn failed(disk: &DiskFault, error: &diesel::result::Error) -> Self {
        let failure = Failure::of(error);
        disk.note(Some(failure));
        if failure == Failure::Disk { Self::Disk(error.to_string()) } else { Self::Failed(error.to_string()) }
    }
}

type Reopen = Box<dyn Fn() -> Result<Connection, StorageError> + Send>;

struct Writer {
    places: Arc<Semaphore>,
    wait: std::time::Duration,
    queue: Mutex<Option<Sender<Task>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(writing: Writing, settings: &DatabaseSettings) -> Result<Self, StorageError> {
        let (queue, jobs) = channel();
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || writing.work_off(&jobs))
            .map_err(|error| StorageError::Backend(error.into()))?;
        Ok(Self {
            places: Arc::new(Semaphore::new(QUEUE)),
            wait: settings.wait,
            queue: Mutex::new(Some(queue)),
            thread: Some(thread),
        })
    }

    fn send(&self, job: Task) -> Result<(), StorageError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = queue.as_ref().is_some_and(|queue| queue.send(job).is_ok());
        if sent { Ok(()) } else { Err(StorageError::Unavailable("the writer has stopped".to_owned())) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The writer's thread: its connection, opened again after a failure that leaves it in doubt.
struct Writing {
    connection: Option<Connection>,
    reopen: Reopen,
    file: Arc<DatabaseFile>,
    disk: DiskFault,
}

impl Writing {
    fn work_off(mut self, jobs: &Receiver<Task>) {
        while let Ok(first) = jobs.recv() {
            let mut batch = vec![first];
            match self.together(&mut batch, jobs) {
                Ok(()) => batch.into_iter().for_each(|job| job.answer(Ok(()))),
                Err(NotKept::Failed(_) | NotKept::Disk(_)) => {
                    self.connection = None;
                    batch.into_iter().for_each(|job| self.alone(job));
                }
                // Waiting again for each would only make all of them wait.
                Err(never_begun) => {
                    self.connection = None;
                    batch.extend(jobs.try_iter());
                    batch.into_iter().for_each(|job| job.answer(Err(&never_begun)));
                }
            }
        }
    }

    /// Runs the waiting units in one transaction, each in a savepoint, and commits. After an error none of it is kept,
    /// and no caller has been answered.
    fn together(&mut self, batch: &mut Vec<Task>, jobs: &Receiver<Task>) -> Result<(), NotKept> {
        let (disk, file) = (self.disk.clone(), Arc::clone(&self.file));
        let connection = self.begun()?;
        let mut at = 0;
        while let Some(job) = batch.get_mut(at) {
            in_savepoint(connection, &disk, job)?;
            at += 1;
            if at < BATCH {
                batch.extend(jobs.try_recv());
            }
        }
        commit(connection, &disk, &file)
    }

    /// Runs one unit in a transaction of its own, and answers it.
    fn alone(&mut self, mut job: Task) {
        let (disk, file) = (self.disk.clone(), Arc::clone(&self.file));
        let committed = self.begun().and_then(|connection| {
            in_savepoint(connection, &disk, &mut job)?;
            commit(connection, &disk, &file)
        });
        if committed.is_err() {
            self.connection = None;
        }
        job.answer(committed.as_ref().copied());
    }

    /// The connection, with a transaction begun on it.
    fn begun(&mut self) -> Result<&mut Connection, NotKept> {
        self.file.check().map_err(NotKept::never_begun)?;
        let connection = self.connection().map_err(NotKept::never_begun)?;
        connection.begin().map_err(|error| NotKept::never_begun(backend(error)))?;
        Ok(connection)
    }

    fn connection(&mut self) -> Result<&mut Connection, StorageError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => (self.reopen)()?,
        };
        Ok(self.connection.insert(connection))
    }
}

fn in_savepoint(connection: &mut Connection, disk: &DiskFault, job: &mut Task) -> Result<(), NotKept> {
    let failed = |error| NotKept::failed(disk, &error);
    connection.begin_inner().map_err(failed)?;
    let mut unit = Unit::on(connection);
    let keep = job.run(&mut unit);
    disk.note(unit.failure());
    // SQLite ends the whole transaction after some failures (disk full): then this fails too, and the batch
    // is run again unit by unit.
    if keep { connection.commit() } else { connection.roll_back() }.map_err(failed)
}

/// Commits, and makes sure that what was committed is in the file that the next start will open.
fn commit(connection: &mut Connection, disk: &DiskFault, file: &DatabaseFile) -> Result<(), NotKept> {
    connection.commit().map_err(|error| NotKept::failed(disk, &error))?;
    file.check().map_err(|error| NotKept::Disk(error.to_string()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

pub(super) fn connect(path: &Path, durable: bool, access: Access) -> Result<Connection, StorageError> {
    let path = path.to_str().ok_or_else(|| StorageError::Unavailable("the path is not UTF-8".to_owned()))?;
    let mut connection = diesel::SqliteConnection::establish(path)
        .map_err(|error| StorageError::Unavailable(format!("cannot open {path}: {error}")))?;
    let synchronous = if durable { "FULL" } else { "NORMAL" };
    let query_only = if access == Access::Read { "ON" } else { "OFF" };
    connection
        .batch_execute(&format!(
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON;
             PRAGMA synchronous = {synchronous}; PRAGMA query_only = {query_only};
             PRAGMA secure_delete = ON;"
        ))
        .map_err(backend)?;
    check_pragmas(&mut connection, durable)?;
    Ok(Connection::Sqlite(Box::new(connection)))
}

#[derive(diesel::QueryableByName)]
struct Pragmas {
    #[diesel(sql_type = diesel::sql_types::Text)]
    journal_mode: String,
    #[diesel(sql_type = diesel::sql_types::Integer)]
    synchronous: i32,
    #[diesel(sql_type = diesel::sql_types::Integer)]
    foreign_keys: i32,
}

/// SQLite ignores a pragma that it cannot follow, so what matters is read back.
fn check_pragmas(connection: &mut diesel::SqliteConnection, durable: bool) -> Result<(), StorageError> {
    let sql = "SELECT journal_mode, synchronous, foreign_keys
               FROM pragma_journal_mode, pragma_synchronous, pragma_foreign_keys";
    let found: Pragmas = diesel::sql_query(sql).get_result(connection).map_err(backend)?;
    let level = if durable { 2 } else { 1 };
    if (found.journal_mode.as_str(), found.synchronous, found.foreign_keys) == ("wal", level, 1) {
        Ok(())
    } else {
        Err(StorageError::Unavailable(
            "SQLite does not keep its write-ahead log here: is this a local disk?".to_owned(),
        ))
    }
}
