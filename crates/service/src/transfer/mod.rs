//! What moves into and out of the server: domain values as records, and back. Reading and writing the records' text is
//! `latchkey-transfer`'s.

mod arrivals;
mod bounds;
mod cosync;
mod cosync_settings;
mod departures;
mod records;
mod secret_form;
mod seen;
mod user_import;
mod values;
mod zip_import;

pub use arrivals::{Begun, ImportHead, Taken, TakenIn};
pub use bounds::{MOST_BYTES_AT_ONCE, MOST_HEAD_BYTES};
pub use cosync::{CosyncReader, Mapped};
pub use departures::Export;
pub use seen::Seen;
pub use values::opened;
pub use zip_import::{FromZip, ZipSource};
