//! Rotation of the server's own keys: of the master key, or, after a leak, of the keys that it wraps. New keys are
//! stored first and used once every instance has had time to load them. Then all sealed values are resealed in batches
//! while the server runs, and the old keys are removed. The progress is in the database, so a rotation that was
//! interrupted continues at the next start.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use latchkey_crypto::{CryptoError, KeyRing, KeyRingError, MasterKey, SealContext};
use latchkey_domain::{App, AppId, Sealed, ServerKey, ServerKeyPurpose};
use latchkey_storage::{QuotaKey, SealedCell, SealedColumn};
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use crate::account::second_factor;
use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::base::{hashing, signing};
use crate::notify::{outbox, payload, sms};
use crate::operate::settings::write_held;
use crate::service::Service;

/// How many values are resealed in one unit of work.
const BATCH: u32 = 100;
/// More server secrets than a server has.
const MOST_LISTED: u32 = 100_000;
/// Applications per batch.
const APPS: u32 = 100;

/// How far a change of the server's keys is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRotation {
    /// Others still have to learn of the new keys, or to end what they do with the old ones: for so long at least.
    Waiting(Duration),
    /// Values are being resealed; how many this process has done so far.
    Resealing(u64),
    /// Everything is resealed, but the old keys stay: the clock has jumped and is not trusted yet.
    HeldByClock,
    /// The old keys stay for an import that was begun and is not whole.
    HeldByImport,
    /// Nothing is sealed with old keys, and they are gone.
    Done,
}

/// This process's state of a change of the server's keys.
#[derive(Default)]
pub(crate) struct Resealing {
    /// Held while all values are resealed. Contains the newest key once nothing is left to reseal.
    pass: Arc<Mutex<Option<OffsetDateTime>>>,
    resealed: AtomicU64,
}

impl Service {
    /// The server's keys, as they are used now.
    pub(crate) fn key_ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.inner.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What changes the server's keys takes turns by this.
    fn gate_of_keys(&self) -> Result<QuotaKey, ServiceError> {
        self.counter(AppId::NONE, "keys.gate", &[], Duration::days(1))
    }

    async fn stored_keys(&self) -> Result<Vec<ServerKey>, ServiceError> {
        self.read("keys.list", |readers| Ok(readers.server_keys().list()?)).await
    }

    /// Encrypts the server's keys with another master key, which makes the old one useless. Running instances continue;
    /// starting ones need the new key. Calling it again changes nothing.
    ///
    /// # Errors
    /// [`KeyRingError::WrongMasterKey`] as [`ServiceError::Internal`] when neither of the two encrypts them.
    pub async fn rotate_master(
        &self,
        operator: Operator,
        old: &MasterKey,
        new: &MasterKey,
    ) -> Result<(), ServiceError> {
        let internal = |error: KeyRingError| ServiceError::Internal(Box::new(error));
        let keys = self.stored_keys().await?;
        if KeyRing::open(new, &keys, self.inner.clock.now()).is_ok() {
            return Ok(());
        }
        let rewrapped = KeyRing::rewrap(old, new, &keys, &*self.inner.entropy).map_err(internal)?;
        let entry = self.entry(&Event::of_operator(Action::RotateMasterKey, AppId::NONE, &operator))?;
        let gate = self.gate_of_keys()?;
        self.transact("keys.rewrap", move |repos| {
            // Keys that came meanwhile would be left under the old master key.
            repos.quotas().reserve(&gate, u32::MAX)?;
            if !are_same(&repos.server_keys().list()?, &keys) {
                return Err(changed_meanwhile());
            }
            for (key, before) in rewrapped.iter().zip(&keys) {
                if !repos.server_keys().rewrap(key, &before.wrapped)? {
                    return Err(changed_meanwhile());
                }
            }
            Ok(repos.audit().add(&entry)?)
        })
        .await
    }

    /// Whether a master key opens the server's keys.
    pub async fn opens_with(&self, master: &MasterKey) -> Result<bool, ServiceError> {
        let keys = self.stored_keys().await?;
        Ok(KeyRing::open(master, &keys, self.inner.clock.now()).is_ok())
    }

    /// Whether the server's keys open what is stored. They do not where their rows are of another time than the others:
    /// whatever needs a secret would fail, and tokens of keys that were replaced could be good again.
    pub async fn opens_what_is_stored(&self) -> Result<bool, ServiceError> {
        let column = SealedColumn::AppKey;
        let read = self.read("keys.sample", move |readers| {
            for app_id in readers.sealed().apps(None, APPS)? {
                let cells = readers.sealed().list(column, app_id, &[], BATCH)?;
                if !cells.is_empty() {
                    return Ok(Some((app_id, cells)));
                }
            }
            Ok(None)
        });
        let Some((app_id, cells)) = read.await? else { return Ok(true) };
        let ring = self.key_ring();
        Ok(cells.iter().any(|cell| {
            let context = SealContext { purpose: purpose_of(column), app_id, row: &cell.bound_to };
            ring.open_sealed(&context, &cell.value).is_ok()
        }))
    }

    /// Takes the server's keys as they are stored and used by now: another instance may have made some.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] when they are not all known and the master key cannot be read, or does not open them,
    /// and when older ones than before would serve: what was replaced after a leak must not come back;
    /// [`ServiceError::KeysReplaced`] once the keys that this process has are not used any more.
    pub async fn look_for_keys(&self) -> Result<(), ServiceError> {
        let keys = self.stored_keys().await?;
        self.take_keys(&keys)
    }

    fn take_keys(&self, keys: &[ServerKey]) -> Result<(), ServiceError> {
        let (now, present) = (self.inner.clock.now(), self.key_ring());
        if present.is_of(keys, now) {
            return Ok(());
        }
        let opened = || match present.at(keys, now)? {
            Some(ring) => Ok(ring),
            None => Ok(KeyRing::open(&(self.inner.master)()?, keys, now)?),
        };
        let ring = opened().map_err(|error| {
            // From then on, what the old keys seal would be lost, and the tokens that they accept have ended.
            let is_over = served_from(keys).is_none_or(|from| from <= now);
            if is_over { ServiceError::KeysReplaced(error) } else { ServiceError::Internal(error) }
        })?;
        if ring.is_older_than(&present) {
            let text = "the clock or the database would make older server keys active again, or newer ones are gone from \
                        the database: the present ones stay";
            return Err(ServiceError::Internal(text.into()));
        }
        *self.inner.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        Ok(())
    }

    /// Starts to replace the server's keys: those that sign its tokens, that seal and that digest. Continues an earlier
    /// change.
    /// `ends_app_tokens` decides whether app tokens, which ship in clients, become invalid too.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] when the master key cannot be read, or does not decrypt the current keys.
    pub async fn rotate_server_keys(
        &self,
        operator: Operator,
        ends_app_tokens: bool,
    ) -> Result<(), ServiceError> {
        operator.reaches_all()?;
        let (keys, now) = (self.stored_keys().await?, self.inner.clock.now());
        let master = (self.inner.master)().map_err(ServiceError::Internal)?;
        let used_from = now + self.inner.settings.key_wait;
        let next = KeyRing::next(&master, &keys, now, used_from, &*self.inner.entropy)
            .map_err(|error| ServiceError::Internal(error.into()))?;
        let mut event = Event::of_operator(Action::RotateServerKeys, AppId::NONE, &operator);
        event.detail = ends_app_tokens.then(|| "app tokens too".to_owned());
        let (entry, gate) = (self.entry(&event)?, self.gate_of_keys()?);
        self.transact("keys.begin", move |repos| {
            repos.quotas().reserve(&gate, u32::MAX)?;
            let stored = repos.server_keys().list()?;
            if served_from(&stored).is_none() {
                // Wrapped with another master key meanwhile, they would not go with the new ones.
                if !are_same(&stored, &keys) {
                    return Err(changed_meanwhile());
                }
                let keys = repos.server_keys();
                for key in &next {
                    if !keys.add(key)? {
                        return Err(changed_meanwhile());
                    }
                }
                repos.audit().add(&entry)?;
            }
            let keys = repos.server_keys();
            let stored = keys.list()?;
            if let (true, Some(from)) = (ends_app_tokens, served_from(&stored)) {
                for key in older(&stored, ServerKeyPurpose::Token) {
                    keys.end(key, from)?;
                }
            }
            Ok(())
        })
        .await?;
        self.look_for_keys().await
    }

    /// Continues a change of the server's keys, if there is one, and returns its progress. Long work runs in the
    /// background.
    ///
    /// # Errors
    /// As [`Self::look_for_keys`].
    pub async fn go_on_with_keys(&self) -> Result<KeyRotation, ServiceError> {
        let keys = self.stored_keys().await?;
        self.take_keys(&keys)?;
        let Some(from) = served_from(&keys) else { return Ok(KeyRotation::Done) };
        let now = self.inner.clock.now();
        if now < from {
            return Ok(KeyRotation::Waiting(from - now));
        }
        let resealing = Arc::clone(&self.inner.resealing);
        let Ok(mut pass) = Arc::clone(&resealing.pass).try_lock_owned() else {
            return Ok(KeyRotation::Resealing(resealing.resealed.load(Ordering::Relaxed)));
        };
        // Everything started with the old keys has been stored by then.
        let over = from + self.inner.settings.key_wait;
        if *pass == Some(from) && now < over {
            return Ok(KeyRotation::Waiting(over - now));
        }
        // An import in progress seals with the keys of its start.
        let imports = self.transact("keys.imports", |repos| Ok(repos.imports().list()?));
        let has_imports = !imports.await?.is_empty();
        let is_trusted = self.is_clock_trusted().await?;
        if *pass == Some(from) && (has_imports || !is_trusted) {
            return Ok(if has_imports { KeyRotation::HeldByImport } else { KeyRotation::HeldByClock });
        }
        let service = self.clone();
        tokio::spawn(async move {
            match service.reseal_all().await {
                Ok(0) if now >= over && !has_imports && is_trusted => {
                    if let Err(error) = service.drop_old_keys(from).await {
                        tracing::warn!(%error, "the server's old keys could not be removed");
                    }
                }
                Ok(0) => *pass = Some(from),
                Ok(_) => *pass = None,
                Err(error) => tracing::warn!(%error, "resealing with the new keys failed"),
            }
        });
        Ok(KeyRotation::Resealing(self.inner.resealing.resealed.load(Ordering::Relaxed)))
    }

    /// Reseals everything that is sealed with old keys. Returns the number of resealed values.
    async fn reseal_all(&self) -> Result<u64, ServiceError> {
        let (mut resealed, mut after) = (0, None);
        for column in SealedColumn::OF_SERVER {
            resealed += self.reseal_column(AppId::NONE, column).await?;
        }
        loop {
            let listed = self.read("keys.apps", move |readers| Ok(readers.sealed().apps(after, APPS)?));
            let apps = listed.await?;
            let Some(last) = apps.last() else { return Ok(resealed) };
            after = Some(*last);
            for id in apps {
                let found = self.read("keys.app", move |readers| Ok(readers.apps().find(id)?));
                if let Some(app) = found.await? {
                    resealed += self.reseal_settings(app).await?;
                }
                for column in SealedColumn::OF_APPS {
                    resealed += self.reseal_column(id, column).await?;
                }
            }
        }
    }

    async fn reseal_column(&self, app_id: AppId, column: SealedColumn) -> Result<u64, ServiceError> {
        let (mut resealed, mut after) = (0, Vec::new());
        loop {
            let from = after.clone();
            let read = self.read("keys.sealed", move |readers| {
                Ok(readers.sealed().list(column, app_id, &from, BATCH)?)
            });
            let cells = read.await?;
            let Some(last) = cells.last() else { return Ok(resealed) };
            after.clone_from(&last.row);
            let mut changed = Vec::new();
            for cell in cells {
                let context = SealContext { purpose: purpose_of(column), app_id, row: &cell.bound_to };
                if let Some(value) = self.resealed(&context, &cell.value)? {
                    changed.push((cell, value));
                }
            }
            if !changed.is_empty() {
                resealed += self.replace(app_id, column, changed).await?;
            }
        }
    }

    /// The value under the current sealing key. `None` if it already is, or cannot be opened with any key: it is lost
    /// then, and must not block the rotation.
    fn resealed(&self, context: &SealContext<'_>, value: &Sealed) -> Result<Option<Sealed>, ServiceError> {
        if value.as_bytes().is_empty() {
            return Ok(None);
        }
        match self.key_ring().reseal(context, value, &*self.inner.entropy) {
            Err(error @ CryptoError::Unsealable) => {
                tracing::error!(%error, purpose = context.purpose, app = %context.app_id, "a sealed value cannot be decrypted");
                Ok(None)
            }
            resealed => Ok(resealed?),
        }
    }

    async fn replace(
        &self,
        app_id: AppId,
        column: SealedColumn,
        changed: Vec<(SealedCell, Sealed)>,
    ) -> Result<u64, ServiceError> {
        let written = self.transact("keys.reseal", move |repos| {
            for (cell, value) in &changed {
                // Values that changed meanwhile are checked again in the next pass.
                repos.sealed().replace(column, app_id, cell, value)?;
            }
            Ok(changed.len())
        });
        let tried = u64::try_from(written.await?).unwrap_or(u64::MAX);
        self.inner.resealing.resealed.fetch_add(tried, Ordering::Relaxed);
        Ok(tried)
    }

    /// The accounts at providers that an application's settings hold.
    async fn reseal_settings(&self, app: App) -> Result<u64, ServiceError> {
        let id = app.id;
        let reseal = |context, value: Option<&Sealed>| match value {
            Some(value) => self.resealed(&context, value),
            None => Ok(None),
        };
        let sms = reseal(sms::account_of(id), app.settings.sms_account.as_ref())?;
        let mail = reseal(outbox::mail_key_of(id), app.settings.mail_api_key.as_ref())?;
        let written = u64::from(sms.is_some()) + u64::from(mail.is_some());
        if written == 0 {
            return Ok(0);
        }
        let old = app.settings;
        self.transact("keys.reseal", move |repos| {
            let Some(mut app) = repos.apps().hold(id)? else { return Ok(()) };
            let settings = &mut app.settings;
            let replace = |now: &mut Option<Sealed>, old: &Option<Sealed>, new: &Option<Sealed>| {
                if new.is_some() && now == old {
                    now.clone_from(new);
                }
            };
            replace(&mut settings.sms_account, &old.sms_account, &sms);
            replace(&mut settings.mail_api_key, &old.mail_api_key, &mail);
            write_held(repos, &app)
        })
        .await?;
        self.inner.resealing.resealed.fetch_add(written, Ordering::Relaxed);
        Ok(written)
    }

    /// Removes the keys that nothing needs any more. Of digests the first stays: see [`KeyRing::lasting_digests`].
    async fn drop_old_keys(&self, from: OffsetDateTime) -> Result<(), ServiceError> {
        let (now, gate) = (self.inner.clock.now(), self.gate_of_keys()?);
        let entry = self.entry(&Event::of_server(Action::RotateServerKeysDone, AppId::NONE))?;
        self.transact("keys.drop", move |repos| {
            repos.quotas().reserve(&gate, u32::MAX)?;
            let stored = repos.server_keys().list()?;
            if served_from(&stored) != Some(from) {
                return Ok(());
            }
            let data = older(&stored, ServerKeyPurpose::Data);
            let digests = older(&stored, ServerKeyPurpose::Digest).filter(|key| key.generation > 1);
            let tokens = older(&stored, ServerKeyPurpose::Token).filter(|key| key.ends_at.is_some());
            for key in data.chain(digests).chain(tokens) {
                repos.server_keys().remove(key)?;
            }
            // They are useless from then on, and the list shows it.
            for token in repos.operator_tokens().list(None, None, MOST_LISTED)? {
                if token.revoked_at.is_none() && token.created_at < from {
                    repos.operator_tokens().revoke(token.id, now)?;
                }
            }
            Ok(repos.audit().add(&entry)?)
        })
        .await?;
        self.inner.resealing.resealed.store(0, Ordering::Relaxed);
        self.look_for_keys().await
    }
}

/// From when on the newest data key serves, while an older one is there: that is, while a change is under way.
fn served_from(keys: &[ServerKey]) -> Option<OffsetDateTime> {
    older(keys, ServerKeyPurpose::Data).next()?;
    let newest = keys.iter().filter(|key| key.purpose == ServerKeyPurpose::Data);
    newest.max_by_key(|key| key.generation)?.used_from
}

/// The keys of a purpose but for the newest.
fn older(keys: &[ServerKey], purpose: ServerKeyPurpose) -> impl Iterator<Item = &ServerKey> {
    let of = keys.iter().filter(move |key| key.purpose == purpose);
    let newest = of.clone().map(|key| key.generation).max();
    of.filter(move |key| Some(key.generation) != newest)
}

fn purpose_of(column: SealedColumn) -> &'static str {
    match column {
        SealedColumn::Password | SealedColumn::SignUpPassword | SealedColumn::DeveloperPassword => {
            hashing::SEALED_AS
        }
        SealedColumn::Authenticator | SealedColumn::PendingAuthenticator => second_factor::SEALED_AS,
        SealedColumn::AppKey => signing::SEALED_AS,
        SealedColumn::Message => payload::SEALED_AS,
    }
}

/// Whether these are the same keys, wrapped the same way.
fn are_same(some: &[ServerKey], others: &[ServerKey]) -> bool {
    let of = |keys: &[ServerKey]| -> Vec<_> {
        keys.iter().map(|key| (key.id, key.wrapped.as_bytes().to_vec())).collect()
    };
    of(some) == of(others)
}

fn changed_meanwhile() -> ServiceError {
    ServiceError::Explained(
        Refusal::Conflict,
        "the server's keys were changed meanwhile: try again".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_purposes_of_sealed_values_are_frozen_since_they_are_sealed_in() {
        let purposes = [
            hashing::SEALED_AS,
            signing::SEALED_AS,
            second_factor::SEALED_AS,
            payload::SEALED_AS,
            outbox::mail_key_of(AppId::NONE).purpose,
            sms::account_of(AppId::NONE).purpose,
        ];
        assert_eq!(purposes, ["password", "app-key", "totp", "outbox", "mail-key", "sms-account"]);
    }
}
