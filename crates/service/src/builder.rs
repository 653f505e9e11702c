//! Starting a service inside another program, with usual parts for everything that is not given.

use std::sync::Arc;

use latchkey_crypto::{Engine, HashCost, HashPool, MasterKey, PasswordHasher, SystemEntropy};
use latchkey_domain::SystemClock;
use latchkey_notifiers::{EmailSender, NotifyError, Sending, Sms, SmsSender};
use latchkey_storage::Store;

use crate::account::provider_keys::{Fetching, KeySetSource};
use crate::base::error::ServiceError;
use crate::service::{ExternalServices, MasterKeyReader, Service, ServiceParts, ServiceSettings};

/// Password hashes that may wait for a thread.
const HASH_QUEUE: usize = 200;

/// A service that is about to start.
pub struct ServiceBuilder {
    store: Store,
    settings: ServiceSettings,
    outside: ExternalServices,
}

/// Stands for providers that an embedding program has not given.
struct NotConfigured;

impl SmsSender for NotConfigured {
    fn send_sms<'a>(&'a self, _: &'a Sms) -> Sending<'a> {
        Box::pin(async { Err(NotifyError::Refused("no SMS provider is configured".to_owned())) })
    }

    fn name(&self) -> &str {
        "not configured"
    }
}

impl KeySetSource for NotConfigured {
    fn fetch<'a>(&'a self, _: &'a str) -> Fetching<'a> {
        Box::pin(async { Err("no source of key sets is configured".to_owned()) })
    }
}

impl Service {
    /// Begins a service on a store whose schema has been migrated. `mail` sends its messages; SMS and identity
    /// providers fail until they are given.
    #[must_use]
    pub fn builder(store: Store, settings: ServiceSettings, mail: Arc<dyn EmailSender>) -> ServiceBuilder {
        let outside =
            ExternalServices { mail, sms: Arc::new(NotConfigured), key_sets: Arc::new(NotConfigured) };
        ServiceBuilder { store, settings, outside }
    }
}

impl ServiceBuilder {
    /// Sends SMS by this provider.
    #[must_use]
    pub fn sms(mut self, sms: Arc<dyn SmsSender>) -> Self {
        self.outside.sms = sms;
        self
    }

    /// Fetches the key sets of identity providers from this source.
    #[must_use]
    pub fn key_sets(mut self, key_sets: Arc<dyn KeySetSource>) -> Self {
        self.outside.key_sets = key_sets;
        self
    }

    /// Opens the server's keys with the master key, or makes them in an empty database. `master` reads the master key
    /// again when the keys in the database have changed.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] when another master key encrypted the keys, or no thread could be started.
    pub async fn open(self, master: MasterKeyReader) -> Result<Service, ServiceError> {
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy::new()));
        let key: MasterKey = master().map_err(ServiceError::Internal)?;
        let keys = Service::open_keys(&self.store, &key, &*clock, &*entropy).await?;
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Ok(Service::new(ServiceParts {
            store: self.store,
            clock,
            entropy,
            keys,
            master,
            hasher: PasswordHasher::new(Engine::default(), HashCost::default())?,
            pool: HashPool::new(threads, HASH_QUEUE)
                .map_err(|error| ServiceError::Internal(Box::new(error)))?,
            outside: self.outside,
            settings: self.settings,
        }))
    }
}
