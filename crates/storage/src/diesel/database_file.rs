//! Identity of the SQLite file while it is open.

use std::fs;
use std::path::{Path, PathBuf};

use crate::StorageError;

/// The file that was opened. A file that takes its name later is another database: what is written to the open one would be
/// lost at the next start.
pub(super) struct DatabaseFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl DatabaseFile {
    pub(super) fn of(path: &Path) -> Result<Self, StorageError> {
        let identity = identity_of(path).map_err(|error| StorageError::Backend(error.into()))?;
        Ok(Self { path: path.to_owned(), identity })
    }

    /// Makes sure that the name still belongs to the open file.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when it was replaced, moved or deleted.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        if identity_of(&self.path).is_ok_and(|identity| identity == self.identity) {
            return Ok(());
        }
        Err(StorageError::Unavailable(format!(
            "{} was replaced, moved or deleted while the server has it open: stop the server, put the right file there \
             without a -wal file of another one, and start again",
            self.path.display()
        )))
    }
}

#[cfg(unix)]
fn identity_of(path: &Path) -> std::io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity_of(path: &Path) -> std::io::Result<(u64, u64)> {
    fs::metadata(path).map(|_| (0, 0))
}
