//! The database of a Cosync JWT server: a folder of `mongodump` (BSON) or `mongoexport` (JSON lines), or its zip
//! export. Importers interpret the documents.

mod bson;
mod document;
mod dump;
mod zipped;

pub use document::Document;
pub use dump::{Collection, Documents, Dump};
pub use zipped::{Export, ZipBytes, file_name};
