//! Counters in the database, which all instances share.

use latchkey_domain::AppId;
use latchkey_storage::{QuotaKey, QuotaRepository};
use time::Duration;

use crate::base::error::ServiceError;
use crate::service::Service;

/// Takes one from each counter, or none; returns the one that was full.
pub(crate) fn reserve_all(
    quotas: &mut dyn QuotaRepository,
    wanted: &[(QuotaKey, u32)],
) -> Result<Option<&'static str>, ServiceError> {
    for (number, (counter, limit)) in wanted.iter().enumerate() {
        if !quotas.reserve(counter, *limit)? {
            wanted.iter().take(number).try_for_each(|(taken, _)| quotas.give_back(taken))?;
            return Ok(Some(counter.kind));
        }
    }
    Ok(None)
}

/// Gives one of each counter back.
pub(crate) fn give_back_all(
    quotas: &mut dyn QuotaRepository,
    counters: &[QuotaKey],
) -> Result<(), ServiceError> {
    counters.iter().try_for_each(|counter| quotas.give_back(counter)).map_err(ServiceError::from)
}

impl Service {
    /// A counter that restarts with each period.
    pub(crate) fn counter(
        &self,
        app_id: AppId,
        kind: &'static str,
        parts: &[&[u8]],
        period: Duration,
    ) -> Result<QuotaKey, ServiceError> {
        let seconds = period.whole_seconds().max(1);
        let now = self.inner.clock.now();
        let subject = self.key_ring().lasting_digests().digest(kind, parts)?;
        Ok(QuotaKey {
            app_id,
            kind,
            subject,
            period: now.unix_timestamp() / seconds,
            expires_at: now + period,
        })
    }
}
