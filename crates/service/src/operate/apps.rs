//! Applications: creating and finding them, and the public keys that consumers fetch.

use latchkey_crypto::{AppToken, PublicKey, SigningKey, jwks};
use latchkey_domain::{
    App, AppId, AppKey, AppName, AppSettings, AppStatus, AppType, Owner, Preset, SignupFlow, signing_key,
};
use serde_json::Value;

use crate::base::audit::{Action, Event};
use crate::base::caller::{AppOrUser, Call, find_app_of};
use crate::base::error::{Refusal, ServiceError};
use crate::base::hashing::COST_OF_KEY;
use crate::base::operator::Operator;
use crate::base::signing::private_key_of;
use crate::operate::settings::write_held;
use crate::service::Service;

/// An application to be made.
#[derive(Debug, Clone)]
pub struct NewApp {
    /// Its name.
    pub name: AppName,
    /// With which settings it begins.
    pub preset: Preset,
    /// A setting that the protocol lets the caller choose.
    pub jwt_enabled: bool,
    /// How people who sign up prove their handle.
    pub signup_flow: SignupFlow,
}

/// An application as its operator sees it.
#[derive(Debug, Clone)]
pub struct AppView {
    /// The application.
    pub app: App,
    /// The public half of its current key.
    pub public_key: PublicKey,
    /// The token that its clients ship with.
    pub app_token: String,
    /// Warnings for the operator, in addition to those of the settings.
    pub warnings: Vec<String>,
}

impl AppView {
    pub(crate) fn with_warnings(self, warnings: Vec<String>) -> Self {
        Self { warnings, ..self }
    }
}

/// Where a consumer finds what it needs to verify an application's tokens.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// The claim `iss` of its tokens.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: String,
}

impl Service {
    /// Makes an application with a key pair.
    ///
    /// # Errors
    /// [`Refusal::AppNameTaken`]; [`ServiceError::Busy`] when the pool is full.
    pub async fn create_app(&self, operator: Operator, new: NewApp) -> Result<AppView, ServiceError> {
        operator.reaches_all()?;
        self.create_owned(operator, Owner::Server, new).await
    }

    /// Makes an application with this owner.
    ///
    /// # Errors
    /// As [`Self::create_app`].
    pub(crate) async fn create_owned(
        &self,
        operator: Operator,
        owner: Owner,
        new: NewApp,
    ) -> Result<AppView, ServiceError> {
        // Generating a key takes long, so a taken name is refused first.
        let name = new.name.clone();
        let holder = self.read("app.name", move |readers| Ok(readers.apps().find_by_name(owner, &name)?));
        if holder.await?.is_some() {
            return Err(ServiceError::app_name_taken(&new.name));
        }
        let size = self.inner.settings.key_size;
        let signing = self.on_pool(AppId::NONE, COST_OF_KEY, move || Ok(SigningKey::generate(size)?)).await?;
        let now = self.inner.clock.now();
        let id = AppId::generate(now, &*self.inner.entropy)?;
        let settings = AppSettings {
            jwt_enabled: new.jwt_enabled,
            signup_flow: new.signup_flow,
            ..AppSettings::preset(new.preset)
        };
        let app = App {
            id,
            owner,
            name: new.name,
            kind: AppType::Development,
            status: AppStatus::Active,
            issuer: self.issuer_below_public_url(id),
            token_generation: 1,
            token_issued_at: now,
            revision: 1,
            settings,
            created_at: now,
            updated_at: now,
        };
        let kid = signing.public().kid();
        let private =
            self.key_ring().seal(&private_key_of(app.id, kid), &signing.to_pkcs8()?, &*self.inner.entropy)?;
        let key = AppKey {
            app_id: id,
            kid: kid.to_owned(),
            public_pem: signing.public().to_pem().to_owned(),
            private: Some(private),
            created_at: now,
            signs_from: now,
            published_until: None,
            tokens_until: None,
        };
        let added = app.clone();
        let entry = self.entry(&Event::of_operator(Action::Create, id, &operator))?;
        self.transact("app.add", move |repos| {
            if repos.apps().add(&added, &key)? {
                repos.audit().add(&entry)?;
                Ok(())
            } else {
                Err(ServiceError::app_name_taken(&added.name))
            }
        })
        .await?;
        let app_token = self.app_token(&app)?;
        Ok(AppView { app, public_key: signing.public().clone(), app_token, warnings: Vec::new() })
    }

    /// One application.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn find_app(&self, id: AppId) -> Result<AppView, ServiceError> {
        let (app, keys) = self.app_with_keys(id).await?;
        self.view(app, &keys)
    }

    /// Returns the public data of the caller's application.
    ///
    /// # Errors
    /// [`Refusal::AppGone`], and the refusals of an inactive application.
    pub async fn application_of(&self, call: Call<AppOrUser>) -> Result<App, ServiceError> {
        let caller = call.caller;
        self.read("app.of_caller", move |readers| find_app_of(readers, &caller)).await
    }

    /// Returns the public keys of an application as JWKS (RFC 7517), the signing key first, whatever the application's
    /// status.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn jwks(&self, id: AppId) -> Result<Value, ServiceError> {
        let (_, keys) = self.app_with_keys(id).await?;
        let now = self.inner.clock.now();
        let current = signing_key(&keys, now).map(|key| key.kid.clone());
        let mut published: Vec<_> = keys.iter().filter(|key| key.is_published(now)).collect();
        published.sort_by_key(|key| current.as_ref() != Some(&key.kid));
        let published = published.iter().map(|key| PublicKey::from_pem(&key.public_pem));
        Ok(jwks(&published.collect::<Result<Vec<_>, _>>()?))
    }

    /// Where an application's issuer and keys are.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn discovery(&self, id: AppId) -> Result<Discovery, ServiceError> {
        let (app, _) = self.app_with_keys(id).await?;
        let jwks_uri = format!("{}/apps/{id}/.well-known/jwks.json", self.inner.settings.public_url);
        Ok(Discovery { issuer: app.issuer, jwks_uri })
    }

    fn issuer_below_public_url(&self, id: AppId) -> String {
        format!("{}/apps/{id}", self.inner.settings.public_url)
    }

    /// Moves an application's issuer below the server's present address. Returns the issuer before. Tokens that are
    /// signed from now on carry the new one; those that were signed before stay what they are.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::InvalidData`], explained, when another application has that issuer.
    pub async fn move_issuer(&self, operator: Operator, id: AppId) -> Result<String, ServiceError> {
        let before = self.find_app(id).await?.app.issuer;
        let issuer = self.issuer_below_public_url(id);
        let mut event = Event::of_operator(Action::SetIssuer, id, &operator);
        event.detail = Some(format!("{before} -> {issuer}"));
        let now = self.inner.clock.now();
        self.audited_unit(event, "app.move_issuer", move |repos| {
            let held = repos.apps().hold(id)?.ok_or(Refusal::UnknownApp)?;
            if repos.apps().find_by_issuer(&issuer)?.is_some_and(|holder| holder != id) {
                return Err(ServiceError::issuer_taken(&issuer));
            }
            write_held(repos, &App { issuer: issuer.clone(), updated_at: now, ..held })
        })
        .await?;
        Ok(before)
    }

    /// How many of the newest applications sign with an issuer that begins with another address than the present one.
    pub async fn count_other_issuers(&self) -> Result<usize, ServiceError> {
        let present = format!("{}/", self.inner.settings.public_url);
        let read = self.read("app.issuers", |readers| Ok(readers.apps().list(None, None, 200)?));
        Ok(read.await?.iter().filter(|app| !app.issuer.starts_with(&present)).count())
    }

    pub(crate) async fn app_with_keys(&self, id: AppId) -> Result<(App, Vec<AppKey>), ServiceError> {
        self.read("app.find", move |readers| {
            let app = readers.apps().find(id)?.ok_or(Refusal::UnknownApp)?;
            Ok((app, readers.apps().keys(id)?))
        })
        .await
    }

    pub(crate) fn view(&self, app: App, keys: &[AppKey]) -> Result<AppView, ServiceError> {
        let key = signing_key(keys, self.inner.clock.now())
            .ok_or_else(|| ServiceError::Internal("an application without a key".into()))?;
        let public_key = PublicKey::from_pem(&key.public_pem)?;
        let app_token = self.app_token(&app)?;
        Ok(AppView { app, public_key, app_token, warnings: Vec::new() })
    }

    /// The app token of the present generation: recomputed, never stored.
    pub(crate) fn app_token(&self, app: &App) -> Result<String, ServiceError> {
        let (generation, issued_at) = (app.token_generation, app.token_issued_at);
        Ok(self.key_ring().tokens().sign(&AppToken { app_id: app.id, generation, issued_at })?)
    }
}
