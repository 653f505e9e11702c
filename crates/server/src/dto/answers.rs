//! Answers that are not single domain objects: tokens, pages of lists, numbers.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{AdminApplication, Entry, InviteBody, KeyBody, SignupBody, TemplateBody, UserBody, WaitingBody};

/// The tokens of a log-in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(crate) struct TokensBody {
    /// For the consumer's database or backend: RS256, verified with the application's public key.
    pub(crate) jwt: String,
    /// For the next calls to this API, in the header of the same name.
    #[serde(rename = "access-token")]
    pub(crate) access_token: String,
}

/// The answer to a log-in that requires a second factor.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoginToken {
    /// For `loginComplete`: valid for ten minutes, once.
    #[serde(rename = "login-token")]
    pub(crate) login_token: String,
}

/// A new authenticator.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FactorSecret {
    /// Base32, as authenticator apps take it.
    #[serde(rename = "googleSecretKey")]
    pub(crate) secret: String,
    /// The same as a picture: a `data:` URL of a PNG.
    #[serde(rename = "QRDataImage")]
    pub(crate) picture: String,
}

/// Each replaces a second factor once.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecoveryCodes {
    pub(crate) recovery_codes: Vec<String>,
}

/// Whether a user name is free.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Available {
    pub(crate) available: bool,
}

/// The claims of a user's JWT.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Claims {
    #[schema(value_type = Object, additional_properties)]
    pub(crate) claims: Value,
}

/// Pages of lists, and how many there are in all.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stat {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<UserBody>>)]
    pub(crate) users: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total_user: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total_anon_user: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<InviteBody>>)]
    pub(crate) invites: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total_invite: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<SignupBody>>)]
    pub(crate) signups: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total_signup: Option<u64>,
}

/// What became of handles that were invited.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Invited {
    pub(crate) invites: Vec<InviteBody>,
    /// Who is a user, or invited already.
    pub(crate) exists: Vec<String>,
    /// Handles whose mail was throttled: they are not invited.
    pub(crate) not_sent: Vec<String>,
}

/// The keys of an application.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Keys {
    #[schema(value_type = Vec<KeyBody>)]
    pub(crate) keys: Vec<Value>,
}

/// A page of the log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogPage {
    pub(crate) total_log: u64,
    #[schema(value_type = Vec<Entry>)]
    pub(crate) logs: Vec<Value>,
    /// What `after` is for the next page.
    pub(crate) next: Option<String>,
}

/// Messages that have not left.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Outbox {
    #[schema(value_type = Vec<WaitingBody>)]
    pub(crate) messages: Vec<Value>,
    /// What `after` is for the next page.
    pub(crate) next: Option<String>,
}

/// The owner of a valid access token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckedToken {
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub(crate) app_id: String,
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub(crate) user_id: String,
    #[schema(example = "ana@example.com")]
    pub(crate) handle: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_name: Option<String>,
}

/// How many messages are tried again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Retried {
    pub(crate) retried: usize,
}

/// Statistics per day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Statistics {
    pub(crate) days: Vec<Day>,
    pub(crate) totals: BTreeMap<&'static str, u64>,
}

/// Statistics of a day, in UTC.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Day {
    #[schema(format = Date, example = "2026-11-25")]
    pub(crate) day: String,
    #[serde(flatten)]
    pub(crate) numbers: BTreeMap<&'static str, u64>,
}

/// Tokens of an administrator of an application.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SuperTokens {
    /// For the team's backends.
    pub(crate) jwt: String,
    /// For `setAppData`.
    #[serde(rename = "access-token")]
    pub(crate) access_token: String,
    #[schema(format = DateTime)]
    pub(crate) expires_at: String,
}

/// The locales that are offered, and the messages in them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Locales {
    pub(crate) app_id: String,
    #[schema(example = json!(["EN", "DE"]))]
    pub(crate) locales: Vec<String>,
    #[schema(value_type = HashMap<String, Vec<TemplateBody>>)]
    pub(crate) locales_template: Value,
}

/// The code that a test message holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TestCode {
    pub(crate) two_factor_code: u32,
}

/// This server, as consoles list versions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Version {
    pub(crate) name: &'static str,
    pub(crate) service: &'static str,
    pub(crate) desc: &'static str,
    pub(crate) version_number: &'static str,
    pub(crate) status: &'static str,
}

/// An application that came from a zip file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportedApp {
    #[serde(flatten)]
    #[schema(inline, value_type = AdminApplication)]
    pub(crate) app: Value,
    /// Values that could not be imported.
    pub(crate) lost: Vec<String>,
}

/// Where consumers find what they need to verify tokens (OpenID Connect Discovery 1.0 section 3, as far as it applies).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Discovery {
    pub(crate) issuer: String,
    pub(crate) jwks_uri: String,
    #[schema(value_type = Vec<String>)]
    pub(crate) id_token_signing_alg_values_supported: [&'static str; 1],
    #[schema(value_type = Vec<String>)]
    pub(crate) subject_types_supported: [&'static str; 1],
    #[schema(value_type = Vec<String>)]
    pub(crate) response_types_supported: [&'static str; 1],
}

/// A public key (RFC 7517 section 4, RFC 7518 section 6.3.1), as it is described: it comes ready from where keys are.
#[derive(ToSchema)]
#[schema(as = PublicKey)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct PublicKey {
    #[schema(pattern = "^RSA$", example = "RSA")]
    kty: String,
    #[schema(rename = "use", pattern = "^sig$", example = "sig")]
    usage: String,
    #[schema(pattern = "^RS256$", example = "RS256")]
    alg: String,
    /// Its thumbprint (RFC 7638), which tokens name in their header.
    #[schema(example = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")]
    kid: String,
    /// The modulus.
    n: String,
    #[schema(example = "AQAB")]
    e: String,
}

/// Public keys (RFC 7517 section 5).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeySet)]
pub(crate) struct KeySet {
    #[schema(value_type = Vec<PublicKey>)]
    pub(crate) keys: Vec<Map<String, Value>>,
}

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(pattern = "^(live|ready)$", example = "ready")]
    pub(crate) status: &'static str,
}
