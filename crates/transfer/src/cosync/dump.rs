//! A folder with one file a collection: `users.bson` as `mongodump` writes it, or `users.json` as `mongoexport` does.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::bson;
use super::document::Document;
use crate::lines::{Lines, Numbered, WrongLine};

/// The collections that are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// Applications.
    Apps,
    /// Their messages.
    EmailTemplates,
    /// Their users.
    Users,
    /// Sign-up attempts.
    Signups,
    /// Invitations.
    Invites,
}

impl Collection {
    /// All of them, in the order in which they are read.
    pub const ALL: [Self; 5] = [Self::Apps, Self::EmailTemplates, Self::Users, Self::Signups, Self::Invites];

    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apps => "apps",
            Self::EmailTemplates => "emailtemplates",
            Self::Users => "users",
            Self::Signups => "signups",
            Self::Invites => "invites",
        }
    }
}

/// A dump that was found.
#[derive(Debug, Clone)]
pub struct Dump {
    folder: PathBuf,
}

/// Documents with their number in the file.
pub type Documents = Box<dyn Iterator<Item = Result<Numbered<Document>, WrongLine>> + Send>;

impl Dump {
    /// Looks for the files in a folder, or in the one folder in it, as `mongodump` makes it.
    ///
    /// # Errors
    /// The missing file.
    pub fn find(folder: &Path) -> Result<Self, String> {
        let has_apps = |folder: &Path| file_of(folder, Collection::Apps).is_some();
        if has_apps(folder) {
            return Ok(Self { folder: folder.to_owned() });
        }
        let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let inner: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| has_apps(path)).collect();
        match inner.as_slice() {
            [only] => Ok(Self { folder: only.clone() }),
            [] => Err(format!("{}: there is no apps.bson and no apps.json in it", folder.display())),
            _ => Err(format!("{}: there are several dumps in it: name one", folder.display())),
        }
    }

    /// The file of a collection, if there is one.
    #[must_use]
    pub fn file(&self, collection: Collection) -> Option<PathBuf> {
        file_of(&self.folder, collection)
    }

    /// The documents of a collection, none if it has no file. `wrap` sees the bytes on their way.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn documents(
        &self,
        collection: Collection,
        wrap: impl FnOnce(File) -> Box<dyn Read + Send>,
    ) -> Result<Documents, String> {
        let Some(path) = self.file(collection) else { return Ok(Box::new(std::iter::empty())) };
        let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut reader = BufReader::with_capacity(64 * 1024, wrap(file));
        if path.extension().is_some_and(|extension| extension == "bson") {
            let mut number = 0;
            let mut is_over = false;
            return Ok(Box::new(std::iter::from_fn(move || {
                if is_over {
                    return None;
                }
                number += 1;
                let read = bson::next(&mut reader).transpose()?;
                is_over = read.is_err();
                Some(
                    read.map(|(size, members)| Numbered {
                        line: number,
                        size,
                        record: Document::new(members),
                    })
                    .map_err(|reason| WrongLine::new(number, reason)),
                )
            })));
        }
        Ok(Box::new(Lines::new(reader).map(|line| {
            let Numbered { line, size, record } = line?;
            match serde_json::from_str(&record) {
                Ok(Value::Object(members)) => Ok(Numbered { line, size, record: Document::new(members) }),
                Ok(_) => Err(WrongLine::new(
                    line,
                    "it is no document: is this one array? export one document a line",
                )),
                Err(error) => Err(WrongLine::new(line, error.to_string())),
            }
        })))
    }
}

fn file_of(folder: &Path, collection: Collection) -> Option<PathBuf> {
    ["bson", "json", "jsonl"]
        .into_iter()
        .map(|extension| folder.join(format!("{}.{extension}", collection.name())))
        .find(|path| path.is_file())
}
