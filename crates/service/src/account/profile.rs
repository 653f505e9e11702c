//! Users' own accounts: profile, user name, metadata, locale, deletion.

use latchkey_crypto::Verdict;
use latchkey_domain::{
    App, ClientPassword, Handle, InvalidMetadata, KeyedDigest, User, UserChange, UserName,
};
use latchkey_storage::Repositories;
use time::{Duration, OffsetDateTime};

use crate::account::login::LoginName;
use crate::account::names::{is_taken, offered_locale};
use crate::base::audit::{Action, Event};
use crate::base::caller::{Call, check_session, ensure_active, find_user};
use crate::base::error::{Refusal, ServiceError};
use crate::base::retry::retry;
use crate::protect::rates::Rate;
use crate::service::Service;
use latchkey_crypto::AccessToken;

/// A user with the application whose user they are.
#[derive(Debug, Clone)]
pub struct UserView {
    /// The application.
    pub app: App,
    /// The user.
    pub user: User,
}

/// The end of an account.
#[derive(Debug, Clone)]
pub struct DeleteAccount {
    /// The caller's own handle or user name.
    pub name: LoginName,
    /// Their password; none when what was sent cannot be one.
    pub password: Option<ClientPassword>,
}

impl Service {
    /// Returns the calling user.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`] without an access token, [`Refusal::AccessTokenInvalid`] when it was revoked, and the
    /// refusals of an inactive application.
    pub async fn current_user(&self, call: Call<AccessToken>) -> Result<UserView, ServiceError> {
        let token = call.caller;
        let (app, user) = self.read("user.current", move |readers| find_user(readers, &token)).await?;
        Ok(UserView { app, user })
    }

    /// Returns whether the user name is free.
    ///
    /// # Errors
    /// [`Refusal::NoUserNames`]; [`ServiceError::TooMany`].
    pub async fn is_user_name_free(
        &self,
        call: Call<AccessToken>,
        name: UserName,
    ) -> Result<bool, ServiceError> {
        let token = call.caller;
        self.inner.limits.take_for(Rate::NameCheck, token.app_id, token.user_id, self.inner.clock.now())?;
        self.read("user.name_free", move |readers| {
            let (app, _) = find_user(readers, &token)?;
            if !app.settings.user_names {
                return Err(Refusal::NoUserNames.into());
            }
            Ok(readers.users().find_by_user_name(app.id, &name)?.is_none())
        })
        .await
    }

    /// Gives the caller a user name, once.
    ///
    /// # Errors
    /// [`Refusal::NoUserNames`], [`Refusal::InvalidData`] when they have one, [`Refusal::UserNameTaken`].
    pub async fn set_user_name(&self, call: Call<AccessToken>, name: UserName) -> Result<(), ServiceError> {
        let token = call.caller.clone();
        let (name_gate, now) = (self.name_gate(token.app_id, name.as_str())?, self.inner.clock.now());
        self.change_user(call, Action::SetUserName, move |repos, app, user| {
            if !app.settings.user_names {
                return Err(Refusal::NoUserNames.into());
            }
            ensure_active(app)?;
            if user.user_name.is_some() {
                return Err(Refusal::InvalidData.into());
            }
            // Handles win over user names at a log-in, so a user name equal to a handle would log nobody in.
            repos.quotas().reserve(&name_gate, u32::MAX)?;
            let is_taken = match Handle::parse(name.as_str()) {
                Ok(handle) => is_taken(repos.users(), app, &handle, now)?,
                Err(_) => true,
            };
            if is_taken {
                return Err(Refusal::UserNameTaken.into());
            }
            Ok(UserChange { user_name: Some(name.clone()), ..UserChange::default() })
        })
        .await
    }

    /// Sets the language of the caller's mails.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`] when the application does not offer it.
    pub async fn set_locale(&self, call: Call<AccessToken>, wanted: String) -> Result<(), ServiceError> {
        self.change_user(call, Action::SetLocale, move |_, app, _| {
            ensure_active(app)?;
            // As the protocol has it, letter case counts here.
            let locale = offered_locale(app, Some(&wanted))?;
            if locale.as_str() != wanted {
                return Err(ServiceError::invalid("a locale is two upper-case letters"));
            }
            Ok(UserChange { locale: Some(locale), ..UserChange::default() })
        })
        .await
    }

    /// Replaces the caller's metadata, except values that they may not edit.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`] when the text is malformed or the application has no fields;
    /// [`Refusal::MetadataInvalid`] when a required field is missing or one is not the user's to set.
    pub async fn set_metadata(&self, call: Call<AccessToken>, sent: String) -> Result<(), ServiceError> {
        let (now, size) = (self.inner.clock.now(), self.jwt_size());
        self.change_user(call, Action::SetUserMetadata, move |_, app, user| {
            ensure_active(app)?;
            let fields = &app.settings.metadata;
            if fields.is_empty() {
                return Err(ServiceError::invalid(
                    "invalid data: the application declares no metadata fields",
                ));
            }
            let replaced = fields.replace(&user.metadata, &app.settings.invite_metadata, &sent);
            let metadata = replaced.map_err(|error| match &error {
                InvalidMetadata::Form(_) => ServiceError::invalid(format!("invalid data: {error}")),
                InvalidMetadata::Missing(_)
                | InvalidMetadata::WrongKind(..)
                | InvalidMetadata::NotSettable(_)
                | InvalidMetadata::NotEditable(_)
                | InvalidMetadata::Unknown(..) => ServiceError::metadata(&error),
            })?;
            let after = User { metadata: metadata.clone(), ..user.clone() };
            size.check(app, Some(user), &after, now)?;
            Ok(UserChange { metadata: Some(metadata), ..UserChange::default() })
        })
        .await
    }

    /// Changes the caller's row in a unit of work that reads it first.
    async fn change_user(
        &self,
        call: Call<AccessToken>,
        action: Action,
        change: impl Fn(&mut dyn Repositories, &App, &User) -> Result<UserChange, ServiceError>
        + Send
        + Sync
        + 'static,
    ) -> Result<(), ServiceError> {
        let event = Event::of_call(action, &call, None);
        self.audited(event, async |event| {
            let token = call.caller;
            let now = self.inner.clock.now();
            self.inner.limits.take_for(Rate::Write, token.app_id, token.user_id, now)?;
            let entry = self.entry(event)?;
            self.transact("user.change", move |repos| {
                let app = repos.apps().find(token.app_id)?.ok_or(Refusal::AppGone)?;
                change_read_user(repos, now, |repos| {
                    let user = check_session(repos.users().find(token.app_id, token.user_id)?, &token)?;
                    let change = change(repos, &app, &user)?;
                    Ok((user, change))
                })?;
                Ok(repos.audit().add(&entry)?)
            })
            .await
        })
        .await
    }

    /// Removes the caller's account, with everything that belongs to it.
    ///
    /// # Errors
    /// [`Refusal::CredentialsWrong`] when handle and password are not the caller's.
    pub async fn delete_account(
        &self,
        call: Call<AccessToken>,
        request: DeleteAccount,
    ) -> Result<(), ServiceError> {
        let event = Event::of_call(Action::DeleteAccount, &call, Some(&request.name.handle));
        self.audited(event, async |event| {
            let token = call.caller.clone();
            let now = self.inner.clock.now();
            self.inner.limits.take_for(Rate::Write, token.app_id, token.user_id, now)?;
            let (reading, name) = (token.clone(), request.name);
            let (app, user) = self
                .read("user.delete.find", move |readers| {
                    let (app, user) = find_user(readers, &reading)?;
                    let is_address = name.handle.as_str().contains('@');
                    if is_address && name.handle.key() != user.handle.key() {
                        return Err(Refusal::CredentialsWrong.into());
                    }
                    name.check(&app)?;
                    let named = name.find(readers, &app)?;
                    if named.is_none_or(|named| named.id != user.id) {
                        return Err(Refusal::CredentialsWrong.into());
                    }
                    Ok((app, user))
                })
                .await?;
            let password = request.password.ok_or(Refusal::CredentialsWrong)?;
            let origin = self.origin(app.id, user.id, call.source)?;
            let (verdict, counted) = self.try_password(&app, &user, password, origin).await?;
            if verdict == Verdict::Wrong {
                return Err(Refusal::CredentialsWrong.into());
            }
            let entry = self.entry(event)?;
            let recipient = self.recipient(&user.handle)?;
            let deleted = self
                .transact("user.delete", move |repos| {
                    let user = check_session(repos.users().find(token.app_id, token.user_id)?, &token)?;
                    remove_user(repos, &app, &user, &recipient, now)?;
                    Ok(repos.audit().add(&entry)?)
                })
                .await;
            if deleted.is_err() {
                self.reset_failures(&user, origin, counted, true).await?;
            }
            deleted
        })
        .await
    }
}

/// Changes a user depending on the current row: reads and decides again after a concurrent update.
///
/// # Errors
/// The refusals of `decide`; [`ServiceError::Unavailable`] after too many concurrent updates.
pub(crate) fn change_read_user(
    repos: &mut dyn Repositories,
    now: OffsetDateTime,
    decide: impl Fn(&mut dyn Repositories) -> Result<(User, UserChange), ServiceError>,
) -> Result<User, ServiceError> {
    retry(|| {
        let (user, change) = decide(repos)?;
        Ok(repos.users().change(&user, &change, now)?.then_some(user))
    })
}

/// Removes a user with their codes, sign-ups, invitations and waiting messages. The handle stays taken as long as the
/// application's settings require.
pub(crate) fn remove_user(
    repos: &mut dyn Repositories,
    app: &App,
    user: &User,
    recipient: &KeyedDigest,
    now: OffsetDateTime,
) -> Result<(), ServiceError> {
    let (app_id, handle): (_, &Handle) = (user.app_id, &user.handle);
    repos.users().remove(app_id, user.id)?;
    let hold = Duration::days(i64::from(app.settings.handle_hold_days));
    if hold.is_positive() {
        repos.users().hold(app_id, handle, now + hold)?;
    }
    for signup in repos.signups().list(app_id, handle)? {
        repos.signups().remove(app_id, signup.id)?;
        repos.codes().remove_all(app_id, signup.id.as_bytes())?;
    }
    for invite in repos.invites().list(app_id, handle)? {
        repos.invites().remove(app_id, invite.id)?;
        repos.codes().remove_all(app_id, invite.id.as_bytes())?;
    }
    repos.codes().remove_all(app_id, user.id.as_bytes())?;
    repos.factors().replace_recovery_codes(app_id, user.id, &[])?;
    repos.outbox().remove_of(app_id, recipient)?;
    Ok(())
}
