//! `/api/app`: keys and tokens of an application. And what a super-user token opens.

use actix_web::HttpRequest;
use actix_web::web::Data;
use latchkey_service::{KeyView, Refusal};

use super::AppState;
use super::operator::{operator_and_app, operator_and_user};
use super::users::object_of;
use crate::dto::{Keys, SuperTokens, admin_app_json, key_json};
use crate::http::{Answer, Fields, Identity, OperatorCall, iso, json, ok_true};

fn keys_body(keys: &[KeyView]) -> Keys {
    Keys { keys: keys.iter().map(key_json).collect() }
}

pub(crate) async fn list(state: Data<AppState>, caller: OperatorCall, request: HttpRequest) -> Answer {
    let query = Fields::of_query(&request)?;
    let (_, id) = operator_and_app(&state, caller, &query).await?;
    Ok(json(&keys_body(&state.service.list_keys(id).await?)))
}

pub(crate) async fn rotate(state: Data<AppState>, caller: OperatorCall, fields: Fields) -> Answer {
    let (operator, id) = operator_and_app(&state, caller, &fields).await?;
    Ok(json(&keys_body(&state.service.rotate_key(operator, id).await?)))
}

pub(crate) async fn regenerate(state: Data<AppState>, caller: OperatorCall, fields: Fields) -> Answer {
    let (operator, id) = operator_and_app(&state, caller, &fields).await?;
    Ok(json(&keys_body(&state.service.regenerate_key(operator, id).await?)))
}

pub(crate) async fn regenerate_app_token(
    state: Data<AppState>,
    caller: OperatorCall,
    fields: Fields,
) -> Answer {
    let (operator, id) = operator_and_app(&state, caller, &fields).await?;
    Ok(json(&admin_app_json(&state.service.regenerate_app_token(operator, id).await?)))
}

pub(crate) async fn super_user_token(state: Data<AppState>, caller: OperatorCall, fields: Fields) -> Answer {
    let (operator, user) = operator_and_user(&state, caller, &fields).await?;
    let tokens = state.service.make_super_tokens(operator, user).await?;
    Ok(json(&SuperTokens {
        jwt: tokens.jwt,
        access_token: tokens.access_token,
        expires_at: iso(tokens.expires_at),
    }))
}

/// `POST /api/appuser/setAppData`.
pub(crate) async fn set_app_data(state: Data<AppState>, identity: Identity, fields: Fields) -> Answer {
    if !matches!(identity.0.caller, latchkey_service::Caller::SuperUser(_)) {
        return Err(Refusal::AccessTokenInvalid.into());
    }
    let data = object_of(&fields, "appData")?;
    state.service.set_app_data(identity.0, data).await?;
    Ok(ok_true())
}
