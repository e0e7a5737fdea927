//! Converts a pack into a reading: pulse counts, and details for the rest.

use std::collections::{BTreeMap, HashMap};

use super::number::Number;
use super::pack::{Measured, Measurement, Pack, Time};
use super::series::{Counts, series};
use super::{Form, SenMlError, short};
use crate::at::At;
use crate::clock::ClockCheck;
use crate::codec::{Channel, Details, Flag, Mark, Reading, Value};

pub(super) fn reading(pack: &Pack, form: Form, clock: ClockCheck) -> Result<Reading, SenMlError> {
    let shown = pack.clock();
    let moment = shown.and_then(|shown| clock.time(shown));
    let mut reading = Reading { frame: "pack", clock: moment, ..Reading::default() };
    let mut notes = Notes { shown, moment, ..Notes::default() };
    let (counts, others): (Vec<_>, Vec<_>) = pack.measurements.iter().partition(|measurement| measurement.is_count());
    if !pack.base_name.is_empty() {
        notes.add("base_name", pack.base_name.as_str());
    }
    if pack.other_meters > 0 {
        notes.add("other_meters", i64::try_from(pack.other_meters).unwrap_or(i64::MAX));
    }
    if let Some(at) = notes.moment.filter(|_| !others.is_empty()) {
        notes.add("time", at.to_string());
    }
    for measurement in others {
        other(measurement, &mut reading, &mut notes);
    }
    let is_called = |name: &str| counts.iter().any(|count| count.name == name);
    if is_called("") && is_called(Channel::A.as_str()) {
        return Err(SenMlError::TwoChannelsA);
    }
    let mut channels: BTreeMap<Channel, Counts> = BTreeMap::new();
    for measurement in counts {
        let (channel, count) = (channel(measurement)?, count(measurement, form)?);
        channels.entry(channel).or_default().push((measurement.time, count));
        notes.add_sum_and_update_time(measurement);
    }
    let is_accepted = |time: Time| matches!(time, Time::Absolute(seconds) if clock.time(seconds).is_some());
    let is_set = pack.measurements.iter().any(|measurement| is_accepted(measurement.time));
    for (channel, counts) in channels {
        let series = series(&channel, &counts, is_set, clock, &mut notes)?;
        reading.channels.insert(channel, series);
    }
    if notes.clock_not_set {
        reading.flags.insert(Flag::ClockNotSet.into());
    }
    reading.details = notes.details;
    Ok(reading)
}

/// The channel is the measurement's name. A meter with one channel only may leave it out.
fn channel(measurement: &Measurement) -> Result<Channel, SenMlError> {
    if measurement.name.is_empty() { Ok(Channel::A) } else { Ok(measurement.name.parse()?) }
}

fn count(measurement: &Measurement, form: Form) -> Result<u64, SenMlError> {
    let Some(Measured::Number(number)) = measurement.value else { return Ok(0) };
    // The writer of the JSON may have only doubles (RFC 8259, section 6), in which larger numbers are not exact.
    let is_exact = |whole: &i128| form == Form::Cbor || whole.abs() < Number::EXACT;
    // Each part is checked, because the sum of two inexact parts may look exact.
    let mut parts = measurement.parts.into_iter().flatten().map(|part| part.whole().filter(is_exact));
    let sum = parts.try_fold(0, |sum: i128, part| sum.checked_add(part?)).filter(is_exact);
    let count = sum.and_then(|whole| u64::try_from(whole).ok());
    count.ok_or_else(|| SenMlError::Count(named(measurement), short(&number.to_string())))
}

/// Adds a measurement that is not a count: a flag, the battery's voltage or a detail. One with a time of its own is a
/// detail in any case, because flags and the voltage have none.
fn other(measurement: &Measurement, reading: &mut Reading, notes: &mut Notes) {
    let is_newest = notes.shown.is_some_and(|shown| measurement.time == Time::Absolute(shown));
    let is_now = is_newest || notes.is_now(measurement.time);
    match &measurement.value {
        Some(Measured::Flag(true)) if let Ok(mark) = measurement.name.parse::<Mark>() => {
            reading.flags.insert(mark);
            if !is_now {
                notes.add_value(measurement);
            }
        }
        Some(Measured::Number(volts)) if is_now && is_battery(measurement) && reading.battery_mv.is_none() => {
            reading.battery_mv = millivolts(*volts);
            if reading.battery_mv.is_none() {
                notes.add_value(measurement);
            }
        }
        _ => notes.add_value(measurement),
    }
    notes.add_sum_and_update_time(measurement);
}

fn is_battery(measurement: &Measurement) -> bool {
    measurement.name == "battery" && measurement.unit.as_deref() == Some("V")
}

/// Rounds to millivolts; `None` outside the range of the field.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is rounded and in range")]
fn millivolts(volts: Number) -> Option<u16> {
    let millivolts = (volts.to_f64() * 1000.0).round();
    (0.0..=f64::from(u16::MAX)).contains(&millivolts).then_some(millivolts as u16)
}

/// A measurement's name, for details and reasons; a meter that measures one thing only may leave it out.
fn named(measurement: &Measurement) -> String {
    if measurement.name.is_empty() { "value".to_owned() } else { measurement.name.clone() }
}

/// The details, each under a unique name.
#[derive(Default)]
pub(super) struct Notes {
    /// The time of the pack by the device's clock, in seconds since 1970.
    shown: Option<i64>,
    /// The same if it is accepted. Details do not repeat it.
    moment: Option<At>,
    /// True if a count has a time that is not accepted.
    pub(super) clock_not_set: bool,
    details: Details,
    /// How often each name was used.
    uses: HashMap<String, u32>,
}

impl Notes {
    fn is_now(&self, time: Time) -> bool {
        match time {
            Time::Absolute(_) if self.moment.is_none() => false,
            Time::Absolute(seconds) => self.shown == Some(seconds),
            Time::Relative(seconds) => seconds == 0,
        }
    }

    /// Adds a detail. The second of a name gets the suffix `#2`, and so on. No name contains a `#` of its own.
    pub(super) fn add(&mut self, name: &str, value: impl Into<Value>) {
        let times = self.uses.entry(name.to_owned()).and_modify(|times| *times += 1).or_insert(1);
        let name = if *times == 1 { name.to_owned() } else { format!("{name}#{times}") };
        self.details.insert(name, value);
    }

    fn add_value(&mut self, measurement: &Measurement) {
        let text = match &measurement.value {
            None => return,
            Some(Measured::Number(number)) => number.to_string(),
            Some(Measured::Text(text)) => text.clone(),
            Some(Measured::Flag(flag)) => flag.to_string(),
            Some(Measured::Data(data)) => format!("0x{}", hex::encode(data)),
        };
        let unit = measurement.unit.as_ref().map(|unit| format!(" {unit}"));
        let time = match measurement.time {
            time if self.is_now(time) => None,
            Time::Absolute(seconds) => Some(match At::from_unix(seconds) {
                Ok(at) => format!(" @ {at}"),
                Err(_) => format!(" @ {seconds} s since 1970"),
            }),
            Time::Relative(seconds) => Some(format!(" @ {seconds} s")),
        };
        let value = match &measurement.value {
            Some(Measured::Flag(flag)) if unit.is_none() && time.is_none() => Value::Flag(*flag),
            Some(Measured::Number(Number::Int(number))) if unit.is_none() && time.is_none() => {
                i64::try_from(*number).map_or(Value::Text(text), Value::Number)
            }
            _ => Value::Text(text + &unit.unwrap_or_default() + &time.unwrap_or_default()),
        };
        self.add(&named(measurement), value);
    }

    /// Sums are in the unit times seconds (section 4.2).
    fn add_sum_and_update_time(&mut self, measurement: &Measurement) {
        let name = named(measurement);
        if let Some(sum) = measurement.sum {
            let unit = measurement.unit.as_ref().map_or(String::new(), |unit| format!("{unit} "));
            self.add(&format!("sum:{name}"), format!("{sum} {unit}s"));
        }
        if let Some(seconds) = measurement.update_time {
            self.add(&format!("update_time_s:{name}"), seconds.to_string());
        }
    }
}
