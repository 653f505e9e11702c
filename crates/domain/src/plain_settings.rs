//! The plain settings of an application: a flag, a number or a choice each. What this table says is what the API takes,
//! describes and bounds, what an import reads and what it must keep within. How they are stored is written out in
//! `latchkey-storage`.

use std::fmt;

use strum::VariantNames;

use crate::named::Named as _;
use crate::settings::{AppSettings, LinkAsksPassword, SignupFlow, UserIdFormat};

/// A setting with one value.
#[derive(Debug)]
pub struct PlainSetting {
    /// The name that selects it in the API. Settings that belong together share one.
    pub name: &'static str,
    /// The field of its value in the API, and in the documents of a Cosync JWT server.
    pub field: &'static str,
    /// What it does, where the name does not say.
    pub about: &'static str,
    /// Whether clients of the application see it, not only operators.
    pub is_public: bool,
    /// Its values.
    pub kind: PlainKind,
}

/// The values of a [`PlainSetting`], and where they are among the settings.
#[derive(Debug)]
pub enum PlainKind {
    /// On or off.
    Flag {
        /// Reads it.
        get: fn(&AppSettings) -> bool,
        /// Writes it.
        set: fn(&mut AppSettings, bool),
    },
    /// A whole number from `least` to `most`.
    Number {
        /// The least value.
        least: u32,
        /// The greatest value that can be set.
        most: u32,
        /// The greatest value that an import keeps.
        most_imported: u32,
        /// Reads it.
        get: fn(&AppSettings) -> u32,
        /// Writes it.
        set: fn(&mut AppSettings, u32),
    },
    /// One of several names.
    Choice {
        /// The names.
        names: &'static [&'static str],
        /// Reads it.
        get: fn(&AppSettings) -> &'static str,
        /// Writes it; a name that is not listed changes nothing.
        set: fn(&mut AppSettings, &str),
    },
}

/// A value of a [`PlainSetting`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainValue {
    /// Of a flag.
    Flag(bool),
    /// Of a number.
    Number(u32),
    /// Of a choice.
    Choice(&'static str),
}

impl fmt::Display for PlainValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(on) => on.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Choice(name) => f.write_str(name),
        }
    }
}

impl PlainSetting {
    /// Its value among these settings.
    #[must_use]
    pub fn value(&self, settings: &AppSettings) -> PlainValue {
        match self.kind {
            PlainKind::Flag { get, .. } => PlainValue::Flag(get(settings)),
            PlainKind::Number { get, .. } => PlainValue::Number(get(settings)),
            PlainKind::Choice { get, .. } => PlainValue::Choice(get(settings)),
        }
    }

    /// Sets its value.
    ///
    /// # Errors
    /// A sentence that names the bounds; the settings are unchanged then.
    pub fn set(&self, settings: &mut AppSettings, value: PlainValue) -> Result<(), String> {
        self.check(value)?;
        match (&self.kind, value) {
            (PlainKind::Flag { set, .. }, PlainValue::Flag(on)) => set(settings, on),
            (PlainKind::Number { set, .. }, PlainValue::Number(number)) => set(settings, number),
            (PlainKind::Choice { set, .. }, PlainValue::Choice(name)) => set(settings, name),
            _ => {}
        }
        Ok(())
    }

    /// Checks that a value is of its kind and within its bounds.
    ///
    /// # Errors
    /// A sentence that names the bounds.
    pub fn check(&self, value: PlainValue) -> Result<(), String> {
        self.check_up_to(value, |most, _| most)
    }

    /// As [`Self::check`], for a value that is imported.
    ///
    /// # Errors
    /// A sentence that names the bounds.
    pub fn check_imported(&self, value: PlainValue) -> Result<(), String> {
        self.check_up_to(value, |_, most_imported| most_imported)
    }

    fn check_up_to(&self, value: PlainValue, bound: fn(u32, u32) -> u32) -> Result<(), String> {
        match (&self.kind, value) {
            (PlainKind::Flag { .. }, PlainValue::Flag(_)) => Ok(()),
            (PlainKind::Flag { .. }, _) => Err(format!("{} is true or false", self.field)),
            (PlainKind::Number { least, most, most_imported, .. }, value) => {
                let most = bound(*most, *most_imported);
                match value {
                    PlainValue::Number(number) if (*least..=most).contains(&number) => Ok(()),
                    _ => Err(format!("{} is {least} to {most}", self.field)),
                }
            }
            (PlainKind::Choice { names, .. }, PlainValue::Choice(name)) if names.contains(&name) => Ok(()),
            (PlainKind::Choice { names, .. }, _) => {
                Err(format!("{} is one of {}", self.field, names.join(", ")))
            }
        }
    }
}

macro_rules! flag {
    ($shown:ident, $name:literal, $field:literal, $about:literal, $($path:ident).+) => {
        PlainSetting {
            name: $name,
            field: $field,
            about: $about,
            is_public: $shown,
            kind: PlainKind::Flag {
                get: |settings| settings.$($path).+,
                set: |settings, on| settings.$($path).+ = on,
            },
        }
    };
}

macro_rules! number {
    ($shown:ident, $name:literal, $field:literal, $about:literal, $least:literal..=$most:expr, $($path:ident).+) => {
        number!($shown, $name, $field, $about, $least..=$most, imported $most, $($path).+)
    };
    ($shown:ident, $name:literal, $field:literal, $about:literal, $least:literal..=$most:expr, imported $imported:expr, $($path:ident).+) => {
        PlainSetting {
            name: $name,
            field: $field,
            about: $about,
            is_public: $shown,
            kind: PlainKind::Number {
                least: $least,
                most: $most,
                most_imported: $imported,
                get: |settings| settings.$($path).+,
                set: |settings, number| settings.$($path).+ = number,
            },
        }
    };
}

macro_rules! choice {
    ($shown:ident, $name:literal, $field:literal, $about:literal, $values:ty, $path:ident) => {
        PlainSetting {
            name: $name,
            field: $field,
            about: $about,
            is_public: $shown,
            kind: PlainKind::Choice {
                names: <$values as VariantNames>::VARIANTS,
                get: |settings| settings.$path.name(),
                set: |settings, name| {
                    if let Some(value) = <$values>::from_name(name) {
                        settings.$path = value;
                    }
                },
            },
        }
    };
}

/// Old servers gave longer lives, which an import keeps: up to ten years.
const MOST_IMPORTED_JWT_HOURS: u32 = 87_600;

/// Clients see it.
const PUBLIC: bool = true;
/// Operators alone see it.
const PRIVATE: bool = false;

/// All of them.
pub const PLAIN_SETTINGS: &[PlainSetting] = &[
    flag!(PUBLIC, "invite", "invitationEnabled", "Whether users may invite others.", invitation_enabled),
    flag!(PUBLIC, "signup", "signupEnabled", "Whether people may sign up by themselves.", signup_enabled),
    choice!(PUBLIC, "signupFlow", "signupFlow", "How people prove their handle.", SignupFlow, signup_flow),
    flag!(PUBLIC, "jwtEnabled", "jwtEnabled", "Kept for consoles; it decides nothing.", jwt_enabled),
    flag!(
        PUBLIC,
        "userNamesEnabled",
        "userNamesEnabled",
        "Whether users may have a user name beside their handle.",
        user_names
    ),
    flag!(
        PUBLIC,
        "anonLogin",
        "anonymousLoginEnabled",
        "Whether anonymous users may sign in.",
        anonymous_login
    ),
    number!(PUBLIC, "maxUsers", "maxUsers", "0 for no limit.", 0..=u32::MAX, max_users),
    number!(
        PUBLIC,
        "userJWTExpiration",
        "userJWTExpiration",
        "Life of a user's JWT in hours.",
        1..=720,
        imported MOST_IMPORTED_JWT_HOURS,
        user_jwt_hours
    ),
    number!(
        PRIVATE,
        "accessTokenDays",
        "accessTokenDays",
        "Life of an access token in days.",
        1..=365,
        access_token_days
    ),
    flag!(
        PUBLIC,
        "passwordFilter",
        "passwordFilter",
        "Whether the minima below are enforced.",
        password.filter
    ),
    number!(PUBLIC, "passwordSetting", "passwordMinLength", "", 0..=128, password.min_length),
    number!(PUBLIC, "passwordSetting", "passwordMinUpper", "", 0..=128, password.min_upper),
    number!(PUBLIC, "passwordSetting", "passwordMinLower", "", 0..=128, password.min_lower),
    number!(PUBLIC, "passwordSetting", "passwordMinDigit", "", 0..=128, password.min_digit),
    number!(PUBLIC, "passwordSetting", "passwordMinSpecial", "", 0..=128, password.min_special),
    flag!(
        PRIVATE,
        "refuseCommonPasswords",
        "refuseCommonPasswords",
        "Whether passwords that everybody uses are refused.",
        password.refuse_common
    ),
    flag!(
        PUBLIC,
        "metaDataEmail",
        "metaDataEmail",
        "Whether the JWT has the handle as claim `email`.",
        metadata_email
    ),
    flag!(
        PUBLIC,
        "emailExtension",
        "emailExtension",
        "Whether mail is sent by the application's own sender.",
        own_mail_sender
    ),
    flag!(
        PRIVATE,
        "twoFactorConfirm",
        "twoFactorConfirm",
        "Whether a new authenticator must be confirmed by its first code.",
        two_factor_confirm
    ),
    flag!(
        PRIVATE,
        "qrCodeMail",
        "qrCodeMail",
        "Whether the QR code of a new authenticator is also mailed.",
        qr_code_mail
    ),
    flag!(
        PRIVATE,
        "factorChangeNeedsLogin",
        "factorChangeNeedsLogin",
        "Whether removing or replacing a second factor needs a recent log-in or a code.",
        factor_change_needs_login
    ),
    number!(PRIVATE, "smsADay", "smsADay", "The most SMS in a day.", 0..=1_000_000, sms_a_day),
    flag!(PUBLIC, "appleLogin", "appleLoginEnabled", "", apple.enabled),
    flag!(PUBLIC, "googleLogin", "googleLoginEnabled", "", google.enabled),
    choice!(PRIVATE, "userIdFormat", "userIdFormat", "The claim `sub`.", UserIdFormat, user_id_format),
    choice!(
        PRIVATE,
        "linkAsksPassword",
        "linkAsksPassword",
        "Where the page behind a sign-up's link asks for the password that was chosen at the sign-up.",
        LinkAsksPassword,
        link_asks_password
    ),
    number!(
        PRIVATE,
        "handleHoldDays",
        "handleHoldDays",
        "How many days the handle of a deleted user stays taken.",
        0..=3_650,
        handle_hold_days
    ),
    flag!(
        PRIVATE,
        "neutralAnswers",
        "neutralAnswers",
        "Whether sign-up and reset answer alike for known and unknown handles.",
        neutral_answers
    ),
    number!(
        PRIVATE,
        "anonymousPurgeDays",
        "anonymousPurgeDays",
        "0 for never.",
        0..=3_650,
        anonymous_purge_days
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Preset;

    #[test]
    fn every_setting_is_read_as_it_was_written_and_is_apart_from_the_others() {
        for setting in PLAIN_SETTINGS {
            let mut settings = AppSettings::preset(Preset::Recommended);
            let before = setting.value(&settings);
            let other = match (&setting.kind, before) {
                (PlainKind::Number { least, most, .. }, PlainValue::Number(now)) => {
                    PlainValue::Number(if now == *most { *least } else { *most })
                }
                (PlainKind::Choice { names, .. }, PlainValue::Choice(now)) => {
                    PlainValue::Choice(names.iter().find(|name| **name != now).unwrap())
                }
                (PlainKind::Flag { .. }, PlainValue::Flag(on)) => PlainValue::Flag(!on),
                (_, value) => panic!("{} reads as {value:?}", setting.field),
            };
            let original = settings.clone();
            setting.set(&mut settings, other).unwrap();
            let changed: Vec<_> = PLAIN_SETTINGS
                .iter()
                .filter(|candidate| candidate.value(&settings) != candidate.value(&original))
                .map(|candidate| candidate.field)
                .collect();
            assert_eq!(changed, [setting.field]);
            setting.set(&mut settings, before).unwrap();
            assert_eq!(settings, original, "{}", setting.field);
        }
    }

    #[test]
    fn a_value_out_of_bounds_or_of_another_kind_changes_nothing() {
        let original = AppSettings::preset(Preset::Compatible);
        for setting in PLAIN_SETTINGS {
            let mut settings = original.clone();
            let wrong = match &setting.kind {
                PlainKind::Number { most, .. } if *most < u32::MAX => PlainValue::Number(most + 1),
                PlainKind::Number { .. } => PlainValue::Flag(true),
                PlainKind::Flag { .. } => PlainValue::Number(1),
                PlainKind::Choice { .. } => PlainValue::Choice("canary"),
            };
            let sentence = setting.set(&mut settings, wrong).unwrap_err();
            assert!(sentence.starts_with(&format!("{} is ", setting.field)), "{sentence}");
            assert_eq!(settings, original);
        }
    }
}
