//! The database of a Cosync JWT server, as its owners dump it: a folder of `mongodump` (BSON) or `mongoexport` (JSON
//! lines), or the zip file of its export. What the documents mean is for whoever takes them in.

mod bson;
mod document;
mod dump;
mod zipped;

pub use document::Document;
pub use dump::{Collection, Documents, Dump};
pub use zipped::{Export, ZipBytes, file_name};
