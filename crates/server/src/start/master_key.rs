//! The master key: from the settings, else from its file, which is made once and never overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use latchkey_crypto::MasterKey;
use latchkey_domain::Entropy;
use secrecy::ExposeSecret as _;

use super::StartError;
use super::folder::{private_file, refuse_open_mode};
use crate::settings::Settings;

/// The master key. Its file is made only beside a database that holds no keys yet.
pub(crate) fn master_key(
    settings: &Settings,
    folder: &Path,
    has_keys: bool,
    entropy: &dyn Entropy,
) -> Result<MasterKey, StartError> {
    let given = settings.keys.master_key.expose_secret();
    if !given.is_empty() {
        return MasterKey::from_hex(given).map_err(|_| malformed("keys.master_key"));
    }
    let named = &settings.keys.master_key_file;
    let path = if named.as_os_str().is_empty() { folder.join("master.key") } else { named.clone() };
    if !path.exists() {
        if has_keys {
            return Err(StartError::Configuration(format!(
                "{} is missing, and the database was sealed with it: put it back; nothing was changed",
                path.display()
            )));
        }
        publish(&path, entropy)?;
    }
    read(&path)
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
    if let Some(folder) = path.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(())
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
