//! Paths of metadata fields and claims.

use serde_json::{Map, Value};

use super::json::remove_at;
use super::{CLAIMS_OF_MEANING, InvalidFields, MAX_DEPTH, MAX_NAME_BYTES};
use crate::text::has_forbidden_characters;

/// The path of a value in the metadata and in the token: names joined by dots. A dot within a name is written `\\.`, a
/// backslash `\\\\`, as in `https://hasura\\.io/jwt/claims.x-hasura-default-role`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MetadataPath(Vec<String>);

impl MetadataPath {
    /// Parses a dotted path. `email` alone is reserved too; see [`MetadataFields::new`](super::MetadataFields::new) for
    /// its exception.
    ///
    /// # Errors
    /// [`InvalidFields::Path`]; [`InvalidFields::Url`] for a URL with dots that are not escaped, with the right
    /// spelling.
    pub fn parse(text: &str) -> Result<Self, InvalidFields> {
        let path = Self::from_stored(text)?;
        let is_escape = |next: Option<char>| matches!(next, Some('.' | '\\'));
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character == '\\' && !is_escape(characters.next()) {
                return Err(InvalidFields::Path(text.to_owned()));
            }
        }
        match escaped_url(text) {
            Some(escaped) => Err(InvalidFields::Url(escaped)),
            None => Ok(path),
        }
    }

    /// The path with this stored text. It may be older than escapes: a backslash before anything else is itself.
    ///
    /// # Errors
    /// [`InvalidFields::Path`].
    pub fn from_stored(text: &str) -> Result<Self, InvalidFields> {
        let mut names = vec![String::new()];
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let escaped = characters.next_if(|next| character == '\\' && matches!(next, '.' | '\\'));
            match (names.last_mut(), escaped) {
                (Some(name), Some(escaped)) => name.push(escaped),
                (Some(name), None) if character != '.' => name.push(character),
                _ => names.push(String::new()),
            }
        }
        let is_bad = |name: &String| {
            name.trim().is_empty() || name.len() > MAX_NAME_BYTES || has_forbidden_characters(name)
        };
        if names.len() > MAX_DEPTH || names.iter().any(is_bad) {
            return Err(InvalidFields::Path(text.to_owned()));
        }
        Ok(Self(names))
    }

    /// The path of these names, which may be empty or of any length.
    pub(super) fn of(names: Vec<String>) -> Self {
        Self(names)
    }

    /// The standard claim of an e-mail address.
    pub(crate) fn email() -> Self {
        Self(vec!["email".to_owned()])
    }

    pub(super) fn names(&self) -> &[String] {
        &self.0
    }

    /// The top-level claim that contains the value.
    #[must_use]
    pub fn root(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Whether the value is in one of the [`CLAIMS_OF_MEANING`].
    #[must_use]
    pub fn has_a_meaning(&self) -> bool {
        CLAIMS_OF_MEANING.contains(&self.root())
    }

    /// Whether the value at `other` is this path's value, or within it.
    #[must_use]
    pub fn is_or_contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The value at this path.
    #[must_use]
    pub fn find<'v>(&self, values: &'v Map<String, Value>) -> Option<&'v Value> {
        let (last, parents) = self.0.split_last()?;
        let mut at = values;
        for part in parents {
            at = at.get(part)?.as_object()?;
        }
        at.get(last)
    }

    /// Removes the value at this path, and the parent objects that become empty.
    pub fn remove(&self, values: &mut Map<String, Value>) {
        remove_at(values, &self.0);
    }

    /// Sets the value at this path. A value on the way that is not an object is replaced by one.
    pub fn put(&self, values: &mut Map<String, Value>, value: Value) {
        let Some((last, parents)) = self.0.split_last() else { return };
        let mut at = values;
        for part in parents {
            let next = at.entry(part.clone()).or_insert_with(|| Value::Object(Map::new()));
            if !next.is_object() {
                *next = Value::Object(Map::new());
            }
            let Value::Object(inner) = next else { return };
            at = inner;
        }
        at.insert(last.clone(), value);
    }
}

/// The likely spelling of a URL whose host is cut by a dot that is not escaped.
fn escaped_url(text: &str) -> Option<String> {
    let (_, after_scheme) = text.split_once("://")?;
    let host = after_scheme.split('/').next().unwrap_or_default();
    if !host.replace("\\.", "").contains('.') {
        return None;
    }
    let end = if after_scheme.contains('/') { text.rfind('/')? } else { text.len() };
    let (url, names) = text.split_at_checked(end)?;
    Some(format!("{}{names}", url.replace("\\.", ".").replace('.', "\\.")))
}

impl std::fmt::Display for MetadataPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let escaped: Vec<String> =
            self.0.iter().map(|name| name.replace('\\', "\\\\").replace('.', "\\.")).collect();
        f.write_str(&escaped.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_an_escaped_dot() {
        for (text, names) in [
            ("a.b", vec!["a", "b"]),
            (
                r"https://hasura\.io/jwt/claims.x-hasura-default-role",
                vec!["https://hasura.io/jwt/claims", "x-hasura-default-role"],
            ),
            (r"a\\.b", vec![r"a\", "b"]),
            (r"a\\\.b", vec![r"a\.b"]),
        ] {
            let path = MetadataPath::parse(text).unwrap();
            assert_eq!(path.names(), names, "{text}");
            assert_eq!(path.to_string(), text);
        }
        for wrong in [r"a\", r"a\b", r"\n", ".", "a."] {
            assert_eq!(MetadataPath::parse(wrong), Err(InvalidFields::Path(wrong.to_owned())), "{wrong}");
            let stored = MetadataPath::from_stored(wrong);
            assert_eq!(stored.is_ok(), !wrong.ends_with('.'), "{wrong}");
            if let Ok(path) = stored {
                assert_eq!(path.names(), [wrong]);
                assert_eq!(MetadataPath::parse(&path.to_string()), Ok(path));
            }
        }
    }

    #[test]
    fn the_dots_of_a_url_must_be_escaped() {
        for (wrong, right) in [
            ("https://hasura.io/jwt/claims.x-hasura-role", r"https://hasura\.io/jwt/claims.x-hasura-role"),
            ("https://a.b.example.com/claims.role", r"https://a\.b\.example\.com/claims.role"),
            (r"https://a\.b.example/claims", r"https://a\.b\.example/claims"),
            ("https://example.com", r"https://example\.com"),
            ("http://example.com/v1.2/claims.role", r"http://example\.com/v1\.2/claims.role"),
        ] {
            assert_eq!(MetadataPath::parse(wrong), Err(InvalidFields::Url(right.to_owned())), "{wrong}");
            assert!(MetadataPath::parse(right).is_ok(), "{right}");
            assert!(MetadataPath::from_stored(wrong).is_ok(), "what is stored stays");
        }
        for good in ["http://localhost/claims.role", "https://example", "a.b/c"] {
            assert!(MetadataPath::parse(good).is_ok(), "{good}");
        }
    }
}
