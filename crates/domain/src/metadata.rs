//! Metadata: the fields that an application declares, and the values that its users carry.
//! The values become claims of the user's JWT, so no field may reach a claim that means something else.

use serde_json::{Map, Value};

use crate::text::has_forbidden_characters;

mod json;
mod names;

use json::{has_nul, merge, nulls, parse_object, remove_at, undeclared};
pub use names::{CLAIMS_OF_MEANING, OWN_CLAIMS};

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
    #[error("the path \"{0}\" would set a claim that has a meaning of its own in a JWT")]
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
    /// A value is not of the field's kind.
    #[error("the field {0} has a value of another kind")]
    WrongKind(String),
    /// The user may not set this field, or not change it.
    #[error("the field {0} is not the user's to set")]
    NotSettable(String),
    /// No field of this name is declared.
    #[error("there is no field {0}")]
    Unknown(String),
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

    /// The standard claim of an e-mail address.
    pub(crate) fn email() -> Self {
        Self(vec!["email".to_owned()])
    }

    /// The claim that the value stands in.
    #[must_use]
    pub fn root(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Whether the value stands in one of the [`CLAIMS_OF_MEANING`].
    #[must_use]
    pub fn has_a_meaning(&self) -> bool {
        CLAIMS_OF_MEANING.contains(&self.root())
    }

    fn is_or_contains(&self, other: &Self) -> bool {
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

/// Which values a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetadataKind {
    /// A text that is not blank.
    #[default]
    Text,
    /// A JSON number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of texts, numbers and booleans.
    Array,
}

impl MetadataKind {
    const NAMES: [(Self, &str); 4] =
        [(Self::Text, "text"), (Self::Number, "number"), (Self::Boolean, "boolean"), (Self::Array, "array")];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, _)| *kind == self).map_or("text", |(_, name)| name)
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    /// The value as it is kept; none if it counts as not sent.
    fn take(self, value: &Value) -> Result<Option<Value>, ()> {
        let is_plain = |item: &Value| matches!(item, Value::String(_) | Value::Number(_) | Value::Bool(_));
        match (self, value) {
            (_, Value::Null) => Ok(None),
            (Self::Text, Value::String(text)) => {
                let text = text.trim();
                Ok((!text.is_empty()).then(|| text.into()))
            }
            (_, Value::String(text)) if text.trim().is_empty() => Ok(None),
            (Self::Number, Value::Number(_)) | (Self::Boolean, Value::Bool(_)) => Ok(Some(value.clone())),
            (Self::Array, Value::Array(items)) if items.iter().all(is_plain) => Ok(Some(value.clone())),
            _ => Err(()),
        }
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
    /// Which values it takes.
    pub kind: MetadataKind,
}

impl MetadataField {
    /// The value that was sent for this field, if one was.
    fn sent(&self, values: &Map<String, Value>) -> Result<Option<Value>, InvalidMetadata> {
        let Some(value) = self.path.find(values) else { return Ok(None) };
        self.kind.take(value).map_err(|()| InvalidMetadata::WrongKind(self.path.to_string()))
    }

    fn named(&self, error: fn(String) -> InvalidMetadata) -> InvalidMetadata {
        error(self.path.to_string())
    }

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
    /// Checks new fields against the claims that no metadata may set, and against one another.
    ///
    /// # Errors
    /// [`InvalidFields`] names the path.
    pub fn new(fields: Vec<MetadataField>) -> Result<Self, InvalidFields> {
        Self::default().replaced_by(fields)
    }

    /// Other fields in the place of these. A path that these have may stay, though no new field may set its claim.
    ///
    /// # Errors
    /// [`InvalidFields`] names the path.
    pub fn replaced_by(&self, fields: Vec<MetadataField>) -> Result<Self, InvalidFields> {
        let is_new = |field: &&MetadataField| self.0.iter().all(|known| known.path != field.path);
        if let Some(field) = fields.iter().filter(is_new).find(|field| field.path.has_a_meaning()) {
            return Err(InvalidFields::Reserved(field.path.to_string()));
        }
        Self::existing(fields)
    }

    /// Fields that an application has, or brings from elsewhere: they may set the [`CLAIMS_OF_MEANING`], for consumers
    /// rely on them, but nothing that Latchkey sets itself.
    ///
    /// # Errors
    /// [`InvalidFields`] names the path.
    pub fn existing(fields: Vec<MetadataField>) -> Result<Self, InvalidFields> {
        if fields.len() > MAX_METADATA_KEYS {
            return Err(InvalidFields::TooMany);
        }
        for (at, field) in fields.iter().enumerate() {
            let is_the_email_pair = field.is_email() && field.path == MetadataPath::email();
            if OWN_CLAIMS.contains(&field.path.root()) && !is_the_email_pair {
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

    /// Whether no field is declared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        for field in self.0.iter().filter(|field| !field.is_email()) {
            match field.sent(&sent)? {
                Some(_) if !field.user_settable => return Err(field.named(InvalidMetadata::NotSettable)),
                Some(value) => field.path.put(&mut accepted, value),
                // What the user may not set is the developer's to provide.
                None if field.required && field.user_settable => {
                    return Err(field.named(InvalidMetadata::Missing));
                }
                None => {}
            }
        }
        Metadata(accepted).within_bounds()
    }

    /// The metadata after its user replaced them by what a client sent (JSON text): editable fields that were
    /// not sent go, all others stay, those of an invitation (`kept`) too.
    ///
    /// # Errors
    /// [`InvalidMetadata`] names the field.
    pub fn replace(&self, current: &Metadata, kept: &Self, sent: &str) -> Result<Metadata, InvalidMetadata> {
        let sent = parse_object(sent.trim())?;
        let mut replaced = Map::new();
        for field in kept.0.iter().filter(|field| !self.0.iter().any(|own| own.path == field.path)) {
            if let Some(value) = field.path.find(&current.0) {
                field.path.put(&mut replaced, value.clone());
            }
        }
        for field in self.0.iter().filter(|field| !field.is_email()) {
            let is_editable = field.can_edit && field.user_settable;
            let value = match (field.sent(&sent)?, is_editable) {
                (Some(_), false) => return Err(field.named(InvalidMetadata::NotSettable)),
                (Some(value), true) => Some(value),
                (None, true) => None,
                (None, false) => field.path.find(&current.0).cloned(),
            };
            match value {
                Some(value) => field.path.put(&mut replaced, value),
                None if field.required => return Err(field.named(InvalidMetadata::Missing)),
                None => {}
            }
        }
        Metadata(replaced).within_bounds()
    }

    /// The metadata after an operator replaced them: every field of the user's own and of invitations is theirs to set,
    /// and none is demanded. Values that no field declares stay as they are, at every depth, until `null` takes them away;
    /// new ones of that kind are refused.
    ///
    /// # Errors
    /// [`InvalidMetadata`] names the field.
    pub fn set_by_operator(
        (own, invited): (&Self, &Self),
        current: &Metadata,
        sent: &Map<String, Value>,
    ) -> Result<Metadata, InvalidMetadata> {
        if Value::Object(sent.clone()).to_string().len() > MAX_METADATA_BYTES || sent.values().any(has_nul) {
            return Err(InvalidMetadata::Form);
        }
        let extra = invited.0.iter().filter(|field| own.0.iter().all(|own| own.path != field.path));
        let fields: Vec<_> = own.0.iter().chain(extra).filter(|field| !field.is_email()).collect();
        let paths: Vec<_> = fields.iter().map(|field| field.path.to_string()).collect();
        for (root, value) in sent {
            if let Some(path) = undeclared(&paths, root, value, current.0.get(root)) {
                return Err(InvalidMetadata::Unknown(path));
            }
        }
        let mut replaced = current.0.clone();
        fields.iter().for_each(|field| remove_at(&mut replaced, &field.path.0));
        nulls(sent, &mut Vec::new(), &mut |path| {
            // Beside a declared field, an imported value stays.
            let below = format!("{}.", path.join("."));
            if !paths.iter().any(|declared| declared.starts_with(&below)) {
                remove_at(&mut replaced, path);
            }
        });
        for field in &fields {
            if let Some(value) = field.sent(sent)? {
                field.path.put(&mut replaced, value);
            }
        }
        Metadata(replaced).within_bounds()
    }

    /// Keeps the values that the user may set under the present definitions. The values were accepted earlier, maybe under
    /// other definitions.
    #[must_use]
    pub fn still_settable(&self, values: &Metadata) -> Metadata {
        let mut kept = Map::new();
        for field in self.0.iter().filter(|field| field.user_settable && !field.is_email()) {
            if let Ok(Some(value)) = field.sent(&values.0) {
                field.path.put(&mut kept, value);
            }
        }
        Metadata(kept)
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

    /// These values, and over them those that an invitation brings.
    ///
    /// # Errors
    /// [`InvalidMetadata::Form`] when they are too long together.
    pub fn merged_with(mut self, invitation: &Self) -> Result<Self, InvalidMetadata> {
        merge(&mut self.0, &invitation.0);
        self.within_bounds()
    }

    /// What is kept is as long at most as what may be sent: numbers may have grown, and values may have been added.
    fn within_bounds(self) -> Result<Self, InvalidMetadata> {
        let length = serde_json::to_string(&self.0).map_or(usize::MAX, |text| text.len());
        if length > MAX_METADATA_BYTES { Err(InvalidMetadata::Form) } else { Ok(self) }
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> &Map<String, Value> {
        &self.0
    }
}

#[cfg(test)]
mod tests;
