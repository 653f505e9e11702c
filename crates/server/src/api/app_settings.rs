//! `/api/app`: an application's settings.

use latchkey_domain::{
    AppId, Audience, CallingCode, ClaimSource, FixedClaim, FixedClaims, Handle, Locale, MetadataPath,
    PLAIN_SETTINGS, PlainKind, PlainValue, Provider,
};
use latchkey_notifiers::{MailAddress, SmsAccount, SmsOrigin};
use latchkey_service::ServiceError;
use latchkey_service::notify::TestSms;
use latchkey_service::operate::{AccountChange, SettingChange};
use secrecy::SecretString;
use serde_json::Value;

use super::State;
use super::operator::{app_of, one_of};
use super::second_factor::phone_of;
use crate::dto::{TestCode, admin_app_json};
use crate::http::{Answer, ApiError, ByOperator, Fields, Verified, WrongField, json, ok_true};
use crate::settings::nearest;

pub(crate) async fn update_setting(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let setting = fields.required("setting")?.to_owned();
    check_names(&setting, &fields)?;
    let change = change_of(&setting, id, &fields)?;
    let view = state.service.change_setting(operator, id, setting, change).await?;
    Ok(json(&admin_app_json(&view)))
}

/// The settings by their names in the protocol, and Latchkey's own.
fn change_of(setting: &str, id: AppId, fields: &Fields) -> Result<SettingChange, ServiceError> {
    if PLAIN_SETTINGS.iter().any(|plain| plain.name == setting) {
        return plain_change(setting, fields);
    }
    Ok(match setting {
        "status" => SettingChange::Status(one_of(fields, "status")?),
        "maxLoginAttempts" => {
            SettingChange::MaxLoginAttempts(fields.number("maxLoginAttempts")?.filter(|free| *free > 0))
        }
        // Null and the empty text clear it, so that it must be sent.
        "realmAppId" if !fields.is_sent("realmAppId") => return Err(WrongField::missing("realmAppId").into()),
        "realmAppId" => SettingChange::Audience(match fields.text("realmAppId")? {
            None | Some("none") => Audience::None,
            Some(text) if text == id.to_string() => Audience::AppId,
            Some(text) if text.len() <= 254 && !latchkey_domain::has_forbidden_characters(text) => {
                Audience::Fixed(text.to_owned())
            }
            Some(_) => {
                let rule = "must be at most 254 bytes without control characters";
                return Err(WrongField::invalid("realmAppId", rule).into());
            }
        }),
        "emailExtensionAPIKey" => {
            let sender = fields.required("emailExtensionSenderEmail")?;
            SettingChange::MailAccount {
                key: SecretString::from(fields.required("emailExtensionAPIKey")?),
                sender: MailAddress::parse_bare(sender).map_err(|_| {
                    WrongField::invalid("emailExtensionSenderEmail", "must be an e-mail address")
                })?,
            }
        }
        "twoFactorVerification" => SettingChange::TwoFactor {
            mode: one_of(fields, "twoFactorVerification")?,
            account: sms_account(fields)?,
            heading: heading(fields)?,
        },
        "googleAppName" => SettingChange::AuthenticatorHeading(
            heading(fields)?.ok_or_else(|| WrongField::missing("googleAppName"))?,
        ),
        "smsCountries" => SettingChange::SmsCountries(countries(fields)?),
        "appleBundleId" | "appleAudiences" => {
            SettingChange::SocialAudiences(Provider::Apple, audiences(fields, setting)?)
        }
        "googleClientId" => SettingChange::SocialAudiences(Provider::Google, audiences(fields, setting)?),
        "fixedClaims" => SettingChange::FixedClaims(fixed_claims(fields)?),
        unknown => return Err(ServiceError::invalid(format!("unknown setting {unknown:?}"))),
    })
}

/// The plain settings of a name: one must be sent; of several, each that was sent is set.
fn plain_change(name: &str, fields: &Fields) -> Result<SettingChange, ServiceError> {
    let together: Vec<_> = PLAIN_SETTINGS.iter().filter(|plain| plain.name == name).collect();
    let mut changes = Vec::new();
    for &plain in &together {
        let value = match &plain.kind {
            PlainKind::Flag { .. } => fields.flag(plain.field)?.map(PlainValue::Flag),
            PlainKind::Number { least, most, .. } => {
                let rule = || format!("must be a whole number from {least} to {most}");
                let number = fields.number(plain.field);
                number.map_err(|_| WrongField::invalid(plain.field, rule()))?.map(PlainValue::Number)
            }
            PlainKind::Choice { names, .. } => fields.choice(plain.field)?.map(|sent| {
                PlainValue::Choice(names.iter().find(|name| **name == sent).copied().unwrap_or_default())
            }),
        };
        changes.extend(value.map(|value| (plain, value)));
    }
    match together.first() {
        Some(first) if changes.is_empty() => Err(WrongField::missing(first.field).into()),
        _ => Ok(SettingChange::Plain(changes)),
    }
}

/// The reference's second spelling of `googleAppName`. It is accepted, and not in the API description: generated
/// clients would have two fields of one name.
pub(crate) const MISSPELT: &str = "googleAPP_NAME";

/// The settings beside [`PLAIN_SETTINGS`], with their fields.
const OTHER_SETTINGS: [(&str, &[&str]); 11] = [
    ("status", &["status"]),
    ("maxLoginAttempts", &["maxLoginAttempts"]),
    ("realmAppId", &["realmAppId"]),
    ("emailExtensionAPIKey", &["emailExtensionAPIKey"]),
    // To where SMS go first: the mode and its account are checked against them.
    ("smsCountries", &["smsCountries"]),
    (
        "twoFactorVerification",
        &[
            "twoFactorVerification",
            "TWILIOAccountSid",
            "TWILIOToken",
            "TWILIOPhoneNumber",
            "TWILIOMessagingServiceSid",
            "removeSmsAccount",
        ],
    ),
    ("googleAppName", &["googleAppName", MISSPELT]),
    ("appleBundleId", &["appleBundleId"]),
    ("appleAudiences", &["appleAudiences"]),
    ("googleClientId", &["googleClientId"]),
    ("fixedClaims", &["fixedClaims"]),
];

/// All settings by name, with the fields of each. In `/update` a field that is sent selects its setting.
pub(crate) fn fields_of_settings() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for plain in PLAIN_SETTINGS {
        match all.iter_mut().find(|(name, _)| *name == plain.name) {
            Some((_, fields)) => fields.push(plain.field),
            None => all.push((plain.name, vec![plain.field])),
        }
    }
    all.extend(OTHER_SETTINGS.iter().map(|(name, fields)| (*name, fields.to_vec())));
    all
}

/// Refuses a name that no setting has, and fields that none has: a misspelt one would change nothing.
fn check_names(setting: &str, fields: &Fields) -> Result<(), ServiceError> {
    let settings = fields_of_settings();
    let Some((_, own)) = settings.iter().find(|(name, _)| *name == setting) else {
        let names = settings.iter().map(|(name, _)| *name);
        return Err(ServiceError::invalid(format!("unknown setting{}", suggestion(setting, names))));
    };
    // The sender belongs to its key: `update` reads it only with the key.
    const OTHERS: [&str; 3] = ["setting", "appId", "emailExtensionSenderEmail"];
    let is_known = |sent: &&str| {
        OTHERS.contains(sent) || settings.iter().any(|(_, names)| names.iter().any(|name| name == sent))
    };
    match fields.names().find(|sent| !is_known(sent)) {
        None => Ok(()),
        Some(unknown) => {
            let (suggestion, takes) = (suggestion(unknown, own.iter().copied()), own.join(", "));
            Err(ServiceError::invalid(format!("unknown field{suggestion} {setting} takes {takes}")))
        }
    }
}

/// An unknown name, and the one that was probably meant. Comparing long names would take long.
fn suggestion<'n>(unknown: &str, names: impl Iterator<Item = &'n str>) -> String {
    match unknown.len() {
        0..=100 => format!(" {unknown:?}; did you mean {}?", nearest(unknown, names)),
        _ => String::new(),
    }
}

/// Fixed claims: objects with `path`, `source` and, for `text` and `texts`, `value`.
fn fixed_claims(fields: &Fields) -> Result<FixedClaims, ServiceError> {
    let claims = fields.list("fixedClaims")?.into_iter().enumerate().map(|(at, item)| {
        let rule = |rule: String| WrongField::invalid(&format!("fixedClaims[{at}]"), rule);
        let text = |name: &str| {
            let text = item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            text.ok_or_else(|| rule(format!("must be an object with the text {name}")))
        };
        let path =
            MetadataPath::parse(text("path")?).map_err(|error| rule(format!("has no good path: {error}")))?;
        let source = ClaimSource::from_parts(text("source")?, item.get("value")).map_err(&rule)?;
        Ok(FixedClaim { path, source })
    });
    FixedClaims::new(claims.collect::<Result<_, WrongField>>()?)
        .map_err(|error| ServiceError::invalid(error.to_string()))
}

/// All settings whose fields were sent with something in them. As at the reference, what is empty changes nothing.
pub(super) fn changes_of(id: AppId, fields: &Fields) -> Result<Vec<(String, SettingChange)>, ServiceError> {
    let settings = fields_of_settings();
    let sent = settings.iter().filter(|(_, names)| names.iter().any(|name| fields.has(name)));
    sent.map(|(setting, _)| Ok(((*setting).to_owned(), change_of(setting, id, fields)?))).collect()
}

/// The application's account at Twilio: all of it, or nothing.
fn sms_account(fields: &Fields) -> Result<AccountChange, ServiceError> {
    const FIELDS: [&str; 4] =
        ["TWILIOAccountSid", "TWILIOToken", "TWILIOPhoneNumber", "TWILIOMessagingServiceSid"];
    if fields.flag("removeSmsAccount")? == Some(true) {
        return Ok(AccountChange::Remove);
    }
    let invalid = |what: &str| ServiceError::invalid(format!("Invalid Twilio Account: {what}"));
    let [sid, token, number, service] = FIELDS.map(|name| fields.text(name));
    let (sid, token, number, service) = (sid?, token?, number?, service?);
    if [sid, token, number, service].iter().all(Option::is_none) {
        return Ok(AccountChange::Keep);
    }
    let is_id = |text: &str, prefix: &str| {
        text.starts_with(prefix) && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let sid = sid.filter(|sid| is_id(sid, "AC")).ok_or_else(|| invalid("TWILIOAccountSid begins with AC"))?;
    let is_token = |text: &&str| text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic());
    let token = token.filter(is_token).ok_or_else(|| invalid("TWILIOToken is missing, or holds blanks"))?;
    let origin = match (number, service) {
        (Some(number), None) => SmsOrigin::Number(
            phone_of(number).map_err(|_| invalid("TWILIOPhoneNumber is a number with + and its country"))?,
        ),
        (None, Some(service)) if is_id(service, "MG") => SmsOrigin::Service(service.to_owned()),
        (None, Some(_)) => return Err(invalid("TWILIOMessagingServiceSid begins with MG")),
        _ => return Err(invalid("either TWILIOPhoneNumber or TWILIOMessagingServiceSid is needed")),
    };
    Ok(AccountChange::Set(SmsAccount { sid: sid.to_owned(), token: SecretString::from(token), origin }))
}

/// What authenticator apps show, under either of its names.
fn heading(fields: &Fields) -> Result<Option<String>, ServiceError> {
    let heading = match fields.text("googleAppName")? {
        Some(heading) => Some(heading),
        None => fields.text(MISSPELT)?,
    };
    let is_good =
        |text: &&str| text.chars().count() <= 100 && !latchkey_domain::has_forbidden_characters(text);
    match heading {
        None => Ok(None),
        Some(text) => match Some(text.trim()).filter(is_good) {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(ServiceError::invalid("the heading is too long, or holds a control character")),
        },
    }
}

fn countries(fields: &Fields) -> Result<Vec<CallingCode>, ServiceError> {
    let parsed = texts(fields, "smsCountries")?.into_iter().map(|text| {
        CallingCode::parse(&text)
            .map_err(|_| ServiceError::invalid(format!("{text:?} is no calling code such as 49, 1 or 1876")))
    });
    parsed.collect()
}

/// Clients of a provider; none takes them away.
fn audiences(fields: &Fields, name: &str) -> Result<Vec<String>, ServiceError> {
    let mut listed = texts(fields, name)?;
    let is_good =
        |text: &String| text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*');
    if listed.len() > 50 || !listed.iter().all(is_good) {
        return Err(ServiceError::invalid(format!(
            "{name} lists at most 50 client ids, with commas between them"
        )));
    }
    listed.sort();
    listed.dedup();
    Ok(listed)
}

/// A list of texts: a JSON array, or one text with commas. Nothing between two commas is nothing.
fn texts(fields: &Fields, name: &str) -> Result<Vec<String>, ServiceError> {
    if !fields.is_sent(name) {
        return Err(WrongField::missing(name).into());
    }
    let items = match fields.text(name) {
        Ok(text) => text.unwrap_or_default().split(',').map(str::to_owned).collect(),
        Err(_) => {
            let items = fields.list(name)?;
            let texts = items.iter().map(|item| match item {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            });
            let texts: Option<Vec<String>> = texts.collect();
            texts.ok_or_else(|| {
                ServiceError::invalid(format!("{name} is a list of texts, or one text with commas"))
            })?
        }
    };
    let trimmed = items.into_iter().map(|item: String| item.trim().to_owned());
    Ok(trimmed.filter(|item| !item.is_empty()).collect())
}

/// Mails to the application's own sender with its own account, which tests both.
pub(crate) async fn send_test_mail(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    state.service.send_test_mail(operator, id).await?;
    Ok(ok_true())
}

pub(crate) async fn send_test_sms(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let test = test_sms(&fields)?;
    let code = state.service.send_test_sms(operator, id, test).await?;
    let code = code.expose().parse().map_err(|_| ApiError::internal("a code"))?;
    Ok(json(&TestCode { two_factor_code: code }))
}

fn test_sms(fields: &Fields) -> Result<TestSms, ServiceError> {
    let phone = phone_of(fields.required("phone")?)
        .map_err(|_| ServiceError::invalid("phone is a number with + and the code of its country"))?;
    let handle = fields.text("handle")?.map(Handle::parse).transpose();
    let handle = handle.map_err(|error| WrongField::invalid("handle", error))?;
    let locale = fields.text("locale")?.map_or(Ok(Locale::EN), Locale::parse);
    Ok(TestSms {
        phone,
        handle,
        locale: locale
            .map_err(|_| WrongField::invalid("locale", "must be two letters of a known language"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_about_applications_names_every_setting_and_field() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/applications.md");
        let page = std::fs::read_to_string(page).unwrap();
        for (setting, fields) in fields_of_settings() {
            for name in fields.iter().chain([&setting]).filter(|name| **name != MISSPELT) {
                assert!(page.contains(&format!("`{name}`")), "{name}");
            }
        }
    }
}
