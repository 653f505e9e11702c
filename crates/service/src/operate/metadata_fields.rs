//! Definitions of metadata fields: changing them, and whom a required one keeps from logging in.

use latchkey_domain::{App, AppId, Metadata, MetadataField, MetadataFields, User};
use latchkey_storage::{PageStart, Position};

use crate::base::audit::{Action, Event};
use crate::base::error::{Refusal, ServiceError};
use crate::base::operator::Operator;
use crate::operate::apps::AppView;
use crate::service::Service;

/// How many users are read in one step.
const STEP: u32 = 1_000;

/// Which list of metadata fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
pub enum FieldList {
    /// That of users.
    #[strum(serialize = "metaData")]
    Own,
    /// That of invitations.
    #[strum(serialize = "metaDataInvite")]
    Invited,
}

impl Service {
    /// Replaces the fields of users' metadata. Warnings count the users without a value for a field that becomes
    /// required.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::InvalidData`], explained, for an invalid field, and for users without a
    /// value where the application has the recommended preset and `force` is off.
    pub async fn set_metadata_fields(
        &self,
        operator: Operator,
        id: AppId,
        fields: Vec<MetadataField>,
        force: bool,
    ) -> Result<AppView, ServiceError> {
        let event = Event::of_operator(Action::UpdateAppMetadata, id, &operator);
        let checking = async |_: &Event| self.users_without_value(id, &fields, force).await;
        let warnings = self.audited(event.clone(), checking).await?;
        let view = self.update_app(event, move |_, app| {
            app.settings.metadata = changed_fields(&app.settings.metadata, fields.clone())?;
            check_together(app)
        });
        Ok(view.await?.with_warnings(warnings))
    }

    /// Replaces the fields that users who invite set.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::InvalidData`], explained, for an invalid field.
    pub async fn set_invite_fields(
        &self,
        operator: Operator,
        id: AppId,
        fields: Vec<MetadataField>,
    ) -> Result<AppView, ServiceError> {
        let event = Event::of_operator(Action::UpdateAppInviteMetadata, id, &operator);
        self.update_app(event, move |_, app| {
            app.settings.invite_metadata = changed_fields(&app.settings.invite_metadata, fields.clone())?;
            check_together(app)
        })
        .await
    }

    /// Removes one field from a list of metadata fields.
    ///
    /// # Errors
    /// [`Refusal::UnknownApp`]; [`Refusal::Unknown`], explained, for an index without a field.
    pub async fn remove_field(
        &self,
        operator: Operator,
        id: AppId,
        list: FieldList,
        index: usize,
    ) -> Result<AppView, ServiceError> {
        let event = Event::of_operator(Action::DeleteMetadata, id, &operator);
        self.update_app(event, move |_, app| {
            let fields = match list {
                FieldList::Own => &mut app.settings.metadata,
                FieldList::Invited => &mut app.settings.invite_metadata,
            };
            let mut left: Vec<_> = fields.iter().cloned().collect();
            if index >= left.len() {
                let text = format!("App doesn't have a field at index {index}.");
                return Err(ServiceError::Explained(Refusal::Unknown, text));
            }
            left.remove(index);
            *fields = changed_fields(fields, left)?;
            Ok(())
        })
        .await
    }

    /// Counts the users who would get no token any more, by field. Anonymous users get one without any value.
    ///
    /// # Errors
    /// [`Refusal::InvalidData`], explained, where there are any, the application has the recommended preset, and
    /// `force` is off.
    pub(crate) async fn users_without_value(
        &self,
        id: AppId,
        fields: &[MetadataField],
        force: bool,
    ) -> Result<Vec<String>, ServiceError> {
        let (app, _) = self.app_with_keys(id).await?;
        let is_demanded = |field: &MetadataField| {
            MetadataFields::existing(vec![field.clone()])
                .is_ok_and(|fields| fields.missing(&Metadata::default()).is_some())
        };
        let before = &app.settings.metadata;
        let new: Vec<_> = fields.iter().filter(|field| is_demanded(field)).collect();
        let new: Vec<_> = new
            .into_iter()
            .filter(|field| before.iter().all(|old| old.path != field.path || !is_demanded(old)))
            .collect();
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let mut lacking = vec![0_u64; new.len()];
        let mut start = PageStart::Skip(0);
        loop {
            let page =
                self.read("user.values", move |readers| Ok(readers.users().page(id, start, STEP, true)?));
            let users: Vec<User> = page.await?;
            for user in &users {
                for (number, field) in lacking.iter_mut().zip(&new) {
                    *number += u64::from(field.path.find(user.metadata.values()).is_none());
                }
            }
            let Some(last) = users.last() else { break };
            start = PageStart::After(Position { created_at: last.created_at, id: *last.id.as_bytes() });
        }
        let lacking = new.iter().zip(lacking).filter(|(_, number)| *number > 0);
        let warnings: Vec<String> = lacking
            .map(|(field, number)| {
                let users =
                    if number == 1 { "1 user has".to_owned() } else { format!("{number} users have") };
                format!("{users} no value for the required field {} and would get no token", field.path)
            })
            .collect();
        // Only in the compatible preset may users set fields whose definition does not say.
        if !warnings.is_empty() && !app.settings.fields_user_settable && !force {
            let text = format!(
                "{}: give the field a default, or send force with the value true",
                warnings.join("; ")
            );
            return Err(ServiceError::invalid(text));
        }
        Ok(warnings)
    }
}

/// Fields of users, fields of invitations and fixed claims end in one object: none may lie below another's value.
pub(crate) fn check_together(app: &App) -> Result<(), ServiceError> {
    let (own, invited) = (&app.settings.metadata, &app.settings.invite_metadata);
    let differs =
        invited.iter().find(|field| own.iter().any(|o| o.path == field.path && o.kind != field.kind));
    if let Some(field) = differs {
        let text = format!("the path \"{}\" has another type in the other list", field.path);
        return Err(ServiceError::invalid(text));
    }
    let mut all: Vec<_> = own.iter().cloned().collect();
    all.extend(invited.iter().filter(|field| own.iter().all(|own| own.path != field.path)).cloned());
    let all = MetadataFields::existing(all).map_err(|error| ServiceError::invalid(error.to_string()))?;
    match app.settings.fixed_claims.collision_with(&all) {
        Some(path) => Err(ServiceError::invalid(format!(
            "the fixed claim {path} collides with a metadata field: remove one of them, or give the field a default"
        ))),
        None => Ok(()),
    }
}

pub(crate) fn with_more(
    fields: &MetadataFields,
    more: &[MetadataField],
) -> Result<MetadataFields, ServiceError> {
    if let Some(twice) = more.iter().find(|new| fields.iter().any(|field| field.path == new.path)) {
        let text = format!("Duplicate metadata path '{}'.", twice.path);
        return Err(ServiceError::invalid(text));
    }
    changed_fields(fields, fields.iter().chain(more).cloned().collect())
}

fn changed_fields(
    before: &MetadataFields,
    fields: Vec<MetadataField>,
) -> Result<MetadataFields, ServiceError> {
    before.replaced_by(fields).map_err(|error| ServiceError::invalid(error.to_string()))
}
