//! What every use case stands on: the ports, the keys and the settings, wired once.

use std::sync::Arc;

use latchkey_crypto::{CryptoError, HashPool, KeyRing, KeyRingError, MasterKey, PasswordHasher, RsaSize};
use latchkey_domain::{Clock, CodeRules, Entropy, LadderRules, OutboxRules, ServerMode};
use latchkey_storage::{StorageError, Store};
use tokio::sync::Notify;

use crate::ServiceError;
use crate::limits::{RateLimits, RateRules};
use crate::mail::MailLimits;
use crate::outbox::MailIdentity;
use crate::signing::SigningKeys;
use crate::throttle::InFlight;

/// What the operator decides.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// The address under which the server is reached, without a slash at its end.
    pub public_url: String,
    /// How the server is run.
    pub mode: ServerMode,
    /// How codes live and die.
    pub codes: CodeRules,
    /// How messages are tried again.
    pub outbox: OutboxRules,
    /// The size of new applications' keys.
    pub key_size: RsaSize,
    /// Who mail comes from.
    pub mail: MailIdentity,
    /// How much mail one address gets.
    pub mail_limits: MailLimits,
    /// How guessing passwords slows down.
    pub ladder: LadderRules,
    /// How much one address or user may do.
    pub rates: RateRules,
    /// A refused log-in is answered no earlier than this.
    pub login_floor: std::time::Duration,
    /// How many days the audit log goes back.
    pub audit_days: u32,
}

/// What a service is made of.
pub struct ServiceParts<S> {
    /// The database.
    pub store: S,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// The server's keys.
    pub keys: KeyRing,
    /// Hashes passwords.
    pub hasher: PasswordHasher,
    /// Where hashing and key generation run.
    pub pool: HashPool,
    /// What the operator decides.
    pub settings: ServiceSettings,
}

/// The use cases. Cheap to clone.
pub struct Service<S> {
    pub(crate) inner: Arc<Inner<S>>,
}

impl<S> Clone for Service<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

pub(crate) struct Inner<S> {
    pub(crate) store: S,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) keys: KeyRing,
    pub(crate) hasher: Arc<PasswordHasher>,
    pub(crate) pool: HashPool,
    pub(crate) settings: ServiceSettings,
    pub(crate) signing: SigningKeys,
    pub(crate) outbox_has_mail: Notify,
    pub(crate) limits: Arc<RateLimits>,
    pub(crate) in_flight: InFlight,
}

impl<S: Store> Service<S> {
    /// Wires the use cases.
    #[must_use]
    pub fn new(parts: ServiceParts<S>) -> Self {
        Self {
            inner: Arc::new(Inner {
                store: parts.store,
                clock: parts.clock,
                entropy: parts.entropy,
                keys: parts.keys,
                hasher: Arc::new(parts.hasher),
                pool: parts.pool,
                limits: Arc::new(RateLimits::new(parts.settings.rates.clone())),
                settings: parts.settings,
                signing: SigningKeys::default(),
                outbox_has_mail: Notify::new(),
                in_flight: InFlight::default(),
            }),
        }
    }

    /// Whether the database holds keys: if it does, they were wrapped by a master key that must be found.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn has_keys(store: &S) -> Result<bool, StorageError> {
        store.read("keys.exist", |readers| Ok(!readers.server_keys().list()?.is_empty())).await
    }

    /// Opens the server's keys, and makes them first if the database holds none. Several instances may do so
    /// at once: all end with the same keys.
    ///
    /// # Errors
    /// [`KeyRingError::WrongMasterKey`] as [`ServiceError::Internal`] when another master key wrapped them.
    pub async fn open_keys(
        store: &S,
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
        KeyRing::open(master, &keys).map_err(|error| match error {
            KeyRingError::Crypto(error @ CryptoError::Entropy(_)) => error.into(),
            other => ServiceError::Internal(Box::new(other)),
        })
    }

    /// The rates of addresses, for whoever meets requests before a use case does.
    #[must_use]
    pub fn rate_limits(&self) -> Arc<RateLimits> {
        Arc::clone(&self.inner.limits)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] when it does not.
    pub async fn check_database(&self) -> Result<(), ServiceError> {
        self.inner
            .store
            .read("health", |readers| {
                readers.server_keys().list()?;
                Ok::<_, ServiceError>(())
            })
            .await
    }
}
