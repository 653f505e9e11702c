//! The JSON of metadata: read within its limits, merged, and searched for what no field declares.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{InvalidMetadata, MAX_DEPTH, MAX_METADATA_BYTES, MAX_METADATA_KEYS};
use crate::text::has_forbidden_characters;

/// The path of the first value that no field declares, or of a value that should be an object because fields are declared
/// below it. Values that are stored already are accepted unchanged.
pub(super) fn undeclared(paths: &[String], at: &str, value: &Value, now: Option<&Value>) -> Option<String> {
    if paths.iter().any(|path| path == at) || now == Some(value) {
        return None;
    }
    let below = format!("{at}.");
    let leads_on = paths.iter().any(|path| path.starts_with(&below));
    match value {
        Value::Object(members) if leads_on => members.iter().find_map(|(name, value)| {
            let now = now.and_then(|now| now.get(name));
            undeclared(paths, &format!("{below}{name}"), value, now)
        }),
        Value::Null => None,
        _ => Some(at.to_owned()),
    }
}

/// The paths at which `null` stands.
pub(super) fn nulls(values: &Map<String, Value>, at: &mut Vec<String>, found: &mut impl FnMut(&[String])) {
    for (name, value) in values {
        at.push(name.clone());
        match value {
            Value::Null => found(at),
            Value::Object(inner) => nulls(inner, at, found),
            _ => {}
        }
        at.pop();
    }
}

/// Removes the value at a path, and the parent objects that become empty.
pub(super) fn remove_at(values: &mut Map<String, Value>, path: &[String]) {
    match path {
        [] => {}
        [last] => {
            values.remove(last);
        }
        [first, rest @ ..] => {
            if let Some(Value::Object(inner)) = values.get_mut(first) {
                remove_at(inner, rest);
                if inner.is_empty() {
                    values.remove(first);
                }
            }
        }
    }
}

pub(super) fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members.values().any(has_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

pub(super) fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (name, value) in from {
        match (into.get_mut(name), value) {
            (Some(Value::Object(inner)), Value::Object(more)) => merge(inner, more),
            _ => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
}

pub(super) fn parse_object(text: &str) -> Result<Map<String, Value>, InvalidMetadata> {
    if text.len() > MAX_METADATA_BYTES {
        return Err(InvalidMetadata::Form);
    }
    let Ok(Value::Object(object)) = serde_json::from_str(text) else { return Err(InvalidMetadata::Form) };
    let mut keys = HashSet::new();
    let mut open: Vec<(usize, &Map<String, Value>)> = vec![(1, &object)];
    while let Some((depth, map)) = open.pop() {
        for (name, value) in map {
            let clean = !has_forbidden_characters(name) && !has_nul(value);
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
