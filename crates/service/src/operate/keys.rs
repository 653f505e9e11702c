//! The keys and tokens of an application: a new key that takes over in time, one that takes over at once, a new
//! app token, and tokens for those who administer it.

use latchkey_crypto::{PublicKey, SigningKey, SuperToken};
use latchkey_domain::{
    App, AppId, AppKey, Handle, KEY_LEAD, KEY_TAIL, KeyState, TokenId, UserKey, key_state, signing_key,
};
use latchkey_storage::Repositories;
use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};

use crate::base::audit::{Action, Event};
use crate::base::caller::{Call, ensure_active};
use crate::base::error::{Refusal, ServiceError};
use crate::base::hashing::COST_OF_KEY;
use crate::base::operator::Operator;
use crate::base::signing::private_key_of;
use crate::operate::apps::AppView;
use crate::service::Service;

/// The lifetime of a super-user token.
const SUPER_LIFE: Duration = Duration::hours(1);
/// The most bytes that an application's data may have as JSON text.
pub(crate) const MOST_APP_DATA: usize = 16 * 1024;

/// A key as its operator sees it.
#[derive(Debug, Clone)]
pub struct KeyView {
    /// The key.
    pub key: AppKey,
    /// Its public half.
    pub public_key: PublicKey,
    /// Where it stands.
    pub state: KeyState,
}

/// The tokens of an application's administrator.
#[derive(Debug, Clone)]
pub struct SuperTokens {
    /// Their JWT, for the team's backends.
    pub jwt: String,
    /// The token that sets the application's data.
    pub access_token: String,
    /// When both end.
    pub expires_at: OffsetDateTime,
}

impl Service {
    /// The keys of an application, oldest first.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn list_keys(&self, id: AppId) -> Result<Vec<KeyView>, ServiceError> {
        let (_, keys) = self.app_with_keys(id).await?;
        let now = self.inner.clock.now();
        keys.iter()
            .map(|key| {
                let public_key = PublicKey::from_pem(&key.public_pem)?;
                Ok(KeyView { key: key.clone(), public_key, state: key_state(&keys, key, now) })
            })
            .collect()
    }

    /// Makes a key that is published now, and signs when all consumers have fetched it. The present one stays published
    /// until its last token has ended.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::Conflict`] when a key is waiting already; [`ServiceError::Busy`].
    pub async fn rotate_key(&self, operator: Operator, id: AppId) -> Result<Vec<KeyView>, ServiceError> {
        let event = Event::of_operator(Action::RotateAppKey, id, &operator);
        let now = self.inner.clock.now();
        let (_, keys) = self.app_with_keys(id).await?;
        // Generating a key takes long, so refusals come first.
        check_none_is_next(&keys, now)?;
        let new = self.new_key(id, now + self.inner.settings.key_set_life * KEY_LEAD).await?;
        self.change_app(event, move |repos, app| {
            let keys = repos.apps().keys(app.id)?;
            check_none_is_next(&keys, now)?;
            for key in keys.iter().filter(|key| key.published_until.is_none()) {
                let end = end_of_tokens(app, new.signs_from);
                let published_until = Some(key.tokens_until.map_or(end, |until| until.max(end)));
                repos.apps().change_key(&AppKey { published_until, ..key.clone() })?;
            }
            Ok(repos.apps().put_key(&new)?)
        })
        .await?;
        self.list_keys(id).await
    }

    /// Replaces all keys by a new one at once: the tokens that they signed are worth nothing as soon as consumers
    /// fetch the key set again. For a key that leaked.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`ServiceError::Busy`].
    pub async fn regenerate_key(&self, operator: Operator, id: AppId) -> Result<Vec<KeyView>, ServiceError> {
        let event = Event::of_operator(Action::RegenerateAppKey, id, &operator);
        let (_, old) = self.app_with_keys(id).await?;
        let new = self.new_key(id, self.inner.clock.now()).await?;
        self.change_app(event, move |repos, app| {
            let keys = repos.apps().keys(app.id)?;
            for key in keys.iter().filter(|key| key.kid != new.kid) {
                repos.apps().remove_key(id, &key.kid)?;
            }
            Ok(repos.apps().put_key(&new)?)
        })
        .await?;
        let kids: Vec<String> = old.into_iter().map(|key| key.kid).collect();
        self.inner.signing.forget(id, &kids);
        self.list_keys(id).await
    }

    /// Makes a new app token; clients that ship with an older one are refused from now on.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn regenerate_app_token(&self, operator: Operator, id: AppId) -> Result<AppView, ServiceError> {
        let now = self.inner.clock.now();
        let event = Event::of_operator(Action::RegenerateAppToken, id, &operator);
        self.update_app(event, move |_, app| {
            app.token_generation += 1;
            app.token_issued_at = now;
            Ok(())
        })
        .await
    }

    /// Creates tokens for an administrator of the application, shown once.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`] when the application has no such administrator, [`Refusal::UserSuspended`], and the
    /// refusals of an inactive application.
    pub async fn make_super_tokens(
        &self,
        operator: Operator,
        UserKey { app_id, id }: UserKey,
    ) -> Result<SuperTokens, ServiceError> {
        let mut event = Event::of_operator(Action::SuperUserToken, app_id, &operator);
        event.user_id = Some(id);
        self.audited(event, async |event| {
            let (app, keys, user) = self
                .read("super.find", move |readers| {
                    let app = readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                    ensure_active(&app)?;
                    let user = readers.users().find(app_id, id)?.filter(|user| user.is_administrator);
                    let user = user.ok_or_else(|| {
                        let text =
                            "there is no such administrator: super-user tokens are for them".to_owned();
                        ServiceError::Explained(Refusal::UnknownUser, text)
                    })?;
                    if user.status == latchkey_domain::UserStatus::Suspended {
                        return Err(Refusal::UserSuspended.into());
                    }
                    Ok((app.clone(), readers.apps().keys(app_id)?, user))
                })
                .await?;
            let now = self.inner.clock.now();
            let expires_at = now + SUPER_LIFE;
            let jwt = self.user_jwt(&app, &keys, &user, Some(expires_at)).await?;
            let access_token = self.key_ring().tokens().sign(&SuperToken {
                app_id,
                user_id: id,
                epoch: user.sessions.epoch,
                id: TokenId::generate(now, &*self.inner.entropy)?,
                issued_at: now,
                expires_at,
            })?;
            let entry = self.entry(event)?;
            self.transact("super.made", move |repos| {
                repos.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                // A user who was suspended, signed out or demoted meanwhile gets none.
                let now = repos.users().find(app_id, id)?.ok_or(Refusal::UnknownUser)?;
                if !now.is_administrator || now.sessions != user.sessions {
                    return Err(ServiceError::from(Refusal::UnknownUser));
                }
                Ok(repos.audit().add(&entry)?)
            })
            .await?;
            Ok(SuperTokens { jwt, access_token, expires_at })
        })
        .await
    }

    /// The same, for the administrator with this handle.
    ///
    /// # Errors
    /// As [`Service::make_super_tokens`].
    pub async fn make_super_tokens_of(
        &self,
        operator: Operator,
        app_id: AppId,
        handle: Handle,
    ) -> Result<SuperTokens, ServiceError> {
        let found = self.read("super.named", move |readers| {
            readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
            Ok(readers.users().find_by_handle(app_id, &handle)?)
        });
        let user = found
            .await?
            .ok_or_else(|| ServiceError::Explained(Refusal::UnknownUser, "user not found".to_owned()))?;
        self.make_super_tokens(operator, UserKey { app_id, id: user.id }).await
    }

    /// Replaces the data that an application shows its clients. For administrators of the application alone.
    ///
    /// # Errors
    /// [`Refusal::AccessTokenInvalid`] without a super-user token that is still good; [`Refusal::InvalidData`] when
    /// the data are too much.
    pub async fn set_app_data(
        &self,
        call: Call<SuperToken>,
        data: Map<String, Value>,
    ) -> Result<(), ServiceError> {
        if Value::Object(data.clone()).to_string().len() > MOST_APP_DATA {
            return Err(Refusal::InvalidData.into());
        }
        let event = Event::of_call(Action::SetAppData, &call, None);
        let token = call.caller;
        self.update_app(event, move |repos, app| {
            ensure_active(app)?;
            let user = repos.users().find(token.app_id, token.user_id)?;
            let is_good = |user: &latchkey_domain::User| {
                user.is_administrator
                    && user.status == latchkey_domain::UserStatus::Active
                    && user.sessions.accepts(token.epoch, token.id)
            };
            user.filter(is_good).ok_or(Refusal::AccessTokenInvalid)?;
            app.settings.app_data.clone_from(&data);
            Ok(())
        })
        .await
        .map(|_| ())
        .map_err(|error| match error {
            ServiceError::Refused(Refusal::UnknownApp) => Refusal::AppGone.into(),
            other => other,
        })
    }

    pub(crate) async fn new_key(
        &self,
        app_id: AppId,
        signs_from: OffsetDateTime,
    ) -> Result<AppKey, ServiceError> {
        let size = self.inner.settings.key_size;
        let signing = self.on_pool(app_id, COST_OF_KEY, move || Ok(SigningKey::generate(size)?)).await?;
        let kid = signing.public().kid();
        let context = private_key_of(app_id, kid);
        Ok(AppKey {
            app_id,
            kid: kid.to_owned(),
            public_pem: signing.public().to_pem().to_owned(),
            private: Some(self.key_ring().seal(&context, &signing.to_pkcs8()?, &*self.inner.entropy)?),
            created_at: self.inner.clock.now(),
            signs_from,
            published_until: None,
            tokens_until: None,
        })
    }
}

/// Until when a key that signs until then is needed.
fn end_of_tokens(app: &App, signs_until: OffsetDateTime) -> OffsetDateTime {
    signs_until + Duration::hours(i64::from(app.settings.user_jwt_hours.max(1))) + KEY_TAIL
}

/// Stores the latest expiry of tokens that were signed before their lifetime was shortened.
pub(crate) fn remember_tokens(
    repos: &mut dyn Repositories,
    app_id: AppId,
    hours: u32,
    now: OffsetDateTime,
) -> Result<(), ServiceError> {
    let keys = repos.apps().keys(app_id)?;
    let Some(current) = signing_key(&keys, now) else { return Ok(()) };
    let until = now + Duration::hours(i64::from(hours.max(1))) + KEY_TAIL;
    let tokens_until = Some(current.tokens_until.map_or(until, |known| known.max(until)));
    repos.apps().change_key(&AppKey { tokens_until, ..current.clone() })?;
    Ok(())
}

/// One new key at a time: the next would push away one that signs soon.
fn check_none_is_next(keys: &[AppKey], now: OffsetDateTime) -> Result<(), ServiceError> {
    if keys.iter().any(|key| key.is_next(now)) {
        let text = "a new key is published already and signs soon".to_owned();
        return Err(ServiceError::Explained(Refusal::Conflict, text));
    }
    Ok(())
}

/// Extends the publication of the signing key if its tokens live longer from now on.
pub(crate) fn publish_for_longer(
    repos: &mut dyn Repositories,
    app: &App,
    now: OffsetDateTime,
) -> Result<(), ServiceError> {
    let keys = repos.apps().keys(app.id)?;
    let next = keys.iter().filter(|key| key.is_next(now)).map(|key| key.signs_from).min();
    let (Some(current), Some(next)) = (signing_key(&keys, now), next) else { return Ok(()) };
    let needed = end_of_tokens(app, next);
    if current.published_until.is_some_and(|until| until < needed) {
        repos.apps().change_key(&AppKey { published_until: Some(needed), ..current.clone() })?;
    }
    Ok(())
}
