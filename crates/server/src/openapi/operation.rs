//! What is said of one route, as data: its fields, its answers, what it refuses. What all routes with a token have in
//! common is not repeated here; the document adds it.

use latchkey_service::Refusal;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::components::Components;

/// What is said of a route.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    /// In a few words.
    pub(crate) summary: &'static str,
    /// What else is worth knowing.
    pub(crate) about: &'static str,
    /// Of the body, or of the query where there is no body.
    pub(crate) fields: &'static [Field],
    /// What it answers when all is well: one of these.
    pub(crate) answers: Answers,
    /// Headers of that answer.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// What it refuses, beyond what its token and fields bring with them.
    pub(crate) refuses: &'static [Refusal],
}

/// Says nothing: where the others begin.
pub(crate) const OPERATION: Operation = Operation {
    summary: "",
    about: "",
    fields: &[],
    answers: Answers::Json(&[truth]),
    headers: &[],
    refuses: &[],
};

/// What a route answers.
#[derive(Clone, Copy)]
pub(crate) enum Answers {
    /// JSON of one of these shapes.
    Json(&'static [Shape]),
    /// JSON, or a page where the application's sign-up flow says so.
    JsonOrPage(&'static [Shape]),
    /// A page; its errors are pages too.
    Page,
    /// A file of one of these types.
    File(&'static [&'static str]),
    /// Another path.
    Redirect,
    /// Nothing but an explanation why not.
    Never,
}

/// A shape of JSON: where its schema is. Named types are added to the components.
pub(crate) type Shape = fn(&mut Components) -> Value;

/// `true`, and nothing else.
pub(crate) fn truth(_: &mut Components) -> Value {
    json!({"type": "boolean", "const": true})
}

/// One value of a type.
pub(crate) fn one<T: ToSchema>(components: &mut Components) -> Value {
    components.add::<T>()
}

/// A list of them.
pub(crate) fn list<T: ToSchema>(components: &mut Components) -> Value {
    json!({"type": "array", "items": components.add::<T>()})
}

/// Lists of them by name.
pub(crate) fn lists_by_name<T: ToSchema>(components: &mut Components) -> Value {
    json!({"type": "object", "additionalProperties": list::<T>(components)})
}

/// A field that a request sends.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) is_required: bool,
    pub(crate) about: &'static str,
    /// Whether a request may be made with it as it stands: not one of two ways to say the same.
    is_shown: bool,
}

/// What a field holds.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A text, such as this one.
    Text(&'static str),
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A whole number, or its digits.
    Number(u32),
    /// `true` or `false`, or the text of it.
    Flag,
    /// An object, or its JSON as text.
    Object,
    /// A list, or its JSON as text.
    List,
    /// A list of texts, or one text with commas.
    Texts,
    /// A code: digits, as text or as a number. Some take a recovery code in its place.
    Code,
    /// A file, in a form of type `multipart/form-data`.
    File,
}

impl Field {
    const fn new(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, is_required: false, about, is_shown: false }
    }

    /// The same, but it must be there.
    pub(crate) const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// The same, and the example of the request has it.
    pub(crate) const fn shown(mut self) -> Self {
        self.is_shown = true;
        self
    }

    /// What the example of a request holds of it.
    pub(crate) fn example(&self) -> Option<(&'static str, Value)> {
        let example = match self.kind {
            _ if !(self.is_required || self.is_shown) => return None,
            Kind::Text(example) => example.into(),
            Kind::Choice(values) => values.first().copied().into(),
            Kind::Number(example) => example.into(),
            Kind::Flag => true.into(),
            Kind::Object => json!({}),
            Kind::List => json!([]),
            Kind::Texts => json!(["DE"]),
            Kind::Code => "123456".into(),
            Kind::File => return None,
        };
        Some((self.name, example))
    }

    /// Its schema. In a form everything is text.
    pub(crate) fn schema(&self, is_form: bool) -> Value {
        let mut schema = match self.kind {
            Kind::Text(example) => json!({"type": "string", "example": example}),
            Kind::Choice(values) => json!({"type": "string", "enum": values}),
            Kind::Number(example) if is_form => {
                json!({"type": "string", "pattern": "^[0-9]+$", "example": example.to_string()})
            }
            Kind::Number(example) => json!({
                "anyOf": [{"type": "integer", "minimum": 0, "maximum": u32::MAX}, {"type": "string", "pattern": "^[0-9]+$"}],
                "example": example,
            }),
            Kind::Flag if is_form => json!({"type": "string", "enum": ["true", "false"]}),
            Kind::Flag => json!({"enum": [true, false, "true", "false"]}),
            Kind::Object if is_form => json!({"type": "string", "description": "JSON", "example": "{}"}),
            Kind::Object => json!({"anyOf": [{"type": "object"}, {"type": "string"}], "example": {}}),
            Kind::List if is_form => json!({"type": "string", "description": "JSON", "example": "[]"}),
            Kind::List => {
                json!({"anyOf": [{"type": "array", "items": {}}, {"type": "string"}], "example": []})
            }
            Kind::Texts if is_form => json!({"type": "string"}),
            Kind::Texts => json!({
                "anyOf": [{"type": "array", "items": {"type": ["string", "number"]}}, {"type": "string"}],
            }),
            Kind::Code if is_form => json!({"type": "string", "example": "123456"}),
            Kind::Code => {
                json!({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}], "example": "123456"})
            }
            Kind::File => json!({"type": "string", "contentMediaType": "application/zip"}),
        };
        if let Some(members) = schema.as_object_mut()
            && !self.about.is_empty()
        {
            members.insert("description".to_owned(), self.about.into());
        }
        // Nothing and null are the same here.
        if self.is_required || is_form {
            return schema;
        }
        match (self.kind, schema.as_object_mut()) {
            (Kind::Text(_), Some(members)) => members.insert("type".to_owned(), json!(["string", "null"])),
            _ => return json!({"anyOf": [schema, {"type": "null"}]}),
        };
        schema
    }
}

pub(crate) const fn text(name: &'static str, example: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::Text(example), about)
}

pub(crate) const fn choice(
    name: &'static str,
    values: &'static [&'static str],
    about: &'static str,
) -> Field {
    Field::new(name, Kind::Choice(values), about)
}

pub(crate) const fn number(name: &'static str, example: u32, about: &'static str) -> Field {
    Field::new(name, Kind::Number(example), about)
}

pub(crate) const fn flag(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::Flag, about)
}

pub(crate) const fn object(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::Object, about)
}

pub(crate) const fn items(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::List, about)
}

pub(crate) const fn texts(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::Texts, about)
}

pub(crate) const fn code(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::Code, about)
}

pub(crate) const fn file(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::File, about)
}
