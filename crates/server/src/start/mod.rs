//! From settings to a running service: folder, lock, database, master key, keys. Whatever cannot be done is
//! one clear sentence with an exit code, and nothing is left half written.

mod external;
mod folder;
mod key_sets;
mod master_key;

use std::fs::{self, OpenOptions};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use folder::{DataFolder, make_private_folder, private_file, refuse_foreign_readers, refuse_open_mode};
pub(crate) use folder::{control_socket, is_served, refuse_foreign_writers};
use latchkey_crypto::{Engine, HashPool, KeyRing, KeyRingError, MasterKey, PasswordHasher, SystemEntropy};
use latchkey_domain::Named as _;
use latchkey_domain::{Clock, Entropy, SystemClock};
use latchkey_service::{MasterKeyReader, Service, ServiceError, ServiceParts};
use latchkey_storage::diesel::{Database, DatabaseLocation, DatabaseSettings};
use latchkey_storage::{StorageError, Store};
pub(crate) use master_key::MasterKeyStore;
use secrecy::{ExposeSecret as _, SecretString};

use crate::settings::{BAD_URL, ConfigErrors, Settings, ValidatedSettings};

/// Why the program cannot run. Exit codes are those of `sysexits.h`.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings are wrong, or belong to other data.
    #[error("{0}")]
    Configuration(String),
    /// Invalid input data.
    #[error("{0}")]
    BadInput(String),
    /// Unreadable input.
    #[error("{0}")]
    NoInput(String),
    /// A file or folder is open to others, or closed to us.
    #[error("{0}")]
    Permissions(String),
    /// The data folder cannot be written.
    #[error("{0}")]
    CannotWrite(String),
    /// A dependency is unavailable: the database, the port.
    #[error("{0}")]
    Unavailable(String),
    /// Another process uses the data folder.
    #[error("{0}")]
    InUse(String),
    /// Our own doing.
    #[error("{0}")]
    Internal(String),
}

impl StartError {
    /// A file that was named cannot be read.
    pub(crate) fn no_input(file: &Path, error: &std::io::Error) -> Self {
        Self::NoInput(format!("{} cannot be read: {error}", file.display()))
    }

    /// The exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 78,
            Self::BadInput(_) => 65,
            Self::NoInput(_) => 66,
            Self::Permissions(_) => 77,
            Self::CannotWrite(_) => 73,
            Self::Unavailable(_) | Self::InUse(_) => 69,
            Self::Internal(_) => 1,
        }
    }
}

impl From<ConfigErrors> for StartError {
    fn from(mistakes: ConfigErrors) -> Self {
        Self::Configuration(mistakes.to_string())
    }
}

impl From<StorageError> for StartError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable(reason) => Self::Unavailable(format!("database unavailable: {reason}")),
            StorageError::NewerSchema(_) | StorageError::EarlierSchema(_) => {
                Self::Configuration(error.to_string())
            }
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<ServiceError> for StartError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Unavailable(reason) => Self::Unavailable(format!("database unavailable: {reason}")),
            ServiceError::Refused(refusal) => Self::Configuration(format!("refused: {}", refusal.name())),
            ServiceError::Explained(_, text) => Self::Configuration(text),
            ServiceError::KeysReplaced(_) => Self::Configuration(format!(
                "{error}: give this process the present master key, and start it again"
            )),
            ServiceError::Busy | ServiceError::TooMany { .. } | ServiceError::ProviderAway => {
                Self::Unavailable("too much work waits".to_owned())
            }
            ServiceError::Internal(cause) => match cause.downcast_ref::<KeyRingError>() {
                Some(KeyRingError::WrongMasterKey { .. }) => Self::Configuration(format!(
                    "{cause}: put the right master key back; nothing was changed"
                )),
                _ => Self::Internal(cause.to_string()),
            },
        }
    }
}

/// Where the database is, by the settings.
pub(crate) fn location(settings: &Settings) -> Result<DatabaseLocation, StartError> {
    let url = secret_or_file(&settings.database.url, &settings.database.url_file, "database.url")?;
    let url = url.expose_secret();
    if url.is_empty() {
        return Ok(DatabaseLocation::File(settings.data.folder.join("latchkey.db")));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(DatabaseLocation::Server(url.to_owned()));
    }
    Err(StartError::Configuration(BAD_URL.to_owned()))
}

fn secret_or_file(value: &SecretString, file: &Path, key: &str) -> Result<SecretString, StartError> {
    if file.as_os_str().is_empty() {
        return Ok(value.clone());
    }
    let text = fs::read_to_string(file).map_err(|error| {
        StartError::Configuration(format!("{key}_file: cannot read {}: {error}", file.display()))
    })?;
    refuse_foreign_writers(file)?;
    refuse_foreign_readers(file, key)?;
    Ok(SecretString::from(text.strip_suffix('\n').unwrap_or(&text)))
}

/// Validates the files that the settings name, without opening the database.
///
/// # Errors
/// [`StartError`] for the first one that the server would not start with.
pub(crate) fn check_files(settings: &Settings, checked: &ValidatedSettings) -> Result<(), StartError> {
    let database = location(settings)?;
    let has_data = matches!(&database, DatabaseLocation::File(path) if path.exists());
    let master_key = MasterKeyStore::of(settings, &settings.data.folder);
    // A first start makes its file.
    if has_data || master_key.file().is_none_or(Path::exists) {
        master_key.read(true, &SystemEntropy::new())?;
    }
    external::mail_sender(settings, &settings.public_url(checked.listen), Path::new("")).map(|_| ())
}

/// Everything that a process needs to serve or to administer.
pub(crate) struct Opened {
    pub(crate) service: Service,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) mailbox: PathBuf,
    pub(crate) database: String,
    pub(crate) master_key: String,
    pub(crate) is_new: bool,
    pub(crate) control: Option<UnixListener>,
    pub(crate) key_place: MasterKeyStore,
    _folder: DataFolder,
}

/// The purpose for which a process opens its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To serve, and to take commands meanwhile.
    Serve,
    /// To carry out one command.
    Command,
}

/// How long a server waits for a command that has the folder.
const PATIENCE: Duration = Duration::from_secs(3);

/// Opens folder, database and keys. An SQLite file is opened by one process at a time, whatever it wants
/// with it. `public_url` is known once the port is.
pub(crate) async fn open(
    settings: &Settings,
    checked: &ValidatedSettings,
    public_url: String,
    purpose: Purpose,
) -> Result<Opened, StartError> {
    let location = location(settings)?;
    let mut folder =
        open_folder(settings, &location, if purpose == Purpose::Serve { PATIENCE } else { Duration::ZERO })?;
    let takes_commands = purpose == Purpose::Serve && matches!(location, DatabaseLocation::File(_));
    let control = if takes_commands { Some(folder.listen_for_commands()?) } else { None };
    let mailbox = mailbox(settings, &folder)?;
    if let DatabaseLocation::File(file) = &location {
        folder.lock_database(file)?;
        prepare_schema(settings, &location)?;
        // The migration may have created the file.
        folder.lock_database(file)?;
    } else {
        prepare_schema(settings, &location)?;
    }
    let store = Database::open(&location, &database_settings(settings))?;

    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
    let has_keys = Service::has_keys(&store).await?;
    let key_place = MasterKeyStore::of(settings, folder.path());
    let (master, keys) = open_keys(&store, &key_place, has_keys, &*clock, &*entropy).await?;

    let internal = |error: &dyn std::error::Error| StartError::Internal(error.to_string());
    let parts = ServiceParts {
        store,
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        keys,
        master: master_of(&key_place, &entropy),
        hasher: PasswordHasher::new(Engine::default(), checked.hash_cost)
            .map_err(|error| internal(&error))?,
        pool: HashPool::new(checked.hash_threads, checked.hash_queue).map_err(|error| internal(&error))?,
        outside: external::external_services(settings, &public_url, &mailbox)?,
        settings: checked.service_settings(settings, public_url),
    };
    let service = Service::new(parts);
    service.look_for_old_servers().await?;
    if purpose == Purpose::Serve {
        if !service.opens_what_is_stored().await? {
            return Err(StartError::Configuration(
                "the server's keys do not open what is stored: the rows of server_keys are of another time than the rest \
                 of the database. Restore both from one backup"
                    .to_owned(),
            ));
        }
        let measuring = service.clone();
        tokio::spawn(async move {
            if let Err(error) = measuring.measure_answer_floor().await {
                tracing::warn!(%error, "the answer floor could not be measured: the setting alone holds");
            }
        });
    }
    Ok(Opened {
        service,
        clock,
        entropy,
        mailbox,
        database: format!("{location:?}"),
        master_key: master.fingerprint(),
        is_new: !has_keys,
        control,
        key_place,
        _folder: folder,
    })
}

/// Reads the master key again, from where it is now.
fn master_of(place: &MasterKeyStore, entropy: &Arc<dyn Entropy>) -> MasterKeyReader {
    let (place, entropy) = (place.clone(), Arc::clone(entropy));
    Arc::new(move || Ok(place.read(true, &*entropy)?))
}

/// Opens the server's keys, and completes an interrupted change of the master key.
async fn open_keys(
    store: &Store,
    place: &MasterKeyStore,
    has_keys: bool,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<(MasterKey, KeyRing), StartError> {
    let master = place.read(has_keys, entropy)?;
    let opened = Service::open_keys(store, &master, clock, entropy).await;
    let Some(next) = place.unfinished()? else { return Ok((master, opened?)) };
    match opened {
        Ok(keys) => {
            tracing::warn!("an interrupted change of the master key: run it again");
            Ok((master, keys))
        }
        Err(error) => match Service::open_keys(store, &next, clock, entropy).await {
            Ok(keys) => {
                place.finish()?;
                tracing::info!(master_key = %next.fingerprint(), "a change of the master key was finished");
                Ok((next, keys))
            }
            Err(_) => Err(error.into()),
        },
    }
}

/// An SQLite file belongs to one process at a time; a database server looks after itself.
fn open_folder(
    settings: &Settings,
    location: &DatabaseLocation,
    patience: Duration,
) -> Result<DataFolder, StartError> {
    match location {
        DatabaseLocation::File(_) => DataFolder::open_alone(&settings.data.folder, patience),
        DatabaseLocation::Server(_) => DataFolder::open(&settings.data.folder),
    }
}

fn database_settings(settings: &Settings) -> DatabaseSettings {
    DatabaseSettings {
        connections: settings.database.connections,
        wait: Duration::from_millis(settings.database.wait_ms),
        durable: settings.database.durable,
    }
}

/// The write-ahead log beside an SQLite file.
fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// Brings the schema up to date. A failure names the write-ahead log of another file as a possible cause.
fn migrate_schema(location: &DatabaseLocation) -> Result<(), StartError> {
    let log = match location {
        DatabaseLocation::File(path) => Some(log_of(path)).filter(|log| log.exists()),
        DatabaseLocation::Server(_) => None,
    };
    let failed = |error| match (StartError::from(error), log) {
        (StartError::Internal(text), Some(log)) => StartError::Internal(format!(
            "{text}. If the database file was put there from elsewhere, {} did not belong to it: put the file there again, \
             without a -wal file",
            log.display()
        )),
        (error, _) => error,
    };
    Database::migrate(location).map(|_| ()).map_err(failed)
}

/// Makes an SQLite file private before SQLite sees it: its log and index files take the same mode.
fn prepare_file(location: &DatabaseLocation) -> Result<(), StartError> {
    if let DatabaseLocation::File(path) = location {
        let log = log_of(path);
        if !path.exists() && fs::metadata(&log).is_ok_and(|metadata| metadata.len() > 0) {
            return Err(StartError::Configuration(format!(
                "{} is missing, but {} holds changes of it: put the database file back, or move the -wal file away to \
                 start with an empty database; nothing was changed",
                path.display(),
                log.display()
            )));
        }
        private_file(path, OpenOptions::new().write(true).create(true))?;
        // What SQLite has left beside it may hold the same.
        for suffix in ["-wal", "-shm"] {
            let mut beside = path.as_os_str().to_owned();
            beside.push(suffix);
            let beside = PathBuf::from(beside);
            if beside.exists() {
                refuse_open_mode(&beside)?;
            }
        }
    }
    Ok(())
}

fn prepare_schema(settings: &Settings, location: &DatabaseLocation) -> Result<(), StartError> {
    if settings.database.migrate == "auto" {
        prepare_file(location)?;
        return migrate_schema(location);
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
    let _folder = open_folder(settings, &location, Duration::ZERO)?;
    prepare_file(&location)?;
    Ok((Database::migrate(&location)?, format!("{location:?}")))
}

fn mailbox(settings: &Settings, folder: &DataFolder) -> Result<PathBuf, StartError> {
    let path = settings.mail_folder(folder.path());
    make_private_folder(&path)?;
    Ok(path)
}
