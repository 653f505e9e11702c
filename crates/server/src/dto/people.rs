//! Users, sign-up attempts and invitations. Digests, secrets and codes are not among it.

use latchkey_domain::{Factor, Invite, Lock, Named as _, Signup, User};
use latchkey_service::operate::UserDetails;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::iso;

/// A user as they see themselves. What is not set is absent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OwnUser {
    #[schema(pattern = "^(active|suspend)$", example = "active")]
    status: &'static str,
    #[schema(format = DateTime, example = "2026-11-25T10:00:00.000Z")]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    #[schema(example = "ana@example.com")]
    handle: String,
    #[schema(example = "EN")]
    locale: String,
    two_factor_phone_verification: bool,
    two_factor_google_verification: bool,
    #[schema(pattern = "^[0-9a-f]{32}$", example = "0123456789abcdef0123456789abcdef")]
    app_id: String,
    /// Empty for none.
    #[schema(pattern = "^(|apple|google)$", example = "")]
    login_provider: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, additional_properties)]
    meta_data: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    last_login: Option<String>,
}

/// A user as operators see them: what they see themselves, their id, and who they are to a provider.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub(crate) struct UserBody {
    #[serde(flatten)]
    user: OwnUser,
    #[serde(rename = "_id")]
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    /// Whether they administer the application.
    administrator: bool,
    /// Whether the user has shown that the handle is a mailbox of theirs.
    email_verified: bool,
    /// Whether log-ins with a password from sources that the user has not used before are refused after too many failures.
    locked: bool,
    /// Until when; absent where only a reset of the password or `unlockUser` ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    locked_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    social_user_id: Option<String>,
    /// Warnings for the developer, such as a long token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// A sign-up attempt.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Signup)]
pub(crate) struct SignupBody {
    #[serde(rename = "_id")]
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    app_id: String,
    #[schema(example = "ana@example.com")]
    handle: String,
    #[schema(pattern = "^(pending|verified)$", example = "pending")]
    status: &'static str,
    locale: String,
    #[schema(value_type = Object, additional_properties)]
    meta_data: Map<String, Value>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

/// An invitation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Invite)]
pub(crate) struct InviteBody {
    #[serde(rename = "_id")]
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    app_id: String,
    #[schema(example = "bob@example.com")]
    handle: String,
    /// `superuser` for invitations of operators.
    #[schema(example = "ana@example.com")]
    sender_handle: String,
    /// The sender's id, as sent by the client.
    sender_user_id: String,
    #[schema(pattern = "^(pending|verified)$", example = "pending")]
    status: &'static str,
    locale: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, additional_properties)]
    meta_data: Option<Map<String, Value>>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

fn own_user(user: &User) -> OwnUser {
    let phone = user.factors.given_phone.as_ref();
    OwnUser {
        status: user.status.name(),
        created_at: iso(user.created_at),
        updated_at: iso(user.updated_at),
        handle: user.handle.as_str().to_owned(),
        locale: user.locale.as_str().to_owned(),
        two_factor_phone_verification: user.factors.has(Factor::Phone),
        two_factor_google_verification: user.factors.has(Factor::Authenticator),
        app_id: user.app_id.to_string(),
        login_provider: user.social.as_ref().map_or("", |social| social.provider.name()),
        user_name: user.user_name.as_ref().map(|name| name.as_str().to_owned()),
        phone: phone.map(|phone| phone.as_str().to_owned()),
        phone_verified: phone.map(|_| user.factors.is_phone_verified()),
        meta_data: Some(user.metadata.values().clone()).filter(|values| !values.is_empty()),
        last_login: user.last_login_at.map(iso),
    }
}

/// A user as they see themselves.
pub(crate) fn own_user_json(user: &User) -> Value {
    super::value(&own_user(user))
}

/// A user as operators see them.
pub(crate) fn user_json(details: &UserDetails) -> Value {
    let user = &details.user;
    super::value(&UserBody {
        user: own_user(user),
        id: user.id.to_string(),
        administrator: user.is_administrator,
        email_verified: user.email_verified,
        locked: details.lock.is_some(),
        locked_until: match details.lock {
            Some(Lock::Until(until)) => Some(iso(until)),
            Some(Lock::UntilReset) | None => None,
        },
        warnings: details.warnings.clone(),
        social_user_id: user.social.as_ref().and_then(|social| social.subject.clone()),
    })
}

/// A sign-up attempt.
pub(crate) fn signup_json(signup: &Signup) -> Value {
    super::value(&SignupBody {
        id: signup.id.to_string(),
        app_id: signup.app_id.to_string(),
        handle: signup.handle.as_str().to_owned(),
        status: signup.state.name(),
        locale: signup.locale.as_str().to_owned(),
        meta_data: signup.metadata.values().clone(),
        created_at: iso(signup.created_at),
        updated_at: iso(signup.updated_at),
    })
}

/// An invitation.
pub(crate) fn invite_json(invite: &Invite) -> Value {
    let meta_data = Some(invite.metadata.values().clone());
    super::value(&InviteBody { meta_data, ..invited_body(invite) })
}

/// An invitation as its making is answered.
pub(crate) fn invited_body(invite: &Invite) -> InviteBody {
    InviteBody {
        id: invite.id.to_string(),
        app_id: invite.app_id.to_string(),
        handle: invite.handle.as_str().to_owned(),
        sender_handle: invite.sender_handle.as_str().to_owned(),
        sender_user_id: invite.sender_reference.clone(),
        status: invite.state.name(),
        locale: invite.locale.as_str().to_owned(),
        meta_data: None,
        created_at: iso(invite.created_at),
        updated_at: iso(invite.updated_at),
    }
}
