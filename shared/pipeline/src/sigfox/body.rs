//! Opens a body: undoes what relays do to it without changing its content.
//!
//! A body that begins like JSON is JSON, and everything else is text: a form, pairs or lines. The content type does not
//! count.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::error::VariableError;
use super::names::is_name;
use super::repair::repaired;
use super::value::plain;

/// The most layers of text in text: a relay adds one layer, and rarely are there two relays.
const MAX_LAYERS: usize = 4;

const BYTE_ORDER_MARK: &[u8] = "\u{FEFF}".as_bytes();

/// The content of a body.
#[derive(Debug)]
pub(super) enum Body {
    /// One JSON object, also as the only element of a list.
    Object(String),
    /// Several JSON objects: the elements of a list, or one after another. Each is a message of its own.
    Objects(Vec<String>),
    /// Anything else.
    Text(Vec<u8>),
}

impl Body {
    /// Opens a body.
    ///
    /// # Errors
    /// [`VariableError`] if the body begins like a JSON object without being one, or is in another encoding.
    pub(super) fn open(bytes: &[u8]) -> Result<Self, VariableError> {
        let mut text = trimmed(&decoded(bytes)?).to_vec();
        for _ in 0..MAX_LAYERS {
            match unwrapped(&text) {
                Some(inner) => text = trimmed(inner.as_bytes()).to_vec(),
                None => break,
            }
        }
        match text.first() {
            Some(b'{') if std::str::from_utf8(&text).is_err() => Err(VariableError::Encoding),
            Some(b'{') => objects(&text).map_err(VariableError::Json),
            Some(b'[') => Ok(objects(&text).unwrap_or(Self::Text(text))),
            _ => Ok(Self::Text(text)),
        }
    }

    /// The object, if there is one.
    pub(super) fn object(&self) -> Option<&str> {
        match self {
            Self::Object(object) => Some(object),
            Self::Objects(_) | Self::Text(_) => None,
        }
    }

    /// The text, if it is not JSON.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => std::str::from_utf8(text).ok(),
            Self::Object(_) | Self::Objects(_) => None,
        }
    }
}

/// Returns the objects of the only list of objects in an object, such as `{"messages": [{...}, {...}]}`.
pub(super) fn objects_inside(object: &str) -> Vec<String> {
    let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(object).unwrap_or_default();
    let mut lists = members.values().filter_map(|value| elements(value.get()));
    match (lists.next(), lists.next()) {
        (Some(only), None) => only,
        _ => Vec::new(),
    }
}

/// Returns the body as UTF-8. UTF-16 is recognised by its mark, or by the zero byte beside a first brace.
fn decoded(bytes: &[u8]) -> Result<Cow<'_, [u8]>, VariableError> {
    let (unit, rest): (fn([u8; 2]) -> u16, _) = match bytes {
        [0xFF, 0xFE, rest @ ..] => (u16::from_le_bytes, rest),
        [0xFE, 0xFF, rest @ ..] => (u16::from_be_bytes, rest),
        [b'{' | b'[', 0, ..] => (u16::from_le_bytes, bytes),
        [0, b'{' | b'[', ..] => (u16::from_be_bytes, bytes),
        _ => return Ok(Cow::Borrowed(bytes)),
    };
    let (units, odd) = rest.as_chunks();
    let units: Vec<u16> = units.iter().map(|&pair| unit(pair)).collect();
    match String::from_utf16(&units) {
        // A single zero at the end is the half of a zero character.
        Ok(text) if matches!(odd, [] | [0]) => Ok(Cow::Owned(text.into_bytes())),
        _ => Err(VariableError::Encoding),
    }
}

/// Removes byte order marks, white space and zero bytes around a text.
fn trimmed(mut text: &[u8]) -> &[u8] {
    loop {
        let before = text.len();
        text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_ascii();
        text = text.strip_prefix(b"\0").unwrap_or(text);
        text = text.strip_suffix(b"\0").unwrap_or(text);
        if text.len() == before {
            return text;
        }
    }
}

/// Returns the text in a text: of a JSON string, with or without the quotes around it, or percent-encoded.
fn unwrapped(text: &[u8]) -> Option<String> {
    match text {
        [b'"', ..] => serde_json::from_slice(text).ok(),
        [b'{', rest @ ..] if rest.trim_ascii_start().starts_with(b"\\\"") => {
            serde_json::from_slice(&[b"\"", text, b"\""].concat()).ok()
        }
        [b'{' | b'[', ..] => None,
        _ if text.contains(&b'%') => {
            let mut pairs = form_urlencoded::parse(text);
            let (name, value) = pairs.next()?;
            let json = name.trim_ascii_start().starts_with(['{', '[', '"']);
            let form = name.contains('=') && name.contains('&');
            ((json || form) && value.is_empty() && pairs.next().is_none()).then(|| name.into_owned())
        }
        _ => None,
    }
}

/// Parses JSON of one or more objects; if it is almost JSON, as [`repaired`]. The error is that of the text as it came.
fn objects(text: &[u8]) -> Result<Body, serde_json::Error> {
    let error = match several(text) {
        Ok(body) => return body.ok_or_else(|| serde::de::Error::custom("not an object")),
        Err(error) => error,
    };
    let repaired = std::str::from_utf8(text).map(repaired).unwrap_or_default();
    several(repaired.as_bytes()).ok().flatten().ok_or(error)
}

/// Parses JSON values one after another. Returns `None` if they are not objects.
fn several(text: &[u8]) -> Result<Option<Body>, serde_json::Error> {
    let values = serde_json::Deserializer::from_slice(text).into_iter::<&RawValue>().collect::<Result<Vec<_>, _>>()?;
    Ok(match values.as_slice() {
        [one] if one.get().starts_with('{') => Some(Body::Object(one.get().to_owned())),
        [one] => elements(one.get()).map(|mut elements| match elements.len() {
            1 => Body::Object(elements.remove(0)),
            _ => Body::Objects(elements),
        }),
        several if several.iter().all(|value| value.get().starts_with('{')) => {
            Some(Body::Objects(several.iter().map(|value| value.get().to_owned()).collect()))
        }
        _ => None,
    })
}

/// Returns the elements of a list of objects.
fn elements(list: &str) -> Option<Vec<String>> {
    if !list.starts_with('[') {
        return None;
    }
    let elements: Vec<&RawValue> = serde_json::from_str(list).ok()?;
    let objects = !elements.is_empty() && elements.iter().all(|element| element.get().starts_with('{'));
    objects.then(|| elements.iter().map(|element| element.get().to_owned()).collect())
}

/// Parses a text such as `device:1A2345; data:46; time:1795176000`, or with line breaks or commas between the pairs.
/// Returns `None` for a form, and for a text in which any piece is not a pair.
pub(super) fn pairs(text: &str) -> Option<Vec<(&str, &str)>> {
    if text.contains(['&', '%']) {
        return None;
    }
    [';', '\n', ','].into_iter().find_map(|separator| {
        let pieces = text.split(separator).map(str::trim).filter(|piece| !piece.is_empty());
        pieces.map(pair).collect::<Option<Vec<_>>>().filter(|pairs| pairs.len() > 1)
    })
}

fn pair(piece: &str) -> Option<(&str, &str)> {
    let (name, value) = piece.split_once([':', '=']).map(|(name, value)| (plain(name), value.trim()))?;
    (is_name(name) && !value.contains('\n')).then_some((name, value))
}
