//! What operators do with the users of an application. What users do themselves is in `account`.

use latchkey_domain::{
    App, AppId, CodePurpose, Failures, Handle, InvalidMetadata, KeyedDigest, MetadataField, MetadataFields,
    Named as _, SourceTrust, TemplateName, User, UserChange, UserId, UserKey, UserStatus, masked,
    user_claims,
};
use latchkey_notifiers::MessageKind;
use latchkey_storage::Repositories;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::account::names::{NewUser, is_taken, new_user, offered_locale};
use crate::account::password::NewPassword;
use crate::account::profile::{change_read_user, remove_user};
use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::base::retry::retry;
use crate::notify::mail::{Notice, built_in, is_mailable, worded};
use crate::notify::mailed_code::CodeMail;
use crate::protect::codes::{CodeSource, CodeSubject};
use crate::service::Service;

/// A user whom an operator adds.
#[derive(Debug, Clone)]
pub struct AddUser {
    /// Their handle.
    pub handle: Handle,
    /// Their password.
    pub password: NewPassword,
    /// Their locale; English if none.
    pub locale: Option<String>,
    /// Their metadata.
    pub metadata: Map<String, Value>,
    /// Whether they administer the application.
    pub is_administrator: bool,
}

impl Service {
    /// Adds a user: at once, without a code and without a mail.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::HandleTaken`]; [`Refusal::InvalidData`] for password and locale;
    /// [`Refusal::MetadataInvalid`]; [`Refusal::SignupOff`] when the application is full.
    pub async fn add_user_of(
        &self,
        operator: Operator,
        app_id: AppId,
        new: AddUser,
    ) -> Result<User, ServiceError> {
        let mut event = Event::of_operator(Action::AddUser, app_id, &operator);
        event.handle = Some(masked(&new.handle));
        self.audited(event, async |event| {
            let mut event = event.clone();
            let now = self.inner.clock.now();
            let handle = new.handle.clone();
            let found = self.read("user.add.find", move |readers| {
                let app = readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                let is_taken = is_taken(readers.users(), &app, &handle, now)?;
                Ok((app, is_taken))
            });
            let (app, is_taken) = found.await?;
            if is_taken {
                return Err(Refusal::HandleTaken.into());
            }
            new.password.check(&app, &new.handle)?;
            let locale = offered_locale(&app, new.locale.as_deref())?;
            let metadata = MetadataFields::set_by_operator(
                &app.settings.metadata,
                &app.settings.invite_metadata,
                &latchkey_domain::Metadata::default(),
                &new.metadata,
            );
            let metadata = metadata.map_err(|error| ServiceError::metadata(&error))?;
            demand(&app, app.settings.metadata.missing(&metadata))?;
            let id = UserId::generate(now, &*self.inner.entropy)?;
            let sealed = self.hash_password(new.password.into_client(), app_id, id).await?;
            let made = NewUser { id, handle: new.handle, password: Some(sealed), locale, metadata };
            let user = User {
                last_login_at: None,
                is_administrator: new.is_administrator,
                ..new_user(app_id, made, now)
            };
            self.jwt_size().check(&app, None, &user, now)?;
            event.user_id = Some(id);
            let (entry, admission, added) =
                (self.entry(&event)?, self.admission(&app, &user.handle)?, user.clone());
            self.transact("user.add", move |repos| {
                let app = repos.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                admission.add(repos, &app, &added, now)?;
                Ok(repos.audit().add(&entry)?)
            })
            .await?;
            Ok(user)
        })
        .await
    }

    /// Removes a user with everything that is theirs, and gives what they were.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::UnknownUser`].
    pub async fn remove_user_of(
        &self,
        operator: Operator,
        app_id: AppId,
        handle: Handle,
    ) -> Result<User, ServiceError> {
        let mut event = Event::of_operator(Action::RemoveUser, app_id, &operator);
        event.handle = Some(masked(&handle));
        let now = self.inner.clock.now();
        let recipient = self.recipient(&handle)?;
        self.audited_unit(event, "user.remove", move |repos| {
            let app = repos.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
            let user = repos.users().find_by_handle(app_id, &handle)?.ok_or(Refusal::UnknownUser)?;
            remove_user(repos, &app, &user, &recipient, now)?;
            Ok(user)
        })
        .await
    }

    /// Sets a user's password, ends their sessions and tells them that it was changed, not to what.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`]; [`Refusal::InvalidData`] for a password that is not allowed.
    pub async fn set_user_password(
        &self,
        operator: Operator,
        UserKey { app_id, id }: UserKey,
        password: NewPassword,
    ) -> Result<(), ServiceError> {
        let mut event = Event::of_operator(Action::ResetUserPassword, app_id, &operator);
        event.user_id = Some(id);
        self.audited(event, async |event| {
            let (app, user) = self.app_and_user(UserKey { app_id, id }).await?;
            password.check(&app, &user.handle)?;
            let new = self.hash_password(password.into_client(), app_id, id).await?;
            let (now, entry) = (self.inner.clock.now(), self.entry(event)?);
            let slot = self.reserve_notice(app_id, &user.handle, Notice::Change).await?;
            let words = built_in(MessageKind::PasswordChanged, user.locale)?;
            let notice = self.notice(&app, slot.as_ref(), &words, &user.handle).await?;
            let set = self
                .transact("user.password", move |repos| {
                    retry(|| {
                        let user = repos.users().find(app_id, id)?.ok_or(Refusal::UnknownUser)?;
                        let (from, to) = (user.sessions, user.sessions.end_all());
                        if !repos.users().reset_password(app_id, id, &new, from, to, now)? {
                            return Ok(None);
                        }
                        repos.codes().remove_all(app_id, id.as_bytes())?;
                        notice.iter().try_for_each(|mail| repos.outbox().add(mail))?;
                        repos.audit().add(&entry)?;
                        Ok(Some(notice.is_some()))
                    })
                })
                .await;
            self.settle_message(slot, set).await
        })
        .await
    }

    /// Mails a user a code with which they set a new password themselves.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`]; [`Refusal::InvalidData`], explained, when no mail can reach them.
    pub async fn send_user_reset(
        &self,
        operator: Operator,
        UserKey { app_id, id }: UserKey,
    ) -> Result<(), ServiceError> {
        let mut event = Event::of_operator(Action::ResetUserPassword, app_id, &operator);
        (event.user_id, event.detail) = (Some(id), Some("code mailed".to_owned()));
        self.audited(event, async |event| {
            let (app, user) = self.app_and_user(UserKey { app_id, id }).await?;
            if !is_mailable(&self.inner.settings.mail, &user.handle) {
                let text = "no mail can reach this user: set a password".to_owned();
                return Err(ServiceError::invalid(text));
            }
            let locale = user.locale;
            let words = self.read("user.reset.words", move |readers| {
                worded(readers.email_templates(), app_id, TemplateName::ResetPassword, locale)
            });
            let words = words.await?;
            let rules = self.inner.settings.codes;
            let subject = CodeSubject {
                app_id,
                purpose: CodePurpose::Reset,
                handle: user.handle.clone(),
                id: *id.as_bytes(),
            };
            let slot = self.reserve_mail(app.id, &user.handle).await?;
            let source = CodeSource::only(KeyedDigest::NONE);
            let life = rules.reset_life;
            let mail =
                CodeMail { slot: slot.as_ref(), words: &words, subject: &subject, source: &source, life };
            let new_code = self.mailed_code(&app, mail, |_| Ok(None)).await?;
            let entry = self.entry(event)?;
            let is_sent = self
                .transact("user.reset", move |repos| {
                    repos.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
                    repos.users().find(app_id, id)?.ok_or(Refusal::UnknownUser)?;
                    if !new_code.place_and_send(repos, &rules, false)? {
                        return Err(not_sent());
                    }
                    repos.audit().add(&entry)?;
                    Ok(true)
                })
                .await;
            self.settle_message(slot, is_sent).await
        })
        .await
    }

    /// Replaces a user's metadata: every declared field is the operator's to set.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`]; [`Refusal::MetadataInvalid`], explained, when a value has no field, or another form, or
    /// when a required field loses its value (not in the compatible preset).
    pub async fn set_metadata_of(
        &self,
        operator: Operator,
        app_id: AppId,
        handle: Handle,
        sent: Map<String, Value>,
    ) -> Result<(), ServiceError> {
        let mut event = Event::of_operator(Action::UpdateAppUserMetadata, app_id, &operator);
        event.handle = Some(masked(&handle));
        let now = self.inner.clock.now();
        let size = self.jwt_size();
        self.audited_unit(event, "user.metadata", move |repos| {
            let app = repos.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
            change_read_user(repos, now, |repos| {
                let user = repos.users().find_by_handle(app_id, &handle)?.ok_or(Refusal::UnknownUser)?;
                let (own, invited) = (&app.settings.metadata, &app.settings.invite_metadata);
                let metadata = MetadataFields::set_by_operator(own, invited, &user.metadata, &sent);
                let metadata = metadata.map_err(|error| ServiceError::metadata(&error))?;
                demand(&app, own.dropped(&user.metadata, &metadata))?;
                let after = User { metadata: metadata.clone(), ..user.clone() };
                size.check(&app, Some(&user), &after, now)?;
                Ok((user, UserChange { metadata: Some(metadata), ..UserChange::default() }))
            })?;
            Ok(())
        })
        .await
    }

    /// Suspends a user, which ends all their sessions, or lets them in again.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`] when the application has no such user.
    pub async fn set_user_status(
        &self,
        operator: Operator,
        user: UserKey,
        status: UserStatus,
    ) -> Result<(), ServiceError> {
        let now = self.inner.clock.now();
        self.on_user(
            operator,
            Action::UpdateAppUser,
            Some(status.name().to_owned()),
            user,
            move |repos, UserKey { app_id, id }| {
                change_read_user(repos, now, |repos| {
                    let user = repos.users().find(app_id, id)?.ok_or(Refusal::UnknownUser)?;
                    Ok((user, UserChange { status: Some(status), ..UserChange::default() }))
                })?;
                if status == UserStatus::Suspended {
                    end_sessions(repos, app_id, id, now)?;
                    repos.codes().remove_all(app_id, id.as_bytes())?;
                }
                Ok(())
            },
        )
        .await
    }

    /// Makes a user an administrator of the application, or an ordinary one again, which ends all their sessions.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`]; [`Refusal::InvalidData`], explained, for an anonymous user.
    pub async fn set_administrator(
        &self,
        operator: Operator,
        user: UserKey,
        is_administrator: bool,
    ) -> Result<(), ServiceError> {
        let now = self.inner.clock.now();
        let (action, detail) = (Action::SetAdministrator, Some(is_administrator.to_string()));
        self.on_user(operator, action, detail, user, move |repos, UserKey { app_id, id }| {
            let user = change_read_user(repos, now, |repos| {
                let user = repos.users().find(app_id, id)?.ok_or(Refusal::UnknownUser)?;
                if is_administrator && user.handle.is_anonymous() {
                    let text = "an anonymous user logs in by the handle alone, and is no administrator";
                    return Err(ServiceError::invalid(text));
                }
                Ok((user, UserChange { is_administrator: Some(is_administrator), ..UserChange::default() }))
            })?;
            if user.is_administrator && !is_administrator {
                end_sessions(repos, app_id, id, now)?;
            }
            Ok(())
        })
        .await
    }

    /// Ends all sessions of a user.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`] when the application has no such user.
    pub async fn sign_out_everywhere(&self, operator: Operator, user: UserKey) -> Result<(), ServiceError> {
        let now = self.inner.clock.now();
        self.on_user(operator, Action::SignOutUser, None, user, move |repos, UserKey { app_id, id }| {
            end_sessions(repos, app_id, id, now)
        })
        .await
    }

    /// Forgets a user's failed log-ins and wrong second factors: they need not wait any more.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`].
    pub async fn unlock_user(
        &self,
        operator: Operator,
        UserKey { app_id, id }: UserKey,
    ) -> Result<(), ServiceError> {
        let (_, user) = self.app_and_user(UserKey { app_id, id }).await?;
        let counters = self.factor_counters(app_id, &user)?;
        self.on_user(
            operator,
            Action::UnlockUser,
            None,
            UserKey { app_id, id },
            move |repos, UserKey { app_id, id }| {
                for side in [SourceTrust::Unknown, SourceTrust::Known] {
                    retry(|| {
                        let user = repos.users().find(app_id, id)?.ok_or(Refusal::UnknownUser)?;
                        let from = user.login.failures(side);
                        let users = repos.users();
                        Ok(users.count_failures(app_id, id, side, from, Failures::default())?.then_some(()))
                    })?;
                }
                Ok(counters.iter().try_for_each(|counter| repos.quotas().reset(counter))?)
            },
        )
        .await
    }

    /// The claims that a user's JWT would have now.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`]; [`Refusal::MetadataInvalid`], explained, when a required field has no value: such a
    /// user gets no JWT.
    pub async fn preview_claims(&self, key: UserKey) -> Result<Map<String, Value>, ServiceError> {
        let (app, user) = self.app_and_user(key).await?;
        user_claims(&app, &user, self.inner.clock.now())
            .map_err(|missing| ServiceError::missing_field(&missing))
    }

    pub(super) async fn app_and_user(
        &self,
        UserKey { app_id, id }: UserKey,
    ) -> Result<(App, User), ServiceError> {
        self.read("user.of_app", move |readers| {
            let app = readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
            let user = readers.users().find(app_id, id)?.ok_or(Refusal::UnknownUser)?;
            Ok((app, user))
        })
        .await
    }

    /// Changes an existing user, with an audit entry.
    async fn on_user(
        &self,
        operator: Operator,
        action: Action,
        detail: Option<String>,
        UserKey { app_id, id }: UserKey,
        change: impl Fn(&mut dyn Repositories, UserKey) -> Result<(), ServiceError> + Send + Sync + 'static,
    ) -> Result<(), ServiceError> {
        let mut event = Event::of_operator(action, app_id, &operator);
        (event.user_id, event.detail) = (Some(id), detail);
        self.audited_unit(event, "user.operate", move |repos| {
            repos.users().find(app_id, id)?.ok_or(Refusal::UnknownUser)?;
            change(repos, UserKey { app_id, id })?;
            Ok(())
        })
        .await
    }
}

/// Ends all sessions of a user, however often they change meanwhile.
fn end_sessions(
    repos: &mut dyn Repositories,
    app_id: AppId,
    id: UserId,
    now: OffsetDateTime,
) -> Result<(), ServiceError> {
    retry(|| {
        let user = repos.users().find(app_id, id)?.ok_or(Refusal::UnknownUser)?;
        let (from, to) = (user.sessions, user.sessions.end_all());
        Ok(repos.users().change_sessions(app_id, id, from, to, now)?.then_some(()))
    })
}

/// Nothing was mailed: the address has had enough, or got a code just now.
pub(crate) fn not_sent() -> ServiceError {
    ServiceError::TooMany { seconds: 60 }
}

/// Refuses metadata without a required field, except in the compatible preset, which is as the reference.
fn demand(app: &App, absent: Option<&MetadataField>) -> Result<(), ServiceError> {
    match absent {
        Some(field) if !app.settings.fields_user_settable => {
            Err(ServiceError::metadata(&InvalidMetadata::Missing(field.path.to_string())))
        }
        _ => Ok(()),
    }
}
