//! The settings of one application, and the two presets with which applications are made.
//! How they are stored and how they look on the wire is not known here.

use serde_json::{Map, Value};

use crate::fixed_claims::FixedClaims;
use crate::id::AppId;
use crate::locale::Locale;
use crate::metadata::{MetadataField, MetadataFields};
use crate::named::Named as _;
use crate::password::PasswordPolicy;
use crate::phone::CallingCode;
use crate::plain_settings::{PlainSetting, app_settings};
use crate::secret::Sealed;

/// The most SMS of a new application in a day.
pub const SMS_A_DAY: u32 = 200;

/// How a new user proves that the handle is theirs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray, strum::VariantNames,
)]
pub enum SignupFlow {
    /// Not at all: the account exists at once.
    #[strum(serialize = "none")]
    None,
    /// By a code that is mailed to the handle.
    #[strum(serialize = "code")]
    Code,
    /// By a link that is mailed to the handle.
    #[strum(serialize = "link")]
    Link,
}

/// Which second factor users may enrol.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray, strum::VariantNames,
)]
pub enum TwoFactorMode {
    /// None.
    #[strum(serialize = "none")]
    None,
    /// An authenticator app (RFC 6238).
    #[strum(serialize = "google")]
    Authenticator,
    /// A code by SMS.
    #[strum(serialize = "phone")]
    Phone,
}

/// The claim `sub` of a user's JWT (RFC 7519 section 4.1.2).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray, strum::VariantNames,
)]
pub enum UserIdFormat {
    /// The handle unchanged.
    #[strum(serialize = "handle")]
    Handle,
    /// The handle with `@` replaced by `_`.
    #[strum(serialize = "handle_underscore")]
    HandleUnderscore,
    /// 32 hexadecimal digits, given at creation and never reused.
    #[strum(serialize = "uid")]
    Uid,
}

/// A way to sign in with another service's token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SocialLogin {
    /// Whether it is offered.
    pub enabled: bool,
    /// The audiences that the service's tokens may carry.
    pub audiences: Vec<String>,
}

/// Clients see it.
const PUBLIC: bool = true;
/// Operators alone see it.
const PRIVATE: bool = false;

/// Old servers gave longer lives, which an import keeps: up to ten years.
const MOST_IMPORTED_JWT_HOURS: u32 = 87_600;

app_settings! {
    /// Everything about an application that its developer decides.
    #[derive(Debug, Clone, PartialEq)]
    if recommended;
    plain {
        PUBLIC "invite" "invitationEnabled" invitation_enabled: flag = true,
            "Whether users may invite others.";
        PUBLIC "signup" "signupEnabled" signup_enabled: flag = true,
            "Whether people may sign up by themselves.";
        PUBLIC "signupFlow" "signupFlow" signup_flow: choice(SignupFlow) = SignupFlow::Code,
            "How people prove their handle.";
        PUBLIC "jwtEnabled" "jwtEnabled" jwt_enabled: flag = true,
            "Kept for consoles; it decides nothing.";
        PUBLIC "userNamesEnabled" "userNamesEnabled" user_names: flag = false,
            "Whether users may have a user name beside their handle.";
        PUBLIC "anonLogin" "anonymousLoginEnabled" anonymous_login: flag = false,
            "Whether anonymous users may sign in.";
        PUBLIC "maxUsers" "maxUsers" max_users: number(0..=u32::MAX) = 0,
            "0 for no limit.";
        PUBLIC "userJWTExpiration" "userJWTExpiration" user_jwt_hours: number(1..=720, imported MOST_IMPORTED_JWT_HOURS) = 24,
            "Life of a user's JWT in hours.";
        PRIVATE "accessTokenDays" "accessTokenDays" access_token_days: number(1..=365) = if recommended { 30 } else { 365 },
            "Life of an access token in days.";
        PUBLIC "metaDataEmail" "metaDataEmail" metadata_email: flag = true,
            "Whether the JWT has the handle as claim `email`.";
        PUBLIC "emailExtension" "emailExtension" own_mail_sender: flag = false,
            "Whether mail is sent by the application's own sender.";
        PRIVATE "twoFactorConfirm" "twoFactorConfirm" two_factor_confirm: flag = recommended,
            "Whether a new authenticator must be confirmed by its first code.";
        PRIVATE "qrCodeMail" "qrCodeMail" qr_code_mail: flag = !recommended,
            "Whether the QR code of a new authenticator is also mailed.";
        PRIVATE "factorChangeNeedsLogin" "factorChangeNeedsLogin" factor_change_needs_login: flag = recommended,
            "Whether removing or replacing a second factor needs a recent log-in or a code.";
        PRIVATE "smsADay" "smsADay" sms_a_day: number(0..=1_000_000) = SMS_A_DAY,
            "The most SMS in a day.";
        PRIVATE "userIdFormat" "userIdFormat" user_id_format: choice(UserIdFormat) = if recommended { UserIdFormat::Uid } else { UserIdFormat::Handle },
            "The claim `sub`.";
        PRIVATE "linkAsksPassword" "linkAsksPassword" link_asks_password: choice(LinkAsksPassword) = LinkAsksPassword::Elsewhere,
            "Where the page behind a sign-up's link asks for the password that was chosen at the sign-up.";
        PRIVATE "handleHoldDays" "handleHoldDays" handle_hold_days: number(0..=3_650) = 0,
            "How many days the handle of a deleted user stays taken.";
        PRIVATE "neutralAnswers" "neutralAnswers" neutral_answers: flag = false,
            "Whether sign-up and reset answer alike for known and unknown handles.";
        PRIVATE "anonymousPurgeDays" "anonymousPurgeDays" anonymous_purge_days: number(0..=3_650) = if recommended { 30 } else { 0 },
            "0 for never.";
    }
    within {
        PUBLIC "passwordFilter" "passwordFilter" password.filter: flag, "Whether the minima below are enforced.";
        PUBLIC "passwordSetting" "passwordMinLength" password.min_length: number(0..=128), "";
        PUBLIC "passwordSetting" "passwordMinUpper" password.min_upper: number(0..=128), "";
        PUBLIC "passwordSetting" "passwordMinLower" password.min_lower: number(0..=128), "";
        PUBLIC "passwordSetting" "passwordMinDigit" password.min_digit: number(0..=128), "";
        PUBLIC "passwordSetting" "passwordMinSpecial" password.min_special: number(0..=128), "";
        PRIVATE "refuseCommonPasswords" "refuseCommonPasswords" password.refuse_common: flag,
            "Whether passwords that everybody uses are refused.";
        PUBLIC "appleLogin" "appleLoginEnabled" apple.enabled: flag, "";
        PUBLIC "googleLogin" "googleLoginEnabled" google.enabled: flag, "";
    }
    others {
        /// The password filter.
        password: PasswordPolicy = PasswordPolicy {
            filter: recommended,
            min_length: if recommended { 8 } else { 5 },
            min_upper: 0,
            min_lower: 0,
            min_digit: 0,
            min_special: 0,
            refuse_common: recommended,
        };
        /// Sign-in with Apple.
        apple: SocialLogin = SocialLogin::default();
        /// Sign-in with Google.
        google: SocialLogin = SocialLogin::default();
        /// What authenticator apps show above the code; the application's name if empty.
        authenticator_heading: Option<String> = None;
        /// Which second factor may be enrolled.
        two_factor: TwoFactorMode = TwoFactorMode::None;
        /// Its account at the SMS provider, sealed.
        sms_account: Option<Sealed> = None;
        /// The countries to which SMS are sent; if empty, the country of the sender's number.
        sms_countries: Vec<CallingCode> = Vec::new();
        /// Failed logins before waiting begins.
        max_login_attempts: Option<u32> = None;
        /// The claim `aud` of a user's JWT (RFC 7519 section 4.1.3).
        audience: Audience = if recommended { Audience::AppId } else { Audience::None };
        /// Fields of users' metadata.
        metadata: MetadataFields = MetadataFields::default();
        /// The fields that a user who invites sets for the invited user.
        invite_metadata: MetadataFields = MetadataFields::default();
        /// Claims that every user's JWT carries.
        fixed_claims: FixedClaims = FixedClaims::default();
        /// The locales that are offered; English always is.
        locales: Vec<Locale> = vec![Locale::EN];
        /// The address of the application's own mail sender.
        mail_sender_address: Option<String> = None;
        /// Its key at the mail provider, sealed.
        mail_api_key: Option<Sealed> = None;
        /// Whether users may set a new metadata field whose definition does not say. If not, undeclared values are not
        /// claims either.
        fields_user_settable: bool = !recommended;
        /// What consumers keep with the application.
        app_data: Map<String, Value> = Map::new();
        /// Settings that this version does not know, kept as they were stored.
        unknown: Map<String, Value> = Map::new();
    }
}

/// When the page behind a mailed link requires the password of the sign-up. Some mail scanners open a link and submit
/// the form behind it, but know no password.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray, strum::VariantNames,
)]
pub enum LinkAsksPassword {
    /// Wherever it is opened.
    #[strum(serialize = "always")]
    Always,
    /// Unless it is opened from the address prefix that signed up.
    #[strum(serialize = "elsewhere")]
    Elsewhere,
    /// Nowhere: whatever presses its button completes the sign-up.
    #[strum(serialize = "never")]
    Never,
}

/// The audience of users' JWTs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// The text `none`, as the reference answers.
    None,
    /// The application's id.
    AppId,
    /// The expected audience.
    Fixed(String),
}

impl Audience {
    /// The claim `aud` of an application's tokens (RFC 7519 section 4.1.3).
    #[must_use]
    pub fn claim(&self, app_id: AppId) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::AppId => app_id.to_string(),
            Self::Fixed(text) => text.clone(),
        }
    }
}

/// With which settings an application begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// The safest settings, for new applications.
    Recommended,
    /// The reference's defaults, for clients that were written against it.
    Compatible,
}

impl AppSettings {
    /// Warnings about these settings for the developer, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.field_warnings();
        if self.signup_flow == SignupFlow::Link && self.link_asks_password == LinkAsksPassword::Never {
            let warning = "a mail scanner that submits forms completes sign-ups of which the owner of the address knows \
                           nothing: with linkAsksPassword \"elsewhere\" it cannot";
            warnings.push(warning.to_owned());
        }
        warnings
    }

    /// Warnings about metadata fields for the developer, a sentence each: fields that let users grant themselves
    /// rights, and fields that set a claim that no new field may set.
    #[must_use]
    pub fn field_warnings(&self) -> Vec<String> {
        let lists = [("metaData", &self.metadata), ("metaDataInvite", &self.invite_metadata)];
        let fields =
            lists.into_iter().flat_map(|(list, fields)| fields.iter().map(move |field| (list, field)));
        let warning = |(list, field): (&str, &MetadataField)| {
            let path = &field.path;
            let has_a_meaning = path.has_a_meaning();
            if field.user_settable && (has_a_meaning || path.speaks_of_authority()) {
                return Some(format!(
                    "users may set the field {path} of {list}, whose name speaks of rights: with userSettable false, \
                     only the developer may"
                ));
            }
            has_a_meaning.then(|| {
                format!("the field {path} of {list} sets a claim with a meaning of its own, which no new field may")
            })
        };
        let mut warnings: Vec<String> = fields.filter_map(warning).collect();
        let blocked = self.metadata.iter().filter(|field| {
            field.required && field.default.is_none() && !field.user_settable && !field.is_email()
        });
        warnings.extend(blocked.map(|field| {
            format!(
                "nobody can sign up: the field {} is required, has no default, and only operators set it",
                field.path
            )
        }));
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{MetadataKind, MetadataPath};

    #[test]
    fn the_recommended_preset_is_the_stricter_one() {
        let [strict, compatible] = [Preset::Recommended, Preset::Compatible].map(AppSettings::preset);
        assert!(!strict.qr_code_mail && compatible.qr_code_mail);
        assert!(!strict.fields_user_settable && compatible.fields_user_settable);
        assert!(strict.two_factor_confirm && !compatible.two_factor_confirm);
        assert!(strict.warnings().is_empty() && compatible.warnings().is_empty());
    }

    #[test]
    fn a_link_that_any_scanner_can_press_is_warned_of() {
        for flow in [SignupFlow::None, SignupFlow::Code, SignupFlow::Link] {
            for asks in [LinkAsksPassword::Always, LinkAsksPassword::Elsewhere, LinkAsksPassword::Never] {
                let preset = AppSettings::preset(Preset::Recommended);
                let warnings =
                    AppSettings { signup_flow: flow, link_asks_password: asks, ..preset }.warnings();
                let is_open = (flow, asks) == (SignupFlow::Link, LinkAsksPassword::Never);
                assert_eq!(
                    warnings.iter().any(|text| text.contains("scanner")),
                    is_open,
                    "{flow:?} {asks:?}"
                );
                assert_eq!(warnings.len(), usize::from(is_open));
            }
        }
    }

    #[test]
    fn sec_060_fields_that_grant_rights_are_warned_of() {
        let warnings = |path: &str, user_settable| {
            let path = MetadataPath::parse(path).unwrap();
            let (kind, field_name) = (MetadataKind::Text, "x".to_owned());
            let field = MetadataField {
                path,
                field_name,
                required: false,
                can_edit: true,
                user_settable,
                kind,
                default: None,
            };
            let metadata = MetadataFields::existing(vec![field]).unwrap();
            let settings = AppSettings { metadata, ..AppSettings::preset(Preset::Compatible) };
            assert_eq!(settings.warnings(), settings.field_warnings());
            settings.field_warnings()
        };
        assert!(warnings("colour", true).is_empty());
        assert!(warnings("role", false).is_empty());
        let [settable] = &warnings("role", true)[..] else { panic!("one warning") };
        assert!(settable.starts_with("users may set the field role of metaData"), "{settable}");
        let [settable] = &warnings("email_verified", true)[..] else { panic!("one warning") };
        assert!(settable.starts_with("users may set the field email_verified"), "{settable}");
        let [fixed] = &warnings("email_verified", false)[..] else { panic!("one warning") };
        assert!(fixed.contains("a meaning of its own"), "{fixed}");
    }

    #[test]
    fn a_required_field_that_only_operators_set_is_warned_of() {
        let warnings = |field_name: &str, user_settable, default: Option<&str>| {
            let field = MetadataField {
                path: MetadataPath::parse("plan").unwrap(),
                field_name: field_name.to_owned(),
                required: true,
                can_edit: false,
                user_settable,
                kind: MetadataKind::Text,
                default: default.map(Into::into),
            };
            let metadata = MetadataFields::new(vec![field]).unwrap();
            AppSettings { metadata, ..AppSettings::preset(Preset::Recommended) }.field_warnings()
        };
        let [blocked] = &warnings("plan", false, None)[..] else { panic!("one warning") };
        assert!(blocked.starts_with("nobody can sign up: the field plan is required"), "{blocked}");
        assert!(warnings("plan", true, None).is_empty());
        assert!(warnings("plan", false, Some("free")).is_empty());
        assert!(warnings("email", false, None).is_empty(), "its value is the handle");
    }
}
