//! The messages that an application may word itself. Their built-in texts are `latchkey-notifiers`' business.

use time::OffsetDateTime;

use crate::id::AppId;
use crate::locale::Locale;

/// Which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TemplateName {
    /// The code that completes a sign-up.
    SignUp,
    /// The link that completes a sign-up.
    SignUpLink,
    /// Not a mail: the page after the link.
    ClickThrough,
    /// The welcome to a new user.
    SignUpSuccess,
    /// The code that resets a password.
    ResetPassword,
    /// The code with which an invited person registers.
    Invite,
    /// The picture of an authenticator secret.
    QrCode,
    /// The text of an SMS.
    Sms,
}

impl TemplateName {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 8] = [
        Self::SignUp,
        Self::SignUpLink,
        Self::ClickThrough,
        Self::SignUpSuccess,
        Self::ResetPassword,
        Self::Invite,
        Self::QrCode,
        Self::Sms,
    ];

    /// The name in the protocol and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignUp => "signUp",
            Self::SignUpLink => "signUpLink",
            Self::ClickThrough => "clickThrough",
            Self::SignUpSuccess => "signUpSuccess",
            Self::ResetPassword => "resetPassword",
            Self::Invite => "invite",
            Self::QrCode => "qrCode",
            Self::Sms => "sms",
        }
    }

    /// The template with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

/// A message as an application words it, in one locale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailTemplate {
    /// The application.
    pub app_id: AppId,
    /// Which message.
    pub name: TemplateName,
    /// In which locale.
    pub locale: Locale,
    /// The subject; `%APP_NAME%` is filled in.
    pub subject: String,
    /// Where answers go; empty for nowhere else.
    pub reply_to: String,
    /// The message as HTML, with its marks; of an SMS, its text.
    pub html: String,
    /// The text of the link, if there is one.
    pub link_text: String,
    /// When it was first worded.
    pub created_at: OffsetDateTime,
    /// When it was last worded.
    pub updated_at: OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_found_by_its_name() {
        let names: Vec<_> = TemplateName::ALL.iter().map(|name| name.as_str()).collect();
        let expected = [
            "signUp",
            "signUpLink",
            "clickThrough",
            "signUpSuccess",
            "resetPassword",
            "invite",
            "qrCode",
            "sms",
        ];
        assert_eq!(names, expected);
        for (name, template) in expected.into_iter().zip(TemplateName::ALL) {
            assert_eq!(TemplateName::parse(name), Some(template));
        }
        assert_eq!(TemplateName::parse("signup"), None);
    }
}
