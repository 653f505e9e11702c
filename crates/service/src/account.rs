//! Users' own accounts: profile, user name, metadata, locale, deletion.

use latchkey_crypto::Verdict;
use latchkey_domain::{
    App, ClientPassword, Handle, InvalidMetadata, KeyedDigest, User, UserChange, UserName,
};
use latchkey_storage::Repositories;
use time::{Duration, OffsetDateTime};

use crate::audit::{Act, Call};
use crate::caller::{accepted, find_user, gate};
use crate::context::RACES;
use crate::limits::Rate;
use crate::login::LoginName;
use crate::new_user::{is_reserved, offered_locale};
use crate::{Refusal, Service, ServiceError};

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
    pub async fn current_user(&self, call: Call) -> Result<UserView, ServiceError> {
        let token = call.caller.user(Refusal::InvalidData)?;
        let (app, user) =
            self.inner.store.read("user.current", move |readers| find_user(readers, &token)).await?;
        Ok(UserView { app, user })
    }

    /// Returns whether the user name is free.
    ///
    /// # Errors
    /// [`Refusal::NoUserNames`]; [`ServiceError::TooMany`].
    pub async fn is_user_name_free(&self, call: Call, name: UserName) -> Result<bool, ServiceError> {
        let token = call.caller.user(Refusal::MissingParameter)?;
        self.inner.limits.take_for(Rate::NameCheck, (token.app_id, token.user_id), self.inner.clock.now())?;
        self.inner
            .store
            .read("user.name_free", move |readers| {
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
    pub async fn set_user_name(&self, call: Call, name: UserName) -> Result<(), ServiceError> {
        let token = call.caller.clone().user(Refusal::MissingParameter)?;
        let (name_gate, now) = (self.name_gate(token.app_id, name.as_str())?, self.inner.clock.now());
        self.change_user(call, ("setUserName", Refusal::MissingParameter), move |repos, app, user| {
            if !app.settings.user_names {
                return Err(Refusal::NoUserNames.into());
            }
            gate(app)?;
            if user.user_name.is_some() {
                return Err(Refusal::InvalidData.into());
            }
            // Handles win over user names at a log-in, so a user name equal to a handle would log nobody in.
            repos.quotas().reserve(&name_gate, u32::MAX)?;
            let is_taken = match Handle::parse(name.as_str()) {
                Ok(handle) => {
                    repos.users().find_by_handle(app.id, &handle)?.is_some()
                        || is_reserved(repos.users(), app, &handle, now)?
                }
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
    pub async fn set_locale(&self, call: Call, wanted: String) -> Result<(), ServiceError> {
        self.change_user(call, ("setLocale", Refusal::MissingParameter), move |_, app, _| {
            gate(app)?;
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
    pub async fn set_metadata(&self, call: Call, sent: String) -> Result<(), ServiceError> {
        let (now, size) = (self.inner.clock.now(), self.jwt_size());
        self.change_user(call, ("setUserMetadata", Refusal::MissingParameter), move |_, app, user| {
            gate(app)?;
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
                | InvalidMetadata::Unknown(_) => ServiceError::metadata(&error),
            })?;
            let after = User { metadata: metadata.clone(), ..user.clone() };
            size.check(app, (Some(user), &after), now)?;
            Ok(UserChange { metadata: Some(metadata), ..UserChange::default() })
        })
        .await
    }

    /// Changes the caller's row in a unit of work that reads it first.
    async fn change_user(
        &self,
        call: Call,
        (action, otherwise): (&'static str, Refusal),
        change: impl Fn(&mut dyn Repositories, &App, &User) -> Result<UserChange, ServiceError>
        + Send
        + Sync
        + 'static,
    ) -> Result<(), ServiceError> {
        let act = call.act(action, None);
        self.acting(act, otherwise, |act| self.change_user_now(call, otherwise, act, change)).await
    }

    async fn change_user_now(
        &self,
        call: Call,
        otherwise: Refusal,
        act: Act,
        change: impl Fn(&mut dyn Repositories, &App, &User) -> Result<UserChange, ServiceError>
        + Send
        + Sync
        + 'static,
    ) -> Result<(), ServiceError> {
        let token = call.caller.user(otherwise)?;
        let now = self.inner.clock.now();
        self.inner.limits.take_for(Rate::Write, (token.app_id, token.user_id), now)?;
        let entry = self.done(&act)?;
        self.inner
            .store
            .transact("user.change", move |repos| {
                let app = repos.apps().find(token.app_id)?.ok_or(Refusal::AppGone)?;
                change_read_user(repos, now, |repos| {
                    let user = accepted(repos.users().find(token.app_id, token.user_id)?, &token)?;
                    let change = change(repos, &app, &user)?;
                    Ok((user, change))
                })?;
                repos.audit().add(&entry).map_err(ServiceError::from)
            })
            .await
    }

    /// Removes the caller's account, with everything that belongs to it.
    ///
    /// # Errors
    /// [`Refusal::CredentialsWrong`] when handle and password are not the caller's.
    pub async fn delete_account(&self, call: Call, request: DeleteAccount) -> Result<(), ServiceError> {
        let act = call.act("deleteAccount", Some(&request.name.handle));
        self.acting(act, Refusal::MissingParameter, |act| self.delete_account_now(call, request, act)).await
    }

    async fn delete_account_now(
        &self,
        call: Call,
        request: DeleteAccount,
        act: Act,
    ) -> Result<(), ServiceError> {
        let token = call.caller.clone().user(Refusal::MissingParameter)?;
        let now = self.inner.clock.now();
        self.inner.limits.take_for(Rate::Write, (token.app_id, token.user_id), now)?;
        let (reading, name) = (token.clone(), request.name);
        let (app, user) = self
            .inner
            .store
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
                Ok::<_, ServiceError>((app, user))
            })
            .await?;
        let password = request.password.ok_or(Refusal::CredentialsWrong)?;
        let origin = self.origin(app.id, user.id, call.source)?;
        let (verdict, counted) = self.try_password(&app, &user, password, origin).await?;
        if verdict == Verdict::Wrong {
            return Err(Refusal::CredentialsWrong.into());
        }
        let entry = self.done(&act)?;
        let recipient = self.recipient(&user.handle)?;
        let deleted = self
            .inner
            .store
            .transact("user.delete", move |repos| {
                let user = accepted(repos.users().find(token.app_id, token.user_id)?, &token)?;
                remove_user(repos, (&app, &user), &recipient, now)?;
                repos.audit().add(&entry).map_err(ServiceError::from)
            })
            .await;
        if deleted.is_err() {
            self.forgive(&user, origin, counted, true).await?;
        }
        deleted
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
    for _ in 0..RACES {
        let (user, change) = decide(repos)?;
        if repos.users().change(&user, &change, now)? {
            return Ok(user);
        }
    }
    Err(ServiceError::Unavailable("too many concurrent updates of the user".to_owned()))
}

/// Removes a user with their codes, sign-ups, invitations and waiting messages. The handle stays taken as long as the
/// application's settings require.
pub(crate) fn remove_user(
    repos: &mut dyn Repositories,
    (app, user): (&App, &User),
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
