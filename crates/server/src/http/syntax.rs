//! The syntax of bodies: strict JSON, and forms as the Swift SDK sends them.

use std::collections::HashMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why a body cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(String);

const NUL: &str = "texts must not contain NUL";

/// The fields of a form body (`application/x-www-form-urlencoded`). The Swift SDK escapes nothing but `+`:
/// pairs are split at `&` alone, at the first `=`, `;` is a plain character, a `%` that begins no escape is
/// text, `+` is a space, and a name without `=` has the empty value.
pub(super) fn form(body: &[u8], most: usize) -> Result<HashMap<String, Value>, Malformed> {
    let mut fields = HashMap::new();
    for pair in body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
        let (name, value) = match pair.iter().position(|b| *b == b'=') {
            Some(at) => (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default()),
            None => (pair, &[][..]),
        };
        if fields.len() >= most {
            return Err(Malformed(format!("a form must have at most {most} fields")));
        }
        let name = unescape(name)?;
        if fields.insert(name.clone(), Value::String(unescape(value)?)).is_some() {
            return Err(Malformed("a form must not have a field twice".to_owned()));
        }
    }
    Ok(fields)
}

fn unescape(text: &[u8]) -> Result<String, Malformed> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => match escaped(after) {
                Some(byte) => {
                    bytes.push(byte);
                    rest = after.get(2..).unwrap_or_default();
                }
                None => bytes.push(b'%'),
            },
            other => bytes.push(*other),
        }
    }
    // Some clients escape nothing, so "50%cash" arrives unescaped: text that is not UTF-8 after unescaping is kept as
    // sent.
    let text = String::from_utf8(bytes).or_else(|_| {
        let sent = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte });
        String::from_utf8(sent.collect()).map_err(|_| Malformed("a form must be UTF-8".to_owned()))
    });
    clean(text?)
}

fn escaped(after: &[u8]) -> Option<u8> {
    let digit = |at: usize| after.get(at).and_then(|b| char::from(*b).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

fn clean(text: String) -> Result<String, Malformed> {
    if text.contains('\0') { Err(Malformed(NUL.to_owned())) } else { Ok(text) }
}

/// The fields of a JSON body: an object; a list has no fields. Refuses duplicate names at any depth, NUL in any text,
/// too much nesting, lone surrogates, and anything after the value.
pub(super) fn json(body: &[u8], most_depth: usize) -> Result<HashMap<String, Value>, Malformed> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(HashMap::new());
    }
    let invalid = |error: serde_json::Error| Malformed(format!("the body is not valid JSON: {error}"));
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Strict { depth: most_depth }.deserialize(&mut deserializer).map_err(invalid)?;
    deserializer.end().map_err(invalid)?;
    match value {
        Value::Object(fields) => Ok(fields.into_iter().collect()),
        Value::Array(_) => Ok(HashMap::new()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(Malformed("the body must be a JSON object".to_owned()))
        }
    }
}

/// Reads a value of at most this depth.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn inner<E: de::Error>(self) -> Result<Self, E> {
        self.depth.checked_sub(1).map(|depth| Self { depth }).ok_or_else(|| E::custom("too many levels"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        clean(value.to_owned()).map(Value::String).map_err(E::custom)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let name = clean(name).map_err(de::Error::custom)?;
            let value = entries.next_value_seed(inner)?;
            if map.insert(name, value).is_some() {
                return Err(de::Error::custom("duplicate name"));
            }
        }
        Ok(Value::Object(map))
    }
}

/// Parses one JSON value as strictly as a body: bounded depth, no duplicate names, no NUL.
pub(crate) fn value(text: &str, depth: usize) -> Result<Value, Malformed> {
    let invalid = || Malformed("a value must be one JSON value".to_owned());
    let wrapped = format!("{{\"value\":{text}}}");
    let mut found = json(wrapped.as_bytes(), depth + 1)?;
    // A text that closes the object itself would bring more than one member.
    if found.len() == 1 { found.remove("value").ok_or_else(invalid) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form_field(body: &str, name: &str) -> Option<String> {
        form(body.as_bytes(), 1_000).unwrap().get(name).and_then(Value::as_str).map(str::to_owned)
    }

    #[test]
    fn forms_are_read_as_the_swift_sdk_sends_them() {
        let body = "handle=a%2Bb@example.com&password=482c&metaData={\"user_data\":{\"name\":\"A; B = 100% ü\"}}&locale";
        assert_eq!(form_field(body, "handle").unwrap(), "a+b@example.com");
        assert_eq!(form_field(body, "metaData").unwrap(), "{\"user_data\":{\"name\":\"A; B = 100% ü\"}}");
        assert_eq!(form_field(body, "locale").unwrap(), "");
        assert_eq!(form_field("a=1+2&b=%zz%4", "a").unwrap(), "1 2");
        assert_eq!(form_field("a=1+2&b=%zz%4", "b").unwrap(), "%zz%4");
    }

    #[test]
    fn sec_079_a_field_that_stands_twice_is_refused() {
        assert!(form(b"handle=a&handle=b", 1_000).is_err());
        assert!(form(b"handle=a&h%61ndle=b", 1_000).is_err());
        assert!(json(br#"{"handle":"a","handle":"b"}"#, 32).is_err());
        assert!(json(br#"{"handle":"a","h\u0061ndle":"b"}"#, 32).is_err());
        assert!(json(br#"{"a":{"b":1,"b":2}}"#, 32).is_err());
    }

    #[test]
    fn sec_080_nul_and_lone_surrogates_never_pass() {
        for body in [r#"{"a":"\u0000"}"#, r#"{"\u0000":1}"#, r#"{"a":["\u0000"]}"#, r#"{"a":"\ud800"}"#] {
            assert!(json(body.as_bytes(), 32).is_err(), "{body}");
        }
        for body in [&b"a=%00"[..], b"a=\0", b"a=\xff", b"a=%ff\xff", b"a=%ff\0", b"%00=a"] {
            assert!(form(body, 1_000).is_err(), "{body:?}");
        }
        for (body, text) in [("a=50%cash+x", "50%cash x"), ("a=%ED%A0%80", "%ED%A0%80"), ("a=%ff", "%ff")] {
            assert_eq!(form(body.as_bytes(), 1_000).unwrap()["a"], text);
        }
    }

    #[test]
    fn sec_078_depth_and_number_of_fields_are_bounded() {
        let deep = |n: usize| format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n));
        assert!(json(deep(32).as_bytes(), 32).is_ok());
        assert!(json(deep(33).as_bytes(), 32).is_err());
        let many = |n: usize| (0..n).map(|i| format!("f{i}=1")).collect::<Vec<_>>().join("&");
        assert!(form(many(1_000).as_bytes(), 1_000).is_ok());
        assert!(form(many(1_001).as_bytes(), 1_000).is_err());
    }

    #[test]
    fn a_text_of_json_is_read_as_strictly_as_a_body() {
        assert_eq!(value("{\"a\":[1]}", 8), Ok(serde_json::json!({"a": [1]})));
        let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(value(&deep(8), 8).is_ok() && value(&deep(9), 8).is_err());
        for text in ["", "1,\"b\":2", "1}", "{\"a\":1,\"a\":2}", "\"\\u0000\"", "x"] {
            assert!(value(text, 8).is_err(), "{text}");
        }
    }

    #[test]
    fn only_an_object_or_a_list_is_a_json_body() {
        assert_eq!(json(b"[1]", 32), Ok(HashMap::new()));
        assert_eq!(json(b" ", 32), Ok(HashMap::new()));
        for body in ["1", "\"a\"", "null", "{", "{}x", "{'a':1}", "NaN", r#"{"a":1e999}"#] {
            assert!(json(body.as_bytes(), 32).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn nonsense_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (form(&body, 1_000), json(&body, 32));
        }

        #[test]
        fn plain_text_survives_a_form_unescaped(value in "[^&%+\\x00]{0,40}") {
            let body = format!("x={value}");
            let fields = form(body.as_bytes(), 1_000).unwrap();
            prop_assert_eq!(fields["x"].as_str().unwrap(), value);
        }
    }
}
