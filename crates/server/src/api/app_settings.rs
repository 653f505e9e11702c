//! `/api/app`: an application's settings.

use latchkey_domain::{
    AppId, AppStatus, Audience, CallingCode, ClaimSource, FixedClaim, FixedClaims, Handle, Locale,
    MetadataPath, PLAIN_SETTINGS, PlainKind, PlainSetting, PlainValue, Provider, TwoFactorMode,
};
use latchkey_notifiers::{MailAddress, SmsAccount, SmsOrigin};
use latchkey_service::notify::TestSms;
use latchkey_service::operate::{AccountChange, SettingChange};
use latchkey_service::{Refusal, ServiceError};
use secrecy::SecretString;
use serde_json::Value;
use strum::VariantNames;

use super::State;
use super::apps::APP;
use super::operator::{APP_ID, app_of, one_of};
use super::second_factor::phone_of;
use super::users::LOCALE;
use crate::dto::{TestCode, admin_app_json};
use crate::http::field::{
    Field, SettingFields, choice, flag, items, number, setting, text, texts, undescribed,
};
use crate::http::{Answer, ApiError, ByOperator, Fields, Verified, WrongField, json, ok_true};
use crate::openapi::{Answers, DEFAULT, Operation, shape};
use crate::settings::nearest;

const STATUS: Field = choice("status", <AppStatus as VariantNames>::VARIANTS, "");
const LOGIN_ATTEMPTS: Field = number(
    "maxLoginAttempts",
    0,
    100,
    "Failed log-ins before waiting begins; 0 for the server's own number.",
);
const AUDIENCE: Field =
    text("realmAppId", "none", "The claim `aud`: `none`, the application's id, or any text.");
const MAIL_KEY: Field = text(
    "emailExtensionAPIKey",
    "SG.key",
    "Of its account at SendGrid, together with the sender: sealed, and never shown again.",
);
pub(super) const MAIL_SENDER: Field =
    text("emailExtensionSenderEmail", "shop@example.com", "Ignored without the key.");
const TWO_FACTOR: Field = choice("twoFactorVerification", <TwoFactorMode as VariantNames>::VARIANTS, "");
const TWILIO_SID: Field = text(
    "TWILIOAccountSid",
    "AC0123",
    "All of an account at Twilio, or nothing of it: sealed, and never shown again.",
);
const TWILIO_TOKEN: Field = text("TWILIOToken", "token", "");
const TWILIO_NUMBER: Field = text("TWILIOPhoneNumber", "+4915112345678", "This, or a messaging service.");
const TWILIO_SERVICE: Field = text("TWILIOMessagingServiceSid", "MG0123", "");
const REMOVE_SMS: Field = flag("removeSmsAccount", "");
const HEADING: Field = text("googleAppName", "Shop", "The name shown in authenticator apps.");
/// The reference's second spelling.
const HEADING_MISSPELT: Field = undescribed("googleAPP_NAME");
const SMS_COUNTRIES: Field = texts("smsCountries", "49", "Country codes.");
const APPLE_BUNDLE: Field =
    texts("appleBundleId", "com.example.shop", "Accepted audiences of Apple's tokens.");
const APPLE_AUDIENCES: Field = texts("appleAudiences", "com.example.shop", "The same.");
const GOOGLE_CLIENT: Field = texts(
    "googleClientId",
    "123-abc.apps.googleusercontent.com",
    "The audiences that Google's tokens may carry.",
);
const FIXED_CLAIMS: Field =
    items("fixedClaims", "Claims of every user's JWT: at most 20 objects like `FixedClaim`.");

/// A setting beside [`PLAIN_SETTINGS`].
struct OtherSetting {
    /// Its fields. The first one has the setting's name.
    fields: &'static [Field],
    /// What they change.
    read: fn(AppId, &Fields) -> Result<SettingChange, ServiceError>,
}

const OTHER_SETTINGS: [OtherSetting; 11] = [
    OtherSetting { fields: &[STATUS], read: |_, fields| Ok(SettingChange::Status(one_of(fields, STATUS)?)) },
    OtherSetting {
        fields: &[LOGIN_ATTEMPTS],
        read: |_, fields| {
            let free = fields.number(LOGIN_ATTEMPTS)?.filter(|free| *free > 0);
            Ok(SettingChange::MaxLoginAttempts(free))
        },
    },
    OtherSetting {
        fields: &[AUDIENCE],
        read: |id, fields| Ok(SettingChange::Audience(audience(id, fields)?)),
    },
    OtherSetting { fields: &[MAIL_KEY], read: |_, fields| mail_account(fields) },
    // To where SMS go first: the mode and its account are checked against them.
    OtherSetting {
        fields: &[SMS_COUNTRIES],
        read: |_, fields| Ok(SettingChange::SmsCountries(countries(fields)?)),
    },
    OtherSetting {
        fields: &[TWO_FACTOR, TWILIO_SID, TWILIO_TOKEN, TWILIO_NUMBER, TWILIO_SERVICE, REMOVE_SMS],
        read: |_, fields| {
            Ok(SettingChange::TwoFactor {
                mode: one_of(fields, TWO_FACTOR)?,
                account: sms_account(fields)?,
                heading: heading(fields)?,
            })
        },
    },
    OtherSetting {
        fields: &[HEADING, HEADING_MISSPELT],
        read: |_, fields| {
            let heading = heading(fields)?.ok_or_else(|| WrongField::missing(HEADING))?;
            Ok(SettingChange::AuthenticatorHeading(heading))
        },
    },
    OtherSetting {
        fields: &[APPLE_BUNDLE],
        read: |_, fields| audiences(fields, Provider::Apple, APPLE_BUNDLE),
    },
    OtherSetting {
        fields: &[APPLE_AUDIENCES],
        read: |_, fields| audiences(fields, Provider::Apple, APPLE_AUDIENCES),
    },
    OtherSetting {
        fields: &[GOOGLE_CLIENT],
        read: |_, fields| audiences(fields, Provider::Google, GOOGLE_CLIENT),
    },
    OtherSetting {
        fields: &[FIXED_CLAIMS],
        read: |_, fields| Ok(SettingChange::FixedClaims(fixed_claims(fields)?)),
    },
];

impl OtherSetting {
    fn name(&self) -> &'static str {
        self.fields.first().map_or("", |field| field.name)
    }
}

/// The field of a plain setting.
const fn plain(setting: &PlainSetting) -> Field {
    match setting.kind {
        PlainKind::Flag { .. } => flag(setting.field, setting.about),
        PlainKind::Number { least, most, .. } => number(setting.field, least, most, setting.about),
        PlainKind::Choice { names, .. } => choice(setting.field, names, setting.about),
    }
}

/// The application, and the fields of all settings.
pub(super) const SETTINGS: &[Field] = &all_fields();

const FIELDS_OF_OTHERS: usize = {
    let (mut number, mut rest) = (0, OTHER_SETTINGS.as_slice());
    while let Some((first, more)) = rest.split_first() {
        (number, rest) = (number + first.fields.len(), more);
    }
    number
};

const fn all_fields() -> [Field; 1 + FIELDS_OF_OTHERS + PLAIN_SETTINGS.len()] {
    let mut all = [APP_ID; 1 + FIELDS_OF_OTHERS + PLAIN_SETTINGS.len()];
    let (mut fields, mut others, mut rest) = ([APP_ID].as_slice(), OTHER_SETTINGS.as_slice(), PLAIN_SETTINGS);
    let mut free = all.as_mut_slice();
    while let Some((place, left)) = free.split_first_mut() {
        while let (true, Some((next, more))) = (fields.is_empty(), others.split_first()) {
            (fields, others) = (next.fields, more);
        }
        if let Some((first, more)) = fields.split_first() {
            (*place, fields) = (*first, more);
        } else if let Some((first, more)) = rest.split_first() {
            (*place, rest) = (plain(first), more);
        }
        free = left;
    }
    all
}

const SETTING: Field = setting("setting", fields_of_settings, "The setting to change.").required();

pub(crate) const UPDATE_SETTING: Operation = Operation {
    summary: "Change one setting",
    about: "`setting` selects the setting; its fields are the new value. Unknown fields are refused.",
    fields: SETTINGS,
    more: &[MAIL_SENDER, SETTING],
    answers: APP,
    ..DEFAULT
};

pub(crate) async fn update_setting(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let setting = fields.required(SETTING)?.to_owned();
    check_names(&setting, &fields)?;
    let change = change_of(&setting, id, &fields)?;
    let view = state.service.change_setting(operator, id, setting, change).await?;
    Ok(json(&admin_app_json(&view)))
}

/// The change of a setting that exists.
fn change_of(setting: &str, id: AppId, fields: &Fields) -> Result<SettingChange, ServiceError> {
    match OTHER_SETTINGS.iter().find(|other| other.name() == setting) {
        Some(other) => (other.read)(id, fields),
        None => plain_change(setting, fields),
    }
}

/// Null and the empty text clear it, so that it must be sent.
fn audience(id: AppId, fields: &Fields) -> Result<Audience, WrongField> {
    if !fields.is_sent(AUDIENCE) {
        return Err(WrongField::missing(AUDIENCE));
    }
    Ok(match fields.text(AUDIENCE)? {
        None | Some("none") => Audience::None,
        Some(text) if text == id.to_string() => Audience::AppId,
        Some(text) if text.len() <= 254 && !latchkey_domain::has_forbidden_characters(text) => {
            Audience::Fixed(text.to_owned())
        }
        Some(_) => {
            let rule = "must be at most 254 bytes without control characters";
            return Err(WrongField::invalid(AUDIENCE, rule));
        }
    })
}

fn mail_account(fields: &Fields) -> Result<SettingChange, ServiceError> {
    let sender = fields.required(MAIL_SENDER)?;
    let sender = MailAddress::parse_bare(sender)
        .map_err(|_| WrongField::invalid(MAIL_SENDER, "must be an e-mail address"))?;
    Ok(SettingChange::MailAccount { key: SecretString::from(fields.required(MAIL_KEY)?), sender })
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

/// All settings by name, with the fields of each. In `/update` a field that is sent selects its setting.
pub(crate) fn fields_of_settings() -> SettingFields {
    let mut all: SettingFields = Vec::new();
    for setting in PLAIN_SETTINGS {
        match all.iter_mut().find(|(name, _)| *name == setting.name) {
            Some((_, fields)) => fields.push(plain(setting)),
            None => all.push((setting.name, vec![plain(setting)])),
        }
    }
    all.extend(OTHER_SETTINGS.iter().map(|other| (other.name(), other.fields.to_vec())));
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
    let others = [SETTING, APP_ID, MAIL_SENDER];
    let is_known = |sent: &&str| {
        let of_settings = settings.iter().flat_map(|(_, fields)| fields);
        of_settings.chain(&others).any(|field| field.name == *sent)
    };
    match fields.names().filter(|sent| !is_known(sent)).min() {
        None => Ok(()),
        Some(unknown) => {
            let own: Vec<_> = own.iter().map(|field| field.name).collect();
            let suggestion = suggestion(unknown, own.iter().copied());
            Err(ServiceError::invalid(format!(
                "unknown field{suggestion} {setting} takes {}",
                own.join(", ")
            )))
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
    let claims = fields.list(FIXED_CLAIMS)?.into_iter().enumerate().map(|(at, item)| {
        let rule = |rule: String| WrongField::invalid(format!("fixedClaims[{at}]").as_str(), rule);
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
    let sent = settings.iter().filter(|(_, names)| names.iter().any(|field| fields.has(field)));
    sent.map(|(setting, _)| Ok(((*setting).to_owned(), change_of(setting, id, fields)?))).collect()
}

/// The application's account at Twilio: all of it, or nothing.
fn sms_account(fields: &Fields) -> Result<AccountChange, ServiceError> {
    if fields.flag(REMOVE_SMS)? == Some(true) {
        return Ok(AccountChange::Remove);
    }
    let invalid = |what: &str| ServiceError::invalid(format!("Invalid Twilio Account: {what}"));
    let account = [TWILIO_SID, TWILIO_TOKEN, TWILIO_NUMBER, TWILIO_SERVICE];
    let [sid, token, number, service] = account.map(|field| fields.text(field));
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
    let heading = match fields.text(HEADING)? {
        Some(heading) => Some(heading),
        None => fields.text(HEADING_MISSPELT)?,
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
    let parsed = texts_of(fields, SMS_COUNTRIES)?.into_iter().map(|text| {
        CallingCode::parse(&text)
            .map_err(|_| ServiceError::invalid(format!("{text:?} is no calling code such as 49, 1 or 1876")))
    });
    parsed.collect()
}

/// Clients of a provider; none takes them away.
fn audiences(fields: &Fields, provider: Provider, field: Field) -> Result<SettingChange, ServiceError> {
    let mut listed = texts_of(fields, field)?;
    let is_good =
        |text: &String| text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*');
    if listed.len() > 50 || !listed.iter().all(is_good) {
        return Err(ServiceError::invalid(format!(
            "{} lists at most 50 client ids, with commas between them",
            field.name
        )));
    }
    listed.sort();
    listed.dedup();
    Ok(SettingChange::SocialAudiences(provider, listed))
}

/// A list of texts: a JSON array, or one text with commas. Nothing between two commas is nothing.
fn texts_of(fields: &Fields, field: Field) -> Result<Vec<String>, ServiceError> {
    if !fields.is_sent(field) {
        return Err(WrongField::missing(field).into());
    }
    let items = match fields.text(field) {
        Ok(text) => text.unwrap_or_default().split(',').map(str::to_owned).collect(),
        Err(_) => {
            let items = fields.list(field)?;
            let texts = items.iter().map(|item| match item {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            });
            let texts: Option<Vec<String>> = texts.collect();
            texts.ok_or_else(|| {
                ServiceError::invalid(format!("{} is a list of texts, or one text with commas", field.name))
            })?
        }
    };
    let trimmed = items.into_iter().map(|item: String| item.trim().to_owned());
    Ok(trimmed.filter(|item| !item.is_empty()).collect())
}

pub(crate) const TEST_MAIL: Operation = Operation {
    summary: "Send a test mail to the application's own sender",
    about: "Five an hour. The message of an error is the provider's answer.",
    fields: &[APP_ID],
    refuses: &[Refusal::MailFailed],
    ..DEFAULT
};

/// Mails to the application's own sender with its own account, which tests both.
pub(crate) async fn send_test_mail(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    state.service.send_test_mail(operator, id).await?;
    Ok(ok_true())
}

const TEST_PHONE: Field = text("phone", "+4915112345678", "").required();
const TEST_HANDLE: Field = text("handle", "ana@example.com", "");

pub(crate) const TEST_SMS: Operation = Operation {
    summary: "Send a test SMS",
    fields: &[APP_ID, TEST_PHONE, TEST_HANDLE, LOCALE],
    answers: Answers::Json(&[shape::<TestCode>]),
    refuses: &[Refusal::SmsFailed],
    ..DEFAULT
};

pub(crate) async fn send_test_sms(state: State, Verified(operator): ByOperator, fields: Fields) -> Answer {
    let id = app_of(&operator, &fields)?;
    let test = test_sms(&fields)?;
    let code = state.service.send_test_sms(operator, id, test).await?;
    let code = code.expose().parse().map_err(|_| ApiError::internal("a code"))?;
    Ok(json(&TestCode { two_factor_code: code }))
}

fn test_sms(fields: &Fields) -> Result<TestSms, ServiceError> {
    let phone = phone_of(fields.required(TEST_PHONE)?)
        .map_err(|_| ServiceError::invalid("phone is a number with + and the code of its country"))?;
    let handle = fields.text(TEST_HANDLE)?.map(Handle::parse).transpose();
    let handle = handle.map_err(|error| WrongField::invalid(TEST_HANDLE, error))?;
    let locale = fields.text(LOCALE)?.map_or(Ok(Locale::EN), Locale::parse);
    Ok(TestSms {
        phone,
        handle,
        locale: locale.map_err(|_| WrongField::invalid(LOCALE, "must be two letters of a known language"))?,
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
            let fields =
                fields.iter().filter(|field| !matches!(field.kind, crate::http::field::Kind::Undescribed));
            for name in fields.map(|field| field.name).chain([setting]) {
                assert!(page.contains(&format!("`{name}`")), "{name}");
            }
        }
    }
}
