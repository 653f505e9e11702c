//! Detects duplicates within a source before anything is imported. The store detects conflicts with existing users.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use latchkey_domain::{Handle, Phone, UserIdFormat, UserName};
use latchkey_storage::settings_from_json;
use latchkey_transfer::{AppRecord, Record, UserRecord};

/// The maximum number of remembered values, below what a table of 36 MiB holds, since a growing table exists twice.
/// Duplicates in longer sources are found during the import.
const MOST_REMEMBERED: usize = 3_600_000;

/// Values that were seen, as hashes of 64 bits.
#[derive(Default)]
pub struct Seen {
    taken: HashSet<u64>,
    hasher: RandomState,
    /// Whether the application's tokens name users by the underscored handle, which two handles may share.
    is_underscored: bool,
}

impl Seen {
    /// Looks at the application that the records belong to.
    pub fn look_at(&mut self, app: &AppRecord) {
        let settings = settings_from_json(app.settings.clone());
        self.is_underscored =
            settings.is_ok_and(|settings| settings.user_id_format == UserIdFormat::HandleUnderscore);
    }

    /// Whether the value is new in the application, as far as remembered.
    pub(super) fn is_new(&mut self, app_id: &str, what: &str, value: &str) -> bool {
        let mark = self.hasher.hash_one((app_id, what, value));
        if self.taken.len() >= MOST_REMEMBERED {
            return !self.taken.contains(&mark);
        }
        self.taken.insert(mark)
    }

    /// The first value of the user that an earlier user has, if any.
    pub fn repeats(&mut self, user: &UserRecord) -> Option<&'static str> {
        let handle = Handle::parse_anonymous(&user.handle).or_else(|_| Handle::parse(&user.handle));
        let phone = user.verified_phone.as_deref().and_then(|text| Phone::from_stored(text).ok());
        let name = user.user_name.as_deref().and_then(|text| UserName::parse(text).ok());
        let subject = user.provider_subject.as_ref().filter(|subject| !subject.is_empty());
        let provider = user.provider.as_deref().unwrap_or_default();
        let subject_of_tokens = handle.as_ref().ok().filter(|_| self.is_underscored).map(Handle::underscored);
        let own = [
            ("handle", handle.ok().map(|handle| handle.key().to_owned())),
            ("sub of tokens", subject_of_tokens),
            ("id", user.id.as_deref().map(str::to_ascii_lowercase)),
            ("user name", name.map(|name| name.as_str().to_owned())),
            ("verified number", phone.map(|phone| phone.as_str().to_owned())),
            ("identity at a provider", subject.map(|subject| format!("{provider} {subject}"))),
        ];
        let mut repeated = None;
        for (what, value) in own {
            if value.is_some_and(|value| !self.is_new("", what, &value)) {
                repeated = repeated.or(Some(what));
            }
        }
        repeated
    }

    /// The same for any record of one application.
    pub fn repeats_of(&mut self, record: &Record) -> Option<&'static str> {
        let (what, id) = match record {
            Record::User(user) => return self.repeats(user),
            Record::Signup(signup) => ("id of a sign-up", &signup.id),
            Record::Invite(invite) => ("id of an invitation", &invite.id),
            Record::App(_) | Record::Key(_) | Record::Template(_) => return None,
        };
        (!self.is_new("", what, &id.to_ascii_lowercase())).then_some(what)
    }

    /// Forgets all of it, to read the same source again.
    pub(super) fn clear(&mut self) {
        self.taken.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_one_users_alone_is_seen_once() {
        let user = |handle: &str| UserRecord { handle: handle.to_owned(), ..UserRecord::default() };
        let mut seen = Seen::default();
        assert_eq!(seen.repeats(&user("ok@example.com")), None);
        assert_eq!(seen.repeats(&user("OK@example.com")), Some("handle"));
        let named = |handle: &str| UserRecord { user_name: Some("ann".into()), ..user(handle) };
        assert_eq!(seen.repeats(&named("a@example.com")), None);
        let other_case = UserRecord { user_name: Some("Ann".into()), ..user("b@example.com") };
        assert_eq!(seen.repeats(&other_case), Some("user name"));
        let with_id = |handle: &str, id: &str| UserRecord { id: Some(id.into()), ..user(handle) };
        assert_eq!(seen.repeats(&with_id("c@example.com", "AB")), None);
        assert_eq!(seen.repeats(&with_id("d@example.com", "ab")), Some("id"));
        seen.clear();
        assert_eq!(seen.repeats(&with_id("d@example.com", "ab")), None);
    }
}
