//! Records for operators: log entries, waiting messages, keys, operator tokens.

use latchkey_domain::{Actor, AuditEntry, Channel, KeyState, MessageState, OperatorToken};
use latchkey_service::operate::{KeyView, MintedToken, PendingMessage};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::iso;

/// An entry of the log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LogEntry)]
pub(crate) struct Entry {
    #[serde(rename = "_id")]
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    app_id: String,
    #[schema(example = "login")]
    action: String,
    #[schema(pattern = "^(success|error)$", example = "success")]
    status: &'static str,
    #[schema(pattern = "^(app|user)$", example = "user")]
    log_type: &'static str,
    /// Masked.
    #[schema(example = "a***@example.com")]
    handle: Option<String>,
    user_id: Option<String>,
    #[schema(pattern = "^(client|user|operator|server)$", example = "client")]
    actor: &'static str,
    /// The name of the operator token.
    actor_name: Option<String>,
    #[schema(example = "192.0.2.1")]
    address: Option<String>,
    /// Further details, or why it was refused.
    #[schema(example = "true")]
    value: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A message that has not left; what is in it stays sealed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WaitingMessage)]
pub(crate) struct WaitingBody {
    #[schema(pattern = "^[0-9a-f]{32}$")]
    message_id: String,
    #[schema(pattern = "^(mail|sms)$", example = "mail")]
    channel: &'static str,
    /// Masked.
    #[schema(example = "a***@example.com")]
    to: String,
    /// `due` is still tried, `dead` was given up.
    #[schema(pattern = "^(due|dead)$", example = "due")]
    state: &'static str,
    attempts: i64,
    #[schema(format = DateTime)]
    due_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    last_error: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

/// The public half of a key, and where it stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Key)]
pub(crate) struct KeyBody {
    /// Its RFC 7638 thumbprint.
    #[schema(example = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")]
    kid: String,
    /// `next` is published and signs later; `retiring` no longer signs and stays published while its tokens are valid.
    #[schema(pattern = "^(next|current|retiring|retired)$", example = "current")]
    state: &'static str,
    /// PEM, as one line of base64.
    public_key: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    signs_from: String,
    #[schema(format = DateTime)]
    published_until: Option<String>,
}

/// An operator token without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OperatorToken)]
pub(crate) struct TokenBody {
    #[schema(pattern = "^[0-9a-f]{32}$")]
    token_id: String,
    #[schema(example = "ci")]
    name: String,
    /// With commas between them.
    #[schema(example = "read,users")]
    scopes: String,
    /// The one application that it reaches; all if none.
    app_id: Option<String>,
    /// The secret that made it, and with which it ends; none if the command line did.
    made_by: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: String,
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
}

/// A new operator token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OperatorSecret)]
pub(crate) struct MintedBody {
    #[serde(flatten)]
    token: TokenBody,
    /// The value of the header `server-secret`, shown once.
    secret: String,
}

impl MintedBody {
    pub(crate) fn of(minted: &MintedToken) -> Self {
        Self { token: token_body(&minted.token), secret: minted.secret.clone() }
    }
}

/// An entry of the log.
pub(crate) fn entry_json(entry: &AuditEntry) -> Value {
    let is_ok = entry.result == "ok";
    let (actor, kind) = match entry.actor {
        Actor::Client => ("client", "user"),
        Actor::User => ("user", "user"),
        Actor::Operator => ("operator", "app"),
        Actor::Server => ("server", "app"),
    };
    super::value(&Entry {
        id: entry.id.to_string(),
        app_id: entry.app_id.to_string(),
        action: entry.action.clone(),
        status: if is_ok { "success" } else { "error" },
        log_type: kind,
        handle: entry.handle.clone(),
        user_id: entry.user_id.map(|id| id.to_string()),
        actor,
        actor_name: entry.actor_name.clone(),
        address: entry.address.map(|address| address.to_string()),
        value: match (&entry.detail, is_ok) {
            (Some(detail), true) => detail.clone(),
            (None, true) => "true".to_owned(),
            (Some(detail), false) => format!("{}: {detail}", entry.result),
            (None, false) => entry.result.clone(),
        },
        created_at: iso(entry.created_at),
    })
}

/// A message that has not left.
pub(crate) fn waiting_json(waiting: &PendingMessage) -> Value {
    super::value(&WaitingBody {
        message_id: waiting.id.to_string(),
        channel: match waiting.channel {
            Channel::Mail => "mail",
            Channel::Sms => "sms",
        },
        to: waiting.to.clone(),
        state: match waiting.state {
            MessageState::Due => "due",
            MessageState::Dead => "dead",
        },
        attempts: waiting.attempts,
        due_at: iso(waiting.due_at),
        expires_at: waiting.expires_at.map(iso),
        last_error: waiting.last_error.clone(),
        created_at: iso(waiting.created_at),
    })
}

/// The public half of a key.
pub(crate) fn key_json(view: &KeyView) -> Value {
    super::value(&KeyBody {
        kid: view.key.kid.clone(),
        state: match view.state {
            KeyState::Next => "next",
            KeyState::Current => "current",
            KeyState::Retiring => "retiring",
            KeyState::Retired => "retired",
        },
        public_key: view.public_key.to_one_line(),
        created_at: iso(view.key.created_at),
        signs_from: iso(view.key.signs_from),
        published_until: view.key.published_until.map(iso),
    })
}

/// An operator token without its secret.
pub(crate) fn operator_token_json(token: &OperatorToken) -> Value {
    super::value(&token_body(token))
}

fn token_body(token: &OperatorToken) -> TokenBody {
    TokenBody {
        token_id: token.id.to_string(),
        name: token.name.as_str().to_owned(),
        scopes: token.scopes.to_string(),
        app_id: token.only_app.map(|id| id.to_string()),
        made_by: token.made_by.map(|id| id.to_string()),
        created_at: iso(token.created_at),
        expires_at: iso(token.expires_at),
        last_used_at: token.last_used_at.map(iso),
        revoked_at: token.revoked_at.map(iso),
    }
}
