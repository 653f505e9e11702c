//! The description of one route as data: its fields, answers and refusals. What all routes with a token have in common
//! is added by the document.

use latchkey_service::Refusal;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::components::Components;
use crate::http::field::{Field, FieldsOfRoute, Kind};

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

/// The values of what an operation does not state.
pub(crate) const DEFAULT: Operation = Operation {
    summary: "",
    about: "",
    fields: &[],
    more: &[],
    answers: Answers::Json(&[truth]),
    headers: &[],
    refuses: &[],
};

impl Operation {
    /// The fields that are described.
    pub(super) fn described_fields(&self) -> impl Iterator<Item = &'static Field> + Clone + use<> {
        let fields = self.fields.iter().chain(self.more);
        fields.filter(|field| !matches!(field.kind, Kind::Undescribed))
    }

    /// All fields that its handler may read.
    pub(crate) const fn fields_of_route(&self) -> FieldsOfRoute {
        FieldsOfRoute([self.fields, self.more])
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
pub(crate) fn shape<T: ToSchema>(components: &mut Components) -> Value {
    components.add::<T>()
}

/// A list of them.
pub(crate) fn list_of<T: ToSchema>(components: &mut Components) -> Value {
    json!({"type": "array", "items": components.add::<T>()})
}

/// Lists of them by name.
pub(crate) fn lists_by_name<T: ToSchema>(components: &mut Components) -> Value {
    json!({"type": "object", "additionalProperties": list_of::<T>(components)})
}
