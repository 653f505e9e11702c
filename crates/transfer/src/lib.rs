//! File formats of imports and exports.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod archive;
pub mod cosync;
mod lines;
mod record;
mod users;

pub use archive::{ArchiveReader, ArchiveWriter, FORMAT, VERSION};
pub use lines::{LONGEST_LINE, Lines, Numbered, WrongLine};
pub use record::{
    AppRecord, DigestOver, InviteRecord, KeyRecord, Record, Secrets, SignupRecord, TemplateRecord, UserRecord,
};
pub use users::{COLUMNS, CsvUsers, JsonUsers, UserLine, csv_cell, csv_row, write_users_csv};
