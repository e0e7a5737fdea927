//! Packs in JSON (RFC 8428, section 5). `serde_json` limits the depth of nesting.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::number::Number;
use super::record::{Field, Record, label};
use super::{SenMlError, short};

pub(super) fn parse(frame: &[u8]) -> Result<Vec<Record>, SenMlError> {
    serde_json::from_slice(frame).map_err(|e| SenMlError::Json(short(&e.to_string())))
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

/// Reads a record. A derived implementation would not report the names of unknown fields.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let mut record = Record::default();
        while let Some(name) = map.next_key::<String>()? {
            if let Some(label) = label(&name) {
                record.set(label, field(label, map.next_value()?));
            } else {
                map.next_value::<IgnoredAny>()?;
                record.unknown(&name);
            }
        }
        Ok(record)
    }
}

fn field(label: &str, value: Value) -> Field {
    match value {
        Value::Number(number) => self::number(&number).map_or(Field::Other, Field::Number),
        Value::String(text) if label == "vd" => BASE64_URL_SAFE_NO_PAD.decode(text).map_or(Field::Other, Field::Data),
        Value::String(text) => Field::Text(text),
        Value::Bool(flag) => Field::Flag(flag),
        _ => Field::Other,
    }
}

fn number(number: &serde_json::Number) -> Option<Number> {
    let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    whole.map(Number::Int).or_else(|| Number::float(number.as_f64()?))
}
