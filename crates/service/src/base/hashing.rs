//! Access to the bounded pool from async code: submit, wait, or fail at once when it is full.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use latchkey_crypto::{PasswordHasher, SealContext, Verdict};
use latchkey_domain::{AppId, ClientPassword, Sealed, UserId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::base::error::ServiceError;
use crate::service::Service;

/// Where the passwords of the portal's accounts belong: to no application.
pub(crate) const PORTAL_PASSWORDS: AppId = AppId::NONE;
/// What making an RSA key costs, in password hashes.
pub(crate) const COST_OF_KEY: u64 = 15;

impl Service {
    /// Runs expensive work of an application on the pool; `cost` is how many password hashes take as long.
    pub(crate) async fn on_pool<T: Send + 'static>(
        &self,
        app_id: AppId,
        cost: u64,
        work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (answer, answered) = oneshot::channel();
        self.inner.pool.submit(*app_id.as_bytes(), cost, move || {
            let panicked = |_| Err(ServiceError::Internal("a job on the pool panicked".into()));
            let _ = answer.send(catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked));
        })?;
        // A job that gave way to another application's has no answer.
        answered.await.unwrap_or(Err(ServiceError::Busy))
    }

    /// Runs work of a millisecond or more on a thread that serves no requests: rendering, signing, drawing pictures.
    /// Work that costs much more, or memory, runs on the bounded pool.
    pub(crate) async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(ServiceError::Internal(error.into())))
    }

    /// Runs expensive work on the pool, for callers outside of the use cases.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] when the pool is full; the work's own.
    pub async fn run_on_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.on_pool(AppId::NONE, COST_OF_KEY, work).await
    }

    /// Measures what the costliest hash that may be stored takes here, so that no refused log-in is answered earlier:
    /// whose hash is imported must not show. Until it is called, the setting alone holds.
    ///
    /// # Errors
    /// [`ServiceError::Busy`]; [`ServiceError::Internal`] when a library fails.
    pub async fn measure_answer_floor(&self) -> Result<(), ServiceError> {
        let hasher = self.hasher();
        let took = self.on_pool(AppId::NONE, COST_OF_KEY, move || {
            let began = Instant::now();
            hasher.verify_costliest()?;
            Ok(began.elapsed())
        });
        let millis = u64::try_from(took.await?.as_millis()).unwrap_or(u64::MAX);
        self.inner.costliest_millis.store(millis, Ordering::Relaxed);
        Ok(())
    }

    /// Does what a code or password opens, and answers a refusal no earlier than the floor: whether there is a user, an
    /// attempt or an invitation for it must not show in the time. Each form of the password costs a hash.
    pub(crate) async fn refuse_late<T>(
        &self,
        forms: u32,
        work: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<T, ServiceError> {
        let began = Instant::now();
        let result = work.await;
        if result.is_err() {
            tokio::time::sleep_until(began + self.answer_floor() * forms).await;
        }
        result
    }

    /// Refusals are answered no earlier than this. `None` means at once.
    pub(crate) fn answer_floor(&self) -> Duration {
        let setting = self.inner.settings.login_floor;
        if setting.is_zero() {
            return setting;
        }
        // A quarter more: other requests run beside it.
        let costliest = Duration::from_millis(self.inner.costliest_millis.load(Ordering::Relaxed));
        setting.max(costliest + costliest / 4)
    }

    /// Hashes a password and seals the digest for its user.
    pub(crate) async fn hash_password(
        &self,
        password: ClientPassword,
        app_id: AppId,
        user_id: UserId,
    ) -> Result<Sealed, ServiceError> {
        let salt = self.inner.entropy.bytes::<16>()?;
        let hasher = self.hasher();
        let phc = self.on_pool(app_id, 1, move || Ok(hasher.hash(&password, &salt)?)).await?;
        Ok(self.key_ring().seal(&password_of(app_id, &user_id), phc.as_bytes(), &*self.inner.entropy)?)
    }

    /// Verifies a password against a sealed digest. Without a digest it spends the same time and returns `Wrong`. If
    /// the text is not normalized, both of its forms are tried in either case (SEC-021).
    pub(crate) async fn verify_password(
        &self,
        app_id: AppId,
        password: ClientPassword,
        digest: Option<(UserId, Sealed)>,
    ) -> Result<Verdict, ServiceError> {
        let as_typed = password.as_typed().cloned();
        let verdict = self.verify_form(app_id, password, digest.clone()).await?;
        let (Verdict::Wrong, Some(as_typed)) = (verdict, as_typed) else { return Ok(verdict) };
        Ok(match self.verify_form(app_id, as_typed, digest).await? {
            // A new hash would be of the normalized text, which the client that set this password does not send.
            Verdict::RightButOutdated => Verdict::Right,
            verdict => verdict,
        })
    }

    async fn verify_form(
        &self,
        app_id: AppId,
        password: ClientPassword,
        digest: Option<(UserId, Sealed)>,
    ) -> Result<Verdict, ServiceError> {
        let hasher = self.hasher();
        let opened = digest.and_then(|(user_id, sealed)| {
            let opened = self.key_ring().open_sealed(&password_of(app_id, &user_id), &sealed);
            // A hash that was moved here from another row matches no password, and the caller does not learn why.
            let told = opened.inspect_err(
                |error| tracing::error!(%error, %user_id, "a password hash cannot be decrypted"),
            );
            told.ok()
        });
        let Some(phc) = opened else {
            self.on_pool(app_id, 1, move || Ok(hasher.verify_nobody(&password)?)).await?;
            return Ok(Verdict::Wrong);
        };
        let cost = std::str::from_utf8(&phc).ok().and_then(|phc| hasher.stored_cost(phc).ok());
        let cost = cost.map_or(1, |cost| cost.in_own_hashes);
        self.on_pool(app_id, cost, move || {
            let phc = std::str::from_utf8(&phc).map_err(|error| ServiceError::Internal(error.into()))?;
            Ok(hasher.verify(&password, phc)?)
        })
        .await
    }

    /// Does the work of verifying a password, for nothing.
    pub(crate) async fn verify_nobody(&self, app_id: AppId) -> Result<(), ServiceError> {
        let nothing = ClientPassword::parse("00000000000000000000000000000000");
        let nothing = nothing.map_err(|error| ServiceError::Internal(error.into()))?;
        self.verify_password(app_id, nothing, None).await.map(|_| ())
    }

    pub(crate) fn hasher(&self) -> Arc<PasswordHasher> {
        Arc::clone(&self.inner.hasher)
    }
}

/// What such a value is sealed as.
pub(crate) const SEALED_AS: &str = "password";

/// In how many forms a password is tried: two where normalization changes the text.
pub(crate) fn forms(password: Option<&ClientPassword>) -> u32 {
    1 + u32::from(password.and_then(ClientPassword::as_typed).is_some())
}

fn password_of(app_id: AppId, user_id: &UserId) -> SealContext<'_> {
    SealContext { purpose: SEALED_AS, app_id, row: user_id.as_bytes() }
}
