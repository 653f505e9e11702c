//! The settings of an application as they are stored, and as archives hold them: one versioned JSON value. Members that
//! this version does not know are kept, so that a newer version finds them again.

use data_encoding::HEXLOWER;
use latchkey_domain::{
    AppSettings, Audience, CallingCode, ClaimSource, FixedClaim, FixedClaims, Locale, MetadataField,
    MetadataFields, MetadataKind, MetadataPath, PLAIN_SETTINGS, PlainKind, PlainSetting, PlainValue, Preset,
    Sealed, SocialLogin, TwoFactorMode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::StorageError;
use crate::column::{Column, name_of};

const COLUMN: Column = Column("apps", "settings");
const VERSION: u32 = 1;
const TWO_FACTOR_MODES: [(TwoFactorMode, &str); 3] = [
    (TwoFactorMode::None, "none"),
    (TwoFactorMode::Authenticator, "authenticator"),
    (TwoFactorMode::Phone, "phone"),
];
/// The member in which each of the [`PLAIN_SETTINGS`] is stored, by its field in the API and in the order of that table.
/// Choices are stored by the names that the API has for them.
const PLAIN: [(&str, &str); PLAIN_SETTINGS.len()] = [
    ("invitationEnabled", "invitation_enabled"),
    ("signupEnabled", "signup_enabled"),
    ("signupFlow", "signup_flow"),
    ("jwtEnabled", "jwt_enabled"),
    ("userNamesEnabled", "user_names"),
    ("anonymousLoginEnabled", "anonymous_login"),
    ("maxUsers", "max_users"),
    ("userJWTExpiration", "user_jwt_hours"),
    ("accessTokenDays", "access_token_days"),
    ("metaDataEmail", "metadata_email"),
    ("emailExtension", "own_mail_sender"),
    ("twoFactorConfirm", "two_factor_confirm"),
    ("qrCodeMail", "qr_code_mail"),
    ("factorChangeNeedsLogin", "factor_change_needs_login"),
    ("smsADay", "sms_a_day"),
    ("userIdFormat", "user_id_format"),
    ("linkAsksPassword", "link_asks_password"),
    ("handleHoldDays", "handle_hold_days"),
    ("neutralAnswers", "neutral_answers"),
    ("anonymousPurgeDays", "anonymous_purge_days"),
    ("passwordFilter", "password.filter"),
    ("passwordMinLength", "password.min_length"),
    ("passwordMinUpper", "password.min_upper"),
    ("passwordMinLower", "password.min_lower"),
    ("passwordMinDigit", "password.min_digit"),
    ("passwordMinSpecial", "password.min_special"),
    ("refuseCommonPasswords", "password.refuse_common"),
    ("appleLoginEnabled", "apple.enabled"),
    ("googleLoginEnabled", "google.enabled"),
];

/// The settings beside the plain ones.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    apple: Social,
    google: Social,
    #[serde(skip_serializing_if = "Option::is_none")]
    authenticator_heading: Option<String>,
    two_factor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sms_account: Option<String>,
    #[serde(default)]
    sms_countries: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_login_attempts: Option<u32>,
    audience: StoredAudience,
    metadata: Vec<Field>,
    invite_metadata: Vec<Field>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fixed_claims: Vec<Claim>,
    locales: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail_sender_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mail_api_key: Option<String>,
    #[serde(default, rename = "user_settable_authority")]
    fields_user_settable: bool,
    app_data: Map<String, Value>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Social {
    audiences: Vec<String>,
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
    let social = |login: &SocialLogin| Social { audiences: login.audiences.clone() };
    let fields = |fields: &MetadataFields| fields.iter().map(to_field).collect();
    let stored = Stored {
        version: VERSION,
        apple: social(&settings.apple),
        google: social(&settings.google),
        authenticator_heading: settings.authenticator_heading.clone(),
        two_factor: name_of(&TWO_FACTOR_MODES, &settings.two_factor).to_owned(),
        sms_account: settings.sms_account.as_ref().map(|account| HEXLOWER.encode(account.as_bytes())),
        sms_countries: settings.sms_countries.iter().map(|code| code.as_str().to_owned()).collect(),
        max_login_attempts: settings.max_login_attempts,
        audience: match &settings.audience {
            Audience::None => StoredAudience::None,
            Audience::AppId => StoredAudience::AppId,
            Audience::Fixed(text) => StoredAudience::Fixed(text.clone()),
        },
        metadata: fields(&settings.metadata),
        invite_metadata: fields(&settings.invite_metadata),
        fixed_claims: settings.fixed_claims.iter().map(to_claim).collect(),
        locales: settings.locales.iter().map(|locale| locale.as_str().to_owned()).collect(),
        mail_sender_address: settings.mail_sender_address.clone(),
        mail_api_key: settings.mail_api_key.as_ref().map(|key| HEXLOWER.encode(key.as_bytes())),
        fields_user_settable: settings.fields_user_settable,
        app_data: settings.app_data.clone(),
        unknown: settings.unknown.clone(),
    };
    let mut json = serde_json::to_value(stored).map_err(|error| StorageError::Backend(error.into()))?;
    for (setting, (_, member)) in PLAIN_SETTINGS.iter().zip(PLAIN) {
        let value = match setting.value(settings) {
            PlainValue::Flag(on) => on.into(),
            PlainValue::Number(number) => number.into(),
            PlainValue::Choice(name) => name.into(),
        };
        let (object, name) = place_of(&mut json, member).ok_or_else(|| COLUMN.wrong())?;
        object.insert(name.to_owned(), value);
    }
    Ok(json)
}

/// The object that holds a member, and the member's name there.
fn place_of<'v>(
    json: &'v mut Value,
    member: &'static str,
) -> Option<(&'v mut Map<String, Value>, &'static str)> {
    let object = json.as_object_mut()?;
    match member.split_once('.') {
        None => Some((object, member)),
        Some((outer, inner)) => {
            let inner_object = object.entry(outer).or_insert_with(|| Value::Object(Map::new()));
            Some((inner_object.as_object_mut()?, inner))
        }
    }
}

/// A value as it was stored.
fn plain_value(setting: &PlainSetting, stored: &Value) -> Option<PlainValue> {
    match (&setting.kind, stored) {
        (PlainKind::Flag { .. }, Value::Bool(on)) => Some(PlainValue::Flag(*on)),
        (PlainKind::Number { .. }, Value::Number(number)) => {
            u32::try_from(number.as_u64()?).ok().map(PlainValue::Number)
        }
        (PlainKind::Choice { names, .. }, Value::String(text)) => {
            names.iter().find(|name| *name == text).map(|name| PlainValue::Choice(name))
        }
        _ => None,
    }
}

/// Parses settings from their stored JSON value.
///
/// # Errors
/// [`StorageError::Inconsistent`] if it is invalid.
pub fn settings_from_json(mut value: Value) -> Result<AppSettings, StorageError> {
    let mut plain = Vec::with_capacity(PLAIN.len());
    for (setting, (_, member)) in PLAIN_SETTINGS.iter().zip(PLAIN) {
        let place = place_of(&mut value, member).ok_or_else(|| COLUMN.wrong())?;
        if let Some(stored) = place.0.remove(place.1) {
            plain.push((setting, plain_value(setting, &stored).ok_or_else(|| COLUMN.wrong())?));
        }
    }
    // Nothing else is in it.
    value.as_object_mut().and_then(|members| members.remove("password"));
    let stored: Stored = COLUMN.parsed(serde_json::from_value(value))?;
    let social = |login: Social| SocialLogin { enabled: false, audiences: login.audiences };
    let fields = |fields: Vec<Field>| {
        let fields = fields.into_iter().map(from_field).collect::<Result<_, _>>()?;
        COLUMN.parsed(MetadataFields::existing(fields))
    };
    let mut settings = AppSettings {
        apple: social(stored.apple),
        google: social(stored.google),
        authenticator_heading: stored.authenticator_heading,
        two_factor: COLUMN.named(&TWO_FACTOR_MODES, &stored.two_factor)?,
        sms_account: sealed(stored.sms_account)?,
        sms_countries: COLUMN
            .parsed(stored.sms_countries.iter().map(|code| CallingCode::parse(code)).collect())?,
        max_login_attempts: stored.max_login_attempts,
        audience: match stored.audience {
            StoredAudience::None => Audience::None,
            StoredAudience::AppId => Audience::AppId,
            StoredAudience::Fixed(text) => Audience::Fixed(text),
        },
        metadata: fields(stored.metadata)?,
        invite_metadata: fields(stored.invite_metadata)?,
        fixed_claims: from_claims(stored.fixed_claims)?,
        locales: COLUMN.parsed(stored.locales.iter().map(|code| Locale::parse(code)).collect())?,
        mail_sender_address: stored.mail_sender_address,
        mail_api_key: sealed(stored.mail_api_key)?,
        fields_user_settable: stored.fields_user_settable,
        app_data: stored.app_data,
        unknown: stored.unknown,
        // A plain setting that is missing is one that an earlier version did not have.
        ..AppSettings::preset(Preset::Compatible)
    };
    plain.into_iter().for_each(|(setting, value)| setting.restore(&mut settings, value));
    Ok(settings)
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
    use super::*;

    #[test]
    fn settings_are_stored_by_the_names_that_they_always_had() {
        for (setting, (field, _)) in PLAIN_SETTINGS.iter().zip(PLAIN) {
            assert_eq!(setting.field, field);
        }
        let stored = settings_to_json(&AppSettings::preset(Preset::Compatible)).unwrap();
        let expected = serde_json::json!({
            "version": 1, "jwt_enabled": true, "anonymous_login": false, "user_names": false,
            "apple": {"enabled": false, "audiences": []}, "google": {"enabled": false, "audiences": []},
            "invitation_enabled": true, "signup_enabled": true, "signup_flow": "code",
            "link_asks_password": "elsewhere", "two_factor": "none", "two_factor_confirm": false,
            "qr_code_mail": true, "factor_change_needs_login": false, "sms_countries": [], "sms_a_day": 200,
            "max_users": 0, "password": {
                "filter": false, "min_length": 5, "min_upper": 0, "min_lower": 0, "min_digit": 0,
                "min_special": 0, "refuse_common": false,
            },
            "user_jwt_hours": 24, "access_token_days": 365, "audience": "none", "user_id_format": "handle",
            "metadata": [], "invite_metadata": [], "metadata_email": true, "locales": ["EN"],
            "own_mail_sender": false, "handle_hold_days": 0, "neutral_answers": false,
            "anonymous_purge_days": 0, "user_settable_authority": true, "app_data": {},
        });
        assert_eq!(stored, expected);
        let Value::Object(members) = stored else { panic!("an object") };
        for member in ["max_users", "anonymous_purge_days", "link_asks_password"] {
            let mut older = members.clone();
            older.remove(member);
            let read = settings_from_json(Value::Object(older)).unwrap();
            assert_eq!(read, AppSettings::preset(Preset::Compatible), "before {member}");
        }
        for (member, wrong) in [("max_users", "-1"), ("signup_flow", "\"telepathy\""), ("user_names", "1")] {
            let mut broken = members.clone();
            broken.insert(member.to_owned(), wrong.parse().unwrap());
            assert!(settings_from_json(Value::Object(broken)).is_err(), "{member}");
        }
    }

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
