//! `/api/app`: what operators do with applications as a whole.

use actix_web::web::Path;
use latchkey_domain::{AppName, AppType, Preset, SignupFlow};
use latchkey_service::operate::{AppFilter, AppUpdate, NewApp};
use latchkey_service::{Operator, Refusal, ServiceError};
use serde_json::Value;
use strum::VariantNames;

use super::app_settings::{MAIL_SENDER, SETTINGS, changes_of};
use super::metadata_fields::{FORCE, more_fields};
use super::operator::{AFTER, APP_ID, OFFSET, TOTAL, app_of, app_within, one_of, page_of, paged};
use super::{AppState, State};
use crate::dto::{AdminApplication, CreatedApp, Version, admin_app_json, created_app_json};
use crate::http::field::{Field, choice, flag, items, number, text, undescribed};
use crate::http::{Answer, ApiError, ByOperator, Fields, Query, Verified, json, ok_true};
use crate::openapi::{Answers, DEFAULT, Operation, list_of, shape};

/// The default page size of lists of applications. Consoles without paging see all applications of most servers.
const APPS_ON_A_PAGE: u32 = 200;

/// What operators see of an application.
pub(super) const APP: Answers = Answers::Json(&[shape::<AdminApplication>]);

const NAME: Field = text("name", "Shop", "Unique.");
const JWT_ENABLED: Field = flag("jwtEnabled", "");

pub(crate) const CREATE: Operation = Operation {
    summary: "Create an application",
    about: "With a key pair and an app token, in the compatible preset. Requires a secret for all applications.",
    fields: &[NAME.required(), JWT_ENABLED],
    answers: Answers::Json(&[shape::<CreatedApp>]),
    refuses: &[Refusal::AppNameTaken],
    ..DEFAULT
};

pub(crate) async fn create(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let name = fields.required(NAME)?;
    let name = AppName::parse(name).map_err(|error| ServiceError::invalid(error.to_string()))?;
    let jwt_enabled = fields.flag(JWT_ENABLED)?.unwrap_or(false);
    let new = NewApp { name, preset: Preset::Compatible, jwt_enabled, signup_flow: SignupFlow::Code };
    let view = state.service.create_app(operator, new).await?;
    Ok(json(&created_app_json(&view)))
}

pub(crate) const CONNECTION: Operation = Operation { summary: "Check the server and the secret", ..DEFAULT };

/// Whether the server is there, and the secret good.
pub(crate) async fn connection() -> Answer {
    Ok(ok_true())
}

const LIMIT_OF_APPS: Field = number("limit", 1, 200, "How many on a page: 200 if none.");
/// There is no cursor. With one that is ignored, all pages would be the first.
const NO_CURSOR: &[Field] = &[undescribed("after")];

pub(crate) const ALL: Operation = Operation {
    summary: "List applications, newest first",
    fields: &[LIMIT_OF_APPS, OFFSET],
    more: NO_CURSOR,
    answers: Answers::Json(&[list_of::<AdminApplication>]),
    headers: &[TOTAL],
    ..DEFAULT
};

pub(crate) async fn all(state: State, Verified(operator): ByOperator, Query(query): Query) -> Answer {
    listed(&state, operator, AppFilter::All, &query).await
}

const PART: Field = text("name", "shop", "");
const CASE: Field = flag("case", "Match the whole name, case-sensitively.");

pub(crate) const SEARCH: Operation = Operation {
    summary: "Search applications by name",
    about: "The text is literal.",
    fields: &[PART, CASE, LIMIT_OF_APPS, OFFSET],
    ..ALL
};

pub(crate) async fn search(state: State, Verified(operator): ByOperator, Query(query): Query) -> Answer {
    let (name, is_whole) = (query.owned(PART)?, query.flag(CASE)?.unwrap_or(false));
    let filter = match name {
        None => AppFilter::All,
        Some(name) if is_whole => AppFilter::Named(name),
        Some(name) => AppFilter::Containing(name),
    };
    listed(&state, operator, filter, &query).await
}

async fn listed(state: &AppState, operator: Operator, filter: AppFilter, query: &Fields) -> Answer {
    if query.is_sent(AFTER) {
        return Err(ServiceError::invalid("applications are paged by offset").into());
    }
    let page = page_of(query, APPS_ON_A_PAGE, 1)?;
    let listed = state.service.list_apps(operator, filter, page).await?;
    let apps = listed.items.iter().map(admin_app_json).collect();
    Ok(paged(json(&Value::Array(apps)), listed.total, None))
}

pub(crate) const FIND: Operation = Operation { summary: "Get one application", answers: APP, ..DEFAULT };

pub(crate) async fn one(state: State, Verified(operator): ByOperator, id: Path<String>) -> Answer {
    let id = app_within(&operator, &id)?;
    let view = state.service.find_app(id).await?;
    Ok(json(&admin_app_json(&view)))
}

const TYPE: Field = choice("type", <AppType as VariantNames>::VARIANTS, "");
const MORE_FIELDS: Field =
    items("metaData", "Fields to add: objects with `path` and the members of `MetadataField`.");
const MORE_INVITE_FIELDS: Field = items("metaDataInvite", "The same for fields set by the inviting user.");

pub(crate) const UPDATE: Operation = Operation {
    summary: "Change several settings at once",
    about: "Applies all or none. Empty values change nothing; unknown fields are ignored.",
    fields: SETTINGS,
    more: &[MAIL_SENDER, NAME, TYPE, MORE_FIELDS, MORE_INVITE_FIELDS, FORCE],
    answers: APP,
    refuses: &[Refusal::MissingParameter, Refusal::AppNameTaken],
    ..DEFAULT
};

pub(crate) async fn update(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let name = fields.text(NAME)?.map(AppName::parse).transpose();
    let update = AppUpdate {
        name: name.map_err(|error| ServiceError::invalid(error.to_string()))?,
        kind: fields.has(TYPE).then(|| one_of::<AppType>(&fields, TYPE)).transpose()?,
        expected: Vec::new(),
        settings: changes_of(id, &fields)?,
        more_fields: more_fields(&state, id, &fields, MORE_FIELDS).await?,
        more_invite_fields: more_fields(&state, id, &fields, MORE_INVITE_FIELDS).await?,
        force: fields.flag(FORCE)?.unwrap_or(false),
    };
    Ok(json(&admin_app_json(&state.service.update_app_at_once(operator, id, update).await?)))
}

const LIST: Field = choice("type", &["metaData", "metaDataInvite"], "The list.").required();
const INDEX: Field = number("index", 0, u32::MAX, "Which one, from 0 on.").required();

pub(crate) const DELETE_METADATA: Operation = Operation {
    summary: "Remove a metadata field",
    fields: &[APP_ID, LIST, INDEX],
    answers: APP,
    refuses: &[Refusal::Unknown],
    ..DEFAULT
};

pub(crate) async fn delete_metadata(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let list = one_of(&fields, LIST)?;
    let index = fields.required_number(INDEX)?;
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    Ok(json(&admin_app_json(&state.service.remove_field(operator, id, list, index).await?)))
}

pub(crate) const REMOVE: Operation =
    Operation { summary: "Remove an application with all its data", ..DEFAULT };

pub(crate) async fn remove(state: State, Verified(operator): ByOperator, id: Path<String>) -> Answer {
    let id = app_within(&operator, &id)?;
    state.service.remove_app(operator, id).await?;
    Ok(ok_true())
}

pub(crate) const RESET: Operation = Operation {
    summary: "Remove an application's users, sign-ups and invitations",
    about: "Keeps settings, keys, templates, the log and statistics.",
    fields: &[APP_ID],
    ..DEFAULT
};

pub(crate) async fn reset(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    state.service.reset_app(operator, id).await?;
    Ok(ok_true())
}

pub(crate) const VERSIONS: Operation = Operation {
    summary: "Get the server's version",
    answers: Answers::Json(&[list_of::<Version>]),
    ..DEFAULT
};

/// The version that consoles check before they set up a project: one, this server's.
pub(crate) async fn versions() -> Answer {
    Ok(json(&[Version {
        name: "CosyncJWT",
        service: "latchkey",
        desc: "A self-hosted JWT authentication server",
        version_number: env!("CARGO_PKG_VERSION"),
        status: "active",
    }]))
}

pub(crate) const PATCH_LOCALES: Operation =
    Operation { summary: "No effect: built-in templates replace missing ones", ..DEFAULT };

/// Messages that are missing are the built-in ones here, so that there is nothing to patch.
pub(crate) async fn patch_locales() -> Answer {
    Ok(ok_true())
}

pub(crate) const ELSEWHERE: Operation = Operation {
    summary: "Not supported: sets up a cloud project",
    about: "The answer names the alternative.",
    answers: Answers::Never,
    refuses: &[Refusal::NotOffered],
    ..DEFAULT
};

/// What set a cloud project up at the reference: its keys would pass through this server.
pub(crate) async fn set_up_elsewhere() -> Answer {
    Err(not_offered(
        "this server sets no cloud project up: give the project the address of the application's keys, \
         /apps/{appId}/.well-known/jwks.json, or its public key, and the names of its metadata fields",
    ))
}

pub(crate) const PUSH: Operation = Operation { summary: "Not supported: push messages", ..ELSEWHERE };

/// Push messages are not an authentication server's.
pub(crate) async fn push() -> Answer {
    Err(not_offered("this server sends no push messages: send them from your own backend"))
}

fn not_offered(text: &str) -> ApiError {
    ServiceError::Explained(Refusal::NotOffered, text.to_owned()).into()
}
