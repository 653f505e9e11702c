//! `import`. A file is read twice: once to validate it and print a report, then, if there are no errors, to import it,
//! some hundred records at a time. Memory use does not depend on the file's size.

use std::collections::HashSet;
use std::io::{BufReader, Read};
use std::path::Path;

use latchkey_crypto::PassphraseKey;
use latchkey_service::transfer::{ImportManifest, ImportStart, MOST_HEAD_BYTES, RecordOutcome, Seen, opened};
use latchkey_transfer::{
    AppRecord, ArchiveReader, CsvUsers, JsonUsers, Numbered, Record, Secrets, UserLine, UserRecord, WrongLine,
};
use secrecy::SecretString;
use serde_json::Value;

use super::admin::text;
use super::batches::{
    Batch, JSON_LINES, Progress, check_head, check_records, extension_of, open_file, taken_in, unreadable,
};
use super::data_access::{Link, Start, perform, secret_in};
use super::import_run::ImportRun;
use super::report::{Report, counted, printable};
use super::{ImportCommand, cosync, say};
use crate::control::{Command, failure};
use crate::settings::Settings;
use crate::start::StartError;
use crate::transfer::{ImportRequest, derive};

pub(super) fn import(settings: &Settings, command: ImportCommand) -> Result<(), StartError> {
    match command {
        ImportCommand::Users { app, file, dry_run, skip_refused, report } => {
            let report = Report::new(report.as_deref(), Some(skip_refused))?;
            wait(users(settings, app, &file, dry_run, report))
        }
        ImportCommand::Archive { file, name, passphrase_file, dry_run, report } => {
            let passphrase = passphrase_file.as_ref().map(secret_in).transpose()?;
            let report = Report::new(report.as_deref(), None)?;
            wait(archive(settings, &file, name, passphrase, dry_run, report))
        }
        ImportCommand::Cosync {
            source: folder,
            name,
            encrypt_key_file,
            server_public_key,
            app: apps,
            dry_run,
            skip_refused,
            report,
        } => {
            let report = Report::new(report.as_deref(), Some(skip_refused))?;
            let wanted =
                cosync::Move { folder, name, encrypt_key_file, server_public_key, apps, dry_run, report };
            wait(cosync::run(settings, wanted))
        }
        ImportCommand::List => {
            let imports = perform(settings, Command::Import(ImportRequest::List))?;
            let imports = imports.as_array().map(Vec::as_slice).unwrap_or_default();
            if imports.is_empty() {
                say("no unfinished imports");
            }
            for import in imports {
                let done = import.get("done").and_then(Value::as_i64).unwrap_or(0);
                say(&format!("{}  {done} records  begun {}", text(import, "appId"), text(import, "beganAt")));
            }
            Ok(())
        }
        ImportCommand::Discard { app } => {
            perform(settings, Command::Import(ImportRequest::Discard { app }))?;
            say("The partial import was discarded.");
            Ok(())
        }
    }
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(work)
}

async fn users(
    settings: &Settings,
    app: String,
    file: &Path,
    dry_run: bool,
    mut report: Report,
) -> Result<(), StartError> {
    let progress = Progress::over(file, "looking at the file")?;
    let link = Link::open(settings, Start::Refused).await?;
    let (mut batch, mut seen, mut refused) = (Batch::default(), Seen::default(), HashSet::new());
    for user in users_in(file, &progress)? {
        let Numbered { line, size, record } = user.map_err(|wrong| unreadable(file, &wrong))?;
        let wrong = match &record {
            Err(reason) => Some(("user", reason.clone())),
            Ok(user) => {
                let repeated = seen.repeats(user).map(|what| format!("duplicate {what}"));
                repeated.map(|reason| (user.handle.as_str(), reason))
            }
        };
        if let Some((what, reason)) = wrong {
            report.refused(line, what, &reason);
            report.keep_refused(&mut refused, [line])?;
        } else if let Ok(user) = record
            && batch.add(line, size, user)
        {
            let lines = check_users(&link, &app, &mut batch, &mut report).await?;
            report.keep_refused(&mut refused, lines)?;
        }
    }
    let lines = check_users(&link, &app, &mut batch, &mut report).await?;
    report.keep_refused(&mut refused, lines)?;
    progress.end();
    report.print()?;
    report.stop_if_refused()?;
    link.call(Command::Import(ImportRequest::CheckRoom { app: app.clone(), more: report.new_users() }))
        .await?;
    if dry_run {
        say("Nothing was changed: this was a dry run.");
        return Ok(());
    }
    let progress = Progress::over(file, "importing")?;
    let (mut added, mut known) = (0_u64, 0_u64);
    for user in users_in(file, &progress)? {
        let Numbered { line, size, record } = user.map_err(|wrong| changed(file, &wrong))?;
        if let Ok(user) = record
            && !refused.contains(&line)
            && batch.add(line, size, user)
        {
            bring_users(&link, &app, &mut batch, &mut added, &mut known, &mut report).await?;
        }
    }
    bring_users(&link, &app, &mut batch, &mut added, &mut known, &mut report).await?;
    progress.end();
    say(&format!("{} imported, {known} existed already{}.", counted(added, "user"), report.skipped()));
    report.fail_if_refused_late()
}

/// Looks at users, reports what is wrong, and gives the lines of those that cannot be taken.
async fn check_users(
    link: &Link,
    app: &str,
    batch: &mut Batch<UserRecord>,
    report: &mut Report,
) -> Result<Vec<u64>, StartError> {
    let (lines, users) = batch.take();
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let check = ImportRequest::CheckUsers { app: app.to_owned(), users: users.clone() };
    let mut refused = Vec::new();
    for ((line, user), taken) in lines.into_iter().zip(users).zip(taken_in(link, check).await?) {
        match taken {
            RecordOutcome::Added => report.new_user(),
            RecordOutcome::Partly(what) => {
                report.new_user();
                report.lost(&what);
            }
            RecordOutcome::Known => {
                report.known_user();
                continue;
            }
            RecordOutcome::Refused(reason) => {
                report.refused(line, &user.handle, &reason);
                refused.push(line);
                continue;
            }
        }
        report.user(&user);
    }
    Ok(refused)
}

async fn bring_users(
    link: &Link,
    app: &str,
    batch: &mut Batch<UserRecord>,
    added: &mut u64,
    known: &mut u64,
    report: &mut Report,
) -> Result<(), StartError> {
    let (lines, users) = batch.take();
    if users.is_empty() {
        return Ok(());
    }
    let handles: Vec<String> = users.iter().map(|user| user.handle.clone()).collect();
    let bring = ImportRequest::Users { app: app.to_owned(), users };
    for ((line, handle), taken) in lines.into_iter().zip(handles).zip(taken_in(link, bring).await?) {
        match taken {
            RecordOutcome::Added | RecordOutcome::Partly(_) => *added += 1,
            RecordOutcome::Known => *known += 1,
            RecordOutcome::Refused(reason) => report.refused_late(line, &handle, &reason),
        }
    }
    Ok(())
}

/// The format of a file of users, by its name.
type Users = Box<dyn Iterator<Item = Result<UserLine, WrongLine>>>;

fn users_in(file: &Path, progress: &Progress) -> Result<Users, StartError> {
    let reader = BufReader::with_capacity(64 * 1024, progress.read(open_file(file)?));
    match extension_of(file).as_str() {
        "csv" => Ok(Box::new(CsvUsers::new(reader).map_err(|wrong| unreadable(file, &wrong))?)),
        extension if JSON_LINES.contains(&extension) => Ok(Box::new(JsonUsers::new(reader))),
        _ => Err(StartError::BadInput(format!(
            "{}: a list of users is a .csv file, or a .jsonl file with one object a line",
            file.display()
        ))),
    }
}

async fn archive(
    settings: &Settings,
    file: &Path,
    name: Option<String>,
    passphrase: Option<String>,
    dry_run: bool,
    mut report: Report,
) -> Result<(), StartError> {
    let progress = Progress::over(file, "looking at the archive")?;
    let link = Link::open(settings, Start::Allowed).await?;
    let (mut head, mut head_size) = (None, 0);
    let (mut batch, mut seen) = (Batch::default(), Seen::default());
    let mut records = Records::of(file, &progress, passphrase.as_deref())?;
    while let Some(Numbered { line, size, record }) = records.next()? {
        let wrong = |reason: String| unreadable(file, &WrongLine::new(line, reason));
        if take_head(&mut head, &record).map_err(wrong)? {
            if let Record::App(app) = &record {
                seen.look_at(app);
            }
            head_size += size;
            if head_size > MOST_HEAD_BYTES {
                return Err(wrong(format!("keys and messages are longer than {MOST_HEAD_BYTES} bytes")));
            }
            continue;
        }
        if let Some(what) = seen.repeats_of(&record) {
            report.refused(line, record.kind(), &format!("duplicate {what}"));
        } else if batch.add(line, size, record) {
            check_records(&link, head.as_ref(), &mut batch, &mut report).await?;
        }
    }
    check_records(&link, head.as_ref(), &mut batch, &mut report).await?;
    progress.end();
    let mut head =
        head.ok_or_else(|| unreadable(file, &WrongLine::new(2, "the archive holds no application")))?;
    head.source = records.source();
    if let Some(name) = name {
        head.app.name = name;
    }
    if check_head(&link, &head, file.display()).await? == ImportStart::AlreadyThere {
        already_there(&head.app.app_id);
        return Ok(());
    }
    report.head(&head, records.secrets, passphrase.is_some());
    report.print()?;
    report.stop_if_refused()?;
    if dry_run {
        say("Nothing was changed: this was a dry run.");
        return Ok(());
    }
    bring_archive(&link, file, head, passphrase, &report).await
}

async fn bring_archive(
    link: &Link,
    file: &Path,
    head: ImportManifest,
    passphrase: Option<String>,
    report: &Report,
) -> Result<(), StartError> {
    let app_id = head.app.app_id.clone();
    let Some(mut run) = ImportRun::begin(link, head).await? else {
        already_there(&app_id);
        return Ok(());
    };
    if run.sent > 0 {
        say(&format!("Resuming this import after {} records.", run.sent));
    }
    let progress = Progress::over(file, "importing")?;
    let mut records = Records::of(file, &progress, passphrase.as_deref())?;
    let mut passed = None;
    while let Some(Numbered { line, size, record }) = records.next()? {
        if !take_head(&mut passed, &record).unwrap_or(false) && run.add(line, size, record).1 {
            run.send(link).await?;
        }
    }
    if records.source() != run.head.source {
        return Err(changed(file, &WrongLine::new(1, "it has changed since it was validated")));
    }
    run.finish(link).await?;
    progress.end();
    let AppRecord { name, app_id, .. } = &run.head.app;
    say(&format!("The application {name} ({app_id}) is imported, with {}.", report.counts()));
    Ok(())
}

fn already_there(app_id: &str) {
    say(&format!("The application {app_id} exists already; nothing was imported."));
}

/// Whether a record is of the application itself; it is kept then.
fn take_head(head: &mut Option<ImportManifest>, record: &Record) -> Result<bool, String> {
    match (head, record) {
        (head @ None, Record::App(app)) => {
            let (keys, templates) = (Vec::new(), Vec::new());
            let (app, takes_old_app_tokens) = (app.clone(), false);
            *head = Some(ImportManifest { source: [0; 32], app, keys, templates, takes_old_app_tokens });
        }
        (None, other) => return Err(format!("{} before the application", other.kind())),
        (Some(_), Record::App(_)) => return Err("second application".to_owned()),
        (Some(head), Record::Key(key)) => head.keys.push(key.clone()),
        (Some(head), Record::Template(template)) => head.templates.push(template.clone()),
        (Some(_), Record::User(_) | Record::Signup(_) | Record::Invite(_)) => return Ok(false),
    }
    Ok(true)
}

/// The records of an archive, their secrets opened.
struct Records<'f> {
    file: &'f Path,
    archive: ArchiveReader<BufReader<Box<dyn Read>>>,
    secrets: Secrets,
    passphrase: Option<String>,
    key: Option<PassphraseKey>,
    hash: ring::digest::Context,
}

impl<'f> Records<'f> {
    fn of(file: &'f Path, progress: &Progress, passphrase: Option<&str>) -> Result<Self, StartError> {
        let reader: Box<dyn Read> = Box::new(progress.read(open_file(file)?));
        let archive = ArchiveReader::new(BufReader::with_capacity(64 * 1024, reader));
        let archive = archive.map_err(|wrong| unreadable(file, &wrong))?;
        let (secrets, passphrase) = (archive.secrets(), passphrase.map(str::to_owned));
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        // The same archive with its secrets and without are two imports.
        hash.update(&[u8::from(passphrase.is_some())]);
        Ok(Self { file, archive, secrets, passphrase, key: None, hash })
    }

    fn next(&mut self) -> Result<Option<Numbered<Record>>, StartError> {
        let Some(record) = self.archive.next() else { return Ok(None) };
        let Numbered { line, size, record } = record.map_err(|wrong| unreadable(self.file, &wrong))?;
        let text = serde_json::to_vec(&record).map_err(|error| StartError::Internal(error.to_string()))?;
        self.hash.update(&text);
        if let (Record::App(app), Some(passphrase), None) = (&record, &self.passphrase, &self.key) {
            let passphrase = SecretString::from(passphrase.clone());
            let key = derive(&passphrase, &app.app_id);
            self.key = Some(key.map_err(|error| StartError::BadInput(failure(&error)))?);
        }
        let record = opened(record, self.key.as_ref())
            .map_err(|reason| unreadable(self.file, &WrongLine::new(line, reason)))?;
        Ok(Some(Numbered { line, size, record }))
    }

    /// SHA-256 of what was read so far, as far as it means something.
    fn source(&self) -> [u8; 32] {
        let mut source = [0; 32];
        for (to, from) in source.iter_mut().zip(self.hash.clone().finish().as_ref()) {
            *to = *from;
        }
        source
    }
}

/// The file has changed since it was validated.
fn changed(file: &Path, wrong: &WrongLine) -> StartError {
    let text =
        format!("{}, {wrong}; it changed during the import, and is imported up to there", file.display());
    StartError::BadInput(printable(&text))
}
