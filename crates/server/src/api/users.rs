//! `/api/app`: the users of an application, as operators see and change them.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use latchkey_domain::{AppId, Handle, Invite, MetadataPath, Signup, User, UserStatus};
use latchkey_service::account::NewPassword;
use latchkey_service::operate::{AddUser, Found, Listed, Member};
use latchkey_service::{Operator, Reader, Refusal, ServiceError};
use serde_json::{Map, Value};

use super::operator::{app_of, one_of, page_of, paged, user_of};
use super::{AppState, State};
use crate::dto::{self, Claims, Stat, invite_json, signup_json, user_json};
use crate::http::{Answer, ApiError, ByOperator, Fields, Verified, json, ok_true};

/// The least and the usual size of a page of `/stat`, as at the reference.
const STAT_PAGE: u32 = 25;

/// Lists with totals: one that is named, or the first pages of all three.
pub(crate) async fn stat(state: State, Verified(operator): ByOperator, request: HttpRequest) -> Answer {
    let query = Fields::of_query(&request)?;
    let id = app_of(&operator, &query)?;
    let reader = operator.reader();
    let target = query.owned("target")?;
    let (mut body, mut next, mut total) = (Stat::default(), None, 0);
    let is_wanted = |name: &str| target.as_deref().is_none_or(|target| target == name);
    if !["users", "invites", "signups"].into_iter().any(is_wanted) {
        return Err(ServiceError::invalid("target is one of users, invites, signups").into());
    }
    if target.is_none() && query.text("after")?.is_some() {
        return Err(ServiceError::invalid("after needs a target: it is the cursor of one list").into());
    }
    if is_wanted("users") {
        let hide = query.is_true("hideAnonUser");
        let listed = list::<User>(&state, (reader, id), &query, hide).await?;
        let shown = if hide { listed.total.saturating_sub(listed.anonymous) } else { listed.total };
        (body.total_user, body.total_anon_user) = (Some(shown), Some(listed.anonymous));
        body.users = Some(users_json(&state, id, listed.items).await?);
        (next, total) = (listed.next, shown);
    }
    if is_wanted("invites") {
        let listed = list::<Invite>(&state, (reader, id), &query, false).await?;
        body.invites = Some(listed.items.iter().map(invite_json).collect());
        body.total_invite = Some(listed.total);
        (next, total) = (listed.next, listed.total);
    }
    if is_wanted("signups") {
        let listed = list::<Signup>(&state, (reader, id), &query, false).await?;
        body.signups = Some(listed.items.iter().map(signup_json).collect());
        body.total_signup = Some(listed.total);
        (next, total) = (listed.next, listed.total);
    }
    let answer = json(&body);
    Ok(if target.is_some() { paged(answer, total, next.as_deref()) } else { answer })
}

async fn list<T: Member>(
    state: &AppState,
    (reader, id): (Reader, AppId),
    query: &Fields,
    without_anonymous: bool,
) -> Result<Listed<T>, ServiceError> {
    let page = page_of(query, STAT_PAGE, STAT_PAGE)?;
    state.service.list(reader, id, page, without_anonymous).await
}

pub(crate) async fn search_users(
    state: State,
    Verified(operator): ByOperator,
    request: HttpRequest,
) -> Answer {
    let (id, found) = find_members::<User>(&state, &operator, &request).await?;
    let users = users_json(&state, id, found.items).await?;
    Ok(found_json(&users, found.is_complete))
}

/// Finds members of an application by a part of their handle.
pub(super) async fn search<T: Member>(
    state: &AppState,
    operator: &Operator,
    request: &HttpRequest,
    render: fn(&T) -> Value,
) -> Answer {
    let (_, found) = find_members::<T>(state, operator, request).await?;
    Ok(found_json(&found.items.iter().map(render).collect::<Vec<_>>(), found.is_complete))
}

async fn find_members<T: Member>(
    state: &AppState,
    operator: &Operator,
    request: &HttpRequest,
) -> Result<(AppId, Found<T>), ApiError> {
    let query = Fields::of_query(request)?;
    let id = app_of(operator, &query)?;
    let reader = operator.reader();
    let text = query.required("value")?.to_owned();
    let hide = query.is_true("hideAnonUser");
    let found = state.service.search::<T>(reader, id, &text, hide).await?;
    Ok((id, found))
}

/// The matches; a header says whether they are complete.
fn found_json(items: &[Value], is_complete: bool) -> HttpResponse {
    let total = u64::try_from(items.len()).unwrap_or(u64::MAX);
    let mut answer = paged(json(&items), total, None);
    answer.headers_mut().insert(
        HeaderName::from_static("x-search-complete"),
        HeaderValue::from_static(if is_complete { "true" } else { "false" }),
    );
    answer
}

/// Users as operators see them.
async fn users_json(state: &AppState, id: AppId, users: Vec<User>) -> Result<Vec<Value>, ApiError> {
    let details = state.service.user_details(id, users).await?;
    Ok(details.iter().map(user_json).collect())
}

pub(crate) async fn add_user(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let new = new_user(&fields)?;
    let user = state.service.add_user_of(operator, id, new).await?;
    Ok(json(&users_json(&state, id, vec![user]).await?.pop()))
}

fn new_user(fields: &Fields) -> Result<AddUser, ServiceError> {
    Ok(AddUser {
        handle: handle_of(fields)?,
        password: fields.password("password", "rawPassword")?,
        locale: fields.owned("locale")?,
        metadata: if fields.has("metaData") { object_of(fields, "metaData")? } else { Map::new() },
        is_administrator: fields.flag("administrator")?.unwrap_or(false),
    })
}

pub(crate) async fn remove_user(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let handle = stored_handle_of(&fields)?;
    let user = state.service.remove_user_of(operator, id, handle).await?;
    Ok(json(&users_json(&state, id, vec![user]).await?.pop()))
}

pub(crate) async fn set_user_status(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let user = user_of(&operator, &fields)?;
    let status = one_of::<UserStatus>(&fields, "status")?;
    state.service.set_user_status(operator, user, status).await?;
    Ok(ok_true())
}

/// With a password in the fields of the protocol, it is set; without one, the user is mailed a code.
pub(crate) async fn reset_user_password(
    state: State,
    Verified(operator): ByOperator,
    fields: Fields,
) -> Answer {
    let user = user_of(&operator, &fields)?;
    if let Some(name) = ["password", "rawPassword"].into_iter().find(|name| fields.has(name)) {
        let text = format!("unknown field {name:?}; resetUserPassword takes rawValue and hashValue");
        return Err(ServiceError::invalid(text).into());
    }
    if !fields.has("rawValue") && !fields.has("hashValue") {
        state.service.send_user_reset(operator, user).await?;
        return Ok(ok_true());
    }
    let password = fields.text("hashValue").and_then(|hash| Ok((hash, fields.text("rawValue")?)));
    let (hash, raw) = password?;
    let password = NewPassword::parse(hash, raw)?;
    state.service.set_user_password(operator, user, password).await?;
    Ok(ok_true())
}

pub(crate) async fn update_user_metadata(
    state: State,
    Verified(operator): ByOperator,
    fields: Fields,
) -> Answer {
    let id = app_of(&operator, &fields)?;
    let handle = stored_handle_of(&fields)?;
    let sent = with_added(&fields)?;
    state.service.set_metadata_of(operator, id, handle, sent).await?;
    Ok(ok_true())
}

/// The metadata, and the single values that are sent beside it. Texts are trimmed, and none when nothing is left.
fn with_added(fields: &Fields) -> Result<Map<String, Value>, ServiceError> {
    let mut sent = object_of(fields, "metaData")?;
    if fields.has("addedMetadata") {
        for item in fields.list("addedMetadata")? {
            let Value::Object(members) = item else {
                return Err(ServiceError::invalid("addedMetadata lists objects with path and value"));
            };
            let member = Fields::of_object(members.clone());
            let path = MetadataPath::parse(member.required("path")?);
            let path = path.map_err(|error| ServiceError::invalid(error.to_string()))?;
            if let Some(value) = members.get("value").filter(|value| !value.is_null()) {
                path.put(&mut sent, value.clone());
            }
        }
    }
    Ok(sent)
}

/// An object, with what is wrong with it in words.
pub(super) fn object_of(fields: &Fields, name: &str) -> Result<Map<String, Value>, ServiceError> {
    fields.object(name).map_err(|wrong| match wrong.is_missing() {
        true => wrong.into(),
        false => ServiceError::invalid(format!("{name} is an object, not nested deeply")),
    })
}

pub(crate) async fn set_administrator(
    state: State,
    Verified(operator): ByOperator,
    fields: Fields,
) -> Answer {
    let user = user_of(&operator, &fields)?;
    let flag = fields.required_flag("administrator")?;
    state.service.set_administrator(operator, user, flag).await?;
    Ok(ok_true())
}

pub(crate) async fn sign_out_user(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let user = user_of(&operator, &fields)?;
    state.service.sign_out_everywhere(operator, user).await?;
    Ok(ok_true())
}

pub(crate) async fn unlock_user(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let user = user_of(&operator, &fields)?;
    state.service.unlock_user(operator, user).await?;
    Ok(ok_true())
}

pub(crate) async fn reset_second_factor(
    state: State,
    Verified(operator): ByOperator,
    fields: Fields,
) -> Answer {
    let user = user_of(&operator, &fields)?;
    state.service.reset_factors(operator, user).await?;
    Ok(ok_true())
}

/// The claims that a user's JWT would have now.
pub(crate) async fn preview_claims(
    state: State,
    Verified(operator): ByOperator,
    request: HttpRequest,
) -> Answer {
    let query = Fields::of_query(&request)?;
    let user = user_of(&operator, &query)?;
    let claims = state.service.preview_claims(user).await?;
    Ok(json(&Claims { claims: dto::value(&claims) }))
}

fn handle_of(fields: &Fields) -> Result<Handle, ServiceError> {
    let handle = Handle::parse(fields.required("handle")?);
    handle.map_err(|error| ServiceError::invalid(format!("handle: {error}")))
}

/// The handle of an existing user, which may be anonymous.
pub(super) fn stored_handle_of(fields: &Fields) -> Result<Handle, ServiceError> {
    let text = fields.required("handle")?;
    let handle = Handle::parse_anonymous(text).or_else(|_| Handle::parse(text));
    Ok(handle.map_err(|_| Refusal::UnknownUser)?)
}
