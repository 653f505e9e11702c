//! Imports and exports: domain values as records, and back. Reading and writing the records' text is
//! `latchkey-transfer`'s.

pub(crate) mod bounds;
pub(crate) mod cosync;
pub(crate) mod cosync_settings;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod records;
pub(crate) mod secret_form;
pub(crate) mod seen;
pub(crate) mod user_import;
pub(crate) mod values;
pub(crate) mod zip_import;

pub use bounds::{MOST_BYTES_AT_ONCE, MOST_HEAD_BYTES};
pub use cosync::{CosyncReader, Mapped};
pub use export::Export;
pub use import::{Begun, ImportHead, Taken, TakenIn};
pub use seen::Seen;
pub use values::opened;
pub use zip_import::{FromZip, ZipSource};
