//! Users that are imported into an application that exists.

use latchkey_domain::{App, AppId, AuditEntry, SocialIdentity, User, max_users};
use latchkey_storage::{Readers, Repositories, RowOutcome};
use latchkey_transfer::UserRecord;

use crate::account::names::subject_owner;
use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::service::Service;
use crate::transfer::import::{BatchOutcome, RecordOutcome};

impl Service {
    /// Validates users for an import into an application, and changes nothing. Returns the problem of each, such as a
    /// taken handle or id.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn check_users(
        &self,
        app_id: AppId,
        records: Vec<UserRecord>,
    ) -> Result<BatchOutcome, ServiceError> {
        let now = self.inner.clock.now();
        let found =
            move |readers: &mut dyn Readers| readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp.into());
        let app = self.read("import.app", found).await?;
        let users: Vec<_> = records
            .iter()
            .map(|record| {
                let lost = || self.lost_of(record, Some(&app.settings));
                self.user_of(app_id, record, now).map(|user| (user, lost()))
            })
            .collect();
        self.read("import.check", move |readers| {
            let mut found = Vec::with_capacity(users.len());
            for user in &users {
                found.push(match user {
                    Err(reason) => RecordOutcome::Refused(reason.clone()),
                    Ok((user, lost)) => match (standing_of(readers, &app, user)?, lost) {
                        (RecordOutcome::Added, Some(lost)) => RecordOutcome::Partly(lost.clone()),
                        (standing, _) => standing,
                    },
                });
            }
            Ok(found)
        })
        .await
    }

    /// Looks whether an application has room for so many more users.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::SignupOff`], explained, when it has not.
    pub async fn check_room(&self, app_id: AppId, more: u32) -> Result<(), ServiceError> {
        let mode = self.inner.settings.mode;
        self.read("import.room", move |readers| {
            let app = readers.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
            let Some(limit) = max_users(&app, mode).filter(|_| more > 0) else { return Ok(()) };
            match limit.checked_sub(more) {
                Some(room) if !readers.users().are_at_least(app_id, room + 1)? => Ok(()),
                _ => {
                    let (users, _) = readers.users().count(app_id)?;
                    let text = format!(
                        "it has {users} users and may have {limit}: there is no room for {more} more"
                    );
                    Err(ServiceError::Explained(Refusal::SignupOff, text))
                }
            }
        })
        .await
    }

    /// Imports users into an existing application. Invalid ones are reported, the others are imported.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::SignupOff`], explained, when the application would have too many.
    pub async fn import_users(
        &self,
        operator: Operator,
        app_id: AppId,
        records: Vec<UserRecord>,
    ) -> Result<BatchOutcome, ServiceError> {
        operator.reaches(app_id)?;
        let now = self.inner.clock.now();
        let users: Vec<_> = records.iter().map(|record| self.user_of(app_id, record, now)).collect();
        let mode = self.inner.settings.mode;
        let entry = self.entry(&Event::of_operator(Action::ImportUsers, app_id, &operator))?;
        self.transact("import.users", move |repos| {
            let app = repos.apps().find(app_id)?.ok_or(Refusal::UnknownApp)?;
            let mut taken = Vec::with_capacity(users.len());
            for user in &users {
                taken.push(match user {
                    Err(reason) => RecordOutcome::Refused(reason.clone()),
                    Ok(user) if has_others_subject(repos, &app, user)? => {
                        RecordOutcome::Refused(SAME_SUBJECT.to_owned())
                    }
                    Ok(user) => match repos.imports().add_user(user)? {
                        RowOutcome::Added => RecordOutcome::Added,
                        RowOutcome::Known => RecordOutcome::Known,
                        RowOutcome::Taken => RecordOutcome::Refused(
                            "handle, id, user name, number or identity are another user's".to_owned(),
                        ),
                    },
                });
            }
            let added = taken.iter().filter(|taken| **taken == RecordOutcome::Added).count();
            if added == 0 {
                return Ok(taken);
            }
            if let Some(limit) = max_users(&app, mode)
                && repos.users().are_at_least(app_id, limit.saturating_add(1))?
            {
                return Err(too_many(limit, added));
            }
            repos.audit().add(&AuditEntry { detail: Some(format!("{added} users")), ..entry.clone() })?;
            Ok(taken)
        })
        .await
    }
}

/// Said of a user whose tokens would name another user.
const SAME_SUBJECT: &str = "the sub of the tokens (userIdFormat handle_underscore) is another user's";

fn has_others_subject(repos: &mut dyn Repositories, app: &App, user: &User) -> Result<bool, ServiceError> {
    let owner = subject_owner(repos.users(), app, &user.handle)?;
    Ok(owner.is_some_and(|owner| owner.id != user.id))
}

/// Whether a user could be added: unique values must not belong to another user.
fn standing_of(readers: &mut dyn Readers, app: &App, user: &User) -> Result<RecordOutcome, ServiceError> {
    let app_id = user.app_id;
    let users = readers.users();
    let others = |what: &str| Ok(RecordOutcome::Refused(format!("the {what} is another user's")));
    match users.find_by_handle(app_id, &user.handle)? {
        Some(known) if known.id == user.id => return Ok(RecordOutcome::Known),
        Some(_) => {
            let text = "the handle exists with another id or createdAt; an import changes no user";
            return Ok(RecordOutcome::Refused(text.to_owned()));
        }
        None if users.find(app_id, user.id)?.is_some() => return others("id"),
        None => {}
    }
    if subject_owner(users, app, &user.handle)?.is_some() {
        return Ok(RecordOutcome::Refused(SAME_SUBJECT.to_owned()));
    }
    if let Some(name) = &user.user_name
        && users.find_by_user_name(app_id, name)?.is_some()
    {
        return others("user name");
    }
    if let Some(phone) = &user.factors.verified_phone
        && users.find_by_verified_phone(app_id, phone)?.is_some()
    {
        return others("verified number");
    }
    if let Some(SocialIdentity { provider, subject: Some(subject) }) = &user.social
        && users.find_by_subject(app_id, *provider, subject)?.is_some()
    {
        return others("identity at a provider");
    }
    Ok(RecordOutcome::Added)
}

fn too_many(limit: u32, more: impl std::fmt::Display) -> ServiceError {
    let text = format!("the application may have {limit} users, and has no room for {more} more");
    ServiceError::Explained(Refusal::SignupOff, text)
}
