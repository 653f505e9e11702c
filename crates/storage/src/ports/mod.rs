//! The ports of storage: what the use cases need of a database, in their own words. No SQL, no tables.
//!
//! # Errors
//! Every method fails with a [`StorageError`](crate::StorageError) when the database does.

mod app;
mod audit;
mod code;
mod email_template;
mod factor;
mod import;
mod invite;
mod listing;
mod operator_token;
mod outbox;
mod portal;
mod quota;
mod sealed;
mod server_key;
mod signup;
mod store;
mod upkeep;
mod user;

pub use app::{AppReader, AppRepository};
pub use audit::{AuditReader, AuditRepository, AuditStart};
pub use code::{CodeReader, CodeRepository};
pub use email_template::{EmailTemplateReader, EmailTemplateRepository};
pub use factor::FactorRepository;
pub use import::{ImportRepository, RowOutcome};
pub use invite::{InviteReader, InviteRepository};
pub use listing::{Listing, PageStart, Position, Scan, ScanBounds};
pub use operator_token::{OperatorTokenReader, OperatorTokenRepository};
pub use outbox::{OutboxReader, OutboxRepository};
pub use portal::{PortalReader, PortalRepository};
pub use quota::{QuotaKey, QuotaRepository};
pub use sealed::{SealedCell, SealedColumn, SealedReader, SealedRepository};
pub use server_key::{ServerKeyReader, ServerKeyRepository};
pub use signup::{SignupReader, SignupRepository};
pub use store::{Answer, Engine, ReadUnit, Readers, Repositories, Store, WriteUnit};
pub use upkeep::{Expired, UpkeepRepository};
pub use user::{UserReader, UserRepository};
