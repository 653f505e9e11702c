//! The messages that are sent where an application has none of its own.

use crate::render::Template;

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// Carries the code that completes a sign-up.
    SignUp,
    /// Welcomes a new user.
    SignUpSuccess,
}

/// The English message of a kind.
#[must_use]
pub fn built_in(kind: MessageKind) -> Template<'static> {
    match kind {
        MessageKind::SignUp => Template {
            subject: "Verify your email for %APP_NAME%",
            text: "Hello,\n\nsomebody, hopefully you, wants to sign up to %APP_NAME% as %HANDLE%.\n\n\
                   Your code is %CODE%\n\n\
                   Enter it where you signed up. If it was not you, ignore this message: nothing will happen.\n",
            html: "<p>Hello,</p>\n\
                   <p>somebody, hopefully you, wants to sign up to %APP_NAME% as %HANDLE%.</p>\n\
                   <p>Your code is <strong>%CODE%</strong></p>\n\
                   <p>Enter it where you signed up. If it was not you, ignore this message: nothing will happen.</p>\n",
        },
        MessageKind::SignUpSuccess => Template {
            subject: "Welcome to %APP_NAME%",
            text: "Hello,\n\nyour account at %APP_NAME% is ready. You sign in as %HANDLE%.\n",
            html: "<p>Hello,</p>\n<p>your account at %APP_NAME% is ready. You sign in as %HANDLE%.</p>\n",
        },
    }
}
