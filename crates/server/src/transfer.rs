//! Imports and exports, for commands and as streams. The command line reads the files; the service receives records,
//! some hundred at a time.

use std::future::Future;

use actix_web::web::Bytes;
use futures_util::Stream;
use futures_util::stream;
use latchkey_crypto::PassphraseKey;
use latchkey_domain::AppId;
use latchkey_service::transfer::{BatchOutcome, Export, ImportManifest};
use latchkey_service::{Operator, Refusal, Service, ServiceError};
use latchkey_transfer::{AppRecord, ArchiveWriter, Record, Secrets, UserRecord, write_users_csv};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::dto::iso;

/// An import command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ImportRequest {
    /// Validate users for an application.
    CheckUsers { app: String, users: Vec<UserRecord> },
    /// Import them.
    Users { app: String, users: Vec<UserRecord> },
    /// Validate records of an archive.
    Check { app: Box<AppRecord>, records: Vec<Record> },
    /// Look whether an application has room for so many more.
    CheckRoom { app: String, more: u32 },
    /// Check whether an application can be imported.
    CheckImport(Box<ImportManifest>),
    /// Look whether app tokens of an old server can be taken.
    CheckServer { pem: String },
    /// Begin to bring an application in.
    Begin(Box<ImportManifest>),
    /// Bring its next records in.
    Batch { source: [u8; 32], from: i64, records: Vec<Record> },
    /// It is whole.
    Finish { head: Box<ImportManifest>, records: i64 },
    /// Take app tokens of an old server.
    TrustServer { pem: String },
    /// Imports that are not whole.
    List,
    /// Remove one of them.
    Discard { app: String },
}

/// Runs work through many records on a thread of its own: each batch takes longer than a request's thread may be kept.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, ServiceError> {
    let runtime = tokio::runtime::Handle::current();
    let done = tokio::task::spawn_blocking(move || runtime.block_on(work));
    done.await.map_err(|error| ServiceError::Internal(error.into()))
}

/// Runs an import command.
pub(crate) async fn run_import(service: &Service, what: ImportRequest) -> Result<Value, ServiceError> {
    let operator = Operator::command_line();
    let id = |app: &str| app.parse::<AppId>().map_err(|_| Refusal::UnknownApp);
    let told = |taken: BatchOutcome| {
        serde_json::to_value(taken).map_err(|error| ServiceError::Internal(error.into()))
    };
    match what {
        ImportRequest::CheckUsers { app, users } => told(service.check_users(id(&app)?, users).await?),
        ImportRequest::Users { app, users } => told(service.import_users(operator, id(&app)?, users).await?),
        ImportRequest::Check { app, records } => told(service.check_records(&app, &records).await?),
        ImportRequest::CheckRoom { app, more } => {
            service.check_room(id(&app)?, more).await.map(|()| Value::Null)
        }
        ImportRequest::CheckImport(head) => serde_json::to_value(service.check_import(*head).await?)
            .map_err(|error| ServiceError::Internal(error.into())),
        ImportRequest::CheckServer { pem } => Service::check_old_server(&pem).map(|_| Value::Null),
        ImportRequest::Begin(head) => serde_json::to_value(service.begin_import(operator, *head).await?)
            .map_err(|error| ServiceError::Internal(error.into())),
        ImportRequest::Batch { source, from, records } => {
            service.import_batch(operator, source, from, records).await.map(|()| Value::Null)
        }
        ImportRequest::Finish { head, records } => {
            service.finish_import(operator, *head, records).await.map(|()| Value::Null)
        }
        ImportRequest::TrustServer { pem } => {
            service.trust_old_server(operator, &pem).await.map(|()| Value::Null)
        }
        ImportRequest::List => {
            let marks = service.list_imports().await?;
            Ok(marks
                .iter()
                .map(|mark| {
                    json!({"appId": mark.app_id.to_string(), "done": mark.done, "beganAt": iso(mark.began_at),
                        "updatedAt": iso(mark.updated_at)})
                })
                .collect())
        }
        ImportRequest::Discard { app } => {
            service.discard_import(operator, id(&app)?).await.map(|()| Value::Null)
        }
    }
}

/// What moves out, and how it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ExportRequest {
    pub(crate) app: String,
    pub(crate) form: Form,
    /// Seals what must stay secret; without one, that stays here.
    pub(crate) passphrase: Option<String>,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// Everything, as JSON lines.
    Archive,
    /// The users, as CSV.
    Users,
}

type Piece = Result<Bytes, ServiceError>;

/// Starts an export. Errors at the start are returned; later ones end the stream early, and an archive without its last
/// line counts as truncated.
pub(crate) async fn run_export(
    service: Service,
    operator: Operator,
    leaving: ExportRequest,
) -> Result<impl Stream<Item = Piece> + Unpin, ServiceError> {
    let id: AppId = leaving.app.parse().map_err(|_| Refusal::UnknownApp)?;
    operator.reaches(id)?;
    let key = match leaving.passphrase {
        None => None,
        Some(text) => {
            let (passphrase, app) = (SecretString::from(text), id.to_string());
            Some(service.run_on_pool(move || derive(&passphrase, &app)).await?)
        }
    };
    let secrets = if key.is_some() { Secrets::Sealed } else { Secrets::Absent };
    let export = service.begin_export(operator, id, key).await?;
    let writer = match leaving.form {
        Form::Archive => Writer::Archive(ArchiveWriter::new(Vec::new(), secrets).map_err(internal)?),
        Form::Users => Writer::Users { is_begun: false },
    };
    let departure = Departure { service, export, writer: Some(writer) };
    Ok(Box::pin(stream::unfold(departure, Departure::next)))
}

/// The key of a passphrase for what leaves or arrives of one application.
pub(crate) fn derive(passphrase: &SecretString, app: &str) -> Result<PassphraseKey, ServiceError> {
    PassphraseKey::derive(passphrase, app).map_err(|error| match error {
        latchkey_crypto::CryptoError::Key(text) => ServiceError::invalid(text),
        other => other.into(),
    })
}

enum Writer {
    Archive(ArchiveWriter<Vec<u8>>),
    Users { is_begun: bool },
}

struct Departure {
    service: Service,
    export: Export,
    /// None once everything was written.
    writer: Option<Writer>,
}

impl Departure {
    async fn next(self) -> Option<(Piece, Self)> {
        // A panic ends the stream early, and what was written counts as cut off.
        apart(self.next_piece()).await.ok().flatten()
    }

    async fn next_piece(mut self) -> Option<(Piece, Self)> {
        let writer = self.writer.take()?;
        let records = match self.service.next_of_export(&mut self.export).await {
            Ok(records) => records,
            Err(error) => return Some((Err(error), self)),
        };
        let piece = match (writer, records) {
            (Writer::Archive(mut writer), Some(records)) => {
                let written = records.iter().try_for_each(|record| writer.add(record));
                let piece = std::mem::take(writer.inner());
                self.writer = Some(Writer::Archive(writer));
                written.map(|()| piece)
            }
            (Writer::Archive(writer), None) => writer.end(),
            (Writer::Users { is_begun }, Some(records)) => {
                let users = records.into_iter().filter_map(|record| match record {
                    Record::User(user) => Some(user),
                    _ => None,
                });
                self.writer = Some(Writer::Users { is_begun: true });
                write_users_csv(Vec::new(), &users.collect::<Vec<_>>(), !is_begun)
            }
            (Writer::Users { .. }, None) => return None,
        };
        Some((piece.map(Bytes::from).map_err(internal), self))
    }
}

fn internal(error: std::io::Error) -> ServiceError {
    ServiceError::Internal(error.into())
}
