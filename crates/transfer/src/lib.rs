//! What moves into and out of the Latchkey authentication server, as text: its archive (JSON lines) and lists of users (CSV,
//! JSON lines). No database, no HTTP: text in, records out, one at a time, with memory for one line.
//!
//! ```
//! use latchkey_transfer::{ArchiveReader, Record};
//!
//! let text = concat!(
//!     r#"{"archive":{"format":"latchkey","version":1,"secrets":false}}"#, "\n",
//!     r#"{"user":{"handle":"ana@example.com","status":"active"}}"#, "\n",
//!     r#"{"end":{"records":1}}"#, "\n",
//! );
//! let mut handles = Vec::new();
//! for record in ArchiveReader::new(text.as_bytes())? {
//!     if let Record::User(user) = record?.record {
//!         handles.push(user.handle);
//!     }
//! }
//! assert_eq!(handles, ["ana@example.com"]);
//! # Ok::<(), latchkey_transfer::WrongLine>(())
//! ```

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
pub use users::{COLUMNS, CsvUsers, JsonUsers, UserLine, csv_cell, write_users_csv};
