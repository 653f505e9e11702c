//! `/api/app`: the definitions of an application's metadata fields.

use latchkey_domain::{AppId, AppSettings, MetadataField, MetadataKind, MetadataPath, Named as _};
use latchkey_service::ServiceError;
use serde_json::Value;

use super::apps::APP;
use super::operator::{APP_ID, app_of};
use super::{AppState, State};
use crate::dto::admin_app_json;
use crate::http::field::{Field, flag, items};
use crate::http::{Answer, ByOperator, Fields, Verified, json};
use crate::openapi::{DEFAULT, Operation};
use crate::settings::nearest;

pub(super) const FORCE: Field =
    flag("force", "Make a field required even if it locks users without a value out.");
const FIELDS: Field = items("metaData", "Objects with `path` and the members of `MetadataField`.").required();
const INVITE_FIELDS: Field =
    items("metaDataInvite", "Objects with `path` and the members of `MetadataField`.").required();

pub(crate) const UPDATE_METADATA: Operation = Operation {
    summary: "Replace the fields of users' metadata",
    fields: &[APP_ID, FIELDS, FORCE],
    answers: APP,
    ..DEFAULT
};

pub(crate) async fn update_metadata(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let declared = declared(&state, id, &fields, FIELDS).await?;
    let force = fields.flag(FORCE)?.unwrap_or(false);
    let view = state.service.set_metadata_fields(operator, id, declared, force).await?;
    Ok(json(&admin_app_json(&view)))
}

pub(crate) const UPDATE_INVITE_METADATA: Operation = Operation {
    summary: "Replace the metadata fields set by the inviting user",
    fields: &[APP_ID, INVITE_FIELDS],
    answers: APP,
    ..DEFAULT
};

pub(crate) async fn update_invite_metadata(
    state: State,
    Verified(operator): ByOperator,
    fields: Fields,
) -> Answer {
    let id = app_of(&operator, &fields)?;
    let declared = declared(&state, id, &fields, INVITE_FIELDS).await?;
    let view = state.service.set_invite_fields(operator, id, declared).await?;
    Ok(json(&admin_app_json(&view)))
}

/// The fields that a request declares.
async fn declared(
    state: &AppState,
    id: AppId,
    fields: &Fields,
    name: Field,
) -> Result<Vec<MetadataField>, ServiceError> {
    let items = fields.list(name)?;
    let app = state.service.find_app(id).await?.app;
    let parsed = items.iter().map(|item| field_of(item, &app.settings));
    parsed.collect::<Result<_, _>>()
}

/// The members of a definition, and the id that the reference gives it.
const MEMBERS: [&str; 9] =
    ["path", "fieldName", "required", "canEdit", "userSettable", "type", "default", "id", "_id"];

fn field_of(item: &Value, settings: &AppSettings) -> Result<MetadataField, ServiceError> {
    let is_user_settable = settings.fields_user_settable;
    let Value::Object(members) = item else { return Err(ServiceError::invalid("a field is an object")) };
    // Consoles send further members; a near miss of a known one is a mistake.
    let is_misspelt = |name: &&String| {
        let known = nearest(name, MEMBERS.into_iter());
        known != *name && name.len() < 20 && strsim::damerau_levenshtein(name, known) <= 2
    };
    if let Some(name) = members.keys().find(is_misspelt) {
        let known = nearest(name, MEMBERS.into_iter());
        return Err(ServiceError::invalid(format!("unknown member {name:?}; did you mean {known}?")));
    }
    let member = Fields::of_object(members.clone());
    let path = member.required("path").map_err(|_| ServiceError::invalid("a field has a path"))?;
    // A path that the application has stays, whatever new ones must be like.
    let stored = MetadataPath::from_stored(path).ok();
    let fields = || settings.metadata.iter().chain(settings.invite_metadata.iter());
    let known = stored.filter(|stored| fields().any(|field| field.path == *stored));
    let parsed = known.map_or_else(|| MetadataPath::parse(path), Ok);
    let parsed = parsed.map_err(|error| ServiceError::invalid(error.to_string()))?;
    let required = member.flag("required")?.unwrap_or(false);
    let settable = member.flag("userSettable")?;
    // A required field that only the developer may set would block every sign-up, so the definition must be explicit.
    if required && settable.is_none() && !is_user_settable && !member.has("default") {
        return Err(ServiceError::invalid(format!(
            "the field {path} is required, so it must say userSettable"
        )));
    }
    let field_name = member.text("fieldName")?.unwrap_or(path);
    if field_name.chars().count() > 100 || field_name.chars().any(char::is_control) {
        return Err(ServiceError::invalid(format!(
            "the field name of {path} is too long, or holds a control character"
        )));
    }
    let kind = MetadataKind::from_name(member.text("type")?.unwrap_or("text"))
        .ok_or_else(|| ServiceError::invalid("type must be one of text, number, boolean, array"))?;
    let default = members.get("default").filter(|_| member.has("default")).cloned();
    Ok(MetadataField {
        path: parsed,
        field_name: field_name.to_owned(),
        required,
        can_edit: member.flag("canEdit")?.unwrap_or(false),
        user_settable: settable.unwrap_or(is_user_settable),
        kind,
        default,
    })
}

/// Fields that `/update` adds to a list.
pub(super) async fn more_fields(
    state: &AppState,
    id: AppId,
    fields: &Fields,
    name: Field,
) -> Result<Vec<MetadataField>, ServiceError> {
    if !fields.has(name) {
        return Ok(Vec::new());
    }
    declared(state, id, fields, name).await
}
