//! Text line by line, with memory for one line, whatever the file is.

use std::io::{BufRead, ErrorKind, Read as _};

use serde::de::DeserializeOwned;

/// The longest line that is taken, in bytes: far more than the longest record.
pub const LONGEST_LINE: u64 = 1024 * 1024;

/// A problem in a file, with its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct WrongLine {
    /// The line, from 1 on.
    pub line: u64,
    /// The problem.
    pub reason: String,
}

impl WrongLine {
    /// A problem with a line.
    pub fn new(line: u64, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}

/// A value from the JSON of one line.
///
/// # Errors
/// The parser's message, with the member that it is about, and without its own line number.
pub(crate) fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let told = |error: &serde_json::Error| error.to_string().replace(" at line 1 column ", ", column ");
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (member, reason) = (error.path().to_string(), told(error.inner()));
        let is_named = reason.starts_with("unknown field") || matches!(member.as_str(), "." | "?");
        if is_named { reason } else { format!("{member}: {reason}") }
    })?;
    json.end().map_err(|error| told(&error))?;
    Ok(value)
}

/// A value with the line that it is in.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbered<T> {
    /// The line, from 1 on.
    pub line: u64,
    /// How long it is, in bytes.
    pub size: usize,
    /// The value.
    pub record: T,
}

/// The lines of a text that are not blank.
pub struct Lines<R> {
    from: R,
    line: u64,
    is_over: bool,
}

impl<R: BufRead> Lines<R> {
    /// The lines of this text.
    pub fn new(from: R) -> Self {
        Self { from, line: 0, is_over: false }
    }

    /// The number of the line that was read last.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.line
    }

    fn read(&mut self) -> Result<Option<String>, WrongLine> {
        loop {
            self.line += 1;
            let mut bytes = Vec::new();
            let most = LONGEST_LINE + 1;
            let read = self.from.by_ref().take(most).read_until(b'\n', &mut bytes);
            let length = read.map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => WrongLine::new(self.line, "the file is cut off"),
                _ => WrongLine::new(self.line, error.to_string()),
            })?;
            if length == 0 {
                return Ok(None);
            }
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            } else if u64::try_from(length).unwrap_or(u64::MAX) >= most {
                return Err(WrongLine::new(self.line, format!("longer than {LONGEST_LINE} bytes")));
            }
            if bytes.contains(&0) {
                return Err(WrongLine::new(self.line, "it holds a NUL: this is no text"));
            }
            let text = String::from_utf8(bytes).map_err(|_| WrongLine::new(self.line, "it is not UTF-8"))?;
            let text = if self.line == 1 { text.trim_start_matches('\u{feff}').to_owned() } else { text };
            if !text.trim().is_empty() {
                return Ok(Some(text));
            }
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Numbered<String>, WrongLine>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        match self.read() {
            Ok(Some(record)) => Some(Ok(Numbered { line: self.line, size: record.len(), record })),
            Ok(None) => {
                self.is_over = true;
                None
            }
            Err(wrong) => {
                self.is_over = true;
                Some(Err(wrong))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_bounded() {
        let lines = |bytes: &[u8]| Lines::new(bytes).collect::<Result<Vec<_>, _>>();
        let found = lines(b"\xef\xbb\xbfa\n\n  \nb").unwrap();
        let found: Vec<_> = found.iter().map(|line| (line.line, line.record.as_str())).collect();
        assert_eq!(found, [(1, "a"), (4, "b")]);
        let wrong = |bytes: &[u8]| lines(bytes).unwrap_err().to_string();
        assert_eq!(wrong(b"a\n\xff\n"), "line 2: it is not UTF-8");
        assert_eq!(wrong(b"a\nb\0\n"), "line 2: it holds a NUL: this is no text");
        assert!(wrong(&vec![b'a'; 2_000_000]).starts_with("line 1: longer than"));
        // Ten gigabytes of nothing end where the first line does.
        let zeros = std::io::BufReader::new(std::io::repeat(0).take(10_000_000_000));
        assert!(Lines::new(zeros).next().unwrap().is_err());
    }
}
