//! The description of one route as data: its fields, answers and refusals. What all routes with a token have in common
//! is added by the document.

use latchkey_service::Refusal;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::components::Components;
use crate::api::{MISSPELT, fields_of_settings};

/// The description of a route.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    /// In a few words.
    pub(crate) summary: &'static str,
    /// Further remarks.
    pub(crate) about: &'static str,
    /// Fields of the body, or of the query for routes without a body.
    pub(crate) fields: &'static [Field],
    /// More of them, where several routes share the others.
    pub(crate) more: &'static [Field],
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
    more: &[],
    answers: Answers::Json(&[truth]),
    headers: &[],
    refuses: &[],
};

impl Operation {
    pub(super) fn all_fields(&self) -> impl Iterator<Item = &'static Field> + Clone + use<> {
        self.fields.iter().chain(self.more)
    }
}

/// The answers of a route.
#[derive(Clone, Copy)]
pub(crate) enum Answers {
    /// JSON of one of these shapes.
    Json(&'static [Shape]),
    /// JSON, or a page, by the application's sign-up flow.
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
    /// Whether the example of a request contains the field: false for an alternative to another field.
    is_shown: bool,
    /// The pattern of a text.
    pattern: Option<&'static str>,
}

/// The type of a field.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A text, such as this one.
    Text(&'static str),
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A whole number of at least and at most so much, or its digits.
    Number(u32, u32),
    /// The name of a setting.
    Setting,
    /// `true` or `false`, or the text of it.
    Flag,
    /// An object, or its JSON as text.
    Object,
    /// A list, or its JSON as text.
    List,
    /// A list of texts such as this one, or one text with commas.
    Texts(&'static str),
    /// A code: digits, as text or as a number. Some take a recovery code in its place.
    Code,
    /// A file, in a form of type `multipart/form-data`.
    File,
}

impl Field {
    const fn new(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, is_required: false, about, is_shown: false, pattern: None }
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

    /// The same, as a text of this form.
    pub(crate) const fn like(mut self, pattern: &'static str) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// Whether a request may be made with it, and hardly without it.
    pub(super) const fn is_needed(&self) -> bool {
        self.is_required || self.is_shown
    }

    /// The value in the example of a request.
    pub(crate) fn example(&self) -> Option<(&'static str, Value)> {
        let example = match self.kind {
            _ if !self.is_needed() => return None,
            Kind::Text(example) => example.into(),
            Kind::Choice(values) => values.first().copied().into(),
            Kind::Number(least, _) => least.into(),
            Kind::Setting => "signupFlow".into(),
            Kind::Flag => true.into(),
            Kind::Object => json!({}),
            Kind::List => json!([]),
            Kind::Texts(example) => json!([example]),
            Kind::Code => "123456".into(),
            Kind::File => return None,
        };
        Some((self.name, example))
    }

    /// Its schema. In a form everything is text.
    pub(crate) fn schema(&self, is_form: bool) -> Value {
        let digits = json!({"type": "string", "pattern": "^[0-9]+$"});
        let mut schema = match self.kind {
            Kind::Text(_) => json!({"type": "string"}),
            Kind::Choice(values) => json!({"type": "string", "enum": values}),
            Kind::Setting => {
                json!({"type": "string", "enum": fields_of_settings().iter().map(|(name, _)| *name).collect::<Vec<_>>()})
            }
            Kind::Number(..) if is_form => digits,
            Kind::Number(least, most) => {
                json!({"anyOf": [{"type": "integer", "minimum": least, "maximum": most}, digits]})
            }
            Kind::Flag if is_form => json!({"type": "string", "enum": ["true", "false"]}),
            Kind::Flag => {
                json!({"anyOf": [{"type": "boolean"}, {"type": "string", "enum": ["true", "false"]}]})
            }
            Kind::Object | Kind::List | Kind::Texts(_) | Kind::Code if is_form => json!({"type": "string"}),
            Kind::Object => json!({"anyOf": [{"type": "object"}, {"type": "string"}]}),
            Kind::List => json!({"anyOf": [{"type": "array", "items": {}}, {"type": "string"}]}),
            Kind::Texts(_) => json!({
                "anyOf": [{"type": "array", "items": {"type": ["string", "number"]}}, {"type": "string"}],
            }),
            Kind::Code => json!({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}]}),
            Kind::File => json!({"type": "string", "contentMediaType": "application/zip"}),
        };
        let Some(members) = schema.as_object_mut() else { return schema };
        if let Some(pattern) = self.pattern {
            members.insert("pattern".to_owned(), pattern.into());
        }
        // A page that tries a request out sends every example that it is given.
        if let Some((_, example)) =
            self.example().filter(|_| !matches!(self.kind, Kind::Choice(_) | Kind::Flag))
        {
            members.insert("example".to_owned(), if is_form { text_of(&example).into() } else { example });
        }
        let about = self.words(is_form);
        if !about.is_empty() {
            members.insert("description".to_owned(), about.into());
        }
        // Nothing and null are the same here.
        if self.is_required || is_form {
            return schema;
        }
        match self.kind {
            Kind::Text(_) => {
                members.insert("type".to_owned(), json!(["string", "null"]));
                schema
            }
            _ => json!({"anyOf": [schema, {"type": "null"}]}),
        }
    }

    fn words(&self, is_form: bool) -> String {
        let mut words = vec![self.about.to_owned()];
        match self.kind {
            Kind::Text(example) | Kind::Texts(example) if !self.is_needed() => {
                words.push(format!("Such as `{example}`."));
            }
            Kind::Number(least, most) => words.push(format!("{least} to {most}.")),
            Kind::Object | Kind::List if is_form => words.push("As JSON.".to_owned()),
            Kind::Setting => words.extend(fields_of_settings().iter().map(|(name, fields)| {
                let fields = fields.iter().filter(|field| **field != MISSPELT);
                let fields: Vec<_> = fields.map(|field| format!("`{field}`")).collect();
                format!("`{name}` takes {}.", fields.join(", "))
            })),
            _ => {}
        }
        words.retain(|part| !part.is_empty());
        words.join(" ")
    }
}

/// An example as a form carries it.
fn text_of(example: &Value) -> String {
    example.as_str().map_or_else(|| example.to_string(), str::to_owned)
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

/// Minimum and maximum are in the description.
pub(crate) const fn number(name: &'static str, (least, most): (u32, u32), about: &'static str) -> Field {
    Field::new(name, Kind::Number(least, most), about)
}

pub(crate) const fn setting(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::Setting, about)
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

pub(crate) const fn texts(name: &'static str, example: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::Texts(example), about)
}

pub(crate) const fn code(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::Code, about)
}

pub(crate) const fn file(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::File, about)
}
