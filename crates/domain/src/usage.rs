//! Numbers of an application per day.

use time::OffsetDateTime;

/// A counted event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsageKind {
    /// Requested sign-ups.
    SignUps,
    /// People who became users, by whatever way.
    Completions,
    /// Invitations that went out.
    Invitations,
    /// Sign-ins that gave tokens.
    LogIns,
    /// Sign-ins that were refused.
    Failures,
}

impl UsageKind {
    /// All kinds with their names.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::SignUps, "signups"),
        (Self::Completions, "completions"),
        (Self::Invitations, "invitations"),
        (Self::LogIns, "logins"),
        (Self::Failures, "failures"),
    ];

    /// The statistic that an audit entry counts for; most count for none. A sign-up that needs no code is its own
    /// completion. A log-in that requires a second factor (`login.asked`) is not a log-in yet.
    #[must_use]
    pub fn of(action: &str, result: &str) -> &'static [Self] {
        let is_ok = result == "ok";
        match action {
            "signup" if is_ok => &[Self::SignUps],
            "signup.atOnce" if is_ok => &[Self::SignUps, Self::Completions],
            "completeSignup" | "register" | "socialSignup" | "addUser" if is_ok => &[Self::Completions],
            "invite" | "createAppInvite" if is_ok => &[Self::Invitations],
            "login" | "loginComplete" | "loginAnonymous" | "socialLogin" if is_ok => &[Self::LogIns],
            "login" | "loginComplete" | "loginAnonymous" | "socialLogin" => &[Self::Failures],
            _ => &[],
        }
    }
}

/// How much of one kind there was in a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageDay {
    /// Days since 1970-01-01, UTC.
    pub day: i64,
    /// What.
    pub kind: UsageKind,
    /// How often.
    pub number: u64,
}

/// The day of a moment: days since 1970-01-01, UTC.
#[must_use]
pub fn day_of(time: OffsetDateTime) -> i64 {
    time.unix_timestamp().div_euclid(86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_count_by_what_came_of_them() {
        use UsageKind::{Completions, Failures, Invitations, LogIns, SignUps};
        assert_eq!(UsageKind::of("login", "ok"), [LogIns]);
        assert_eq!(UsageKind::of("login", "CredentialsWrong"), [Failures]);
        assert_eq!(UsageKind::of("signup", "HandleTaken"), []);
        assert_eq!(UsageKind::of("mail.sent", "ok"), []);
        for (action, when_ok, otherwise) in [
            ("signup", &[SignUps][..], &[][..]),
            ("signup.atOnce", &[SignUps, Completions], &[]),
            ("completeSignup", &[Completions], &[]),
            ("register", &[Completions], &[]),
            ("socialSignup", &[Completions], &[]),
            ("addUser", &[Completions], &[]),
            ("invite", &[Invitations], &[]),
            ("createAppInvite", &[Invitations], &[]),
            ("loginComplete", &[LogIns], &[Failures]),
            ("loginAnonymous", &[LogIns], &[Failures]),
            ("socialLogin", &[LogIns], &[Failures]),
            ("deleteUser", &[], &[]),
        ] {
            assert_eq!(UsageKind::of(action, "ok"), when_ok, "{action}");
            assert_eq!(UsageKind::of(action, "InvalidData"), otherwise, "{action}");
        }
        assert_eq!(day_of(OffsetDateTime::UNIX_EPOCH - time::Duration::SECOND), -1);
        assert_eq!(day_of(OffsetDateTime::UNIX_EPOCH + time::Duration::days(2)), 2);
    }
}
