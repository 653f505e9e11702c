//! Units of work on PostgreSQL: a pool, a transaction each, and the retry of lost races.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel::RunQueryDsl as _;
use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::result::Error;

use super::connection::{Connection, DiskFault, Failure, Unit, backend};
use super::network::with_network_bounds;
use super::pool::{Lease, Pool};
use super::{DatabaseSettings, blocking, panicked};
use crate::StorageError;
use crate::ports::{ReadUnit, WriteUnit};

/// The longest waits before the second, third and fourth try.
const WAITS: [Duration; 3] = [Duration::from_millis(5), Duration::from_millis(20), Duration::from_millis(80)];

#[derive(Clone)]
pub(super) struct PostgresStore {
    pool: Arc<Pool>,
    jitter: Arc<AtomicU64>,
    disk: DiskFault,
}

impl PostgresStore {
    pub(super) fn new(url: String, settings: &DatabaseSettings, disk: DiskFault) -> Self {
        let connect = Box::new(move || connect_bounded(&url));
        let pool = Pool::new(settings.connections, settings.wait, connect);
        Self { pool, jitter: Arc::new(AtomicU64::new(0)), disk }
    }

    pub(super) async fn write(&self, mut unit: WriteUnit) -> Result<(), StorageError> {
        let mut lease = self.pool.lease().await?;
        let (jitter, disk) = (Arc::clone(&self.jitter), self.disk.clone());
        blocking(move || {
            for wait in WAITS {
                match attempt(&mut lease, &disk, &mut unit) {
                    Attempt::Done(result) => return result,
                    Attempt::Again(_) => std::thread::sleep(random_part_of(wait, &jitter)),
                }
            }
            match attempt(&mut lease, &disk, &mut unit) {
                Attempt::Done(result) | Attempt::Again(Some(result)) => result,
                Attempt::Again(None) => {
                    Err(StorageError::Unavailable("a race was lost four times".to_owned()))
                }
            }
        })
        .await
    }

    pub(super) async fn read(&self, mut read: ReadUnit) -> Result<(), StorageError> {
        let mut lease = self.pool.lease().await?;
        blocking(move || {
            // The second try is for a connection that died while it was idle.
            for last in [false, true] {
                let mut unit = Unit::on(lease.connection()?);
                read(&mut unit);
                match unit.failure() {
                    Some(Failure::Gone) if last => lease.discard_all(),
                    Some(Failure::Gone) => {
                        lease.discard_all();
                        continue;
                    }
                    Some(Failure::Race | Failure::AppGone) if !last => continue,
                    Some(
                        Failure::Race | Failure::AppGone | Failure::Slow | Failure::Disk | Failure::Final,
                    )
                    | None => {}
                }
                return Ok(());
            }
            Err(StorageError::Unavailable("the connection was lost twice".to_owned()))
        })
        .await
    }
}

enum Attempt {
    Done(Result<(), StorageError>),
    /// Retry. Holds the result to return if no retries are left; `None` after a lost race.
    Again(Option<Result<(), StorageError>>),
}

fn attempt(lease: &mut Lease, disk: &DiskFault, work: &mut WriteUnit) -> Attempt {
    let connection = match lease.connection() {
        Ok(connection) => connection,
        Err(error) => return Attempt::Done(Err(error)),
    };
    if let Err(error) = connection.begin() {
        return after(lease, Failure::of(&error), Err(backend(error)));
    }
    let mut unit = Unit::on(connection);
    let keep = catch_unwind(AssertUnwindSafe(|| work(&mut unit)));
    let failure = unit.failure();
    disk.note(failure);
    let Ok(keep) = keep else {
        lease.discard();
        return Attempt::Done(Err(panicked()));
    };
    // A transaction in which a statement failed cannot commit, whatever the closure made of the error.
    if !keep || failure.is_some() {
        if connection.roll_back().is_err() {
            lease.discard();
        }
        let result = match failure {
            Some(_) if keep => Err(StorageError::Backend("a failed statement was ignored".into())),
            _ => Ok(()),
        };
        return match failure {
            Some(failure) => after(lease, failure, result),
            None => Attempt::Done(result),
        };
    }
    match connection.commit() {
        Ok(()) => Attempt::Done(Ok(())),
        Err(error) => {
            let failure = Failure::of(&error);
            disk.note(Some(failure));
            let failed = Err(backend(error));
            if failure == Failure::Gone {
                // It may have been committed: not tried again.
                lease.discard_all();
                return Attempt::Done(failed);
            }
            if lease.connection().is_ok_and(Connection::is_in_transaction) {
                lease.discard();
            }
            after(lease, failure, failed)
        }
    }
}

fn after(lease: &mut Lease, failure: Failure, result: Result<(), StorageError>) -> Attempt {
    match failure {
        Failure::Race => Attempt::Again(None),
        Failure::AppGone => Attempt::Again(Some(result)),
        Failure::Gone => {
            lease.discard_all();
            Attempt::Again(None)
        }
        Failure::Slow | Failure::Disk | Failure::Final => Attempt::Done(result),
    }
}

/// Between none and all of `wait`, spread so that racers part.
fn random_part_of(wait: Duration, jitter: &AtomicU64) -> Duration {
    let step = jitter.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    let mixed = (step ^ (step >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let thousandths = u32::try_from((mixed >> 40) % 1_000).unwrap_or(0);
    wait * thousandths / 1_000
}

/// Deadlocks are recognized by their English text, which a server may translate. Logs a warning then.
pub(super) fn check_language(url: &str) -> Result<(), StorageError> {
    #[derive(diesel::QueryableByName)]
    struct Language {
        #[diesel(sql_type = diesel::sql_types::Text)]
        lc_messages: String,
    }
    let mut connection = connect(url)?;
    let Connection::Postgres(postgres) = &mut connection else { return Ok(()) };
    let language: Language = diesel::sql_query("SELECT current_setting('lc_messages') AS lc_messages")
        .get_result(&mut **postgres)
        .map_err(backend)?;
    let is_english = ["C", "POSIX", "en"].iter().any(|english| language.lc_messages.starts_with(english));
    if !is_english && !language.lc_messages.is_empty() {
        let role = "ALTER ROLE .. SET lc_messages = 'C'";
        tracing::warn!(lc_messages = language.lc_messages, "deadlocks will not be tried again: {role}");
    }
    Ok(())
}

pub(super) fn connect(url: &str) -> Result<Connection, StorageError> {
    let mut connection = diesel::PgConnection::establish(url).map_err(|error| {
        StorageError::Unavailable(format!("PostgreSQL does not answer: {}", first_line(&error.to_string())))
    })?;
    connection.batch_execute("SELECT 1").map_err(|error: Error| backend(error))?;
    Ok(Connection::Postgres(Box::new(connection)))
}

/// A connection on which nothing waits without end: neither for a server that is gone, nor for the lock of an instance
/// that is.
fn connect_bounded(url: &str) -> Result<Connection, StorageError> {
    let mut connection = connect(&with_network_bounds(url))?;
    if let Connection::Postgres(postgres) = &mut connection {
        postgres
            .batch_execute(
                "SET lock_timeout = '15s'; SET statement_timeout = '60s'; \
                 SET idle_in_transaction_session_timeout = '60s'",
            )
            .map_err(backend)?;
    }
    Ok(connection)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
