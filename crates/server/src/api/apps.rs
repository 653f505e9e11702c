//! `/api/app`: what operators do with applications. Every route needs a server secret.

use actix_web::web::{Data, Path};
use latchkey_domain::{AppName, Preset, SignupFlow};
use latchkey_service::{NewApp, Refusal};
use latchkey_storage::Store;
use serde_json::Value;

use super::operator::{app_within, authorize};
use super::{AppState, run};
use crate::dto::{admin_app_json, created_app_json};
use crate::http::{Answer, ApiError, Family, Fields, OperatorCall, json};

pub(crate) async fn create<S: Store>(
    state: Data<AppState<S>>,
    caller: OperatorCall,
    fields: Fields,
) -> Answer {
    let operator = authorize(&state, caller).await?;
    let name = fields.required("name").map_err(ApiError::admin)?;
    let name = AppName::parse(name).map_err(|_| ApiError::admin(Refusal::InvalidData))?;
    let jwt_enabled = fields.flag("jwtEnabled").map_err(ApiError::admin)?.unwrap_or(false);
    let new = NewApp { name, preset: Preset::Compatible, jwt_enabled, signup_flow: SignupFlow::Code };
    let service = state.service.clone();
    let view = run(Family::Admin, async move { service.create_app(operator, new).await }).await?;
    Ok(json(&created_app_json(&view)))
}

pub(crate) async fn all<S: Store>(state: Data<AppState<S>>, caller: OperatorCall) -> Answer {
    let operator = authorize(&state, caller).await?;
    let service = state.service.clone();
    let views = run(Family::Admin, async move { service.list_apps(operator).await }).await?;
    Ok(json(&Value::Array(views.iter().map(admin_app_json).collect())))
}

pub(crate) async fn one<S: Store>(
    state: Data<AppState<S>>,
    caller: OperatorCall,
    id: Path<String>,
) -> Answer {
    let operator = authorize(&state, caller).await?;
    let id = app_within(&operator, &id)?;
    let service = state.service.clone();
    let view = run(Family::Admin, async move { service.find_app(id).await }).await?;
    Ok(json(&admin_app_json(&view)))
}
