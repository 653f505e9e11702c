//! The settings of an application as they are stored, and as archives hold them: one versioned JSON value. Members that
//! this version does not know are kept, so that a newer version finds them again.

use data_encoding::HEXLOWER;
use latchkey_domain::{
    AppSettings, Audience, CallingCode, ClaimSource, FixedClaim, FixedClaims, LinkAsksPassword, Locale,
    MetadataField, MetadataFields, MetadataKind, MetadataPath, PasswordPolicy, SMS_A_DAY, Sealed, SignupFlow,
    SocialLogin, TwoFactorMode, UserIdFormat,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::StorageError;
use crate::column::{Column, name_of};

const COLUMN: Column = Column("apps", "settings");
const VERSION: u32 = 1;
const SIGNUP_FLOWS: [(SignupFlow, &str); 3] =
    [(SignupFlow::None, "none"), (SignupFlow::Code, "code"), (SignupFlow::Link, "link")];
const LINK_ASKS_PASSWORD: [(LinkAsksPassword, &str); 3] = [
    (LinkAsksPassword::Always, "always"),
    (LinkAsksPassword::Elsewhere, "elsewhere"),
    (LinkAsksPassword::Never, "never"),
];
const TWO_FACTOR_MODES: [(TwoFactorMode, &str); 3] = [
    (TwoFactorMode::None, "none"),
    (TwoFactorMode::Authenticator, "authenticator"),
    (TwoFactorMode::Phone, "phone"),
];
const USER_ID_FORMATS: [(UserIdFormat, &str); 3] = [
    (UserIdFormat::Handle, "handle"),
    (UserIdFormat::HandleUnderscore, "handle_underscore"),
    (UserIdFormat::Uid, "uid"),
];

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    jwt_enabled: bool,
    anonymous_login: bool,
    user_names: bool,
    apple: Social,
    google: Social,
    #[serde(skip_serializing_if = "Option::is_none")]
    authenticator_heading: Option<String>,
    invitation_enabled: bool,
    signup_enabled: bool,
    signup_flow: String,
    #[serde(default = "default_link_asks_password")]
    link_asks_password: String,
    two_factor: String,
    two_factor_confirm: bool,
    qr_code_mail: bool,
    #[serde(default)]
    factor_change_needs_login: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sms_account: Option<String>,
    #[serde(default)]
    sms_countries: Vec<String>,
    #[serde(default = "default_sms_a_day")]
    sms_a_day: u32,
    max_users: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_login_attempts: Option<u32>,
    password: Password,
    user_jwt_hours: u32,
    access_token_days: u32,
    audience: StoredAudience,
    user_id_format: String,
    metadata: Vec<Field>,
    invite_metadata: Vec<Field>,
    metadata_email: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fixed_claims: Vec<Claim>,
    locales: Vec<String>,
    own_mail_sender: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail_sender_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mail_api_key: Option<String>,
    handle_hold_days: u32,
    neutral_answers: bool,
    #[serde(default)]
    anonymous_purge_days: u32,
    #[serde(default, rename = "user_settable_authority")]
    fields_user_settable: bool,
    app_data: Map<String, Value>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Social {
    enabled: bool,
    audiences: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Password {
    filter: bool,
    min_length: u32,
    min_upper: u32,
    min_lower: u32,
    min_digit: u32,
    min_special: u32,
    refuse_common: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredAudience {
    None,
    AppId,
    Fixed(String),
}

#[derive(Serialize, Deserialize)]
struct Field {
    path: String,
    field_name: String,
    required: bool,
    can_edit: bool,
    user_settable: bool,
    #[serde(default)]
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Value>,
}

#[derive(Serialize, Deserialize)]
struct Claim {
    path: String,
    source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Text,
    Number,
    Boolean,
    Array,
}

/// Settings as one versioned JSON value.
///
/// # Errors
/// [`StorageError::Backend`], which cannot happen.
pub fn settings_to_json(settings: &AppSettings) -> Result<Value, StorageError> {
    let social = |login: &SocialLogin| Social { enabled: login.enabled, audiences: login.audiences.clone() };
    let fields = |fields: &MetadataFields| fields.iter().map(to_field).collect();
    let password = settings.password;
    let stored = Stored {
        version: VERSION,
        jwt_enabled: settings.jwt_enabled,
        anonymous_login: settings.anonymous_login,
        user_names: settings.user_names,
        apple: social(&settings.apple),
        google: social(&settings.google),
        authenticator_heading: settings.authenticator_heading.clone(),
        invitation_enabled: settings.invitation_enabled,
        signup_enabled: settings.signup_enabled,
        signup_flow: name_of(&SIGNUP_FLOWS, &settings.signup_flow).to_owned(),
        link_asks_password: name_of(&LINK_ASKS_PASSWORD, &settings.link_asks_password).to_owned(),
        two_factor: name_of(&TWO_FACTOR_MODES, &settings.two_factor).to_owned(),
        two_factor_confirm: settings.two_factor_confirm,
        qr_code_mail: settings.qr_code_mail,
        factor_change_needs_login: settings.factor_change_needs_login,
        sms_account: settings.sms_account.as_ref().map(|account| HEXLOWER.encode(account.as_bytes())),
        sms_countries: settings.sms_countries.iter().map(|code| code.as_str().to_owned()).collect(),
        sms_a_day: settings.sms_a_day,
        max_users: settings.max_users,
        max_login_attempts: settings.max_login_attempts,
        password: Password {
            filter: password.filter,
            min_length: password.min_length,
            min_upper: password.min_upper,
            min_lower: password.min_lower,
            min_digit: password.min_digit,
            min_special: password.min_special,
            refuse_common: password.refuse_common,
        },
        user_jwt_hours: settings.user_jwt_hours,
        access_token_days: settings.access_token_days,
        audience: match &settings.audience {
            Audience::None => StoredAudience::None,
            Audience::AppId => StoredAudience::AppId,
            Audience::Fixed(text) => StoredAudience::Fixed(text.clone()),
        },
        user_id_format: name_of(&USER_ID_FORMATS, &settings.user_id_format).to_owned(),
        metadata: fields(&settings.metadata),
        invite_metadata: fields(&settings.invite_metadata),
        metadata_email: settings.metadata_email,
        fixed_claims: settings.fixed_claims.iter().map(to_claim).collect(),
        locales: settings.locales.iter().map(|locale| locale.as_str().to_owned()).collect(),
        own_mail_sender: settings.own_mail_sender,
        mail_sender_address: settings.mail_sender_address.clone(),
        mail_api_key: settings.mail_api_key.as_ref().map(|key| HEXLOWER.encode(key.as_bytes())),
        handle_hold_days: settings.handle_hold_days,
        neutral_answers: settings.neutral_answers,
        anonymous_purge_days: settings.anonymous_purge_days,
        fields_user_settable: settings.fields_user_settable,
        app_data: settings.app_data.clone(),
        unknown: settings.unknown.clone(),
    };
    serde_json::to_value(stored).map_err(|error| StorageError::Backend(error.into()))
}

/// Parses settings from their stored JSON value.
///
/// # Errors
/// [`StorageError::Inconsistent`] if it is invalid.
pub fn settings_from_json(value: Value) -> Result<AppSettings, StorageError> {
    let stored: Stored = COLUMN.parsed(serde_json::from_value(value))?;
    let social = |login: Social| SocialLogin { enabled: login.enabled, audiences: login.audiences };
    let fields = |fields: Vec<Field>| {
        let fields = fields.into_iter().map(from_field).collect::<Result<_, _>>()?;
        COLUMN.parsed(MetadataFields::existing(fields))
    };
    Ok(AppSettings {
        jwt_enabled: stored.jwt_enabled,
        anonymous_login: stored.anonymous_login,
        user_names: stored.user_names,
        apple: social(stored.apple),
        google: social(stored.google),
        authenticator_heading: stored.authenticator_heading,
        invitation_enabled: stored.invitation_enabled,
        signup_enabled: stored.signup_enabled,
        signup_flow: COLUMN.named(&SIGNUP_FLOWS, &stored.signup_flow)?,
        link_asks_password: COLUMN.named(&LINK_ASKS_PASSWORD, &stored.link_asks_password)?,
        two_factor: COLUMN.named(&TWO_FACTOR_MODES, &stored.two_factor)?,
        two_factor_confirm: stored.two_factor_confirm,
        qr_code_mail: stored.qr_code_mail,
        factor_change_needs_login: stored.factor_change_needs_login,
        sms_account: sealed(stored.sms_account)?,
        sms_countries: COLUMN
            .parsed(stored.sms_countries.iter().map(|code| CallingCode::parse(code)).collect())?,
        sms_a_day: stored.sms_a_day,
        max_users: stored.max_users,
        max_login_attempts: stored.max_login_attempts,
        password: PasswordPolicy {
            filter: stored.password.filter,
            min_length: stored.password.min_length,
            min_upper: stored.password.min_upper,
            min_lower: stored.password.min_lower,
            min_digit: stored.password.min_digit,
            min_special: stored.password.min_special,
            refuse_common: stored.password.refuse_common,
        },
        user_jwt_hours: stored.user_jwt_hours,
        access_token_days: stored.access_token_days,
        audience: match stored.audience {
            StoredAudience::None => Audience::None,
            StoredAudience::AppId => Audience::AppId,
            StoredAudience::Fixed(text) => Audience::Fixed(text),
        },
        user_id_format: COLUMN.named(&USER_ID_FORMATS, &stored.user_id_format)?,
        metadata: fields(stored.metadata)?,
        invite_metadata: fields(stored.invite_metadata)?,
        metadata_email: stored.metadata_email,
        fixed_claims: from_claims(stored.fixed_claims)?,
        locales: COLUMN.parsed(stored.locales.iter().map(|code| Locale::parse(code)).collect())?,
        own_mail_sender: stored.own_mail_sender,
        mail_sender_address: stored.mail_sender_address,
        mail_api_key: sealed(stored.mail_api_key)?,
        handle_hold_days: stored.handle_hold_days,
        neutral_answers: stored.neutral_answers,
        anonymous_purge_days: stored.anonymous_purge_days,
        fields_user_settable: stored.fields_user_settable,
        app_data: stored.app_data,
        unknown: stored.unknown,
    })
}

fn to_field(field: &MetadataField) -> Field {
    Field {
        path: field.path.to_string(),
        field_name: field.field_name.clone(),
        required: field.required,
        can_edit: field.can_edit,
        user_settable: field.user_settable,
        kind: match field.kind {
            MetadataKind::Text => Kind::Text,
            MetadataKind::Number => Kind::Number,
            MetadataKind::Boolean => Kind::Boolean,
            MetadataKind::Array => Kind::Array,
        },
        default: field.default.clone(),
    }
}

fn to_claim(claim: &FixedClaim) -> Claim {
    Claim {
        path: claim.path.to_string(),
        source: claim.source.name().to_owned(),
        value: claim.source.fixed_value(),
    }
}

fn from_claims(stored: Vec<Claim>) -> Result<FixedClaims, StorageError> {
    let claims = stored.into_iter().map(|claim| {
        Ok(FixedClaim {
            path: COLUMN.parsed(MetadataPath::from_stored(&claim.path))?,
            source: ClaimSource::from_parts(&claim.source, claim.value.as_ref())
                .map_err(|_| COLUMN.wrong())?,
        })
    });
    COLUMN.parsed(FixedClaims::new(claims.collect::<Result<_, StorageError>>()?))
}

fn default_link_asks_password() -> String {
    name_of(&LINK_ASKS_PASSWORD, &LinkAsksPassword::Elsewhere).to_owned()
}

fn default_sms_a_day() -> u32 {
    SMS_A_DAY
}

fn sealed(stored: Option<String>) -> Result<Option<Sealed>, StorageError> {
    let bytes = stored.map(|hex| COLUMN.parsed(HEXLOWER.decode(hex.as_bytes()))).transpose()?;
    Ok(bytes.map(Sealed::from_bytes))
}

fn from_field(field: Field) -> Result<MetadataField, StorageError> {
    Ok(MetadataField {
        path: COLUMN.parsed(MetadataPath::from_stored(&field.path))?,
        field_name: field.field_name,
        required: field.required,
        can_edit: field.can_edit,
        user_settable: field.user_settable,
        kind: match field.kind {
            Kind::Text => MetadataKind::Text,
            Kind::Number => MetadataKind::Number,
            Kind::Boolean => MetadataKind::Boolean,
            Kind::Array => MetadataKind::Array,
        },
        default: field.default,
    })
}

#[cfg(test)]
mod tests {
    use latchkey_domain::Preset;

    use super::*;

    #[test]
    fn settings_survive_storage_and_unknown_members_are_kept() {
        let mut settings = AppSettings::preset(Preset::Recommended);
        let field = |path: &str| Field {
            path: path.to_owned(),
            field_name: "x".to_owned(),
            required: true,
            can_edit: false,
            user_settable: true,
            kind: Kind::Number,
            default: Some(7.into()),
        };
        settings.metadata =
            MetadataFields::new(vec![from_field(field("a.b")).unwrap(), from_field(field("c")).unwrap()])
                .unwrap();
        settings.audience = Audience::Fixed("realm".to_owned());
        settings.max_login_attempts = Some(5);
        settings.mail_api_key = Some(Sealed::from_bytes(vec![0, 1, 0xfe, 0xff]));
        settings.sms_account = Some(Sealed::from_bytes(vec![7, 8]));
        settings.sms_countries = vec![CallingCode::parse("49").unwrap()];
        settings.sms_a_day = 7;
        settings.fixed_claims = from_claims(vec![
            Claim {
                path: r"https://a\.b/c.role".to_owned(),
                source: "text".to_owned(),
                value: Some("user".into()),
            },
            Claim { path: "id".to_owned(), source: "userId".to_owned(), value: None },
        ])
        .unwrap();
        let mut stored = settings_to_json(&settings).unwrap();
        assert_eq!(settings_from_json(stored.clone()).unwrap(), settings);
        stored["from_the_future"] = serde_json::json!({"x": 1});
        let read = settings_from_json(stored.clone()).unwrap();
        assert_eq!(settings_to_json(&read).unwrap(), stored);
        stored["signup_flow"] = "other".into();
        assert!(matches!(settings_from_json(stored), Err(StorageError::Inconsistent { .. })));
        assert_ne!(AppSettings::preset(Preset::Compatible), AppSettings::preset(Preset::Recommended));
    }
}
