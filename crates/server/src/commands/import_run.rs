//! An import that was begun: it sends its records in batches, and resumes after those that an earlier run sent.

use latchkey_service::transfer::{ImportManifest, ImportStart};
use latchkey_transfer::Record;

use super::batches::Batch;
use super::data_access::Link;
use crate::control::Command;
use crate::start::StartError;
use crate::transfer::ImportRequest;

/// The import of one application.
pub(super) struct ImportRun {
    pub(super) head: ImportManifest,
    /// Records that were sent, by this run and earlier ones.
    pub(super) sent: i64,
    /// Records that earlier runs sent, and that are still to come.
    to_skip: i64,
    batch: Batch<Record>,
}

impl ImportRun {
    /// Begins or resumes an import. `None` if the application exists already.
    pub(super) async fn begin(link: &Link, head: ImportManifest) -> Result<Option<Self>, StartError> {
        let begun = link.call(Command::Import(ImportRequest::Begin(Box::new(head.clone())))).await?;
        let begun = serde_json::from_value(begun).map_err(|error| StartError::Internal(error.to_string()))?;
        Ok(match begun {
            ImportStart::AlreadyThere => None,
            ImportStart::At(sent) => Some(Self { head, sent, to_skip: sent, batch: Batch::default() }),
        })
    }

    /// Takes a record. Returns whether it waits to be sent, and whether the batch is full.
    pub(super) fn add(&mut self, line: u64, size: usize, record: Record) -> (bool, bool) {
        if self.to_skip > 0 {
            self.to_skip -= 1;
            return (false, false);
        }
        (true, self.batch.add(line, size, record))
    }

    /// Sends what waits.
    pub(super) async fn send(&mut self, link: &Link) -> Result<(), StartError> {
        let (_, records) = self.batch.take();
        let number = i64::try_from(records.len()).unwrap_or(0);
        if number > 0 {
            let batch = ImportRequest::Batch { source: self.head.source, from: self.sent, records };
            link.call(Command::Import(batch)).await?;
        }
        self.sent += number;
        Ok(())
    }

    /// Sends the rest, and makes the application visible.
    pub(super) async fn finish(&mut self, link: &Link) -> Result<(), StartError> {
        self.send(link).await?;
        let finish = ImportRequest::Finish { head: Box::new(self.head.clone()), records: self.sent };
        link.call(Command::Import(finish)).await?;
        Ok(())
    }
}
