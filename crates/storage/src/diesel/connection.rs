//! One connection to either database, the macro that writes a query once for both, and the unit of work
//! that the repositories are methods of. With `migrations.rs`, the one place that knows which database it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::result::{DatabaseErrorKind, Error, QueryResult};

use crate::{
    AppReader, AppRepository, AuditReader, AuditRepository, CodeReader, CodeRepository, EmailTemplateReader,
    EmailTemplateRepository, FactorRepository, ImportRepository, InviteReader, InviteRepository,
    OperatorTokenReader, OperatorTokenRepository, OutboxReader, OutboxRepository, PortalReader,
    PortalRepository, QuotaRepository, Readers, Repositories, SealedReader, SealedRepository,
    ServerKeyReader, ServerKeyRepository, SignupReader, SignupRepository, StorageError, UpkeepRepository,
    UserReader, UserRepository,
};

pub(super) enum Connection {
    #[cfg(feature = "postgres")]
    Postgres(Box<diesel::PgConnection>),
    #[cfg(feature = "sqlite")]
    Sqlite(Box<diesel::SqliteConnection>),
}

/// Runs one expression on whichever connection it is: it type-checks against each.
macro_rules! on_connection {
    ($connection:expr, $conn:ident => $body:expr) => {
        match $connection {
            #[cfg(feature = "postgres")]
            $crate::diesel::connection::Connection::Postgres(boxed) => {
                let $conn: &mut diesel::PgConnection = boxed;
                $body
            }
            #[cfg(feature = "sqlite")]
            $crate::diesel::connection::Connection::Sqlite(boxed) => {
                let $conn: &mut diesel::SqliteConnection = boxed;
                $body
            }
        }
    };
}

/// Runs one query of a unit of work, and notes how it failed.
macro_rules! on_backend {
    ($unit:expr, $conn:ident => $body:expr) => {{
        let result = $crate::diesel::connection::on_connection!(&mut *$unit.connection, $conn => $body);
        $unit.note(result)
    }};
}
/// The rows of an application.
macro_rules! in_app {
    ($table:ident, $app_id:expr) => {
        $table::table.filter($table::app_id.eq($app_id.as_bytes().as_slice()))
    };
}

/// The one row of a table that passes some filters, if there is one.
macro_rules! find_row {
    ($unit:expr, $table:ident => $row:ty, $($filter:expr),+) => {
        $crate::diesel::connection::on_backend!($unit, conn => $table::table
            $(.filter($filter))+
            .select(<$row>::as_select())
            .get_result(conn)
            .optional())
    };
}
pub(super) use {find_row, in_app, on_backend, on_connection};

impl Connection {
    pub(super) fn begin(&mut self) -> QueryResult<()> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(conn) => AnsiTransactionManager::begin_transaction(&mut **conn),
            // The write lock is taken at once: a transaction that takes it later can find itself too late.
            #[cfg(feature = "sqlite")]
            Self::Sqlite(conn) => {
                AnsiTransactionManager::begin_transaction_sql(&mut **conn, "BEGIN IMMEDIATE")
            }
        }
    }

    /// Begins a savepoint within a transaction; without one, a transaction that takes no lock.
    pub(super) fn begin_inner(&mut self) -> QueryResult<()> {
        on_connection!(self, conn => AnsiTransactionManager::begin_transaction(conn))
    }

    pub(super) fn commit(&mut self) -> QueryResult<()> {
        on_connection!(self, conn => AnsiTransactionManager::commit_transaction(conn))
    }

    pub(super) fn roll_back(&mut self) -> QueryResult<()> {
        on_connection!(self, conn => AnsiTransactionManager::rollback_transaction(conn))
    }

    pub(super) fn is_in_transaction(&mut self) -> bool {
        on_connection!(self, conn => {
            let state = AnsiTransactionManager::transaction_manager_status_mut(conn);
            !matches!(state.transaction_depth(), Ok(None))
        })
    }
}

/// A failure of the database, as far as callers can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// A race was lost: the whole unit may run again.
    Race,
    /// The application was removed meanwhile. The unit is retried, because one that looks up the application returns a
    /// better error.
    AppGone,
    /// The connection is gone, or its server has become a read-only one: all connections are suspect.
    Gone,
    /// It took too long: a lock that is held, or a database that is overloaded.
    Slow,
    /// The disk is full or failed.
    Disk,
    /// Running again would not help.
    Final,
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            // Inserts handle existing rows themselves; only an update that lost a race for a unique value ends here,
            // and finds the winner when it runs again.
            Error::DatabaseError(
                DatabaseErrorKind::SerializationFailure | DatabaseErrorKind::UniqueViolation,
                _,
            ) => Self::Race,
            // All foreign keys are those of applications.
            Error::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => Self::AppGone,
            Error::DatabaseError(
                DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::ReadOnlyTransaction
                | DatabaseErrorKind::UnableToSendCommand,
                _,
            ) => Self::Gone,
            // diesel has no kind for these; the texts are the servers' own, in English.
            Error::DatabaseError(_, info)
                if info.message().contains("deadlock detected")
                    || info.message().contains("database is locked") =>
            {
                Self::Race
            }
            Error::DatabaseError(_, info) if info.message().starts_with("canceling statement due to ") => {
                Self::Slow
            }
            Error::DatabaseError(_, info)
                if ["database or disk is full", "disk I/O error", "No space left on device"]
                    .iter()
                    .any(|text| info.message().contains(text)) =>
            {
                Self::Disk
            }
            _ => Self::Final,
        }
    }
}

/// Whether the last write to a disk failed.
#[derive(Debug, Clone, Default)]
pub(super) struct DiskFault(Arc<AtomicBool>);

impl DiskFault {
    pub(super) fn note(&self, failure: Option<Failure>) {
        if failure == Some(Failure::Disk) && !self.0.swap(true, Ordering::Relaxed) {
            tracing::error!("the database cannot write: its disk is full or failed; requests are refused");
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn clear(&self) {
        if self.0.swap(false, Ordering::Relaxed) {
            tracing::info!("the database writes again");
        }
    }
}

/// A unit of work on a connection. It keeps the first failure of the database, so that its caller can decide on a retry
/// without inspecting the use case's error.
pub(super) struct Unit<'c> {
    pub(super) connection: &'c mut Connection,
    failure: Option<Failure>,
}

impl<'c> Unit<'c> {
    pub(super) fn on(connection: &'c mut Connection) -> Self {
        Self { connection, failure: None }
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure
    }

    pub(super) fn note<T>(&mut self, result: QueryResult<T>) -> Result<T, StorageError> {
        result.map_err(|error| {
            self.failure.get_or_insert_with(|| Failure::of(&error));
            backend(error)
        })
    }
}

pub(super) fn backend(error: Error) -> StorageError {
    match Failure::of(&error) {
        Failure::Race | Failure::Gone | Failure::Slow | Failure::Disk => {
            StorageError::Unavailable(error.to_string())
        }
        Failure::AppGone => StorageError::AppGone,
        Failure::Final => StorageError::Backend(Box::new(error)),
    }
}

impl Repositories for Unit<'_> {
    fn apps(&mut self) -> &mut dyn AppRepository {
        self
    }
    fn server_keys(&mut self) -> &mut dyn ServerKeyRepository {
        self
    }
    fn sealed(&mut self) -> &mut dyn SealedRepository {
        self
    }
    fn operator_tokens(&mut self) -> &mut dyn OperatorTokenRepository {
        self
    }
    fn users(&mut self) -> &mut dyn UserRepository {
        self
    }

    fn imports(&mut self) -> &mut dyn ImportRepository {
        self
    }

    fn factors(&mut self) -> &mut dyn FactorRepository {
        self
    }
    fn signups(&mut self) -> &mut dyn SignupRepository {
        self
    }
    fn codes(&mut self) -> &mut dyn CodeRepository {
        self
    }
    fn quotas(&mut self) -> &mut dyn QuotaRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn OutboxRepository {
        self
    }
    fn invites(&mut self) -> &mut dyn InviteRepository {
        self
    }
    fn email_templates(&mut self) -> &mut dyn EmailTemplateRepository {
        self
    }
    fn audit(&mut self) -> &mut dyn AuditRepository {
        self
    }
    fn upkeep(&mut self) -> &mut dyn UpkeepRepository {
        self
    }
    fn portal(&mut self) -> &mut dyn PortalRepository {
        self
    }
}

impl Readers for Unit<'_> {
    fn apps(&mut self) -> &mut dyn AppReader {
        self
    }
    fn server_keys(&mut self) -> &mut dyn ServerKeyReader {
        self
    }
    fn sealed(&mut self) -> &mut dyn SealedReader {
        self
    }
    fn operator_tokens(&mut self) -> &mut dyn OperatorTokenReader {
        self
    }
    fn portal(&mut self) -> &mut dyn PortalReader {
        self
    }
    fn users(&mut self) -> &mut dyn UserReader {
        self
    }
    fn signups(&mut self) -> &mut dyn SignupReader {
        self
    }
    fn codes(&mut self) -> &mut dyn CodeReader {
        self
    }
    fn outbox(&mut self) -> &mut dyn OutboxReader {
        self
    }
    fn invites(&mut self) -> &mut dyn InviteReader {
        self
    }
    fn email_templates(&mut self) -> &mut dyn EmailTemplateReader {
        self
    }
    fn audit(&mut self) -> &mut dyn AuditReader {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database_error(kind: DatabaseErrorKind, message: &str) -> Error {
        Error::DatabaseError(kind, Box::new(message.to_owned()))
    }

    #[test]
    fn races_and_lost_connections_are_told_from_other_failures() {
        for (error, failure) in [
            (database_error(DatabaseErrorKind::SerializationFailure, "could not serialize"), Failure::Race),
            (database_error(DatabaseErrorKind::Unknown, "deadlock detected"), Failure::Race),
            (database_error(DatabaseErrorKind::Unknown, "database is locked"), Failure::Race),
            (database_error(DatabaseErrorKind::ForeignKeyViolation, "no such app"), Failure::AppGone),
            (database_error(DatabaseErrorKind::ClosedConnection, "server closed"), Failure::Gone),
            (database_error(DatabaseErrorKind::ReadOnlyTransaction, "read-only"), Failure::Gone),
            (database_error(DatabaseErrorKind::Unknown, "database or disk is full"), Failure::Disk),
            (database_error(DatabaseErrorKind::Unknown, "disk I/O error"), Failure::Disk),
            (
                database_error(
                    DatabaseErrorKind::Unknown,
                    "could not extend file \"base/1/2\": No space left on device",
                ),
                Failure::Disk,
            ),
            (database_error(DatabaseErrorKind::Unknown, "no such table: users"), Failure::Final),
            (Error::NotFound, Failure::Final),
        ] {
            assert_eq!(Failure::of(&error), failure, "{error}");
        }
    }
}
