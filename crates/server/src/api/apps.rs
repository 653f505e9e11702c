//! `/api/app`: what operators do with applications as a whole.

use actix_web::HttpRequest;
use actix_web::web::Path;
use latchkey_domain::{AppName, AppType, Preset, SignupFlow};
use latchkey_service::operate::{AppFilter, AppUpdate, NewApp};
use latchkey_service::{Operator, Refusal, ServiceError};
use serde_json::Value;

use super::app_settings::changes_of;
use super::metadata_fields::more_fields;
use super::operator::{app_of, app_within, one_of, page_of, paged};
use super::{AppState, State};
use crate::dto::{Version, admin_app_json, created_app_json};
use crate::http::{Answer, ApiError, ByOperator, Fields, Verified, json, ok_true};

/// The default page size of lists of applications. Consoles without paging see all applications of most servers.
const APPS_ON_A_PAGE: u32 = 200;

pub(crate) async fn create(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let name = fields.required("name")?;
    let name = AppName::parse(name).map_err(|error| ServiceError::invalid(error.to_string()))?;
    let jwt_enabled = fields.flag("jwtEnabled")?.unwrap_or(false);
    let new = NewApp { name, preset: Preset::Compatible, jwt_enabled, signup_flow: SignupFlow::Code };
    let view = state.service.create_app(operator, new).await?;
    Ok(json(&created_app_json(&view)))
}

/// Whether the server is there, and the secret good.
pub(crate) async fn connection() -> Answer {
    Ok(ok_true())
}

pub(crate) async fn all(state: State, Verified(operator): ByOperator, request: HttpRequest) -> Answer {
    let query = Fields::of_query(&request)?;
    listed(&state, operator, AppFilter::All, &query).await
}

pub(crate) async fn search(state: State, Verified(operator): ByOperator, request: HttpRequest) -> Answer {
    let query = Fields::of_query(&request)?;
    let name = query.owned("name")?;
    let filter = match name {
        None => AppFilter::All,
        Some(name) if query.is_true("case") => AppFilter::Named(name),
        Some(name) => AppFilter::Containing(name),
    };
    listed(&state, operator, filter, &query).await
}

async fn listed(state: &AppState, operator: Operator, filter: AppFilter, query: &Fields) -> Answer {
    if query.is_sent("after") {
        return Err(ServiceError::invalid("applications are paged by offset").into());
    }
    let page = page_of(query, APPS_ON_A_PAGE, 1)?;
    let listed = state.service.list_apps(operator, filter, page).await?;
    let apps = listed.items.iter().map(admin_app_json).collect();
    Ok(paged(json(&Value::Array(apps)), listed.total, None))
}

pub(crate) async fn one(state: State, Verified(operator): ByOperator, id: Path<String>) -> Answer {
    let id = app_within(&operator, &id)?;
    let view = state.service.find_app(id).await?;
    Ok(json(&admin_app_json(&view)))
}

pub(crate) async fn update(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let name = fields.text("name")?.map(AppName::parse).transpose();
    let update = AppUpdate {
        name: name.map_err(|error| ServiceError::invalid(error.to_string()))?,
        kind: fields.has("type").then(|| one_of::<AppType>(&fields, "type")).transpose()?,
        settings: changes_of(id, &fields)?,
        more_fields: more_fields(&state, id, &fields, "metaData").await?,
        more_invite_fields: more_fields(&state, id, &fields, "metaDataInvite").await?,
        force: fields.flag("force")?.unwrap_or(false),
    };
    Ok(json(&admin_app_json(&state.service.update_app_at_once(operator, id, update).await?)))
}

pub(crate) async fn delete_metadata(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let list = one_of(&fields, "type")?;
    let index = fields.required_number("index")?;
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    Ok(json(&admin_app_json(&state.service.remove_field(operator, id, list, index).await?)))
}

pub(crate) async fn remove(state: State, Verified(operator): ByOperator, id: Path<String>) -> Answer {
    let id = app_within(&operator, &id)?;
    state.service.remove_app(operator, id).await?;
    Ok(ok_true())
}

pub(crate) async fn reset(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    state.service.reset_app(operator, id).await?;
    Ok(ok_true())
}

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

/// Messages that are missing are the built-in ones here, so that there is nothing to patch.
pub(crate) async fn patch_locales() -> Answer {
    Ok(ok_true())
}

/// What set a cloud project up at the reference: its keys would pass through this server.
pub(crate) async fn set_up_elsewhere() -> Answer {
    Err(not_offered(
        "this server sets no cloud project up: give the project the address of the application's keys, \
         /apps/{appId}/.well-known/jwks.json, or its public key, and the names of its metadata fields",
    ))
}

/// Push messages are not an authentication server's.
pub(crate) async fn push() -> Answer {
    Err(not_offered("this server sends no push messages: send them from your own backend"))
}

fn not_offered(text: &str) -> ApiError {
    ServiceError::Explained(Refusal::NotOffered, text.to_owned()).into()
}
