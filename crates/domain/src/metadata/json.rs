//! The JSON of metadata: read within its limits, merged, and searched for what no field declares.

use std::collections::HashSet;

use serde_json::{Map, Number, Value};

use super::{InvalidMetadata, MAX_DEPTH, MAX_METADATA_BYTES, MAX_METADATA_KEYS, MetadataPath};
use crate::text::has_forbidden_characters;

/// The path of the first value that no field declares, or of a value that should be an object because fields are declared
/// below it. Values that are stored already are accepted unchanged.
pub(super) fn undeclared(
    paths: &[&[String]],
    at: &[String],
    value: &Value,
    now: Option<&Value>,
) -> Option<MetadataPath> {
    if paths.contains(&at) || now == Some(value) {
        return None;
    }
    let leads_on = paths.iter().any(|path| path.starts_with(at));
    match value {
        Value::Object(members) if leads_on => members.iter().find_map(|(name, value)| {
            let now = now.and_then(|now| now.get(name));
            undeclared(paths, &[at, std::slice::from_ref(name)].concat(), value, now)
        }),
        Value::Null => None,
        _ => Some(MetadataPath::of(at.to_vec())),
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

/// Refuses values that cannot be stored and given out unchanged.
pub(super) fn check_values(values: &Map<String, Value>) -> Result<(), InvalidMetadata> {
    values.iter().try_for_each(|(name, value)| check_value(name, value))
}

fn check_value(name: &str, value: &Value) -> Result<(), InvalidMetadata> {
    match value {
        Value::String(text) if text.contains('\0') => Err(InvalidMetadata::character()),
        Value::Number(number) if is_rounded(number) => Err(InvalidMetadata::number(name)),
        Value::Array(items) => items.iter().try_for_each(|item| check_value(name, item)),
        Value::Object(members) => check_values(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Whether a number may have lost digits when it was read: integers of 64 bits are kept exactly, larger ones become floats,
/// which count in steps of more than one from 2^53 on.
fn is_rounded(number: &Number) -> bool {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    !number.is_i64() && !number.is_u64() && number.as_f64().is_none_or(|float| float.abs() >= EXACT)
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
        return Err(InvalidMetadata::too_long());
    }
    let Ok(Value::Object(object)) = serde_json::from_str(text) else {
        return Err(InvalidMetadata::Form("metadata must be a JSON object".to_owned()));
    };
    check_values(&object)?;
    let mut keys = HashSet::new();
    let mut open: Vec<(usize, &Map<String, Value>)> = vec![(1, &object)];
    while let Some((depth, map)) = open.pop() {
        for (name, value) in map {
            keys.insert(std::ptr::from_ref(name));
            if has_forbidden_characters(name) {
                return Err(InvalidMetadata::character());
            }
            if depth > MAX_DEPTH {
                return Err(InvalidMetadata::Form(format!(
                    "metadata must be at most {MAX_DEPTH} levels deep"
                )));
            }
            if keys.len() > MAX_METADATA_KEYS {
                return Err(InvalidMetadata::Form(format!(
                    "metadata must have at most {MAX_METADATA_KEYS} names"
                )));
            }
            if let Value::Object(inner) = value {
                open.push((depth + 1, inner));
            }
        }
    }
    Ok(object)
}
