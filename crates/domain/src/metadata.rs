//! Metadata: the fields that an application declares, and the values that its users carry.
//! The values become claims of the user's JWT, so no field may reach a claim that means something else.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::text::has_forbidden_characters;

/// Claims that RFC 7519 section 4.1 registers, and those that Latchkey itself sets.
/// No metadata may define or shadow them.
pub const RESERVED_CLAIMS: [&str; 9] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "userName", "email"];

/// The most that one user's metadata may take, as JSON text in bytes.
pub const MAX_METADATA_BYTES: usize = 16 * 1024;
/// The most keys that one user's metadata may have, counted at all depths.
pub const MAX_METADATA_KEYS: usize = 100;
const MAX_DEPTH: usize = 8;
const MAX_NAME_BYTES: usize = 64;

/// Why a set of metadata fields cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFields {
    /// A path is empty, has an empty part, is too long or deep, or holds a control character.
    #[error("the path \"{0}\" is not one or more names joined by dots")]
    Path(String),
    /// A path begins with a claim that has a meaning of its own.
    #[error("the path \"{0}\" would set a claim that Latchkey sets itself")]
    Reserved(String),
    /// Two fields have one path, or one field lies inside another's value.
    #[error("the path \"{0}\" collides with another field's")]
    Collision(String),
    /// More fields than a user's metadata may have keys.
    #[error("there are more than {MAX_METADATA_KEYS} fields")]
    TooMany,
}

/// Why values do not fit the fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// Not a JSON object, or one beyond the limits.
    #[error("it is not a JSON object within the limits")]
    Form,
    /// A required field has no value.
    #[error("the field {0} is required")]
    Missing(String),
    /// A value is no text.
    #[error("the field {0} is not a text")]
    NotText(String),
}

/// Where a value stands in the metadata, and in the token: names joined by dots.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MetadataPath(Vec<String>);

impl MetadataPath {
    /// Parses a dotted path. `email` alone is reserved too; see [`MetadataFields::new`] for its exception.
    ///
    /// # Errors
    /// [`InvalidFields::Path`].
    pub fn parse(text: &str) -> Result<Self, InvalidFields> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        let bad = |part: &String| {
            part.trim().is_empty() || part.len() > MAX_NAME_BYTES || has_forbidden_characters(part)
        };
        if parts.len() > MAX_DEPTH || parts.iter().any(bad) {
            return Err(InvalidFields::Path(text.to_owned()));
        }
        Ok(Self(parts))
    }

    fn root(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    fn is_or_contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    fn find<'v>(&self, values: &'v Map<String, Value>) -> Option<&'v Value> {
        let (last, parents) = self.0.split_last()?;
        let mut at = values;
        for part in parents {
            at = at.get(part)?.as_object()?;
        }
        at.get(last)
    }

    /// Puts the value at this path; a value on the way that is no object gives way to one.
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

impl std::fmt::Display for MetadataPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// One field that an application declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataField {
    /// Where the value stands.
    pub path: MetadataPath,
    /// What the consumer's user object calls it.
    pub field_name: String,
    /// Whether nobody becomes a user without it.
    pub required: bool,
    /// Whether the user may change it later.
    pub can_edit: bool,
    /// Whether the user may set it at all, at sign-up or later.
    pub user_settable: bool,
}

impl MetadataField {
    /// Whether this is the normal way to say that the handle is the e-mail address: its value is the handle.
    #[must_use]
    pub fn is_email(&self) -> bool {
        self.field_name == "email"
    }
}

/// The fields of an application: no reserved claim, no collision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetadataFields(Vec<MetadataField>);

impl MetadataFields {
    /// Checks the fields against the reserved claims and one another.
    ///
    /// # Errors
    /// [`InvalidFields`] names the path.
    pub fn new(fields: Vec<MetadataField>) -> Result<Self, InvalidFields> {
        if fields.len() > MAX_METADATA_KEYS {
            return Err(InvalidFields::TooMany);
        }
        for (at, field) in fields.iter().enumerate() {
            let is_the_email_pair = field.is_email() && field.path.to_string() == "email";
            if RESERVED_CLAIMS.contains(&field.path.root()) && !is_the_email_pair {
                return Err(InvalidFields::Reserved(field.path.to_string()));
            }
            let collides = |other: &MetadataField| {
                other.path.is_or_contains(&field.path) || field.path.is_or_contains(&other.path)
            };
            if fields.iter().take(at).any(collides) {
                return Err(InvalidFields::Collision(field.path.to_string()));
            }
        }
        Ok(Self(fields))
    }

    /// The fields in the order in which they were declared.
    pub fn iter(&self) -> std::slice::Iter<'_, MetadataField> {
        self.0.iter()
    }

    /// The field whose value is the handle, if one is declared.
    #[must_use]
    pub fn email_field(&self) -> Option<&MetadataField> {
        self.0.iter().find(|field| field.is_email())
    }

    /// Takes the declared values out of what a client sent (JSON text, or nothing); other keys are dropped.
    ///
    /// # Errors
    /// [`InvalidMetadata`] names the field.
    pub fn accept(&self, sent: Option<&str>) -> Result<Metadata, InvalidMetadata> {
        let sent = match sent.map(str::trim) {
            None | Some("") => Map::new(),
            Some(text) => parse_object(text)?,
        };
        let mut accepted = Map::new();
        for field in &self.0 {
            if field.is_email() {
                continue;
            }
            match field.path.find(&sent) {
                Some(Value::String(text)) if !text.trim().is_empty() => {
                    field.path.put(&mut accepted, Value::String(text.trim().to_owned()));
                }
                None | Some(Value::Null | Value::String(_)) if field.required => {
                    return Err(InvalidMetadata::Missing(field.path.to_string()));
                }
                None | Some(Value::Null | Value::String(_)) => {}
                Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    return Err(InvalidMetadata::NotText(field.path.to_string()));
                }
            }
        }
        Ok(Metadata(accepted))
    }

    /// The first required field that these values lack.
    #[must_use]
    pub fn missing(&self, values: &Metadata) -> Option<&MetadataField> {
        self.0
            .iter()
            .find(|field| field.required && !field.is_email() && field.path.find(&values.0).is_none())
    }
}

/// A user's metadata: a JSON object within the limits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata(Map<String, Value>);

impl Metadata {
    /// The metadata with these stored values.
    #[must_use]
    pub fn from_stored(values: Map<String, Value>) -> Self {
        Self(values)
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> &Map<String, Value> {
        &self.0
    }
}

fn parse_object(text: &str) -> Result<Map<String, Value>, InvalidMetadata> {
    if text.len() > MAX_METADATA_BYTES {
        return Err(InvalidMetadata::Form);
    }
    let Ok(Value::Object(object)) = serde_json::from_str(text) else { return Err(InvalidMetadata::Form) };
    let mut keys = HashSet::new();
    let mut open: Vec<(usize, &Map<String, Value>)> = vec![(1, &object)];
    while let Some((depth, map)) = open.pop() {
        for (name, value) in map {
            let text = value.as_str().unwrap_or_default();
            let clean = !has_forbidden_characters(name) && !text.contains('\0');
            keys.insert(std::ptr::from_ref(name));
            if depth > MAX_DEPTH || keys.len() > MAX_METADATA_KEYS || !clean {
                return Err(InvalidMetadata::Form);
            }
            if let Value::Object(inner) = value {
                open.push((depth + 1, inner));
            }
        }
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(path: &str, required: bool) -> MetadataField {
        MetadataField {
            path: MetadataPath::parse(path).unwrap(),
            field_name: format!("the {path}"),
            required,
            can_edit: true,
            user_settable: true,
        }
    }

    fn fields(paths: &[(&str, bool)]) -> MetadataFields {
        MetadataFields::new(paths.iter().map(|(path, required)| field(path, *required)).collect()).unwrap()
    }

    #[test]
    fn declared_values_are_taken_trimmed_and_the_rest_is_dropped() {
        let fields = fields(&[("user_data.name.first", true), ("colour", false)]);
        let sent = r#"{"user_data":{"name":{"first":" Ana ","last":"B"}},"sub":"victim","colour":""}"#;
        let accepted = fields.accept(Some(sent)).unwrap();
        assert_eq!(Value::Object(accepted.0), serde_json::json!({"user_data":{"name":{"first":"Ana"}}}));
    }

    #[test]
    fn required_and_text_are_enforced() {
        let fields = fields(&[("name", true)]);
        assert_eq!(fields.accept(None), Err(InvalidMetadata::Missing("name".to_owned())));
        assert_eq!(fields.accept(Some(r#"{"name":"  "}"#)), Err(InvalidMetadata::Missing("name".to_owned())));
        for wrong in ["1", "true", "[]", "{}"] {
            let sent = format!(r#"{{"name":{wrong}}}"#);
            assert_eq!(
                fields.accept(Some(&sent)),
                Err(InvalidMetadata::NotText("name".to_owned())),
                "{wrong}"
            );
        }
        for wrong in ["[]", "1", "nonsense", "\"text\"", r#"{"name":"a\u0000b"}"#] {
            assert_eq!(fields.accept(Some(wrong)), Err(InvalidMetadata::Form), "{wrong}");
        }
    }

    #[test]
    fn sec_078_metadata_is_bounded_in_bytes_keys_and_depth() {
        let fields = fields(&[("name", false)]);
        let with_keys = |n: usize| {
            let pairs: Vec<String> = (0..n).map(|i| format!(r#""k{i}":"v""#)).collect();
            format!("{{{}}}", pairs.join(","))
        };
        assert!(fields.accept(Some(&with_keys(100))).is_ok());
        assert_eq!(fields.accept(Some(&with_keys(101))), Err(InvalidMetadata::Form));
        let of_size = |n: usize| format!(r#"{{"k":"{}"}}"#, "a".repeat(n - 8));
        assert!(fields.accept(Some(&of_size(MAX_METADATA_BYTES))).is_ok());
        assert_eq!(fields.accept(Some(&of_size(MAX_METADATA_BYTES + 1))), Err(InvalidMetadata::Form));
        let deep = |n: usize| format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n));
        assert!(fields.accept(Some(&deep(8))).is_ok());
        assert_eq!(fields.accept(Some(&deep(9))), Err(InvalidMetadata::Form));
    }

    #[test]
    fn sec_059_reserved_claims_can_be_no_field() {
        for path in ["sub", "aud.x", "exp", "iat", "nbf", "iss", "jti", "userName", "email", "email.x"] {
            let error = MetadataFields::new(vec![field(path, false)]).unwrap_err();
            assert_eq!(error, InvalidFields::Reserved(path.to_owned()));
        }
        let pair = MetadataField { field_name: "email".to_owned(), ..field("email", true) };
        assert!(MetadataFields::new(vec![pair]).is_ok());
        assert!(MetadataFields::new(vec![field("data.sub", false)]).is_ok());
    }

    #[test]
    fn colliding_paths_are_refused() {
        for pair in [["a", "a"], ["a", "a.b"], ["a.b", "a"]] {
            let error = MetadataFields::new(pair.iter().map(|p| field(p, false)).collect()).unwrap_err();
            assert_eq!(error, InvalidFields::Collision(pair[1].to_owned()));
        }
        for wrong in ["", ".", "a.", "a..b", "a\0b", "1.2.3.4.5.6.7.8.9"] {
            assert!(MetadataPath::parse(wrong).is_err(), "{wrong}");
        }
    }
}
