//! A record as it is written, before base fields are applied.

use super::number::Number;
use super::{SenMlError, short};

/// The labels, with their numbers in CBOR (RFC 8428, table 4).
const LABELS: [(&str, i64); 15] = [
    ("bver", -1),
    ("bn", -2),
    ("bt", -3),
    ("bu", -4),
    ("bv", -5),
    ("bs", -6),
    ("n", 0),
    ("u", 1),
    ("v", 2),
    ("vs", 3),
    ("vb", 4),
    ("s", 5),
    ("t", 6),
    ("ut", 7),
    ("vd", 8),
];

/// The label of that name.
pub(super) fn label(name: &str) -> Option<&'static str> {
    LABELS.iter().map(|&(label, _)| label).find(|label| *label == name)
}

/// The label of that number in CBOR.
pub(super) fn numbered_label(number: i64) -> Option<&'static str> {
    LABELS.iter().find(|&&(_, of)| of == number).map(|&(label, _)| label)
}

/// A value of a field.
#[derive(Debug, PartialEq)]
pub(super) enum Field {
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A Boolean.
    Flag(bool),
    /// Octets.
    Data(Vec<u8>),
    /// Any other type.
    Other,
}

/// A record.
#[derive(Debug, PartialEq, Default)]
pub(super) struct Record {
    pub(super) version: Option<Number>,
    pub(super) base_name: Option<String>,
    pub(super) base_time: Option<Number>,
    pub(super) base_unit: Option<String>,
    pub(super) base_value: Option<Number>,
    pub(super) base_sum: Option<Number>,
    pub(super) name: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) value: Option<Number>,
    pub(super) text: Option<String>,
    pub(super) flag: Option<bool>,
    pub(super) data: Option<Vec<u8>>,
    pub(super) sum: Option<Number>,
    pub(super) time: Option<Number>,
    pub(super) update_time: Option<Number>,
    /// True if it has a field that is not known.
    pub(super) unknown: bool,
    /// The first error in its base fields, or in a field that has to be understood. Decoding the pack fails with it;
    /// identifying its meters does not.
    pub(super) wrong: Option<SenMlError>,
    /// The first error in its other fields.
    pub(super) wrong_own: Option<SenMlError>,
}

impl Record {
    /// Sets a field.
    pub(super) fn set(&mut self, label: &'static str, field: Field) {
        let result = match (label, field) {
            ("bver", Field::Number(number)) => put(&mut self.version, number, label),
            ("bn", Field::Text(text)) => put(&mut self.base_name, text, label),
            ("bt", Field::Number(number)) => put(&mut self.base_time, number, label),
            ("bu", Field::Text(text)) => put(&mut self.base_unit, text, label),
            ("bv", Field::Number(number)) => put(&mut self.base_value, number, label),
            ("bs", Field::Number(number)) => put(&mut self.base_sum, number, label),
            ("n", Field::Text(text)) => put(&mut self.name, text, label),
            ("u", Field::Text(text)) => put(&mut self.unit, text, label),
            ("v", Field::Number(number)) => put(&mut self.value, number, label),
            ("vs", Field::Text(text)) => put(&mut self.text, text, label),
            ("vb", Field::Flag(flag)) => put(&mut self.flag, flag, label),
            ("vd", Field::Data(data)) => put(&mut self.data, data, label),
            ("s", Field::Number(number)) => put(&mut self.sum, number, label),
            ("t", Field::Number(number)) => put(&mut self.time, number, label),
            ("ut", Field::Number(number)) => put(&mut self.update_time, number, label),
            _ => Err(SenMlError::Type(label)),
        };
        if let Err(wrong) = result {
            let place = if label.starts_with('b') { &mut self.wrong } else { &mut self.wrong_own };
            place.get_or_insert(wrong);
        }
    }

    /// Handles an unknown field. It is ignored, unless its name ends with `_`, which means that it must be understood
    /// (section 4.4). The number of a label as a text is no unknown field, but a known one in a wrong form.
    pub(super) fn set_unknown(&mut self, name: &str) {
        self.unknown = true;
        if name.ends_with('_') {
            self.wrong.get_or_insert(SenMlError::NotUnderstood(short(name)));
        } else if name.parse().ok().and_then(numbered_label).is_some() {
            self.wrong.get_or_insert(SenMlError::NumberAsText(short(name)));
        }
    }

    /// True if it has base fields only, which apply to the records after it. A record of unknown fields is something
    /// else, in a form that is not RFC 8428's.
    pub(super) fn is_base_only(&self) -> bool {
        let base =
            [self.version.is_some(), self.base_time.is_some(), self.base_value.is_some(), self.base_sum.is_some()];
        let is_base = self.base_name.is_some() || self.base_unit.is_some() || base.contains(&true);
        let regular = [self.name.is_some(), self.unit.is_some(), self.time.is_some(), self.update_time.is_some()];
        let is_regular = self.values() > 0 || self.sum.is_some() || regular.contains(&true);
        is_base && !is_regular && !self.unknown
    }

    /// The number of its value fields.
    pub(super) fn values(&self) -> usize {
        let values = [self.value.is_some(), self.text.is_some(), self.flag.is_some(), self.data.is_some()];
        values.into_iter().filter(|&is_there| is_there).count()
    }
}

fn put<T>(place: &mut Option<T>, value: T, label: &'static str) -> Result<(), SenMlError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(SenMlError::Twice(label)),
    }
}
