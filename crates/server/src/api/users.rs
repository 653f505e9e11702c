//! `/api/app`: the users of an application, as operators see and change them.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use latchkey_domain::{AppId, Handle, Invite, MetadataPath, Signup, User, UserStatus};
use latchkey_service::account::NewPassword;
use latchkey_service::operate::{AddUser, Found, Listed, Member};
use latchkey_service::{Operator, Reader, Refusal, ServiceError};
use serde_json::{Map, Value};

use super::operator::{
    AFTER, APP_ID, LIMIT, OFFSET, TOTAL, USER_ID, app_of, one_of, page_of, paged, user_of,
};
use super::shared::{MD5, RAW_PASSWORD};
use super::{AppState, State};
use crate::dto::{self, Claims, Stat, UserBody, invite_json, signup_json, user_json};
use crate::http::field::{Field, choice, flag, items, object, text, undescribed};
use crate::http::{Answer, ApiError, ByOperator, Fields, Query, Verified, json, ok_true};
use crate::openapi::{Answers, DEFAULT, Operation, list_of, shape};

/// The least and the usual size of a page of `/stat`, as at the reference.
const STAT_PAGE: u32 = 25;

pub(super) const HANDLE: Field = text("handle", "ana@example.com", "").required();
pub(super) const LOCALE: Field = text("locale", "EN", "");
pub(super) const VALUE: Field =
    text("value", "ana", "A part of the handle or user name; case does not matter, the text is literal.")
        .required();
const HIDE: Field = flag("hideAnonUser", "Exclude anonymous users.");
const TARGET: Field = choice("target", &["users", "invites", "signups"], "");
const USER: Answers = Answers::Json(&[shape::<UserBody>]);

pub(crate) const STAT: Operation = Operation {
    summary: "List users, sign-ups and invitations, with totals",
    about: "Without a target, a page of each.",
    fields: &[
        APP_ID,
        TARGET,
        LIMIT,
        OFFSET,
        text("after", "AAYHN8kMAACUmp", "The `X-Next` of the previous page."),
        HIDE,
    ],
    answers: Answers::Json(&[shape::<Stat>]),
    headers: &[TOTAL, ("X-Next", "The `after` of the next page.")],
    ..DEFAULT
};

/// Lists with totals: one that is named, or the first pages of all three.
pub(crate) async fn stat(state: State, Verified(operator): ByOperator, Query(query): Query) -> Answer {
    let id = app_of(&operator, &query)?;
    let reader = operator.reader();
    let target = query.owned(TARGET)?;
    let (mut body, mut next, mut total) = (Stat::default(), None, 0);
    let is_wanted = |name: &str| target.as_deref().is_none_or(|target| target == name);
    if !["users", "invites", "signups"].into_iter().any(is_wanted) {
        return Err(ServiceError::invalid("target is one of users, invites, signups").into());
    }
    if target.is_none() && query.text(AFTER)?.is_some() {
        return Err(ServiceError::invalid("after needs a target: it is the cursor of one list").into());
    }
    if is_wanted("users") {
        let hide = query.flag(HIDE)?.unwrap_or(false);
        let listed = list::<User>(&state, reader, id, &query, hide).await?;
        let shown = if hide { listed.total.saturating_sub(listed.anonymous) } else { listed.total };
        (body.total_user, body.total_anon_user) = (Some(shown), Some(listed.anonymous));
        body.users = Some(users_json(&state, id, listed.items).await?);
        (next, total) = (listed.next, shown);
    }
    if is_wanted("invites") {
        let listed = list::<Invite>(&state, reader, id, &query, false).await?;
        body.invites = Some(listed.items.iter().map(invite_json).collect());
        body.total_invite = Some(listed.total);
        (next, total) = (listed.next, listed.total);
    }
    if is_wanted("signups") {
        let listed = list::<Signup>(&state, reader, id, &query, false).await?;
        body.signups = Some(listed.items.iter().map(signup_json).collect());
        body.total_signup = Some(listed.total);
        (next, total) = (listed.next, listed.total);
    }
    let answer = json(&body);
    Ok(if target.is_some() { paged(answer, total, next.as_deref()) } else { answer })
}

async fn list<T: Member>(
    state: &AppState,
    reader: Reader,
    id: AppId,
    query: &Fields,
    without_anonymous: bool,
) -> Result<Listed<T>, ServiceError> {
    let page = page_of(query, STAT_PAGE, STAT_PAGE)?;
    state.service.list(reader, id, page, without_anonymous).await
}

pub(crate) const SEARCH_USERS: Operation = Operation {
    summary: "Search users by handle or user name",
    about: "Matches at the beginning among all users, elsewhere among the newest 100,000; at most 200.",
    fields: &[APP_ID, VALUE, HIDE],
    answers: Answers::Json(&[list_of::<UserBody>]),
    headers: &[TOTAL, ("X-Search-Complete", "`true` if the result is complete.")],
    ..DEFAULT
};

pub(crate) async fn search_users(
    state: State,
    Verified(operator): ByOperator,
    Query(query): Query,
) -> Answer {
    let hide = query.flag(HIDE)?.unwrap_or(false);
    let (id, found) = find_members::<User>(&state, &operator, &query, hide).await?;
    let users = users_json(&state, id, found.items).await?;
    Ok(found_json(&users, found.is_complete))
}

/// Finds members of an application by a part of their handle.
pub(super) async fn search<T: Member>(
    state: &AppState,
    operator: &Operator,
    query: &Fields,
    render: fn(&T) -> Value,
) -> Answer {
    let (_, found) = find_members::<T>(state, operator, query, false).await?;
    Ok(found_json(&found.items.iter().map(render).collect::<Vec<_>>(), found.is_complete))
}

async fn find_members<T: Member>(
    state: &AppState,
    operator: &Operator,
    query: &Fields,
    hide: bool,
) -> Result<(AppId, Found<T>), ApiError> {
    let id = app_of(operator, query)?;
    let reader = operator.reader();
    let text = query.required(VALUE)?.to_owned();
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

const PASSWORD: Field =
    text("password", "9cc2ae8a1ba7a93da39b46fc1019c481", "The lower-case hexadecimal MD5 of the password.")
        .in_example()
        .matching(MD5);
const META_DATA: Field = object("metaData", "Declared fields.");
const ADMINISTRATOR: Field = flag("administrator", "");

pub(crate) const ADD_USER: Operation = Operation {
    summary: "Add a user",
    fields: &[APP_ID, HANDLE, PASSWORD, RAW_PASSWORD, LOCALE, META_DATA, ADMINISTRATOR],
    answers: USER,
    refuses: &[Refusal::HandleTaken, Refusal::MetadataInvalid, Refusal::SignupOff],
    ..DEFAULT
};

pub(crate) async fn add_user(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let new = new_user(&fields)?;
    let user = state.service.add_user_of(operator, id, new).await?;
    Ok(json(&users_json(&state, id, vec![user]).await?.pop()))
}

fn new_user(fields: &Fields) -> Result<AddUser, ServiceError> {
    Ok(AddUser {
        handle: handle_of(fields)?,
        password: fields.password(PASSWORD, RAW_PASSWORD)?,
        locale: fields.owned(LOCALE)?,
        metadata: if fields.has(META_DATA) { object_of(fields, META_DATA)? } else { Map::new() },
        is_administrator: fields.flag(ADMINISTRATOR)?.unwrap_or(false),
    })
}

pub(crate) const REMOVE_USER: Operation = Operation {
    summary: "Remove a user with all their data",
    fields: &[APP_ID, HANDLE],
    answers: USER,
    refuses: &[Refusal::UnknownUser],
    ..DEFAULT
};

pub(crate) async fn remove_user(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let handle = stored_handle_of(&fields)?;
    let user = state.service.remove_user_of(operator, id, handle).await?;
    Ok(json(&users_json(&state, id, vec![user]).await?.pop()))
}

const OF_A_USER: Operation =
    Operation { fields: &[APP_ID, USER_ID], refuses: &[Refusal::UnknownUser], ..DEFAULT };
const STATUS: Field = choice("status", &["active", "suspend"], "").required();

pub(crate) const SET_STATUS: Operation = Operation {
    summary: "Suspend a user, which ends all sessions, or reactivate them",
    fields: &[APP_ID, USER_ID, STATUS],
    ..OF_A_USER
};

pub(crate) async fn set_user_status(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let user = user_of(&operator, &fields)?;
    let status = one_of::<UserStatus>(&fields, STATUS)?;
    state.service.set_user_status(operator, user, status).await?;
    Ok(ok_true())
}

const NEW_HASH: Field = text(
    "hashValue",
    "9cc2ae8a1ba7a93da39b46fc1019c481",
    "The lower-case hexadecimal MD5 of the new password.",
)
.matching(MD5);
const NEW_RAW: Field = text("rawValue", "another horse battery staple", "The new password itself.");
/// The names that other endpoints have for a password: refused, since nothing would be set.
const WRONG_NAMES: &[Field] = &[undescribed("password"), undescribed("rawPassword")];

pub(crate) const RESET_PASSWORD: Operation = Operation {
    summary: "Set a user's password, or mail them a reset code",
    about: "Without a password, mails a code. With one, ends all sessions and notifies the user, without the password.",
    fields: &[APP_ID, USER_ID, NEW_HASH, NEW_RAW],
    more: WRONG_NAMES,
    ..OF_A_USER
};

/// With a password in the fields of the protocol, it is set; without one, the user is mailed a code.
pub(crate) async fn reset_user_password(
    state: State,
    Verified(operator): ByOperator,
    fields: Fields,
) -> Answer {
    let user = user_of(&operator, &fields)?;
    if let Some(name) = WRONG_NAMES.iter().find(|field| fields.has(*field)) {
        let text = format!("unknown field {:?}; resetUserPassword takes rawValue and hashValue", name.name);
        return Err(ServiceError::invalid(text).into());
    }
    if !fields.has(NEW_RAW) && !fields.has(NEW_HASH) {
        state.service.send_user_reset(operator, user).await?;
        return Ok(ok_true());
    }
    let password = fields.text(NEW_HASH).and_then(|hash| Ok((hash, fields.text(NEW_RAW)?)));
    let (hash, raw) = password?;
    let password = NewPassword::parse(hash, raw)?;
    state.service.set_user_password(operator, user, password).await?;
    Ok(ok_true())
}

const ADDED: Field = items("addedMetadata", "Single values: objects with `path` and `value`.");

pub(crate) const UPDATE_METADATA: Operation = Operation {
    summary: "Replace a user's metadata",
    about: "Operators may set every declared field. Undeclared values stay and cannot be added.",
    fields: &[APP_ID, HANDLE, META_DATA.described("").required(), ADDED],
    refuses: &[Refusal::UnknownUser, Refusal::MetadataInvalid],
    ..DEFAULT
};

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
    let mut sent = object_of(fields, META_DATA)?;
    if fields.has(ADDED) {
        for item in fields.list(ADDED)? {
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
pub(super) fn object_of(fields: &Fields, name: Field) -> Result<Map<String, Value>, ServiceError> {
    fields.object(name).map_err(|wrong| match wrong.is_missing() {
        true => wrong.into(),
        false => ServiceError::invalid(format!("{} is an object, not nested deeply", name.name)),
    })
}

pub(crate) const SET_ADMINISTRATOR: Operation = Operation {
    summary: "Make a user an administrator of the application, or revoke that",
    fields: &[APP_ID, USER_ID, ADMINISTRATOR.required()],
    ..OF_A_USER
};

pub(crate) async fn set_administrator(
    state: State,
    Verified(operator): ByOperator,
    fields: Fields,
) -> Answer {
    let user = user_of(&operator, &fields)?;
    let flag = fields.required_flag(ADMINISTRATOR)?;
    state.service.set_administrator(operator, user, flag).await?;
    Ok(ok_true())
}

pub(crate) const SIGN_OUT: Operation = Operation { summary: "End all of a user's sessions", ..OF_A_USER };

pub(crate) async fn sign_out_user(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let user = user_of(&operator, &fields)?;
    state.service.sign_out_everywhere(operator, user).await?;
    Ok(ok_true())
}

pub(crate) const UNLOCK: Operation = Operation { summary: "Unlock a user", ..OF_A_USER };

pub(crate) async fn unlock_user(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let user = user_of(&operator, &fields)?;
    state.service.unlock_user(operator, user).await?;
    Ok(ok_true())
}

pub(crate) const RESET_FACTOR: Operation = Operation {
    summary: "Remove a user's second factors",
    about: "For users who lost them. Notifies the user by mail.",
    ..OF_A_USER
};

pub(crate) async fn reset_second_factor(
    state: State,
    Verified(operator): ByOperator,
    fields: Fields,
) -> Answer {
    let user = user_of(&operator, &fields)?;
    state.service.reset_factors(operator, user).await?;
    Ok(ok_true())
}

pub(crate) const PREVIEW_CLAIMS: Operation = Operation {
    summary: "Preview the claims of a user's JWT",
    fields: &[APP_ID, USER_ID],
    answers: Answers::Json(&[shape::<Claims>]),
    refuses: &[Refusal::UnknownUser, Refusal::MetadataInvalid],
    ..DEFAULT
};

/// The claims that a user's JWT would have now.
pub(crate) async fn preview_claims(
    state: State,
    Verified(operator): ByOperator,
    Query(query): Query,
) -> Answer {
    let user = user_of(&operator, &query)?;
    let claims = state.service.preview_claims(user).await?;
    Ok(json(&Claims { claims: dto::value(&claims) }))
}

fn handle_of(fields: &Fields) -> Result<Handle, ServiceError> {
    let handle = Handle::parse(fields.required(HANDLE)?);
    handle.map_err(|error| ServiceError::invalid(format!("handle: {error}")))
}

/// The handle of an existing user, which may be anonymous.
pub(super) fn stored_handle_of(fields: &Fields) -> Result<Handle, ServiceError> {
    let text = fields.required(HANDLE)?;
    let handle = Handle::parse_anonymous(text).or_else(|_| Handle::parse(text));
    Ok(handle.map_err(|_| Refusal::UnknownUser)?)
}
