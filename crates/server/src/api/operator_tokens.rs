//! `/api/app`: operator tokens, the server secrets themselves.

use actix_web::HttpRequest;
use latchkey_domain::{DEFAULT_TOKEN_LIFE, Scopes, TokenName};
use latchkey_service::operate::NewOperatorToken;
use latchkey_service::{Operator, Refusal, ServiceError};
use serde_json::Value;
use time::Duration;

use super::State;
use super::operator::app_within;
use crate::dto::{MintedBody, operator_token_json};
use crate::http::{Answer, ApiError, ByOperator, Fields, Verified, json, ok_true};

/// The longest list.
const PAGE: u32 = 200;

pub(crate) async fn create(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let new = new_token(&operator, &fields)?;
    let minted = state.service.mint_operator_token(operator, new).await?;
    Ok(json(&MintedBody::of(&minted)))
}

fn new_token(operator: &Operator, fields: &Fields) -> Result<NewOperatorToken, ApiError> {
    let name = fields.required("name")?;
    let name = TokenName::parse(name).map_err(|error| ServiceError::invalid(error.to_string()))?;
    let scopes = fields.required("scopes")?;
    let scopes = Scopes::parse(scopes).map_err(|error| ServiceError::invalid(error.to_string()))?;
    let days = fields.number("days")?;
    let only_app = fields.text("appId")?;
    // An id that got lost on its way must not mean all applications.
    if only_app.is_none() && fields.is_blank("appId") {
        return Err(ServiceError::invalid("appId is empty: leave it away for all applications").into());
    }
    Ok(NewOperatorToken {
        name,
        scopes,
        life: days.map_or(DEFAULT_TOKEN_LIFE, |days| Duration::days(i64::from(days))),
        only_app: only_app.map(|id| app_within(operator, id)).transpose()?,
    })
}

pub(crate) async fn list(state: State, Verified(operator): ByOperator, request: HttpRequest) -> Answer {
    let query = Fields::of_query(&request)?;
    let before = query.text("after")?.map(str::parse).transpose();
    let before = before.map_err(|_| ServiceError::invalid("after is the id of a token"))?;
    let tokens = state.service.list_operator_tokens(operator, before, PAGE).await?;
    Ok(json(&Value::Array(tokens.iter().map(operator_token_json).collect())))
}

pub(crate) async fn revoke(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = fields.required("tokenId")?;
    let id = id.parse().map_err(|_| Refusal::Unknown)?;
    state.service.revoke_operator_token(operator, id).await?;
    Ok(ok_true())
}
