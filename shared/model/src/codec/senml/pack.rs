//! Resolves the records of a pack: applies its base fields (RFC 8428, sections 4.1 to 4.6).

use super::number::Number;
use super::record::Record;
use super::{SenMlError, short};
use crate::at::At;

/// The version of RFC 8428, and of a pack without one. Later versions have another structure.
const VERSION: i128 = 10;

/// Times from this number on are absolute, 1978 and later; smaller ones are relative to now (section 4.5.3).
const ABSOLUTE: i128 = 1 << 28;

/// The maximum number of records. Records, names and units are limited because base fields expand a few bytes into
/// many, and the item must stay below the 400 KB that DynamoDB accepts. A day of counts at intervals of three minutes
/// has 480 records.
const MAX_RECORDS: usize = 512;

/// See [`MAX_RECORDS`].
const MAX_NAME: usize = 128;

/// See [`MAX_RECORDS`]. The longest registered unit has 8 characters.
const MAX_UNIT: usize = 32;

/// A resolved pack.
#[derive(Debug)]
pub(super) struct Pack {
    /// The base name of its first record, empty if it has none.
    pub(super) base_name: String,
    /// The measurements of its records, in order.
    pub(super) measurements: Vec<Measurement>,
}

/// The measurement of a record.
#[derive(Debug)]
pub(super) struct Measurement {
    /// The name, without the pack's base name.
    pub(super) name: String,
    pub(super) unit: Option<String>,
    pub(super) value: Option<Measured>,
    /// The base value and the record's own value, if they are numbers.
    pub(super) parts: [Option<Number>; 2],
    pub(super) sum: Option<Number>,
    pub(super) time: Time,
    pub(super) update_time: Option<Number>,
}

/// A value.
#[derive(Debug)]
pub(super) enum Measured {
    Number(Number),
    Text(String),
    Flag(bool),
    Data(Vec<u8>),
}

/// The time of a measurement, to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    Absolute(At),
    /// Seconds from now; negative in the past.
    Relative(i64),
}

impl Pack {
    /// The time that the pack has by the device's own clock: its latest time. `None` if any is relative to now, which may
    /// be later.
    pub(super) fn clock(&self) -> Option<At> {
        let absolute = |measurement: &Measurement| match measurement.time {
            Time::Absolute(at) => Some(at),
            Time::Relative(_) => None,
        };
        let times: Option<Vec<At>> = self.measurements.iter().map(absolute).collect();
        times?.into_iter().max()
    }
}

/// Applies the base fields.
pub(super) fn resolve(records: Vec<Record>) -> Result<Pack, SenMlError> {
    if records.len() > MAX_RECORDS {
        return Err(SenMlError::Bounds("the number of records"));
    }
    let first = records.first().ok_or(SenMlError::Empty)?;
    let base_name = first.base_name.clone().unwrap_or_default();
    let version = first.version.unwrap_or(Number::Int(VERSION));
    let mut base = Base::default();
    let mut measurements = Vec::new();
    for mut record in records {
        if let Some(wrong) = record.wrong.take() {
            return Err(wrong);
        }
        check_version(version, record.version.unwrap_or(version))?;
        base.take(&mut record);
        if !record.is_base_only() {
            measurements.push(base.measurement(record, &base_name)?);
        }
    }
    Ok(Pack { base_name, measurements })
}

fn check_version(version: Number, of_record: Number) -> Result<(), SenMlError> {
    match of_record.whole() {
        Some(1..=VERSION) if of_record.whole() == version.whole() => Ok(()),
        _ => Err(SenMlError::Version(of_record.to_string())),
    }
}

/// The base fields that apply to a record.
#[derive(Default)]
struct Base {
    name: String,
    time: Option<Number>,
    unit: Option<String>,
    value: Option<Number>,
    sum: Option<Number>,
}

impl Base {
    fn take(&mut self, record: &mut Record) {
        if let Some(name) = record.base_name.take() {
            self.name = name;
        }
        self.time = record.base_time.or(self.time);
        self.unit = record.base_unit.take().or(self.unit.take());
        self.value = record.base_value.or(self.value);
        self.sum = record.base_sum.or(self.sum);
    }

    fn measurement(&self, record: Record, pack: &str) -> Result<Measurement, SenMlError> {
        let name = self.name.clone() + record.name.as_deref().unwrap_or_default();
        check_name(&name)?;
        if record.values() > 1 || (record.values() == 0 && record.sum.is_none()) {
            return Err(SenMlError::NotOneValue(short(&name)));
        }
        let is_number = record.value.is_some() || record.sum.is_some();
        let parts = if record.value.is_some() { [self.value, record.value] } else { [None; 2] };
        let value = match record.value {
            Some(value) => plus(self.value, Some(value), "a value")?.map(Measured::Number),
            None => {
                record.text.map(Measured::Text).or(record.flag.map(Measured::Flag)).or(record.data.map(Measured::Data))
            }
        };
        // The base unit applies to numbers only.
        let unit = record.unit.or_else(|| self.unit.clone().filter(|_| is_number));
        if unit.as_ref().is_some_and(|unit| unit.len() > MAX_UNIT) {
            return Err(SenMlError::Bounds("a unit"));
        }
        Ok(Measurement {
            name: name.strip_prefix(pack).unwrap_or(&name).to_owned(),
            unit,
            value,
            parts,
            sum: plus(self.sum.filter(|_| is_number), record.sum, "a sum")?,
            time: time(plus(self.time, record.time, "a time")?.unwrap_or(Number::Int(0)))?,
            update_time: record.update_time,
        })
    }
}

/// Adds two numbers. A missing one counts as zero; `None` if both are missing.
fn plus(base: Option<Number>, own: Option<Number>, what: &'static str) -> Result<Option<Number>, SenMlError> {
    match (base, own) {
        (Some(base), Some(own)) => base.plus(own).map(Some).ok_or(SenMlError::Bounds(what)),
        (base, own) => Ok(base.or(own)),
    }
}

fn time(time: Number) -> Result<Time, SenMlError> {
    let bounds = SenMlError::Bounds("a time");
    let Ok(seconds) = i64::try_from(time.cut()) else { return Err(bounds) };
    if i128::from(seconds) < ABSOLUTE {
        Ok(Time::Relative(seconds))
    } else {
        At::from_unix(seconds).map(Time::Absolute).map_err(|_| bounds)
    }
}

/// Checks a name by section 4.5.1, except its first character: LwM2M's names are paths and begin with a slash.
fn check_name(name: &str) -> Result<(), SenMlError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-:./_".contains(c);
    if (1..=MAX_NAME).contains(&name.len()) && name.chars().all(allowed) {
        Ok(())
    } else {
        Err(SenMlError::Name(short(name)))
    }
}
