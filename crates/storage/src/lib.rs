//! Storage for Latchkey, a self-hosted JWT authentication server: the ports that its use cases need, and,
//! behind the features `sqlite` and `postgres`, one implementation of them over both databases.
//!
//! A use case sees sync repositories inside a closure; the one asynchronous edge is [`Store`]. To add a
//! repository: a port in `ports/`, its tests in `conformance/`, its rows and queries in `diesel/`, a
//! migration for each database. A query is written once; the suite runs it on both.
//!
//! ```
//! use latchkey_domain::AppId;
//! use latchkey_storage::{StorageError, Store};
//!
//! /// The caller never learns which database it talks to.
//! async fn name_of(store: &Store, id: AppId) -> Result<Option<String>, StorageError> {
//!     store
//!         .read("name_of", move |readers| {
//!             Ok::<_, StorageError>(readers.apps().find(id)?.map(|app| app.name.as_str().to_owned()))
//!         })
//!         .await
//! }
//! ```

mod column;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "_diesel")]
pub mod diesel;
mod error;
mod ports;
mod settings_json;

pub use error::StorageError;
pub use ports::{
    Answer, AppReader, AppRepository, AuditReader, AuditRepository, AuditStart, CodeReader, CodeRepository,
    EmailTemplateReader, EmailTemplateRepository, Engine, Expired, FactorRepository, ImportRepository,
    InviteReader, InviteRepository, Listing, OperatorTokenReader, OperatorTokenRepository, OutboxReader,
    OutboxRepository, PageStart, Position, QuotaKey, QuotaRepository, ReadUnit, Readers, Repositories,
    RowOutcome, Scan, ScanBounds, SealedCell, SealedColumn, SealedReader, SealedRepository, ServerKeyReader,
    ServerKeyRepository, SignupReader, SignupRepository, Store, UpkeepRepository, UserReader, UserRepository,
    WriteUnit,
};
pub use settings_json::{settings_from_json, settings_to_json};
