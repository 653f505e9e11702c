//! The settings of a Cosync JWT application, in the compatible preset, as far as they are valid here.

use latchkey_domain::{
    AppSettings, Audience, InvalidFields, Locale, MetadataField, MetadataFields, MetadataKind, MetadataPath,
    Preset, SignupFlow, SocialLogin, TwoFactorMode,
};
use latchkey_notifiers::MailAddress;
use latchkey_transfer::cosync::Document;

use super::bounds::{MOST_JWT_HOURS, is_audience, is_fixed_audience, is_heading};

/// The settings, and what was lost on the way.
pub(super) fn settings_of(document: &Document, app_id: &str) -> Result<(AppSettings, Vec<String>), String> {
    let mut notes = Vec::new();
    let mut settings = AppSettings::preset(Preset::Compatible);
    settings.jwt_enabled = document.flag("jwtEnabled")?;
    settings.anonymous_login = document.flag("anonymousLoginEnabled")?;
    settings.user_names = document.flag("userNamesEnabled")?;
    let audiences = |name: &str| -> Result<Vec<String>, String> {
        let text = document.text(name)?.unwrap_or_default();
        Ok(text.split(',').map(str::trim).filter(|part| is_audience(part)).map(str::to_owned).collect())
    };
    settings.apple =
        SocialLogin { enabled: document.flag("appleLoginEnabled")?, audiences: audiences("appleBundleId")? };
    settings.google = SocialLogin {
        enabled: document.flag("googleLoginEnabled")?,
        audiences: audiences("googleClientId")?,
    };
    settings.invitation_enabled = document.flag_or("invitationEnabled", true)?;
    settings.signup_enabled = document.flag_or("signupEnabled", true)?;
    settings.signup_flow = match document.text("signupFlow")?.as_deref() {
        Some("link") => SignupFlow::Link,
        Some("none") => SignupFlow::None,
        _ => SignupFlow::Code,
    };
    settings.two_factor = match document.text("twoFactorVerification")?.as_deref() {
        Some("google") => TwoFactorMode::Authenticator,
        Some("phone") => TwoFactorMode::Phone,
        _ => TwoFactorMode::None,
    };
    settings.authenticator_heading =
        kept(document.text("googleAppName")?, "heading of authenticators", is_heading, &mut notes);
    let number = |name: &str, otherwise: u32, most: u32| -> Result<u32, String> {
        let number = document.number(name)?.unwrap_or(i64::from(otherwise)).clamp(0, i64::from(most));
        Ok(u32::try_from(number).unwrap_or(otherwise))
    };
    settings.max_users = number("maxUsers", 0, u32::MAX)?;
    settings.max_login_attempts = Some(number("maxLoginAttempts", 0, 100)?).filter(|number| *number > 0);
    let password = &mut settings.password;
    password.filter = document.flag("passwordFilter")?;
    password.min_length = number("passwordMinLength", 5, 128)?;
    password.min_upper = number("passwordMinUpper", 0, 128)?;
    password.min_lower = number("passwordMinLower", 0, 128)?;
    password.min_digit = number("passwordMinDigit", 0, 128)?;
    password.min_special = number("passwordMinSpecial", 0, 128)?;
    // As the old server read it: nothing is a day, 0 is an hour.
    let hours = document.number("userJWTExpiration")?.unwrap_or(24).clamp(1, i64::from(MOST_JWT_HOURS));
    settings.user_jwt_hours = u32::try_from(hours).unwrap_or(24);
    let audience = kept(document.text("realmAppId")?, "realmAppId", is_fixed_audience, &mut notes);
    settings.audience = match audience {
        None => Audience::None,
        Some(text) if text == "none" => Audience::None,
        Some(text) if text == app_id => Audience::AppId,
        Some(text) => Audience::Fixed(text),
    };
    settings.metadata_email = document.flag("metaDataEmail")?;
    settings.own_mail_sender = document.flag("emailExtension")?;
    let is_address = |text: &str| MailAddress::parse(text).is_ok();
    settings.mail_sender_address =
        kept(document.text("emailExtensionSenderEmail")?, "sender of mail", is_address, &mut notes);
    for locale in document.texts("locales")? {
        match Locale::parse(&locale) {
            Ok(locale) if !settings.locales.contains(&locale) => settings.locales.push(locale),
            Ok(_) => {}
            Err(_) => notes.push(format!("unknown locale {locale:?}")),
        }
    }
    let data = document.object("appData", &mut notes)?;
    settings.app_data = data.into_iter().filter(|(name, _)| !name.starts_with("Cosync")).collect();
    settings.metadata = fields(&document.documents("metaData")?, &[], &mut notes)?;
    let own: Vec<_> = settings.metadata.iter().cloned().collect();
    settings.invite_metadata = fields(&document.documents("metaDataInvite")?, &own, &mut notes)?;
    notes.extend(settings.field_warnings());
    Ok((settings, notes))
}

/// Settings that a document of an old server's export has no field for, with the value that they get instead.
pub(super) fn without_field(document: &Document, settings: &AppSettings) -> Vec<String> {
    let flags = [
        ("anonymousLoginEnabled", settings.anonymous_login),
        ("userNamesEnabled", settings.user_names),
        ("appleLoginEnabled", settings.apple.enabled),
        ("googleLoginEnabled", settings.google.enabled),
        ("neutralAnswers", settings.neutral_answers),
        ("refuseCommonPasswords", settings.password.refuse_common),
        ("twoFactorConfirm", settings.two_factor_confirm),
        ("qrCodeMail", settings.qr_code_mail),
        ("factorChangeNeedsLogin", settings.factor_change_needs_login),
    ];
    let numbers = [
        ("maxUsers", settings.max_users),
        ("accessTokenDays", settings.access_token_days),
        ("handleHoldDays", settings.handle_hold_days),
        ("anonymousPurgeDays", settings.anonymous_purge_days),
        ("smsADay", settings.sms_a_day),
    ];
    let flags = flags.map(|(name, on)| (name, on.to_string()));
    let numbers = numbers.map(|(name, number)| (name, number.to_string()));
    let texts = [
        ("userIdFormat", settings.user_id_format.name()),
        ("linkAsksPassword", settings.link_asks_password.name()),
    ];
    let texts = texts.map(|(name, text)| (name, text.to_owned()));
    let missing = flags.into_iter().chain(numbers).chain(texts).filter(|(name, _)| !document.has(name));
    let missing =
        missing.map(|(name, value)| format!("the file does not contain {name}; the setting is now {value}"));
    let lists = ["appleBundleId", "googleClientId", "smsCountries", "fixedClaims"];
    let lists = lists.iter().filter(|name| !document.has(name));
    missing
        .chain(lists.map(|name| format!("the file does not contain {name}; the list is now empty")))
        .collect()
}

/// A valid text; an invalid one is reported.
pub(super) fn kept(
    text: Option<String>,
    what: &str,
    is_good: impl Fn(&str) -> bool,
    notes: &mut Vec<String>,
) -> Option<String> {
    let text = text?;
    if is_good(&text) {
        return Some(text);
    }
    notes.push(format!("invalid {what} {text:?}"));
    None
}

/// Valid metadata fields, given those of the other list; invalid ones are reported.
fn fields(
    documents: &[Document],
    beside: &[MetadataField],
    notes: &mut Vec<String>,
) -> Result<MetadataFields, String> {
    let mut taken: Vec<MetadataField> = Vec::new();
    for document in documents {
        let Some(path) = document.text("path")? else { continue };
        let kind = document.text("type")?;
        if kind.as_deref().is_some_and(|name| MetadataKind::from_name(name).is_none()) {
            notes.push(format!("unknown type of metadata field {path:?}; using text"));
        }
        let field = MetadataField {
            path: match MetadataPath::from_stored(&path) {
                Ok(path) => path,
                Err(error) => {
                    notes.push(format!("skipping metadata field {path:?}: {error}"));
                    continue;
                }
            },
            field_name: document.text("fieldName")?.unwrap_or_else(|| path.clone()),
            required: document.flag("required")?,
            can_edit: document.flag("canEdit")?,
            // Latchkey's own export has these two; the old server had only texts, which users set.
            user_settable: document.flag_or("userSettable", true)?,
            kind: kind.as_deref().and_then(MetadataKind::from_name).unwrap_or_default(),
            default: document.value("default").cloned(),
        };
        let is_default_wrong =
            matches!(MetadataFields::existing(vec![field.clone()]), Err(InvalidFields::Default(..)));
        if is_default_wrong {
            notes.push(format!("metadata field {path:?}: the default is not of the field's type"));
        }
        let default = field.default.filter(|_| !is_default_wrong);
        let field = MetadataField { default, ..field };
        let mut own = taken.clone();
        own.push(field.clone());
        let others = beside.iter().filter(|other| own.iter().all(|own| own.path != other.path));
        let together = others.chain(&own).cloned().collect();
        match MetadataFields::existing(own.clone()).and_then(|_| MetadataFields::existing(together)) {
            Ok(_) => taken.push(field),
            Err(error) => notes.push(format!("skipping metadata field {path:?}: {error}")),
        }
    }
    MetadataFields::existing(taken).map_err(|error| error.to_string())
}
