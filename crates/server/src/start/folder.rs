//! The data folder: made private, refused when it is open to others, locked where only one process may use
//! what is in it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::StartError;

const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// The data folder, and the lock on it.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    _lock: Option<File>,
    /// Held until SQLite has closed the file, because closing any handle of the file releases SQLite's POSIX locks.
    database: Option<File>,
}

impl DataFolder {
    /// Opens the folder, and makes it first if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, StartError> {
        make_private_folder(path)?;
        Ok(Self { path: path.to_owned(), _lock: None, database: None })
    }

    /// Opens the folder for one process alone. Another may hold it for a moment: that long is waited.
    pub(crate) fn open_alone(path: &Path, patience: Duration) -> Result<Self, StartError> {
        make_private_folder(path)?;
        let mut waited = Duration::ZERO;
        loop {
            match lock(path) {
                Err(StartError::InUse(_)) if waited < patience => {
                    std::thread::sleep(BETWEEN_TRIES);
                    waited += BETWEEN_TRIES;
                }
                lock => return Ok(Self { path: path.to_owned(), _lock: Some(lock?), database: None }),
            }
        }
    }

    /// Locks the database file itself, so that symbolic and hard links lead to the same lock.
    pub(crate) fn lock_database(&mut self, file: &Path) -> Result<(), StartError> {
        if self.database.is_none() && file.exists() {
            let opened = File::open(file).map_err(|error| StartError::no_input(file, &error))?;
            self.database = Some(try_lock(opened, file)?);
        }
        Ok(())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the socket on which a serving process takes commands. The lock is held, so one that is there is
    /// a dead server's.
    pub(crate) fn listen_for_commands(&self) -> Result<UnixListener, StartError> {
        let path = control_socket(&self.path);
        let failed = |error: std::io::Error| {
            let hint = "if its path is long, give data.folder a shorter one";
            StartError::CannotWrite(format!("{} cannot be listened on: {error} ({hint})", path.display()))
        };
        if path.exists() {
            fs::remove_file(&path).map_err(failed)?;
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(listener)
    }
}

/// The socket on which a serving process takes commands.
pub(crate) fn control_socket(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// Whether a process serves on this folder.
pub(crate) fn is_served(folder: &Path) -> bool {
    UnixStream::connect(control_socket(folder)).is_ok()
}

pub(crate) fn make_private_folder(path: &Path) -> Result<(), StartError> {
    if !path.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
            StartError::CannotWrite(format!("{} cannot be made: {error}", path.display()))
        })?;
    }
    refuse_open_mode(path)
}

fn lock(folder: &Path) -> Result<File, StartError> {
    let path = folder.join("latchkey.lock");
    try_lock(private_file(&path, OpenOptions::new().write(true).create(true))?, folder)
}

/// Locks a file exclusively. Errors name `what`.
fn try_lock(file: File, what: &Path) -> Result<File, StartError> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StartError::InUse(format!(
            "{} is in use by another latchkey: stop it first, or give this one another data folder",
            what.display()
        ))),
        Err(fs::TryLockError::Error(error)) => {
            Err(StartError::CannotWrite(format!("{} cannot be locked: {error}", what.display())))
        }
    }
}

/// Opens a file for its owner alone.
pub(crate) fn private_file(path: &Path, options: &mut OpenOptions) -> Result<File, StartError> {
    let file = options
        .mode(0o600)
        .open(path)
        .map_err(|error| StartError::CannotWrite(format!("{} cannot be written: {error}", path.display())))?;
    refuse_open_mode(path)?;
    Ok(file)
}

/// A file that others provide for the server (settings, a secret, certificates): only its owner and group may write or
/// replace it. Others may read it, since container engines provide secrets that way, and settings without secrets are
/// not secret.
pub(crate) fn refuse_foreign_writers(path: &Path) -> Result<(), StartError> {
    const STICKY: u32 = 0o1000;
    let mode_of = |path: &Path| fs::metadata(path).map(|metadata| metadata.permissions().mode() & 0o1777);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for (path, may_be_sticky) in [(path, false), (folder, true)] {
        // If it is missing, reading it reports the error.
        let Ok(mode) = mode_of(path) else { continue };
        if mode & 0o002 != 0 && !(may_be_sticky && mode & STICKY != 0) {
            return Err(StartError::Permissions(format!(
                "{} may be written by everybody ({mode:04o}): chmod o-w {}",
                path.display(),
                path.display()
            )));
        }
    }
    Ok(())
}

/// A secret's file may be read by its owner and group only: container platforms hand secrets over by group.
pub(crate) fn refuse_foreign_readers(path: &Path, key: &str) -> Result<(), StartError> {
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    if mode & 0o004 == 0 {
        return Ok(());
    }
    Err(StartError::Permissions(format!(
        "{key}_file: every user of this machine can read {} ({mode:04o}): chmod o-r {}",
        path.display(),
        path.display()
    )))
}

/// Secrets are for their owner only.
pub(crate) fn refuse_open_mode(path: &Path) -> Result<(), StartError> {
    let metadata = fs::metadata(path)
        .map_err(|error| StartError::Permissions(format!("{} cannot be read: {error}", path.display())))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let wanted = if metadata.is_dir() { "700" } else { "600" };
    Err(StartError::Permissions(format!(
        "{} is open to others ({mode:04o}): chmod {wanted} {}",
        path.display(),
        path.display()
    )))
}
