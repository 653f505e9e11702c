//! Failed log-ins: the delays after them, and the sources from which a user is known to log in. Known sources are
//! counted separately, so that strangers cannot lock the owner out.

use time::{Duration, OffsetDateTime};

use crate::clock::has_passed;

/// How guessing slows down. The defaults are those of docs/security.md.
#[derive(Debug, Clone, Copy)]
pub struct BackoffPolicy {
    /// Failures before waiting begins; an application may set its own number.
    pub free: u32,
    /// The first wait; each further one is twice as long.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
    /// After so many failures the password stops working for unknown sources, until a reset by mail.
    pub stop_after: u32,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self {
            free: 10,
            first_wait: Duration::seconds(30),
            longest_wait: Duration::hours(1),
            stop_after: 100,
        }
    }
}

/// Consecutive failures of one kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// The count, attempts in progress included: an attempt is counted before its password is verified.
    pub count: u32,
    /// When the last one was.
    pub last_at: Option<OffsetDateTime>,
}

/// The source of an attempt: an address from which the user has logged in, or any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceTrust {
    /// The user logged in from there within 90 days.
    Known,
    /// Anywhere else.
    Unknown,
}

/// How long log-ins with a password are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Until this time.
    Until(OffsetDateTime),
    /// Until the user resets the password, or an operator unlocks them.
    UntilReset,
}

impl BackoffPolicy {
    /// How long one waits after this many failures.
    #[must_use]
    pub fn wait_after(&self, failures: u32) -> Duration {
        match failures.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(above) => {
                let doublings = 2_i32.saturating_pow(above.min(20));
                (self.first_wait * doublings).min(self.longest_wait)
            }
        }
    }

    /// How long attempts from one kind of source are refused, if they are refused now.
    #[must_use]
    pub fn lock(&self, failures: Failures, from: SourceTrust, now: OffsetDateTime) -> Option<Lock> {
        if self.allows(failures, from, now) {
            return None;
        }
        let until = failures.last_at.map(|last| last + self.wait_after(failures.count));
        match until {
            Some(until) if from == SourceTrust::Known || failures.count < self.stop_after => {
                Some(Lock::Until(until))
            }
            _ => Some(Lock::UntilReset),
        }
    }

    /// Whether another attempt may be made now.
    #[must_use]
    pub fn allows(&self, failures: Failures, from: SourceTrust, now: OffsetDateTime) -> bool {
        if from == SourceTrust::Unknown && failures.count >= self.stop_after {
            return false;
        }
        let wait = self.wait_after(failures.count);
        // Without a delay, clocks that disagree have no effect.
        wait.is_zero() || failures.last_at.is_none_or(|last| has_passed(wait, last, now))
    }
}

/// The number of known sources kept per user.
const KEPT_SOURCES: usize = 5;
/// How many days a source is known without a log-in from it.
const KNOWN_DAYS: u32 = 90;

/// A truncated keyed digest of application, user and address prefix.
pub type SourceMark = [u8; 16];

/// Sources from which a user logged in, the newest first, with the day of the last log-in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownSources(Vec<(SourceMark, u32)>);

impl KnownSources {
    /// Whether the user logged in from this source within 90 days. `day` counts from the Unix epoch.
    #[must_use]
    pub fn knows(&self, mark: &SourceMark, day: u32) -> bool {
        self.0.iter().any(|(known, seen)| known == mark && day.saturating_sub(*seen) <= KNOWN_DAYS)
    }

    /// The sources after a log-in from this one, if that is worth a write: it is new, or a day old.
    #[must_use]
    pub fn after_login(&self, mark: &SourceMark, day: u32) -> Option<Self> {
        if self.0.iter().any(|(known, seen)| known == mark && *seen == day) {
            return None;
        }
        let mut sources = vec![(*mark, day)];
        sources.extend(self.0.iter().filter(|(known, _)| known != mark));
        sources.truncate(KEPT_SOURCES);
        Some(Self(sources))
    }

    /// As stored: twenty bytes a source.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(mark, day)| mark.iter().copied().chain(day.to_be_bytes())).collect()
    }

    /// From what was stored; none if it has another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let sources = bytes.chunks(20).map(|chunk| {
            let (mark, day) = chunk.split_at_checked(16)?;
            Some((mark.try_into().ok()?, u32::from_be_bytes(day.try_into().ok()?)))
        });
        sources.collect::<Option<Vec<_>>>().map(Self)
    }
}

/// The state of a user's log-ins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoginRecord {
    /// Failures from anywhere else.
    pub unknown: Failures,
    /// Failures from known sources.
    pub known: Failures,
    /// When the owner was last notified by mail that log-ins are delayed.
    pub lock_mailed_at: Option<OffsetDateTime>,
    /// Where the user logs in from.
    pub sources: KnownSources,
}

impl LoginRecord {
    /// The failures of one kind of source.
    #[must_use]
    pub fn failures(&self, from: SourceTrust) -> Failures {
        match from {
            SourceTrust::Known => self.known,
            SourceTrust::Unknown => self.unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_012_waiting_begins_after_ten_failures_and_doubles_to_an_hour() {
        let rules = BackoffPolicy::default();
        for (failures, seconds) in
            [(0, 0), (9, 0), (10, 30), (11, 60), (12, 120), (16, 1_920), (17, 3_600), (99, 3_600)]
        {
            assert_eq!(rules.wait_after(failures), Duration::seconds(seconds), "{failures}");
        }
        // By the clock: 39 guesses on the first day, 24 a day after.
        let mut now = OffsetDateTime::UNIX_EPOCH;
        let mut failures = Failures::default();
        let mut guesses = Vec::new();
        while now < OffsetDateTime::UNIX_EPOCH + Duration::days(3) {
            if rules.allows(failures, SourceTrust::Unknown, now) {
                failures = Failures { count: failures.count + 1, last_at: Some(now) };
                guesses.push(now);
            }
            now += Duration::seconds(30);
        }
        let of_day = |day: i64| guesses.iter().filter(|at| at.unix_timestamp() / 86_400 == day).count();
        assert!((38..=42).contains(&of_day(0)), "{}", of_day(0));
        assert_eq!((of_day(1), of_day(2)), (24, 24));
    }

    #[test]
    fn sec_014_a_hundred_failures_stop_unknown_sources_only() {
        let rules = BackoffPolicy::default();
        let spent = Failures { count: 100, last_at: Some(OffsetDateTime::UNIX_EPOCH) };
        let later = OffsetDateTime::UNIX_EPOCH + Duration::days(365);
        assert!(!rules.allows(spent, SourceTrust::Unknown, later));
        assert!(rules.allows(spent, SourceTrust::Known, later));
        assert!(rules.allows(Failures { count: 99, ..spent }, SourceTrust::Unknown, later));
        let lock = |count, from, seconds| {
            let failures = Failures { count, ..spent };
            rules.lock(failures, from, OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds))
        };
        let until = |seconds| Some(Lock::Until(OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds)));
        assert_eq!(lock(9, SourceTrust::Unknown, 0), None);
        assert_eq!(lock(10, SourceTrust::Unknown, 29), until(30));
        assert_eq!(lock(10, SourceTrust::Unknown, 30), None);
        assert_eq!(lock(100, SourceTrust::Unknown, 1_000_000), Some(Lock::UntilReset));
        assert_eq!(lock(100, SourceTrust::Known, 60), until(3_600));
    }

    #[test]
    fn five_sources_are_known_for_ninety_days() {
        let mark = |n: u8| [n; 16];
        let mut sources = KnownSources::default();
        for n in 1..=6 {
            sources = sources.after_login(&mark(n), 100).unwrap();
        }
        assert!(
            !sources.knows(&mark(1), 100) && sources.knows(&mark(2), 100) && sources.knows(&mark(6), 190)
        );
        assert!(!sources.knows(&mark(6), 191));
        assert_eq!(sources.after_login(&mark(6), 100), None);
        assert!(sources.after_login(&mark(6), 101).unwrap().knows(&mark(2), 101));
        assert_eq!(KnownSources::from_bytes(&sources.to_bytes()), Some(sources));
        assert_eq!(KnownSources::from_bytes(&[1, 2, 3]), None);
    }

    #[test]
    fn each_kind_of_source_has_its_own_failures() {
        let of = |count| Failures { count, last_at: None };
        let record = LoginRecord { unknown: of(1), known: of(2), ..LoginRecord::default() };
        assert_eq!(record.failures(SourceTrust::Unknown).count, 1);
        assert_eq!(record.failures(SourceTrust::Known).count, 2);
    }
}
