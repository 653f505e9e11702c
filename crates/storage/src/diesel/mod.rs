//! The implementation of the ports with diesel, over SQLite and PostgreSQL. Queries are written once; only
//! `connection.rs`, `migrations.rs` and the two stores know which database they talk to.

mod app;
mod audit;
mod code;
mod connection;
mod convert;
#[cfg(feature = "sqlite")]
mod database_file;
mod email_template;
mod factor;
mod import;
mod invite;
mod listing;
mod migrations;
mod network;
mod operator_token;
mod outbox;
mod pool;
mod portal;
#[cfg(feature = "postgres")]
mod postgres;
mod quota;
mod schema;
mod sealed;
mod server_key;
mod signup;
#[cfg(feature = "sqlite")]
mod sqlite;
mod upkeep;
mod user;

use std::path::PathBuf;
use std::time::Duration;

use connection::DiskFault;
use latchkey_domain::{AppId, KeyedDigest};
use time::OffsetDateTime;

use crate::ports::{Answer, ReadUnit, WriteUnit};
use crate::{Engine, QuotaKey, StorageError, Store};

/// Which database, and how it is used.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// Connections: all of them on PostgreSQL, those that read on SQLite.
    pub connections: usize,
    /// How long a unit of work waits for its turn.
    pub wait: Duration,
    /// SQLite only: whether an answered write survives a power cut (`synchronous = FULL`).
    pub durable: bool,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self { connections: 8, wait: Duration::from_secs(5), durable: true }
    }
}

/// Where the data is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseLocation {
    /// An SQLite file.
    #[cfg(feature = "sqlite")]
    File(PathBuf),
    /// A PostgreSQL server, as a connection URL. It may hold a password.
    #[cfg(feature = "postgres")]
    Server(String),
}

impl std::fmt::Debug for DatabaseLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            #[cfg(feature = "sqlite")]
            Self::File(path) => write!(f, "{}", path.display()),
            #[cfg(feature = "postgres")]
            Self::Server(_) => f.write_str("PostgreSQL"),
        }
    }
}

/// SQLite or PostgreSQL.
#[derive(Clone)]
pub struct Database {
    backend: Backend,
    disk: DiskFault,
}

#[derive(Clone)]
enum Backend {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlite::SqliteStore),
    #[cfg(feature = "postgres")]
    Postgres(postgres::PostgresStore),
}

impl Database {
    /// Opens the database. The schema must have been migrated. Blocks.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when it does not answer.
    pub fn open(location: &DatabaseLocation, settings: &DatabaseSettings) -> Result<Store, StorageError> {
        let disk = DiskFault::default();
        let backend = match location {
            #[cfg(feature = "sqlite")]
            DatabaseLocation::File(path) => {
                Backend::Sqlite(sqlite::SqliteStore::open(path.clone(), settings, disk.clone())?)
            }
            #[cfg(feature = "postgres")]
            DatabaseLocation::Server(url) => {
                postgres::check_language(url)?;
                Backend::Postgres(postgres::PostgresStore::new(url.clone(), settings, disk.clone()))
            }
        };
        Ok(Store::new(Self { backend, disk }))
    }

    /// Migrates the schema, and returns the number of applied migrations. Blocks. Several instances may call it at
    /// once: one migrates, the others wait.
    ///
    /// # Errors
    /// [`StorageError::NewerSchema`] when the data was written by a newer version.
    pub fn migrate(location: &DatabaseLocation) -> Result<usize, StorageError> {
        migrations::apply(location)
    }

    /// The migrations that have not been applied. Changes nothing. Blocks.
    ///
    /// # Errors
    /// [`StorageError::NewerSchema`] when the data was written by a newer version.
    pub fn pending_migrations(location: &DatabaseLocation) -> Result<Vec<String>, StorageError> {
        migrations::pending(location)
    }

    /// Reverts the newest applied migration. For tests of migrations.
    ///
    /// # Errors
    /// [`StorageError`] if no migration is applied, or the migration fails.
    #[cfg(feature = "conformance")]
    pub fn revert_last_migration(location: &DatabaseLocation) -> Result<String, StorageError> {
        migrations::revert_last(location)
    }
}

impl Engine for Database {
    fn write(&self, name: &'static str, mut unit: WriteUnit) -> Answer<'_> {
        let span = tracing::debug_span!("db", unit = name);
        let unit: WriteUnit = Box::new(move |repositories| span.in_scope(|| unit(repositories)));
        match &self.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(store) => Box::pin(store.write(unit)),
            #[cfg(feature = "postgres")]
            Backend::Postgres(store) => Box::pin(store.write(unit)),
        }
    }

    fn read(&self, name: &'static str, mut unit: ReadUnit) -> Answer<'_> {
        let span = tracing::debug_span!("db", unit = name);
        let unit: ReadUnit = Box::new(move |readers| span.in_scope(|| unit(readers)));
        match &self.backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite(store) => Box::pin(store.read(unit)),
            #[cfg(feature = "postgres")]
            Backend::Postgres(store) => Box::pin(store.read(unit)),
        }
    }

    fn probe(&self) -> Answer<'_> {
        Box::pin(self.probe_disk())
    }
}

impl Database {
    async fn probe_disk(&self) -> Result<(), StorageError> {
        let store = Store::new(self.clone());
        store.read("health", |readers| readers.server_keys().list().map(|_| ())).await?;
        if !self.disk.is_there() {
            return Ok(());
        }
        // Reading works on a full disk. Only a write shows that there is room again.
        let written = store.transact("health.write", |repositories| {
            let counter = QuotaKey {
                app_id: AppId::NONE,
                kind: "health",
                subject: KeyedDigest::NONE,
                period: 0,
                expires_at: OffsetDateTime::UNIX_EPOCH,
            };
            repositories.quotas().reserve(&counter, u32::MAX)
        });
        written.await?;
        self.disk.clear();
        Ok(())
    }
}

/// Runs blocking work to its end, whatever becomes of the caller.
async fn blocking(
    work: impl FnOnce() -> Result<(), StorageError> + Send + 'static,
) -> Result<(), StorageError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> StorageError {
    StorageError::Backend("a unit of work panicked".into())
}
