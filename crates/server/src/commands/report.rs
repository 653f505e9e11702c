//! The report of an import: counts first, then the problems with their lines.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::hash::Hash;
use std::io::{BufWriter, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use latchkey_domain::is_forbidden_character;
use latchkey_service::transfer::ImportManifest;
use latchkey_transfer::{DigestOver, Record, Secrets, UserRecord};
use serde_json::json;

use super::say;
use crate::start::StartError;

/// How many lines of one kind are shown; a report file holds all.
const SHOWN: usize = 20;
/// The maximum number of kinds of skipped values that are listed separately.
const MOST_KINDS: usize = 1_000;
/// How many may be skipped.
const MOST_SKIPPED: usize = 1_000_000;

/// The report of an import.
pub(super) struct Report {
    file: Option<BufWriter<File>>,
    skip_refused: bool,
    /// Whether the command can skip them.
    may_skip: bool,
    users: u64,
    new: u64,
    known: u64,
    signups: u64,
    invites: u64,
    without_password: u64,
    without_authenticator: u64,
    over_md5: u64,
    over_raw: Shown,
    lost: Shown,
    left_away: BTreeMap<String, u64>,
    refused: Shown,
    notes: Vec<String>,
}

/// Some of many.
#[derive(Default)]
struct Shown {
    number: u64,
    some: Vec<String>,
}

impl Shown {
    fn add(&mut self, text: &str) {
        self.number += 1;
        if self.some.len() < SHOWN {
            self.some.push(printable(text));
        }
    }

    /// The heading for one and for several, and what is shown of them.
    fn print(&self, one: &str, several: &str) {
        match self.number {
            0 => return,
            1 => say(&format!("1 {one}")),
            number => say(&format!("{number} {several}")),
        }
        for text in &self.some {
            say(&format!("  {text}"));
        }
        let more = self.number - u64::try_from(self.some.len()).unwrap_or(0);
        if more > 0 {
            say(&format!("  and {more} more: --report FILE lists all"));
        }
    }
}

/// So many of something.
pub(super) fn counted(number: impl TryInto<u64>, what: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A text of a file, for a terminal: what would command it, or change the order of what is read, is written out.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_forbidden_character(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

impl Report {
    /// A report that is also written to a file, if one is named. `skip_refused` is `None` for commands that skip nothing.
    pub(super) fn new(file: Option<&Path>, skip_refused: Option<bool>) -> Result<Self, StartError> {
        // It names users, and must not take the place of anything.
        let create = |path: &Path| {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            file.map(BufWriter::new).map_err(|error| {
                let path = path.display();
                StartError::CannotWrite(match error.kind() {
                    ErrorKind::AlreadyExists => format!("{path} exists already: --report takes a new file"),
                    _ => format!("{path} cannot be written: {error}"),
                })
            })
        };
        Ok(Self {
            file: file.map(create).transpose()?,
            skip_refused: skip_refused.unwrap_or(false),
            may_skip: skip_refused.is_some(),
            users: 0,
            new: 0,
            known: 0,
            signups: 0,
            invites: 0,
            without_password: 0,
            without_authenticator: 0,
            over_md5: 0,
            over_raw: Shown::default(),
            lost: Shown::default(),
            left_away: BTreeMap::new(),
            refused: Shown::default(),
            notes: Vec::new(),
        })
    }

    pub(super) fn record(&mut self, record: &Record) {
        match record {
            Record::User(user) => self.user(user),
            Record::Signup(_) => self.signups += 1,
            Record::Invite(_) => self.invites += 1,
            Record::App(_) | Record::Key(_) | Record::Template(_) => {}
        }
    }

    /// A user who is to be added.
    pub(super) fn user(&mut self, user: &UserRecord) {
        self.users += 1;
        if user.password.is_none() && user.provider_subject.is_none() && !user.handle.starts_with("ANON_") {
            self.without_password += 1;
        }
        if user.authenticator && user.authenticator_secret.is_none() {
            self.without_authenticator += 1;
        }
        match user.password_over {
            _ if user.password.is_none() => {}
            DigestOver::Md5 => self.over_md5 += 1,
            DigestOver::Raw => {
                self.over_raw.add(&user.handle);
                self.write(&json!({"handle": user.handle, "note": "needs rawPassword at the next log-in"}));
            }
        }
    }

    pub(super) fn new_user(&mut self) {
        self.new += 1;
    }

    /// How many of the users are new.
    pub(super) fn new_users(&self) -> u32 {
        u32::try_from(self.new).unwrap_or(u32::MAX)
    }

    pub(super) fn known_user(&mut self) {
        self.users += 1;
        self.known += 1;
    }

    pub(super) fn refused(&mut self, line: u64, what: &str, reason: &str) {
        self.refused.add(&format!("line {line}: {what}: {reason}"));
        self.write(&json!({"line": line, "what": what, "refused": reason}));
    }

    /// Something that has no place here.
    pub(super) fn left_away(&mut self, what: &str) {
        let is_known = self.left_away.contains_key(what);
        let what = if is_known || self.left_away.len() < MOST_KINDS { what } else { "of many other kinds" };
        *self.left_away.entry(what.to_owned()).or_default() += 1;
    }

    /// Keeps where those stand that are to be skipped later. If nothing is skipped, nothing will be read again.
    pub(super) fn keep_refused<T: Eq + Hash>(
        &self,
        kept: &mut HashSet<T>,
        refused: impl IntoIterator<Item = T>,
    ) -> Result<(), StartError> {
        if self.skip_refused {
            kept.extend(refused);
        }
        if kept.len() > MOST_SKIPPED {
            let text = format!("more than {MOST_SKIPPED} records cannot be imported: too many to skip");
            return Err(StartError::BadInput(text));
        }
        Ok(())
    }

    /// A value that is lost, of something that is taken.
    pub(super) fn lost(&mut self, what: &str) {
        self.lost.add(what);
        self.write(&json!({ "lost": what }));
    }

    /// An application of another server.
    pub(super) fn app(&mut self, head: &ImportManifest) {
        let key = if head.keys.iter().any(|key| key.private_key.is_some()) { "its key" } else { "a new key" };
        self.notes.push(format!(
            "The application {} ({}), with {key} and {}.",
            head.app.name,
            head.app.app_id,
            counted(head.templates.len(), "message")
        ));
    }

    /// A record that was refused during the import, after it had been validated.
    pub(super) fn refused_late(&mut self, line: u64, what: &str, reason: &str) {
        say(&printable(&format!("line {line}: {what}: {reason}")));
        self.refused(line, what, reason);
    }

    /// The remarks about an application.
    pub(super) fn head(&mut self, head: &ImportManifest, secrets: Secrets, is_opened: bool) {
        self.notes.push(format!(
            "The application {} ({}), with {} and {} of its own.",
            head.app.name,
            head.app.app_id,
            counted(head.keys.len(), "key"),
            counted(head.templates.len(), "message"),
        ));
        match (secrets, is_opened) {
            (Secrets::Sealed, true) => {}
            (Secrets::Sealed, false) => self.notes.push(
                "Its secrets need --passphrase-file: without it, it gets a new key, and loses its accounts at \
                 providers and its users' authenticators."
                    .to_owned(),
            ),
            (Secrets::Absent, _) => self.notes.push(
                "The archive has no secrets: the application gets a new key; the old public keys stay published \
                 while their tokens are valid."
                    .to_owned(),
            ),
        }
        self.notes.push(
            "Access tokens, app tokens, one-time codes and recovery codes are not imported: users log in again, clients \
             need the new app token."
                .to_owned(),
        );
    }

    /// How many there are of each kind.
    pub(super) fn counts(&self) -> String {
        [(self.users, "user"), (self.signups, "sign-up"), (self.invites, "invitation")]
            .map(|(number, what)| counted(number, what))
            .join(", ")
    }

    pub(super) fn print(&mut self) -> Result<(), StartError> {
        for note in &self.notes {
            say(&printable(note));
        }
        if self.notes.is_empty() {
            say(&format!("{}: {} new, {} existing", counted(self.users, "user"), self.new, self.known));
            if self.over_md5 > 0 {
                say(&format!(
                    "{} with a hash of the MD5 that the SDKs send: for hashes of the password itself, set \
                     passwordOver to raw, or nobody can log in",
                    counted(self.over_md5, "user")
                ));
            }
        } else {
            say(&self.counts());
        }
        if self.without_password > 0 {
            say(&format!(
                "{} without a password: a reset sets one, if the handle is a mail address",
                counted(self.without_password, "user")
            ));
        }
        if self.without_authenticator > 0 {
            say(&format!("{} without their authenticator", counted(self.without_authenticator, "user")));
        }
        self.over_raw.print(
            "has a hash of the password itself: the next log-in must send rawPassword, which replaces the hash:",
            "have hashes of the password itself: their next log-in must send rawPassword, which replaces the hash:",
        );
        for (what, number) in &self.left_away {
            say(&printable(&format!("skipped {number} {what}")));
        }
        self.lost.print(
            "value was dropped, changed or needs review:",
            "values were dropped, changed or need review:",
        );
        self.refused.print("record cannot be imported:", "records cannot be imported:");
        self.write(&json!({
            "users": self.users,
            "signups": self.signups,
            "invitations": self.invites,
            "refused": self.refused.number,
        }));
        match &mut self.file {
            Some(file) => {
                file.flush().map_err(|error| StartError::CannotWrite(format!("the report: {error}")))
            }
            None => Ok(()),
        }
    }

    /// Nothing is imported while there are errors, unless requested.
    pub(super) fn stop_if_refused(&self) -> Result<(), StartError> {
        self.fail_if_refused(format!(
            "{} cannot be imported, so nothing was imported{}",
            counted(self.refused.number, "record"),
            if self.may_skip { "; --skip-refused leaves them out" } else { "" }
        ))
    }

    /// Whether some were refused that nothing was wrong with before.
    pub(super) fn fail_if_refused_late(&self) -> Result<(), StartError> {
        self.fail_if_refused(format!("not imported: {}", counted(self.refused.number, "record")))
    }

    /// What is said of those that were left out, at the end.
    pub(super) fn skipped(&self) -> String {
        if self.refused.number == 0 {
            return String::new();
        }
        format!(", {} left out", counted(self.refused.number, "record"))
    }

    fn fail_if_refused(&self, text: String) -> Result<(), StartError> {
        let is_fine = self.refused.number == 0 || self.skip_refused;
        if is_fine { Ok(()) } else { Err(StartError::BadInput(text)) }
    }

    fn write(&mut self, line: &serde_json::Value) {
        if let Some(file) = &mut self.file {
            let _ = writeln!(file, "{line}");
        }
    }
}
