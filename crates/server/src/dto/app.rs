//! Applications and their messages: for clients, and for operators.

use latchkey_domain::{
    App, AppStatus, AppType, Audience, EmailTemplate, MetadataField, MetadataKind, SignupFlow, TwoFactorMode,
    UserIdFormat,
};
use latchkey_service::AppView;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::http::iso;

/// What a client may know. Keys, tokens, senders and credentials are not among it.
pub(crate) fn application_json(app: &App) -> Value {
    let settings = &app.settings;
    let mut body = json!({
        "name": app.name.as_str(),
        "status": status(app.status),
        "handle": "email",
        "signupFlow": match settings.signup_flow {
            SignupFlow::None => "none",
            SignupFlow::Code => "code",
            SignupFlow::Link => "link",
        },
        "signupEnabled": settings.signup_enabled,
        "invitationEnabled": settings.invitation_enabled,
        "anonymousLoginEnabled": settings.anonymous_login,
        "userNamesEnabled": settings.user_names,
        "jwtEnabled": settings.jwt_enabled,
        "appleLoginEnabled": settings.apple.enabled,
        "googleLoginEnabled": settings.google.enabled,
        "twoFactorVerification": match settings.two_factor {
            TwoFactorMode::None => "none",
            TwoFactorMode::Authenticator => "google",
            TwoFactorMode::Phone => "phone",
        },
        "passwordFilter": settings.password.filter,
        "passwordMinLength": settings.password.min_length,
        "passwordMinUpper": settings.password.min_upper,
        "passwordMinLower": settings.password.min_lower,
        "passwordMinDigit": settings.password.min_digit,
        "passwordMinSpecial": settings.password.min_special,
        "userJWTExpiration": settings.user_jwt_hours,
        "maxUsers": settings.max_users,
        "metaData": settings.metadata.iter().map(|field| field_json(field, true)).collect::<Vec<_>>(),
        "metaDataInvite": settings.invite_metadata.iter().map(|field| field_json(field, false)).collect::<Vec<_>>(),
        "metaDataEmail": settings.metadata_email,
        "locales": settings.locales.iter().map(latchkey_domain::Locale::as_str).collect::<Vec<_>>(),
        "emailExtension": settings.own_mail_sender,
        "createdAt": iso(app.created_at),
        "updatedAt": iso(app.updated_at),
    });
    let mut optional = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            optional.insert(name.to_owned(), value);
        }
    };
    let list = |audiences: &[String]| (!audiences.is_empty()).then(|| audiences.join(",").into());
    set("appleBundleId", list(&settings.apple.audiences));
    set("googleClientId", list(&settings.google.audiences));
    set("googleAppName", settings.authenticator_heading.clone().map(Value::from));
    // The reference keeps this number as text.
    set("maxLoginAttempts", settings.max_login_attempts.map(|number| number.to_string().into()));
    set(
        "realmAppId",
        match &settings.audience {
            Audience::None => None,
            Audience::AppId => Some(app.id.to_string().into()),
            Audience::Fixed(text) => Some(text.clone().into()),
        },
    );
    set("appData", (!settings.app_data.is_empty()).then(|| Value::Object(settings.app_data.clone())));
    with(body.take(), optional)
}

/// What an operator sees: all of the above, and the public halves of its keys.
pub(crate) fn admin_app_json(view: &AppView) -> Value {
    let app = &view.app;
    let more = json!({
        "appId": app.id.to_string(),
        "appToken": view.app_token,
        "appPublicKey": view.public_key.to_one_line(),
        "type": match app.kind {
            AppType::Development => "development",
            AppType::Commercial => "commercial",
        },
        "issuer": app.issuer,
        "userIdFormat": match app.settings.user_id_format {
            UserIdFormat::Handle => "handle",
            UserIdFormat::HandleUnderscore => "handle_underscore",
            UserIdFormat::Uid => "uid",
        },
        "accessTokenDays": app.settings.access_token_days,
        "refuseCommonPasswords": app.settings.password.refuse_common,
        "handleHoldDays": app.settings.handle_hold_days,
        "neutralAnswers": app.settings.neutral_answers,
        "anonymousPurgeDays": app.settings.anonymous_purge_days,
        "twoFactorConfirm": app.settings.two_factor_confirm,
        "qrCodeMail": app.settings.qr_code_mail,
        "factorChangeNeedsLogin": app.settings.factor_change_needs_login,
        "smsCountries": app.settings.sms_countries.iter().map(|code| code.as_str()).collect::<Vec<_>>(),
        "smsADay": app.settings.sms_a_day,
        "hasSmsAccount": app.settings.sms_account.is_some(),
    });
    let mut more = if let Value::Object(more) = more { more } else { Map::new() };
    if let Some(sender) = &app.settings.mail_sender_address {
        more.insert("emailExtensionSenderEmail".to_owned(), sender.clone().into());
    }
    with(application_json(app), more)
}

/// What creating an application answers, with the reference's dates.
pub(crate) fn created_app_json(view: &AppView) -> Value {
    let (app, settings) = (&view.app, &view.app.settings);
    json!({
        "name": app.name.as_str(),
        "appId": app.id.to_string(),
        "appToken": view.app_token,
        "appPublicKey": view.public_key.to_one_line(),
        "handle": "email",
        "status": status(app.status),
        "locales": ["EN"],
        "invitationEnabled": settings.invitation_enabled,
        "signupEnabled": settings.signup_enabled,
        "metaDataEmail": settings.metadata_email,
        "jwtEnabled": settings.jwt_enabled,
        "twoFactorVerification": "none",
        "createdAt": http_date(app.created_at),
        "updatedAt": http_date(app.updated_at),
    })
}

/// A message as operators see it. Its id is its name and locale.
pub(crate) fn template_json(template: &EmailTemplate) -> Value {
    json!({
        "_id": format!("{}-{}", template.name.as_str(), template.locale.as_str()),
        "appId": template.app_id.to_string(),
        "templateName": template.name.as_str(),
        "locale": template.locale.as_str(),
        "subject": template.subject,
        "replyTo": template.reply_to,
        "htmlTemplate": template.html,
        "localeLinkText": template.link_text,
        "createdAt": iso(template.created_at),
        "updatedAt": iso(template.updated_at),
    })
}

fn with(body: Value, mut more: Map<String, Value>) -> Value {
    match body {
        Value::Object(mut fields) => {
            fields.append(&mut more);
            Value::Object(fields)
        }
        other => other,
    }
}

fn status(status: AppStatus) -> &'static str {
    match status {
        AppStatus::Active => "active",
        AppStatus::Inactive => "inactive",
        AppStatus::Suspended => "suspended",
        AppStatus::Blocked => "blocked",
        AppStatus::Migrated => "migrated",
    }
}

fn field_json(field: &MetadataField, with_can_edit: bool) -> Value {
    let mut json = json!({
        "path": field.path.to_string(),
        "fieldName": field.field_name,
        "required": field.required,
        "type": match field.kind {
            MetadataKind::Text => "text",
            MetadataKind::Number => "number",
            MetadataKind::Boolean => "boolean",
            MetadataKind::Array => "array",
        },
        "userSettable": field.user_settable,
    });
    if with_can_edit && let Value::Object(members) = &mut json {
        members.insert("canEdit".to_owned(), field.can_edit.into());
    }
    json
}

/// RFC 9110 section 5.6.7.
fn http_date(time: OffsetDateTime) -> String {
    let form = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    time.to_offset(time::UtcOffset::UTC).format(form).unwrap_or_default()
}
