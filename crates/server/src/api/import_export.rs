//! `/api/app`: imports and exports over HTTP. Callers are authorized before the first byte of an upload is read.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_multipart::{Multipart, MultipartError};
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt as _;
use futures_util::stream::{self, Stream};
use latchkey_domain::Scope;
use latchkey_service::transfer::ZipSource;
use latchkey_service::{Operator, Refusal, ServiceError};
use latchkey_transfer::cosync::{Export, ZipBytes};

use super::operator::{APP_ID, app_of};
use super::{AppState, State};
use crate::dto::{ImportedApp, admin_app_json};
use crate::http::field::{Field, file, flag, text};
use crate::http::{Answer, ApiError, BodyLimits, ByOperator, Fields, Query, Verified, WrongField, json};
use crate::openapi::{Answers, DEFAULT, Operation, shape};
use crate::transfer::{ExportRequest, Form, apart, run_export};
use crate::zip_export::zip_of;

/// The largest upload, with what is around its parts.
const MOST_BYTES: usize = 64 * 1024 * 1024;

const SECRETS: Field = flag(
    "secrets",
    "The private key, accounts and authenticators' secrets too, in clear: needs the scope `keys`.",
);
const FILE_NAME: (&str, &str) = ("Content-Disposition", "The file name.");

pub(crate) const EXPORT_ZIP: Operation = Operation {
    summary: "Export the application as the reference's zip file",
    fields: &[APP_ID, SECRETS],
    answers: Answers::File(&["application/zip"]),
    headers: &[FILE_NAME],
    ..DEFAULT
};

/// The reference's zip file. It contains private keys, authenticators' secrets and accounts at providers only on
/// request of an operator with the scope for it.
pub(crate) async fn export_zip(state: State, Verified(operator): ByOperator, Query(query): Query) -> Answer {
    let app = app_of(&operator, &query)?;
    let secrets = query.flag(SECRETS)?.unwrap_or(false);
    if secrets && !operator.may(Scope::Keys) {
        let text = "secrets=true needs the scope keys".to_owned();
        return Err(ServiceError::Explained(Refusal::ServerScopeNeeded, text).into());
    }
    let pieces = zip_of(state.service.clone(), operator, app, secrets).await?;
    Ok(attachment("application/zip", &format!("{app}.zip")).streaming(pieces))
}

pub(crate) const EXPORT_ARCHIVE: Operation = Operation {
    summary: "Export the application as JSON lines, without secrets",
    fields: &[APP_ID],
    answers: Answers::File(&["application/jsonl"]),
    headers: &[FILE_NAME],
    ..DEFAULT
};

/// The archive, without what must stay secret: that leaves by the command line, sealed to a passphrase.
pub(crate) async fn export_archive(
    state: State,
    Verified(operator): ByOperator,
    Query(query): Query,
) -> Answer {
    stream(&state, operator, &query, Form::Archive, "application/jsonl; charset=utf-8", "application.jsonl")
        .await
}

pub(crate) const EXPORT_USERS: Operation =
    Operation { summary: "Export the users as CSV", answers: Answers::File(&["text/csv"]), ..EXPORT_ARCHIVE };

/// The users as CSV.
pub(crate) async fn export_users(
    state: State,
    Verified(operator): ByOperator,
    Query(query): Query,
) -> Answer {
    stream(&state, operator, &query, Form::Users, "text/csv; charset=utf-8", "users.csv").await
}

async fn stream(
    state: &AppState,
    operator: Operator,
    query: &Fields,
    form: Form,
    content_type: &'static str,
    name: &str,
) -> Answer {
    let app = app_of(&operator, query)?.to_string();
    let leaving = ExportRequest { app, form, passphrase: None };
    let pieces = run_export(state.service.clone(), operator, leaving).await?;
    Ok(attachment(content_type, name).streaming(pieces))
}

fn attachment(content_type: &'static str, name: &str) -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")));
    answer
}

const FILE: Field = file("file", "The zip file.").required();
const APP_NAME: Field = text("appName", "Shop", "").required();

pub(crate) const IMPORT: Operation = Operation {
    summary: "Import an application from the reference's zip file",
    about: "At most 64 MiB. Imports nothing if there are errors. Requires a secret for all applications.",
    fields: &[FILE, APP_NAME],
    answers: Answers::Json(&[shape::<ImportedApp>]),
    refuses: &[Refusal::AppNameTaken, Refusal::Conflict],
    ..DEFAULT
};

/// An application from the reference's zip file.
pub(crate) async fn import_database(
    state: State,
    Verified(operator): ByOperator,
    request: HttpRequest,
    payload: Payload,
) -> Answer {
    operator.reaches_all()?;
    let Ok(one) = Arc::clone(&state.uploads).try_acquire_owned() else {
        return Err(ServiceError::Busy.into());
    };
    let upload = read_upload(&request, payload).await?;
    let name = upload.name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| WrongField::missing(APP_NAME))?;
    let zip = upload.zip.ok_or_else(|| WrongField::missing(FILE))?;
    let service = state.service.clone();
    let importing = async move {
        // No other upload begins before this import ends.
        let _one = one;
        let opening = service.run_on_pool(move || {
            let export = Export::open(ZipBytes::Memory(zip.into())).map_err(ServiceError::invalid)?;
            ZipSource::new(export, Some(&name)).map_err(ServiceError::invalid)
        });
        service.import_zip(operator, opening.await?).await
    };
    let imported = apart(importing).await??;
    Ok(json(&ImportedApp { app: admin_app_json(&imported.view), lost: imported.lost }))
}

#[derive(Default)]
struct Upload {
    zip: Option<Vec<u8>>,
    name: Option<String>,
}

/// The body of an upload: bounded as a whole, whatever its parts are, and in its pauses, not in its time (SEC-117).
fn bounded(payload: Payload, longest_pause: Duration) -> impl Stream<Item = Result<Bytes, PayloadError>> {
    stream::unfold((payload, 0), move |(mut payload, before)| async move {
        let next = tokio::time::timeout(longest_pause, payload.next()).await;
        let paused = |_| Some(Err(PayloadError::Io(io::ErrorKind::TimedOut.into())));
        let mut chunk = next.unwrap_or_else(paused)?;
        let total = before + chunk.as_ref().map_or(0, Bytes::len);
        if total > MOST_BYTES {
            chunk = Err(PayloadError::Overflow);
        }
        Some((chunk, (payload, total)))
    })
    .fuse()
}

async fn read_upload(request: &HttpRequest, payload: Payload) -> Result<Upload, ApiError> {
    let too_large = || ApiError::TooLarge;
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MOST_BYTES) {
        return Err(too_large());
    }
    let malformed = |error| match error {
        MultipartError::Payload(PayloadError::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
            ApiError::TooSlow
        }
        MultipartError::Payload(PayloadError::Overflow) => too_large(),
        _ => ServiceError::invalid("invalid body: send multipart/form-data with file and appName").into(),
    };
    let limits = request.app_data::<Data<BodyLimits>>();
    let limits = limits.ok_or_else(|| ApiError::internal("no body limits are configured"))?;
    let mut parts = Multipart::new(request.headers(), Box::pin(bounded(payload, limits.time)));
    let mut upload = Upload::default();
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(malformed)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = part.next().await {
            bytes.extend_from_slice(&chunk.map_err(malformed)?);
        }
        match part.name() {
            Some("file") => upload.zip = Some(bytes),
            Some("appName") => {
                let text = String::from_utf8(bytes).map_err(|_| Refusal::InvalidData)?;
                upload.name = Some(text);
            }
            _ => {}
        }
    }
    Ok(upload)
}
