//! One-time codes: six digits that prove access to a mailbox or a phone.
//! Only keyed digests of them are stored; making those is `latchkey-crypto`'s business.

use secrecy::{ExposeSecret, SecretString};
use time::{Duration, OffsetDateTime};

use crate::entropy::{Entropy, EntropyError};
use crate::id::{AppId, CodeId};
use crate::secret::KeyedDigest;
use crate::text::typed_code;

/// The value is not a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code is 6 to 8 digits")]
pub struct InvalidCode;

/// The purpose of a code. A code for one purpose is never accepted for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
pub enum CodePurpose {
    /// Completes a sign-up.
    #[strum(serialize = "sign_up")]
    SignUp,
    /// Registers an invited person.
    #[strum(serialize = "invite")]
    Invite,
    /// Resets a password.
    #[strum(serialize = "reset")]
    Reset,
    /// Verifies a phone number.
    #[strum(serialize = "phone")]
    Phone,
    /// Completes a log-in, by SMS.
    #[strum(serialize = "login")]
    Login,
}

/// How many digits a code has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeLength {
    /// Six: what people type without a thought.
    Six,
    /// Eight, if other codes are valid at the same time: a hundred times as hard to guess.
    Eight,
}

impl CodeLength {
    /// The number of digits.
    #[must_use]
    pub const fn digits(self) -> u32 {
        match self {
            Self::Six => 6,
            Self::Eight => 8,
        }
    }

    /// How many codes there are.
    #[must_use]
    pub const fn space(self) -> u32 {
        9 * 10_u32.pow(self.digits() - 1)
    }
}

/// The cost of one guess in a day's wrong attempts, in hundredths: one attempt for each six-digit code that it is
/// compared with, a hundredth for each eight-digit code. So the total chance of all guesses equals that of as many
/// guesses at one six-digit code, however many codes are valid.
#[must_use]
pub fn cost_of_guess(guess: &Code, live: &[CodeLength]) -> u32 {
    let of_length = |length: CodeLength| {
        let number = live.iter().filter(|code| **code == length).count();
        u32::try_from(number).unwrap_or(u32::MAX / 100)
    };
    let digits = u32::try_from(guess.expose().len()).unwrap_or(0);
    let could_be = [CodeLength::Six, CodeLength::Eight].into_iter().find(|length| length.digits() == digits);
    match could_be {
        Some(CodeLength::Six) => 100 * of_length(CodeLength::Six),
        Some(CodeLength::Eight) => of_length(CodeLength::Eight),
        None => 0,
    }
}

/// A code in clear: in the mail that carries it and in the request that brings it back, nowhere else.
#[derive(Debug, Clone)]
pub struct Code(SecretString);

impl Code {
    /// Draws a code, uniform over all numbers of its length: 100000 to 999999, or 10000000 to 99999999.
    ///
    /// # Errors
    /// [`EntropyError`] when the random source fails.
    pub fn generate(entropy: &dyn Entropy, length: CodeLength) -> Result<Self, EntropyError> {
        let space = length.space();
        Ok(Self(SecretString::from((space / 9 + entropy.below(space)?).to_string())))
    }

    /// Parses 6 to 8 digits. Full-width digits count; blanks, dashes and invisible characters are dropped.
    ///
    /// # Errors
    /// [`InvalidCode`].
    pub fn parse(text: &str) -> Result<Self, InvalidCode> {
        let digits = typed_code(text);
        if (6..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(SecretString::from(digits)))
        } else {
            Err(InvalidCode)
        }
    }

    /// Parses a JSON integer with 6 to 8 digits.
    ///
    /// # Errors
    /// [`InvalidCode`].
    pub fn from_number(number: u64) -> Result<Self, InvalidCode> {
        Self::parse(&number.to_string())
    }

    /// The digits.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A code that was sent and not used yet, as it is stored.
#[derive(Debug, Clone)]
pub struct StoredCode {
    /// Its id.
    pub id: CodeId,
    /// The application.
    pub app_id: AppId,
    /// What it is for.
    pub purpose: CodePurpose,
    /// Whom it is for: the attempt, invitation or user.
    pub subject: [u8; 16],
    /// Digest of purpose, application, subject and code.
    pub digest: KeyedDigest,
    /// When it was drawn.
    pub created_at: OffsetDateTime,
    /// From when on it is refused as expired.
    pub expires_at: OffsetDateTime,
    /// When it was used up, if it was.
    pub consumed_at: Option<OffsetDateTime>,
    /// Keyed digest of the address prefix that requested it. `None` in rows of older versions, and
    /// [`KeyedDigest::NONE`] if an operator requested it for a user.
    pub source: Option<KeyedDigest>,
    /// How many digits it has.
    pub length: CodeLength,
}

impl StoredCode {
    /// Whether it may be used from any address, because one person requests it and another uses it: invitations, and
    /// reset codes that an operator sends.
    #[must_use]
    pub fn is_for_anywhere(&self) -> bool {
        self.purpose == CodePurpose::Invite || self.source.as_ref().is_none_or(KeyedDigest::is_none)
    }

    /// Whether the code is refused as expired at this moment.
    #[must_use]
    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        now >= self.expires_at
    }
}

/// Lifetimes and limits of codes. The defaults are those of docs/security.md.
#[derive(Debug, Clone, Copy)]
pub struct CodeRules {
    /// How long a sign-up code is good.
    pub sign_up_life: Duration,
    /// How long it is good where another source's attempt is open.
    pub rival_life: Duration,
    /// How long an invitation's code is good.
    pub invite_life: Duration,
    /// How long a reset code is good.
    pub reset_life: Duration,
    /// How long a code by SMS is good.
    pub sms_life: Duration,
    /// A repeated request within this time sends nothing and keeps the code.
    pub resend_after: Duration,
    /// The number of codes of one subject and source that may be valid at once; the oldest is removed first.
    pub live_per_subject: usize,
    /// Wrong attempts at one code: from the source that requested it, and from all other sources together. If the code
    /// may be used from any address, from each source.
    pub wrong_tries: u32,
    /// The limit for one handle and day. All of a day's guesses together have no better chance than this many guesses
    /// at one six-digit code.
    pub wrong_a_day: u32,
    /// How many more known sources have.
    pub wrong_a_day_known: u32,
    /// How often codes may be requested.
    pub requests: RequestLimits,
}

/// How often codes for one subject may be requested.
#[derive(Debug, Clone, Copy)]
pub struct RequestLimits {
    /// In an hour, from one source.
    pub an_hour: u32,
    /// In a day, from one source.
    pub a_day: u32,
    /// In a day, from anywhere.
    pub subject_a_day: u32,
    /// Per day from each known source, whatever other sources requested.
    pub known_a_day: u32,
}

impl RequestLimits {
    /// In a day from anywhere, beyond `subject_a_day`: each the first one of its source.
    #[must_use]
    pub const fn firsts_a_day(&self) -> u32 {
        self.subject_a_day.saturating_mul(2)
    }
}

impl Default for CodeRules {
    fn default() -> Self {
        Self {
            sign_up_life: Duration::hours(24),
            rival_life: Duration::minutes(60),
            invite_life: Duration::days(7),
            reset_life: Duration::minutes(30),
            sms_life: Duration::minutes(5),
            resend_after: Duration::seconds(60),
            live_per_subject: 3,
            wrong_tries: 5,
            wrong_a_day: 60,
            wrong_a_day_known: 15,
            requests: RequestLimits { an_hour: 3, a_day: 5, subject_a_day: 10, known_a_day: 3 },
        }
    }
}

impl CodeRules {
    /// The daily budget for guesses at mailed six-digit codes, in hundredths of a guess.
    #[must_use]
    pub const fn short_budget(&self) -> u32 {
        80 * self.wrong_a_day
    }

    /// The daily budget for guesses at mailed eight-digit codes, in hundredths of a guess at a six-digit one. Codes
    /// that may be used from any address have a second budget of the same size. With the default settings, strangers
    /// cannot exhaust the first budget, because [`Self::wrong_tries`] and [`RequestLimits`] stop them earlier.
    #[must_use]
    pub const fn long_budget(&self) -> u32 {
        10 * self.wrong_a_day
    }

    /// How long a code for this purpose is good.
    #[must_use]
    pub fn life(&self, purpose: CodePurpose) -> Duration {
        match purpose {
            CodePurpose::SignUp => self.sign_up_life,
            CodePurpose::Invite => self.invite_life,
            CodePurpose::Reset => self.reset_life,
            CodePurpose::Phone | CodePurpose::Login => self.sms_life,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;
    use crate::named::Named as _;

    #[test]
    fn sec_026_codes_are_uniform_and_repeatable() {
        let draw = |seed: u64, n: usize| -> Vec<u32> {
            let entropy = SeededEntropy::new(seed);
            (0..n)
                .map(|_| Code::generate(&entropy, CodeLength::Six).unwrap().expose().parse().unwrap())
                .collect()
        };
        assert_eq!(draw(7, 100), draw(7, 100));
        // Chi-square over 90 cells of 10,000 codes: 89 degrees of freedom, 1 in 10,000 is above 150.
        let mut cells = [0_u32; 90];
        for code in draw(1, 1_000_000) {
            assert!((100_000..=999_999).contains(&code));
            cells[usize::try_from((code - 100_000) / 10_000).unwrap()] += 1;
        }
        let expected = 1_000_000.0 / 90.0;
        let chi: f64 = cells.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum();
        assert!(chi < 150.0, "{chi}");
    }

    #[test]
    fn sec_026_long_codes_are_uniform_over_eight_digits() {
        let entropy = SeededEntropy::new(3);
        let codes = (0..10_000).map(|_| Code::generate(&entropy, CodeLength::Eight).unwrap());
        let codes: Vec<u32> = codes.map(|code| code.expose().parse().unwrap()).collect();
        assert!(codes.iter().all(|code| (10_000_000..=99_999_999).contains(code)));
        let below = codes.iter().filter(|code| **code < 55_000_000).count();
        assert!((4_800..5_200).contains(&below), "{below}");
    }

    #[test]
    fn sec_029_a_guess_costs_as_much_as_the_codes_that_it_could_be() {
        use CodeLength::{Eight, Six};
        let (short, long) = (Code::parse("123456").unwrap(), Code::parse("12345678").unwrap());
        for (live, of_short, of_long) in [
            (vec![Six], 100, 0),
            (vec![Six; 3], 300, 0),
            ([vec![Six], vec![Eight; 9]].concat(), 100, 9),
            ([vec![Six], vec![Eight; 210]].concat(), 100, 210),
            (vec![], 0, 0),
        ] {
            assert_eq!((cost_of_guess(&short, &live), cost_of_guess(&long, &live)), (of_short, of_long));
            // No guess has a better chance for its price than one at a single code of six digits.
            for (guess, length) in [(&short, Six), (&long, Eight)] {
                let number = live.iter().filter(|code| **code == length).count();
                let chance = number as f64 / f64::from(length.space());
                let price = f64::from(cost_of_guess(guess, &live)) / 100.0;
                assert!(chance <= price / 900_000.0 + 1e-12);
            }
        }
        assert_eq!(cost_of_guess(&Code::parse("1234567").unwrap(), &[Six; 5]), 0);
    }

    #[test]
    fn a_code_is_for_anywhere_when_somebody_else_asked_for_it() {
        let code = |purpose, source| StoredCode {
            id: CodeId::from_bytes([1; 16]),
            app_id: AppId::from_bytes([2; 16]),
            purpose,
            subject: [3; 16],
            digest: KeyedDigest::from_bytes([4; 32]),
            created_at: OffsetDateTime::UNIX_EPOCH,
            expires_at: OffsetDateTime::UNIX_EPOCH,
            consumed_at: None,
            source,
            length: CodeLength::Six,
        };
        let own = || Some(KeyedDigest::from_bytes([5; 32]));
        for (purpose, source, is_for_anywhere) in [
            (CodePurpose::Invite, own(), true),
            (CodePurpose::Invite, None, true),
            (CodePurpose::Reset, own(), false),
            (CodePurpose::SignUp, own(), false),
            (CodePurpose::Reset, Some(KeyedDigest::NONE), true),
            (CodePurpose::SignUp, None, true),
        ] {
            let code = code(purpose, source);
            assert_eq!(code.is_for_anywhere(), is_for_anywhere, "{code:?}");
        }
    }

    #[test]
    fn sec_029_a_days_wrong_tries_are_sixty_and_an_owners_are_never_all_spent() {
        let rules = CodeRules::default();
        assert_eq!(rules.short_budget() + 2 * rules.long_budget(), 6_000);
        // All codes of eight digits of a day, for a sign-up and for a reset, each tried as often as it can be.
        let codes = 2 * (rules.requests.subject_a_day + rules.requests.firsts_a_day());
        assert!(codes * 2 * rules.wrong_tries <= rules.long_budget());
    }

    #[test]
    fn sec_033_a_code_is_six_to_eight_ascii_digits() {
        for right in ["123456", " 123456\n", "12345678", "012345"] {
            assert_eq!(Code::parse(right).unwrap().expose(), right.trim());
        }
        assert_eq!(Code::from_number(123_456).unwrap().expose(), "123456");
        for wrong in
            ["", " ", "12345", "123456789", "1e5", "1.5000", "Infinity", "٣٣٣٣٣٣", "12.3456", "+123456"]
        {
            assert!(Code::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Code::from_number(12_345).is_err());
    }

    #[test]
    fn sec_100_codes_print_as_nothing() {
        assert!(!format!("{:?}", Code::parse("123456").unwrap()).contains("123456"));
    }

    #[test]
    fn sec_031_a_code_expires_on_the_second() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let code = StoredCode {
            id: CodeId::from_bytes([1; 16]),
            app_id: AppId::from_bytes([2; 16]),
            purpose: CodePurpose::SignUp,
            subject: [3; 16],
            digest: KeyedDigest::from_bytes([0; 32]),
            created_at: now,
            expires_at: now + CodeRules::default().sign_up_life,
            consumed_at: None,
            source: None,
            length: CodeLength::Six,
        };
        assert!(!code.is_expired(now + Duration::hours(24) - Duration::seconds(1)));
        assert!(code.is_expired(now + Duration::hours(24)));
    }

    #[test]
    fn a_code_lives_and_is_named_by_its_purpose() {
        let rules = CodeRules::default();
        for (purpose, name, minutes) in [
            (CodePurpose::SignUp, "sign_up", 24 * 60),
            (CodePurpose::Invite, "invite", 7 * 24 * 60),
            (CodePurpose::Reset, "reset", 30),
            (CodePurpose::Phone, "phone", 5),
            (CodePurpose::Login, "login", 5),
        ] {
            assert_eq!((purpose.name(), CodePurpose::from_name(name)), (name, Some(purpose)));
            assert_eq!(rules.life(purpose), Duration::minutes(minutes), "{name}");
        }
        assert_eq!(CodePurpose::from_name(""), None);
        assert_eq!(rules.requests.firsts_a_day(), 20);
    }
}
