//! Migrations: compiled in, applied under a lock that dies with its holder, refused where the data is newer.

use diesel::connection::SimpleConnection as _;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::DatabaseLocation;
use super::connection::backend;
use crate::StorageError;

#[cfg(feature = "sqlite")]
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
#[cfg(feature = "postgres")]
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The advisory lock that one migrating instance holds. The number means nothing but must never change.
#[cfg(feature = "postgres")]
const LOCK: &str = "SELECT pg_try_advisory_xact_lock(7201530664)";

pub(super) fn apply(location: &DatabaseLocation) -> Result<usize, StorageError> {
    match location {
        #[cfg(feature = "sqlite")]
        DatabaseLocation::File(_) => apply_to(&mut *sqlite_connection(location)?, || SQLITE),
        #[cfg(feature = "postgres")]
        DatabaseLocation::Server(url) => {
            let mut holder = postgres_connection(url)?;
            let _lock = hold_lock(&mut holder)?;
            apply_to(&mut *postgres_connection(url)?, || POSTGRES)
        }
    }
}

pub(super) fn pending(location: &DatabaseLocation) -> Result<Vec<String>, StorageError> {
    match location {
        #[cfg(feature = "sqlite")]
        DatabaseLocation::File(_) => pending_of(&mut *sqlite_connection(location)?, || SQLITE),
        #[cfg(feature = "postgres")]
        DatabaseLocation::Server(url) => pending_of(&mut *postgres_connection(url)?, || POSTGRES),
    }
}

#[cfg(feature = "conformance")]
pub(super) fn revert_last(location: &DatabaseLocation) -> Result<String, StorageError> {
    let reverted = match location {
        #[cfg(feature = "sqlite")]
        DatabaseLocation::File(_) => {
            sqlite_connection(location)?.revert_last_migration(SQLITE).map(|v| v.to_string())
        }
        #[cfg(feature = "postgres")]
        DatabaseLocation::Server(url) => {
            postgres_connection(url)?.revert_last_migration(POSTGRES).map(|v| v.to_string())
        }
    };
    reverted.map_err(StorageError::Backend)
}

fn apply_to<DB: diesel::backend::Backend>(
    connection: &mut impl MigrationHarness<DB>,
    source: impl Fn() -> EmbeddedMigrations,
) -> Result<usize, StorageError> {
    refuse_newer(connection, &source())?;
    Ok(connection.run_pending_migrations(source()).map_err(StorageError::Backend)?.len())
}

fn pending_of<DB: diesel::backend::Backend>(
    connection: &mut impl MigrationHarness<DB>,
    source: impl Fn() -> EmbeddedMigrations,
) -> Result<Vec<String>, StorageError> {
    refuse_newer(connection, &source())?;
    let pending = connection.pending_migrations(source()).map_err(StorageError::Backend)?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}

fn refuse_newer<DB: diesel::backend::Backend>(
    connection: &mut impl MigrationHarness<DB>,
    source: &EmbeddedMigrations,
) -> Result<(), StorageError> {
    let applied = connection.applied_migrations().map_err(StorageError::Backend)?;
    let known: Vec<Box<dyn diesel::migration::Migration<DB>>> =
        diesel::migration::MigrationSource::migrations(source).map_err(StorageError::Backend)?;
    let is_known = |version: &diesel::migration::MigrationVersion<'_>| {
        known.iter().any(|migration| migration.name().version() == *version)
    };
    match applied.iter().find(|version| !is_known(version)) {
        Some(version) => Err(StorageError::NewerSchema(version.to_string())),
        None => Ok(()),
    }
}

#[cfg(feature = "sqlite")]
fn sqlite_connection(location: &DatabaseLocation) -> Result<Box<diesel::SqliteConnection>, StorageError> {
    use super::connection::Connection;
    use super::sqlite::{Access, connect};
    match location {
        DatabaseLocation::File(path) => match connect(path, true, Access::Write)? {
            Connection::Sqlite(connection) => Ok(connection),
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => Err(StorageError::Backend("not an SQLite connection".into())),
        },
        #[cfg(feature = "postgres")]
        DatabaseLocation::Server(_) => Err(StorageError::Backend("not an SQLite file".into())),
    }
}

#[cfg(feature = "postgres")]
fn postgres_connection(url: &str) -> Result<Box<diesel::PgConnection>, StorageError> {
    use super::connection::Connection;
    match super::postgres::connect(url)? {
        Connection::Postgres(connection) => Ok(connection),
        #[cfg(feature = "sqlite")]
        Connection::Sqlite(_) => Err(StorageError::Backend("not a PostgreSQL connection".into())),
    }
}

/// Holds the lock until it is dropped: it belongs to a transaction of `connection`, which ends with it.
/// Waiting is done by asking again, since a migration that builds an index concurrently never ends while
/// another instance waits inside a transaction.
#[cfg(feature = "postgres")]
fn hold_lock(connection: &mut diesel::PgConnection) -> Result<LockGuard<'_>, StorageError> {
    use diesel::RunQueryDsl as _;

    #[derive(diesel::QueryableByName)]
    struct Lock {
        #[diesel(sql_type = diesel::sql_types::Bool)]
        pg_try_advisory_xact_lock: bool,
    }
    loop {
        connection.batch_execute("BEGIN").map_err(backend)?;
        let lock: Lock = diesel::sql_query(LOCK).get_result(connection).map_err(backend)?;
        if lock.pg_try_advisory_xact_lock {
            return Ok(LockGuard(connection));
        }
        connection.batch_execute("ROLLBACK").map_err(backend)?;
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
}

#[cfg(feature = "postgres")]
struct LockGuard<'c>(&'c mut diesel::PgConnection);

#[cfg(feature = "postgres")]
impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        let _ = self.0.batch_execute("ROLLBACK");
    }
}
