//! The samples of the channels: counts and their times, and details for the rest.

use std::collections::BTreeSet;

use super::message::{Measurements, Samples};
use crate::at::At;
use crate::clock::ClockCheck;
use crate::codec::{Channel, Flag, Reading, Series, Undecodable, Value};

/// The number of channels of a device.
const MAX_CHANNELS: usize = 6;

/// Offsets that are not samples: of old firmware, and the error codes of newer firmware.
const NO_SAMPLE: i32 = -32_768;
const ERROR_CODES: std::ops::RangeInclusive<i32> = 8_355_840..=8_388_607;

/// The factor of measurements that are sent with the state of the sensor's calibration.
const CALIBRATED: i64 = 3;

/// `MeasurementType`, by number.
const TYPES: [&str; 44] = [
    "NO_SENSOR",
    "TEMPERATURE",
    "HUMIDITY",
    "ATMOSPHERIC_PRESSURE",
    "DIFFERENTIAL_PRESSURE",
    "OK_ALARM",
    "IAQ",
    "FLOODING",
    "PULSE_CNT",
    "ELECTRICITY_METER",
    "WATER_METER",
    "SOIL_MOISTURE",
    "CO_GAS",
    "NO2_GAS",
    "H2S_GAS",
    "AMBIENT_LIGHT",
    "PM_1_0",
    "PM_2_5",
    "PM_10_0",
    "NOISE_LEVEL",
    "NH3_GAS",
    "CH4_GAS",
    "HIGH_PRESSURE",
    "DISTANCE_MM",
    "WATER_METER_ACC",
    "WATER_METER_ACC",
    "CO2_GAS",
    "HUMIDITY_ACCURATE",
    "STATIC_IAQ",
    "CO2_EQUIVALENT",
    "BREATH_VOC",
    "SHARED_MODEM",
    "PERCENTAGE",
    "VOLTAGE",
    "CURRENT",
    "PULSE_CNT_ACC",
    "PULSE_CNT_ACC",
    "ELEC_METER_ACC",
    "ELEC_METER_ACC",
    "PULSE_CNT_ACC_WIDE",
    "PULSE_CNT_ACC_WIDE",
    "CURRENT_PRECISE",
    "OUTPUT_CONTROL",
    "RESISTANCE",
];

/// The meaning of a type's samples.
#[derive(Clone, Copy, PartialEq)]
enum Meaning {
    /// Per-period counts.
    Counted,
    /// The low part of a cumulative count.
    Minor { major: i32, per_major: u64 },
    /// The high part.
    Major,
    /// Changes of a state: the sign is the state, the rest is the seconds since `timestamp`, plus one. The schema calls
    /// these sensors binary.
    State,
    /// Three times the measurement, plus the state of the sensor's calibration.
    Calibrated,
    /// Any other measurement.
    Measured,
}

impl Meaning {
    fn of(kind: i32) -> Self {
        match kind {
            8..=10 => Self::Counted,
            24 => Self::Minor { major: 25, per_major: 100 },
            35 => Self::Minor { major: 36, per_major: 1_000 },
            37 => Self::Minor { major: 38, per_major: 1_000 },
            39 => Self::Minor { major: 40, per_major: 1_000_000 },
            25 | 36 | 38 | 40 => Self::Major,
            5 | 7 | 42 => Self::State,
            6 | 26 | 28..=30 => Self::Calibrated,
            _ => Self::Measured,
        }
    }
}

/// The time that the newest sample of all channels has by the device's clock.
pub(super) fn newest(message: &Measurements) -> Option<At> {
    message.channels.iter().filter_map(|samples| samples.newest(period(message))).max()
}

/// Reads all channels.
pub(super) fn read(message: &Measurements, clock: ClockCheck, reading: &mut Reading) -> Result<(), Undecodable> {
    let channels = &message.channels;
    if channels.len() > MAX_CHANNELS {
        return Err(Undecodable::Form("more channels than the six of a device"));
    }
    let mut paired = BTreeSet::new();
    let mut unreadable = 0;
    for (number, samples) in (1..).zip(channels).filter(|(_, samples)| !samples.is_nothing()) {
        let channel = Channel::numbered(number);
        match Meaning::of(samples.kind) {
            Meaning::Counted => {
                let counts = samples.values().map(|value| value.map(natural).transpose()).collect::<Result<_, _>>()?;
                let series = samples.series(period(message), counts, clock, reading)?;
                let counted = series.map(|series| Series::Counted(Box::new(series)));
                reading.channels.extend(counted.map(|counted| (channel.clone(), counted)));
            }
            Meaning::Minor { major, per_major } => match samples.major()? {
                Some(index) => {
                    let major = channels.get(index).filter(|channel| channel.kind == major && paired.insert(index));
                    let major = major.ok_or(Undecodable::Form("a MINOR channel without a MAJOR one of its own"))?;
                    let counts = totals(samples, major, per_major, &channel, reading)?;
                    let series = samples.series(period(message), counts, clock, reading)?;
                    reading.channels.extend(series.map(|series| (channel.clone(), series)));
                }
                None => unreadable += 1,
            },
            Meaning::Major => continue,
            Meaning::State | Meaning::Measured | Meaning::Calibrated => {
                if let Some(calibration) = samples.calibration() {
                    reading.details.insert_of(&channel, "calibration", calibration);
                }
                if let Some(last) = samples.last() {
                    reading.details.insert_of(&channel, "last", last);
                }
                if let Some(at) = samples.last_at(period(message)).filter(|&shown| clock.accepts(shown)) {
                    reading.details.insert_of(&channel, "last_at", at.to_string());
                }
            }
        }
        reading.details.insert_of(&channel, "type", type_name(samples.kind));
        note_errors(samples, &channel, reading);
    }
    // The samples of a MINOR channel name its MAJOR one. If all are errors, it is unknown.
    let is_major = |samples: &Samples| Meaning::of(samples.kind) == Meaning::Major && !samples.offsets.is_empty();
    let majors = channels.iter().filter(|samples| is_major(samples)).count();
    if majors > paired.len() + unreadable {
        return Err(Undecodable::Form("a MAJOR channel without its MINOR one"));
    }
    Ok(())
}

/// Combines the counts of two channels. A sample is present if it is in both.
fn totals(
    minor: &Samples,
    major: &Samples,
    per_major: u64,
    channel: &Channel,
    reading: &mut Reading,
) -> Result<Vec<Option<u64>>, Undecodable> {
    if (major.timestamp, major.offsets.len()) != (minor.timestamp, minor.offsets.len()) {
        return Err(Undecodable::Form("a MAJOR channel and its MINOR one are not of the same times"));
    }
    let mut status = 0;
    let mut total = |minor: i64, major: i64| {
        let (low, high) = (natural(minor)? / 6, natural(major)?);
        if low >= per_major {
            return Err(Undecodable::UnknownValue { field: "the count of a MINOR channel", value: minor / 6 });
        }
        status |= major % 4;
        Ok(high / 4 * per_major + low)
    };
    let both = minor.values().zip(major.values());
    let totals = both.map(|(minor, major)| minor.zip(major).map(|(minor, major)| total(minor, major)).transpose());
    let totals = totals.collect::<Result<_, _>>()?;
    if status != 0 {
        reading.flags.insert(Flag::CalibrationRequired.on(channel.clone()));
        reading.details.insert_of(channel, "counter_status", status);
    }
    note_errors(major, channel, reading);
    Ok(totals)
}

/// The name of a type, or the code of an unknown one.
fn type_name(kind: i32) -> Value {
    usize::try_from(kind).ok().and_then(|kind| TYPES.get(kind)).map_or(kind.into(), |&name| name.into())
}

fn note_errors(samples: &Samples, channel: &Channel, reading: &mut Reading) {
    if let Some(error) = samples.offsets.iter().rfind(|offset| is_error(**offset)) {
        reading.flags.insert(Flag::SensorError.on(channel.clone()));
        reading.details.insert_of(channel, "sensor_error", *error);
    }
}

fn is_error(offset: i32) -> bool {
    offset == NO_SAMPLE || ERROR_CODES.contains(&offset)
}

fn natural(count: i64) -> Result<u64, Undecodable> {
    count.try_into().map_err(|_| Undecodable::UnknownValue { field: "a count", value: count })
}

/// Seconds from one sample to the next, of all but binary sensors. Firmware 5 does not send the factor: it is 14 for a
/// device with any binary sensor, and 1 for others.
fn period(message: &Measurements) -> u64 {
    let factor = match message.period_factor {
        0 if message.channels.iter().any(|samples| Meaning::of(samples.kind) == Meaning::State) => 14,
        factor => factor.max(1),
    };
    u64::from(message.period_base) * u64::from(factor)
}

impl Samples {
    /// True if the channel has no sensor.
    fn is_nothing(&self) -> bool {
        self.kind == 0 && self.offsets.is_empty()
    }

    /// All samples; `None` for a missing one.
    fn values(&self) -> impl Iterator<Item = Option<i64>> {
        let value = |offset: &i32| i64::from(self.start_point) + i64::from(*offset);
        self.offsets.iter().map(move |offset| (!is_error(*offset)).then(|| value(offset)))
    }

    /// The last sample of a channel without counts.
    fn last(&self) -> Option<Value> {
        match Meaning::of(self.kind) {
            Meaning::State => self.offsets.iter().rfind(|offset| !is_error(**offset)).map(|last| (*last > 0).into()),
            Meaning::Calibrated => self.values().flatten().last().map(|last| (last / CALIBRATED).into()),
            _ => self.values().flatten().last().map(Value::from),
        }
    }

    /// The state of calibration in the last sample, if samples of this type contain it.
    fn calibration(&self) -> Option<i64> {
        let last = self.values().flatten().last().filter(|_| Meaning::of(self.kind) == Meaning::Calibrated)?;
        Some(last.abs() % CALIBRATED)
    }

    /// The index of its MAJOR channel, from 0 on. `None` if no sample contains it.
    fn major(&self) -> Result<Option<usize>, Undecodable> {
        let mut majors = self.values().flatten().map(|value| natural(value).map(|value| value % 6));
        let Some(first) = majors.next().transpose()? else { return Ok(None) };
        for other in majors {
            if other? != first {
                return Err(Undecodable::Form("a MINOR channel that names several MAJOR ones"));
            }
        }
        Ok(usize::try_from(first).ok())
    }

    /// The time of the newest sample. An error has a time too, except among changes of a state,
    /// which contain their times themselves.
    fn newest(&self, period: u64) -> Option<At> {
        match Meaning::of(self.kind) {
            Meaning::State => self.last_at(period),
            _ => self.time_of(self.offsets.len().checked_sub(1)?, period),
        }
    }

    /// The time of the last sample that is not an error.
    fn last_at(&self, period: u64) -> Option<At> {
        self.time_of(self.offsets.iter().rposition(|offset| !is_error(*offset))?, period)
    }

    fn time_of(&self, nth: usize, period: u64) -> Option<At> {
        let after = match Meaning::of(self.kind) {
            Meaning::State => u64::from(self.offsets.get(nth)?.unsigned_abs()).checked_sub(1)?,
            _ => period.checked_mul(nth as u64)?,
        };
        self.at(after)
    }

    /// The time `seconds` after the first sample. The clock of a device is unsigned: from 2038 on its times are negative
    /// in the schema's type. Such a time is of a clock that is not set, and no reason to reject the counts.
    fn at(&self, seconds: u64) -> Option<At> {
        At::from_unix(i64::from(self.timestamp.cast_unsigned()).checked_add_unsigned(seconds)?).ok()
    }

    /// Counts with their times. If one of these is not accepted, the clock is not set and only the order of the counts is
    /// known; for cumulative counts also that the last sample is of now. Per-period counts then get no time at all: if they were sent again, they would get
    /// another time and count twice.
    fn series(
        &self,
        period: u64,
        counts: Vec<Option<u64>>,
        clock: ClockCheck,
        reading: &mut Reading,
    ) -> Result<Option<Series>, Undecodable> {
        if period == 0 && counts.len() > 1 {
            return Err(Undecodable::UnknownValue { field: "measurement_period_base", value: 0 });
        }
        if counts.iter().flatten().next().is_none() {
            return Ok(None);
        }
        let time = |n: u64| self.at(n.checked_mul(period)?).filter(|&shown| clock.accepts(shown));
        let points = (0..).zip(&counts).filter_map(|(n, count)| Some((time(n), (*count)?)));
        if let Some(points) = points.map(|(at, count)| Some((at?, count))).collect::<Option<_>>() {
            return Ok(Some(Series::Timed(points)));
        }
        reading.flags.insert(Flag::ClockNotSet.into());
        let newest_is_now = Meaning::of(self.kind) != Meaning::Counted && counts.last().is_some_and(Option::is_some);
        Ok(Some(Series::Undated { newest_is_now, counts: counts.into_iter().flatten().rev().collect() }))
    }
}
