//! Units of work: the one way into the database.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use super::{
    AppReader, AppRepository, AuditReader, AuditRepository, CodeReader, CodeRepository, EmailTemplateReader,
    EmailTemplateRepository, FactorRepository, ImportRepository, InviteReader, InviteRepository,
    OperatorTokenReader, OperatorTokenRepository, OutboxReader, OutboxRepository, PortalReader,
    PortalRepository, QuotaRepository, SealedReader, SealedRepository, ServerKeyReader, ServerKeyRepository,
    SignupReader, SignupRepository, UpkeepRepository, UserReader, UserRepository,
};
use crate::StorageError;

/// A unit of work that writes. Returns whether its changes are to be kept.
pub type WriteUnit = Box<dyn FnMut(&mut dyn Repositories) -> bool + Send>;

/// A unit of work that reads.
pub type ReadUnit = Box<dyn FnMut(&mut dyn Readers) + Send>;

/// The future result of an [`Engine`].
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<(), StorageError>> + Send + 'a>>;

/// Runs units of work on one kind of database. Use cases call it through [`Store`].
///
/// Units run off the asynchronous threads, to their end, whatever becomes of the caller, and possibly more than once:
/// the last run counts.
///
/// # Errors
/// Every method fails with [`StorageError`] when the database did: then no run of the unit counts.
pub trait Engine: Send + Sync {
    /// Runs a unit and commits its changes if it wants them kept. A unit that panics keeps nothing. Lost races are
    /// retried a few times. `name` identifies the unit in logs.
    fn write(&self, name: &'static str, unit: WriteUnit) -> Answer<'_>;

    /// Runs a unit that sees everything that was answered before it began, and never waits for a writer.
    fn read(&self, name: &'static str, unit: ReadUnit) -> Answer<'_>;

    /// Makes sure that the database answers, and that it writes if its last write failed.
    fn probe(&self) -> Answer<'_>;
}

/// A database. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<dyn Engine>);

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Wraps an engine.
    pub fn new(engine: impl Engine + 'static) -> Self {
        Self(Arc::new(engine))
    }

    /// The engine, for one that wraps it.
    #[must_use]
    pub fn engine(&self) -> &dyn Engine {
        &*self.0
    }

    /// Runs a unit of work that writes: all of it is kept when the closure returns `Ok`, nothing when it returns
    /// `Err` or panics. Lost races are tried again a few times.
    ///
    /// The closure **may run more than once**: it must be a function of what it borrows and of the rows it reads.
    /// Ids, codes, times and digests are made before; nothing in it hashes, waits or calls the network.
    ///
    /// Rows are touched in the order app, user, sign-up, invite, code, quota, outbox, audit, so that units do not
    /// deadlock.
    ///
    /// # Errors
    /// The closure's own, or [`StorageError`] as `E` when the database failed.
    pub async fn transact<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: Fn(&mut dyn Repositories) -> Result<T, E> + Send + 'static,
    {
        let outcome = Outcome::default();
        let last = outcome.clone();
        let unit = Box::new(move |repositories: &mut dyn Repositories| last.replace(work(repositories)));
        self.0.write(name, unit).await?;
        outcome.take()
    }

    /// Runs a unit of work that only reads. It sees everything that was answered before it began, and never waits
    /// for a writer. What it read is never the sole ground of a later write. The closure may run more than once.
    ///
    /// # Errors
    /// The closure's own, or [`StorageError`] as `E` when the database failed.
    pub async fn read<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: Fn(&mut dyn Readers) -> Result<T, E> + Send + 'static,
    {
        let outcome = Outcome::default();
        let last = outcome.clone();
        let unit = Box::new(move |readers: &mut dyn Readers| {
            last.replace(work(readers));
        });
        self.0.read(name, unit).await?;
        outcome.take()
    }

    /// Makes sure that the database answers, and that it writes if its last write failed.
    pub async fn probe(&self) -> Result<(), StorageError> {
        self.0.probe().await
    }
}

/// The result of the last run of a unit's closure. Engines do not know its type, so everything that calls a store
/// compiles once, for all engines.
struct Outcome<T, E>(Arc<Mutex<Option<Result<T, E>>>>);

impl<T, E> Default for Outcome<T, E> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T, E> Clone for Outcome<T, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T, E: From<StorageError>> Outcome<T, E> {
    /// Remembers a run, and returns whether it succeeded.
    fn replace(&self, result: Result<T, E>) -> bool {
        let keep = result.is_ok();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        keep
    }

    fn take(&self) -> Result<T, E> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        last.unwrap_or_else(|| Err(StorageError::Backend("a unit of work never ran".into()).into()))
    }
}

/// The repositories of a unit of work that writes, one at a time.
pub trait Repositories {
    /// Applications and their keys.
    fn apps(&mut self) -> &mut dyn AppRepository;
    /// The server's keys.
    fn server_keys(&mut self) -> &mut dyn ServerKeyRepository;
    /// Everything that is sealed.
    fn sealed(&mut self) -> &mut dyn SealedRepository;
    /// Operator tokens.
    fn operator_tokens(&mut self) -> &mut dyn OperatorTokenRepository;
    /// Users.
    fn users(&mut self) -> &mut dyn UserRepository;
    /// Their second factors.
    fn factors(&mut self) -> &mut dyn FactorRepository;
    /// Sign-up attempts.
    fn signups(&mut self) -> &mut dyn SignupRepository;
    /// One-time codes.
    fn codes(&mut self) -> &mut dyn CodeRepository;
    /// Counters.
    fn quotas(&mut self) -> &mut dyn QuotaRepository;
    /// Messages to be sent.
    fn outbox(&mut self) -> &mut dyn OutboxRepository;
    /// Invitations.
    fn invites(&mut self) -> &mut dyn InviteRepository;
    /// Messages as applications word them.
    fn email_templates(&mut self) -> &mut dyn EmailTemplateRepository;
    /// The audit log.
    fn audit(&mut self) -> &mut dyn AuditRepository;
    /// Imports in progress.
    fn imports(&mut self) -> &mut dyn ImportRepository;
    /// Accounts of the portal.
    fn portal(&mut self) -> &mut dyn PortalRepository;
    /// Periodic work.
    fn upkeep(&mut self) -> &mut dyn UpkeepRepository;
}

/// The repositories of a unit of work that reads.
pub trait Readers {
    /// Applications and their keys.
    fn apps(&mut self) -> &mut dyn AppReader;
    /// The server's keys.
    fn server_keys(&mut self) -> &mut dyn ServerKeyReader;
    /// Everything that is sealed.
    fn sealed(&mut self) -> &mut dyn SealedReader;
    /// Operator tokens.
    fn operator_tokens(&mut self) -> &mut dyn OperatorTokenReader;
    /// Accounts of the portal.
    fn portal(&mut self) -> &mut dyn PortalReader;
    /// Users.
    fn users(&mut self) -> &mut dyn UserReader;
    /// Sign-up attempts.
    fn signups(&mut self) -> &mut dyn SignupReader;
    /// One-time codes.
    fn codes(&mut self) -> &mut dyn CodeReader;
    /// Messages to be sent.
    fn outbox(&mut self) -> &mut dyn OutboxReader;
    /// Invitations.
    fn invites(&mut self) -> &mut dyn InviteReader;
    /// Messages as applications word them.
    fn email_templates(&mut self) -> &mut dyn EmailTemplateReader;
    /// The audit log.
    fn audit(&mut self) -> &mut dyn AuditReader;
}
