//! One entry of the audit log per act. A success is written in the unit of work that it tells of; a refusal
//! in one of its own.

use latchkey_domain::{Actor, AppId, AuditEntry, AuditId, Handle, Source, UserId, masked};
use time::Duration;

use crate::{Caller, Operator, Refusal, Service, ServiceError};

/// An action that is about to happen.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    pub(crate) action: &'static str,
    pub(crate) app_id: AppId,
    pub(crate) actor: Actor,
    pub(crate) actor_name: Option<String>,
    pub(crate) user_id: Option<UserId>,
    pub(crate) handle: Option<String>,
    pub(crate) source: Option<Source>,
    pub(crate) detail: Option<String>,
}

/// Who calls, and from where.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who.
    pub caller: Caller,
    /// From where.
    pub source: Source,
}

impl Call {
    /// The action of this call. `None` if the call belongs to no application.
    pub(crate) fn act(&self, action: &'static str, handle: Option<&Handle>) -> Option<Act> {
        let (app_id, actor, user_id) = match &self.caller {
            Caller::App(token) => (token.app_id, Actor::Client, None),
            Caller::User(token) => (token.app_id, Actor::User, Some(token.user_id)),
            Caller::Nobody | Caller::Operator(_) | Caller::SuperUser(_) => return None,
        };
        let (handle, source) = (handle.map(masked), Some(self.source));
        Some(Act { action, app_id, actor, actor_name: None, user_id, handle, source, detail: None })
    }
}

impl Act {
    /// The act of an operator.
    pub(crate) fn of_operator(action: &'static str, app_id: AppId, operator: &Operator) -> Self {
        let actor_name = Some(operator.name.clone());
        Self {
            actor: Actor::Operator,
            actor_name,
            source: operator.source,
            ..Self::of_server(action, app_id)
        }
    }

    /// The act of the server itself.
    pub(crate) fn of_server(action: &'static str, app_id: AppId) -> Self {
        Self {
            action,
            app_id,
            actor: Actor::Server,
            actor_name: None,
            user_id: None,
            handle: None,
            source: None,
            detail: None,
        }
    }
}

/// How many refusals of one address are listed in an hour for an application: the log must not grow with what strangers
/// send.
const MOST_REFUSALS: u32 = 200;

impl Service {
    /// The audit entry of a completed action.
    pub(crate) fn done(&self, act: &Act) -> Result<AuditEntry, ServiceError> {
        self.entry(act, "ok".to_owned())
    }

    fn entry(&self, act: &Act, result: String) -> Result<AuditEntry, ServiceError> {
        let now = self.inner.clock.now();
        Ok(AuditEntry {
            app_id: act.app_id,
            id: AuditId::generate(now, &*self.inner.entropy)?,
            action: act.action.to_owned(),
            result,
            actor: act.actor,
            actor_name: act.actor_name.clone(),
            user_id: act.user_id,
            handle: act.handle.clone(),
            address: act.source.map(Source::address),
            detail: act.detail.clone(),
            created_at: now,
        })
    }

    /// Runs an action and records a refusal in the audit log; `otherwise` is the refusal of a call that belongs to no
    /// application.
    pub(crate) async fn acting<T, F: Future<Output = Result<T, ServiceError>>>(
        &self,
        act: Option<Act>,
        otherwise: Refusal,
        run: impl FnOnce(Act) -> F,
    ) -> Result<T, ServiceError> {
        let result = match act.clone() {
            Some(act) => run(act).await,
            None => Err(otherwise.into()),
        };
        self.note(act, result).await
    }

    /// Records a refusal in the audit log and returns the result. Throttled calls are not recorded, since the log would
    /// grow with them; neither are more than [`MOST_REFUSALS`] of one address. A failure to write the entry is only
    /// logged.
    pub(crate) async fn note<T>(
        &self,
        act: Option<Act>,
        result: Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let refusal = result.as_ref().err().and_then(ServiceError::refusal);
        let (Some(act), Some(refusal)) = (act, refusal) else { return result };
        // Nothing is known of an application that is not there.
        if matches!(refusal, Refusal::AppGone | Refusal::UnknownApp) {
            return result;
        }
        let entry = self.entry(&act, refusal.name().to_owned())?;
        let address = act.source.map(|source| source.prefix().to_canonical_bytes());
        let counter = address.map(|address| {
            self.counter(act.app_id, "audit.refusals", &[address.as_slice()], Duration::hours(1))
        });
        let counter = counter.transpose()?;
        let written = self.inner.store.transact("audit.refusal", move |repos| {
            let mut entry = entry.clone();
            if let Some(counter) = &counter {
                if !repos.quotas().reserve(counter, MOST_REFUSALS)? {
                    return Ok(());
                }
                if repos.quotas().used(counter)? == MOST_REFUSALS {
                    let told = "further refusals of this address are not listed for up to an hour";
                    entry.detail =
                        Some(entry.detail.map_or(told.to_owned(), |detail| format!("{detail}; {told}")));
                }
            }
            repos.audit().add(&entry).map_err(ServiceError::from)
        });
        if let Err(error) = written.await {
            tracing::warn!(%error, "a refusal could not be logged");
        }
        result
    }
}
