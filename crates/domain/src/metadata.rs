//! Metadata: the fields that an application declares, and the values that its users carry.
//! The values become claims of the user's JWT, so no field may reach a claim that means something else.

use serde_json::{Map, Value};

mod json;
mod names;
mod path;

use json::{check_values, merge, nulls, parse_object, remove_at, undeclared};
pub use names::{CLAIMS_OF_MEANING, OWN_CLAIMS};
pub use path::MetadataPath;

/// The most that one user's metadata may take, as JSON text in bytes.
pub const MAX_METADATA_BYTES: usize = 16 * 1024;
/// The most keys that one user's metadata may have, counted at all depths.
pub const MAX_METADATA_KEYS: usize = 100;
const MAX_DEPTH: usize = 8;
/// The most bytes of a field's default, as JSON.
const MAX_DEFAULT_BYTES: usize = 1024;
/// The most bytes of one name in a path.
const MAX_NAME_BYTES: usize = 64;

/// Why a set of metadata fields cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFields {
    /// A path is empty, has an empty part, is too long or deep, or holds a control character.
    #[error("the path \"{0}\" is not one or more names joined by dots")]
    Path(String),
    /// A path is a URL whose dots part its names.
    #[error("the dots of a URL must be escaped in a path: {0}")]
    Url(String),
    /// A path begins with a claim that has a meaning of its own.
    #[error("the path \"{0}\" would set a claim that has a meaning of its own in a JWT")]
    Reserved(String),
    /// Two fields have one path, or one field lies inside another's value.
    #[error("the path \"{0}\" collides with another field's")]
    Collision(String),
    /// More fields than a user's metadata may have keys.
    #[error("there are more than {MAX_METADATA_KEYS} fields")]
    TooMany,
    /// A field's default is not a value that the field takes.
    #[error("the default of {0} must be {1}")]
    Default(String, MetadataKind),
}

/// Why values do not fit the fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// Not a JSON object, or one beyond the limits: the rule that it breaks.
    #[error("{0}")]
    Form(String),
    /// A required field has no value.
    #[error("the field {0} is required")]
    Missing(String),
    /// A value is not of the field's kind.
    #[error("the field {0} must be {1}")]
    WrongKind(String, MetadataKind),
    /// The user may not set this field.
    #[error("the field {0} cannot be set by users")]
    NotSettable(String),
    /// The user may not change this field any more.
    #[error("the field {0} cannot be changed by users")]
    NotEditable(String),
    /// No field of this name is declared; the second text names those that are.
    #[error("no field {0} is declared; {1}")]
    Unknown(String, String),
}

impl InvalidMetadata {
    fn too_long() -> Self {
        Self::Form(format!("metadata must be at most {MAX_METADATA_BYTES} bytes of JSON"))
    }

    fn character() -> Self {
        Self::Form("metadata must not contain NUL, nor control characters in names".to_owned())
    }

    fn number(name: &str) -> Self {
        Self::Form(format!("{name} must not hold a number that would be rounded: send it as a string"))
    }
}

/// Which values a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::IntoStaticStr, strum::VariantArray)]
pub enum MetadataKind {
    /// A text that is not blank.
    #[default]
    #[strum(serialize = "text")]
    Text,
    /// A JSON number.
    #[strum(serialize = "number")]
    Number,
    /// `true` or `false`.
    #[strum(serialize = "boolean")]
    Boolean,
    /// A list of texts, numbers and booleans.
    #[strum(serialize = "array")]
    Array,
}

impl MetadataKind {
    /// The value as stored. `None` if it counts as not sent.
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

impl std::fmt::Display for MetadataKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "a string",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Array => "an array of strings, numbers and booleans",
        })
    }
}

/// One field that an application declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataField {
    /// Where the value stands.
    pub path: MetadataPath,
    /// The display name of the field in the consumer's user object.
    pub field_name: String,
    /// Whether every user needs a value.
    pub required: bool,
    /// Whether the user may change it later.
    pub can_edit: bool,
    /// Whether the user may set it at all, at sign-up or later.
    pub user_settable: bool,
    /// Which values it takes.
    pub kind: MetadataKind,
    /// The claim's value in tokens of users without one. It is not stored with them: tokens follow the definition.
    pub default: Option<Value>,
}

impl MetadataField {
    /// The value that was sent for this field, if one was.
    fn sent(&self, values: &Map<String, Value>) -> Result<Option<Value>, InvalidMetadata> {
        let Some(value) = self.path.find(values) else { return Ok(None) };
        self.kind.take(value).map_err(|()| InvalidMetadata::WrongKind(self.path.to_string(), self.kind))
    }

    /// Whether a user without a value gets no token.
    fn is_demanded(&self) -> bool {
        self.required && self.default.is_none()
    }

    /// The default as stored.
    fn checked_default(&self) -> Result<Option<Value>, InvalidFields> {
        let invalid = || InvalidFields::Default(self.path.to_string(), self.kind);
        let Some(value) = &self.default else { return Ok(None) };
        check_values(&Map::from_iter([(self.path.to_string(), value.clone())])).map_err(|_| invalid())?;
        // The value of this field is the handle.
        if self.is_email() || value.to_string().len() > MAX_DEFAULT_BYTES {
            return Err(invalid());
        }
        self.kind.take(value).ok().flatten().map(Some).ok_or_else(invalid)
    }

    fn named(&self, error: fn(String) -> InvalidMetadata) -> InvalidMetadata {
        error(self.path.to_string())
    }

    /// Whether this is the usual field for an e-mail address that is the handle.
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

    /// Replaces the fields. A path of the old fields may stay, even if no new field may set its claim.
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
        let checked = fields.into_iter().map(|field| {
            let default = field.checked_default()?;
            Ok(MetadataField { default, ..field })
        });
        checked.collect::<Result<_, _>>().map(Self)
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
                // The developer provides what users may not set.
                None if field.is_demanded() && field.user_settable => {
                    return Err(field.named(InvalidMetadata::Missing));
                }
                None => {}
            }
        }
        Metadata(accepted).within_bounds()
    }

    /// Like [`MetadataFields::accept`], for sign-ups without a further step: a required field that users may not set
    /// would have no value then, and without one there is no token.
    ///
    /// # Errors
    /// [`InvalidMetadata`] names the field.
    pub fn accept_at_signup(&self, sent: Option<&str>) -> Result<Metadata, InvalidMetadata> {
        let accepted = self.accept(sent)?;
        match self.0.iter().find(|field| field.is_demanded() && !field.user_settable) {
            Some(field) => Err(InvalidMetadata::Form(format!(
                "the field {} is required, and only operators can set it",
                field.path
            ))),
            None => Ok(accepted),
        }
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
                (Some(_), false) if field.user_settable => {
                    return Err(field.named(InvalidMetadata::NotEditable));
                }
                (Some(_), false) => return Err(field.named(InvalidMetadata::NotSettable)),
                (Some(value), true) => Some(value),
                (None, true) => None,
                (None, false) => field.path.find(&current.0).cloned(),
            };
            match value {
                Some(value) => field.path.put(&mut replaced, value),
                None if field.is_demanded() => return Err(field.named(InvalidMetadata::Missing)),
                None => {}
            }
        }
        Metadata(replaced).within_bounds()
    }

    /// The metadata after an operator replaced them: every field of the user's own and of invitations is theirs to set;
    /// [`Self::missing`] and [`Self::dropped`] find required ones that are not there. Values that no field declares stay as they are, at every depth, until `null` takes them
    /// away; new ones of that kind are refused.
    ///
    /// # Errors
    /// [`InvalidMetadata`] names the field.
    pub fn set_by_operator(
        own: &Self,
        invited: &Self,
        current: &Metadata,
        sent: &Map<String, Value>,
    ) -> Result<Metadata, InvalidMetadata> {
        if Value::Object(sent.clone()).to_string().len() > MAX_METADATA_BYTES {
            return Err(InvalidMetadata::too_long());
        }
        check_values(sent)?;
        let fields = own.with(invited);
        let paths: Vec<&[String]> = fields.iter().map(|field| field.path.names()).collect();
        check_declared(&fields, sent, current)?;
        let mut replaced = current.0.clone();
        fields.iter().for_each(|field| remove_at(&mut replaced, field.path.names()));
        nulls(sent, &mut Vec::new(), &mut |path| {
            // Beside a declared field, an imported value stays.
            if !paths.iter().any(|declared| declared.starts_with(path)) {
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

    /// The first value, of those that were stored elsewhere, that no field of the user's own or of invitations declares
    /// or takes; else the first required field that they lack.
    #[must_use]
    pub fn misfit(&self, invited: &Self, values: &Metadata) -> Option<InvalidMetadata> {
        let fields = self.with(invited);
        let unknown = check_declared(&fields, &values.0, &Metadata::default()).err();
        let wrong = || fields.iter().find_map(|field| field.sent(&values.0).err());
        let missing = || self.missing(values).map(|field| field.named(InvalidMetadata::Missing));
        unknown.or_else(wrong).or_else(missing)
    }

    /// These fields, and those of invitations that are not among them.
    fn with<'f>(&'f self, invited: &'f Self) -> Vec<&'f MetadataField> {
        let extra = invited.0.iter().filter(|field| self.0.iter().all(|own| own.path != field.path));
        self.0.iter().chain(extra).filter(|field| !field.is_email()).collect()
    }

    /// Keeps the values that the user may set under the present definitions. The values were accepted earlier, maybe
    /// under other definitions.
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
        self.all_missing(values).next()
    }

    /// The first required field that `after` lacks although `before` had it.
    #[must_use]
    pub fn dropped(&self, before: &Metadata, after: &Metadata) -> Option<&MetadataField> {
        self.all_missing(after).find(|field| field.path.find(&before.0).is_some())
    }

    fn all_missing(&self, values: &Metadata) -> impl Iterator<Item = &MetadataField> {
        let is_missing = |field: &&MetadataField| {
            field.is_demanded() && !field.is_email() && field.path.find(&values.0).is_none()
        };
        self.0.iter().filter(is_missing)
    }
}

/// Refuses new values that no field declares.
fn check_declared(
    fields: &[&MetadataField],
    sent: &Map<String, Value>,
    current: &Metadata,
) -> Result<(), InvalidMetadata> {
    let paths: Vec<&[String]> = fields.iter().map(|field| field.path.names()).collect();
    let mut unknown = sent.iter().filter_map(|(root, value)| {
        undeclared(&paths, std::slice::from_ref(root), value, current.0.get(root))
    });
    let Some(path) = unknown.next() else { return Ok(()) };
    let known: Vec<String> = fields.iter().map(|field| field.path.to_string()).collect();
    let known = match known.is_empty() {
        true => "the application declares none".to_owned(),
        false => format!("the application declares {}", known.join(", ")),
    };
    Err(InvalidMetadata::Unknown(path.to_string(), known))
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

    /// Stored metadata are at most as long as accepted ones: numbers may have grown, and values may have been added.
    fn within_bounds(self) -> Result<Self, InvalidMetadata> {
        let length = serde_json::to_string(&self.0).map_or(usize::MAX, |text| text.len());
        if length > MAX_METADATA_BYTES { Err(InvalidMetadata::too_long()) } else { Ok(self) }
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> &Map<String, Value> {
        &self.0
    }
}

#[cfg(test)]
mod tests;
