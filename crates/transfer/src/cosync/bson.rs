//! Documents of a BSON file, one after another, with memory for one of them.

use std::io::Read;

use bson::raw::{RawBsonRef, RawDocument, RawDocumentBuf};
use serde_json::{Map, Value, json};

/// The largest document that is taken, in bytes: far more than what an old server keeps in one.
const LARGEST: usize = 1024 * 1024;
/// How deep documents may lie in one another.
const DEEPEST: usize = 64;

/// A document's members, and its length in bytes.
type Measured = (usize, Map<String, Value>);

/// Reads the next document; none at the end.
pub(super) fn next(from: &mut impl Read) -> Result<Option<Measured>, String> {
    let mut length = [0; 4];
    let mut read = 0;
    while read < 4 {
        let rest = length.get_mut(read..).unwrap_or_default();
        match from.read(rest).map_err(|error| error.to_string())? {
            0 if read == 0 => return Ok(None),
            0 => return Err("the file is cut off".to_owned()),
            more => read += more,
        }
    }
    let size = usize::try_from(i32::from_le_bytes(length)).unwrap_or(0);
    if (LARGEST + 1..=16 * 1024 * 1024).contains(&size) {
        return Err(format!("a document of {size} bytes: at most {LARGEST} are taken"));
    }
    if !(5..=LARGEST).contains(&size) {
        return Err("this is no BSON: a document has no such length".to_owned());
    }
    // Not allocated at once: the announced length may be wrong.
    let mut bytes = length.to_vec();
    let rest = u64::try_from(size - 4).unwrap_or(0);
    from.take(rest).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() != size {
        return Err("the file is cut off".to_owned());
    }
    let document = RawDocumentBuf::from_bytes(bytes).map_err(|error| format!("this is no BSON: {error}"))?;
    Ok(Some((size, members(&document, 0)?)))
}

fn members(document: &RawDocument, depth: usize) -> Result<Map<String, Value>, String> {
    if depth > DEEPEST {
        return Err(format!("documents lie more than {DEEPEST} deep in one another"));
    }
    let mut found = Map::new();
    for member in document {
        let (name, value) = member.map_err(|error| format!("this is no BSON: {error}"))?;
        found.insert(name.as_str().to_owned(), value_of(value, depth + 1)?);
    }
    Ok(found)
}

/// A value in the form that `mongoexport` writes it in.
fn value_of(value: RawBsonRef<'_>, depth: usize) -> Result<Value, String> {
    Ok(match value {
        RawBsonRef::String(text) => text.into(),
        RawBsonRef::Boolean(flag) => flag.into(),
        RawBsonRef::Int32(number) => number.into(),
        RawBsonRef::Int64(number) => number.into(),
        RawBsonRef::Double(number) if number.is_finite() => number.into(),
        RawBsonRef::Double(number) => json!({"$numberDouble": number.to_string()}),
        RawBsonRef::Decimal128(number) => json!({"$numberDecimal": number.to_string()}),
        RawBsonRef::Null => Value::Null,
        RawBsonRef::Document(document) => Value::Object(members(document, depth)?),
        RawBsonRef::Array(items) => {
            if depth > DEEPEST {
                return Err(format!("lists lie more than {DEEPEST} deep in one another"));
            }
            let mut list = Vec::new();
            for item in items {
                list.push(value_of(item.map_err(|error| format!("this is no BSON: {error}"))?, depth + 1)?);
            }
            Value::Array(list)
        }
        RawBsonRef::ObjectId(id) => json!({"$oid": id.to_hex()}),
        RawBsonRef::DateTime(time) => json!({"$date": time.timestamp_millis()}),
        // Types without a JSON value: a reader that asks for such a member reports it.
        RawBsonRef::Binary(_) => json!({"$binary": null}),
        other => json!({format!("${:?}", other.element_type()): null}),
    })
}

#[cfg(test)]
mod tests {
    use bson::{doc, oid::ObjectId};

    use super::*;

    #[test]
    fn documents_are_read_one_by_one() {
        let id = ObjectId::parse_str("0123456789abcdef01234567").unwrap();
        let time = bson::DateTime::from_millis(1_700_000_000_000);
        let mut bytes = Vec::new();
        for n in 0..2 {
            let document = doc! {"_id": id, "n": n, "at": time, "in": {"a": [1_i64, 2.5, true, "x"]}};
            document.to_writer(&mut bytes).unwrap();
        }
        let mut from = bytes.as_slice();
        let (_, first) = next(&mut from).unwrap().unwrap();
        assert_eq!(
            Value::Object(first),
            json!({
                "_id": {"$oid": "0123456789abcdef01234567"}, "n": 0, "at": {"$date": 1_700_000_000_000_i64},
                "in": {"a": [1, 2.5, true, "x"]},
            })
        );
        assert_eq!(next(&mut from).unwrap().unwrap().1["n"], 1);
        assert!(next(&mut from).unwrap().is_none());
    }

    #[test]
    fn what_is_no_bson_is_told() {
        let wrong = |bytes: &[u8]| next(&mut &*bytes).unwrap_err();
        assert!(wrong(b"PK").contains("cut off"));
        assert!(wrong(b"{\"a\":1}").contains("no BSON"));
        assert!(wrong(&[0xff; 64]).contains("no BSON"));
        assert!(wrong(&[64, 0, 0, 0, 1]).contains("cut off"));
        assert!(wrong(&[5, 0, 0, 0, 1]).contains("no BSON"));
        let mut deep = doc! {};
        for _ in 0..200 {
            deep = doc! {"a": deep};
        }
        let mut bytes = Vec::new();
        deep.to_writer(&mut bytes).unwrap();
        assert!(wrong(&bytes).contains("deep"));
    }
}
