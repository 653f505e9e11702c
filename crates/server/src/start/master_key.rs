//! The master key: from the settings, else from its file, which is made once. Another takes its place only in a
//! change that the whole server knows of, and that is finished at the next start where it was stopped.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use latchkey_crypto::MasterKey;
use latchkey_domain::Entropy;
use secrecy::{ExposeSecret as _, SecretString};

use super::StartError;
use super::folder::{private_file, refuse_open_mode};
use crate::settings::Settings;

/// Where the master key is.
#[derive(Debug, Clone)]
pub(crate) enum MasterKeyStore {
    /// In the settings themselves.
    Setting(SecretString),
    /// In a file.
    File(PathBuf),
}

impl MasterKeyStore {
    /// The place that the settings name.
    pub(crate) fn of(settings: &Settings, folder: &Path) -> Self {
        let given = &settings.keys.master_key;
        if !given.expose_secret().is_empty() {
            return Self::Setting(given.clone());
        }
        let named = &settings.keys.master_key_file;
        Self::File(if named.as_os_str().is_empty() { folder.join("master.key") } else { named.clone() })
    }

    /// The master key. Its file is made only beside a database that holds no keys yet.
    pub(crate) fn read(&self, has_keys: bool, entropy: &dyn Entropy) -> Result<MasterKey, StartError> {
        let path = match self {
            Self::Setting(text) => {
                return MasterKey::from_hex(text.expose_secret()).map_err(|_| malformed("keys.master_key"));
            }
            Self::File(path) => path,
        };
        if !path.exists() {
            if has_keys {
                return Err(StartError::Configuration(format!(
                    "{} is missing, and the database was sealed with it: put it back; nothing was changed",
                    path.display()
                )));
            }
            publish(path, entropy)?;
        }
        read(path)
    }

    /// The key that a change began with and did not end with, if there is one.
    pub(crate) fn unfinished(&self) -> Result<Option<MasterKey>, StartError> {
        match self {
            Self::File(path) if next_of(path).exists() => read(&next_of(path)).map(Some),
            Self::File(_) | Self::Setting(_) => Ok(None),
        }
    }

    /// Gives the new key the name of the old one: the change is done.
    pub(crate) fn finish(&self) -> Result<(), StartError> {
        let Self::File(path) = self else { return Ok(()) };
        let failed = |error: std::io::Error| {
            StartError::CannotWrite(format!("{} cannot be replaced: {error}", path.display()))
        };
        fs::rename(next_of(path), path).map_err(failed)?;
        sync_folder_of(path)
    }

    /// Its file, if it has one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Setting(_) => None,
        }
    }

    /// Begins a change: the new key is on disk before anything is encrypted with it. An earlier, interrupted change is
    /// continued. If the key is in the settings, the operator replaces it with the new one from `to`.
    pub(crate) fn begin(&self, to: Option<&Path>, entropy: &dyn Entropy) -> Result<MasterKey, StartError> {
        let path = match (self, to) {
            (Self::File(path), None) => next_of(path),
            (Self::Setting(_), Some(to)) => to.to_owned(),
            (Self::File(path), Some(_)) => {
                let text = format!("the new key takes the place of {}: leave --to away", path.display());
                return Err(StartError::Configuration(text));
            }
            (Self::Setting(_), None) => {
                let text = "the master key stands in the settings: say --to which file the new one goes";
                return Err(StartError::Configuration(text.to_owned()));
            }
        };
        publish(&path, entropy)?;
        read(&path)
    }
}

fn next_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    PathBuf::from(name)
}

fn malformed(what: &str) -> StartError {
    StartError::Configuration(format!("{what} does not hold 64 hexadecimal digits"))
}

fn read(path: &Path) -> Result<MasterKey, StartError> {
    refuse_open_mode(path)?;
    let text = fs::read_to_string(path)
        .map_err(|error| StartError::Permissions(format!("{} cannot be read: {error}", path.display())))?;
    MasterKey::from_hex(text.trim_end()).map_err(|_| malformed(&path.display().to_string()))
}

/// Makes a key and gives it its name, unless another process was faster: then that one's key is the key. A
/// file of that name always holds a whole key.
fn publish(path: &Path, entropy: &dyn Entropy) -> Result<(), StartError> {
    let failed = |error: std::io::Error| {
        StartError::CannotWrite(format!("{} cannot be written: {error}", path.display()))
    };
    let internal = |error: &dyn std::error::Error| StartError::Internal(error.to_string());
    let master = MasterKey::generate(entropy).map_err(|error| internal(&error))?;
    let number = u64::from_be_bytes(entropy.bytes().map_err(|error| internal(&error))?);
    let unfinished = path.with_extension(format!("{number:016x}.part"));
    let mut file = private_file(&unfinished, OpenOptions::new().write(true).create_new(true))?;
    file.write_all(format!("{}\n", *master.to_hex()).as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let published = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished).map_err(failed)?;
    match published {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    sync_folder_of(path)
}

fn sync_folder_of(path: &Path) -> Result<(), StartError> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| StartError::CannotWrite(format!("{} cannot be written: {error}", folder.display())))
}

#[cfg(test)]
mod tests {
    use latchkey_domain::SeededEntropy;

    use super::*;

    #[test]
    fn sec_098_a_key_that_is_there_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        publish(&path, &SeededEntropy::new(1)).unwrap();
        let first = fs::read_to_string(&path).unwrap();
        publish(&path, &SeededEntropy::new(2)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no other copy is left");
    }
}
