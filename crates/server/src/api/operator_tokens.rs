//! `/api/app`: operator tokens, the server secrets themselves.

use latchkey_domain::{DEFAULT_TOKEN_LIFE, Scopes, TokenName};
use latchkey_service::operate::NewOperatorToken;
use latchkey_service::{Operator, Refusal, ServiceError};
use serde_json::Value;
use time::Duration;

use super::State;
use super::operator::{AFTER, APP_ID, app_within};
use crate::dto::{MintedBody, TokenBody, operator_token_json};
use crate::http::field::{Field, number, text};
use crate::http::{Answer, ApiError, ByOperator, Fields, Query, Verified, json, ok_true};
use crate::openapi::{Answers, DEFAULT, Operation, list_of, shape};

/// The longest list.
const PAGE: u32 = 200;

const NAME: Field = text("name", "ci", "").required();
const SCOPES: Field = text(
    "scopes",
    "read,users",
    "Any of `read`, `users`, `settings`, `keys`, `export`, `everything`, separated by commas.",
)
.required();
const DAYS: Field = number("days", 1, 365, "");
const ONLY_APP: Field = APP_ID.described("The one application that it reaches; all if none.").optional();

pub(crate) const CREATE_TOKEN: Operation = Operation {
    summary: "Create an operator token",
    about: "The secret is shown only once. A token has at most the reach and expiry of the token that creates it.",
    fields: &[NAME, SCOPES, DAYS, ONLY_APP],
    answers: Answers::Json(&[shape::<MintedBody>]),
    refuses: &[Refusal::UnknownApp],
    ..DEFAULT
};

pub(crate) async fn create(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    // A misspelt bound would make a token without that bound.
    fields.refuse_others()?;
    let new = new_token(&operator, &fields)?;
    let minted = state.service.mint_operator_token(operator, new).await?;
    Ok(json(&MintedBody::of(&minted)))
}

fn new_token(operator: &Operator, fields: &Fields) -> Result<NewOperatorToken, ApiError> {
    let name = fields.required(NAME)?;
    let name = TokenName::parse(name).map_err(|error| ServiceError::invalid(error.to_string()))?;
    let scopes = fields.required(SCOPES)?;
    let scopes = Scopes::parse(scopes).map_err(|error| ServiceError::invalid(error.to_string()))?;
    let days = fields.number(DAYS)?;
    let only_app = fields.text(ONLY_APP)?;
    // An id that got lost on its way must not mean all applications.
    if only_app.is_none() && fields.is_blank(ONLY_APP) {
        return Err(ServiceError::invalid("appId is empty: leave it out for all applications").into());
    }
    Ok(NewOperatorToken {
        name,
        scopes,
        life: days.map_or(DEFAULT_TOKEN_LIFE, |days| Duration::days(i64::from(days))),
        only_app: only_app.map(|id| app_within(operator, id)).transpose()?,
    })
}

pub(crate) const TOKENS: Operation = Operation {
    summary: "List operator tokens, newest first",
    fields: &[AFTER],
    answers: Answers::Json(&[list_of::<TokenBody>]),
    ..DEFAULT
};

pub(crate) async fn list(state: State, Verified(operator): ByOperator, Query(query): Query) -> Answer {
    let before = query.text(AFTER)?.map(str::parse).transpose();
    let before = before.map_err(|_| ServiceError::invalid("after is the id of a token"))?;
    let tokens = state.service.list_operator_tokens(operator, before, PAGE).await?;
    Ok(json(&Value::Array(tokens.iter().map(operator_token_json).collect())))
}

const TOKEN_ID: Field = text("tokenId", "018bcfe5680074dfbb7eac258b172229", "").required();

pub(crate) const REVOKE_TOKEN: Operation = Operation {
    summary: "Revoke an operator token",
    fields: &[TOKEN_ID],
    refuses: &[Refusal::Unknown],
    ..DEFAULT
};

pub(crate) async fn revoke(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = fields.required(TOKEN_ID)?;
    let id = id.parse().map_err(|_| Refusal::Unknown)?;
    state.service.revoke_operator_token(operator, id).await?;
    Ok(ok_true())
}
