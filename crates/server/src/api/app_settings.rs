//! `/api/app`: an application's settings, metadata fields, locales and messages, and its users' status.

use actix_web::HttpRequest;
use actix_web::web::Data;
use latchkey_domain::{
    AppId, AppStatus, Audience, Locale, MetadataField, MetadataFields, MetadataKind, MetadataPath,
    SignupFlow, TemplateName, UserIdFormat, UserStatus, is_authority,
};
use latchkey_notifiers::MailAddress;
use latchkey_service::{Call, NewWords, Refusal, ServiceError, SettingChange};
use latchkey_storage::Store;
use secrecy::SecretString;
use serde_json::{Map, Value, json as object};

use super::apps::authorize;
use super::{AppState, run};
use crate::dto::{admin_app_json, template_json};
use crate::http::{Answer, ApiError, Family, Fields, Identity, json, ok_true};

pub(crate) async fn update_setting<S: Store>(
    state: Data<AppState<S>>,
    identity: Identity,
    fields: Fields,
) -> Answer {
    let (call, id) = operator_and_app(&state, identity, &fields).await?;
    let setting = fields.required("setting").map_err(ApiError::admin)?.to_owned();
    let change = change_of(&setting, id, &fields).map_err(ApiError::admin)?;
    let service = state.service.clone();
    let view =
        run(Family::Admin, async move { service.change_setting(call, id, (setting, change)).await }).await?;
    Ok(json(&admin_app_json(&view)))
}

/// The settings by their names in the protocol, and Latchkey's own.
fn change_of(setting: &str, id: AppId, fields: &Fields) -> Result<SettingChange, ServiceError> {
    let flag = |name| fields.flag(name).and_then(|flag| flag.ok_or(Refusal::MissingParameter));
    let number = |name| fields.number(name).and_then(|number| number.ok_or(Refusal::MissingParameter));
    Ok(match setting {
        "status" => SettingChange::Status(one_of(
            fields,
            "status",
            &[
                ("active", AppStatus::Active),
                ("inactive", AppStatus::Inactive),
                ("suspended", AppStatus::Suspended),
                ("blocked", AppStatus::Blocked),
                ("migrated", AppStatus::Migrated),
            ],
        )?),
        "invite" => SettingChange::Invitations(flag("invitationEnabled")?),
        "signup" => SettingChange::Signup(flag("signupEnabled")?),
        "signupFlow" => SettingChange::SignupFlow(one_of(
            fields,
            "signupFlow",
            &[("code", SignupFlow::Code), ("link", SignupFlow::Link), ("none", SignupFlow::None)],
        )?),
        "jwtEnabled" => SettingChange::JwtEnabled(flag("jwtEnabled")?),
        "userNamesEnabled" => SettingChange::UserNames(flag("userNamesEnabled")?),
        "anonLogin" => SettingChange::AnonymousLogin(flag("anonymousLoginEnabled")?),
        "maxUsers" => SettingChange::MaxUsers(number("maxUsers")?),
        "maxLoginAttempts" => {
            SettingChange::MaxLoginAttempts(fields.number("maxLoginAttempts")?.filter(|free| *free > 0))
        }
        "realmAppId" => SettingChange::Audience(match fields.text("realmAppId")? {
            None | Some("none") => Audience::None,
            Some(text) if text == id.to_string() => Audience::AppId,
            Some(text) if text.len() <= 254 && !latchkey_domain::has_forbidden_characters(text) => {
                Audience::Fixed(text.to_owned())
            }
            Some(_) => return Err(Refusal::InvalidData.into()),
        }),
        "userJWTExpiration" => SettingChange::UserJwtHours(number("userJWTExpiration")?),
        "accessTokenDays" => SettingChange::AccessTokenDays(number("accessTokenDays")?),
        "passwordFilter" => SettingChange::PasswordFilter(flag("passwordFilter")?),
        "passwordSetting" => SettingChange::PasswordMinima([
            fields.number("passwordMinLength")?,
            fields.number("passwordMinUpper")?,
            fields.number("passwordMinLower")?,
            fields.number("passwordMinDigit")?,
            fields.number("passwordMinSpecial")?,
        ]),
        "refuseCommonPasswords" => SettingChange::RefuseCommonPasswords(flag("refuseCommonPasswords")?),
        "metaDataEmail" => SettingChange::MetadataEmail(flag("metaDataEmail")?),
        "emailExtension" => SettingChange::OwnMailSender(flag("emailExtension")?),
        "emailExtensionAPIKey" => {
            let sender = fields.required("emailExtensionSenderEmail")?;
            SettingChange::MailAccount {
                key: SecretString::from(fields.required("emailExtensionAPIKey")?),
                sender: MailAddress::parse_bare(sender).map_err(|_| Refusal::InvalidData)?,
            }
        }
        "userIdFormat" => SettingChange::UserIdFormat(one_of(
            fields,
            "userIdFormat",
            &[
                ("handle", UserIdFormat::Handle),
                ("handle_underscore", UserIdFormat::HandleUnderscore),
                ("uid", UserIdFormat::Uid),
            ],
        )?),
        "handleHoldDays" => SettingChange::HandleHoldDays(number("handleHoldDays")?),
        "neutralAnswers" => SettingChange::NeutralAnswers(flag("neutralAnswers")?),
        "anonymousPurgeDays" => SettingChange::AnonymousPurgeDays(number("anonymousPurgeDays")?),
        _ => return Err(explained("there is no setting of this name".to_owned())),
    })
}

fn one_of<T: Copy>(fields: &Fields, name: &str, values: &[(&str, T)]) -> Result<T, ServiceError> {
    let text = fields.required(name)?;
    let found = values.iter().find(|(value, _)| *value == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let allowed: Vec<&str> = values.iter().map(|(value, _)| *value).collect();
        explained(format!("{name} is one of {}", allowed.join(", ")))
    })
}

fn explained(text: String) -> ServiceError {
    ServiceError::Explained(Refusal::InvalidData, text)
}

pub(crate) async fn update_metadata<S: Store>(
    state: Data<AppState<S>>,
    identity: Identity,
    fields: Fields,
) -> Answer {
    let (call, id) = operator_and_app(&state, identity, &fields).await?;
    let declared = declared(&state, id, &fields, "metaData").await?;
    let service = state.service.clone();
    let view =
        run(Family::Admin, async move { service.set_metadata_fields(call, id, declared).await }).await?;
    Ok(json(&admin_app_json(&view)))
}

pub(crate) async fn update_invite_metadata<S: Store>(
    state: Data<AppState<S>>,
    identity: Identity,
    fields: Fields,
) -> Answer {
    let (call, id) = operator_and_app(&state, identity, &fields).await?;
    let declared = declared(&state, id, &fields, "metaDataInvite").await?;
    let service = state.service.clone();
    let view = run(Family::Admin, async move { service.set_invite_fields(call, id, declared).await }).await?;
    Ok(json(&admin_app_json(&view)))
}

/// The fields that a request declares, checked against the reserved claims and one another.
async fn declared<S: Store>(
    state: &AppState<S>,
    id: AppId,
    fields: &Fields,
    name: &str,
) -> Result<MetadataFields, ApiError> {
    let items = fields.list(name).map_err(ApiError::admin)?;
    let service = state.service.clone();
    let app = run(Family::Admin, async move { service.find_app(id).await }).await?.app;
    let parsed = items.iter().map(|item| field_of(item, app.settings.user_settable_authority));
    let parsed = parsed.collect::<Result<Vec<_>, _>>().map_err(ApiError::admin)?;
    MetadataFields::new(parsed).map_err(|error| ApiError::admin(explained(error.to_string())))
}

fn field_of(item: &Value, users_may_set_authority: bool) -> Result<MetadataField, ServiceError> {
    let Value::Object(members) = item else { return Err(explained("a field is an object".to_owned())) };
    let member = Fields::of_object(members.clone());
    let path = member.required("path").map_err(|_| explained("a field has a path".to_owned()))?;
    let parsed = MetadataPath::parse(path).map_err(|error| explained(error.to_string()))?;
    let root = path.split('.').next().unwrap_or_default();
    let settable = member.flag("userSettable")?.unwrap_or(users_may_set_authority || !is_authority(root));
    let field_name = member.text("fieldName")?.unwrap_or(path);
    if field_name.chars().count() > 100 || field_name.chars().any(char::is_control) {
        return Err(explained(format!("the field name of {path} is too long, or holds a control character")));
    }
    let kind = match member.text("type")? {
        None | Some("text") => MetadataKind::Text,
        Some("number") => MetadataKind::Number,
        Some("boolean") => MetadataKind::Boolean,
        Some("array") => MetadataKind::Array,
        Some(_) => return Err(explained("type is one of text, number, boolean, array".to_owned())),
    };
    Ok(MetadataField {
        path: parsed,
        field_name: field_name.to_owned(),
        required: member.flag("required")?.unwrap_or(false),
        can_edit: member.flag("canEdit")?.unwrap_or(false),
        user_settable: settable,
        kind,
    })
}

pub(crate) async fn email_templates<S: Store>(
    state: Data<AppState<S>>,
    identity: Identity,
    request: HttpRequest,
) -> Answer {
    let query = Fields::of_query(&request).map_err(ApiError::admin)?;
    let (_, id) = operator_and_app(&state, identity, &query).await?;
    Ok(json(&templates_of(&state, id).await?))
}

async fn templates_of<S: Store>(state: &AppState<S>, id: AppId) -> Result<Value, ApiError> {
    let service = state.service.clone();
    let templates = run(Family::Admin, async move { service.email_templates(id).await }).await?;
    let by_locale = templates.iter().map(|(locale, templates)| {
        (locale.as_str().to_owned(), Value::Array(templates.iter().map(template_json).collect()))
    });
    Ok(Value::Object(by_locale.collect::<Map<_, _>>()))
}

pub(crate) async fn update_email_template<S: Store>(
    state: Data<AppState<S>>,
    identity: Identity,
    fields: Fields,
) -> Answer {
    let (call, app_id) = operator_and_app(&state, identity, &fields).await?;
    let words = words_of(app_id, &fields).map_err(ApiError::admin)?;
    let service = state.service.clone();
    let template = run(Family::Admin, async move { service.word_anew(call, words).await }).await?;
    Ok(json(&template_json(&template)))
}

fn words_of(app_id: AppId, fields: &Fields) -> Result<NewWords, Refusal> {
    let id = fields.required("_id")?;
    let (name, locale) = id.split_once('-').ok_or(Refusal::InvalidData)?;
    Ok(NewWords {
        app_id,
        name: TemplateName::parse(name).ok_or(Refusal::InvalidData)?,
        locale: Locale::parse(locale).map_err(|_| Refusal::InvalidData)?,
        subject: fields.required("subject")?.to_owned(),
        reply_to: fields.text("replyTo")?.unwrap_or_default().to_owned(),
        html: fields.required("htmlTemplate")?.to_owned(),
        link_text: fields.owned("localeLinkText")?,
    })
}

pub(crate) async fn set_locales<S: Store>(
    state: Data<AppState<S>>,
    identity: Identity,
    fields: Fields,
) -> Answer {
    let (call, id) = operator_and_app(&state, identity, &fields).await?;
    let sent = fields.list("locales").map_err(ApiError::admin)?;
    let locales = sent.iter().map(|item| {
        let text = item.as_str().ok_or(Refusal::InvalidData)?;
        Locale::parse(text).map_err(|_| explained(format!("{text:?} is no permitted locale")))
    });
    let locales = locales.collect::<Result<Vec<_>, ServiceError>>().map_err(ApiError::admin)?;
    let service = state.service.clone();
    run(Family::Admin, async move { service.set_locales(call, id, locales).await }).await?;
    let templates = templates_of(&state, id).await?;
    Ok(json(&object!({"appId": id.to_string(), "locales": sent, "localesTemplate": templates})))
}

pub(crate) async fn set_user_status<S: Store>(
    state: Data<AppState<S>>,
    identity: Identity,
    fields: Fields,
) -> Answer {
    let (call, app_id) = operator_and_app(&state, identity, &fields).await?;
    let user_id = fields.required("userId").map_err(ApiError::admin)?;
    let user_id = user_id.parse().map_err(|_| ApiError::admin(Refusal::UnknownUser))?;
    let statuses = [("active", UserStatus::Active), ("suspend", UserStatus::Suspended)];
    let status = one_of(&fields, "status", &statuses).map_err(ApiError::admin)?;
    let service = state.service.clone();
    run(Family::Admin, async move { service.set_user_status(call, (app_id, user_id), status).await }).await?;
    Ok(ok_true())
}

/// Every route here is an operator's, and about one application.
async fn operator_and_app<S: Store>(
    state: &AppState<S>,
    identity: Identity,
    fields: &Fields,
) -> Result<(Call, AppId), ApiError> {
    let call = identity.0;
    authorize(state, &call).await?;
    let id = fields.required("appId").map_err(ApiError::admin)?;
    let id = id.parse().map_err(|_| ApiError::admin(Refusal::UnknownApp))?;
    Ok((call, id))
}
