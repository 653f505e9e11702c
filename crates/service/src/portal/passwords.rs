//! Changing the password of an account, and ending its log-ins.

use latchkey_domain::{AppId, Developer, Handle, KeyedDigest, LoginStage, PortalLogin, RawPassword, Source};
use latchkey_storage::Repositories;

use super::accounts::PortalPassword;
use super::logins::{Browser, CheckedPassword, NewLogin, PortalToken, SignedIn};
use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::service::Service;

/// Digits of a generated password: 96 random bits.
const GENERATED: usize = 24;

impl Service {
    /// Changes the password of someone who knows the present one. All log-ins end, and this one goes on under a new id
    /// (SEC-069, SEC-070).
    ///
    /// # Errors
    /// [`Refusal::CredentialsWrong`] for a wrong present password; [`Refusal::Conflict`], explained, when the account was
    /// changed meanwhile; [`ServiceError::TooMany`]; [`ServiceError::Busy`].
    pub async fn change_portal_password(
        &self,
        signed_in: &SignedIn,
        current: RawPassword,
        new: PortalPassword,
        browser: Browser,
    ) -> Result<NewLogin, ServiceError> {
        let email = &signed_in.developer.email;
        let checked = self.check_portal_password(email, current, browser.source).await?;
        let CheckedPassword { developer, from_one, from_all } = checked;
        let changed = self.with_password(developer, new).await?;
        let made = self.new_login(LoginStage::Full(changed.id), &browser)?;
        let (login, event) =
            (made.login.clone(), signed_in.event(Action::PortalPasswordChange, AppId::NONE, browser.source));
        self.audited_unit(event, "portal.password", move |repos| {
            put_password(repos, &changed)?;
            repos.portal().add_login(&login)?;
            repos.quotas().give_back(&from_one)?;
            Ok(repos.quotas().give_back(&from_all)?)
        })
        .await?;
        Ok(made)
    }

    async fn with_password(
        &self,
        developer: Developer,
        new: PortalPassword,
    ) -> Result<Developer, ServiceError> {
        let now = self.inner.clock.now();
        let password = self.hash_portal_password(new, developer.id).await?;
        let revision = developer.revision + 1;
        Ok(Developer { password, password_at: now, updated_at: now, revision, ..developer })
    }

    /// Gives an account a new password, for someone who forgot theirs, and returns it. All its log-ins end.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], explained, when no account has this address; [`Refusal::Conflict`], explained, when it was
    /// changed meanwhile; [`ServiceError::Busy`].
    pub async fn reset_portal_password(
        &self,
        operator: Operator,
        email: Handle,
    ) -> Result<String, ServiceError> {
        let key = email.key().to_owned();
        let found =
            self.read("portal.find", move |readers| Ok(readers.portal().find_by_email(&key)?)).await?;
        let developer = found.ok_or_else(|| {
            let text = format!("no account of the portal has the address {}", email.as_str());
            ServiceError::Explained(Refusal::Unknown, text)
        })?;
        let (text, password) = self.generated_password(&email)?;
        let changed = self.with_password(developer, password).await?;
        let event = of_account(Action::PortalPasswordReset, &operator, &email);
        self.audited_unit(event, "portal.password", move |repos| put_password(repos, &changed)).await?;
        Ok(text)
    }

    /// Creates the account of an administrator and returns its password.
    ///
    /// # Errors
    /// [`Refusal::Conflict`], explained, when the address has an account; [`ServiceError::Busy`].
    pub async fn create_administrator(
        &self,
        operator: Operator,
        email: Handle,
    ) -> Result<String, ServiceError> {
        let (text, password) = self.generated_password(&email)?;
        let event = of_account(Action::PortalCreateAdministrator, &operator, &email);
        let developer = self.new_administrator(email, password).await?;
        self.audited_unit(event, "portal.administrator", move |repos| {
            let portal = repos.portal();
            if !portal.add_developer(&developer)? {
                let text = format!("{} has an account already", developer.email.as_str());
                return Err(ServiceError::Explained(Refusal::Conflict, text));
            }
            Ok(portal.replace_setup_links(None)?)
        })
        .await?;
        Ok(text)
    }

    fn generated_password(&self, email: &Handle) -> Result<(String, PortalPassword), ServiceError> {
        let mut text = PortalToken::generate(&*self.inner.entropy)?.reveal();
        text.truncate(GENERATED);
        let password = PortalPassword::parse(&text, email).map_err(ServiceError::invalid)?;
        Ok((text, password))
    }

    /// The open log-ins of a developer, those used last first.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn portal_logins(&self, signed_in: &SignedIn) -> Result<Vec<PortalLogin>, ServiceError> {
        let (id, now) = (signed_in.developer.id, self.inner.clock.now());
        let logins = self.read("portal.logins", move |readers| Ok(readers.portal().logins(id)?)).await?;
        let is_open = |login: &PortalLogin| login.is_open(now) && login.stage == LoginStage::Full(id);
        Ok(logins.into_iter().filter(is_open).collect())
    }

    /// Ends one of a developer's log-ins, or all but the present one. Returns how many ended.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`].
    pub async fn end_portal_logins(
        &self,
        signed_in: &SignedIn,
        only: Option<KeyedDigest>,
        source: Source,
    ) -> Result<usize, ServiceError> {
        let event = signed_in.event(Action::PortalEndLogin, AppId::NONE, source);
        let (id, own) = (signed_in.developer.id, signed_in.login.digest.clone());
        self.audited_unit(event, "portal.end_logins", move |repos| {
            let portal = repos.portal();
            let Some(digest) = &only else { return Ok(portal.remove_logins_of(id, Some(&own))?) };
            let found = portal.find_login(digest)?;
            let is_theirs = found.is_some_and(|login| login.stage == LoginStage::Full(id));
            Ok(usize::from(is_theirs && portal.remove_login(digest)?))
        })
        .await
    }
}

fn of_account(action: Action, operator: &Operator, email: &Handle) -> Event {
    let mut event = Event::of_operator(action, AppId::NONE, operator);
    event.detail = Some(email.as_str().to_owned());
    event
}

/// Writes a changed password, and ends all log-ins.
fn put_password(repos: &mut dyn Repositories, changed: &Developer) -> Result<(), ServiceError> {
    let portal = repos.portal();
    if !portal.update_developer(changed, changed.revision - 1)? {
        let text = "the account was changed meanwhile".to_owned();
        return Err(ServiceError::Explained(Refusal::Conflict, text));
    }
    portal.remove_logins_of(changed.id, None)?;
    Ok(())
}
