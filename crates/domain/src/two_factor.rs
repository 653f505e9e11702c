//! Second factors of a user: which are enrolled, and which one a log-in requires. `latchkey-crypto` verifies codes; the
//! service counts attempts.

use time::Duration;

use crate::phone::Phone;
use crate::secret::Sealed;
use crate::settings::TwoFactorMode;

/// A kind of second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
pub enum Factor {
    /// An authenticator app (RFC 6238).
    #[strum(serialize = "google")]
    Authenticator,
    /// A code by SMS.
    #[strum(serialize = "phone")]
    Phone,
}

/// An enrolled authenticator app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticator {
    /// The secret that it shares with the server.
    pub secret: Sealed,
    /// The last step of which a code was accepted: no code of it or an older one is good again.
    pub last_step: Option<u64>,
}

/// The second factors of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Factors {
    /// The number that was set last. It is not a factor before it is verified.
    pub given_phone: Option<Phone>,
    /// The number that was verified.
    pub verified_phone: Option<Phone>,
    /// Whether the user wants a code by SMS at log-in.
    pub wants_sms: bool,
    /// The authenticator app that is required at log-in.
    pub authenticator: Option<Authenticator>,
    /// The secret of one that has not proven its first code.
    pub pending_authenticator: Option<Sealed>,
    /// Moves with every change, but not with an accepted step.
    pub revision: i64,
}

impl Factors {
    /// The number to which a log-in's code goes: only a verified one.
    #[must_use]
    pub fn sms_phone(&self) -> Option<&Phone> {
        self.verified_phone.as_ref().filter(|_| self.wants_sms)
    }

    /// Whether the number that was given last is verified.
    #[must_use]
    pub fn is_phone_verified(&self) -> bool {
        self.verified_phone.is_some() && self.verified_phone == self.given_phone
    }

    /// The factor that a log-in requires: the one that the user has, or with two, the one of the application's mode. In
    /// mode [`TwoFactorMode::None`] none is required.
    #[must_use]
    pub fn asked(&self, mode: TwoFactorMode) -> Option<Factor> {
        let preferred = match mode {
            TwoFactorMode::None => return None,
            TwoFactorMode::Authenticator => [Factor::Authenticator, Factor::Phone],
            TwoFactorMode::Phone => [Factor::Phone, Factor::Authenticator],
        };
        preferred.into_iter().find(|factor| self.has(*factor))
    }

    /// Whether this factor is enrolled.
    #[must_use]
    pub fn has(&self, factor: Factor) -> bool {
        match factor {
            Factor::Authenticator => self.authenticator.is_some(),
            Factor::Phone => self.sms_phone().is_some(),
        }
    }

    /// Whether a change of factors takes something away that protects the user.
    #[must_use]
    pub fn protect(&self) -> bool {
        self.has(Factor::Authenticator) || self.has(Factor::Phone)
    }
}

impl TwoFactorMode {
    /// Whether users may enrol this factor. An authenticator app is always the better choice, so it is
    /// offered beside SMS (NIST SP 800-63B section 3.2.9).
    #[must_use]
    pub fn offers(self, factor: Factor) -> bool {
        match (self, factor) {
            (Self::None, _) | (Self::Authenticator, Factor::Phone) => false,
            (Self::Authenticator | Self::Phone, _) => true,
        }
    }
}

/// How guessing second factors is limited. The defaults are those of docs/security.md.
#[derive(Debug, Clone, Copy)]
pub struct FactorRules {
    /// How long a log-in waits for its second factor.
    pub login_token_life: Duration,
    /// Wrong codes of one log-in.
    pub wrong_a_login: u32,
    /// Wrong codes of one user in a day.
    pub wrong_a_day: u32,
    /// Wrong codes in a row after which a user's codes are refused until the factor is recovered.
    pub wrong_in_a_row: u32,
    /// How many steps ahead of our clock an authenticator app may be: 1 or 0.
    pub steps_ahead: u64,
    /// How long after a log-in factors may be removed or replaced without a code.
    pub recent_login: Duration,
}

impl Default for FactorRules {
    fn default() -> Self {
        Self {
            login_token_life: Duration::minutes(10),
            wrong_a_login: 5,
            wrong_a_day: 20,
            wrong_in_a_row: 100,
            steps_ahead: 1,
            recent_login: Duration::minutes(15),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_045_the_users_own_factor_is_asked_in_every_mode_but_none() {
        let phone = Phone::parse("+4915112345678").unwrap();
        let other = Phone::parse("+4915112345679").unwrap();
        let authenticator = Authenticator { secret: Sealed::from_bytes(vec![1]), last_step: None };
        for wants_sms in [false, true] {
            for verified in [None, Some(&phone)] {
                for given in [None, Some(&phone), Some(&other)] {
                    for app in [None, Some(&authenticator)] {
                        let factors = Factors {
                            given_phone: given.cloned(),
                            verified_phone: verified.cloned(),
                            wants_sms,
                            authenticator: app.cloned(),
                            pending_authenticator: Some(Sealed::from_bytes(vec![2])),
                            revision: 1,
                        };
                        let has_phone = wants_sms && verified.is_some();
                        let expected = |first: Factor| match (app.is_some(), has_phone) {
                            (true, true) => Some(first),
                            (true, false) => Some(Factor::Authenticator),
                            (false, true) => Some(Factor::Phone),
                            (false, false) => None,
                        };
                        assert_eq!(factors.asked(TwoFactorMode::None), None);
                        assert_eq!(
                            factors.asked(TwoFactorMode::Authenticator),
                            expected(Factor::Authenticator)
                        );
                        assert_eq!(factors.asked(TwoFactorMode::Phone), expected(Factor::Phone));
                        assert_eq!(factors.protect(), app.is_some() || has_phone);
                        let is_verified = given == Some(&phone) && verified == Some(&phone);
                        assert_eq!(factors.is_phone_verified(), is_verified);
                        // Whatever number was given since: codes go to the verified one.
                        assert!(factors.sms_phone().is_none_or(|number| *number == phone));
                    }
                }
            }
        }
    }

    #[test]
    fn sec_050_an_authenticator_is_offered_beside_sms() {
        assert!(TwoFactorMode::Phone.offers(Factor::Authenticator));
        assert!(TwoFactorMode::Phone.offers(Factor::Phone));
        assert!(!TwoFactorMode::Authenticator.offers(Factor::Phone));
        assert!(!TwoFactorMode::None.offers(Factor::Authenticator));
    }
}
