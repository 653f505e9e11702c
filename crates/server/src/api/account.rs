//! What signed-in users do with their account, and what a client may know of its application.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::Data;
use latchkey_domain::UserName;
use latchkey_service::{Caller, DeleteAccount, Refusal};

use super::login::{name_of, password_or_none};
use super::{AppState, run};
use crate::dto::{Available, CheckedToken, application_json, own_user_json};
use crate::http::{Answer, ApiError, Family, Fields, Identity, WrongField, json, ok_true};

pub(crate) async fn get_user(state: Data<AppState>, identity: Identity) -> Answer {
    let service = state.service.clone();
    let view = run(Family::User, async move { service.current_user(identity.0).await }).await?;
    Ok(json(&own_user_json(&view.user)))
}

/// Validates an access token for a gateway. Returns its user in headers that the gateway can forward.
pub(crate) async fn check(state: Data<AppState>, identity: Identity, request: HttpRequest) -> Answer {
    let invalid = || ApiError::of(Family::Gateway, Refusal::AccessTokenInvalid);
    let query = Fields::of_query(&request).map_err(|_| invalid())?;
    let wanted = query.owned("appId").map_err(|_| invalid())?;
    // A gateway protects the service of one application; users of another one are strangers there.
    let is_wanted = |app: &str| wanted.as_deref().is_none_or(|wanted| wanted == app);
    match &identity.0.caller {
        Caller::User(token) if is_wanted(&token.app_id.to_string()) => {}
        _ => return Err(invalid()),
    }
    let service = state.service.clone();
    let view = run(Family::Gateway, async move { service.current_user(identity.0).await }).await?;
    let user = view.user;
    let mut answer = json(&CheckedToken {
        app_id: user.app_id.to_string(),
        user_id: user.id.to_string(),
        handle: user.handle.as_str().to_owned(),
        user_name: user.user_name.as_ref().map(|name| name.as_str().to_owned()),
    });
    for (name, value) in [
        ("x-latchkey-app", Some(user.app_id.to_string())),
        ("x-latchkey-user", Some(user.id.to_string())),
        ("x-latchkey-handle", Some(header_text(user.handle.as_str()))),
        ("x-latchkey-user-name", user.user_name.as_ref().map(|name| name.as_str().to_owned())),
    ] {
        let value = value.and_then(|value| HeaderValue::from_str(&value).ok());
        if let Some(value) = value {
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    Ok(answer)
}

/// A text as a header can hold it: all but visible ASCII characters, and the percent sign, percent-encoded (RFC 3986
/// section 2.1).
fn header_text(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

pub(crate) async fn get_application(state: Data<AppState>, identity: Identity) -> Answer {
    identity.0.caller.clone().app_or_user(Refusal::InvalidData).map_err(ApiError::user)?;
    let service = state.service.clone();
    let app = run(Family::User, async move { service.application_of(identity.0).await }).await?;
    Ok(json(&application_json(&app)))
}

pub(crate) async fn user_name_available(
    state: Data<AppState>,
    identity: Identity,
    request: HttpRequest,
) -> Answer {
    identity.0.caller.clone().user(Refusal::MissingParameter).map_err(ApiError::user)?;
    let query = Fields::of_query(&request).map_err(ApiError::user)?;
    let name = user_name_of(&query)?;
    let service = state.service.clone();
    let is_free = run(Family::User, async move { service.is_user_name_free(identity.0, name).await }).await?;
    Ok(json(&Available { available: is_free }))
}

pub(crate) async fn set_user_name(state: Data<AppState>, identity: Identity, fields: Fields) -> Answer {
    identity.0.caller.clone().user(Refusal::MissingParameter).map_err(ApiError::user)?;
    let name = user_name_of(&fields)?;
    let service = state.service.clone();
    run(Family::User, async move { service.set_user_name(identity.0, name).await }).await?;
    Ok(ok_true())
}

pub(crate) async fn set_locale(state: Data<AppState>, identity: Identity, fields: Fields) -> Answer {
    identity.0.caller.clone().user(Refusal::MissingParameter).map_err(ApiError::user)?;
    let locale = fields.required("locale").map_err(ApiError::user)?.to_owned();
    let service = state.service.clone();
    run(Family::User, async move { service.set_locale(identity.0, locale).await }).await?;
    Ok(ok_true())
}

pub(crate) async fn set_user_metadata(state: Data<AppState>, identity: Identity, fields: Fields) -> Answer {
    identity.0.caller.clone().user(Refusal::MissingParameter).map_err(ApiError::user)?;
    let sent = fields
        .json_text("metaData")
        .ok_or_else(|| ApiError::user(WrongField::invalid("metaData", "must be a JSON object")))?;
    let service = state.service.clone();
    run(Family::User, async move { service.set_metadata(identity.0, sent).await }).await?;
    Ok(ok_true())
}

pub(crate) async fn delete_account(state: Data<AppState>, identity: Identity, fields: Fields) -> Answer {
    identity.0.caller.clone().user(Refusal::MissingParameter).map_err(ApiError::user)?;
    let present = |name| fields.text(name).map(|text| text.is_some()).map_err(ApiError::user);
    let has_password = fields.has("password") || fields.has("rawPassword");
    if !present("handle")? && !has_password && !present("token")? {
        return Err(ApiError::user(Refusal::MissingParameter));
    }
    let service = state.service.clone();
    if !present("handle")? || !has_password {
        // Half of the password way, or a provider's token.
        let token = fields.owned("token").map_err(ApiError::user)?;
        let absent = if present("handle")? { "password" } else { "token" };
        let token = token.ok_or_else(|| ApiError::user(WrongField::invalid(absent, "is required here")))?;
        let nonce = fields.owned("nonce").map_err(ApiError::user)?;
        let deleting = async move { service.delete_account_with_provider(identity.0, token, nonce).await };
        run(Family::User, deleting).await?;
        return Ok(ok_true());
    }
    let request = DeleteAccount { name: name_of(&fields)?, password: password_or_none(&fields)? };
    run(Family::User, async move { service.delete_account(identity.0, request).await }).await?;
    Ok(ok_true())
}

fn user_name_of(fields: &Fields) -> Result<UserName, ApiError> {
    let name = fields.required("userName").map_err(ApiError::user)?;
    UserName::parse(name).map_err(|_| {
        let rule = "must be a letter followed by letters and digits, at most 64 characters";
        ApiError::user(WrongField::invalid("userName", rule))
    })
}
