//! The outbox: writing messages within a unit of work, and the worker that sends them afterwards.
//!
//! A message is sent at least once. It is removed in a separate unit of work after the sender accepted it; a worker
//! killed in between leaves it to be sent again with the same `Message-ID`.

use std::sync::{Arc, PoisonError};

use latchkey_crypto::SealContext;
use latchkey_domain::{
    App, AppId, AppStatus, Channel, MessageId, OutboxMessage, Phone, Sealed, TwoFactorMode,
};
use latchkey_notifiers::{Attachment, Email, MailAddress, NotifyError, Sms, escaped};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::notify::payload::{MailPayload, SmsPayload, payload_of};
use crate::service::{Service, Worker};

/// The number of messages that a worker reads, and the number it sends at once.
const LOOK_AHEAD: u32 = 64;
/// How many test mails an application may send in an hour.
const TESTS_AN_HOUR: u32 = 5;
const SLOTS: usize = 4;

/// Who mail comes from.
#[derive(Debug, Clone)]
pub struct MailIdentity {
    /// The address in `From`.
    pub from: MailAddress,
    /// The host that `Message-ID`s name.
    pub host: String,
    /// Whether mail goes to addresses with non-ASCII letters before the @ (RFC 6531).
    pub utf8: bool,
}

impl Service {
    /// Tells this process's workers that there is something to send.
    pub(crate) fn outbox_has_messages(&self) {
        self.inner.workers.mail.wake.notify_one();
        self.inner.workers.sms.wake.notify_one();
    }

    /// Sends due messages until `stop`; sends in progress finish first. Many instances may run it at once. A provider
    /// that stalls delays only its own channel.
    pub async fn work_off_outbox(&self, stop: watch::Receiver<bool>) {
        tokio::join!(self.work_off(Channel::Mail, stop.clone()), self.work_off(Channel::Sms, stop.clone()));
    }

    fn worker(&self, channel: Channel) -> &Worker {
        match channel {
            Channel::Mail => &self.inner.workers.mail,
            Channel::Sms => &self.inner.workers.sms,
        }
    }

    async fn work_off(&self, channel: Channel, mut stop: watch::Receiver<bool>) {
        loop {
            match self.send_due_until(channel, &stop).await {
                Ok(sent) if sent > 0 && !*stop.borrow() => continue,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the outbox could not be read"),
            }
            if *stop.borrow() {
                return;
            }
            tokio::select! {
                _ = stop.changed() => {}
                () = self.worker(channel).wake.notified() => {}
                () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
            }
        }
    }

    /// Sends the messages that are due now, and returns their number. Each is claimed immediately before its send.
    ///
    /// # Errors
    /// [`ServiceError`] when the outbox cannot be read.
    pub async fn send_due(&self) -> Result<usize, ServiceError> {
        let (_never, stop) = watch::channel(false);
        let mails = self.send_due_until(Channel::Mail, &stop).await?;
        Ok(mails + self.send_due_until(Channel::Sms, &stop).await?)
    }

    async fn send_due_until(
        &self,
        channel: Channel,
        stop: &watch::Receiver<bool>,
    ) -> Result<usize, ServiceError> {
        let at = (self.inner.clock.now(), self.inner.settings.outbox.longest_wait());
        let last = || self.worker(channel).last.lock().unwrap_or_else(PoisonError::into_inner);
        let after = *last();
        let mut due = self
            .read("outbox.list", move |readers| {
                Ok(readers.outbox().list_due(channel, at, after, LOOK_AHEAD)?)
            })
            .await?;
        *last() = due.last().map(|message| message.app_id);
        self.shuffle(&mut due)?;
        let slots = Arc::new(Semaphore::new(SLOTS));
        let mut sends = JoinSet::new();
        for message in due {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
            if *stop.borrow() {
                break;
            }
            let service = self.clone();
            sends.spawn(async move {
                let _slot = slot;
                service.send_one(message).await
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

    /// Workers that read the same rows start at different ones.
    fn shuffle(&self, messages: &mut [OutboxMessage]) -> Result<(), ServiceError> {
        for last in (1..messages.len()).rev() {
            let bound = u32::try_from(last + 1).unwrap_or(u32::MAX);
            let other = usize::try_from(self.inner.entropy.below(bound)?).unwrap_or(last);
            messages.swap(last, other);
        }
        Ok(())
    }

    async fn send_one(&self, message: OutboxMessage) -> Result<bool, ServiceError> {
        let rules = self.inner.settings.outbox;
        let now = self.inner.clock.now();
        let lease_end = now + rules.lease;
        let (app_id, id) = (message.app_id, message.id);
        let claimed = message.clone();
        let is_ours = self
            .transact("outbox.claim", move |repos| Ok(repos.outbox().claim(&claimed, lease_end)?))
            .await?;
        if !is_ours {
            return Ok(false);
        }
        // A clock that is ahead for a moment throws nothing away: a late code is refused when it is used.
        let is_worthless =
            message.expires_at.is_some_and(|expiry| now >= expiry) && self.look_at_clock().is_trusted();
        let outcome = if is_worthless { Ok(()) } else { self.hand_over(&message).await };
        let attempts = message.attempts + 1;
        let (sender, [sent, expired, dead]) = match message.channel {
            Channel::Mail => {
                (self.inner.outside.mail.name(), [Action::MailSent, Action::MailExpired, Action::MailDead])
            }
            Channel::Sms => {
                (self.inner.outside.sms.name(), [Action::SmsSent, Action::SmsExpired, Action::SmsDead])
            }
        };
        let mut event = Event::of_server(if is_worthless { expired } else { sent }, app_id);
        event.detail = Some(format!("{id} {sender}"));
        let Err(error) = outcome else {
            let entry = self.entry(&event)?;
            self.transact("outbox.remove", move |repos| {
                if repos.outbox().remove(app_id, id, lease_end)? {
                    repos.audit().add(&entry)?;
                }
                Ok(())
            })
            .await?;
            return Ok(!is_worthless);
        };
        let before = message.last_error.as_deref().unwrap_or_default();
        let was_unanswered = before.starts_with(NotifyError::NO_ANSWER);
        let may_retry = match &error {
            NotifyError::Refused(_) => false,
            NotifyError::Unavailable(_) | NotifyError::Deferred(_) => now < rules.gives_up_at(&message),
            // It may have been sent: one more attempt, because each costs.
            NotifyError::Unanswered(_) => now < rules.gives_up_at(&message) && !was_unanswered,
        };
        let jitter = self.inner.entropy.below(1_001)?;
        let retry_at = may_retry.then(|| self.inner.clock.now() + rules.wait_after(attempts, jitter));
        if retry_at.is_none() {
            tracing::warn!(message_id = %id, attempts, %error, "message not sent; given up");
        } else {
            tracing::debug!(message_id = %id, attempts, %error, "message not sent; retrying later");
        }
        // That it may have left once is never forgotten.
        let reason = match was_unanswered {
            true => format!("{}, then: {error}", NotifyError::NO_ANSWER),
            false => error.to_string(),
        };
        event.action = dead;
        // A mail server's words may name the address; a provider of SMS has numbers for what is wrong.
        if message.channel == Channel::Sms {
            event.detail = Some(format!("{id} {reason}"));
        }
        let dead = if retry_at.is_none() { Some(self.entry(&event)?) } else { None };
        self.transact("outbox.fail", move |repos| {
            let is_ours = repos.outbox().fail(app_id, id, lease_end, retry_at, &reason)?;
            if let (true, Some(entry)) = (is_ours, &dead) {
                repos.audit().add(entry)?;
            }
            Ok(is_ours)
        })
        .await?;
        Ok(false)
    }

    async fn hand_over(&self, message: &OutboxMessage) -> Result<(), NotifyError> {
        let context = payload_of(message.app_id, &message.id);
        let json = self
            .key_ring()
            .open_sealed(&context, &message.payload)
            // It may have been resealed since it was read. The next try reads it again.
            .map_err(|_| NotifyError::Unavailable("the message cannot be decrypted".to_owned()))?;
        let app_id = message.app_id;
        let app = self
            .read("outbox.app", move |readers| Ok(readers.apps().find(app_id)?))
            .await
            .map_err(|error| NotifyError::Unavailable(error.to_string()))?;
        let app = app.ok_or_else(|| NotifyError::Refused("its application is gone".to_owned()))?;
        match message.channel {
            Channel::Mail => {
                let email = self.email(&app, message, parsed(&json)?)?;
                let sending = self.inner.outside.mail.send(&email);
                let sent = self.within_send_time(sending, NotifyError::Unavailable).await;
                self.report_faults(Channel::Mail, email.relay_key.is_some().then_some(app_id), &sent);
                sent
            }
            Channel::Sms => {
                let sms = self.sms(&app, message, parsed(&json)?)?;
                let sending = self.inner.outside.sms.send_sms(&sms);
                let sent = self.within_send_time(sending, NotifyError::Unanswered).await;
                self.report_faults(Channel::Sms, Some(app_id), &sent);
                sent
            }
        }
    }

    /// Logs once that an account sends nothing, and when it sends again. A failure of one message tells nothing about
    /// its account.
    fn report_faults(&self, channel: Channel, account: Option<AppId>, sent: &Result<(), NotifyError>) {
        let mut faults = self.worker(channel).faults.lock().unwrap_or_else(PoisonError::into_inner);
        let app_id = account.map(|id| id.to_string());
        match sent {
            Err(NotifyError::Unavailable(reason) | NotifyError::Unanswered(reason)) => {
                let before = faults.insert(account, reason.clone());
                if before.as_ref() != Some(reason) {
                    tracing::error!(
                        ?channel,
                        app_id,
                        reason,
                        "messages cannot be sent; they wait and are retried"
                    );
                }
            }
            Ok(()) => {
                if faults.remove(&account).is_some() {
                    tracing::info!(?channel, app_id, "messages are sent again");
                }
            }
            Err(NotifyError::Refused(_) | NotifyError::Deferred(_)) => {}
        }
    }

    fn sms(&self, app: &App, message: &OutboxMessage, payload: SmsPayload) -> Result<Sms, NotifyError> {
        let refused = |text: &str| NotifyError::Refused(text.to_owned());
        if app.status != AppStatus::Active || app.settings.two_factor == TwoFactorMode::None {
            return Err(refused("the application sends no SMS any more"));
        }
        let left = message.expires_at.map(|expiry| expiry - self.inner.clock.now());
        if left.is_some_and(|left| !left.is_positive()) {
            return Err(refused("its code has expired"));
        }
        let account = self.sms_account(app).map_err(|error| NotifyError::Refused(error.to_string()))?;
        Ok(Sms {
            id: message.id.to_string(),
            to: Phone::from_stored(&payload.to).map_err(|error| NotifyError::Refused(error.to_string()))?,
            text: payload.text,
            account: account.ok_or_else(|| refused("the application has no SMS account"))?,
            valid_for: left.map(Duration::unsigned_abs),
        })
    }

    fn email(&self, app: &App, message: &OutboxMessage, payload: MailPayload) -> Result<Email, NotifyError> {
        let identity = &self.inner.settings.mail;
        let own = self.own_sender(app);
        let (from, relay_key) = match own {
            Some((from, key)) => (from, Some(key)),
            None => (identity.from.clone(), None),
        };
        Ok(Email {
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
            attachment: payload.picture.map(|png| Attachment { name: "QRCode.png".to_owned(), png }),
            date: message.created_at,
        })
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
        let key = self.key_ring().open_sealed(&mail_key_of(app.id), sealed).ok()?;
        Some((address, SecretString::from(std::str::from_utf8(&key).ok()?)))
    }

    /// Sends a mail to the application's own address by its own account at the provider, now.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::InvalidData`], explained, when it has no sender of its own;
    /// [`Refusal::MailFailed`] with what the provider said; [`ServiceError::TooMany`] after five in an hour.
    pub async fn send_test_mail(&self, operator: Operator, id: AppId) -> Result<(), ServiceError> {
        let event = Event::of_operator(Action::TestExtensionService, id, &operator);
        self.audited(event, async |event| {
            let app = self.read("mail.test", move |readers| {
                readers.apps().find(id)?.ok_or_else(|| ServiceError::from(Refusal::UnknownApp))
            });
            let app = app.await?;
            let Some((from, key)) = self.own_sender(&app) else {
                let text =
                    "the application has no sender of its own: set emailExtensionAPIKey, and emailExtension";
                return Err(ServiceError::invalid(text));
            };
            let now = self.inner.clock.now();
            let counter = self.counter(id, "mail.test", &[], Duration::hours(1))?;
            let granted = self.transact("mail.test.reserve", move |repos| {
                Ok(repos.quotas().reserve(&counter, TESTS_AN_HOUR)?)
            });
            if !granted.await? {
                return Err(ServiceError::TooMany { seconds: 3_600 });
            }
            let address = app.settings.mail_sender_address.as_deref().unwrap_or_default();
            let to = MailAddress::parse_bare(address).map_err(|_| Refusal::InvalidData)?;
            let text = format!("This mail shows that {} can send mail.", app.name.as_str());
            let email = Email {
                id: MessageId::generate(now, &*self.inner.entropy)?.to_string(),
                host: self.inner.settings.mail.host.clone(),
                from,
                to,
                reply_to: None,
                relay_key: Some(key),
                subject: format!("A test of {}'s mail", app.name.as_str()),
                html: format!("<p>{}</p>", escaped(&text)),
                text,
                attachment: None,
                date: now,
            };
            let sent = self.within_send_time(self.inner.outside.mail.send(&email), NotifyError::Unavailable);
            sent.await.map_err(|error| ServiceError::Explained(Refusal::MailFailed, error.to_string()))?;
            self.record(event).await
        })
        .await
    }

    /// Seals an application's key at the mail provider.
    pub(crate) fn seal_mail_key(&self, app_id: AppId, key: &str) -> Result<Sealed, ServiceError> {
        Ok(self.key_ring().seal(&mail_key_of(app_id), key.as_bytes(), &*self.inner.entropy)?)
    }
}

fn parsed<T: DeserializeOwned>(json: &[u8]) -> Result<T, NotifyError> {
    serde_json::from_slice(json)
        .map_err(|_| NotifyError::Refused("the message cannot be decrypted".to_owned()))
}

pub(crate) fn mail_key_of(app_id: AppId) -> SealContext<'static> {
    SealContext { purpose: "mail-key", app_id, row: b"provider" }
}
