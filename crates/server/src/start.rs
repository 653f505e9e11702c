//! From settings to a running service: folder, lock, database, master key, keys. Whatever cannot be done is
//! one clear sentence with an exit code, and nothing is left half written.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use latchkey_crypto::{Engine, HashPool, KeyRingError, MasterKey, PasswordHasher, SystemEntropy};
use latchkey_domain::{Clock, Entropy, SystemClock};
use latchkey_service::{Service, ServiceError, ServiceParts};
use latchkey_storage::StorageError;
use latchkey_storage::diesel::{Database, DatabaseLocation, DatabaseSettings};
use secrecy::{ExposeSecret as _, SecretString};

use crate::settings::{Checked, Mistakes, Settings};

/// Why the program cannot do what it was asked. Exit codes are those of `sysexits.h`.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings are wrong, or belong to other data.
    #[error("{0}")]
    Configuration(String),
    /// A file or folder is open to others, or closed to us.
    #[error("{0}")]
    Permissions(String),
    /// The data folder cannot be written.
    #[error("{0}")]
    CannotWrite(String),
    /// Something that is needed is away: the database, the port, the lock.
    #[error("{0}")]
    Unavailable(String),
    /// Our own doing.
    #[error("{0}")]
    Internal(String),
}

impl StartError {
    /// The exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 78,
            Self::Permissions(_) => 77,
            Self::CannotWrite(_) => 73,
            Self::Unavailable(_) => 69,
            Self::Internal(_) => 1,
        }
    }
}

impl From<Mistakes> for StartError {
    fn from(mistakes: Mistakes) -> Self {
        Self::Configuration(mistakes.to_string())
    }
}

impl From<StorageError> for StartError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable(reason) => Self::Unavailable(format!("the database is away: {reason}")),
            StorageError::NewerSchema(version) => Self::Configuration(format!(
                "the data was written by a newer Latchkey (migration {version}): start that version, or restore an older backup"
            )),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<ServiceError> for StartError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Unavailable(reason) => Self::Unavailable(format!("the database is away: {reason}")),
            ServiceError::Refused(refusal) => Self::Configuration(format!("refused: {refusal:?}")),
            ServiceError::Busy => Self::Unavailable("too much work waits".to_owned()),
            ServiceError::Internal(cause) => match cause.downcast_ref::<KeyRingError>() {
                Some(KeyRingError::WrongMasterKey { .. }) => Self::Configuration(format!(
                    "{cause}: put the right master key back; nothing was changed"
                )),
                _ => Self::Internal(cause.to_string()),
            },
        }
    }
}

/// The data folder, locked where only one process may use what is in it.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    _lock: Option<File>,
}

impl DataFolder {
    fn open(path: &Path, needs_lock: bool) -> Result<Self, StartError> {
        if !path.exists() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
                StartError::CannotWrite(format!("{} cannot be made: {error}", path.display()))
            })?;
        }
        refuse_open_mode(path)?;
        let lock = if needs_lock { Some(lock(path)?) } else { None };
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The socket on which a serving process listens for commands.
    pub(crate) fn control_socket(path: &Path) -> PathBuf {
        path.join("control.sock")
    }
}

fn lock(folder: &Path) -> Result<File, StartError> {
    let path = folder.join("latchkey.lock");
    let file = private_file(&path, OpenOptions::new().write(true).create(true))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StartError::Unavailable(format!(
            "{} is in use by another latchkey: stop it first, or give this one another data folder",
            folder.display()
        ))),
        Err(fs::TryLockError::Error(error)) => {
            Err(StartError::CannotWrite(format!("{} cannot be locked: {error}", path.display())))
        }
    }
}

/// Whether a process serves on this folder.
pub(crate) fn is_served(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join("latchkey.lock")) else { return false };
    matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
}

fn private_file(path: &Path, options: &mut OpenOptions) -> Result<File, StartError> {
    let file = options
        .mode(0o600)
        .open(path)
        .map_err(|error| StartError::CannotWrite(format!("{} cannot be written: {error}", path.display())))?;
    refuse_open_mode(path)?;
    Ok(file)
}

/// Secrets are for their owner only.
fn refuse_open_mode(path: &Path) -> Result<(), StartError> {
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

/// Where the database is, by the settings. For a file, the folder is made and the file is private.
pub(crate) fn location(settings: &Settings) -> Result<DatabaseLocation, StartError> {
    let url = secret_or_file(&settings.database.url, &settings.database.url_file, "database.url")?;
    let url = url.expose_secret();
    if url.is_empty() {
        return Ok(DatabaseLocation::File(settings.data.folder.join("latchkey.db")));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(DatabaseLocation::Server(url.to_owned()));
    }
    Err(StartError::Configuration(
        "database.url begins with postgres://, or is empty for the SQLite file in the data folder".to_owned(),
    ))
}

fn secret_or_file(value: &SecretString, file: &Path, key: &str) -> Result<SecretString, StartError> {
    if file.as_os_str().is_empty() {
        return Ok(value.clone());
    }
    if !value.expose_secret().is_empty() {
        return Err(StartError::Configuration(format!("{key} and {key}_file are both set: remove one")));
    }
    let text = fs::read_to_string(file).map_err(|error| {
        StartError::Configuration(format!("{key}_file: {} cannot be read: {error}", file.display()))
    })?;
    Ok(SecretString::from(text.strip_suffix('\n').unwrap_or(&text)))
}

/// Everything that a process needs to serve or to administer.
pub(crate) struct Opened {
    pub(crate) service: Service<Database>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) mailbox: PathBuf,
    pub(crate) database: String,
    pub(crate) master_key: String,
    pub(crate) is_new: bool,
    _folder: DataFolder,
}

/// Opens folder, database and keys. An SQLite file is opened by one process at a time, whatever it wants
/// with it. `public_url` is known once the port is.
pub(crate) async fn open(
    settings: &Settings,
    checked: &Checked,
    public_url: String,
) -> Result<Opened, StartError> {
    let location = location(settings)?;
    let is_file = matches!(location, DatabaseLocation::File(_));
    let folder = DataFolder::open(&settings.data.folder, is_file)?;
    let mailbox = mailbox(settings, &folder)?;
    prepare_schema(settings, &location)?;
    let store = Database::open(&location, &database_settings(settings))?;

    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
    let has_keys = Service::has_keys(&store).await?;
    let master = master_key(settings, &folder, has_keys, &*entropy)?;
    let keys = Service::open_keys(&store, &master, &*clock, &*entropy).await?;

    let internal = |error: &dyn std::error::Error| StartError::Internal(error.to_string());
    let parts = ServiceParts {
        store,
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        keys,
        hasher: PasswordHasher::new(Engine::default(), checked.hash_cost)
            .map_err(|error| internal(&error))?,
        pool: HashPool::new(checked.hash_threads, checked.hash_queue).map_err(|error| internal(&error))?,
        settings: checked.service_settings(settings, public_url),
    };
    Ok(Opened {
        service: Service::new(parts),
        clock,
        entropy,
        mailbox,
        database: format!("{location:?}"),
        master_key: master.fingerprint(),
        is_new: !has_keys,
        _folder: folder,
    })
}

pub(crate) fn database_settings(settings: &Settings) -> DatabaseSettings {
    DatabaseSettings {
        connections: settings.database.connections,
        wait: Duration::from_millis(settings.database.wait_ms),
        durable: settings.database.durable,
    }
}

/// Makes an SQLite file private before SQLite sees it: its log and index files take the same mode.
pub(crate) fn prepare_file(location: &DatabaseLocation) -> Result<(), StartError> {
    if let DatabaseLocation::File(path) = location {
        private_file(path, OpenOptions::new().write(true).create(true))?;
    }
    Ok(())
}

fn prepare_schema(settings: &Settings, location: &DatabaseLocation) -> Result<(), StartError> {
    if settings.database.migrate == "auto" {
        prepare_file(location)?;
        Database::migrate(location)?;
        return Ok(());
    }
    if let DatabaseLocation::File(path) = location
        && !path.exists()
    {
        return Err(StartError::Unavailable(format!(
            "{} does not exist: run latchkey migrate",
            path.display()
        )));
    }
    let pending = Database::pending_migrations(location)?;
    if pending.is_empty() {
        return Ok(());
    }
    Err(StartError::Unavailable(format!("{} migrations are pending: run latchkey migrate", pending.len())))
}

/// Opens the folder for the one command that changes the schema.
pub(crate) fn migrate(settings: &Settings) -> Result<(usize, String), StartError> {
    let location = location(settings)?;
    let is_file = matches!(location, DatabaseLocation::File(_));
    let _folder = DataFolder::open(&settings.data.folder, is_file)?;
    prepare_file(&location)?;
    Ok((Database::migrate(&location)?, format!("{location:?}")))
}

fn mailbox(settings: &Settings, folder: &DataFolder) -> Result<PathBuf, StartError> {
    let path = if settings.mail.folder.as_os_str().is_empty() {
        folder.path.join("mailbox")
    } else {
        settings.mail.folder.clone()
    };
    if !path.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|error| {
            StartError::CannotWrite(format!("{} cannot be made: {error}", path.display()))
        })?;
    }
    refuse_open_mode(&path)?;
    Ok(path)
}

/// The master key: from the settings, else from its file, which is made only beside a database that holds
/// no keys yet.
fn master_key(
    settings: &Settings,
    folder: &DataFolder,
    has_keys: bool,
    entropy: &dyn Entropy,
) -> Result<MasterKey, StartError> {
    let malformed =
        |from: &str| StartError::Configuration(format!("{from} does not hold 64 hexadecimal digits"));
    let given = settings.keys.master_key.expose_secret();
    let named = &settings.keys.master_key_file;
    if !given.is_empty() && !named.as_os_str().is_empty() {
        return Err(StartError::Configuration(
            "keys.master_key and keys.master_key_file are both set: remove one".to_owned(),
        ));
    }
    if !given.is_empty() {
        return MasterKey::from_hex(given).map_err(|_| malformed("keys.master_key"));
    }
    let path = if named.as_os_str().is_empty() { folder.path.join("master.key") } else { named.clone() };
    if path.exists() {
        refuse_open_mode(&path)?;
        let text = fs::read_to_string(&path).map_err(|error| {
            StartError::Permissions(format!("{} cannot be read: {error}", path.display()))
        })?;
        return MasterKey::from_hex(text.trim_end()).map_err(|_| malformed(&path.display().to_string()));
    }
    if has_keys {
        return Err(StartError::Configuration(format!(
            "{} is missing, and the database was sealed with it: put it back; nothing was changed",
            path.display()
        )));
    }
    let master = MasterKey::generate(entropy).map_err(|error| StartError::Internal(error.to_string()))?;
    write_key(&path, &master)?;
    Ok(master)
}

/// Writes the key under another name first: a file of its name always holds a whole key.
fn write_key(path: &Path, master: &MasterKey) -> Result<(), StartError> {
    let failed = |error: std::io::Error| {
        StartError::CannotWrite(format!("{} cannot be written: {error}", path.display()))
    };
    let unfinished = path.with_extension("part");
    let mut file = private_file(&unfinished, OpenOptions::new().write(true).create(true).truncate(true))?;
    file.write_all(format!("{}\n", *master.to_hex()).as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)?;
    if let Some(folder) = path.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(())
}
