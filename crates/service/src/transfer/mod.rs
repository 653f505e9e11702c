//! Imports and exports: domain values as records, and back. Reading and writing the records' text is
//! `latchkey-transfer`'s.

pub(crate) mod bounds;
pub(crate) mod cosync;
pub(crate) mod cosync_settings;
pub(crate) mod duplicates;
pub(crate) mod export;
pub(crate) mod from_record;
pub(crate) mod import;
pub(crate) mod secret_form;
pub(crate) mod to_record;
pub(crate) mod user_import;
pub(crate) mod zip_import;

pub use bounds::{MOST_BYTES_AT_ONCE, MOST_HEAD_BYTES};
pub use cosync::{CosyncReader, Mapped};
pub use duplicates::Seen;
pub use export::Export;
pub use from_record::opened;
pub use import::{BatchOutcome, ImportManifest, ImportStart, RecordOutcome};
pub use zip_import::{FromZip, ZipSource};
