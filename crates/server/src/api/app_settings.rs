//! `/api/app`: an application's settings.

use actix_web::web::Data;
use latchkey_domain::{
    AppId, AppStatus, Audience, CallingCode, ClaimSource, FixedClaim, FixedClaims, Handle, LinkAsksPassword,
    Locale, MetadataPath, Provider, SignupFlow, TwoFactorMode, UserIdFormat,
};
use latchkey_notifiers::{MailAddress, SmsAccount, SmsOrigin};
use latchkey_service::{AccountChange, ServiceError, SettingChange, TestSms};
use secrecy::SecretString;
use serde_json::Value;

use super::AppState;
use super::operator::{one_of, operator_and_app};
use super::second_factor::phone_of;
use crate::dto::{TestCode, admin_app_json};
use crate::http::{Answer, ApiError, Fields, OperatorCall, WrongField, json, ok_true};
use crate::settings::nearest;

pub(crate) async fn update_setting(state: Data<AppState>, caller: OperatorCall, fields: Fields) -> Answer {
    let (operator, id) = operator_and_app(&state, caller, &fields).await?;
    let setting = fields.required("setting")?.to_owned();
    check_names(&setting, &fields)?;
    let change = change_of(&setting, id, &fields)?;
    let view = state.service.change_setting(operator, id, (setting, change)).await?;
    Ok(json(&admin_app_json(&view)))
}

/// The settings by their names in the protocol, and Latchkey's own.
fn change_of(setting: &str, id: AppId, fields: &Fields) -> Result<SettingChange, ServiceError> {
    let flag = |name| fields.required_flag(name);
    let number = |name| fields.required_number(name);
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
        // Null and the empty text clear it, so that it must be sent.
        "realmAppId" if !fields.is_sent("realmAppId") => return Err(WrongField::missing("realmAppId").into()),
        "realmAppId" => SettingChange::Audience(match fields.text("realmAppId")? {
            None | Some("none") => Audience::None,
            Some(text) if text == id.to_string() => Audience::AppId,
            Some(text) if text.len() <= 254 && !latchkey_domain::has_forbidden_characters(text) => {
                Audience::Fixed(text.to_owned())
            }
            Some(_) => {
                return Err(WrongField::invalid(
                    "realmAppId",
                    "must be at most 254 bytes without control characters",
                )
                .into());
            }
        }),
        "userJWTExpiration" => SettingChange::UserJwtHours(number("userJWTExpiration")?),
        "accessTokenDays" => SettingChange::AccessTokenDays(number("accessTokenDays")?),
        "passwordFilter" => SettingChange::PasswordFilter(flag("passwordFilter")?),
        "passwordSetting" if !MINIMA.iter().any(|name| fields.has(name)) => {
            return Err(WrongField::missing(MINIMA[0]).into());
        }
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
                sender: MailAddress::parse_bare(sender).map_err(|_| {
                    WrongField::invalid("emailExtensionSenderEmail", "must be an e-mail address")
                })?,
            }
        }
        "twoFactorVerification" => SettingChange::TwoFactor {
            mode: one_of(
                fields,
                "twoFactorVerification",
                &[
                    ("none", TwoFactorMode::None),
                    ("google", TwoFactorMode::Authenticator),
                    ("phone", TwoFactorMode::Phone),
                ],
            )?,
            account: sms_account(fields)?,
            heading: heading(fields)?,
        },
        "googleAppName" => SettingChange::AuthenticatorHeading(
            heading(fields)?.ok_or_else(|| WrongField::missing("googleAppName"))?,
        ),
        "twoFactorConfirm" => SettingChange::TwoFactorConfirm(flag("twoFactorConfirm")?),
        "qrCodeMail" => SettingChange::QrCodeMail(flag("qrCodeMail")?),
        "factorChangeNeedsLogin" => SettingChange::FactorChangeNeedsLogin(flag("factorChangeNeedsLogin")?),
        "smsCountries" => SettingChange::SmsCountries(countries(fields)?),
        "smsADay" => SettingChange::SmsADay(number("smsADay")?),
        "appleLogin" => SettingChange::SocialLogin(Provider::Apple, flag("appleLoginEnabled")?),
        "googleLogin" => SettingChange::SocialLogin(Provider::Google, flag("googleLoginEnabled")?),
        "appleBundleId" => {
            SettingChange::SocialAudiences(Provider::Apple, audiences(fields, "appleBundleId")?)
        }
        "appleAudiences" => {
            SettingChange::SocialAudiences(Provider::Apple, audiences(fields, "appleAudiences")?)
        }
        "googleClientId" => {
            SettingChange::SocialAudiences(Provider::Google, audiences(fields, "googleClientId")?)
        }
        "linkAsksPassword" => SettingChange::LinkAsksPassword(one_of(
            fields,
            "linkAsksPassword",
            &[
                ("always", LinkAsksPassword::Always),
                ("elsewhere", LinkAsksPassword::Elsewhere),
                ("never", LinkAsksPassword::Never),
            ],
        )?),
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
        "fixedClaims" => SettingChange::FixedClaims(fixed_claims(fields)?),
        unknown => {
            let names = FIELDS_OF_SETTINGS.iter().map(|(name, _)| *name);
            return Err(ServiceError::invalid(format!("unknown setting{}", suggestion(unknown, names))));
        }
    })
}

const MINIMA: [&str; 5] =
    ["passwordMinLength", "passwordMinUpper", "passwordMinLower", "passwordMinDigit", "passwordMinSpecial"];

/// The reference's second spelling of `googleAppName`. It is accepted, and not in the API description: generated
/// clients would have two fields of one name.
pub(crate) const MISSPELT: &str = "googleAPP_NAME";

/// The setting of a field of `/update`; the first field that is sent selects its setting.
pub(crate) const FIELDS_OF_SETTINGS: [(&str, &[&str]); 36] = [
    ("status", &["status"]),
    ("invite", &["invitationEnabled"]),
    ("signup", &["signupEnabled"]),
    ("signupFlow", &["signupFlow"]),
    ("jwtEnabled", &["jwtEnabled"]),
    ("userNamesEnabled", &["userNamesEnabled"]),
    ("anonLogin", &["anonymousLoginEnabled"]),
    ("maxUsers", &["maxUsers"]),
    ("maxLoginAttempts", &["maxLoginAttempts"]),
    ("realmAppId", &["realmAppId"]),
    ("userJWTExpiration", &["userJWTExpiration"]),
    ("accessTokenDays", &["accessTokenDays"]),
    ("passwordFilter", &["passwordFilter"]),
    ("passwordSetting", &MINIMA),
    ("refuseCommonPasswords", &["refuseCommonPasswords"]),
    ("metaDataEmail", &["metaDataEmail"]),
    ("emailExtension", &["emailExtension"]),
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
    ("twoFactorConfirm", &["twoFactorConfirm"]),
    ("qrCodeMail", &["qrCodeMail"]),
    ("factorChangeNeedsLogin", &["factorChangeNeedsLogin"]),
    ("smsADay", &["smsADay"]),
    ("appleLogin", &["appleLoginEnabled"]),
    ("googleLogin", &["googleLoginEnabled"]),
    ("appleBundleId", &["appleBundleId"]),
    ("appleAudiences", &["appleAudiences"]),
    ("googleClientId", &["googleClientId"]),
    ("linkAsksPassword", &["linkAsksPassword"]),
    ("userIdFormat", &["userIdFormat"]),
    ("handleHoldDays", &["handleHoldDays"]),
    ("neutralAnswers", &["neutralAnswers"]),
    ("anonymousPurgeDays", &["anonymousPurgeDays"]),
    ("fixedClaims", &["fixedClaims"]),
];

/// Refuses fields that no setting has: a misspelt one would change nothing.
fn check_names(setting: &str, fields: &Fields) -> Result<(), ServiceError> {
    let names = || FIELDS_OF_SETTINGS.iter().flat_map(|(_, names)| names.iter().copied());
    // The sender belongs to its key: `update` reads it only with the key.
    const OTHERS: [&str; 3] = ["setting", "appId", "emailExtensionSenderEmail"];
    let is_known = |sent: &&str| OTHERS.contains(sent) || names().any(|name| name == *sent);
    match fields.names().find(|sent| !is_known(sent)) {
        None => Ok(()),
        Some(unknown) => {
            let of_setting = FIELDS_OF_SETTINGS.iter().find(|(name, _)| *name == setting);
            let takes = of_setting.map(|(name, fields)| format!(" {name} takes {}", fields.join(", ")));
            let suggestion = suggestion(unknown, names());
            Err(ServiceError::invalid(format!("unknown field{suggestion}{}", takes.unwrap_or_default())))
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
    let claims = fields.list("fixedClaims")?.into_iter().map(|item| {
        let Value::Object(members) = item else {
            return Err(ServiceError::invalid("fixedClaims must be an array of objects"));
        };
        let value = members.get("value").cloned();
        let member = Fields::of_object(members);
        let path = MetadataPath::parse(member.required("path")?)
            .map_err(|error| ServiceError::invalid(error.to_string()))?;
        let source = ClaimSource::from_parts(member.required("source")?, value.as_ref()).ok_or_else(|| {
            ServiceError::invalid(format!(
                "the source of {path} must be userId, handle, userName or locale, or text or texts with the member value"
            ))
        })?;
        Ok(FixedClaim { path, source })
    });
    FixedClaims::new(claims.collect::<Result<_, _>>()?)
        .map_err(|error| ServiceError::invalid(error.to_string()))
}

/// All settings whose fields were sent with something in them. As at the reference, what is empty changes nothing.
pub(super) fn changes_of(id: AppId, fields: &Fields) -> Result<Vec<(String, SettingChange)>, ServiceError> {
    let sent = FIELDS_OF_SETTINGS.iter().filter(|(_, names)| names.iter().any(|name| fields.has(name)));
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
pub(crate) async fn send_test_mail(state: Data<AppState>, caller: OperatorCall, fields: Fields) -> Answer {
    let (operator, id) = operator_and_app(&state, caller, &fields).await?;
    state.service.send_test_mail(operator, id).await?;
    Ok(ok_true())
}

pub(crate) async fn send_test_sms(state: Data<AppState>, caller: OperatorCall, fields: Fields) -> Answer {
    let (operator, id) = operator_and_app(&state, caller, &fields).await?;
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
        for (setting, fields) in FIELDS_OF_SETTINGS {
            for name in fields.iter().chain([&setting]).filter(|name| **name != MISSPELT) {
                assert!(page.contains(&format!("`{name}`")), "{name}");
            }
        }
    }
}
