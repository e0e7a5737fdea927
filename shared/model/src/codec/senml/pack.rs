//! Resolves the records of a pack: applies its base fields (RFC 8428, sections 4.1 to 4.6).

use super::names::{Name, Names};
use super::number::Number;
use super::record::Record;
use super::{SenMlError, short};
use crate::codec::Undecodable;
use crate::device::DeviceId;

/// The version of RFC 8428, and of a pack without one. Later versions have another structure.
const VERSION: i128 = 10;

/// Times from this number on are absolute, 1978 and later; smaller ones are relative to now (section 4.5.3).
const ABSOLUTE: i128 = 1 << 28;

/// The unit of counts in the registry of SenML units (RFC 8428, section 12.1).
const COUNT: &str = "count";

/// The maximum number of records. Records, names and units are limited because base fields expand a few bytes into
/// many, and the item must stay below the 400 KB that DynamoDB accepts. A day of counts at intervals of three minutes
/// has 480 records.
const MAX_RECORDS: usize = 512;

/// See [`MAX_RECORDS`].
const MAX_NAME: usize = 128;

/// See [`MAX_RECORDS`]. The longest registered unit has 8 characters.
const MAX_UNIT: usize = 32;

/// The part of a resolved pack that belongs to one meter.
#[derive(Debug)]
pub(super) struct Pack {
    /// The meter's first base name, empty if it has none.
    pub(super) base_name: String,
    /// The measurements of its records, in order.
    pub(super) measurements: Vec<Measurement>,
    /// The number of other meters that have records in the pack.
    pub(super) other_meters: usize,
}

/// The measurement of a record.
#[derive(Debug)]
pub(super) struct Measurement {
    /// The name, without the base name.
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
    /// Seconds since 1970, by the device's clock.
    Absolute(i64),
    /// Seconds from now; negative in the past.
    Relative(i64),
}

impl Measurement {
    /// True if it is a pulse count.
    pub(super) fn is_count(&self) -> bool {
        self.unit.as_deref() == Some(COUNT) && matches!(self.value, Some(Measured::Number(_)))
    }
}

impl Pack {
    /// The time that the pack has by the device's own clock, in seconds since 1970: its latest time. `None` if any is
    /// relative to now, which may be later.
    pub(super) fn clock(&self) -> Option<i64> {
        let absolute = |measurement: &Measurement| match measurement.time {
            Time::Absolute(seconds) => Some(seconds),
            Time::Relative(_) => None,
        };
        let times: Option<Vec<i64>> = self.measurements.iter().map(absolute).collect();
        times?.into_iter().max()
    }
}

/// Applies the base fields, which are those of the whole pack, to the records of a meter. If the pack names no meter,
/// all records are of the one that sent it.
pub(super) fn resolve(records: &[Record], names: &Names, device: DeviceId) -> Result<Pack, Undecodable> {
    if records.len() > MAX_RECORDS {
        return Err(SenMlError::Bounds("the number of records").into());
    }
    let version = records.first().and_then(|record| record.version).unwrap_or(Number::Int(VERSION));
    let mut base = Base::default();
    let mut measurements = Vec::new();
    for (record, name) in records.iter().zip(&names.records) {
        if let Some(wrong) = &record.wrong {
            return Err(wrong.clone().into());
        }
        check_version(version, record.version.unwrap_or(version))?;
        base.take(record);
        if !record.is_base_only() && name.meter.is_none_or(|meter| meter == device) {
            measurements.push(base.measurement(record, name, names)?);
        }
    }
    if measurements.is_empty() {
        let other = names.meters.iter().find(|&&meter| meter != device);
        return Err(other.map_or(SenMlError::Empty.into(), |&other| Undecodable::OtherDevice(other)));
    }
    date_from_start(&mut measurements);
    Ok(Pack {
        base_name: names.base_name(names.meters.first().map(|_| device)).to_owned(),
        measurements,
        other_meters: names.meters.iter().filter(|&&meter| meter != device).count(),
    })
}

/// A time below 2^28 is relative to now, but nothing has been counted in the future. If a count has such a time, nobody
/// has set the clock of the meter, and it shows the seconds since the start: as if that had been in 1970.
fn date_from_start(measurements: &mut [Measurement]) {
    let is_ahead = |of: &Measurement| of.is_count() && matches!(of.time, Time::Relative(1..));
    if measurements.iter().any(is_ahead) {
        for measurement in measurements {
            if let Time::Relative(seconds) = measurement.time {
                measurement.time = Time::Absolute(seconds);
            }
        }
    }
}

fn check_version(version: Number, of_record: Number) -> Result<(), SenMlError> {
    match of_record.whole() {
        Some(1..=VERSION) if of_record.whole() == version.whole() => Ok(()),
        _ => Err(SenMlError::Version(of_record.to_string())),
    }
}

/// The base fields that apply to a record, except the name.
#[derive(Default)]
struct Base<'a> {
    time: Option<Number>,
    unit: Option<&'a str>,
    value: Option<Number>,
    sum: Option<Number>,
}

impl<'a> Base<'a> {
    fn take(&mut self, record: &'a Record) {
        self.time = record.base_time.or(self.time);
        self.unit = record.base_unit.as_deref().or(self.unit);
        self.value = record.base_value.or(self.value);
        self.sum = record.base_sum.or(self.sum);
    }

    fn measurement(&self, record: &Record, name: &Name, names: &Names) -> Result<Measurement, SenMlError> {
        if let Some(wrong) = &record.wrong_own {
            return Err(wrong.clone());
        }
        if record.values() > 1 || (record.values() == 0 && record.sum.is_none()) {
            let name = if name.full.is_empty() { "a record without a name".to_owned() } else { short(&name.full) };
            return Err(SenMlError::NotOneValue(name));
        }
        check_name(name)?;
        let is_number = record.value.is_some() || record.sum.is_some();
        let parts = if record.value.is_some() { [self.value, record.value] } else { [None; 2] };
        let value = match record.value {
            Some(value) => plus(self.value, Some(value), "a value")?.map(Measured::Number),
            None => (record.text.clone().map(Measured::Text))
                .or(record.flag.map(Measured::Flag))
                .or(record.data.clone().map(Measured::Data)),
        };
        // The base unit applies to numbers only.
        let unit = record.unit.as_deref().or(self.unit.filter(|_| is_number));
        if unit.is_some_and(|unit| unit.len() > MAX_UNIT) {
            return Err(SenMlError::Bounds("a unit"));
        }
        Ok(Measurement {
            name: names.short(name).to_owned(),
            unit: unit.map(str::to_owned),
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
    let seconds = i64::try_from(time.cut()).map_err(|_| SenMlError::Bounds("a time"))?;
    Ok(if i128::from(seconds) < ABSOLUTE { Time::Relative(seconds) } else { Time::Absolute(seconds) })
}

/// Checks a name by section 4.5.1, except its first character: LwM2M's names are paths and begin with a slash.
fn check_name(name: &Name) -> Result<(), SenMlError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-:./_".contains(c);
    if (1..=MAX_NAME).contains(&name.full.len()) && name.checked().chars().all(allowed) {
        Ok(())
    } else {
        Err(SenMlError::Name(short(&name.full)))
    }
}
