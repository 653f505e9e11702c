//! The key sets of identity providers: fetched from the addresses in the settings, cached as long as the provider
//! allows, and a day longer while it is unavailable. No address ever comes from a token.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use latchkey_crypto::{IdToken, IdTokenRules, ProviderKeys, TokenError, may_be_id_token, verify_id_token};
use latchkey_domain::{Named as _, Provider, SocialLogin, has_passed};
use time::{Duration, OffsetDateTime};

use crate::base::error::{Refusal, ServiceError};
use crate::service::Service;

/// The cache time of a set without one, and the minimum and maximum.
const USUAL_LIFE: Duration = Duration::hours(1);
const SHORTEST_LIFE: Duration = Duration::minutes(1);
const LONGEST_LIFE: Duration = Duration::hours(24);
/// How long a set is used after its life while no newer one can be had.
const STALE: Duration = Duration::hours(24);
/// The minimum time between requests for newer keys.
const ASK_EVERY: Duration = Duration::minutes(1);
/// The time to the next request if no keys are cached.
pub(crate) const ASK_AGAIN: Duration = Duration::seconds(5);

/// A fetched key set.
#[derive(Debug, Clone)]
pub struct FetchedKeySet {
    /// The JWKS.
    pub body: Vec<u8>,
    /// How long it is fresh (RFC 9111 section 5.2.2.1), if the provider says so.
    pub fresh_for: Option<Duration>,
}

/// A fetch that is under way. What went wrong is for the log.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<FetchedKeySet, String>> + Send + 'a>>;

/// Fetches key sets.
pub trait KeySetSource: Send + Sync {
    /// Fetches the set at this address.
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a>;
}

/// A provider as this server knows it.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Where its keys are.
    pub keys_url: String,
    /// Its names in the claim `iss`.
    pub issuers: Vec<String>,
}

impl ProviderSettings {
    /// Apple, as in its discovery document.
    #[must_use]
    pub fn apple() -> Self {
        Self {
            keys_url: "https://appleid.apple.com/auth/keys".to_owned(),
            issuers: vec!["https://appleid.apple.com".to_owned()],
        }
    }

    /// Google, as in its discovery document; older tokens lack the scheme.
    #[must_use]
    pub fn google() -> Self {
        Self {
            keys_url: "https://www.googleapis.com/oauth2/v3/certs".to_owned(),
            issuers: vec!["https://accounts.google.com".to_owned(), "accounts.google.com".to_owned()],
        }
    }
}

/// The cached keys of a provider.
#[derive(Default)]
pub(crate) struct KeySets {
    apple: KeySet,
    google: KeySet,
}

#[derive(Default)]
struct KeySet {
    kept: Mutex<Kept>,
    /// One caller fetches at a time; the others wait for its result.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Kept {
    keys: Option<Arc<ProviderKeys>>,
    fetched_at: Option<OffsetDateTime>,
    fresh_until: Option<OffsetDateTime>,
    asked_at: Option<OffsetDateTime>,
}

impl Kept {
    fn fresh(&self, now: OffsetDateTime) -> Option<Arc<ProviderKeys>> {
        // Before it was fetched nothing is fresh: the clock was moved.
        let is_fresh =
            self.fetched_at.is_some_and(|at| at <= now) && self.fresh_until.is_some_and(|at| now < at);
        self.keys.clone().filter(|_| is_fresh)
    }

    fn usable(&self, now: OffsetDateTime) -> Option<Arc<ProviderKeys>> {
        self.keys.clone().filter(|_| self.fresh_until.is_some_and(|at| now < at + STALE))
    }

    fn may_ask(&self, now: OffsetDateTime) -> bool {
        let wait = if self.usable(now).is_some() { ASK_EVERY } else { ASK_AGAIN };
        self.asked_at.is_none_or(|asked| has_passed(wait, asked, now))
    }
}

impl KeySet {
    fn kept(&self) -> Kept {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, change: impl FnOnce(&mut Kept)) {
        change(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Service {
    /// Verifies a provider's ID token for an application.
    ///
    /// # Errors
    /// [`Refusal::ProviderTokenInvalid`]; [`ServiceError::ProviderAway`] when its keys cannot be had.
    pub(crate) async fn verify_provider_token(
        &self,
        provider: Provider,
        login: &SocialLogin,
        token: &str,
        nonce: Option<&str>,
    ) -> Result<IdToken, ServiceError> {
        let (place, set) = match provider {
            Provider::Apple => (&self.inner.settings.apple, &self.inner.key_sets.apple),
            Provider::Google => (&self.inner.settings.google, &self.inner.key_sets.google),
        };
        // A malformed token causes no request.
        if !may_be_id_token(token) {
            return Err(Refusal::ProviderTokenInvalid.into());
        }
        let rules = IdTokenRules { issuers: &place.issuers, audiences: &login.audiences, nonce };
        let keys = self.provider_keys(place, set).await?;
        let mut verified = verify_id_token(token, &keys, rules, self.inner.clock.now());
        if verified == Err(TokenError::UnknownKey)
            && let Some(newer) = self.newer_keys(place, set, &keys).await
        {
            verified = verify_id_token(token, &newer, rules, self.inner.clock.now());
        }
        verified.map_err(|error| {
            tracing::debug!(%error, provider = provider.name(), "provider token refused");
            Refusal::ProviderTokenInvalid.into()
        })
    }

    async fn provider_keys(
        &self,
        place: &ProviderSettings,
        set: &KeySet,
    ) -> Result<Arc<ProviderKeys>, ServiceError> {
        let now = self.inner.clock.now();
        if let Some(keys) = set.kept().fresh(now) {
            return Ok(keys);
        }
        // Without cached keys, callers wait for the one that fetches.
        if set.kept().may_ask(now) || set.kept().usable(now).is_none() {
            let _turn = set.asking.lock().await;
            let kept = set.kept();
            if kept.fresh(now).is_none() && kept.may_ask(now) {
                self.ask(place, set).await;
            }
        }
        set.kept().usable(now).ok_or(ServiceError::ProviderAway)
    }

    /// Keys newer than `old`, if the provider may be asked again.
    async fn newer_keys(
        &self,
        place: &ProviderSettings,
        set: &KeySet,
        old: &Arc<ProviderKeys>,
    ) -> Option<Arc<ProviderKeys>> {
        let is_newer = |kept: &Kept| kept.keys.as_ref().is_some_and(|keys| !Arc::ptr_eq(keys, old));
        let now = self.inner.clock.now();
        if !is_newer(&set.kept()) {
            let _turn = set.asking.lock().await;
            if !is_newer(&set.kept()) && set.kept().may_ask(now) {
                self.ask(place, set).await;
            }
        }
        let kept = set.kept();
        if is_newer(&kept) { kept.keys } else { None }
    }

    async fn ask(&self, place: &ProviderSettings, set: &KeySet) {
        let now = self.inner.clock.now();
        set.keep(|kept| kept.asked_at = Some(now));
        let fetched = self.inner.outside.key_sets.fetch(&place.keys_url).await.and_then(|fetched| {
            let keys = ProviderKeys::parse(&fetched.body).map_err(|error| error.to_string())?;
            Ok((Arc::new(keys), fetched.fresh_for))
        });
        match fetched {
            Ok((keys, fresh_for)) => {
                let life = fresh_for.unwrap_or(USUAL_LIFE).clamp(SHORTEST_LIFE, LONGEST_LIFE);
                set.keep(|kept| {
                    kept.keys = Some(keys);
                    kept.fetched_at = Some(now);
                    kept.fresh_until = Some(now + life);
                });
            }
            Err(reason) => {
                tracing::warn!(url = place.keys_url, reason, "the keys of a provider could not be fetched");
            }
        }
    }
}
