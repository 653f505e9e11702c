//! The outbox: writing messages within a unit of work, and the worker that sends them after it.
//!
//! A message is sent at least once. It is removed in a unit of work of its own after the sender took it over;
//! who is killed in between leaves it to be sent again with the same `Message-ID`.

use std::sync::Arc;

use latchkey_crypto::SealContext;
use latchkey_domain::{App, AppId, MessageId, OutboxMessage, Sealed};
use latchkey_notifiers::{Email, EmailSender, MailAddress, NotifyError};
use latchkey_storage::Store;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::audit::Act;
use crate::{Service, ServiceError};

/// How many messages one worker looks at, and how many it sends at once.
const LOOK_AHEAD: u32 = 64;
const SLOTS: usize = 4;

/// Who mail comes from.
#[derive(Debug, Clone)]
pub struct MailIdentity {
    /// The address in `From`.
    pub from: MailAddress,
    /// The host that `Message-ID`s name.
    pub host: String,
}

/// What is sealed in a message's row.
#[derive(Serialize, Deserialize)]
pub(crate) struct Payload {
    pub(crate) to: String,
    #[serde(default)]
    pub(crate) reply_to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl<S: Store> Service<S> {
    /// Tells this process's worker that there is something to send.
    pub(crate) fn outbox_has_mail(&self) {
        self.inner.outbox_has_mail.notify_one();
    }

    /// Sends what is due until `stop` says so; sends under way end first. Many instances may do so at once.
    pub async fn work_off_outbox(&self, sender: Arc<dyn EmailSender>, mut stop: watch::Receiver<bool>) {
        loop {
            match self.send_due_until(&sender, &stop).await {
                Ok(sent) if sent > 0 && !*stop.borrow() => continue,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the outbox could not be read"),
            }
            if *stop.borrow() {
                return;
            }
            tokio::select! {
                _ = stop.changed() => {}
                () = self.inner.outbox_has_mail.notified() => {}
                () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
            }
        }
    }

    /// Sends what is due now, and says how many messages left. Each is claimed immediately before its send.
    ///
    /// # Errors
    /// [`ServiceError`] when the outbox cannot be read.
    pub async fn send_due(&self, sender: &Arc<dyn EmailSender>) -> Result<usize, ServiceError> {
        let (_never, stop) = watch::channel(false);
        self.send_due_until(sender, &stop).await
    }

    async fn send_due_until(
        &self,
        sender: &Arc<dyn EmailSender>,
        stop: &watch::Receiver<bool>,
    ) -> Result<usize, ServiceError> {
        let now = self.inner.clock.now();
        let mut due = self
            .inner
            .store
            .read("outbox.list", move |readers| {
                readers.outbox().list_due(now, LOOK_AHEAD).map_err(ServiceError::from)
            })
            .await?;
        self.shuffle(&mut due)?;
        let slots = Arc::new(Semaphore::new(SLOTS));
        let mut sends = JoinSet::new();
        for message in due {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
            if *stop.borrow() {
                break;
            }
            let (service, sender) = (self.clone(), Arc::clone(sender));
            sends.spawn(async move {
                let _slot = slot;
                service.send_one(&*sender, message).await
            });
        }
        let mut sent = 0;
        while let Some(result) = sends.join_next().await {
            match result {
                Ok(Ok(true)) => sent += 1,
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a message could not be settled"),
                Err(error) => tracing::error!(%error, "a send panicked"),
            }
        }
        Ok(sent)
    }

    /// Workers that look at the same rows begin at different ones.
    fn shuffle(&self, messages: &mut [OutboxMessage]) -> Result<(), ServiceError> {
        for last in (1..messages.len()).rev() {
            let bound = u32::try_from(last + 1).unwrap_or(u32::MAX);
            let other = usize::try_from(self.inner.entropy.below(bound)?).unwrap_or(last);
            messages.swap(last, other);
        }
        Ok(())
    }

    async fn send_one(&self, sender: &dyn EmailSender, message: OutboxMessage) -> Result<bool, ServiceError> {
        let rules = self.inner.settings.outbox;
        let now = self.inner.clock.now();
        let lease_end = now + rules.lease;
        let (app_id, id) = (message.app_id, message.id);
        let claimed = message.clone();
        let is_ours = self
            .inner
            .store
            .transact("outbox.claim", move |repos| {
                repos.outbox().claim(&claimed, lease_end).map_err(ServiceError::from)
            })
            .await?;
        if !is_ours {
            return Ok(false);
        }
        let is_worthless = message.expires_at.is_some_and(|expiry| now >= expiry);
        let outcome = if is_worthless { Ok(()) } else { self.hand_over(sender, &message).await };
        let attempts = message.attempts + 1;
        let mut act = Act::of_server(if is_worthless { "mail.expired" } else { "mail.sent" }, app_id);
        act.detail = Some(format!("{id} {}", sender.name()));
        let Err(error) = outcome else {
            let entry = self.done(&act)?;
            self.inner
                .store
                .transact("outbox.remove", move |repos| {
                    if repos.outbox().remove(app_id, id, lease_end)? {
                        repos.audit().add(&entry)?;
                    }
                    Ok::<_, ServiceError>(())
                })
                .await?;
            return Ok(!is_worthless);
        };
        let may_retry = matches!(error, NotifyError::Unavailable(_)) && attempts < rules.attempts;
        let jitter = self.inner.entropy.below(1_001)?;
        let retry_at = may_retry.then(|| self.inner.clock.now() + rules.wait_after(attempts, jitter));
        tracing::warn!(message = %id, attempts, %error, dead = retry_at.is_none(), "a mail did not leave");
        let reason = error.to_string();
        act.action = "mail.dead";
        let dead = if retry_at.is_none() { Some(self.done(&act)?) } else { None };
        self.inner
            .store
            .transact("outbox.fail", move |repos| {
                let is_ours = repos.outbox().fail(app_id, id, lease_end, retry_at, &reason)?;
                if let (true, Some(entry)) = (is_ours, &dead) {
                    repos.audit().add(entry)?;
                }
                Ok::<_, ServiceError>(is_ours)
            })
            .await?;
        Ok(false)
    }

    async fn hand_over(&self, sender: &dyn EmailSender, message: &OutboxMessage) -> Result<(), NotifyError> {
        let unreadable = |_| NotifyError::Refused("the message does not open".to_owned());
        let context = payload_of(message.app_id, &message.id);
        let json = self
            .inner
            .keys
            .open_sealed(&context, &message.payload)
            .map_err(|_| NotifyError::Refused("the message does not open".to_owned()))?;
        let payload: Payload = serde_json::from_slice(&json).map_err(unreadable)?;
        let identity = &self.inner.settings.mail;
        let app_id = message.app_id;
        let app = self
            .inner
            .store
            .read("outbox.app", move |readers| readers.apps().find(app_id).map_err(ServiceError::from))
            .await
            .map_err(|error| NotifyError::Unavailable(error.to_string()))?;
        let own = app.as_ref().and_then(|app| self.own_sender(app));
        let (from, relay_key) = match own {
            Some((from, key)) => (from, Some(key)),
            None => (identity.from.clone(), None),
        };
        let email = Email {
            id: message.id.to_string(),
            host: identity.host.clone(),
            from,
            to: MailAddress::parse_bare(&payload.to)
                .map_err(|error| NotifyError::Refused(error.to_string()))?,
            reply_to: MailAddress::parse(&payload.reply_to).ok(),
            relay_key,
            subject: payload.subject,
            text: payload.text,
            html: payload.html,
            date: message.created_at,
        };
        let limit = self.inner.settings.outbox.send_timeout.unsigned_abs();
        tokio::time::timeout(limit, sender.send(&email))
            .await
            .unwrap_or_else(|_| Err(NotifyError::Unavailable("it took too long".to_owned())))
    }

    /// The application's own address and its key at the mail provider, where it uses them.
    fn own_sender(&self, app: &App) -> Option<(MailAddress, SecretString)> {
        let settings = &app.settings;
        let (true, Some(sealed), Some(address)) =
            (settings.own_mail_sender, &settings.mail_api_key, &settings.mail_sender_address)
        else {
            return None;
        };
        let address = MailAddress::parse_bare(address).ok()?.named(app.name.as_str());
        let key = self.inner.keys.open_sealed(&mail_key_of(app.id), sealed).ok()?;
        Some((address, SecretString::from(std::str::from_utf8(&key).ok()?)))
    }

    /// Seals an application's key at the mail provider.
    pub(crate) fn seal_mail_key(&self, app_id: AppId, key: &str) -> Result<Sealed, ServiceError> {
        Ok(self.inner.keys.seal(&mail_key_of(app_id), key.as_bytes(), &*self.inner.entropy)?)
    }
}

fn mail_key_of(app_id: AppId) -> SealContext<'static> {
    SealContext { purpose: "mail-key", app_id, row: b"provider" }
}

pub(crate) fn payload_of(app_id: AppId, id: &MessageId) -> SealContext<'_> {
    SealContext { purpose: "outbox", app_id, row: id.as_bytes() }
}
