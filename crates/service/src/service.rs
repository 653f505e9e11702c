//! Shared state of all use cases: ports, keys and settings.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use latchkey_crypto::{
    CryptoError, HashPool, KeyRing, KeyRingError, MasterKey, OldServerKeys, PasswordHasher, PublicKey,
    RsaSize, old_server_key,
};
use latchkey_domain::{
    AppId, BackoffPolicy, Clock, ClockGuard, CodeRules, Entropy, FactorRules, OutboxRules, ServerMode, UserId,
};
use latchkey_notifiers::{EmailSender, SmsSender};
use latchkey_storage::{Readers, Repositories, StorageError, Store};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::account::provider_keys::{KeySetSource, KeySets, ProviderSettings};
use crate::base::audit::{Action, Event};
use crate::base::clock_watch::ClockWatch;
use crate::base::error::ServiceError;
use crate::base::jwt_size::{JwtSize, LongTokens};
use crate::base::operator::{Operator, Reader};
use crate::base::signing::SigningKeys;
use crate::base::turns::Turns;
use crate::notify::mail::MailLimits;
use crate::notify::outbox::MailIdentity;
use crate::notify::sms::SmsLimits;
use crate::operate::listing::Totals;
use crate::operate::server_keys::Resealing;
use crate::protect::rates::{RateLimits, RateRules};

/// Concurrent long reads of one application, and of one reader within it.
const READS_AT_ONCE: u32 = 2;
const READS_OF_ONE: u32 = 1;

/// The operator's settings.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// The address under which the server is reached, without a slash at its end.
    pub public_url: String,
    /// How the server is run.
    pub mode: ServerMode,
    /// Lifetimes and limits of codes.
    pub codes: CodeRules,
    /// How messages are tried again.
    pub outbox: OutboxRules,
    /// The size of new applications' keys.
    pub key_size: RsaSize,
    /// How long every instance has to learn of new keys of the server, and how long the last use of old ones takes.
    pub key_wait: time::Duration,
    /// For how long consumers may keep an application's key set.
    pub key_set_life: time::Duration,
    /// Who mail comes from.
    pub mail: MailIdentity,
    /// How much mail one address gets.
    pub mail_limits: MailLimits,
    /// How many text messages go out.
    pub sms_limits: SmsLimits,
    /// How guessing passwords slows down.
    pub backoff: BackoffPolicy,
    /// How guessing second factors is limited.
    pub factors: FactorRules,
    /// Apple, as tokens and keys are taken from it.
    pub apple: ProviderSettings,
    /// Google, as tokens and keys are taken from it.
    pub google: ProviderSettings,
    /// How much one address or user may do.
    pub rates: RateRules,
    /// A refused log-in is answered no earlier than this.
    pub login_floor: std::time::Duration,
    /// How many days the audit log goes back.
    pub audit_days: u32,
}

impl ServiceSettings {
    /// The defaults of docs/security.md, for a server that is reached at this address and mails under this name.
    #[must_use]
    pub fn new(public_url: String, mail: MailIdentity) -> Self {
        Self {
            public_url,
            mode: ServerMode::SelfHosted,
            codes: CodeRules::default(),
            outbox: OutboxRules::default(),
            key_wait: time::Duration::seconds(60),
            key_size: RsaSize::default(),
            key_set_life: time::Duration::minutes(15),
            mail,
            mail_limits: MailLimits::default(),
            sms_limits: SmsLimits::default(),
            backoff: BackoffPolicy::default(),
            factors: FactorRules::default(),
            apple: ProviderSettings::apple(),
            google: ProviderSettings::google(),
            rates: RateRules::default(),
            login_floor: std::time::Duration::from_millis(250),
            audit_days: 90,
        }
    }
}

/// External services.
#[derive(Clone)]
pub struct ExternalServices {
    /// Sends mail.
    pub mail: Arc<dyn EmailSender>,
    /// Sends text messages.
    pub sms: Arc<dyn SmsSender>,
    /// Fetches the key sets of identity providers.
    pub key_sets: Arc<dyn KeySetSource>,
}

/// Reads the master key from where it is kept.
pub type MasterKeyReader =
    Arc<dyn Fn() -> Result<MasterKey, Box<dyn std::error::Error + Send + Sync>> + Send + Sync>;

/// The parts of a service.
pub struct ServiceParts {
    /// The database.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// The server's keys.
    pub keys: KeyRing,
    /// Where the master key is read again when the server's keys have changed.
    pub master: MasterKeyReader,
    /// Hashes passwords.
    pub hasher: PasswordHasher,
    /// Where hashing and key generation run.
    pub pool: HashPool,
    /// The world outside.
    pub outside: ExternalServices,
    /// The operator's settings.
    pub settings: ServiceSettings,
}

/// The use cases. Cheap to clone.
pub struct Service {
    pub(crate) inner: Arc<Inner>,
}

impl Clone for Service {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

/// The workers of the outbox, one for each channel.
#[derive(Default)]
pub(crate) struct Workers {
    pub(crate) mail: Worker,
    pub(crate) sms: Worker,
}

/// A worker's state between two turns.
#[derive(Default)]
pub(crate) struct Worker {
    pub(crate) wake: Notify,
    /// Whose messages came last: the next turn begins with the application after it.
    pub(crate) last: Mutex<Option<AppId>>,
    /// The current fault of each account: an application's own, or the server's (`None`).
    pub(crate) faults: Mutex<HashMap<Option<AppId>, String>>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) keys: RwLock<Arc<KeyRing>>,
    pub(crate) master: MasterKeyReader,
    pub(crate) resealing: Arc<Resealing>,
    pub(crate) hasher: Arc<PasswordHasher>,
    pub(crate) pool: HashPool,
    pub(crate) settings: ServiceSettings,
    pub(crate) signing: SigningKeys,
    pub(crate) long_tokens: LongTokens,
    pub(crate) workers: Workers,
    pub(crate) limits: Arc<RateLimits>,
    /// Users whose passwords are being verified.
    pub(crate) in_flight: Turns<(AppId, UserId)>,
    /// Applications of which much is being read.
    pub(crate) reads: Turns<AppId>,
    /// Long reads in progress, for each reader and application.
    pub(crate) readers: Turns<(AppId, Reader)>,
    pub(crate) outside: ExternalServices,
    pub(crate) key_sets: KeySets,
    pub(crate) totals: Totals,
    pub(crate) old_servers: RwLock<OldServerKeys>,
    pub(crate) clock_watch: ClockWatch,
    /// The time to verify the costliest accepted hash, in milliseconds, once measured.
    pub(crate) costliest_millis: AtomicU64,
}

impl Service {
    /// Runs a unit of work that writes; see [`Store::transact`].
    pub(crate) async fn transact<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Fn(&mut dyn Repositories) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.inner.store.transact(name, work).await
    }

    /// Runs a unit of work that only reads; see [`Store::read`].
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Fn(&mut dyn Readers) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.inner.store.read(name, work).await
    }

    pub(crate) fn jwt_size(&self) -> JwtSize {
        JwtSize::new(self.inner.settings.key_size)
    }

    /// Where clients reach this server: what the issuers of its applications begin with.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.inner.settings.public_url
    }

    /// Waits for a turn to read much of an application, and keeps it until the permit is dropped. There are fewer of
    /// them than a pool has connections, so that one application's pages, searches and exports leave the others theirs.
    /// A reader's requests wait for each other first, so that one server secret leaves the others of its application a
    /// turn.
    ///
    /// # Errors
    /// [`ServiceError::Busy`].
    pub(crate) async fn turn_to_read(
        &self,
        reader: Reader,
        app_id: AppId,
    ) -> Result<[OwnedSemaphorePermit; 2], ServiceError> {
        let own = self.inner.readers.enter_soon((app_id, reader), READS_OF_ONE).await?;
        Ok([own, self.inner.reads.enter_soon(app_id, READS_AT_ONCE).await?])
    }

    /// Wires the use cases.
    #[must_use]
    pub fn new(parts: ServiceParts) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock_watch: ClockWatch::new(ClockGuard::new(parts.clock.now(), parts.clock.elapsed(), None)),
                store: parts.store,
                clock: parts.clock,
                entropy: parts.entropy,
                keys: RwLock::new(Arc::new(parts.keys)),
                master: parts.master,
                resealing: Arc::default(),
                hasher: Arc::new(parts.hasher),
                pool: parts.pool,
                limits: Arc::new(RateLimits::new(parts.settings.rates.clone())),
                settings: parts.settings,
                signing: SigningKeys::default(),
                long_tokens: LongTokens::default(),
                workers: Workers::default(),
                in_flight: Turns::default(),
                reads: Turns::default(),
                readers: Turns::default(),
                outside: parts.outside,
                key_sets: KeySets::default(),
                totals: Totals::default(),
                old_servers: RwLock::default(),
                costliest_millis: AtomicU64::default(),
            }),
        }
    }

    /// Whether the database holds keys: if it does, they were wrapped by a master key that must be found.
    pub async fn has_keys(store: &Store) -> Result<bool, StorageError> {
        store.read("keys.exist", |readers| Ok(!readers.server_keys().list()?.is_empty())).await
    }

    /// Opens the server's keys, and makes them first if the database holds none. Several instances may do so
    /// at once: all end with the same keys.
    ///
    /// # Errors
    /// [`KeyRingError::WrongMasterKey`] as [`ServiceError::Internal`] when another master key wrapped them.
    pub async fn open_keys(
        store: &Store,
        master: &MasterKey,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<KeyRing, ServiceError> {
        let first = KeyRing::create(master, clock.now(), entropy)?;
        let keys = store
            .transact("keys.open", move |repos| {
                let keys = repos.server_keys();
                if keys.list()?.is_empty() {
                    for key in &first {
                        keys.add(key)?;
                    }
                }
                keys.list()
            })
            .await?;
        KeyRing::open(master, &keys, clock.now()).map_err(|error| match error {
            KeyRingError::Crypto(error @ CryptoError::Entropy(_)) => error.into(),
            other => ServiceError::Internal(Box::new(other)),
        })
    }

    /// Looks whether an old server's key could be trusted.
    ///
    /// # Errors
    /// As [`Self::trust_old_server`].
    pub fn check_old_server(pem: &str) -> Result<PublicKey, ServiceError> {
        old_server_key(pem).map_err(|error| ServiceError::invalid(error.to_string()))
    }

    /// Accepts app tokens of an old server from now on, which ship in clients, and no other token that it signed.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`](crate::Refusal::InvalidData), explained, when the text is not a public key, or a
    /// published sample.
    pub async fn trust_old_server(&self, operator: Operator, pem: &str) -> Result<(), ServiceError> {
        operator.reaches_all()?;
        let key = Self::check_old_server(pem)?;
        let mut event = Event::of_operator(Action::TrustOldServer, AppId::NONE, &operator);
        event.detail = Some(key.kid().to_owned());
        let (now, entry) = (self.inner.clock.now(), self.entry(&event)?);
        self.transact("keys.trust", move |repos| {
            if repos.server_keys().trust_old(key.kid(), key.to_pem(), now)? {
                repos.audit().add(&entry)?;
            }
            Ok(())
        })
        .await?;
        self.look_for_old_servers().await
    }

    /// Reloads the trusted old servers, since another instance may have added one.
    ///
    /// # Errors
    /// [`ServiceError`] when the database fails or contains an invalid key.
    pub async fn look_for_old_servers(&self) -> Result<(), ServiceError> {
        let pems = self.read("keys.old", |readers| Ok(readers.server_keys().old_public_keys()?));
        let keys = pems.await?.iter().map(|pem| PublicKey::from_pem(pem)).collect::<Result<Vec<_>, _>>()?;
        *self.inner.old_servers.write().unwrap_or_else(PoisonError::into_inner) = OldServerKeys::new(&keys);
        Ok(())
    }

    /// The rate limits of addresses, for the HTTP middleware.
    #[must_use]
    pub fn rate_limits(&self) -> Arc<RateLimits> {
        Arc::clone(&self.inner.limits)
    }

    /// For how long consumers may keep an application's key set.
    #[must_use]
    pub fn key_set_life(&self) -> time::Duration {
        self.inner.settings.key_set_life
    }

    /// What time it is, as use cases see it.
    #[must_use]
    pub fn now(&self) -> time::OffsetDateTime {
        self.inner.clock.now()
    }

    /// Whether the database answers, and writes if its last write failed.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] when it does not.
    pub async fn check_database(&self) -> Result<(), ServiceError> {
        Ok(self.inner.store.probe().await?)
    }
}
