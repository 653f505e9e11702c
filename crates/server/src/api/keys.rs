//! `/api/app`: keys and tokens of an application. And what a super-user token opens.

use actix_web::HttpRequest;
use latchkey_service::operate::KeyView;

use super::State;
use super::operator::{app_of, user_of};
use super::users::object_of;
use crate::dto::{Keys, SuperTokens, admin_app_json, key_json};
use crate::http::{Answer, ByOperator, BySuperUser, Fields, Verified, iso, json, ok_true};

fn keys_body(keys: &[KeyView]) -> Keys {
    Keys { keys: keys.iter().map(key_json).collect() }
}

pub(crate) async fn list(state: State, Verified(operator): ByOperator, request: HttpRequest) -> Answer {
    let query = Fields::of_query(&request)?;
    let id = app_of(&operator, &query)?;
    Ok(json(&keys_body(&state.service.list_keys(id).await?)))
}

pub(crate) async fn rotate(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    Ok(json(&keys_body(&state.service.rotate_key(operator, id).await?)))
}

pub(crate) async fn regenerate(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    Ok(json(&keys_body(&state.service.regenerate_key(operator, id).await?)))
}

pub(crate) async fn regenerate_app_token(
    state: State,
    Verified(operator): ByOperator,
    fields: Fields,
) -> Answer {
    let id = app_of(&operator, &fields)?;
    Ok(json(&admin_app_json(&state.service.regenerate_app_token(operator, id).await?)))
}

pub(crate) async fn super_user_token(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let user = user_of(&operator, &fields)?;
    let tokens = state.service.make_super_tokens(operator, user).await?;
    Ok(json(&SuperTokens {
        jwt: tokens.jwt,
        access_token: tokens.access_token,
        expires_at: iso(tokens.expires_at),
    }))
}

/// `POST /api/appuser/setAppData`.
pub(crate) async fn set_app_data(state: State, Verified(call): BySuperUser, fields: Fields) -> Answer {
    let data = object_of(&fields, "appData")?;
    state.service.set_app_data(call, data).await?;
    Ok(ok_true())
}
