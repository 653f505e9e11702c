//! What operators look through: log entries, waiting messages, keys, operator tokens.

use latchkey_domain::{Actor, AuditEntry, Channel, KeyState, MessageState, OperatorToken};
use latchkey_service::{KeyView, Waiting};
use serde_json::{Value, json};

use crate::http::iso;

/// An entry of the log. `value` is what else is worth knowing, or why it was refused.
pub(crate) fn entry_json(entry: &AuditEntry) -> Value {
    let is_ok = entry.result == "ok";
    let (actor, kind) = match entry.actor {
        Actor::Client => ("client", "user"),
        Actor::User => ("user", "user"),
        Actor::Operator => ("operator", "app"),
        Actor::Server => ("server", "app"),
    };
    json!({
        "_id": entry.id.to_string(),
        "appId": entry.app_id.to_string(),
        "action": entry.action,
        "status": if is_ok { "success" } else { "error" },
        "logType": kind,
        "handle": entry.handle,
        "userId": entry.user_id.map(|id| id.to_string()),
        "actor": actor,
        "actorName": entry.actor_name,
        "address": entry.address.map(|address| address.to_string()),
        "value": match (&entry.detail, is_ok) {
            (Some(detail), true) => detail.clone(),
            (None, true) => "true".to_owned(),
            (Some(detail), false) => format!("{}: {detail}", entry.result),
            (None, false) => entry.result.clone(),
        },
        "createdAt": iso(entry.created_at),
    })
}

/// A message that has not left; what is in it stays sealed.
pub(crate) fn waiting_json(waiting: &Waiting) -> Value {
    json!({
        "messageId": waiting.id.to_string(),
        "channel": match waiting.channel {
            Channel::Mail => "mail",
            Channel::Sms => "sms",
        },
        "to": waiting.to,
        "state": match waiting.state {
            MessageState::Due => "due",
            MessageState::Dead => "dead",
        },
        "attempts": waiting.attempts,
        "dueAt": iso(waiting.due_at),
        "expiresAt": waiting.expires_at.map(iso),
        "lastError": waiting.last_error,
        "createdAt": iso(waiting.created_at),
    })
}

/// The public half of a key, and where it stands.
pub(crate) fn key_json(view: &KeyView) -> Value {
    json!({
        "kid": view.key.kid,
        "state": match view.state {
            KeyState::Next => "next",
            KeyState::Current => "current",
            KeyState::Retiring => "retiring",
            KeyState::Retired => "retired",
        },
        "publicKey": view.public_key.to_one_line(),
        "createdAt": iso(view.key.created_at),
        "signsFrom": iso(view.key.signs_from),
        "publishedUntil": view.key.published_until.map(iso),
    })
}

/// An operator token without its secret, which nobody can tell again.
pub(crate) fn operator_token_json(token: &OperatorToken) -> Value {
    json!({
        "tokenId": token.id.to_string(),
        "name": token.name.as_str(),
        "scopes": token.scopes.to_string(),
        "appId": token.only_app.map(|id| id.to_string()),
        "createdAt": iso(token.created_at),
        "expiresAt": iso(token.expires_at),
        "lastUsedAt": token.last_used_at.map(iso),
        "revokedAt": token.revoked_at.map(iso),
    })
}
