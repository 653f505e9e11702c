//! The records of an application in imports and exports: plain values, named as in `docs/import-export.md`.
//! Importers validate them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

/// A time (RFC 3339), UTC, with microseconds.
mod stamp {
    use serde::{Deserialize, Deserializer, Serializer, de, ser};
    use time::format_description::well_known::Rfc3339;
    use time::macros::format_description;
    use time::{OffsetDateTime, UtcOffset};

    pub(super) fn serialize<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
        let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
        let text = time.to_offset(UtcOffset::UTC).format(form).map_err(ser::Error::custom)?;
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<OffsetDateTime, D::Error> {
        let text = String::deserialize(from)?;
        parse(&text)
            .ok_or_else(|| de::Error::custom(format!("{text:?} is no time such as 2026-11-25T10:00:00Z")))
    }

    /// Databases store microseconds.
    pub(super) fn parse(text: &str) -> Option<OffsetDateTime> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?.to_offset(UtcOffset::UTC);
        let whole = time.replace_nanosecond(time.microsecond() * 1_000).ok()?;
        (1970..=9998).contains(&whole.year()).then_some(whole)
    }

    pub(super) mod maybe {
        use serde::{Deserialize, Deserializer, Serializer, de};
        use time::OffsetDateTime;

        pub(in super::super) fn serialize<S: Serializer>(
            time: &Option<OffsetDateTime>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => super::serialize(time, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<OffsetDateTime>, D::Error> {
            let Some(text) = Option::<String>::deserialize(from)?.filter(|text| !text.is_empty()) else {
                return Ok(None);
            };
            let wrong = || de::Error::custom(format!("{text:?} is no time such as 2026-11-25T10:00:00Z"));
            super::parse(&text).map(Some).ok_or_else(wrong)
        }
    }
}

/// One line of an archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Record {
    /// The application itself.
    App(AppRecord),
    /// One of its keys.
    Key(KeyRecord),
    /// One of its messages, as it words them.
    Template(TemplateRecord),
    /// One of its users.
    User(UserRecord),
    /// A pending sign-up.
    Signup(SignupRecord),
    /// A pending invitation.
    Invite(InviteRecord),
}

impl Record {
    /// What it is, for people.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::App(_) => "application",
            Self::Key(_) => "key",
            Self::Template(_) => "message",
            Self::User(_) => "user",
            Self::Signup(_) => "sign-up",
            Self::Invite(_) => "invitation",
        }
    }

    /// The handle of the person it is about, if it is about one.
    #[must_use]
    pub fn handle(&self) -> Option<&str> {
        match self {
            Self::User(user) => Some(&user.handle),
            Self::Signup(signup) => Some(&signup.handle),
            Self::Invite(invite) => Some(&invite.handle),
            Self::App(_) | Self::Key(_) | Self::Template(_) => None,
        }
    }
}

/// Whether an archive holds what must stay secret, sealed to a passphrase: private keys, authenticators' secrets,
/// accounts at providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// It holds none.
    Absent,
    /// It holds them, sealed.
    Sealed,
}

/// An application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppRecord {
    /// Its id: 32 hexadecimal digits.
    pub app_id: String,
    /// Its name.
    pub name: String,
    /// `development` or `commercial`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `active`, `inactive`, `suspended`, `blocked` or `migrated`.
    pub status: String,
    /// The claim `iss` of its users' JWTs.
    pub issuer: String,
    /// Its settings, as they are stored, without what is secret.
    pub settings: Value,
    /// Its account at the mail provider, sealed to the passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_account: Option<String>,
    /// Its account at the SMS provider, sealed to the passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sms_account: Option<String>,
    /// When it was made.
    #[serde(with = "stamp")]
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "stamp")]
    pub updated_at: OffsetDateTime,
}

/// A key of an application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyRecord {
    /// The public half: PEM (SPKI).
    pub public_key: String,
    /// The private half (PKCS#8), encrypted with the passphrase. `None` if secrets were not requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<String>,
    /// When it was made.
    #[serde(with = "stamp")]
    pub created_at: OffsetDateTime,
    /// From when on it signs.
    #[serde(with = "stamp")]
    pub signs_from: OffsetDateTime,
    /// Until when it is published.
    #[serde(with = "stamp::maybe", default, skip_serializing_if = "Option::is_none")]
    pub published_until: Option<OffsetDateTime>,
    /// The latest expiry of tokens that it signed while tokens lived longer than now.
    #[serde(with = "stamp::maybe", default, skip_serializing_if = "Option::is_none")]
    pub tokens_until: Option<OffsetDateTime>,
}

/// A message, as an application words it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateRecord {
    /// Its name, such as `signUp`.
    pub name: String,
    /// Its locale.
    pub locale: String,
    /// Its subject.
    pub subject: String,
    /// Where answers go.
    #[serde(default)]
    pub reply_to: String,
    /// Its body.
    pub html: String,
    /// What its link is called.
    #[serde(default)]
    pub link_text: String,
    /// When it was first worded.
    #[serde(with = "stamp")]
    pub created_at: OffsetDateTime,
    /// When it was last worded.
    #[serde(with = "stamp")]
    pub updated_at: OffsetDateTime,
}

/// The input of a password hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DigestOver {
    /// The lower-case hexadecimal MD5 of the password, as the SDKs send it.
    #[default]
    Md5,
    /// The password itself.
    Raw,
}

impl DigestOver {
    fn is_md5(&self) -> bool {
        *self == Self::Md5
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserRecord {
    /// Their handle.
    pub handle: String,
    /// Their id: 32 hexadecimal digits. Without one, it follows from application, handle and time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Their user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// `active` or `suspend`; none is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The digest of their password: argon2id (PHC) or bcrypt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The input of the hash.
    #[serde(default, skip_serializing_if = "DigestOver::is_md5")]
    pub password_over: DigestOver,
    /// Their locale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Their metadata.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub meta_data: Map<String, Value>,
    /// The phone number that the user set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The number that they verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_phone: Option<String>,
    /// Whether codes by SMS are their second factor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub phone_factor: bool,
    /// Whether an authenticator app is their second factor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub authenticator: bool,
    /// Its secret, encrypted with the passphrase. `None` if secrets were not requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticator_secret: Option<String>,
    /// `apple` or `google`, for those who sign in with its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The claim `sub` of its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_subject: Option<String>,
    /// Whether they administer the application.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub administrator: bool,
    /// Whether the handle was verified as an address of theirs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub email_verified: bool,
    /// When they became a user.
    #[serde(with = "stamp::maybe", default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<OffsetDateTime>,
    /// When something of theirs last changed.
    #[serde(with = "stamp::maybe", default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<OffsetDateTime>,
    /// When they last signed in.
    #[serde(with = "stamp::maybe", default, skip_serializing_if = "Option::is_none")]
    pub last_login_at: Option<OffsetDateTime>,
}

/// A pending sign-up. Its code is not moved: the user requests another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignupRecord {
    /// The handle that they claim.
    pub handle: String,
    /// Its id.
    pub id: String,
    /// The id that they will have.
    pub user_id: String,
    /// `pending` or `verified`.
    pub status: String,
    /// The digest of their password.
    pub password: String,
    /// Their locale.
    pub locale: String,
    /// Their metadata.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub meta_data: Map<String, Value>,
    /// When they began.
    #[serde(with = "stamp")]
    pub created_at: OffsetDateTime,
    /// The time of the last request. `None` means the time of the import.
    #[serde(with = "stamp::maybe", default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<OffsetDateTime>,
}

/// A pending invitation. Its code is not moved: the sender sends another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InviteRecord {
    /// Who is invited.
    pub handle: String,
    /// Its id.
    pub id: String,
    /// The sender's id.
    pub sender_id: String,
    /// Their handle.
    pub sender_handle: String,
    /// What their client called them.
    #[serde(default)]
    pub sender_reference: String,
    /// `pending` or `verified`.
    pub status: String,
    /// The language of its mail.
    pub locale: String,
    /// Metadata that the sender sets for the invited user.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub meta_data: Map<String, Value>,
    /// When it was made.
    #[serde(with = "stamp")]
    pub created_at: OffsetDateTime,
    /// When it was last repeated; none is when it came here.
    #[serde(with = "stamp::maybe", default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<OffsetDateTime>,
}
