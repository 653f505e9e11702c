//! `GET /api/appuser/getUser`, `GET getApplication`, `POST changePassword`.

use actix_web::web::Data;
use latchkey_domain::UserStatus;
use latchkey_service::{ChangePassword, Refusal, UserView};
use latchkey_storage::Store;
use serde_json::{Map, Value, json as object};

use super::{AppState, run};
use crate::dto::application_json;
use crate::http::{Answer, ApiError, Family, Fields, Identity, iso, json, ok_true};

pub(crate) async fn get_user<S: Store>(state: Data<AppState<S>>, identity: Identity) -> Answer {
    let service = state.service.clone();
    let view = run(Family::User, async move { service.current_user(identity.0).await }).await?;
    Ok(json(&user_json(&view)))
}

pub(crate) async fn get_application<S: Store>(state: Data<AppState<S>>, identity: Identity) -> Answer {
    let caller = identity.0.app_or_user(Refusal::InvalidData).map_err(ApiError::user)?;
    let service = state.service.clone();
    let app = run(Family::User, async move { service.application_of(caller).await }).await?;
    Ok(json(&application_json(&app)))
}

pub(crate) async fn change_password<S: Store>(
    state: Data<AppState<S>>,
    identity: Identity,
    fields: Fields,
) -> Answer {
    // Whatever is wrong with this request is 602, what is missing too.
    let invalid = |_| ApiError::user(Refusal::InvalidData);
    let current = fields.password("password", "rawPassword").map_err(invalid)?;
    let new = fields.password("newPassword", "newRawPassword").map_err(invalid)?;
    let change = ChangePassword { current: current.into_client(), new };
    let service = state.service.clone();
    run(Family::User, async move { service.change_password(identity.0, change).await }).await?;
    Ok(ok_true())
}

/// What a user is told of themselves. What is not set is absent.
fn user_json(view: &UserView) -> Value {
    let user = &view.user;
    let status = match user.status {
        UserStatus::Active => "active",
        UserStatus::Suspended => "suspend",
    };
    let mut body = object!({
        "status": status,
        "createdAt": iso(user.created_at),
        "updatedAt": iso(user.updated_at),
        "handle": user.handle.as_str(),
        "locale": user.locale.as_str(),
        "twoFactorPhoneVerification": false,
        "twoFactorGoogleVerification": false,
        "appId": user.app_id.to_string(),
        "loginProvider": "",
    });
    let mut optional = Map::new();
    if let Some(name) = &user.user_name {
        optional.insert("userName".to_owned(), name.as_str().into());
    }
    if !user.metadata.values().is_empty() {
        optional.insert("metaData".to_owned(), Value::Object(user.metadata.values().clone()));
    }
    if let Some(time) = user.last_login_at {
        optional.insert("lastLogin".to_owned(), iso(time).into());
    }
    if let Value::Object(fields) = &mut body {
        fields.append(&mut optional);
    }
    body
}
