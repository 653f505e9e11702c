//! The asynchronous side of the bounded pool: submit, wait, or be told at once that it is full.

use std::sync::Arc;

use latchkey_crypto::{PasswordHasher, SealContext, Verdict};
use latchkey_domain::{AppId, ClientPassword, Sealed, UserId};
use latchkey_storage::Store;
use tokio::sync::oneshot;

use crate::{Service, ServiceError};

impl<S: Store> Service<S> {
    /// Runs expensive work on the pool.
    pub(crate) async fn on_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (answer, answered) = oneshot::channel();
        self.inner.pool.submit(move || {
            let _ = answer.send(work());
        })?;
        answered.await.unwrap_or_else(|_| Err(ServiceError::Internal("a job on the pool panicked".into())))
    }

    /// Runs work of a millisecond or more on a thread that serves no requests: rendering, signing, drawing pictures. What
    /// costs much more, or memory, goes on the bounded pool.
    pub(crate) async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(ServiceError::Internal(error.into())))
    }

    /// Runs expensive work on the pool, for callers outside of the use cases that is no use case.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] when the pool is full; the work's own.
    pub async fn run_on_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.on_pool(work).await
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
        let phc = self.on_pool(move || Ok(hasher.hash(&password, &salt)?)).await?;
        Ok(self.inner.keys.seal(&password_of(app_id, &user_id), phc.as_bytes(), &*self.inner.entropy)?)
    }

    /// Verifies a password against a sealed digest, or, if there is none, does the same work for nothing.
    pub(crate) async fn verify_password(
        &self,
        password: ClientPassword,
        digest: Option<(AppId, UserId, Sealed)>,
    ) -> Result<Verdict, ServiceError> {
        let hasher = self.hasher();
        let Some((app_id, user_id, sealed)) = digest else {
            self.on_pool(move || Ok(hasher.verify_nobody(&password)?)).await?;
            return Ok(Verdict::Wrong);
        };
        let phc = self.inner.keys.open_sealed(&password_of(app_id, &user_id), &sealed)?;
        self.on_pool(move || {
            let phc = std::str::from_utf8(&phc).map_err(|error| ServiceError::Internal(error.into()))?;
            Ok(hasher.verify(&password, phc)?)
        })
        .await
    }

    /// Does the work of verifying a password, for nothing.
    pub(crate) async fn verify_nobody(&self) -> Result<(), ServiceError> {
        let nothing = ClientPassword::parse("00000000000000000000000000000000");
        let nothing = nothing.map_err(|error| ServiceError::Internal(error.into()))?;
        self.verify_password(nothing, None).await.map(|_| ())
    }

    fn hasher(&self) -> Arc<PasswordHasher> {
        Arc::clone(&self.inner.hasher)
    }
}

fn password_of(app_id: AppId, user_id: &UserId) -> SealContext<'_> {
    SealContext { purpose: "password", app_id, row: user_id.as_bytes() }
}
