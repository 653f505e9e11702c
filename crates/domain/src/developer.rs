//! People who sign in to the portal: their accounts, their log-ins and the links that are mailed or printed for them.

use std::net::IpAddr;

use time::{Duration, OffsetDateTime};

use crate::handle::Handle;
use crate::id::DeveloperId;
use crate::password::RawPassword;
use crate::secret::{KeyedDigest, Sealed};

/// Fewest and most characters of a portal password (SEC-007).
pub const PORTAL_PASSWORD: std::ops::RangeInclusive<usize> = 15..=128;
/// A log-in ends when it was not used for so long.
const LOGIN_IDLE: Duration = Duration::hours(1);
/// A log-in ends after so long, whatever happens.
pub const LOGIN_LIFE: Duration = Duration::hours(12);
/// For so long a right password opens what asks for it again.
const CONFIRMED_FOR: Duration = Duration::minutes(10);
/// How long someone may take to enter the code of their authenticator.
const CODE_STAGE: Duration = Duration::minutes(5);
/// How long someone who opened the set-up link may take to create the first account.
const SETUP_STAGE: Duration = Duration::minutes(30);
/// How long a printed set-up link opens the set-up page.
const SETUP_LINK_LIFE: Duration = Duration::hours(1);

/// What a developer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "camelCase")]
pub enum DeveloperRole {
    /// Their own applications.
    Developer,
    /// All applications, developers and the server.
    Administrator,
}

/// Whether a developer can sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "camelCase")]
pub enum DeveloperStatus {
    /// They can.
    Active,
    /// An administrator blocked them.
    Blocked,
}

/// An account of the portal.
#[derive(Debug, Clone)]
pub struct Developer {
    /// Its id.
    pub id: DeveloperId,
    /// Their address: see [`portal_address`].
    pub email: Handle,
    /// What they may do.
    pub role: DeveloperRole,
    /// Whether they can sign in.
    pub status: DeveloperStatus,
    /// Their password hash, sealed.
    pub password: Sealed,
    /// When the password was set.
    pub password_at: OffsetDateTime,
    /// When the account was made.
    pub created_at: OffsetDateTime,
    /// When it was changed last.
    pub updated_at: OffsetDateTime,
    /// When they signed in last.
    pub last_sign_in_at: Option<OffsetDateTime>,
    /// Counts changes.
    pub revision: i64,
}

/// The text is no address that a developer can sign in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Enter an e-mail address such as ana@example.com.")]
pub struct InvalidPortalAddress;

/// Parses the address of an account.
///
/// # Errors
/// [`InvalidPortalAddress`].
pub fn portal_address(typed: &str) -> Result<Handle, InvalidPortalAddress> {
    let handle = Handle::parse(typed.trim()).map_err(|_| InvalidPortalAddress)?;
    if handle.mailbox().is_some() { Ok(handle) } else { Err(InvalidPortalAddress) }
}

/// Why a password is not taken for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPortalPassword {
    /// Fewer characters than [`PORTAL_PASSWORD`] begins with.
    #[error("Enter at least {} characters.", PORTAL_PASSWORD.start())]
    TooShort,
    /// More characters than it ends with.
    #[error("Enter at most {} characters.", PORTAL_PASSWORD.end())]
    TooLong,
    /// It is the account's address.
    #[error("Choose a password that is not your address.")]
    Address,
}

/// Checks the length of a new password, and that it is not the address. Whether it is on lists of common ones is
/// checked where those are.
///
/// # Errors
/// [`InvalidPortalPassword`].
pub fn check_portal_password(password: &RawPassword, email: &Handle) -> Result<(), InvalidPortalPassword> {
    let characters = password.expose().chars().count();
    if characters < *PORTAL_PASSWORD.start() {
        return Err(InvalidPortalPassword::TooShort);
    }
    if characters > *PORTAL_PASSWORD.end() {
        return Err(InvalidPortalPassword::TooLong);
    }
    if password.expose().to_lowercase() == email.as_str().to_lowercase() {
        return Err(InvalidPortalPassword::Address);
    }
    Ok(())
}

/// How far a log-in got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginStage {
    /// The set-up link was opened: the first account may be created.
    Setup,
    /// The password was right, and the authenticator's code is missing.
    Code(DeveloperId),
    /// Signed in.
    Full(DeveloperId),
}

/// A log-in of the portal: what its cookie stands for.
#[derive(Debug, Clone)]
pub struct PortalLogin {
    /// The digest of the cookie's value.
    pub digest: KeyedDigest,
    /// How far it got.
    pub stage: LoginStage,
    /// Where it was made.
    pub address: IpAddr,
    /// The browser, as it names itself.
    pub agent: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was used last.
    pub used_at: OffsetDateTime,
    /// When the password was entered last.
    pub confirmed_at: OffsetDateTime,
}

impl PortalLogin {
    /// Whether it still counts.
    #[must_use]
    pub fn is_open(&self, now: OffsetDateTime) -> bool {
        let (life, idle) = match self.stage {
            LoginStage::Setup => (SETUP_STAGE, SETUP_STAGE),
            LoginStage::Code(_) => (CODE_STAGE, CODE_STAGE),
            LoginStage::Full(_) => (LOGIN_LIFE, LOGIN_IDLE),
        };
        now < self.created_at + life && now < self.used_at + idle
    }

    /// Whether the password was entered recently.
    #[must_use]
    pub fn is_confirmed(&self, now: OffsetDateTime) -> bool {
        now < self.confirmed_at + CONFIRMED_FOR
    }

    /// Whether its use is written down: once a minute is enough to end idle ones.
    #[must_use]
    pub fn notes_use_at(&self, now: OffsetDateTime) -> bool {
        now >= self.used_at + Duration::MINUTE
    }
}

/// A one-time link to the set-up page.
#[derive(Debug, Clone)]
pub struct SetupLink {
    /// The digest of its token.
    pub digest: KeyedDigest,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

impl SetupLink {
    /// Whether it still opens the page.
    #[must_use]
    pub fn is_open(&self, now: OffsetDateTime) -> bool {
        now < self.created_at + SETUP_LINK_LIFE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_007_a_portal_password_has_fifteen_characters_of_any_kind() {
        let email = portal_address("Ana.Long.Name@example.com").unwrap();
        let check = |text: &str| check_portal_password(&RawPassword::parse(text).unwrap(), &email);
        assert_eq!(check(&"ä".repeat(14)), Err(InvalidPortalPassword::TooShort));
        assert_eq!(check(&"ä".repeat(15)), Ok(()));
        assert_eq!(check(&"a".repeat(128)), Ok(()));
        assert_eq!(check(&"a".repeat(129)), Err(InvalidPortalPassword::TooLong));
        assert_eq!(check("ANA.LONG.NAME@example.com"), Err(InvalidPortalPassword::Address));
        assert_eq!(InvalidPortalPassword::TooShort.to_string(), "Enter at least 15 characters.");
    }

    #[test]
    fn an_account_has_an_address_of_mail() {
        assert_eq!(portal_address("  ana@example.com ").unwrap().as_str(), "ana@example.com");
        for wrong in ["", "ana", "ana@", "@example.com", "a b@example.com", "ANON_1"] {
            assert!(portal_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sec_069_a_login_ends_by_itself() {
        let at = |minutes: i64| OffsetDateTime::UNIX_EPOCH + Duration::minutes(minutes);
        let id = DeveloperId::from_bytes([1; 16]);
        let login = |stage, used: i64| PortalLogin {
            digest: KeyedDigest::NONE,
            stage,
            address: IpAddr::from([127, 0, 0, 1]),
            agent: String::new(),
            created_at: at(0),
            used_at: at(used),
            confirmed_at: at(0),
        };
        let full = login(LoginStage::Full(id), 0);
        assert!(full.is_open(at(59)) && !full.is_open(at(60)), "idle for an hour");
        let used = login(LoginStage::Full(id), 719);
        assert!(used.is_open(at(719)) && !used.is_open(at(720)), "twelve hours at most");
        let code = login(LoginStage::Code(id), 0);
        assert!(code.is_open(at(4)) && !code.is_open(at(5)));
        let setup = login(LoginStage::Setup, 0);
        assert!(setup.is_open(at(29)) && !setup.is_open(at(30)));
        assert!(full.is_confirmed(at(9)) && !full.is_confirmed(at(10)));
        assert!(!full.notes_use_at(at(0)) && full.notes_use_at(at(1)));
        let link = SetupLink { digest: KeyedDigest::NONE, created_at: at(0) };
        assert!(link.is_open(at(59)) && !link.is_open(at(60)));
    }
}
