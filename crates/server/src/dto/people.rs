//! Users, sign-up attempts and invitations. Digests, secrets and codes are not among it.

use latchkey_domain::{Factor, Invite, InviteState, Signup, SignupState, User, UserStatus};
use serde_json::{Map, Value, json};

use crate::http::iso;

/// What a user is told of themselves. What is not set is absent.
pub(crate) fn own_user_json(user: &User) -> Value {
    let status = match user.status {
        UserStatus::Active => "active",
        UserStatus::Suspended => "suspend",
    };
    let mut body = json!({
        "status": status,
        "createdAt": iso(user.created_at),
        "updatedAt": iso(user.updated_at),
        "handle": user.handle.as_str(),
        "locale": user.locale.as_str(),
        "twoFactorPhoneVerification": user.factors.has(Factor::Phone),
        "twoFactorGoogleVerification": user.factors.has(Factor::Authenticator),
        "appId": user.app_id.to_string(),
        "loginProvider": user.social.as_ref().map_or("", |social| social.provider.name()),
    });
    let mut optional = Map::new();
    if let Some(name) = &user.user_name {
        optional.insert("userName".to_owned(), name.as_str().into());
    }
    if let Some(phone) = &user.factors.given_phone {
        optional.insert("phone".to_owned(), phone.as_str().into());
        optional.insert("phoneVerified".to_owned(), user.factors.is_phone_verified().into());
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

/// What an operator sees of a user: what they see themselves, their id, and who they are to a provider.
pub(crate) fn user_json(user: &User) -> Value {
    let mut body = own_user_json(user);
    if let Value::Object(fields) = &mut body {
        fields.insert("_id".to_owned(), user.id.to_string().into());
        fields.insert("administrator".to_owned(), user.is_administrator.into());
        if let Some(subject) = user.social.as_ref().and_then(|social| social.subject.clone()) {
            fields.insert("socialUserId".to_owned(), subject.into());
        }
    }
    body
}

/// A sign-up attempt.
pub(crate) fn signup_json(signup: &Signup) -> Value {
    json!({
        "_id": signup.id.to_string(),
        "appId": signup.app_id.to_string(),
        "handle": signup.handle.as_str(),
        "status": match signup.state {
            SignupState::Pending => "pending",
            SignupState::Verified => "verified",
        },
        "locale": signup.locale.as_str(),
        "metaData": signup.metadata.values(),
        "createdAt": iso(signup.created_at),
        "updatedAt": iso(signup.updated_at),
    })
}

/// An invitation.
pub(crate) fn invite_json(invite: &Invite) -> Value {
    json!({
        "_id": invite.id.to_string(),
        "appId": invite.app_id.to_string(),
        "handle": invite.handle.as_str(),
        "senderHandle": invite.sender_handle.as_str(),
        "senderUserId": invite.sender_reference,
        "status": match invite.state {
            InviteState::Pending => "pending",
            InviteState::Verified => "verified",
        },
        "locale": invite.locale.as_str(),
        "metaData": invite.metadata.values(),
        "createdAt": iso(invite.created_at),
        "updatedAt": iso(invite.updated_at),
    })
}
