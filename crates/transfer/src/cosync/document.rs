//! Reads a document field by field. Values have the forms of MongoDB's extended JSON, old and new.

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// A document of a dump.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document(Map<String, Value>);

impl Document {
    /// A document with these members.
    #[must_use]
    pub fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// Whether the document has a field of this name, even an empty one.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A value of any type. `None` if the field is missing or null.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.get(name)
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text; none where there is nothing, or the empty text.
    ///
    /// # Errors
    /// When it is something else. Numbers are taken as text.
    pub fn text(&self, name: &str) -> Result<Option<String>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(value) => match (oid(value), number(value)) {
                (Some(id), _) => Ok(Some(id.to_owned())),
                (None, Some(number)) => Ok(Some(number.to_string())),
                (None, None) => Err(format!("{name} is no text")),
            },
        }
    }

    /// A flag; none is false.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(&self, name: &str) -> Result<bool, String> {
        self.flag_or(name, false)
    }

    /// A flag, with the value of an absent one.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag_or(&self, name: &str, otherwise: bool) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(otherwise),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
            Some(Value::String(text)) if text.is_empty() => Ok(otherwise),
            Some(_) => Err(format!("{name} is not true or false")),
        }
    }

    /// A whole number, or its digits; none where there is nothing.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number(&self, name: &str) -> Result<Option<i64>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => {
                text.trim().parse().map(Some).map_err(|_| format!("{name} is no number"))
            }
            Some(value) => number(value).map(Some).ok_or_else(|| format!("{name} is no number")),
        }
    }

    /// A moment; none where there is nothing.
    ///
    /// # Errors
    /// When it is something else.
    pub fn time(&self, name: &str) -> Result<Option<OffsetDateTime>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if value.as_str().is_some_and(str::is_empty) {
            return Ok(None);
        }
        moment(value).map(Some).ok_or_else(|| format!("{name} is no time"))
    }

    /// When MongoDB made the document's id, which begins with the seconds since 1970.
    #[must_use]
    pub fn time_of_id(&self) -> Option<OffsetDateTime> {
        let seconds = oid(self.get("_id")?)?.get(..8)?;
        OffsetDateTime::from_unix_timestamp(i64::from_str_radix(seconds, 16).ok()?).ok()
    }

    /// An object with plain values; empty if absent. `lost` receives values without a JSON form.
    ///
    /// # Errors
    /// When it is something else.
    pub fn object(&self, name: &str, lost: &mut Vec<String>) -> Result<Map<String, Value>, String> {
        match self.get(name) {
            None => Ok(Map::new()),
            Some(Value::Object(members)) => Ok(plain_members(members, name, lost)),
            Some(_) => Err(format!("{name} is no object")),
        }
    }

    /// A list of documents; empty if absent.
    ///
    /// # Errors
    /// When it is something else.
    pub fn documents(&self, name: &str) -> Result<Vec<Self>, String> {
        let wrong = || format!("{name} is no list of objects");
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_object().cloned().map(Self).ok_or_else(wrong)).collect()
            }
            Some(_) => Err(wrong()),
        }
    }

    /// A list of texts; empty if absent.
    ///
    /// # Errors
    /// When it is something else.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let wrong = || format!("{name} is no list of texts");
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
            }
            // As a CSV file has it.
            Some(Value::String(text)) => Ok(text.split(',').map(|part| part.trim().to_owned()).collect()),
            Some(_) => Err(wrong()),
        }
    }

    /// The same, with another value for one field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }
}

fn only<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let members = value.as_object()?;
    if members.len() == 1 { members.get(name) } else { None }
}

fn oid(value: &Value) -> Option<&str> {
    only(value, "$oid")?.as_str()
}

fn number(value: &Value) -> Option<i64> {
    let whole = |number: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within the range")]
        (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
    };
    if let Some(number) = value.as_i64() {
        return Some(number);
    }
    if let Some(number) = value.as_f64() {
        return whole(number);
    }
    let text =
        ["$numberInt", "$numberLong", "$numberDouble"].iter().find_map(|name| only(value, name))?.as_str()?;
    text.parse().ok().or_else(|| whole(text.parse().ok()?))
}

fn moment(value: &Value) -> Option<OffsetDateTime> {
    any_moment(value).filter(|time| (1970..=9998).contains(&time.year()))
}

fn any_moment(value: &Value) -> Option<OffsetDateTime> {
    let inner = only(value, "$date").unwrap_or(value);
    match inner {
        Value::String(text) => OffsetDateTime::parse(text, &Rfc3339).ok().or_else(|| of_javascript(text)),
        other => OffsetDateTime::from_unix_timestamp_nanos(i128::from(number(other)?) * 1_000_000).ok(),
    }
}

/// A time as JavaScript writes it: `Tue Nov 24 2026 19:54:27 GMT+0000 (Coordinated Universal Time)`.
fn of_javascript(text: &str) -> Option<OffsetDateTime> {
    let form = format_description!(
        "[weekday repr:short] [month repr:short] [day] [year] [hour]:[minute]:[second] GMT[offset_hour sign:mandatory][offset_minute]"
    );
    OffsetDateTime::parse(text.split(" (").next()?.trim(), form).ok()
}

/// A value without MongoDB's own forms. Decimals become exact texts; values without a JSON form are dropped and passed
/// to
/// `lost`.
fn plain(value: &Value, path: &str, lost: &mut Vec<String>) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| plain(item, path, lost)).collect(),
        Value::Object(members) => match members.iter().next().filter(|_| members.len() == 1) {
            Some((name, inner)) if name.starts_with('$') => {
                own_form(value, name, inner).unwrap_or_else(|| {
                    lost.push(format!("{path}: JSON has no value of the kind {name}"));
                    Value::Null
                })
            }
            _ => Value::Object(plain_members(members, path, lost)),
        },
        other => other.clone(),
    }
}

fn plain_members(members: &Map<String, Value>, path: &str, lost: &mut Vec<String>) -> Map<String, Value> {
    let plain =
        |(name, value): (&String, &Value)| (name.clone(), plain(value, &format!("{path}.{name}"), lost));
    members.iter().map(plain).collect()
}

/// The value of one of MongoDB's own forms, if JSON has one.
fn own_form(value: &Value, name: &str, inner: &Value) -> Option<Value> {
    match name {
        "$oid" | "$numberDecimal" => inner.as_str().map(Value::from),
        "$date" => any_moment(value)?.format(&Rfc3339).ok().map(Value::from),
        "$numberInt" | "$numberLong" => number(value).map(Value::from),
        "$numberDouble" => match number(value) {
            Some(whole) => Some(whole.into()),
            None => serde_json::Number::from_f64(inner.as_str()?.parse().ok()?).map(Value::Number),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_have_their_forms_old_and_new() {
        let Value::Object(members) = json!({
            "id": {"$oid": "0123456789abcdef01234567"}, "n": {"$numberInt": "7"}, "m": {"$numberLong": "8"}, "f": 9.0,
            "digits": "10", "old": {"$date": 1_700_000_000_000_i64}, "iso": {"$date": "2023-11-14T22:13:20Z"},
            "long": {"$date": {"$numberLong": "1700000000000"}}, "on": true, "off": "false", "empty": "", "no": null,
            "meta": {"a": {"$numberInt": "1"}, "b": [{"$date": 0}], "c": {"d": "x"}, "old": {"$date": {"$numberLong": "-86400000"}},
                "half": {"$numberDouble": "1.5"}, "exact": {"$numberDecimal": "2.50"}, "nan": {"$numberDouble": "NaN"},
                "in": {"blob": {"$binary": {"base64": "AA==", "subType": "00"}}}, "none": null}, "list": [{"path": "x"}],
            "wrong": [1], "js": "Tue Nov 14 2023 22:13:20 GMT+0000 (Coordinated Universal Time)", "comma": "EN,FR",
        }) else {
            panic!("an object")
        };
        let found = Document::new(members);
        assert_eq!(found.text("id").unwrap().unwrap(), "0123456789abcdef01234567");
        assert_eq!(["n", "m", "f", "digits"].map(|name| found.number(name).unwrap().unwrap()), [7, 8, 9, 10]);
        for name in ["old", "iso", "long", "js"] {
            assert_eq!(found.time(name).unwrap().unwrap().unix_timestamp(), 1_700_000_000, "{name}");
        }
        assert_eq!(
            (found.flag("on"), found.flag("off"), found.flag_or("no", true)),
            (Ok(true), Ok(false), Ok(true))
        );
        for nothing in ["empty", "no", "absent"] {
            assert_eq!(
                (found.text(nothing), found.number(nothing), found.time(nothing)),
                (Ok(None), Ok(None), Ok(None))
            );
        }
        let mut lost = Vec::new();
        assert_eq!(
            Value::Object(found.object("meta", &mut lost).unwrap()),
            json!({"a": 1, "b": ["1970-01-01T00:00:00Z"], "c": {"d": "x"}, "old": "1969-12-31T00:00:00Z", "half": 1.5,
                "exact": "2.50", "nan": null, "in": {"blob": null}, "none": null})
        );
        lost.sort();
        assert_eq!(
            lost,
            [
                "meta.in.blob: JSON has no value of the kind $binary",
                "meta.nan: JSON has no value of the kind $numberDouble"
            ]
        );
        assert_eq!(found.time_of_id(), None);
        let with_id = Document::default().with("_id", "x");
        assert_eq!(with_id.time_of_id(), None);
        let Value::Object(members) = json!({"_id": {"$oid": "6553f10060000000000000ab"}}) else { panic!() };
        assert_eq!(Document::new(members).time_of_id().unwrap().unix_timestamp(), 1_700_000_000);
        assert_eq!(found.documents("list").unwrap()[0].text("path").unwrap().unwrap(), "x");
        assert!(found.text("meta").is_err() && found.number("meta").is_err() && found.time("meta").is_err());
        assert!(
            found.documents("wrong").is_err()
                && found.texts("wrong").is_err()
                && found.object("wrong", &mut Vec::new()).is_err()
        );
        assert!(found.flag("n").is_err());
        assert_eq!(found.texts("comma").unwrap(), ["EN", "FR"]);
    }
}
