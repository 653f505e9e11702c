//! User lists for imports and exports: CSV with a header, or JSON lines.

use std::io::{self, BufRead, Read, Write};

use serde_json::{Map, Value};

use crate::lines::{Lines, Numbered, WrongLine, parsed};
use crate::record::{DigestOver, UserRecord};

/// The columns of a CSV file. Only `handle` must be there; the order is free, and no others are taken.
pub const COLUMNS: [&str; 18] = [
    "handle",
    "id",
    "userName",
    "status",
    "password",
    "passwordOver",
    "locale",
    "metaData",
    "phone",
    "verifiedPhone",
    "phoneFactor",
    "provider",
    "providerSubject",
    "administrator",
    "emailVerified",
    "createdAt",
    "updatedAt",
    "lastLoginAt",
];
/// The longest row of a CSV file, in bytes.
const LONGEST_ROW: usize = 1024 * 1024;
/// Characters with which a spreadsheet begins a formula.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\0'];

/// A user, or what is wrong with this line while the others may be good.
pub type UserLine = Numbered<Result<UserRecord, String>>;

/// Reads users from JSON lines: one object a line, in the names of [`UserRecord`].
pub struct JsonUsers<R>(Lines<R>);

impl<R: BufRead> JsonUsers<R> {
    /// The users of this text.
    pub fn new(from: R) -> Self {
        Self(Lines::new(from))
    }
}

impl<R: BufRead> Iterator for JsonUsers<R> {
    type Item = Result<UserLine, WrongLine>;

    fn next(&mut self) -> Option<Self::Item> {
        let Numbered { line, size, record } = match self.0.next()? {
            Ok(line) => line,
            Err(wrong) => return Some(Err(wrong)),
        };
        let record = match record.trim_start().starts_with('{') {
            true => parsed(&record),
            false => Err("it is no JSON object".to_owned()),
        };
        Some(Ok(Numbered { line, size, record }))
    }
}

/// Reads users from CSV (RFC 4180).
pub struct CsvUsers<R> {
    rows: csv::Reader<Bounded<R>>,
    columns: Vec<usize>,
    is_over: bool,
}

impl<R: Read> CsvUsers<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// [`WrongLine`] when the header names a column that is not known, one twice, or no `handle`.
    pub fn new(from: R) -> Result<Self, WrongLine> {
        // One character ends a line, so that lines are counted as editors do; Excel's second one is taken off.
        let mut rows = csv::ReaderBuilder::new()
            .flexible(true)
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(Bounded::new(from));
        let header = rows.headers().map_err(|error| wrong(&error))?.clone();
        let mut columns = Vec::new();
        for name in &header {
            let name = name.trim().trim_start_matches('\u{feff}');
            let column = COLUMNS.iter().position(|known| *known == name).ok_or_else(|| {
                WrongLine::new(
                    1,
                    match name.contains([';', '\t']) {
                        true => "separate the cells with commas".to_owned(),
                        false => {
                            format!("there is no column {name:?}: the columns are {}", COLUMNS.join(", "))
                        }
                    },
                )
            })?;
            if columns.contains(&column) {
                return Err(WrongLine::new(1, format!("duplicate column {name:?}")));
            }
            columns.push(column);
        }
        if !columns.contains(&0) {
            return Err(WrongLine::new(1, "the column handle is missing"));
        }
        Ok(Self { rows, columns, is_over: false })
    }

    fn user(&self, row: &csv::StringRecord) -> Result<UserRecord, String> {
        let cell = |name: &str| {
            let column = COLUMNS.iter().position(|known| *known == name)?;
            let at = self.columns.iter().position(|found| *found == column)?;
            let cell = row.get(at)?;
            let cell = if at + 1 == row.len() { cell.strip_suffix('\r').unwrap_or(cell) } else { cell };
            Some(unguarded(cell).to_owned()).filter(|cell| !cell.is_empty())
        };
        let flag = |name: &str| match cell(name).as_deref() {
            None => Ok(false),
            // Spreadsheets write them in capitals.
            Some(cell) if cell.eq_ignore_ascii_case("false") => Ok(false),
            Some(cell) if cell.eq_ignore_ascii_case("true") => Ok(true),
            Some(other) => Err(format!("{name} is true or false, not {other:?}")),
        };
        let mut object = Map::new();
        for name in ["createdAt", "updatedAt", "lastLoginAt"] {
            object.insert(name.to_owned(), cell(name).map_or(Value::Null, Value::from));
        }
        object.insert("handle".to_owned(), Value::from(""));
        let times: UserRecord =
            serde_json::from_value(Value::Object(object)).map_err(|error| error.to_string())?;
        let meta_data = match cell("metaData").map(|text| serde_json::from_str(&text)) {
            None => Map::new(),
            Some(Ok(Value::Object(values))) => values,
            Some(_) => return Err("metaData is a JSON object".to_owned()),
        };
        Ok(UserRecord {
            handle: cell("handle").ok_or("the handle is missing")?,
            id: cell("id"),
            user_name: cell("userName"),
            status: cell("status"),
            password: cell("password"),
            password_over: match cell("passwordOver").as_deref() {
                None | Some("md5") => DigestOver::Md5,
                Some("raw") => DigestOver::Raw,
                Some(other) => return Err(format!("passwordOver is md5 or raw, not {other:?}")),
            },
            locale: cell("locale"),
            meta_data,
            phone: cell("phone"),
            verified_phone: cell("verifiedPhone"),
            phone_factor: flag("phoneFactor")?,
            provider: cell("provider"),
            provider_subject: cell("providerSubject"),
            administrator: flag("administrator")?,
            email_verified: flag("emailVerified")?,
            ..times
        })
    }
}

impl<R: Read> Iterator for CsvUsers<R> {
    type Item = Result<UserLine, WrongLine>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let mut row = csv::StringRecord::new();
        loop {
            match next_row(&mut self.rows, &mut row) {
                Ok(false) => return None,
                Ok(true) => {}
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(wrong(&error)));
                }
            }
            // Excel's empty lines are skipped too.
            if row.len() == 1 && row.get(0) == Some("\r") {
                continue;
            }
            let breaks: usize = row.iter().map(|cell| cell.matches('\n').count()).sum();
            // Every row ends its line here, the last one too.
            let ended = self.rows.position().line().saturating_sub(1);
            let line = ended.saturating_sub(u64::try_from(breaks).unwrap_or(0));
            let record = match (row.len(), self.columns.len()) {
                (found, expected) if found == expected => self.user(&row),
                (found, expected) if breaks == 0 => Err(unequal(found, expected)),
                // An unclosed quote may have swallowed many users, so it is never skipped.
                (found, expected) => {
                    self.is_over = true;
                    let text =
                        format!("{} up to line {ended}: is a quote not closed?", unequal(found, expected));
                    return Some(Err(WrongLine::new(line, text)));
                }
            };
            return Some(Ok(Numbered { line, size: row.as_slice().len(), record }));
        }
    }
}

fn unequal(found: usize, expected: usize) -> String {
    format!("it has {found} cells, and the header has {expected}")
}

fn wrong(error: &csv::Error) -> WrongLine {
    let line = error.position().map_or(1, csv::Position::line);
    let reason = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            unequal(usize::try_from(*len).unwrap_or(usize::MAX), usize::try_from(*expected_len).unwrap_or(0))
        }
        _ => error.to_string(),
    };
    WrongLine::new(line, reason)
}

/// The rows of a CSV text, none of them without end.
pub(crate) fn bounded_rows<R: Read>(from: R) -> csv::Reader<Bounded<R>> {
    csv::ReaderBuilder::new().flexible(false).from_reader(Bounded::new(from))
}

/// Reads the next row.
pub(crate) fn next_row<R: Read>(
    rows: &mut csv::Reader<Bounded<R>>,
    row: &mut csv::StringRecord,
) -> csv::Result<bool> {
    let found = rows.read_record(row);
    rows.get_mut().since_row = 0;
    found
}

/// Reverses [`csv_cell`].
pub(crate) fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| is_guarded(rest)).unwrap_or(cell)
}

/// A reader that ends with an error if a row does not end: an unclosed quote, or a file that is not text.
pub(crate) struct Bounded<R> {
    from: R,
    since_row: usize,
    is_first: bool,
    last: u8,
}

impl<R> Bounded<R> {
    fn new(from: R) -> Self {
        Self { from, since_row: 0, is_first: true, last: b'\n' }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        if let (0, Some(first), true) = (length, buffer.first_mut(), self.last != b'\n') {
            (*first, self.last) = (b'\n', b'\n');
            return Ok(1);
        }
        let read = buffer.get(..length).unwrap_or_default();
        self.last = read.last().copied().unwrap_or(self.last);
        if read.contains(&0) {
            return Err(io::Error::other("it holds a NUL: this is no text"));
        }
        if self.is_first && read.starts_with(b"PK\x03\x04") {
            return Err(io::Error::other("this is a zip file"));
        }
        self.is_first = false;
        self.since_row += length;
        if self.since_row > LONGEST_ROW {
            return Err(io::Error::other(format!("a row is longer than {LONGEST_ROW} bytes")));
        }
        Ok(length)
    }
}

fn is_guarded(cell: &str) -> bool {
    cell.starts_with(FORMULA) || cell.starts_with('\'')
}

/// A cell that no spreadsheet takes for a formula: it begins with `'` then. What begins with one already gets another,
/// so that reading undoes exactly this.
#[must_use]
pub fn csv_cell(cell: &str) -> String {
    if is_guarded(cell) { format!("'{cell}") } else { cell.to_owned() }
}

/// Adds a line to CSV (RFC 4180), with cells that no spreadsheet takes for a formula, as [`csv_cell`] writes them.
pub fn csv_row(text: &mut String, cells: &[&str]) {
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        if is_guarded(cell) || cell.contains([',', '"', '\n', '\r']) {
            text.push_str(&format!("\"{}\"", csv_cell(cell).replace('"', "\"\"")));
        } else {
            text.push_str(cell);
        }
    }
    text.push('\n');
}

/// Writes users as CSV, with the header first if requested.
///
/// # Errors
/// The writer's errors.
pub fn write_users_csv<W: Write>(to: W, users: &[UserRecord], with_header: bool) -> io::Result<W> {
    let mut rows = csv::WriterBuilder::new().from_writer(to);
    if with_header {
        rows.write_record(COLUMNS).map_err(io::Error::other)?;
    }
    for user in users {
        let value = serde_json::to_value(user)?;
        let cells = COLUMNS.map(|column| match value.get(column) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => csv_cell(text),
            Some(other) => csv_cell(&other.to_string()),
        });
        rows.write_record(cells).map_err(io::Error::other)?;
    }
    rows.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Vec<UserRecord>, WrongLine> {
        let user = |user: Result<UserLine, WrongLine>| {
            let Numbered { line, record, .. } = user?;
            record.map_err(|reason| WrongLine::new(line, reason))
        };
        CsvUsers::new(text.as_bytes())?.map(user).collect()
    }

    #[test]
    fn sec_112_no_cell_of_a_line_is_a_formula() {
        let mut text = String::new();
        csv_row(&mut text, &["plain", "a,b", "say \"x\"", "=1+1", "-2", "'quoted", ""]);
        assert_eq!(text, "plain,\"a,b\",\"say \"\"x\"\"\",\"'=1+1\",\"'-2\",\"''quoted\",\n");
    }

    #[test]
    fn columns_are_free_in_order_and_checked_by_name() {
        let users = read("\u{feff}password,handle\n$2b$10$x,ana@example.com\n,bob@example.com\n").unwrap();
        assert_eq!(
            (users[0].handle.as_str(), users[0].password.as_deref()),
            ("ana@example.com", Some("$2b$10$x"))
        );
        assert_eq!(users[1].password, None);
        let wrong = |text: &str| read(text).unwrap_err().to_string();
        assert!(wrong("handle,role\n").contains("no column \"role\""));
        assert!(wrong("handle,handle\n").contains("duplicate"));
        assert!(wrong("password\nx\n").contains("handle is missing"));
        assert!(wrong("").contains("no column") || wrong("").contains("handle is missing"));
        assert_eq!(wrong("handle,locale\na@b.ch\n"), "line 2: it has 1 cells, and the header has 2");
        let short = CsvUsers::new(b"handle,locale\na@b.ch\nc@b.ch,EN\n".as_slice()).unwrap();
        let read: Vec<_> = short.map(|line| line.unwrap().record.is_ok()).collect();
        assert_eq!(read, [false, true], "a row of another length is one wrong line");
        let lines = |text: &str| {
            let users = CsvUsers::new(text.as_bytes()).unwrap();
            let lines =
                users.map(|line| line.map(|line| (line.line, line.record.ok().and_then(|user| user.locale))));
            lines.collect::<Result<Vec<_>, _>>().map_err(|wrong| wrong.to_string())
        };
        let in_english = |line: u64| (line, Some("EN".to_owned()));
        for text in ["handle,locale\na,EN\n\nb\nc,EN", "handle,locale\r\na,EN\r\n\r\nb\r\nc,\"EN\"\r\n"] {
            assert_eq!(lines(text).unwrap(), [in_english(2), (4, None), in_english(5)], "{text:?}");
        }
        let two_lines = "handle,locale,metaData\r\na,EN,\"{\r\n}\"\r\nb,EN,{}\r\n";
        assert_eq!(lines(two_lines).unwrap(), [in_english(2), in_english(4)]);
        let unclosed = lines("handle,locale\na,\"EN\nb,EN\nc,\"EN\",\nd,EN\n").unwrap_err();
        assert_eq!(
            unclosed,
            "line 2: it has 3 cells, and the header has 2 up to line 4: is a quote not closed?"
        );
        assert!(wrong("handle;locale\na;b\n").contains("commas"));
        assert_eq!(wrong("handle\nok@b.ch\n\"\"\n"), "line 3: the handle is missing");
        assert_eq!(
            wrong("handle,administrator\na,yes\n"),
            "line 2: administrator is true or false, not \"yes\""
        );
        assert_eq!(wrong("handle,metaData\na,[1]\n"), "line 2: metaData is a JSON object");
        assert!(wrong("handle,createdAt\na,yesterday\n").starts_with("line 2: \"yesterday\" is no time"));
        assert!(wrong("handle,passwordOver\na,sha1\n").contains("passwordOver is md5 or raw"));
    }

    #[test]
    fn what_is_no_csv_is_told_early() {
        let wrong = |bytes: &[u8]| match CsvUsers::new(bytes) {
            Ok(mut users) => users.find_map(Result::err).unwrap().to_string(),
            Err(wrong) => wrong.to_string(),
        };
        assert!(wrong(b"PK\x03\x04....").contains("zip"));
        assert!(wrong(b"handle\n\xff\xfe\n").contains("UTF-8"));
        assert!(wrong(b"handle\n\0\n").contains("NUL"));
        let endless = format!("handle\n\"{}", "a".repeat(3_000_000));
        assert!(wrong(endless.as_bytes()).contains("longer than"));
        let broken = format!("handle\n\"{}", "aaaaaaaaa\n".repeat(300_000));
        assert!(wrong(broken.as_bytes()).contains("longer than"));
        let many = format!("handle\n{}", "\"a\nb\"\n".repeat(500_000));
        assert_eq!(CsvUsers::new(many.as_bytes()).unwrap().filter(Result::is_ok).count(), 500_000);
    }

    proptest! {
        #[test]
        fn sec_112_cells_are_no_formulas_and_come_back(
            cells in proptest::collection::vec("[=+@'\\-]?[a-z,\"\n ]{0,12}", 1..4),
        ) {
            let users: Vec<UserRecord> = cells
                .iter()
                .map(|cell| UserRecord {
                    handle: format!("{cell}x"),
                    provider_subject: Some(cell.clone()).filter(|cell| !cell.is_empty()),
                    ..UserRecord::default()
                })
                .collect();
            let text = String::from_utf8(write_users_csv(Vec::new(), &users, true).unwrap()).unwrap();
            let mut raw = csv::Reader::from_reader(text.as_bytes());
            for row in raw.records() {
                for cell in &row.unwrap() {
                    prop_assert!(!cell.starts_with(FORMULA), "{cell:?}");
                }
            }
            prop_assert_eq!(read(&text).unwrap(), users);
        }

        #[test]
        fn nonsense_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(users) = CsvUsers::new(bytes.as_slice()) {
                users.for_each(drop);
            }
            JsonUsers::new(bytes.as_slice()).for_each(drop);
        }
    }
}
