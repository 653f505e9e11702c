//! What all imports go by: batches that are bounded by number and by bytes, and a bar that shows how far a file was
//! read.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use latchkey_service::transfer::{ImportManifest, ImportStart, MOST_BYTES_AT_ONCE, RecordOutcome};
use latchkey_transfer::{Record, WrongLine};

use super::data_access::Link;
use super::report::{Report, printable};
use crate::control::Command;
use crate::start::StartError;
use crate::transfer::ImportRequest;

/// How files of JSON lines are called.
pub(super) const JSON_LINES: [&str; 3] = ["jsonl", "ndjson", "json"];
/// How many records go in one unit of work.
const AT_ONCE: usize = 1_000;

/// Records, until there are enough for a unit of work.
pub(super) struct Batch<T> {
    lines: Vec<u64>,
    items: Vec<T>,
    size: usize,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { lines: Vec::new(), items: Vec::new(), size: 0 }
    }
}

impl<T> Batch<T> {
    /// Adds one of so many bytes; `true` when it is time to hand them on.
    pub(super) fn add(&mut self, line: u64, size: usize, item: T) -> bool {
        self.lines.push(line);
        self.items.push(item);
        self.size += size;
        self.items.len() >= AT_ONCE || self.size >= MOST_BYTES_AT_ONCE
    }

    pub(super) fn take(&mut self) -> (Vec<u64>, Vec<T>) {
        self.size = 0;
        (std::mem::take(&mut self.lines), std::mem::take(&mut self.items))
    }
}

/// How far a file was read, on a terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn over(file: &Path, what: &'static str) -> Result<Self, StartError> {
        let length = open_file(file)?.metadata().map_or(0, |metadata| metadata.len());
        let bar = if io::stderr().is_terminal() { ProgressBar::new(length) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta}") {
            bar.set_style(style);
        }
        bar.set_message(what);
        Ok(Self(bar))
    }

    /// Where there is no file.
    pub(super) fn over_nothing() -> Self {
        Self(ProgressBar::hidden())
    }

    pub(super) fn read(&self, file: File) -> impl Read + Send + use<> {
        self.0.wrap_read(file)
    }

    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// How a file's name ends, in lower case; nothing where it has no ending.
pub(super) fn extension_of(file: &Path) -> String {
    file.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_lowercase()
}

/// A file that is read twice.
pub(super) fn open_file(file: &Path) -> Result<File, StartError> {
    let failed = |error: io::Error| StartError::no_input(file, &error);
    // Before it is opened: opening a pipe would block.
    if !std::fs::metadata(file).map_err(failed)?.is_file() {
        let text = format!(
            "{} is not a regular file; an import reads its file twice, so it cannot read a pipe",
            file.display()
        );
        return Err(StartError::BadInput(text));
    }
    File::open(file).map_err(failed)
}

/// A line that nothing can be made of.
pub(super) fn unreadable(file: &Path, wrong: &WrongLine) -> StartError {
    StartError::BadInput(printable(&format!("{}, {wrong}; nothing was imported", file.display())))
}

/// Looks whether an application could come in at all.
pub(super) async fn check_head(
    link: &Link,
    head: &ImportManifest,
    what: impl std::fmt::Display,
) -> Result<ImportStart, StartError> {
    let checked = link.call(Command::Import(ImportRequest::CheckImport(Box::new(head.clone())))).await;
    let checked = checked.map_err(|error| match error {
        StartError::BadInput(reason) => {
            let reason = reason.trim_end_matches('.');
            StartError::BadInput(printable(&format!("{what}: {reason}; nothing was changed")))
        }
        other => other,
    })?;
    serde_json::from_value(checked).map_err(|error| StartError::Internal(error.to_string()))
}

/// Sends a batch and returns its outcome.
pub(super) async fn taken_in(link: &Link, what: ImportRequest) -> Result<Vec<RecordOutcome>, StartError> {
    let answer = link.call(Command::Import(what)).await?;
    serde_json::from_value(answer).map_err(|error| StartError::Internal(error.to_string()))
}

/// Looks at records, reports what is wrong, and gives the lines of those that cannot be taken.
pub(super) async fn check_records(
    link: &Link,
    head: Option<&ImportManifest>,
    batch: &mut Batch<Record>,
    report: &mut Report,
) -> Result<Vec<u64>, StartError> {
    let (lines, records) = batch.take();
    let Some(head) = head.filter(|_| !records.is_empty()) else { return Ok(Vec::new()) };
    let check = ImportRequest::Check { app: Box::new(head.app.clone()), records: records.clone() };
    let mut refused = Vec::new();
    for ((line, record), taken) in lines.into_iter().zip(records).zip(taken_in(link, check).await?) {
        match taken {
            RecordOutcome::Added | RecordOutcome::Known => {}
            RecordOutcome::Partly(what) => report.lost(&what),
            RecordOutcome::Refused(reason) => {
                report.refused(line, record.handle().unwrap_or(record.kind()), &reason);
                refused.push(line);
                continue;
            }
        }
        report.record(&record);
    }
    Ok(refused)
}
