//! Rows of the archive's files: uplinks, with the order in which a file has them.

use std::cmp::Ordering;

use parquet::data_type::ByteArray;
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::{Decibels, Kind, Payload, Radio, TimeSource, Uplink, UplinkError};

/// An uplink as a row. Rows sort by device and time, and then by everything else; equal rows are one.
///
/// Levels are in hundredths of a decibel, to which [`Decibels`] are rounded, so that rows can be compared.
#[derive(Debug, Clone)]
pub struct Row {
    pub(super) device: DeviceId,
    pub(super) at: At,
    pub(super) sequence: Option<u32>,
    pub(super) kind: Kind,
    pub(super) time_source: TimeSource,
    pub(super) profile: ByteArray,
    pub(super) payload: ByteArray,
    pub(super) rssi: Option<i32>,
    pub(super) snr: Option<i32>,
    pub(super) station: Option<ByteArray>,
    pub(super) signal_quality: Option<u8>,
}

impl Row {
    /// The device.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// The time of the uplink.
    pub fn at(&self) -> At {
        self.at
    }

    /// The row's key: rows of the same key are the same message. Of these, the greatest is valid. As in the uplink's
    /// natural key, a time that was not accepted is another one.
    pub fn key(&self) -> (DeviceId, At, Option<u32>, Kind, bool) {
        (self.device, self.at, self.sequence, self.kind, self.time_source == TimeSource::Unset)
    }

    /// The uplink.
    ///
    /// # Errors
    /// [`UplinkError`] if a value is not that of an uplink.
    pub fn uplink(&self) -> Result<Uplink, UplinkError> {
        let text = |bytes: &ByteArray| String::from_utf8_lossy(bytes.data()).into_owned();
        let decibels = |level: Option<i32>| level.map(|level| Decibels::try_from(f64::from(level) / 100.0)).transpose();
        Ok(Uplink {
            device: self.device,
            kind: self.kind,
            at: self.at,
            time_source: self.time_source,
            sequence: self.sequence,
            profile: text(&self.profile).parse()?,
            payload: Payload::from_bytes(self.payload.data())?,
            radio: Radio {
                rssi: decibels(self.rssi)?,
                snr: decibels(self.snr)?,
                station: self.station.as_ref().map(|station| text(station).parse()).transpose()?,
                signal_quality: self.signal_quality,
            },
        })
    }
}

impl From<&Uplink> for Row {
    fn from(uplink: &Uplink) -> Self {
        let Radio { rssi, snr, station, signal_quality } = &uplink.radio;
        Self {
            device: uplink.device,
            at: uplink.at,
            sequence: uplink.sequence,
            kind: uplink.kind,
            time_source: uplink.time_source,
            profile: uplink.profile.as_str().into(),
            payload: uplink.payload.bytes().into(),
            rssi: rssi.map(hundredths),
            snr: snr.map(hundredths),
            station: station.as_ref().map(|station| station.as_str().into()),
            signal_quality: *signal_quality,
        }
    }
}

/// A level of at most 1,000 dB, which is rounded to hundredths already.
#[expect(clippy::cast_possible_truncation, reason = "it is in range")]
fn hundredths(level: Decibels) -> i32 {
    (f64::from(level) * 100.0).round() as i32
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> Ordering {
        let bytes = |one: &ByteArray, other: &ByteArray| one.data().cmp(other.data());
        let station = |row: &Self| row.station.as_ref().map(|station| station.data().to_vec());
        (self.device, self.at, self.sequence, self.kind, self.time_source)
            .cmp(&(other.device, other.at, other.sequence, other.kind, other.time_source))
            .then_with(|| bytes(&self.profile, &other.profile))
            .then_with(|| bytes(&self.payload, &other.payload))
            .then_with(|| (self.rssi, self.snr).cmp(&(other.rssi, other.snr)))
            .then_with(|| station(self).cmp(&station(other)))
            .then_with(|| self.signal_quality.cmp(&other.signal_quality))
    }
}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Row {}

/// The valid row of each key, from rows in order: the last.
pub fn valid(rows: impl IntoIterator<Item = Row>) -> Vec<Row> {
    let mut valid: Vec<Row> = Vec::new();
    for row in rows {
        match valid.last_mut() {
            Some(last) if last.key() == row.key() => *last = row,
            _ => valid.push(row),
        }
    }
    valid
}
