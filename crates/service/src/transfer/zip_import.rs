//! An application from the zip file of an old server's export: under an id of its own, since the file names it nowhere.

use latchkey_crypto::sha256;
use latchkey_domain::{AppId, AppName};
use latchkey_transfer::cosync::{Collection, Document, Documents, Export, file_name};
use latchkey_transfer::{Numbered, Record, WrongLine};
use time::OffsetDateTime;

use crate::base::error::ServiceError;
use crate::base::operator::Operator;
use crate::operate::apps::AppView;
use crate::service::Service;
use crate::transfer::bounds::{MOST_BYTES_AT_ONCE, MOST_HEAD_BYTES};
use crate::transfer::cosync::{CosyncReader, Mapped};
use crate::transfer::import::{ImportManifest, ImportStart, RecordOutcome};

/// How many records go in one unit of work.
const AT_ONCE: usize = 500;
/// The maximum number of reported lost values, and the length of each.
const MOST_TOLD: usize = 100;
const MOST_TOLD_CHARACTERS: usize = 300;

/// An export with the id and name that its application gets: the same file under the same name is the same application.
#[derive(Debug, Clone)]
pub struct ZipSource {
    export: Export,
    app_id: AppId,
    name: AppName,
}

impl ZipSource {
    /// Names the application of an export; by default, keeps its name.
    ///
    /// # Errors
    /// The problem with the file or the name.
    pub fn new(export: Export, name: Option<&str>) -> Result<Self, String> {
        let mut apps = export.documents(Collection::Apps)?;
        let app = apps.next().ok_or("app-collection.csv holds no application")?;
        let app = app.map_err(|wrong| named(Collection::Apps, &wrong))?.record;
        if apps.next().is_some() {
            return Err("app-collection.csv holds more than one application".to_owned());
        }
        let name = match name {
            Some(name) => name.to_owned(),
            None => app.text("name")?.unwrap_or_default(),
        };
        let name = AppName::parse(&name).map_err(|error| format!("the application's name: {error}"))?;
        let key = app.text("appPublicKey")?.unwrap_or_default();
        let made = app.time("createdAt")?.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let seed = sha256(format!("latchkey/v1/cosync/zip/{key}/{}", name.as_str()).as_bytes());
        let (seed, _) = seed.split_first_chunk::<16>().ok_or("SHA-256")?;
        Ok(Self { export, app_id: AppId::at(made, *seed), name })
    }

    /// The documents of a collection, those of the application under its new id.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn documents(&self, collection: Collection) -> Result<Documents, String> {
        let (id, name) = (self.app_id.to_string(), self.name.as_str().to_owned());
        let renamed = move |document: Document| {
            if collection == Collection::Apps {
                return document.with("appId", &id).with("name", &name);
            }
            // Rows without an application belong to nobody.
            let is_of_it = document.text("appId").ok().flatten().is_some();
            if is_of_it { document.with("appId", &id) } else { document }
        };
        let documents = self.export.documents(collection)?;
        Ok(Box::new(documents.map(move |document| {
            let Numbered { line, size, record } = document?;
            Ok(Numbered { line, size, record: renamed(record) })
        })))
    }
}

/// An application that came from a zip file.
#[derive(Debug, Clone)]
pub struct FromZip {
    /// The application.
    pub view: AppView,
    /// Values that were lost on the way, the first hundred.
    pub lost: Vec<String>,
}

impl Service {
    /// Creates an application from the export of an old server. Everything is validated first, and the application
    /// becomes visible when it is complete.
    ///
    /// # Errors
    /// [`InvalidData`](crate::Refusal::InvalidData), explained, with file and line;
    /// [`AppNameTaken`](crate::Refusal::AppNameTaken); [`Conflict`](crate::Refusal::Conflict).
    pub async fn import_zip(&self, operator: Operator, source: ZipSource) -> Result<FromZip, ServiceError> {
        operator.reaches_all()?;
        let mut reader = CosyncReader::of_zip(self.inner.settings.public_url.clone())?;
        let (mut head, mut lost) = head_of(&mut reader, &source)?;
        let mut whole = serde_json::to_vec(&head).map_err(|error| ServiceError::Internal(error.into()))?;
        for collection in [Collection::Users, Collection::Signups, Collection::Invites] {
            let mut documents = source.documents(collection).map_err(ServiceError::invalid)?;
            loop {
                let (lines, records) = batch(&mut reader, collection, &mut documents, &mut lost)?;
                if records.is_empty() {
                    break;
                }
                let taken = self.check_records(&head.app, &records).await?;
                for (line, taken) in lines.iter().zip(taken) {
                    match taken {
                        RecordOutcome::Added | RecordOutcome::Known => {}
                        RecordOutcome::Partly(what) => tell(&mut lost, what),
                        RecordOutcome::Refused(reason) => {
                            return Err(ServiceError::invalid(named(
                                collection,
                                &WrongLine::new(*line, reason),
                            )));
                        }
                    }
                }
                let text =
                    serde_json::to_vec(&records).map_err(|error| ServiceError::Internal(error.into()))?;
                whole = [sha256(&whole).as_slice(), &sha256(&text)].concat();
            }
        }
        head.source = sha256(&whole);
        self.drop_shared_keys(&mut head, &mut lost).await?;
        if self.begin_import(operator.clone(), head.clone()).await? == ImportStart::AlreadyThere {
            let there = self.find_app(source.app_id).await?.app;
            return Err(ServiceError::app_name_taken(&there.name));
        }
        self.bring_zip(operator, &source, reader, &head).await?;
        Ok(FromZip { view: self.find_app(source.app_id).await?, lost })
    }

    /// Drops keys that another application of this server has: with them, tokens of one would be valid at the consumers
    /// of the other.
    async fn drop_shared_keys(
        &self,
        head: &mut ImportManifest,
        lost: &mut Vec<String>,
    ) -> Result<(), ServiceError> {
        let id: AppId = head.app.app_id.parse().map_err(|_| ServiceError::invalid("the id is malformed"))?;
        let mut kept = Vec::new();
        for key in head.keys.drain(..) {
            let kid = self.key_of(id, &key).map_err(ServiceError::invalid)?.kid;
            let owners =
                self.read("import.key", move |readers| Ok(readers.apps().find_by_key(&kid)?)).await?;
            match owners.iter().find(|owner| **owner != id) {
                None => kept.push(key),
                Some(owner) => tell(
                    lost,
                    format!(
                        "the key pair is the one of the application {owner} on this server: this one gets a new pair, \
                         whose public key its consumers need"
                    ),
                ),
            }
        }
        head.keys = kept;
        Ok(())
    }

    async fn bring_zip(
        &self,
        operator: Operator,
        source: &ZipSource,
        mut reader: CosyncReader,
        head: &ImportManifest,
    ) -> Result<(), ServiceError> {
        reader.start_again();
        let done = self.import_of(head.source).await?.done;
        let (mut seen, mut at) = (0, done);
        for collection in [Collection::Users, Collection::Signups, Collection::Invites] {
            let mut documents = source.documents(collection).map_err(ServiceError::invalid)?;
            loop {
                let (_, mut records) = batch(&mut reader, collection, &mut documents, &mut Vec::new())?;
                if records.is_empty() {
                    break;
                }
                let number = i64::try_from(records.len()).unwrap_or(0);
                let known = (done - seen).clamp(0, number);
                seen += number;
                records.drain(..usize::try_from(known).unwrap_or(0));
                let left = i64::try_from(records.len()).unwrap_or(0);
                if left > 0 {
                    self.import_batch(operator.clone(), head.source, at, records).await?;
                }
                at += left;
            }
        }
        self.finish_import(operator, head.clone(), at).await
    }
}

fn head_of(
    reader: &mut CosyncReader,
    source: &ZipSource,
) -> Result<(ImportManifest, Vec<String>), ServiceError> {
    let documents = |collection| source.documents(collection).map_err(ServiceError::invalid);
    let told = |collection, line, reason: String| {
        ServiceError::invalid(named(collection, &WrongLine::new(line, reason)))
    };
    let Some(app) = documents(Collection::Apps)?.next() else {
        return Err(ServiceError::invalid("app-collection.csv holds no application"));
    };
    let Numbered { line, record, .. } =
        app.map_err(|wrong| ServiceError::invalid(named(Collection::Apps, &wrong)))?;
    let app = reader.app(&record).map_err(|reason| told(Collection::Apps, line, reason))?;
    let (mut head, mut lost) = app;
    let mut bytes = 0;
    for document in documents(Collection::EmailTemplates)? {
        let Numbered { line, size, record } =
            document.map_err(|wrong| ServiceError::invalid(named(Collection::EmailTemplates, &wrong)))?;
        bytes += size;
        if bytes > MOST_HEAD_BYTES {
            let reason = format!("the messages are longer than {MOST_HEAD_BYTES} bytes");
            return Err(told(Collection::EmailTemplates, line, reason));
        }
        match reader.template(&record) {
            Mapped::Record(_, record, _) => {
                if let Record::Template(template) = *record {
                    head.templates
                        .retain(|old| (&old.name, &old.locale) != (&template.name, &template.locale));
                    head.templates.push(template);
                }
            }
            Mapped::LeftAway(why) => tell(&mut lost, why),
            Mapped::Refused(reason) => return Err(told(Collection::EmailTemplates, line, reason)),
        }
    }
    Ok((head, lost))
}

/// The next records of a file; none at its end.
fn batch(
    reader: &mut CosyncReader,
    collection: Collection,
    documents: &mut Documents,
    lost: &mut Vec<String>,
) -> Result<(Vec<u64>, Vec<Record>), ServiceError> {
    let (mut lines, mut records) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    while records.len() < AT_ONCE && bytes < MOST_BYTES_AT_ONCE {
        let Some(document) = documents.next() else { break };
        let Numbered { line, size, record } =
            document.map_err(|wrong| ServiceError::invalid(named(collection, &wrong)))?;
        let mapped = match collection {
            Collection::Users => reader.user(&record),
            Collection::Signups => reader.signup(&record),
            _ => reader.invite(&record),
        };
        match mapped {
            Mapped::Record(_, record, more) => {
                more.into_iter().for_each(|what| tell(lost, what));
                bytes += size;
                lines.push(line);
                records.push(*record);
            }
            Mapped::LeftAway(why) => tell(lost, why),
            Mapped::Refused(reason) => {
                return Err(ServiceError::invalid(named(collection, &WrongLine::new(line, reason))));
            }
        }
    }
    Ok((lines, records))
}

fn tell(lost: &mut Vec<String>, mut what: String) {
    if let Some((end, _)) = what.char_indices().nth(MOST_TOLD_CHARACTERS) {
        what.truncate(end);
        what.push('…');
    }
    if lost.len() < MOST_TOLD && !lost.contains(&what) {
        lost.push(what);
    }
}

fn named(collection: Collection, wrong: &WrongLine) -> String {
    format!("{}, {wrong}", file_name(collection))
}
