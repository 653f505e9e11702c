//! The audit log: one entry per act, with who, from where, and what came of it. Entries hold no body, token,
//! code or password, and handles only masked.

use std::net::IpAddr;

use time::OffsetDateTime;

use crate::handle::Handle;
use crate::id::{AppId, AuditId, UserId};

/// Who acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A client of the application, before any user signed in.
    Client,
    /// A user with an access token.
    User,
    /// An operator.
    Operator,
    /// The server itself.
    Server,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The application.
    pub app_id: AppId,
    /// Its id, ordered by time.
    pub id: AuditId,
    /// The action: the name of its endpoint, or a name such as `mail.sent`.
    pub action: String,
    /// `ok`, or the name of the refusal.
    pub result: String,
    /// Who did it.
    pub actor: Actor,
    /// Which operator: the name of their token.
    pub actor_name: Option<String>,
    /// The user whom it concerns, where one is known.
    pub user_id: Option<UserId>,
    /// The handle that was named, masked.
    pub handle: Option<String>,
    /// From which address.
    pub address: Option<IpAddr>,
    /// Further details, never secret.
    pub detail: Option<String>,
    /// When.
    pub created_at: OffsetDateTime,
}

/// A filter for entries of an application. `None` and empty members do not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AuditFilter {
    /// By clients and users (`Some(false)`), or by operators and the server (`Some(true)`).
    pub is_administration: Option<bool>,
    /// Those that succeeded, or those that were refused.
    pub is_success: Option<bool>,
    /// From when on.
    pub from: Option<OffsetDateTime>,
    /// Until when.
    pub until: Option<OffsetDateTime>,
    /// Of which actions.
    pub actions: Vec<String>,
    /// About which user.
    pub user_id: Option<UserId>,
}

/// A handle for people who read logs: the first letter, and the domain.
#[must_use]
pub fn masked(handle: &Handle) -> String {
    let text = handle.as_str();
    let first: String = text.chars().take(1).collect();
    match text.rsplit_once('@') {
        Some((_, domain)) => format!("{first}***@{domain}"),
        None => format!("{first}***"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_103_a_masked_handle_names_nobody() {
        assert_eq!(masked(&Handle::parse("Ana.Maria@example.com").unwrap()), "a***@example.com");
        assert_eq!(masked(&Handle::parse_anonymous("ANON_secret").unwrap()), "A***");
    }
}
