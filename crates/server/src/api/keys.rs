//! `/api/app`: keys and tokens of an application. And what a super-user token opens.

use latchkey_service::Refusal;
use latchkey_service::operate::KeyView;

use super::State;
use super::apps::APP;
use super::operator::{APP_ID, USER_ID, app_of, user_of};
use super::users::object_of;
use crate::dto::{Keys, SuperTokens, admin_app_json, iso, key_json};
use crate::http::field::{Field, object};
use crate::http::{Answer, ByOperator, BySuperUser, Fields, Query, Verified, json, ok_true};
use crate::openapi::{Answers, DEFAULT, Operation, shape};

fn keys_body(keys: &[KeyView]) -> Keys {
    Keys { keys: keys.iter().map(key_json).collect() }
}

const KEYS: Answers = Answers::Json(&[shape::<Keys>]);

pub(crate) const APP_KEYS: Operation = Operation {
    summary: "Get an application's keys and their states",
    fields: &[APP_ID],
    answers: KEYS,
    ..DEFAULT
};

pub(crate) async fn list(state: State, Verified(operator): ByOperator, Query(query): Query) -> Answer {
    let id = app_of(&operator, &query)?;
    Ok(json(&keys_body(&state.service.list_keys(id).await?)))
}

pub(crate) const ROTATE_KEY: Operation = Operation {
    summary: "Create the next key",
    about: "Published at once, it signs later; the old one stays published until its last token has expired. Consumers are not affected.",
    refuses: &[Refusal::Conflict],
    ..APP_KEYS
};

pub(crate) async fn rotate(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    Ok(json(&keys_body(&state.service.rotate_key(operator, id).await?)))
}

pub(crate) const REGENERATE_KEY: Operation = Operation {
    summary: "Replace a leaked key",
    about: "Invalidates the old keys and every token signed with them.",
    ..APP_KEYS
};

pub(crate) async fn regenerate(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    Ok(json(&keys_body(&state.service.regenerate_key(operator, id).await?)))
}

pub(crate) const REGENERATE_APP_TOKEN: Operation = Operation {
    summary: "Replace the app token",
    about: "Invalidates the old one: clients need the new one.",
    fields: &[APP_ID],
    answers: APP,
    ..DEFAULT
};

pub(crate) async fn regenerate_app_token(
    state: State,
    Verified(operator): ByOperator,
    fields: Fields,
) -> Answer {
    let id = app_of(&operator, &fields)?;
    Ok(json(&admin_app_json(&state.service.regenerate_app_token(operator, id).await?)))
}

pub(crate) const SUPER_USER_TOKEN: Operation = Operation {
    summary: "Create tokens for an administrator of the application",
    fields: &[APP_ID, USER_ID],
    answers: Answers::Json(&[shape::<SuperTokens>]),
    refuses: &[
        Refusal::UnknownUser,
        Refusal::UserSuspended,
        Refusal::AppSuspended,
        Refusal::AppMigrated,
        Refusal::MetadataInvalid,
    ],
    ..DEFAULT
};

pub(crate) async fn super_user_token(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let user = user_of(&operator, &fields)?;
    let tokens = state.service.make_super_tokens(operator, user).await?;
    Ok(json(&SuperTokens {
        jwt: tokens.jwt,
        access_token: tokens.access_token,
        expires_at: iso(tokens.expires_at),
    }))
}

const APP_DATA: Field = object("appData", "At most 16 KiB.").required();

pub(crate) const SET_APP_DATA: Operation = Operation {
    summary: "Replace the `appData` of `getApplication`",
    about: "For administrators of the application, with the access token of `superUserToken`.",
    fields: &[APP_DATA],
    ..DEFAULT
};

/// `POST /api/appuser/setAppData`.
pub(crate) async fn set_app_data(state: State, Verified(call): BySuperUser, fields: Fields) -> Answer {
    let data = object_of(&fields, APP_DATA)?;
    state.service.set_app_data(call, data).await?;
    Ok(ok_true())
}
