//! Storage ports, and one implementation of them for two databases.
#![doc = ""]
#![doc = include_str!("../README.md")]

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
    OutboxRepository, PageStart, PortalReader, PortalRepository, Position, QuotaKey, QuotaRepository,
    ReadUnit, Readers, Repositories, RowOutcome, Scan, ScanBounds, SealedCell, SealedColumn, SealedReader,
    SealedRepository, ServerKeyReader, ServerKeyRepository, SignupReader, SignupRepository, Store,
    UpkeepRepository, UserReader, UserRepository, WriteUnit,
};
pub use settings_json::{settings_from_json, settings_to_json};
