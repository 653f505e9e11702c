//! The bounds of what moves in: the same that hold for what is set over REST, so that nothing comes in that could not
//! be made here. An old server's longer tokens are the one exception.

use latchkey_domain::{AppSettings, Audience, Locale, PLAIN_SETTINGS, SocialLogin, has_forbidden_characters};
use latchkey_notifiers::MailAddress;
use serde_json::{Map, Value};

use crate::operate::keys::MOST_APP_DATA;
use crate::operate::settings::{MOST_LOGIN_ATTEMPTS, each_once};

/// How many bytes of text the records of one unit of work may have been, so that memory stays small whatever they are.
pub const MOST_BYTES_AT_ONCE: usize = 1024 * 1024;
/// The most bytes of an application with its keys and its messages.
pub const MOST_HEAD_BYTES: usize = 8 * 1024 * 1024;
/// The maximum number of keys of an application: all of them are published.
pub(super) const MOST_KEYS: usize = 50;
/// How deep objects and lists may lie in metadata: as deep as in a request's body.
const DEEPEST: usize = 32;

/// Settings within their bounds; English is always among the locales.
pub(super) fn within_bounds(mut settings: AppSettings) -> Result<AppSettings, String> {
    if let Some(name) = settings.unknown.keys().next() {
        return Err(format!("unknown setting {name:?}"));
    }
    for setting in PLAIN_SETTINGS {
        setting.check_imported(setting.value(&settings))?;
    }
    if settings.max_login_attempts.is_some_and(|free| !(1..=MOST_LOGIN_ATTEMPTS).contains(&free)) {
        return Err(format!("maxLoginAttempts is 1 to {MOST_LOGIN_ATTEMPTS}"));
    }
    if let Audience::Fixed(text) = &settings.audience
        && !is_fixed_audience(text)
    {
        return Err("the audience is no text of at most 254 bytes".to_owned());
    }
    let mut fields = settings.metadata.iter().chain(settings.invite_metadata.iter());
    if !fields.all(|field| is_heading(&field.field_name)) {
        return Err("the name of a metadata field is no text of at most 100 characters".to_owned());
    }
    if settings.authenticator_heading.as_deref().is_some_and(|text| !is_heading(text)) {
        return Err("the heading of authenticators is no text of at most 100 characters".to_owned());
    }
    if settings.mail_sender_address.as_deref().is_some_and(|text| MailAddress::parse(text).is_err()) {
        return Err("the sender of mail is no address".to_owned());
    }
    if ![&settings.apple, &settings.google].into_iter().all(are_audiences) {
        return Err("more than 50 client ids, or an invalid one".to_owned());
    }
    let length = Value::Object(settings.app_data.clone()).to_string().len();
    if length > MOST_APP_DATA || !is_storable(&settings.app_data) {
        return Err(format!("the application's data are longer than {MOST_APP_DATA} bytes, or lie too deep"));
    }
    settings.locales = each_once(settings.locales);
    settings.sms_countries = each_once(settings.sms_countries);
    if !settings.locales.contains(&Locale::EN) {
        settings.locales.insert(0, Locale::EN);
    }
    Ok(settings)
}

pub(super) fn is_fixed_audience(text: &str) -> bool {
    (1..=254).contains(&text.len()) && !has_forbidden_characters(text)
}

pub(super) fn is_heading(text: &str) -> bool {
    text.chars().count() <= 100 && !has_forbidden_characters(text)
}

/// Whether this is a client id as a provider's tokens carry it.
pub(super) fn is_audience(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*')
}

fn are_audiences(login: &SocialLogin) -> bool {
    login.audiences.len() <= 50 && login.audiences.iter().all(|text| is_audience(text))
}

/// Whether values can be stored everywhere, and leave again: no NUL, and not too deep.
pub(super) fn is_storable(values: &Map<String, Value>) -> bool {
    let mut open: Vec<(usize, &str, &Value)> =
        values.iter().map(|(name, value)| (1, name.as_str(), value)).collect();
    while let Some((depth, name, value)) = open.pop() {
        let has_nul = name.contains('\0') || value.as_str().is_some_and(|text| text.contains('\0'));
        if depth > DEEPEST || has_nul {
            return false;
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (depth + 1, "", item))),
            Value::Object(members) => {
                open.extend(members.iter().map(|(name, value)| (depth + 1, name.as_str(), value)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use latchkey_domain::{CallingCode, Preset};
    use serde_json::json;

    use super::*;

    fn refused(change: impl FnOnce(&mut AppSettings)) -> String {
        let mut settings = AppSettings::preset(Preset::Recommended);
        change(&mut settings);
        within_bounds(settings).unwrap_err()
    }

    #[test]
    fn what_could_not_be_set_here_does_not_move_in() {
        assert!(within_bounds(AppSettings::preset(Preset::Compatible)).is_ok());
        assert!(refused(|settings| settings.user_jwt_hours = u32::MAX).contains("userJWTExpiration"));
        assert!(refused(|settings| settings.user_jwt_hours = 0).contains("userJWTExpiration"));
        assert!(refused(|settings| settings.access_token_days = 3_650_000).contains("accessTokenDays"));
        assert!(refused(|settings| settings.handle_hold_days = u32::MAX).contains("handleHoldDays"));
        assert!(refused(|settings| settings.anonymous_purge_days = u32::MAX).contains("anonymousPurgeDays"));
        assert!(refused(|settings| settings.sms_a_day = u32::MAX).contains("smsADay"));
        assert!(refused(|settings| settings.max_login_attempts = Some(0)).contains("maxLoginAttempts"));
        assert!(refused(|settings| settings.password.min_upper = 129).contains("passwordMinUpper"));
        assert!(refused(|settings| settings.audience = Audience::Fixed("a\nb".into())).contains("audience"));
        assert!(
            refused(|settings| settings.mail_sender_address = Some("a@b.ch\r\nx".into())).contains("sender")
        );
        assert!(refused(|settings| settings.apple.audiences = vec!["*".into()]).contains("client ids"));
        assert!(refused(|settings| drop(settings.unknown.insert("n".into(), json!(1)))).contains("\"n\""));
        let mut without = AppSettings::preset(Preset::Recommended);
        without.locales.clear();
        assert_eq!(within_bounds(without).unwrap().locales, [Locale::EN]);
        let mut many = AppSettings::preset(Preset::Recommended);
        many.locales = vec![Locale::EN; 200_000];
        many.sms_countries = vec![CallingCode::parse("49").unwrap(); 200_000];
        let few = within_bounds(many).unwrap();
        assert_eq!((few.locales.len(), few.sms_countries.len()), (1, 1));
    }

    #[test]
    fn metadata_that_could_not_leave_again_do_not_move_in() {
        let nested = |depth: usize| {
            let value = (1..depth).fold(json!(1), |inner, _| json!([inner]));
            is_storable(&Map::from_iter([("a".to_owned(), value)]))
        };
        assert!(nested(DEEPEST) && !nested(DEEPEST + 1) && !nested(120));
        let Value::Object(nul) = json!({"a": {"b": ["\0"]}}) else { panic!("an object") };
        assert!(!is_storable(&nul));
    }
}
