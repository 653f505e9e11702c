//! Applications as a whole: finding them, editing several things at once, emptying and removing them.

use latchkey_domain::{App, AppId, AppName, AppStatus, AppType, MetadataField, PlainSetting, PlainValue};

use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::operate::apps::AppView;
use crate::operate::listing::{Listed, Page};
use crate::operate::metadata_fields::{check_together, with_more};
use crate::operate::settings::{SealedChange, SettingChange, write_held};
use crate::service::Service;

/// Which applications are looked for.
#[derive(Debug, Clone)]
pub enum AppFilter {
    /// All.
    All,
    /// That of exactly this name.
    Named(String),
    /// Those whose name holds this text, in any letter case.
    Containing(String),
}

impl AppFilter {
    fn lets_through(&self, app: &App) -> bool {
        match self {
            Self::All => true,
            Self::Named(name) => app.name.as_str() == name,
            Self::Containing(text) => app.name.as_str().to_lowercase().contains(&text.to_lowercase()),
        }
    }
}

/// Several changes that are made together or not at all.
#[derive(Debug, Clone, Default)]
pub struct AppUpdate {
    /// Its new name.
    pub name: Option<AppName>,
    /// What it is for.
    pub kind: Option<AppType>,
    /// What plain settings must still be, so that nobody else's change of them is lost.
    pub expected: Vec<(&'static PlainSetting, PlainValue)>,
    /// Settings by their names, and their values.
    pub settings: Vec<(String, SettingChange)>,
    /// Fields that are added to those of users' metadata.
    pub more_fields: Vec<MetadataField>,
    /// Fields that are added to those of invitations.
    pub more_invite_fields: Vec<MetadataField>,
    /// Whether a field becomes required though users have no value for it.
    pub force: bool,
}

impl Service {
    /// The applications within reach that a filter lets through, newest first, a page of them.
    pub async fn list_apps(
        &self,
        operator: Operator,
        filter: AppFilter,
        page: Page,
    ) -> Result<Listed<AppView>, ServiceError> {
        const BATCH: u32 = 200;
        let (mut items, mut total, mut before) = (Vec::new(), 0_u64, None);
        let (skipped, most) = (u64::from(page.skipped()), u64::from(page.size()));
        loop {
            let batch = self.read("app.list", move |readers| Ok(readers.apps().list(None, before, BATCH)?));
            let batch = batch.await?;
            before = batch.last().map(|app| app.id);
            // Rows that cannot be read are left out of a batch, so a short one is not the last.
            let is_last = batch.is_empty();
            for app in batch {
                if operator.reaches(app.id).is_err() || !filter.lets_through(&app) {
                    continue;
                }
                if total >= skipped && total < skipped + most {
                    let id = app.id;
                    let keys = self.read("app.keys", move |readers| Ok(readers.apps().keys(id)?));
                    items.push(self.view(app, &keys.await?)?);
                }
                total += 1;
            }
            if is_last {
                return Ok(Listed { items, total, anonymous: 0, next: None });
            }
        }
    }

    /// Makes several changes at once.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::AppNameTaken`], explained; [`Refusal::Conflict`], explained, when a setting is
    /// not what was expected; [`Refusal::InvalidData`], explained, when a field
    /// collides with another or a value is out of its bounds.
    pub async fn update_app_at_once(
        &self,
        operator: Operator,
        id: AppId,
        update: AppUpdate,
    ) -> Result<AppView, ServiceError> {
        let mut event = Event::of_operator(Action::Update, id, &operator);
        let mut changed: Vec<&str> = update.settings.iter().map(|(name, _)| name.as_str()).collect();
        let named = [
            (update.name.is_some(), "name"),
            (update.kind.is_some(), "type"),
            (!update.more_fields.is_empty(), "metaData"),
            (!update.more_invite_fields.is_empty(), "metaDataInvite"),
        ];
        changed.extend(named.iter().filter(|(is_changed, _)| *is_changed).map(|(_, name)| *name));
        event.detail = Some(changed.join(" "));
        let AppUpdate { name, kind, expected, settings, more_fields, more_invite_fields, force } = update;
        let checking = async |_: &Event| self.users_without_value(id, &more_fields, force).await;
        let lacking = self.audited(event.clone(), checking).await?;
        let settings = settings.into_iter().map(|(_, change)| SealedChange::of(self, id, change));
        let settings = settings.collect::<Result<Vec<_>, _>>()?;
        let service = self.clone();
        self.update_app(event, move |repos, app| {
            if let Some((setting, _)) =
                expected.iter().find(|(setting, was)| setting.value(&app.settings) != *was)
            {
                let text = format!("{} was changed meanwhile", setting.field);
                return Err(ServiceError::Explained(Refusal::Conflict, text));
            }
            if let Some(name) = name.as_ref().filter(|name| **name != app.name) {
                if repos.apps().find_by_name(app.owner, name)?.is_some_and(|other| other.id != app.id) {
                    return Err(ServiceError::app_name_taken(name));
                }
                app.name = name.clone();
            }
            app.kind = kind.unwrap_or(app.kind);
            settings.iter().try_for_each(|change| change.apply(&service, repos, app))?;
            app.settings.metadata = with_more(&app.settings.metadata, &more_fields)?;
            app.settings.invite_metadata = with_more(&app.settings.invite_metadata, &more_invite_fields)?;
            check_together(app)
        })
        .await
        .map(|view| view.with_warnings(lacking))
    }

    /// Removes an application with everything that is of it, at once and for good. Its tokens open nothing from then
    /// on, and its keys are published no more.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn remove_app(&self, operator: Operator, id: AppId) -> Result<(), ServiceError> {
        let (app, keys) = self.app_with_keys(id).await?;
        // Nothing of the application stays, so the entry is under none.
        let mut event = Event::of_operator(Action::Delete, AppId::NONE, &operator);
        event.detail = Some(format!("{id} {}", app.name.as_str()));
        let entry = self.entry(&event)?;
        // No new user may arrive meanwhile: their session would outlive the removal.
        self.transact("app.stop", move |repos| {
            let mut app = repos.apps().hold(id)?.ok_or(Refusal::UnknownApp)?;
            app.status = AppStatus::Inactive;
            write_held(repos, &app)
        })
        .await?;
        self.transact("app.remove", move |repos| {
            repos.apps().find(id)?.ok_or(Refusal::UnknownApp)?;
            repos.apps().remove(id)?;
            Ok(repos.audit().add(&entry)?)
        })
        .await?;
        let kids: Vec<String> = keys.into_iter().map(|key| key.kid).collect();
        self.inner.signing.forget(id, &kids);
        self.inner.totals.forget(id);
        Ok(())
    }

    /// Removes an application's users, sign-ups and invitations. Settings, keys, messages as worded, the log and what
    /// was counted stay.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`].
    pub async fn reset_app(&self, operator: Operator, id: AppId) -> Result<(), ServiceError> {
        let entry = self.entry(&Event::of_operator(Action::ResetApp, id, &operator))?;
        self.transact("app.reset", move |repos| {
            repos.apps().find(id)?.ok_or(Refusal::UnknownApp)?;
            repos.apps().remove_content(id)?;
            Ok(repos.audit().add(&entry)?)
        })
        .await?;
        self.inner.totals.forget(id);
        Ok(())
    }
}
