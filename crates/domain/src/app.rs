//! Applications: the unit that has keys, settings and users.

use time::OffsetDateTime;

use crate::id::{AppId, Owner};
use crate::settings::AppSettings;
use crate::text::has_forbidden_characters;

/// The text cannot name an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 100 characters and no control characters")]
pub struct InvalidAppName;

/// The name of an application, unique for its developer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppName(String);

impl AppName {
    /// Parses a name: trimmed, 1 to 100 characters, none of them a control character.
    ///
    /// # Errors
    /// [`InvalidAppName`].
    pub fn parse(text: &str) -> Result<Self, InvalidAppName> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > 100 || has_forbidden_characters(text) {
            return Err(InvalidAppName);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an application is for. Plans treat the two differently.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray, strum::VariantNames,
)]
pub enum AppType {
    /// Being built.
    #[strum(serialize = "development")]
    Development,
    /// In use.
    #[strum(serialize = "commercial")]
    Commercial,
}

/// Whether an application answers its clients.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray, strum::VariantNames,
)]
pub enum AppStatus {
    /// It does.
    #[strum(serialize = "active")]
    Active,
    /// Its developer switched it off.
    #[strum(serialize = "inactive")]
    Inactive,
    /// Its developer has not paid.
    #[strum(serialize = "suspended")]
    Suspended,
    /// An administrator switched it off.
    #[strum(serialize = "blocked")]
    Blocked,
    /// It has moved to another server.
    #[strum(serialize = "migrated")]
    Migrated,
}

/// An application.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// Its id, which clients know.
    pub id: AppId,
    /// Who owns it.
    pub owner: Owner,
    /// Its name.
    pub name: AppName,
    /// What it is for.
    pub kind: AppType,
    /// Whether it answers.
    pub status: AppStatus,
    /// The claim `iss` of its users' JWTs (RFC 7519 section 4.1.1): fixed at creation.
    pub issuer: String,
    /// Generation of its app token: older ones are refused.
    pub token_generation: i64,
    /// When the app token of this generation was made.
    pub token_issued_at: OffsetDateTime,
    /// Moves whenever anything of the application changes.
    pub revision: i64,
    /// What its developer decides.
    pub settings: AppSettings,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::settings::Preset;

    pub(crate) fn app() -> App {
        let now = OffsetDateTime::UNIX_EPOCH;
        App {
            id: AppId::from_bytes([1; 16]),
            owner: Owner::Server,
            name: AppName::parse("Shop").unwrap(),
            kind: AppType::Development,
            status: AppStatus::Active,
            issuer: "https://auth.example.com/apps/1".to_owned(),
            token_generation: 1,
            token_issued_at: now,
            revision: 1,
            settings: AppSettings::preset(Preset::Recommended),
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(AppName::parse("  My Shop ").unwrap().as_str(), "My Shop");
        assert!(AppName::parse(&"a".repeat(100)).is_ok());
        for wrong in ["", "  ", "a\nb", "a\u{202e}b", &"a".repeat(101)] {
            assert!(AppName::parse(wrong).is_err(), "{wrong}");
        }
    }
}
