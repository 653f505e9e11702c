//! Migrations: compiled in, and applied under a lock that ends with the connection that holds it. A database of a newer
//! program, or from before the first migration, is refused.

use diesel::connection::SimpleConnection as _;
use diesel::{RunQueryDsl as _, sql_query};
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
    // diesel makes its table before it looks: a role that may not make tables could never look.
    const VERSIONS: &str = "SELECT version AS line FROM __diesel_schema_migrations";
    match location {
        #[cfg(feature = "sqlite")]
        DatabaseLocation::File(_) => {
            let exists = "SELECT name AS line FROM sqlite_master WHERE name = '__diesel_schema_migrations'";
            let connection = &mut *sqlite_connection(location)?;
            let is_there = !lines(sql_query(exists).load(connection))?.is_empty();
            let applied = if is_there { lines(sql_query(VERSIONS).load(connection))? } else { Vec::new() };
            missing::<diesel::sqlite::Sqlite>(&SQLITE, &applied)
        }
        #[cfg(feature = "postgres")]
        DatabaseLocation::Server(url) => {
            let exists = "SELECT relname::text AS line FROM pg_class WHERE oid = to_regclass('__diesel_schema_migrations')";
            let connection = &mut *postgres_connection(url)?;
            let is_there = !lines(sql_query(exists).load(connection))?.is_empty();
            let applied = if is_there { lines(sql_query(VERSIONS).load(connection))? } else { Vec::new() };
            missing::<diesel::pg::Pg>(&POSTGRES, &applied)
        }
    }
}

#[derive(diesel::QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

fn lines(rows: diesel::QueryResult<Vec<Line>>) -> Result<Vec<String>, StorageError> {
    Ok(rows.map_err(backend)?.into_iter().map(|row| row.line).collect())
}

fn missing<DB: diesel::backend::Backend>(
    source: &EmbeddedMigrations,
    applied: &[String],
) -> Result<Vec<String>, StorageError> {
    let known: Vec<Box<dyn diesel::migration::Migration<DB>>> =
        diesel::migration::MigrationSource::migrations(source).map_err(StorageError::Backend)?;
    let versions: Vec<String> =
        known.iter().map(|migration| migration.name().version().to_string()).collect();
    if let Some(unknown) = applied.iter().find(|version| !versions.contains(version)) {
        let is_earlier = versions.first().is_some_and(|first| unknown < first);
        let refusal = if is_earlier { StorageError::EarlierSchema } else { StorageError::NewerSchema };
        return Err(refusal(unknown.clone()));
    }
    let names = known.iter().map(|migration| migration.name().to_string());
    Ok(versions
        .iter()
        .zip(names)
        .filter(|(version, _)| !applied.contains(version))
        .map(|(_, name)| name)
        .collect())
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
    refuse_unknown(connection, &source())?;
    Ok(connection.run_pending_migrations(source()).map_err(StorageError::Backend)?.len())
}

fn refuse_unknown<DB: diesel::backend::Backend>(
    connection: &mut impl MigrationHarness<DB>,
    source: &EmbeddedMigrations,
) -> Result<(), StorageError> {
    let applied = connection.applied_migrations().map_err(StorageError::Backend)?;
    let applied: Vec<String> = applied.iter().map(ToString::to_string).collect();
    missing::<DB>(source, &applied).map(|_| ())
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
    #[derive(diesel::QueryableByName)]
    struct Lock {
        #[diesel(sql_type = diesel::sql_types::Bool)]
        pg_try_advisory_xact_lock: bool,
    }
    loop {
        connection.batch_execute("BEGIN").map_err(backend)?;
        let lock: Lock = sql_query(LOCK).get_result(connection).map_err(backend)?;
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
