//! The built-in messages, one file per language under `languages/`. Where an application has worded a
//! message itself, that is the service's to find.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use latchkey_domain::{Locale, TemplateName};
use rust_embed::RustEmbed;
use serde::Deserialize;

use crate::html::html_of;
use crate::render::Template;

#[derive(RustEmbed)]
#[folder = "languages/"]
struct Files;

/// Which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// One that an application may word itself.
    Named(TemplateName),
    /// A password was changed or reset.
    PasswordChanged,
    /// Waiting has begun after wrong passwords.
    LoginLocked,
    /// A sign-up was requested for a handle that has an account.
    AccountExists,
    /// A second factor was enrolled, replaced or removed.
    FactorChanged,
    /// Wrong codes were sent with the right password.
    FactorFailed,
    /// A recovery code was used.
    RecoveryUsed,
}

/// A language.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    locale: String,
    sign_up: Message,
    sign_up_link: Message,
    click_through: Message,
    sign_up_success: Message,
    reset_password: Message,
    invite: Message,
    qr_code: Message,
    sms: Message,
    password_changed: Message,
    login_locked: Message,
    account_exists: Message,
    factor_changed: Message,
    factor_failed: Message,
    recovery_used: Message,
    /// Sentences that are added to messages.
    pub notes: Notes,
    /// The texts of the page behind a mailed link.
    pub page: PageTexts,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    subject: String,
    text: String,
}

/// Sentences that are added to messages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notes {
    /// Another address has an open attempt of the same handle.
    pub rival_attempt: String,
    /// The default text of a link.
    pub link_text: String,
}

/// The texts of the page behind a mailed link.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageTexts {
    /// The heading of the question.
    pub title: String,
    /// The question, with marks.
    pub question: String,
    /// The text above the password field, if the page has one.
    pub password_question: String,
    /// The name of the password field.
    pub password: String,
    /// The password was wrong.
    pub password_wrong: String,
    /// The button.
    pub button: String,
    /// The heading where everything is done already.
    pub used_title: String,
    /// The heading of an error.
    pub failed_title: String,
    /// The code has expired.
    pub expired: String,
    /// The code is wrong, or its tries are spent.
    pub wrong: String,
    /// The account is confirmed already.
    pub used: String,
    /// The application takes no sign-ups.
    pub unavailable: String,
    /// The server cannot answer.
    pub busy: String,
}

/// A file that does not parse fails the test below, so nothing is skipped in what is shipped.
static LANGUAGES: LazyLock<BTreeMap<String, Language>> = LazyLock::new(|| {
    let parsed = Files::iter().filter_map(|name| parse(&name).ok());
    parsed.map(|language| (language.locale.clone(), language)).collect()
});

fn parse(name: &str) -> Result<Language, String> {
    let file = Files::get(name).ok_or("no such file")?;
    let text = std::str::from_utf8(&file.data).map_err(|error| error.to_string())?;
    toml::from_str(text).map_err(|error| error.to_string())
}

impl Language {
    /// The language of a locale, if there is one.
    #[must_use]
    pub fn of(locale: Locale) -> Option<&'static Self> {
        LANGUAGES.get(locale.as_str())
    }

    /// The language of a locale, or English.
    #[must_use]
    pub fn or_english(locale: Locale) -> Option<&'static Self> {
        Self::of(locale).or_else(|| Self::of(Locale::EN))
    }

    /// The locale.
    #[must_use]
    pub fn locale(&self) -> &str {
        &self.locale
    }

    /// A message in this language.
    #[must_use]
    pub fn message(&self, kind: MessageKind) -> Template {
        let message = match kind {
            MessageKind::Named(TemplateName::SignUp) => &self.sign_up,
            MessageKind::Named(TemplateName::SignUpLink) => &self.sign_up_link,
            MessageKind::Named(TemplateName::ClickThrough) => &self.click_through,
            MessageKind::Named(TemplateName::SignUpSuccess) => &self.sign_up_success,
            MessageKind::Named(TemplateName::ResetPassword) => &self.reset_password,
            MessageKind::Named(TemplateName::Invite) => &self.invite,
            MessageKind::Named(TemplateName::QrCode) => &self.qr_code,
            MessageKind::Named(TemplateName::Sms) => &self.sms,
            MessageKind::PasswordChanged => &self.password_changed,
            MessageKind::LoginLocked => &self.login_locked,
            MessageKind::AccountExists => &self.account_exists,
            MessageKind::FactorChanged => &self.factor_changed,
            MessageKind::FactorFailed => &self.factor_failed,
            MessageKind::RecoveryUsed => &self.recovery_used,
        };
        let text = message.text.trim();
        Template {
            subject: message.subject.clone(),
            html: if kind == MessageKind::Named(TemplateName::Sms) { text.to_owned() } else { html_of(text) },
            text: format!("{text}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_secrets;

    const ALL: [MessageKind; 14] = [
        MessageKind::Named(TemplateName::SignUp),
        MessageKind::Named(TemplateName::SignUpLink),
        MessageKind::Named(TemplateName::ClickThrough),
        MessageKind::Named(TemplateName::SignUpSuccess),
        MessageKind::Named(TemplateName::ResetPassword),
        MessageKind::Named(TemplateName::Invite),
        MessageKind::Named(TemplateName::QrCode),
        MessageKind::Named(TemplateName::Sms),
        MessageKind::PasswordChanged,
        MessageKind::LoginLocked,
        MessageKind::AccountExists,
        MessageKind::FactorChanged,
        MessageKind::FactorFailed,
        MessageKind::RecoveryUsed,
    ];

    fn marks(text: &str) -> Vec<String> {
        let mut marks: Vec<String> = text.split('%').skip(1).step_by(2).map(str::to_owned).collect();
        marks.sort();
        marks.dedup();
        marks
    }

    #[test]
    fn every_file_is_a_language_that_says_what_english_says() {
        let names: Vec<_> = Files::iter().collect();
        assert!(names.len() >= 4, "{names:?}");
        let english = Language::of(Locale::EN).unwrap();
        for name in names {
            let language = parse(&name).unwrap_or_else(|error| panic!("{name}: {error}"));
            let locale = Locale::parse(&language.locale).unwrap();
            assert_eq!(name, format!("{}.toml", locale.as_str().to_lowercase()));
            for kind in ALL {
                let (own, other) = (language.message(kind), english.message(kind));
                assert_eq!(marks(&own.text), marks(&other.text), "{name} {kind:?}");
                assert_eq!(check_secrets(&own.html, "https://auth.example.com"), Ok(()), "{name} {kind:?}");
                assert!(!own.subject.is_empty() || kind == MessageKind::Named(TemplateName::Sms));
            }
            assert_eq!(marks(&language.page.question), ["APP_NAME", "HANDLE"], "{name}");
        }
    }

    #[test]
    fn the_english_subjects_are_those_of_the_protocol() {
        let english = Language::of(Locale::EN).unwrap();
        let subject = |name| english.message(MessageKind::Named(name)).subject;
        assert_eq!(subject(TemplateName::SignUp), "Verify your email for %APP_NAME%");
        assert_eq!(subject(TemplateName::SignUpLink), "Verify your account for %APP_NAME%");
        assert_eq!(subject(TemplateName::ClickThrough), "clickThrough");
        assert_eq!(subject(TemplateName::SignUpSuccess), "Welcome to %APP_NAME%");
        assert_eq!(subject(TemplateName::ResetPassword), "Reset your password for %APP_NAME%");
        assert_eq!(subject(TemplateName::Invite), "Account invitation for %APP_NAME%");
        assert_eq!(subject(TemplateName::QrCode), "QR Code for login two step verification of %APP_NAME%");
    }
}
