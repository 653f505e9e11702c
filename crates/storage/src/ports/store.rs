//! Units of work: the one way into the database.

use std::future::Future;

use super::{
    AppReader, AppRepository, AuditReader, AuditRepository, CodeReader, CodeRepository, EmailTemplateReader,
    EmailTemplateRepository, FactorRepository, ImportRepository, InviteReader, InviteRepository,
    OperatorTokenReader, OperatorTokenRepository, OutboxReader, OutboxRepository, QuotaRepository,
    SealedReader, SealedRepository, ServerKeyReader, ServerKeyRepository, SignupReader, SignupRepository,
    UpkeepRepository, UserReader, UserRepository,
};
use crate::StorageError;

/// A database.
///
/// Both methods run the closure off the asynchronous threads, to its end, whatever becomes of the caller.
/// The closure **may run more than once**: it must be a function of what it borrows and of the rows it
/// reads. Ids, codes, times and digests are made before; nothing in it hashes, waits or calls the network.
pub trait Store: Clone + Send + Sync + 'static {
    /// Runs a unit of work that writes: all of it is kept when the closure gives `Ok`, nothing when it gives
    /// `Err` or panics. Lost races are tried again a few times.
    ///
    /// Rows are touched in the order app, user, sign-up, invite, code, quota, outbox,
    /// audit, so that units do not deadlock.
    ///
    /// # Errors
    /// The closure's own, or [`StorageError`] as `E` when the database failed.
    fn transact<T, E, F>(&self, name: &'static str, work: F) -> impl Future<Output = Result<T, E>> + Send
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: Fn(&mut dyn Repositories) -> Result<T, E> + Send + Sync + 'static;

    /// Runs a unit of work that only reads. It sees everything that was answered before it began, and
    /// never waits for a writer. What it read is never the sole ground of a later write.
    ///
    /// # Errors
    /// The closure's own, or [`StorageError`] as `E` when the database failed.
    fn read<T, E, F>(&self, name: &'static str, work: F) -> impl Future<Output = Result<T, E>> + Send
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: Fn(&mut dyn Readers) -> Result<T, E> + Send + Sync + 'static;

    /// Makes sure that the database answers, and that it writes if its last write failed.
    ///
    /// # Errors
    /// [`StorageError`].
    fn probe(&self) -> impl Future<Output = Result<(), StorageError>> + Send {
        self.read("health", |readers| readers.server_keys().list().map(|_| ()))
    }
}

/// What a unit of work that writes may use, one repository at a time.
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
    /// What is being brought in.
    fn imports(&mut self) -> &mut dyn ImportRepository;
    /// Periodic work.
    fn upkeep(&mut self) -> &mut dyn UpkeepRepository;
}

/// What a unit of work that reads may use.
pub trait Readers {
    /// Applications and their keys.
    fn apps(&mut self) -> &mut dyn AppReader;
    /// The server's keys.
    fn server_keys(&mut self) -> &mut dyn ServerKeyReader;
    /// Everything that is sealed.
    fn sealed(&mut self) -> &mut dyn SealedReader;
    /// Operator tokens.
    fn operator_tokens(&mut self) -> &mut dyn OperatorTokenReader;
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
