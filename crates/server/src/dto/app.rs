//! Applications and their messages: for clients, and for operators.

use latchkey_domain::{App, Audience, EmailTemplate, FixedClaim, MetadataField, Named as _};
use latchkey_service::operate::AppView;
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::macros::format_description;
use utoipa::ToSchema;

use super::iso;
use super::settings::{PrivateSettings, PublicSettings};

/// An application as its clients see it. Keys, tokens, senders and credentials are not among it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Application {
    #[schema(example = "Shop")]
    name: String,
    /// All but `active` refuse every call of users.
    #[schema(pattern = "^(active|inactive|suspended|blocked|migrated)$", example = "active")]
    status: &'static str,
    /// What handles are: kept for clients that read it.
    #[schema(pattern = "^email$", example = "email")]
    handle: &'static str,
    #[serde(flatten)]
    settings: PublicSettings,
    #[schema(pattern = "^(none|google|phone)$", example = "none")]
    two_factor_verification: &'static str,
    /// Fields of users' metadata.
    meta_data: Vec<MetadataFieldBody>,
    /// Fields that a user who invites sets for the invited user.
    meta_data_invite: Vec<MetadataFieldBody>,
    #[schema(example = json!(["EN", "DE"]))]
    locales: Vec<String>,
    #[schema(format = DateTime, example = "2026-11-25T10:00:00.000Z")]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    /// The audiences of Apple's tokens, with commas between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    apple_bundle_id: Option<String>,
    /// The audiences of Google's tokens, with commas between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    google_client_id: Option<String>,
    /// What authenticator apps show.
    #[serde(skip_serializing_if = "Option::is_none")]
    google_app_name: Option<String>,
    /// Failed log-ins before waiting begins: a number, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_login_attempts: Option<String>,
    /// The claim `aud` of users' JWTs; `none` where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    realm_app_id: Option<String>,
    /// What administrators of the application keep with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, additional_properties)]
    app_data: Option<Map<String, Value>>,
}

/// A field of metadata.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MetadataField)]
pub(crate) struct MetadataFieldBody {
    /// Where the value stands, with dots between names.
    #[schema(example = "profile.city")]
    path: String,
    /// The display name in the consumer's user object.
    #[schema(example = "city")]
    field_name: String,
    required: bool,
    #[serde(rename = "type")]
    #[schema(pattern = "^(text|number|boolean|array)$", example = "text")]
    kind: &'static str,
    /// Whether users may set it at all.
    user_settable: bool,
    /// Whether users may change it later.
    #[serde(skip_serializing_if = "Option::is_none")]
    can_edit: Option<bool>,
    /// The claim's value in tokens of users without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<Value>,
}

/// A claim that every user's JWT carries.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FixedClaim)]
pub(crate) struct FixedClaimBody {
    #[schema(example = r"https://hasura\.io/jwt/claims.x-hasura-default-role")]
    path: String,
    #[schema(pattern = "^(text|texts|userId|handle|userName|locale)$", example = "text")]
    source: &'static str,
    /// For `text` and `texts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "user")]
    value: Option<Value>,
}

/// An application as operators see it: what clients see, and the public halves of its keys.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = App)]
pub(crate) struct AdminApplication {
    #[serde(flatten)]
    application: Application,
    #[serde(flatten)]
    settings: PrivateSettings,
    #[schema(pattern = "^[0-9a-f]{32}$", example = "0123456789abcdef0123456789abcdef")]
    app_id: String,
    /// What clients ship with.
    app_token: String,
    /// The public key that signs now: PEM, as one line of base64.
    app_public_key: String,
    #[serde(rename = "type")]
    #[schema(pattern = "^(development|commercial)$", example = "development")]
    kind: &'static str,
    /// The claim `iss` of users' JWTs.
    #[schema(example = "https://auth.example.com/apps/0123456789abcdef0123456789abcdef")]
    issuer: String,
    /// Calling codes to which SMS go.
    #[schema(example = json!(["41", "49"]))]
    sms_countries: Vec<String>,
    /// Whether there is an account at the SMS provider; what it is stays here.
    has_sms_account: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_extension_sender_email: Option<String>,
    /// Claims that every user's JWT carries.
    fixed_claims: Vec<FixedClaimBody>,
    /// What the developer should look at: fields of metadata that let users grant themselves
    /// rights, or that set a claim with a meaning of its own, and links that a mail scanner can use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// A new application, with dates as the reference writes them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatedApp {
    #[schema(example = "Shop")]
    name: String,
    #[schema(pattern = "^[0-9a-f]{32}$", example = "0123456789abcdef0123456789abcdef")]
    app_id: String,
    app_token: String,
    app_public_key: String,
    #[schema(example = "email")]
    handle: &'static str,
    #[schema(example = "active")]
    status: &'static str,
    #[schema(example = json!(["EN"]))]
    locales: Vec<&'static str>,
    invitation_enabled: bool,
    signup_enabled: bool,
    meta_data_email: bool,
    jwt_enabled: bool,
    #[schema(example = "none")]
    two_factor_verification: &'static str,
    #[schema(example = "Wed, 25 Nov 2026 10:00:00 GMT")]
    created_at: String,
    updated_at: String,
}

/// A message as operators see it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EmailTemplate)]
pub(crate) struct TemplateBody {
    /// Its name and locale.
    #[serde(rename = "_id")]
    #[schema(example = "signUp-EN")]
    id: String,
    app_id: String,
    #[schema(example = "signUp")]
    template_name: &'static str,
    #[schema(example = "EN")]
    locale: String,
    subject: String,
    reply_to: String,
    html_template: String,
    locale_link_text: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl Application {
    fn of(app: &App) -> Self {
        let settings = &app.settings;
        let list = |audiences: &[String]| (!audiences.is_empty()).then(|| audiences.join(","));
        Self {
            name: app.name.as_str().to_owned(),
            status: app.status.name(),
            handle: "email",
            settings: PublicSettings::of(settings),
            two_factor_verification: settings.two_factor.name(),
            meta_data: settings.metadata.iter().map(|field| field_body(field, true)).collect(),
            meta_data_invite: settings.invite_metadata.iter().map(|field| field_body(field, false)).collect(),
            locales: settings.locales.iter().map(|locale| locale.as_str().to_owned()).collect(),
            created_at: iso(app.created_at),
            updated_at: iso(app.updated_at),
            apple_bundle_id: list(&settings.apple.audiences),
            google_client_id: list(&settings.google.audiences),
            google_app_name: settings.authenticator_heading.clone(),
            // The reference keeps this number as text.
            max_login_attempts: settings.max_login_attempts.map(|number| number.to_string()),
            realm_app_id: match &settings.audience {
                Audience::None => None,
                Audience::AppId => Some(app.id.to_string()),
                Audience::Fixed(text) => Some(text.clone()),
            },
            app_data: Some(settings.app_data.clone()).filter(|data| !data.is_empty()),
        }
    }
}

/// An application as clients see it.
pub(crate) fn application_json(app: &App) -> Value {
    super::value(&Application::of(app))
}

/// An application as operators see it.
pub(crate) fn admin_app_json(view: &AppView) -> Value {
    let app = &view.app;
    super::value(&AdminApplication {
        application: Application::of(app),
        settings: PrivateSettings::of(&app.settings),
        app_id: app.id.to_string(),
        app_token: view.app_token.clone(),
        app_public_key: view.public_key.to_one_line(),
        kind: app.kind.name(),
        issuer: app.issuer.clone(),
        sms_countries: app.settings.sms_countries.iter().map(|code| code.as_str().to_owned()).collect(),
        has_sms_account: app.settings.sms_account.is_some(),
        email_extension_sender_email: app.settings.mail_sender_address.clone(),
        fixed_claims: app.settings.fixed_claims.iter().map(claim_body).collect(),
        warnings: [app.settings.warnings(), view.warnings.clone()].concat(),
    })
}

/// What creating an application answers.
pub(crate) fn created_app_json(view: &AppView) -> Value {
    let (app, settings) = (&view.app, &view.app.settings);
    super::value(&CreatedApp {
        name: app.name.as_str().to_owned(),
        app_id: app.id.to_string(),
        app_token: view.app_token.clone(),
        app_public_key: view.public_key.to_one_line(),
        handle: "email",
        status: app.status.name(),
        locales: vec!["EN"],
        invitation_enabled: settings.invitation_enabled,
        signup_enabled: settings.signup_enabled,
        meta_data_email: settings.metadata_email,
        jwt_enabled: settings.jwt_enabled,
        two_factor_verification: "none",
        created_at: http_date(app.created_at),
        updated_at: http_date(app.updated_at),
    })
}

/// A message.
pub(crate) fn template_json(template: &EmailTemplate) -> Value {
    super::value(&TemplateBody {
        id: format!("{}-{}", template.name.as_str(), template.locale.as_str()),
        app_id: template.app_id.to_string(),
        template_name: template.name.as_str(),
        locale: template.locale.as_str().to_owned(),
        subject: template.subject.clone(),
        reply_to: template.reply_to.clone(),
        html_template: template.html.clone(),
        locale_link_text: template.link_text.clone(),
        created_at: iso(template.created_at),
        updated_at: iso(template.updated_at),
    })
}

fn field_body(field: &MetadataField, with_can_edit: bool) -> MetadataFieldBody {
    MetadataFieldBody {
        path: field.path.to_string(),
        field_name: field.field_name.clone(),
        required: field.required,
        kind: field.kind.name(),
        user_settable: field.user_settable,
        can_edit: with_can_edit.then_some(field.can_edit),
        default: field.default.clone(),
    }
}

fn claim_body(claim: &FixedClaim) -> FixedClaimBody {
    FixedClaimBody {
        path: claim.path.to_string(),
        source: claim.source.name(),
        value: claim.source.fixed_value(),
    }
}

/// RFC 9110 section 5.6.7.
fn http_date(time: OffsetDateTime) -> String {
    let form = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    time.to_offset(time::UtcOffset::UTC).format(form).unwrap_or_default()
}
