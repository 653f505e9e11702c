//! `import cosync`: the database of a Cosync JWT server. As every import, it is read twice; here many applications go
//! in side by side, and each is seen when it is whole.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use latchkey_crypto::OldSeal;
use latchkey_service::transfer::{CosyncReader, ImportManifest, Mapped, ZipSource};
use latchkey_transfer::cosync::{Collection, Documents, Dump, Export, ZipBytes, file_name};
use latchkey_transfer::{AppRecord, Numbered, Record, WrongLine};
use secrecy::SecretString;

use super::admin::text;
use super::batches::{Batch, Progress, check_head, check_records, unreadable};
use super::data_access::{Link, Start, secret_in};
use super::import_run::ImportRun;
use super::report::Report;
use super::say;
use crate::control::Command;
use crate::settings::Settings;
use crate::start::StartError;
use crate::transfer::ImportRequest;

/// How many records wait in memory over all applications, and of how many bytes.
const MOST_WAITING: usize = 20_000;
const MOST_WAITING_BYTES: usize = 4 * 1024 * 1024;
/// The most applications, and the most bytes that they and their messages may have together.
const MOST_APPS: usize = 10_000;
const MOST_HEAD_BYTES: usize = 48 * 1024 * 1024;

/// The options of the command.
pub(super) struct Move {
    /// A folder with a dump, or the zip file of an export.
    pub(super) folder: PathBuf,
    /// The name of a zip file's application.
    pub(super) name: Option<String>,
    pub(super) encrypt_key_file: Option<PathBuf>,
    pub(super) server_public_key: Option<PathBuf>,
    pub(super) apps: Vec<String>,
    pub(super) dry_run: bool,
    pub(super) report: Report,
}

pub(super) async fn run(settings: &Settings, mut wanted: Move) -> Result<(), StartError> {
    let link = Link::open(settings, Start::Allowed).await?;
    let source = Source::find(&wanted.folder, wanted.name.as_deref()).map_err(StartError::BadInput)?;
    let key = wanted.encrypt_key_file.as_ref().map(secret_in).transpose()?.unwrap_or_default();
    // The server's, where one runs: this command may have other settings.
    let public_url = text(&link.call(Command::About).await?, "publicUrl").to_owned();
    let reader = match &source {
        Source::Zip(_) => CosyncReader::of_zip(public_url).map_err(|error| error.to_string()),
        Source::Dump(_) => OldSeal::new(&SecretString::from(key))
            .map(|seal| CosyncReader::of_dump(seal, public_url))
            .map_err(|error| error.to_string()),
    };
    let reader = reader.map_err(StartError::Internal)?;
    let server_key = wanted.server_public_key.as_ref().map(std::fs::read_to_string).transpose();
    let server_key = server_key
        .map_err(|error| StartError::Configuration(format!("--server-public-key cannot be read: {error}")))?;

    let mut import =
        Moving { source, reader, heads: Vec::new(), by_id: HashMap::new(), refused: HashSet::new() };
    if let Some(pem) = &server_key {
        link.call(Command::Import(ImportRequest::CheckServer { pem: pem.clone() })).await?;
    }
    import.look(&link, &wanted.apps, &mut wanted.report).await?;
    wanted.report.print()?;
    wanted.report.stop_if_refused()?;
    if wanted.dry_run {
        say("Nothing was changed: this was a dry run.");
        return Ok(());
    }
    import.bring(&link, &wanted.report).await?;
    if let Some(pem) = server_key {
        link.call(Command::Import(ImportRequest::TrustServer { pem })).await?;
        say("App tokens of the old server are taken from now on.");
    }
    Ok(())
}

/// Where the documents are.
enum Source {
    Dump(Dump),
    Zip(ZipSource),
}

impl Source {
    fn find(path: &Path, name: Option<&str>) -> Result<Self, String> {
        if path.is_dir() {
            return match name {
                None => Dump::find(path).map(Self::Dump),
                Some(_) => Err("--name is for the zip file of an export: a dump has names".to_owned()),
            };
        }
        let export = Export::open(ZipBytes::File(path.to_owned()));
        let named = |reason: String| format!("{}: {reason}; nothing was imported", path.display());
        ZipSource::new(export.map_err(named)?, name).map(Self::Zip).map_err(named)
    }

    fn file(&self, collection: Collection) -> Option<PathBuf> {
        match self {
            Self::Dump(dump) => dump.file(collection),
            Self::Zip(_) => None,
        }
    }

    fn documents(&self, collection: Collection, progress: &Progress) -> Result<Documents, String> {
        match self {
            Self::Dump(dump) => {
                dump.documents(collection, |file| Box::new(progress.read(file)) as Box<dyn Read + Send>)
            }
            Self::Zip(zip) => zip.documents(collection),
        }
    }
}

struct Moving {
    source: Source,
    reader: CosyncReader,
    heads: Vec<ImportManifest>,
    by_id: HashMap<String, usize>,
    /// Documents that cannot be taken, by collection and line.
    refused: HashSet<(&'static str, u64)>,
}

/// What may wait at most, over all applications, since all of it was handed on.
#[derive(Default)]
struct Load {
    records: usize,
    bytes: usize,
}

impl Load {
    /// Adds one of so many bytes; `true` when it is time to hand all of them on.
    fn add(&mut self, size: usize) -> bool {
        self.records += 1;
        self.bytes += size;
        let is_full = self.records >= MOST_WAITING || self.bytes >= MOST_WAITING_BYTES;
        if is_full {
            *self = Self::default();
        }
        is_full
    }
}

impl Moving {
    /// Reads everything, and changes nothing.
    async fn look(&mut self, link: &Link, apps: &[String], report: &mut Report) -> Result<(), StartError> {
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        self.read_apps(apps, report, &mut hash)?;
        let mut waiting: Vec<Batch<Record>> = self.heads.iter().map(|_| Batch::default()).collect();
        let mut load = Load::default();
        for collection in [Collection::Users, Collection::Signups, Collection::Invites] {
            let progress = self.progress(collection, "looking at the dump")?;
            let mut documents = self.documents(collection, &progress)?;
            while let Some(document) =
                documents.next().transpose().map_err(|wrong| self.wrong(collection, &wrong))?
            {
                let Numbered { line, size, record: document } = document;
                let mapped = self.mapped(collection, &document);
                let Mapped::Record(app, record, lost) = mapped else {
                    tell(report, collection, line, mapped);
                    continue;
                };
                hash.update(&serde_json::to_vec(&record).unwrap_or_default());
                lost.iter().for_each(|lost| report.lost(lost));
                let Some(at) = self.by_id.get(&app).copied() else { continue };
                let (Some(batch), Some(head)) = (waiting.get_mut(at), self.heads.get(at)) else { continue };
                let is_full = batch.add(line, size, *record);
                if load.add(size) {
                    self.check_all(link, collection, &mut waiting, report).await?;
                } else if is_full {
                    let lines = check_records(link, Some(head), batch, report).await?;
                    let lines = lines.into_iter().map(|line| (collection.name(), line));
                    report.keep_refused(&mut self.refused, lines)?;
                }
            }
            self.check_all(link, collection, &mut waiting, report).await?;
            progress.end();
        }
        let whole = hash.finish();
        for head in &mut self.heads {
            let source = latchkey_crypto::sha256(&[whole.as_ref(), head.app.app_id.as_bytes()].concat());
            head.source = source;
            check_head(link, head, format_args!("{} ({})", head.app.name, head.app.app_id)).await?;
        }
        Ok(())
    }

    async fn check_all(
        &mut self,
        link: &Link,
        collection: Collection,
        waiting: &mut [Batch<Record>],
        report: &mut Report,
    ) -> Result<(), StartError> {
        for (batch, head) in waiting.iter_mut().zip(&self.heads) {
            let lines = check_records(link, Some(head), batch, report).await?;
            let lines = lines.into_iter().map(|line| (collection.name(), line));
            report.keep_refused(&mut self.refused, lines)?;
        }
        Ok(())
    }

    fn read_apps(
        &mut self,
        wanted: &[String],
        report: &mut Report,
        hash: &mut ring::digest::Context,
    ) -> Result<(), StartError> {
        let progress = self.progress(Collection::Apps, "looking at the dump")?;
        let mut bytes = 0;
        for document in self.documents(Collection::Apps, &progress)? {
            let Numbered { line, record, .. } =
                document.map_err(|wrong| self.wrong(Collection::Apps, &wrong))?;
            let id = record.text("appId").ok().flatten().unwrap_or_default();
            if !wanted.is_empty() && !wanted.contains(&id) {
                report.left_away("applications that were not asked for");
                continue;
            }
            let name = record.text("name").ok().flatten().unwrap_or_default();
            match self.reader.app(&record) {
                Ok((head, notes)) if !self.by_id.contains_key(&head.app.app_id) => {
                    notes.iter().for_each(|note| report.lost(&format!("{name}: {note}")));
                    let text = serde_json::to_vec(&head).unwrap_or_default();
                    hash.update(&text);
                    bytes += text.len();
                    self.by_id.insert(head.app.app_id.clone(), self.heads.len());
                    self.heads.push(head);
                }
                Ok(_) => report.refused(line, &name, "duplicate application id"),
                Err(reason) => report.refused(line, &format!("the application {name:?}"), &reason),
            }
            if self.heads.len() > MOST_APPS || bytes > MOST_HEAD_BYTES {
                return Err(too_much());
            }
        }
        if let Some(unknown) = wanted.iter().find(|id| !self.by_id.contains_key(*id)) {
            return Err(StartError::BadInput(format!("the application {unknown} is not in the dump")));
        }
        for document in self.documents(Collection::EmailTemplates, &progress)? {
            let Numbered { line, record, .. } =
                document.map_err(|wrong| self.wrong(Collection::EmailTemplates, &wrong))?;
            let mapped = self.reader.template(&record);
            let Mapped::Record(app, record, _) = mapped else {
                tell(report, Collection::EmailTemplates, line, mapped);
                continue;
            };
            let head = self.by_id.get(&app).and_then(|at| self.heads.get_mut(*at));
            if let (Some(head), Record::Template(template)) = (head, *record) {
                bytes += template.html.len();
                // The old server could have one twice: the last one counts.
                head.templates.retain(|old| (&old.name, &old.locale) != (&template.name, &template.locale));
                head.templates.push(template);
            }
            if bytes > MOST_HEAD_BYTES {
                return Err(too_much());
            }
        }
        progress.end();
        for head in &self.heads {
            report.app(head);
        }
        Ok(())
    }

    async fn bring(mut self, link: &Link, report: &Report) -> Result<(), StartError> {
        let mut runs = Vec::new();
        for head in std::mem::take(&mut self.heads) {
            let (name, app_id) = (head.app.name.clone(), head.app.app_id.clone());
            let run = ImportRun::begin(link, head).await?;
            if run.is_none() {
                say(&format!("{name} ({app_id}) exists already; nothing of it was imported."));
            }
            runs.push(run);
        }
        self.reader.start_again();
        let mut load = Load::default();
        for collection in [Collection::Users, Collection::Signups, Collection::Invites] {
            let progress = self.progress(collection, "importing")?;
            let mut documents = self.documents(collection, &progress)?;
            while let Some(document) =
                documents.next().transpose().map_err(|wrong| self.wrong(collection, &wrong))?
            {
                let Numbered { line, size, record: document } = document;
                let Mapped::Record(app, record, _) = self.mapped(collection, &document) else { continue };
                if self.refused.contains(&(collection.name(), line)) {
                    continue;
                }
                let Some(at) = self.by_id.get(&app).copied() else { continue };
                let Some(Some(run)) = runs.get_mut(at) else { continue };
                let (waits, is_full) = run.add(line, size, *record);
                if waits && load.add(size) {
                    for run in runs.iter_mut().flatten() {
                        run.send(link).await?;
                    }
                } else if is_full {
                    run.send(link).await?;
                }
            }
            progress.end();
        }
        for run in runs.iter_mut().flatten() {
            run.finish(link).await?;
            let AppRecord { name, app_id, .. } = &run.head.app;
            say(&format!("{name} ({app_id}) is imported, with {} records.", run.sent));
        }
        if runs.iter().any(Option::is_some) {
            say(&format!("Imported: {}{}.", report.counts(), report.skipped()));
        }
        Ok(())
    }

    fn mapped(&mut self, collection: Collection, document: &latchkey_transfer::cosync::Document) -> Mapped {
        match collection {
            Collection::Users => self.reader.user(document),
            Collection::Signups => self.reader.signup(document),
            _ => self.reader.invite(document),
        }
    }

    fn documents(&self, collection: Collection, progress: &Progress) -> Result<Documents, StartError> {
        self.source.documents(collection, progress).map_err(StartError::BadInput)
    }

    fn progress(&self, collection: Collection, what: &'static str) -> Result<Progress, StartError> {
        match self.source.file(collection) {
            Some(file) => Progress::over(&file, what),
            None => Ok(Progress::over_nothing()),
        }
    }

    fn wrong(&self, collection: Collection, wrong: &WrongLine) -> StartError {
        let file = match &self.source {
            Source::Zip(..) => PathBuf::from(file_name(collection)),
            Source::Dump(dump) => dump.file(collection).unwrap_or_else(|| PathBuf::from(collection.name())),
        };
        unreadable(&file, wrong)
    }
}

fn tell(report: &mut Report, collection: Collection, line: u64, mapped: Mapped) {
    match mapped {
        Mapped::Record(..) => {}
        Mapped::LeftAway(why) => report.left_away(&why),
        Mapped::Refused(reason) => report.refused(line, collection.name(), &reason),
    }
}

fn too_much() -> StartError {
    StartError::BadInput(format!(
        "there are more than {MOST_APPS} applications, or they and their messages are larger than {MOST_HEAD_BYTES} \
         bytes: name some with --app"
    ))
}
