//! Users of an application.

use time::{Duration, OffsetDateTime};

use crate::clock::has_passed;
use crate::handle::{Handle, UserName};
use crate::id::{AppId, TokenId, UserId};
use crate::locale::Locale;
use crate::login::LoginRecord;
use crate::metadata::Metadata;
use crate::secret::Sealed;
use crate::social::SocialIdentity;
use crate::two_factor::Factors;

/// Whether a user may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
pub enum UserStatus {
    /// They may.
    #[strum(serialize = "active")]
    Active,
    /// An administrator suspended them.
    #[strum(serialize = "suspend")]
    Suspended,
}

/// Which user, of which application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserKey {
    /// The application.
    pub app_id: AppId,
    /// The user's id.
    pub id: UserId,
}

/// A user of an application.
#[derive(Debug, Clone)]
pub struct User {
    /// The application.
    pub app_id: AppId,
    /// Their id, never reused.
    pub id: UserId,
    /// What they sign in with.
    pub handle: Handle,
    /// What they may sign in with instead.
    pub user_name: Option<UserName>,
    /// Whether they may sign in.
    pub status: UserStatus,
    /// Their password digest, sealed; none for those who sign in otherwise.
    pub password: Option<Sealed>,
    /// The language of their mails.
    pub locale: Locale,
    /// Their metadata.
    pub metadata: Metadata,
    /// Which access tokens are good.
    pub sessions: Sessions,
    /// When they became a user.
    pub created_at: OffsetDateTime,
    /// When something of theirs last changed.
    pub updated_at: OffsetDateTime,
    /// When they last signed in, to the hour.
    pub last_login_at: Option<OffsetDateTime>,
    /// Their failed log-ins, and where they log in from.
    pub login: LoginRecord,
    /// Whether they have shown that the handle is a mailbox of theirs: with a code or link mailed to it, or by a
    /// provider's verified address.
    pub email_verified: bool,
    /// Their second factors.
    pub factors: Factors,
    /// Whether they administer the application.
    pub is_administrator: bool,
    /// Who they are to another service, for those who sign in with its tokens.
    pub social: Option<SocialIdentity>,
    /// Moves with every change of status, sessions, names, metadata, locale or role: what was read under one revision
    /// is written under that revision or read again.
    pub revision: i64,
}

impl User {
    /// Whether this user logs in with nothing but the handle, like those created by an anonymous log-in. An imported
    /// user with such a handle and a password, a right or a provider's account does not count.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.handle.is_anonymous()
            && self.password.is_none()
            && self.social.is_none()
            && !self.is_administrator
            && self.factors == Factors::default()
    }

    /// Whether a sign-in now is worth a write: at most one an hour is noted.
    #[must_use]
    pub fn notes_login_at(&self, now: OffsetDateTime) -> bool {
        self.last_login_at.is_none_or(|last| has_passed(Duration::hours(1), last, now))
    }
}

/// Changes of a user. `None` changes nothing.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// The language of their mails.
    pub locale: Option<Locale>,
    /// Their metadata.
    pub metadata: Option<Metadata>,
    /// Their user name.
    pub user_name: Option<UserName>,
    /// Whether they may sign in.
    pub status: Option<UserStatus>,
    /// Whether they administer the application.
    pub is_administrator: Option<bool>,
}

/// Which access tokens of a user are good: those of the present epoch, and one older one that was
/// spared when its bearer changed the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sessions {
    /// Tokens carry the epoch in which they were made.
    pub epoch: i64,
    /// The token that survived the last change of the epoch.
    pub spared: Option<TokenId>,
}

impl Sessions {
    /// The sessions of a new user.
    pub const FIRST: Self = Self { epoch: 1, spared: None };

    /// Whether a token with this id, made in this epoch, is good.
    #[must_use]
    pub fn accepts(&self, epoch: i64, token: TokenId) -> bool {
        epoch == self.epoch || (epoch < self.epoch && self.spared == Some(token))
    }

    /// The sessions after all tokens were ended.
    #[must_use]
    pub fn end_all(self) -> Self {
        Self { epoch: self.epoch + 1, spared: None }
    }

    /// The sessions after all tokens but one were ended.
    #[must_use]
    pub fn end_all_but(self, spared: TokenId) -> Self {
        Self { epoch: self.epoch + 1, spared: Some(spared) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_062_a_moved_epoch_ends_all_tokens_but_the_spared_one() {
        let (own, other) = (TokenId::from_bytes([1; 16]), TokenId::from_bytes([2; 16]));
        let before = Sessions::FIRST;
        assert!(before.accepts(1, own) && before.accepts(1, other));
        let after = before.end_all_but(own);
        assert!(after.accepts(1, own) && !after.accepts(1, other) && after.accepts(2, other));
        let later = after.end_all_but(other);
        assert!(!later.accepts(1, own), "only the newest exception holds");
        assert!(!before.accepts(2, own), "a token from the future is refused");
    }

    #[test]
    fn all_tokens_end_at_once() {
        let token = TokenId::from_bytes([1; 16]);
        let later = Sessions { epoch: 5, spared: Some(token) }.end_all();
        assert_eq!(later, Sessions { epoch: 6, spared: None });
        assert!(!later.accepts(5, token));
    }

    fn anonymous() -> User {
        User {
            app_id: AppId::from_bytes([1; 16]),
            id: UserId::from_bytes([2; 16]),
            handle: Handle::parse_anonymous("ANON_1").unwrap(),
            user_name: None,
            status: UserStatus::Active,
            password: None,
            locale: Locale::EN,
            metadata: Metadata::default(),
            sessions: Sessions::FIRST,
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
            last_login_at: None,
            login: LoginRecord::default(),
            email_verified: false,
            factors: Factors::default(),
            is_administrator: false,
            social: None,
            revision: 1,
        }
    }

    #[test]
    fn whoever_has_more_than_an_anonymous_handle_is_not_anonymous() {
        use crate::social::Provider;
        assert!(anonymous().is_anonymous());
        let social = SocialIdentity { provider: Provider::Apple, subject: None };
        for user in [
            User { handle: Handle::parse("ana@example.com").unwrap(), ..anonymous() },
            User { password: Some(Sealed::from_bytes(vec![1])), ..anonymous() },
            User { social: Some(social), ..anonymous() },
            User { is_administrator: true, ..anonymous() },
            User { factors: Factors { wants_sms: true, ..Factors::default() }, ..anonymous() },
        ] {
            assert!(!user.is_anonymous(), "{user:?}");
        }
    }

    #[test]
    fn a_log_in_is_noted_once_an_hour() {
        let at = OffsetDateTime::UNIX_EPOCH;
        assert!(anonymous().notes_login_at(at));
        let user = User { last_login_at: Some(at), ..anonymous() };
        assert!(!user.notes_login_at(at + Duration::minutes(59)));
        assert!(user.notes_login_at(at + Duration::hours(1)));
    }
}
