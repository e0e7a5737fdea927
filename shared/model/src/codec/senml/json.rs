//! Packs in JSON (RFC 8428, section 5). `serde_json` limits the depth of nesting.
//!
//! A text may have a byte order mark before it, and white space and control characters around it: the zero that ends a
//! text in C, the rest of a buffer, the Ctrl-Z that ends a message to a modem. A text that is JSON itself, because it
//! was encoded twice, is decoded twice.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::number::Number;
use super::record::{Field, Record, label};
use super::{SenMlError, short};

/// Data without padding (section 5), and with it, as some encoders write it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads records until the end, or until the first error.
pub(super) fn parse(frame: &[u8], records: &mut Vec<Record>) -> Result<(), SenMlError> {
    let text = plain(frame);
    if [b"\xff\xfe", b"\xfe\xff", b"[\0", b"\0["].into_iter().any(|start| text.starts_with(start)) {
        return Err(SenMlError::Json("the text is in UTF-16, and has to be in UTF-8".to_owned()));
    }
    let pack = if text.starts_with(b"\"") {
        let inner: String = serde_json::from_slice(text).map_err(|e| wrong(&e))?;
        self::pack(plain(inner.as_bytes()), records)
    } else {
        self::pack(text, records)
    };
    pack.map_err(|e| wrong(&e))
}

fn wrong(error: &serde_json::Error) -> SenMlError {
    SenMlError::Json(short(&error.to_string()))
}

/// The text without what may be around it.
fn plain(text: &[u8]) -> &[u8] {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let is_text = |byte: &u8| *byte > b' ';
    let (start, end) = (text.iter().position(is_text), text.iter().rposition(is_text));
    start.zip(end).map_or(&[], |(start, end)| &text[start..=end])
}

fn pack(text: &[u8], records: &mut Vec<Record>) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    deserializer.deserialize_seq(Pack(records))?;
    deserializer.end()
}

/// Reads a pack. A derived implementation would return no record of a pack that goes wrong later.
struct Pack<'a>(&'a mut Vec<Record>);

impl<'de> Visitor<'de> for Pack<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pack: A) -> Result<(), A::Error> {
        while let Some(record) = pack.next_element()? {
            self.0.push(record);
        }
        Ok(())
    }
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
                record.set_unknown(&name);
            }
        }
        Ok(record)
    }
}

fn field(label: &str, value: Value) -> Field {
    match value {
        Value::Number(number) => self::number(&number).map_or(Field::Other, Field::Number),
        Value::String(text) if label == "vd" => BASE64.decode(text).map_or(Field::Other, Field::Data),
        Value::String(text) => Field::Text(text),
        Value::Bool(flag) => Field::Flag(flag),
        _ => Field::Other,
    }
}

fn number(number: &serde_json::Number) -> Option<Number> {
    let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    whole.map(Number::Int).or_else(|| Number::float(number.as_f64()?))
}
