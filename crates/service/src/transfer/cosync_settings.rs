//! The settings of a Cosync JWT application, in the compatible preset, as far as they are valid here.

use latchkey_domain::{
    AppSettings, Audience, InvalidFields, Locale, MetadataField, MetadataFields, MetadataKind, MetadataPath,
    Named as _, PLAIN_SETTINGS, PlainKind, PlainSetting, Preset, TwoFactorMode,
};
use latchkey_notifiers::MailAddress;
use latchkey_transfer::cosync::Document;

use super::bounds::{is_audience, is_fixed_audience, is_heading};
use crate::operate::settings::MOST_LOGIN_ATTEMPTS;

/// The settings, and what was lost on the way.
pub(super) fn settings_of(document: &Document, app_id: &str) -> Result<(AppSettings, Vec<String>), String> {
    let mut notes = Vec::new();
    let mut settings = AppSettings::preset(Preset::Compatible);
    // What an old server's document does not say is off.
    (settings.jwt_enabled, settings.metadata_email) = (false, false);
    for setting in PLAIN_SETTINGS {
        read(setting, document, &mut settings)?;
    }
    let audiences = |name: &str| -> Result<Vec<String>, String> {
        let text = document.text(name)?.unwrap_or_default();
        Ok(text.split(',').map(str::trim).filter(|part| is_audience(part)).map(str::to_owned).collect())
    };
    settings.apple.audiences = audiences("appleBundleId")?;
    settings.google.audiences = audiences("googleClientId")?;
    let two_factor = document.text("twoFactorVerification")?;
    settings.two_factor =
        two_factor.as_deref().and_then(TwoFactorMode::from_name).unwrap_or(TwoFactorMode::None);
    settings.authenticator_heading =
        kept(document.text("googleAppName")?, "heading of authenticators", is_heading, &mut notes);
    let attempts = document.number("maxLoginAttempts")?.unwrap_or(0).clamp(0, i64::from(MOST_LOGIN_ATTEMPTS));
    settings.max_login_attempts = u32::try_from(attempts).ok().filter(|number| *number > 0);
    let audience = kept(document.text("realmAppId")?, "realmAppId", is_fixed_audience, &mut notes);
    settings.audience = match audience {
        None => Audience::None,
        Some(text) if text == "none" => Audience::None,
        Some(text) if text == app_id => Audience::AppId,
        Some(text) => Audience::Fixed(text),
    };
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

/// Reads a setting, if the document contains it. Numbers are brought within their bounds: the old server had none.
fn read(setting: &PlainSetting, document: &Document, settings: &mut AppSettings) -> Result<(), String> {
    match setting.kind {
        PlainKind::Flag { get, set } => {
            let on = document.flag_or(setting.field, get(settings))?;
            set(settings, on);
        }
        PlainKind::Number { least, most_imported, set, .. } => {
            let Some(number) = document.number(setting.field)? else { return Ok(()) };
            set(settings, u32::try_from(number.clamp(least.into(), most_imported.into())).unwrap_or(least));
        }
        PlainKind::Choice { set, .. } => {
            if let Some(name) = document.text(setting.field)? {
                set(settings, &name);
            }
        }
    }
    Ok(())
}

/// Settings that a document of an old server's export has no field for, with the value that they get instead.
pub(super) fn without_field(document: &Document, settings: &AppSettings) -> Vec<String> {
    let missing = PLAIN_SETTINGS.iter().filter(|setting| !document.has(setting.field)).map(|setting| {
        let (field, value) = (setting.field, setting.value(settings));
        format!("the file does not contain {field}; the setting is now {value}")
    });
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
