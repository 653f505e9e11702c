//! The first account, and the link that opens the page where it is made.

use latchkey_crypto::{client_password, is_common_password};
use latchkey_domain::{
    AppId, Developer, DeveloperId, DeveloperRole, DeveloperStatus, Handle, LoginStage, RawPassword,
    SetupLink, check_portal_password,
};
use time::Duration;

use super::logins::{Browser, NewLogin, PortalToken, SignedIn};
use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::service::Service;

/// A new password of an account that keeps the rules, in Unicode normalization form C.
#[derive(Debug, Clone)]
pub struct PortalPassword(RawPassword);

impl PortalPassword {
    /// Checks a password for the account with this address (SEC-007).
    ///
    /// # Errors
    /// The rule that it breaks, as a sentence.
    pub fn parse(text: &str, email: &Handle) -> Result<Self, String> {
        let typed = RawPassword::parse(text).map_err(|_| "Enter a password.".to_owned())?;
        let raw = typed.normalized().unwrap_or(typed);
        check_portal_password(&raw, email).map_err(|error| error.to_string())?;
        let digits = client_password(&raw).map_err(|error| error.to_string())?;
        if is_common_password(&digits, &[]) {
            return Err("This password is on lists of common passwords. Choose another.".to_owned());
        }
        Ok(Self(raw))
    }

    pub(super) fn into_raw(self) -> RawPassword {
        self.0
    }
}

impl Service {
    /// Makes a link to the set-up page, which ends those before it. None when an administrator exists.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn new_setup_link(&self) -> Result<Option<PortalToken>, ServiceError> {
        let token = PortalToken::generate(&*self.inner.entropy)?;
        let link = SetupLink { digest: self.setup_digest(&token)?, created_at: self.inner.clock.now() };
        let made = self.transact("portal.setup_link", move |repos| {
            let portal = repos.portal();
            if portal.has_administrator()? {
                return Ok(false);
            }
            portal.replace_setup_links(Some(&link))?;
            Ok(true)
        });
        Ok(made.await?.then_some(token))
    }

    /// Opens the set-up page with its link. None when the link is unknown, replaced or old, or an administrator exists.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn open_setup(
        &self,
        link: PortalToken,
        browser: Browser,
    ) -> Result<Option<PortalToken>, ServiceError> {
        let (digest, now) = (self.setup_digest(&link)?, self.inner.clock.now());
        let NewLogin { token, login } = self.new_login(LoginStage::Setup, &browser)?;
        let opened = self.transact("portal.open_setup", move |repos| {
            let portal = repos.portal();
            let is_open = portal.find_setup_link(&digest)?.is_some_and(|link| link.is_open(now));
            if !is_open || portal.has_administrator()? {
                return Ok(false);
            }
            portal.add_login(&login)?;
            Ok(true)
        });
        Ok(opened.await?.then_some(token))
    }

    /// Whether this cookie is of someone who opened the set-up page, and no administrator exists yet.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn may_set_up(&self, cookie: &PortalToken) -> Result<bool, ServiceError> {
        let (digest, now) = (self.login_digest(cookie)?, self.inner.clock.now());
        self.read("portal.may_set_up", move |readers| {
            let portal = readers.portal();
            let login = portal.find_login(&digest)?;
            let is_open = login.is_some_and(|login| login.stage == LoginStage::Setup && login.is_open(now));
            Ok(is_open && !portal.has_administrator()?)
        })
        .await
    }

    /// Whether there is an administrator who can sign in.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn has_administrator(&self) -> Result<bool, ServiceError> {
        self.read("portal.administrator", |readers| Ok(readers.portal().has_administrator()?)).await
    }

    /// Creates the first account and signs it in. Of several at once, one is created (SEC-121).
    ///
    /// # Errors
    /// [`Refusal::Conflict`], explained, when an administrator exists; [`Refusal::AccessTokenInvalid`] when the set-up
    /// page was not opened with its link, or too long ago; [`ServiceError::Busy`].
    pub async fn set_up(
        &self,
        cookie: PortalToken,
        email: Handle,
        password: PortalPassword,
        browser: Browser,
    ) -> Result<NewLogin, ServiceError> {
        if !self.may_set_up(&cookie).await? {
            return Err(self.setup_refusal().await?);
        }
        let now = self.inner.clock.now();
        let administrator = self.new_administrator(email, password).await?;
        let developer = Developer { last_sign_in_at: Some(now), ..administrator };
        let made = self.new_login(LoginStage::Full(developer.id), &browser)?;
        let event = SignedIn { developer: developer.clone(), login: made.login.clone() }.event(
            Action::PortalSetup,
            AppId::NONE,
            browser.source,
        );
        let gate = self.counter(AppId::NONE, "portal.setup", &[], Duration::days(1))?;
        let (entry, setup, login) = (self.entry(&event)?, self.login_digest(&cookie)?, made.login.clone());
        let is_first = self.transact("portal.set_up", move |repos| {
            // Written first, so that those who come at once see each other.
            repos.quotas().reserve(&gate, u32::MAX)?;
            let portal = repos.portal();
            if portal.has_administrator()? || !portal.add_developer(&developer)? {
                return Ok(false);
            }
            portal.replace_setup_links(None)?;
            portal.remove_login(&setup)?;
            portal.add_login(&login)?;
            repos.audit().add(&entry)?;
            Ok(true)
        });
        if is_first.await? { Ok(made) } else { Err(self.setup_refusal().await?) }
    }

    /// The account of an administrator who has not signed in yet; it is not stored.
    pub(super) async fn new_administrator(
        &self,
        email: Handle,
        password: PortalPassword,
    ) -> Result<Developer, ServiceError> {
        let now = self.inner.clock.now();
        let id = DeveloperId::generate(now, &*self.inner.entropy)?;
        Ok(Developer {
            id,
            email,
            role: DeveloperRole::Administrator,
            status: DeveloperStatus::Active,
            password: self.hash_portal_password(password, id).await?,
            password_at: now,
            created_at: now,
            updated_at: now,
            last_sign_in_at: None,
            revision: 1,
        })
    }

    async fn setup_refusal(&self) -> Result<ServiceError, ServiceError> {
        let text = "An administrator exists. Sign in.".to_owned();
        let exists = self.has_administrator().await?;
        Ok(match exists {
            true => ServiceError::Explained(Refusal::Conflict, text),
            false => Refusal::AccessTokenInvalid.into(),
        })
    }

    fn setup_digest(&self, token: &PortalToken) -> Result<latchkey_domain::KeyedDigest, ServiceError> {
        Ok(self.key_ring().digests().digest("portal.setup", &[token.as_bytes()])?)
    }
}

impl SignedIn {
    /// An action of this developer.
    pub(crate) fn event(&self, action: Action, app_id: AppId, source: latchkey_domain::Source) -> Event {
        Event::of_operator(action, app_id, &self.operator(source, Some(app_id)))
    }
}
