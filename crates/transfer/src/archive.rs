//! The archive: everything of one application as JSON lines, with a header and a final count.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::lines::{Lines, Numbered, WrongLine, parsed};
use crate::record::{Record, Secrets};

/// The name of the format.
pub const FORMAT: &str = "latchkey";
/// The version that is written, and the newest that is read.
pub const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Frame {
    Archive(Head),
    End(End),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Head {
    format: String,
    version: u32,
    secrets: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct End {
    records: u64,
}

/// Writes an archive.
pub struct ArchiveWriter<W> {
    to: W,
    records: u64,
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive.
    ///
    /// # Errors
    /// The writer's errors.
    pub fn new(to: W, secrets: Secrets) -> io::Result<Self> {
        let head = Head { format: FORMAT.to_owned(), version: VERSION, secrets: secrets == Secrets::Sealed };
        let mut writer = Self { to, records: 0 };
        writer.line(&Frame::Archive(head))?;
        Ok(writer)
    }

    /// Adds a record.
    ///
    /// # Errors
    /// The writer's errors.
    pub fn add(&mut self, record: &Record) -> io::Result<()> {
        self.records += 1;
        self.line(record)
    }

    /// Ends the archive: without this, it counts as cut off.
    ///
    /// # Errors
    /// The writer's errors.
    pub fn end(mut self) -> io::Result<W> {
        let records = self.records;
        self.line(&Frame::End(End { records }))?;
        self.to.flush()?;
        Ok(self.to)
    }

    /// The output so far, for callers that stream it.
    pub fn inner(&mut self) -> &mut W {
        &mut self.to
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.to, value)?;
        self.to.write_all(b"\n")
    }
}

/// Reads an archive, one record at a time.
pub struct ArchiveReader<R> {
    lines: Lines<R>,
    secrets: Secrets,
    records: u64,
    is_over: bool,
}

impl<R: BufRead> ArchiveReader<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// [`WrongLine`] if it is not an archive, or has a newer version.
    pub fn new(from: R) -> Result<Self, WrongLine> {
        let mut lines = Lines::new(from);
        let first = lines.next().transpose()?.ok_or_else(|| WrongLine::new(1, "the file is empty"))?;
        let head = match serde_json::from_str(&first.record) {
            Ok(Frame::Archive(head)) if head.format == FORMAT => head,
            _ => return Err(WrongLine::new(first.line, "this is no archive of Latchkey")),
        };
        if head.version > VERSION {
            let reason = format!("the archive is of version {}, and this is version {VERSION}", head.version);
            return Err(WrongLine::new(first.line, reason));
        }
        let secrets = if head.secrets { Secrets::Sealed } else { Secrets::Absent };
        Ok(Self { lines, secrets, records: 0, is_over: false })
    }

    /// Whether it holds what is sealed to a passphrase.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        self.secrets
    }

    fn read(&mut self) -> Result<Option<Numbered<Record>>, WrongLine> {
        let Some(Numbered { line, size, record: text }) = self.lines.next().transpose()? else {
            return Err(WrongLine::new(
                self.lines.number(),
                "the archive is cut off: its last line is missing",
            ));
        };
        if let Ok(Frame::End(end)) = serde_json::from_str(&text) {
            if end.records != self.records {
                let reason =
                    format!("the archive had {} records, and {} are here", end.records, self.records);
                return Err(WrongLine::new(line, reason));
            }
            if let Some(more) = self.lines.next() {
                return Err(WrongLine::new(
                    more.map_or(line, |more| more.line),
                    "there is more after the end",
                ));
            }
            return Ok(None);
        }
        let record = parsed(&text).map_err(|reason| WrongLine::new(line, reason))?;
        self.records += 1;
        Ok(Some(Numbered { line, size, record }))
    }
}

impl<R: BufRead> Iterator for ArchiveReader<R> {
    type Item = Result<Numbered<Record>, WrongLine>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let read = self.read().transpose();
        self.is_over = !matches!(read, Some(Ok(_)));
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UserRecord;

    fn written(handles: &[&str]) -> Vec<u8> {
        let mut writer = ArchiveWriter::new(Vec::new(), Secrets::Absent).unwrap();
        for handle in handles {
            let user = UserRecord { handle: (*handle).to_owned(), ..UserRecord::default() };
            writer.add(&Record::User(user)).unwrap();
        }
        writer.end().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<String>, WrongLine> {
        ArchiveReader::new(bytes)?
            .map(|record| match record?.record {
                Record::User(user) => Ok(user.handle),
                other => Ok(other.kind().to_owned()),
            })
            .collect()
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(read(&written(&["a", "b"])).unwrap(), ["a", "b"]);
        assert_eq!(written(&["a"]), written(&["a"]));
    }

    #[test]
    fn what_is_cut_off_changed_or_something_else_names_its_line() {
        let whole = String::from_utf8(written(&["a", "b"])).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        let wrong = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
        assert!(wrong("").contains("empty"));
        assert_eq!(wrong("PK\u{3}\u{4}"), "line 1: this is no archive of Latchkey");
        assert_eq!(wrong(&lines[1..].join("\n")), "line 1: this is no archive of Latchkey");
        assert_eq!(wrong(&lines[..3].join("\n")), "line 4: the archive is cut off: its last line is missing");
        assert!(
            wrong(&whole.replacen("\n{\"user\":{\"handle\":\"b\"}}", "", 1))
                .starts_with("line 3: the archive had 2")
        );
        assert!(wrong(&format!("{whole}{whole}")).contains("more after the end"));
        assert!(
            wrong(&whole.replace("\"handle\":\"b\"", "\"handle\":\"b\",\"owner\":1"))
                .starts_with("line 3: unknown field")
        );
        assert!(wrong(&whole.replace("\"version\":1", "\"version\":2")).contains("version 2"));
        assert!(wrong(&whole[..whole.len() - 20]).starts_with("line 4"));
    }
}
