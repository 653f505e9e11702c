//! Operator tokens: the named, expiring server secrets that open the administration API.

use time::{Duration, OffsetDateTime};

use crate::id::{AppId, TokenId};
use crate::text::has_forbidden_characters;

/// The longest life of an operator token.
pub const MAX_LIFE: Duration = Duration::days(365);
/// The default lifetime of an operator token.
pub const DEFAULT_LIFE: Duration = Duration::days(90);

/// The text cannot name an operator token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 64 characters and no control characters")]
pub struct InvalidTokenName;

/// The name by which people know an operator token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName(String);

impl TokenName {
    /// Parses a name: trimmed, 1 to 64 characters.
    ///
    /// # Errors
    /// [`InvalidTokenName`].
    pub fn parse(text: &str) -> Result<Self, InvalidTokenName> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > 64 || has_forbidden_characters(text) {
            return Err(InvalidTokenName);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A permission of an operator token. None includes another, except [`Scope::Everything`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Looks at applications, users and logs.
    Read,
    /// Adds, changes and removes users, sign-ups and invitations.
    Users,
    /// Changes the settings and messages of applications.
    Settings,
    /// Changes keys and tokens of applications, and makes tokens of their administrators.
    Keys,
    /// Takes everything of an application out, password digests included.
    Export,
    /// All of these, and makes and removes applications and operator tokens.
    Everything,
}

impl Scope {
    /// All scopes with their names.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Read, "read"),
        (Self::Users, "users"),
        (Self::Settings, "settings"),
        (Self::Keys, "keys"),
        (Self::Export, "export"),
        (Self::Everything, "everything"),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Users => "users",
            Self::Settings => "settings",
            Self::Keys => "keys",
            Self::Export => "export",
            Self::Everything => "everything",
        }
    }
}

/// The text names no scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "scopes are one or more of read, users, settings, keys, export, everything, with commas between them"
)]
pub struct InvalidScopes;

/// One or more scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Reads names with commas between them.
    ///
    /// # Errors
    /// [`InvalidScopes`].
    pub fn parse(text: &str) -> Result<Self, InvalidScopes> {
        let named = |name: &str| Scope::ALL.iter().find(|(_, known)| *known == name.trim());
        let scopes = text.split(',').map(|name| named(name).map(|(scope, _)| *scope).ok_or(InvalidScopes));
        let mut scopes = scopes.collect::<Result<Vec<_>, _>>()?;
        scopes.sort_by_key(|scope| Scope::ALL.iter().position(|(known, _)| known == scope));
        scopes.dedup();
        Ok(Self(scopes))
    }

    /// Everything.
    #[must_use]
    pub fn everything() -> Self {
        Self(vec![Scope::Everything])
    }

    /// Whether what needs this scope is open.
    #[must_use]
    pub fn allow(&self, needed: Scope) -> bool {
        self.0.iter().any(|scope| *scope == needed || *scope == Scope::Everything)
    }
}

impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.0.iter().map(|scope| scope.name()).collect();
        f.write_str(&names.join(","))
    }
}

/// The stored part of an operator token, without its text.
#[derive(Debug, Clone)]
pub struct OperatorToken {
    /// The token's `jti`.
    pub id: TokenId,
    /// Its name.
    pub name: TokenName,
    /// What it opens.
    pub scopes: Scopes,
    /// The one application that it reaches; all if none.
    pub only_app: Option<AppId>,
    /// The token that created this one; revoking that token revokes this one. `None` if the command line created it.
    pub made_by: Option<TokenId>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it stops working.
    pub expires_at: OffsetDateTime,
    /// When it was revoked, if it was.
    pub revoked_at: Option<OffsetDateTime>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<OffsetDateTime>,
}

impl OperatorToken {
    /// Whether it opens anything at this moment.
    #[must_use]
    pub fn is_good(&self, now: OffsetDateTime) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }

    /// Whether a use now is worth a write: at most one a minute is noted.
    #[must_use]
    pub fn notes_use_at(&self, now: OffsetDateTime) -> bool {
        self.last_used_at.is_none_or(|last| crate::clock::has_passed(Duration::minutes(1), last, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_086_no_scope_includes_another_but_everything() {
        for (held, name) in Scope::ALL {
            let scopes = Scopes::parse(name).unwrap();
            assert_eq!(scopes.to_string(), name);
            for (needed, _) in Scope::ALL {
                assert_eq!(scopes.allow(needed), held == needed || held == Scope::Everything);
            }
        }
        let two = Scopes::parse("users, read,users").unwrap();
        assert_eq!(two.to_string(), "read,users");
        assert!(two.allow(Scope::Read) && two.allow(Scope::Users) && !two.allow(Scope::Keys));
        for wrong in ["", "admin", "read,", "READ", "read users"] {
            assert_eq!(Scopes::parse(wrong), Err(InvalidScopes), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_good_until_it_expires_or_is_revoked() {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let token = OperatorToken {
            id: TokenId::from_bytes([1; 16]),
            name: TokenName::parse(" CI ").unwrap(),
            scopes: Scopes::everything(),
            only_app: None,
            made_by: None,
            created_at: at(0),
            expires_at: at(100),
            revoked_at: None,
            last_used_at: None,
        };
        assert_eq!(token.name.as_str(), "CI");
        assert!(token.is_good(at(99)) && !token.is_good(at(100)) && !token.is_good(at(101)));
        let revoked = OperatorToken { revoked_at: Some(at(1)), ..token.clone() };
        assert!(!revoked.is_good(at(50)));
        assert!(token.notes_use_at(at(0)));
        let used = OperatorToken { last_used_at: Some(at(0)), ..token };
        assert!(!used.notes_use_at(at(59)) && used.notes_use_at(at(60)));
    }

    #[test]
    fn a_token_has_a_short_printable_name() {
        assert!(TokenName::parse(&"a".repeat(64)).is_ok());
        for wrong in ["", "  ", "a\nb", &"a".repeat(65)] {
            assert_eq!(TokenName::parse(wrong), Err(InvalidTokenName), "{wrong}");
        }
    }
}
