//! What signed-in users do with their account, and what a client may know of its application.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, HeaderValue};
use latchkey_domain::UserName;
use latchkey_service::Refusal;
use latchkey_service::account::DeleteAccount;

use super::State;
use super::login::{name_of, password_or_none};
use super::shared::{LOCALE, META_DATA, NAME, NONCE, PASSWORD, RAW_PASSWORD, TOKEN};
use crate::dto::{Application, Available, CheckedToken, OwnUser, application_json, own_user_json};
use crate::http::field::{Field, text};
use crate::http::{Answer, ByAppOrUser, ByUser, Fields, Query, Verified, WrongField, json, ok_true};
use crate::openapi::{Answers, DEFAULT, Operation, shape};

pub(crate) const GET_USER: Operation =
    Operation { summary: "Get the calling user", answers: Answers::Json(&[shape::<OwnUser>]), ..DEFAULT };

pub(crate) async fn get_user(state: State, Verified(call): ByUser) -> Answer {
    let view = state.service.current_user(call).await?;
    Ok(json(&own_user_json(&view.user)))
}

const WANTED_APP: Field =
    text("appId", "0123456789abcdef0123456789abcdef", "Refuses tokens of other applications.");

pub(crate) const CHECK: Operation = Operation {
    summary: "Validate an access token, for gateways",
    about: "For `auth_request` and similar: 200 with the user in headers, or 401. All other endpoints of the user API answer 400.",
    fields: &[WANTED_APP],
    answers: Answers::Json(&[shape::<CheckedToken>]),
    headers: &[
        ("X-Latchkey-App", "The application's id."),
        ("X-Latchkey-User", "The user's id."),
        ("X-Latchkey-Handle", "The handle; `%` and everything but visible ASCII is percent-encoded."),
        ("X-Latchkey-User-Name", "The user name, if there is one."),
    ],
    ..DEFAULT
};

/// Validates an access token for a gateway. Returns its user in headers that the gateway can forward.
pub(crate) async fn check(state: State, Verified(call): ByUser, request: HttpRequest) -> Answer {
    let invalid = || Refusal::AccessTokenInvalid;
    let query = Fields::of_query(&request).map_err(|_| invalid())?;
    let wanted = query.owned(WANTED_APP).map_err(|_| invalid())?;
    // A gateway protects the service of one application; users of another one are strangers there.
    let is_wanted = |app: &str| wanted.as_deref().is_none_or(|wanted| wanted == app);
    if !is_wanted(&call.caller.app_id.to_string()) {
        return Err(invalid().into());
    }
    let view = state.service.current_user(call).await?;
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

pub(crate) const GET_APPLICATION: Operation = Operation {
    summary: "Get the application's public data",
    answers: Answers::Json(&[shape::<Application>]),
    refuses: &[Refusal::UserSuspended],
    ..DEFAULT
};

pub(crate) async fn get_application(state: State, Verified(call): ByAppOrUser) -> Answer {
    let app = state.service.application_of(call).await?;
    Ok(json(&application_json(&app)))
}

const USER_NAME: Field = text("userName", "ana", "A letter followed by letters and digits.").required();

pub(crate) const USER_NAME_AVAILABLE: Operation = Operation {
    summary: "Check whether a user name is free",
    fields: &[USER_NAME],
    answers: Answers::Json(&[shape::<Available>]),
    refuses: &[Refusal::NoUserNames],
    ..DEFAULT
};

pub(crate) async fn user_name_available(state: State, Verified(call): ByUser, Query(query): Query) -> Answer {
    let name = user_name_of(&query)?;
    let is_free = state.service.is_user_name_free(call, name).await?;
    Ok(json(&Available { available: is_free }))
}

pub(crate) const SET_USER_NAME: Operation = Operation {
    summary: "Set the user name",
    fields: &[USER_NAME],
    refuses: &[Refusal::NoUserNames, Refusal::UserNameTaken],
    ..DEFAULT
};

pub(crate) async fn set_user_name(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    let name = user_name_of(&fields)?;
    state.service.set_user_name(call, name).await?;
    Ok(ok_true())
}

pub(crate) const SET_LOCALE: Operation = Operation {
    summary: "Set the language of mails",
    fields: &[LOCALE.required().matching("^[A-Z]{2}$")],
    ..DEFAULT
};

pub(crate) async fn set_locale(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    let locale = fields.required(LOCALE)?.to_owned();
    state.service.set_locale(call, locale).await?;
    Ok(ok_true())
}

pub(crate) const SET_USER_METADATA: Operation = Operation {
    summary: "Change editable metadata",
    fields: &[META_DATA.required()],
    refuses: &[Refusal::MetadataInvalid],
    ..DEFAULT
};

pub(crate) async fn set_user_metadata(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    let sent = fields
        .json_text("metaData")
        .ok_or_else(|| WrongField::invalid(META_DATA, "must be a JSON object"))?;
    state.service.set_metadata(call, sent).await?;
    Ok(ok_true())
}

pub(crate) const DELETE_ACCOUNT: Operation = Operation {
    summary: "Delete the account",
    about: "With handle and password, or with a new ID token of the provider.",
    fields: &[NAME.optional().in_example(), PASSWORD, RAW_PASSWORD, TOKEN.optional(), NONCE],
    refuses: &[
        Refusal::MissingParameter,
        Refusal::CredentialsWrong,
        Refusal::NoUserNames,
        Refusal::NoAppleLogin,
        Refusal::NoGoogleLogin,
        Refusal::ProviderTokenInvalid,
    ],
    ..DEFAULT
};

pub(crate) async fn delete_account(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    let present = |name: Field| fields.text(name).map(|text| text.is_some());
    let has_password = fields.has(PASSWORD) || fields.has(RAW_PASSWORD);
    if !present(NAME)? && !has_password && !present(TOKEN)? {
        return Err(Refusal::MissingParameter.into());
    }
    if !present(NAME)? || !has_password {
        // Half of the password way, or a provider's token.
        let token = fields.owned(TOKEN)?;
        let absent = if present(NAME)? { PASSWORD } else { TOKEN };
        let token = token.ok_or_else(|| WrongField::invalid(absent, "is required here"))?;
        let nonce = fields.owned(NONCE)?;
        state.service.delete_account_with_provider(call, token, nonce).await?;
        return Ok(ok_true());
    }
    let request = DeleteAccount { name: name_of(&fields)?, password: password_or_none(&fields)? };
    state.service.delete_account(call, request).await?;
    Ok(ok_true())
}

fn user_name_of(fields: &Fields) -> Result<UserName, WrongField> {
    let name = fields.required(USER_NAME)?;
    UserName::parse(name).map_err(|_| {
        let rule = "must be a letter followed by letters and digits, at most 64 characters";
        WrongField::invalid(USER_NAME, rule)
    })
}
