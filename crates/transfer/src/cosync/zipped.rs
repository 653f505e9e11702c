//! The export of a Cosync JWT server: a zip file with five CSV files. It is never unpacked to disk; each file is read
//! where it lies, within bounds.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::document::Document;
use super::dump::{Collection, Documents};
use crate::lines::{Numbered, WrongLine};
use crate::users::{bounded_rows, next_row};

/// The most entries that a zip file may have: five are known.
const MOST_ENTRIES: usize = 16;
/// The most bytes of the list of entries: each has 46, a name, and perhaps a comment and more.
const MOST_LIST_BYTES: u64 = 64 * 1024;
/// The most bytes that all of them may unpack to.
const MOST_UNPACKED: u64 = 512 * 1024 * 1024;

/// Where a zip file is.
#[derive(Debug, Clone)]
pub enum ZipBytes {
    /// In a file.
    File(PathBuf),
    /// In memory.
    Memory(SharedBytes),
}

/// Bytes that are shared, and never copied.
#[derive(Debug, Clone)]
pub struct SharedBytes(Arc<Vec<u8>>);

impl From<Vec<u8>> for SharedBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

impl ZipBytes {
    fn open(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(match self {
            Self::File(path) => Box::new(File::open(path)?),
            Self::Memory(bytes) => Box::new(Cursor::new(bytes.clone())),
        })
    }
}

/// One of the five files, where it lies.
#[derive(Debug, Clone, Copy)]
struct Entry {
    collection: Collection,
    start: u64,
    packed: u64,
    is_deflated: bool,
}

/// A validated export: it has the known entries, with the announced sizes.
#[derive(Debug, Clone)]
pub struct Export {
    bytes: ZipBytes,
    entries: Vec<Entry>,
}

/// The file of a collection.
#[must_use]
pub fn file_name(collection: Collection) -> &'static str {
    match collection {
        Collection::Apps => "app-collection.csv",
        Collection::EmailTemplates => "email-template-collection.csv",
        Collection::Users => "user-collection.csv",
        Collection::Signups => "signup-collection.csv",
        Collection::Invites => "invite-collection.csv",
    }
}

impl Export {
    /// Validates a zip file: it contains exactly the five files, none larger than announced, with valid checksums.
    ///
    /// # Errors
    /// The problem, with the entry's name.
    pub fn open(bytes: ZipBytes) -> Result<Self, String> {
        Self::open_within(bytes, MOST_UNPACKED)
    }

    fn open_within(bytes: ZipBytes, most_unpacked: u64) -> Result<Self, String> {
        let no_zip = |error: &dyn std::fmt::Display| format!("this is no zip file: {error}");
        let mut reader = bytes.open().map_err(|error| error.to_string())?;
        look_at_end(&mut reader)?;
        let mut archive = zip::ZipArchive::new(BufReader::new(reader)).map_err(|error| no_zip(&error))?;
        let (mut entries, mut unpacked): (Vec<Entry>, u64) = (Vec::new(), 0);
        for index in 0..archive.len() {
            let mut file = archive.by_index(index).map_err(|error| no_zip(&error))?;
            let name = String::from_utf8_lossy(file.name_raw()).into_owned();
            let known = Collection::ALL.into_iter().find(|collection| file_name(*collection) == name);
            let Some(collection) = known.filter(|_| file.is_file() && !file.is_symlink()) else {
                return Err(format!("{name:?} has no place in an export"));
            };
            if entries.iter().any(|entry| entry.collection == collection) {
                return Err(format!("duplicate {name}"));
            }
            let is_deflated = match file.compression() {
                zip::CompressionMethod::Stored => false,
                zip::CompressionMethod::Deflated => true,
                _ => return Err(format!("{name} is packed in a way that is not known")),
            };
            // Read to its end once: what it unpacks to is counted, not believed, and its check sum compared.
            let rest = most_unpacked.saturating_sub(unpacked);
            let size = io::copy(&mut (&mut file).take(rest + 1), &mut io::sink());
            let size = size.map_err(|error| format!("{name} cannot be unpacked: {error}"))?;
            if size > rest {
                return Err(format!("{name}: the export unpacks to more than {most_unpacked} bytes"));
            }
            unpacked += size;
            let start = file.data_start().ok_or_else(|| format!("{name} lies nowhere"))?;
            entries.push(Entry { collection, start, packed: file.compressed_size(), is_deflated });
        }
        for collection in Collection::ALL {
            if entries.iter().all(|entry| entry.collection != collection) {
                return Err(format!("{} is missing", file_name(collection)));
            }
        }
        Ok(Self { bytes, entries })
    }

    /// The rows of one of the files, as documents. An object that the old server lost is nothing; lists have commas.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn documents(&self, collection: Collection) -> Result<Documents, String> {
        let found = self.entries.iter().find(|entry| entry.collection == collection);
        let entry = found.ok_or_else(|| format!("{} is missing", file_name(collection)))?;
        let mut reader = self.bytes.open().map_err(|error| error.to_string())?;
        reader.seek(SeekFrom::Start(entry.start)).map_err(|error| error.to_string())?;
        let packed = BufReader::new(reader.take(entry.packed));
        let plain: Box<dyn Read + Send> = if entry.is_deflated {
            Box::new(flate2::bufread::DeflateDecoder::new(packed))
        } else {
            Box::new(packed)
        };
        let mut rows = bounded_rows(plain);
        let header = rows.headers().map_err(|error| error.to_string())?.clone();
        let names: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        let mut is_over = false;
        Ok(Box::new(std::iter::from_fn(move || {
            if is_over {
                return None;
            }
            let mut row = csv::StringRecord::new();
            match next_row(&mut rows, &mut row) {
                Ok(false) => None,
                Ok(true) => {
                    let line = row.position().map_or(0, csv::Position::line);
                    let mut members = Map::new();
                    for (name, cell) in names.iter().zip(&row) {
                        // The old server writes one column twice: both hold the same.
                        if !members.contains_key(name) {
                            members.insert(name.clone(), value_of(name, cell));
                        }
                    }
                    Some(Ok(Numbered { line, size: row.as_slice().len(), record: Document::new(members) }))
                }
                Err(error) => {
                    is_over = true;
                    let line = error.position().map_or(1, csv::Position::line);
                    Some(Err(WrongLine::new(line, error.to_string())))
                }
            }
        })))
    }
}

/// The columns that hold objects, or lists of them.
const OBJECTS: [&str; 3] = ["metaData", "metaDataInvite", "appData"];

/// A cell: nothing, JSON where one of ours wrote an object, or text. What guards it from spreadsheets is taken away.
fn value_of(name: &str, cell: &str) -> Value {
    let cell = crate::users::unguarded(cell);
    let is_object = OBJECTS.contains(&name);
    if cell.is_empty() || is_object && (cell == "[object Object]" || cell.starts_with("[object Object],")) {
        return Value::Null;
    }
    if is_object
        && (cell.starts_with('{') || cell.starts_with('['))
        && let Ok(value) = serde_json::from_str(cell)
    {
        return value;
    }
    cell.into()
}

/// Refuses a zip file with many entries before memory is allocated for them. The end record must be the last thing in
/// the file and give the position of the list of entries, which ends where the record starts (APPNOTE 4.3.16).
/// Otherwise readers would look for other records.
fn look_at_end(reader: &mut (impl Read + Seek + ?Sized)) -> Result<(), String> {
    let failed = |error: io::Error| format!("this is no zip file: {error}");
    let length = reader.seek(SeekFrom::End(0)).map_err(failed)?;
    let start = length.checked_sub(22).ok_or("this is no zip file, or it is cut off")?;
    reader.seek(SeekFrom::Start(start)).map_err(failed)?;
    let mut end = [0; 22];
    reader.read_exact(&mut end).map_err(failed)?;
    let mut signature_at = |offset: u64| -> Result<[u8; 4], String> {
        let mut signature = [0; 4];
        reader.seek(SeekFrom::Start(offset)).map_err(failed)?;
        reader.read_exact(&mut signature).map_err(failed)?;
        Ok(signature)
    };
    let [b'P', b'K', 5, 6, 0, 0, 0, 0, there, there_high, all, all_high, rest @ ..] = end else {
        return Err("this is no zip file, or it is cut off, or something follows it".to_owned());
    };
    let [size @ .., _, _, _, _, 0, 0] = rest else {
        return Err("the zip file has a comment".to_owned());
    };
    let [_, _, _, _, offset @ .., _, _] = rest;
    let (size, offset) = (u64::from(u32::from_le_bytes(size)), u64::from(u32::from_le_bytes(offset)));
    let number = u16::from_le_bytes([all, all_high]);
    if usize::from(number) > MOST_ENTRIES || [there, there_high] != [all, all_high] || size > MOST_LIST_BYTES
    {
        return Err(format!("the zip file has more than {MOST_ENTRIES} entries"));
    }
    // All ones would refer to a larger form of the record (APPNOTE 4.4.1.4).
    let is_filled = number > 0 && size >= 46 * u64::from(number);
    if !is_filled
        || offset + size != start
        || offset == u64::from(u32::MAX)
        || signature_at(offset)? != *b"PK\x01\x02"
    {
        return Err("the zip file's list of entries is not where it says".to_owned());
    }
    reader.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            let method = if bytes.len() > 1_000 {
                zip::CompressionMethod::Deflated
            } else {
                zip::CompressionMethod::Stored
            };
            writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn whole() -> Vec<(&'static str, &'static [u8])> {
        let mut files: Vec<(&str, &[u8])> = Collection::ALL
            .into_iter()
            .map(|collection| (file_name(collection), b"appId\n".as_slice()))
            .collect();
        files[2].1 = b"appId,handle,metaData,phone,locales,htmlTemplate,htmlTemplate\n\
            x,ana@example.com,[object Object],'+49151,\"EN,FR\",a,a\nx,bob@example.com,\"{\"\"a\"\":1}\",,,b,b\n";
        files
    }

    fn open(bytes: Vec<u8>) -> Result<Export, String> {
        Export::open(ZipBytes::Memory(bytes.into()))
    }

    #[test]
    fn rows_are_documents() {
        let export = open(packed(&whole())).unwrap();
        let users: Vec<_> = export.documents(Collection::Users).unwrap().map(|user| user.unwrap()).collect();
        let [ana, bob] = users.as_slice() else { panic!("{users:?}") };
        assert_eq!((ana.line, bob.line), (2, 3));
        assert_eq!(ana.record.object("metaData", &mut Vec::new()).unwrap().len(), 0);
        assert_eq!(ana.record.text("phone").unwrap().unwrap(), "+49151");
        assert_eq!(ana.record.texts("locales").unwrap(), ["EN", "FR"]);
        assert_eq!(bob.record.object("metaData", &mut Vec::new()).unwrap()["a"], 1);
    }

    #[test]
    fn sec_111_what_is_no_export_is_refused_with_its_entry() {
        let wrong = |bytes: Vec<u8>| open(bytes).unwrap_err();
        let with = |name: &'static str| {
            let mut files = whole();
            files.push((name, b"x"));
            wrong(packed(&files))
        };
        assert!(wrong(b"no zip at all".to_vec()).contains("no zip file"));
        assert!(wrong(Vec::new()).contains("no zip file"));
        let good = packed(&whole());
        assert!(wrong(good[..good.len() / 2].to_vec()).contains("no zip file"));
        for name in
            ["../../etc/passwd", "/etc/passwd", "notes.txt", "sub/app-collection.csv", "app-collection.csv/"]
        {
            assert!(with(name).contains("has no place"), "{name}");
        }
        assert_eq!(wrong(packed(&whole()[1..])), "app-collection.csv is missing");
        let many: Vec<String> = (0..300).map(|number| format!("f{number}")).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
        assert!(wrong(packed(&many)).contains("more than 16 entries"));
        let end = good.len() - 22;
        for (what, other) in [
            // The list of entries elsewhere, where readers would find another end record or a larger form of one.
            ("not where it says", [&good[..end + 16], [255; 4].as_slice(), &good[end + 20..]].concat()),
            ("not where it says", [good.as_slice(), &good[end..]].concat()),
            // Records that readers skip: with an empty list, and an invalid one.
            ("not where it says", record_behind(&good, 1, b"")),
            ("not where it says", record_behind(&good, 1, &[b'x'; 46])),
            ("something follows", [good.as_slice(), b"x"].concat()),
            ("more than 16", [&good[..end + 8], [5, 0, 6, 0].as_slice(), &good[end + 12..]].concat()),
            ("more than 16", [&good[..end + 12], [0, 0, 2, 0].as_slice(), &good[end + 16..]].concat()),
        ] {
            assert!(wrong(other).contains(what), "{what}");
        }
        let mut broken = good.clone();
        let at = broken.windows(3).position(|window| window == b"ana").unwrap();
        broken[at] ^= 1;
        assert!(wrong(broken).contains("user-collection.csv cannot be unpacked"));
        let mut link = zip::ZipWriter::new(Cursor::new(Vec::new()));
        link.add_symlink("app-collection.csv", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        assert!(wrong(link.finish().unwrap().into_inner()).contains("has no place"));
    }

    /// Another end record behind a file, with a list of its own.
    fn record_behind(file: &[u8], number: u8, list: &[u8]) -> Vec<u8> {
        let (size, offset) = (u32::try_from(list.len()).unwrap(), u32::try_from(file.len()).unwrap());
        let mut bytes = [file, list, b"PK\x05\x06\0\0\0\0", &[number, 0, number, 0]].concat();
        bytes.extend(size.to_le_bytes().iter().chain(&offset.to_le_bytes()).chain(&[0, 0]));
        bytes
    }

    #[test]
    fn sec_111_a_bomb_is_not_unpacked() {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("app-collection.csv", SimpleFileOptions::default()).unwrap();
        let zeros = vec![b'0'; 1024 * 1024];
        for _ in 0..20 {
            writer.write_all(&zeros).unwrap();
        }
        let bytes = writer.finish().unwrap().into_inner();
        assert!(bytes.len() < 100 * 1024);
        let opened = Export::open_within(ZipBytes::Memory(bytes.into()), 10 * 1024 * 1024);
        assert!(opened.unwrap_err().contains("unpacks to more than"));
    }
}
