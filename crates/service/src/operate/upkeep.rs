//! Periodic work: expired rows are removed. Many instances may run it; each job runs on one at a time, in small units
//! of work, and resumes at the next turn.

use latchkey_domain::{AppId, AppKey, KeyState, LOGIN_LIFE, key_state};
use latchkey_storage::Expired;
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::service::Service;

const EVERY: Duration = Duration::hours(1);
const TURNS_A_MINUTE: u32 = 30;
const BATCH: u32 = 200;
/// Expired codes are kept for a while, so that latecomers learn that they expired.
const CODES_STAY: Duration = Duration::days(7);
/// So are sign-ups and invitations, so that a second completion is reported as such.
const ATTEMPTS_STAY: Duration = Duration::days(30);
/// Messages that were given up are kept for the operator.
const DEAD_STAY: Duration = Duration::days(30);

/// The names of keys that nothing needs any more.
fn retired(keys: &[AppKey], now: OffsetDateTime) -> Vec<String> {
    let retired = keys.iter().filter(|key| key_state(keys, key, now) == KeyState::Retired);
    retired.map(|key| key.kid.clone()).collect()
}

impl Service {
    /// Runs due jobs every minute until `stop`. Changes by other instances are checked every other second.
    ///
    /// # Errors
    /// [`ServiceError::KeysReplaced`]: the server must stop.
    pub async fn keep_up(&self, mut stop: watch::Receiver<bool>) -> Result<(), ServiceError> {
        let mut purging: Option<JoinHandle<()>> = None;
        let mut is_database_away = false;
        // Not at once: a clock that is wrong at the start of a machine is set right soon after.
        for turn in 1_u32.. {
            if *stop.borrow() {
                break;
            }
            // Beside: it may take long, and the looks must not.
            if turn % TURNS_A_MINUTE == 0 && purging.as_ref().is_none_or(JoinHandle::is_finished) {
                let service = self.clone();
                purging = Some(tokio::spawn(async move {
                    if let Err(error) = service.purge_if_due().await {
                        tracing::warn!(%error, "what is over could not be removed");
                    }
                }));
            }
            // In a task of its own: whatever becomes of it, the next turn comes.
            let service = self.clone();
            let work = async move {
                // First what must not wait for anything else.
                let keys = service.go_on_with_keys().await;
                let old_servers = service.look_for_old_servers().await;
                let clock = service.is_clock_trusted().await;
                keys?;
                old_servers?;
                clock.map(|_| ())
            };
            match tokio::spawn(work).await {
                Ok(Ok(())) => {
                    if std::mem::take(&mut is_database_away) {
                        tracing::info!("the database is available again");
                    }
                }
                Ok(Err(error @ ServiceError::KeysReplaced(_))) => return Err(error),
                Ok(Err(ServiceError::Unavailable(reason))) => {
                    if !std::mem::replace(&mut is_database_away, true) {
                        tracing::error!(reason, "the database is not available; requests are refused");
                    }
                }
                // Once a minute is enough.
                Ok(Err(error)) if turn % TURNS_A_MINUTE == 0 => {
                    tracing::warn!(%error, "what is due could not be done");
                }
                Ok(Err(error)) => tracing::debug!(%error, "what is due could not be done"),
                Err(error) => tracing::error!(%error, "what is due panicked"),
            }
            tokio::select! {
                _ = stop.changed() => {}
                () = tokio::time::sleep(std::time::Duration::from_secs(60) / TURNS_A_MINUTE) => {}
            }
        }
        if let Some(purging) = purging {
            let _ = purging.await;
        }
        Ok(())
    }

    /// Removes expired rows, unless that happened within the hour. Returns their number.
    pub async fn purge_if_due(&self) -> Result<usize, ServiceError> {
        if !self.is_clock_trusted().await? {
            return Ok(0);
        }
        let now = self.inner.clock.now();
        let is_ours = self
            .transact("purge.claim", move |repos| Ok(repos.upkeep().claim_job("purge", now, now + EVERY)?))
            .await?;
        if !is_ours {
            return Ok(0);
        }
        self.purge(now).await
    }

    /// Runs the periodic jobs now, due or not, and trusts the clock, which an operator has confirmed. Returns the
    /// number of removed rows.
    pub async fn run_jobs(&self, operator: Operator) -> Result<usize, ServiceError> {
        self.trust_clock();
        self.record(&Event::of_operator(Action::RunJobs, AppId::NONE, &operator)).await?;
        self.purge(self.inner.clock.now()).await
    }

    async fn purge(&self, now: OffsetDateTime) -> Result<usize, ServiceError> {
        self.report_expiring_tokens(now).await?;
        // Days are counted from the log before its entries go.
        self.count_days().await?;
        let audit = Duration::days(i64::from(self.inner.settings.audit_days));
        let mut removed = 0;
        for (what, age) in [
            (Expired::Codes, CODES_STAY),
            (Expired::Quotas, Duration::ZERO),
            (Expired::Signups, ATTEMPTS_STAY),
            (Expired::Invites, ATTEMPTS_STAY),
            (Expired::AuditLog, audit),
            (Expired::HeldHandles, Duration::ZERO),
            (Expired::DeadMessages, DEAD_STAY),
            (Expired::PortalLogins, LOGIN_LIFE),
        ] {
            let Some(before) = now.checked_sub(age) else { continue };
            removed += self
                .in_batches(move |repos| {
                    repos.upkeep().remove_expired(what, before, BATCH).map_err(Into::into)
                })
                .await?;
        }
        removed += self.purge_apps().await?;
        self.transact("purge.done", move |repos| Ok(repos.upkeep().finish_job("purge", now)?)).await?;
        if removed > 0 {
            tracing::info!(removed, "rows whose time was over were removed");
        }
        Ok(removed)
    }

    /// Jobs per application: retired keys, and anonymous users who never came back.
    async fn purge_apps(&self) -> Result<usize, ServiceError> {
        let now = self.inner.clock.now();
        let mut removed = 0;
        let mut before: Option<AppId> = None;
        loop {
            let apps =
                self.read("purge.apps", move |readers| Ok(readers.apps().list(None, before, BATCH)?)).await?;
            let Some(last) = apps.last() else { return Ok(removed) };
            before = Some(last.id);
            for app in &apps {
                removed += self.purge_keys(app.id, now).await?;
            }
            for app in apps.iter().filter(|app| app.settings.anonymous_purge_days > 0) {
                let (id, days) = (app.id, i64::from(app.settings.anonymous_purge_days));
                let Some(over) = now.checked_sub(Duration::days(days)) else { continue };
                removed += self
                    .in_batches(move |repos| {
                        repos.upkeep().remove_unused_anonymous(id, over, BATCH).map_err(Into::into)
                    })
                    .await?;
            }
        }
    }

    async fn purge_keys(&self, id: AppId, now: OffsetDateTime) -> Result<usize, ServiceError> {
        let keys = self.read("purge.keys", move |readers| Ok(readers.apps().keys(id)?));
        let keys = keys.await?;
        if retired(&keys, now).is_empty() {
            return Ok(0);
        }
        // Tokens may live longer meanwhile, and the key with them.
        let kids = self
            .transact("purge.keys", move |repos| {
                let app = repos.apps().hold(id)?.ok_or(Refusal::UnknownApp)?;
                let kids = retired(&repos.apps().keys(app.id)?, now);
                kids.iter().try_for_each(|kid| repos.apps().remove_key(id, kid))?;
                Ok(kids)
            })
            .await?;
        self.inner.signing.forget(id, &kids);
        Ok(kids.len())
    }

    async fn in_batches(
        &self,
        remove: impl Fn(&mut dyn latchkey_storage::Repositories) -> Result<usize, ServiceError>
        + Clone
        + Send
        + Sync
        + 'static,
    ) -> Result<usize, ServiceError> {
        let mut removed = 0;
        loop {
            let batch = self.transact("purge", remove.clone()).await?;
            removed += batch;
            if batch < usize::try_from(BATCH).unwrap_or(usize::MAX) {
                return Ok(removed);
            }
        }
    }
}
