//! Fields of requests as JSON Schema.

use serde_json::{Value, json};

use crate::http::field::{Field, Kind};

/// The value in the example of a request.
pub(super) fn example(field: &Field) -> Option<(&'static str, Value)> {
    let example = match field.kind {
        _ if !field.is_needed() => return None,
        Kind::Text(example) => example.into(),
        Kind::Choice(values) => values.first().copied().into(),
        Kind::Number(least, _) => least.into(),
        Kind::Setting(_) => "signupFlow".into(),
        Kind::Flag => true.into(),
        Kind::Object => json!({}),
        Kind::List => json!([]),
        Kind::Texts(example) => json!([example]),
        Kind::Code => "123456".into(),
        Kind::File | Kind::Undescribed => return None,
    };
    Some((field.name, example))
}

/// Its schema. In a form everything is text.
pub(super) fn schema(field: &Field, is_form: bool) -> Value {
    let digits = json!({"type": "string", "pattern": "^[0-9]+$"});
    let mut schema = match field.kind {
        Kind::Text(_) | Kind::Undescribed => json!({"type": "string"}),
        Kind::Choice(values) => json!({"type": "string", "enum": values}),
        Kind::Setting(names) => {
            json!({"type": "string", "enum": names().iter().map(|(name, _)| *name).collect::<Vec<_>>()})
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
    if let Some(pattern) = field.pattern {
        members.insert("pattern".to_owned(), pattern.into());
    }
    // A page that tries a request out sends every example that it is given.
    if let Some((_, example)) = example(field).filter(|_| !matches!(field.kind, Kind::Choice(_) | Kind::Flag))
    {
        members.insert("example".to_owned(), if is_form { text_of(&example).into() } else { example });
    }
    let about = words(field, is_form);
    if !about.is_empty() {
        members.insert("description".to_owned(), about.into());
    }
    // Nothing and null are the same here.
    if field.is_required || is_form {
        return schema;
    }
    match field.kind {
        Kind::Text(_) => {
            members.insert("type".to_owned(), json!(["string", "null"]));
            schema
        }
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

fn words(field: &Field, is_form: bool) -> String {
    let mut words = vec![field.about.to_owned()];
    match field.kind {
        Kind::Text(example) | Kind::Texts(example) if !field.is_needed() => {
            words.push(format!("Such as `{example}`."));
        }
        Kind::Number(least, most) => words.push(format!("{least} to {most}.")),
        Kind::Object | Kind::List if is_form => words.push("As JSON.".to_owned()),
        Kind::Setting(names) => words.extend(names().iter().map(|(name, fields)| {
            let fields = fields.iter().filter(|field| !matches!(field.kind, Kind::Undescribed));
            let fields: Vec<_> = fields.map(|field| format!("`{}`", field.name)).collect();
            format!("`{name}` takes {}.", fields.join(", "))
        })),
        _ => {}
    }
    words.retain(|part| !part.is_empty());
    words.join(" ")
}

/// An example as a form carries it.
fn text_of(example: &Value) -> String {
    example.as_str().map_or_else(|| example.to_string(), str::to_owned)
}
