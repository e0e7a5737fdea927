//! Efento NB-IoT loggers: protobuf over CoAP, with a path for each kind of message.
//!
//! ```text
//! message ProtoMeasurements {             // POST m
//!   bytes serial_num = 1;                 // 6 bytes
//!   bool battery_status = 2;              // false: low
//!   uint32 measurement_period_base = 3;   // seconds
//!   repeated ProtoChannel channels = 4;   // up to 6, in their order; an empty one is a channel without a sensor
//!   uint32 next_transmission_at = 5;      // seconds since 1970
//!   uint32 transfer_reason = 6;           // bit 0 after a reset, 1 button, 2 Bluetooth, 3-7 retries, 8-19 rules, 20 limit over
//!   uint32 signal = 7;                    // 0 below -110 dBm, 63 from -48 dBm, 99 unknown
//!   uint32 measurement_period_factor = 8; // 0 counts as 14 if any channel is binary, else as 1
//!   uint32 hash = 9;                      // of the configuration
//!   string cloud_token = 16;              // the modem's IMEI, or a text that the customer set
//! }
//! message ProtoChannel {
//!   MeasurementType type = 1;
//!   int32 timestamp = 2;                  // of the first sample, seconds since 1970
//!   sint32 start_point = 4;
//!   repeated sint32 sample_offsets = 5;   // a sample is start_point + sample_offset, the next a period later
//! }
//! ```
//!
//! There are two kinds of pulse counters:
//!
//! - Cumulative counters ("accumulative mode") take two channels. The MAJOR one has `count * 4 + status`, where a
//!   status other than 0 means an error (1) or a reset (2) that may have lost pulses. The MINOR one has `count * 6 +
//!   m`, where `m` is the index of its MAJOR channel, from 0 on. A MAJOR counts by 100 (water), 1,000 (pulses,
//!   electricity) or 1,000,000 (pulses, wide). Together they are one channel here, with the number of the MINOR one.
//! - The others, `PULSE_CNT`, `ELECTRICITY_METER` and `WATER_METER`, **start at zero in each period**. Their samples
//!   are not indexes: readers add them up ([`Series::Counted`]). Efento does not specify whether a sample's time is the
//!   beginning or the end of its period. It counts as the end: the same logger in accumulative mode gives, at the same
//!   times, what it has counted until then.
//!
//! An offset of -32,768, or of 8,355,840 to 8,388,607, is a sensor fault and not a sample. The samples of other sensors
//! are not counts; the last one is kept in the details, in the unit of its type: temperatures in 0.1 °C. Binary sensors
//! (`OK_ALARM`, `FLOODING`, `OUTPUT_CONTROL`) are sampled every `measurement_period_base`, and their offsets contain the
//! times. Sensors of air quality and of CO2 send three times their value, plus the state of their calibration.
//!
//! `ProtoConfig` (POST `c`) and `ProtoDeviceInfo` (POST `i`) have codecs of their own, because the bytes do not
//! identify the message. A cloud token may be a credential, so it is kept only if it is an IMEI; other secrets in a
//! configuration are not read at all.
//!
//! Sources: the protobuf schema with its comments and the decoder that thingsboard/thingsboard has
//! (`common/transport/coap/src/main/proto/efento/`, `CoapEfentoTransportResource.java`); the vendor's sample server
//! (efento/NB-IoT-sensors-integration); <https://getefento.com/library/pulse-counters/>.
//!
//! [`Series::Counted`]: super::Series::Counted

use prost::Message as _;

use super::{Acknowledgement, Codec, Details, Head, Identify, Reading, Undecodable, checksum};
use crate::at::At;
use crate::clock::ClockCheck;
use crate::device::{DeviceId, Serial};

mod about;
mod message;
mod samples;
#[cfg(test)]
mod tests;

use message::{Configuration, DeviceInfo, Measurements, Reply};

/// Measurements.
pub static MEASUREMENTS: Codec = Codec {
    name: "efento",
    version: 3,
    counter_bits: None,
    identify: Some(Identify::EfentoCoap(|payload| Ok(MessageHead::of_measurements(payload)?.of_path("m", payload)))),
    decode: |payload, context| measurements(&Measurements::decode(payload)?, context.clock),
};

/// The configuration of a device.
pub static CONFIGURATION: Codec = Codec {
    name: "efento-configuration",
    version: 1,
    counter_bits: None,
    identify: None,
    decode: |payload, _| about::configuration(&Configuration::decode(payload)?),
};

/// Device info: the state of a device.
pub static DEVICE_INFO: Codec = Codec {
    name: "efento-device-info",
    version: 1,
    counter_bits: None,
    identify: None,
    decode: |payload, _| about::device_info(&DeviceInfo::decode(payload)?),
};

/// Bit 0 of a transfer reason.
const AFTER_RESET: u32 = 1;

/// The head of a message, whatever its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageHead {
    /// Serial number of the device.
    pub serial: Serial,
    /// The time that its newest sample has by the device's clock; `None` without samples.
    pub newest: Option<At>,
    /// Signal as the modem reports it. (63 is the best, 99 is unknown.)
    pub signal: Option<u8>,
    /// True if it is the device's first message after a reset.
    pub after_reset: bool,
}

impl MessageHead {
    /// Parses a message to path `m`.
    ///
    /// # Errors
    /// [`Undecodable`] if it is not a message of a device.
    pub fn of_measurements(payload: &[u8]) -> Result<Self, Undecodable> {
        let message = Measurements::decode(payload)?;
        Ok(Self {
            serial: device(&message.serial)?,
            newest: samples::newest(&message),
            signal: message.signal.try_into().ok(),
            after_reset: message.transfer_reason & AFTER_RESET != 0,
        })
    }

    /// Parses a message to path `c`.
    ///
    /// # Errors
    /// [`Undecodable`] if it is not a message of a device.
    pub fn of_configuration(payload: &[u8]) -> Result<Self, Undecodable> {
        Self::without_samples(&Configuration::decode(payload)?.serial)
    }

    /// Parses a message to path `i`.
    ///
    /// # Errors
    /// [`Undecodable`] if it is not a message of a device.
    pub fn of_device_info(payload: &[u8]) -> Result<Self, Undecodable> {
        Self::without_samples(&DeviceInfo::decode(payload)?.serial)
    }

    /// The head of a message to this path. The same bytes on another path are another uplink, so the checksum includes
    /// the path. Device info costs the device a message, so it is requested after a reset only.
    pub fn of_path(&self, path: &str, payload: &[u8]) -> Head {
        Head {
            device: DeviceId::NbiotSerial(self.serial),
            clock: self.newest,
            sequence: checksum(&[path.as_bytes(), payload]),
            signal_quality: self.signal,
            acknowledgement: Acknowledgement::Time(if self.after_reset {
                |now| reply(now, true)
            } else {
                |now| reply(now, false)
            }),
        }
    }

    fn without_samples(serial: &[u8]) -> Result<Self, Undecodable> {
        Ok(Self { serial: device(serial)?, newest: None, signal: None, after_reset: false })
    }
}

/// The answer to a device: the time, in seconds since 1970, by which it sets its clock, and whether it should send its
/// device info. At most 8 bytes.
pub fn reply(current_time: u32, request_device_info: bool) -> Vec<u8> {
    Reply { request_device_info, current_time }.encode_to_vec()
}

fn device(serial: &[u8]) -> Result<Serial, Undecodable> {
    let bytes: [u8; 6] =
        serial.try_into().map_err(|_| Undecodable::Form("the serial number of a device has six bytes"))?;
    Ok(Serial::try_from(bytes)?)
}

fn measurements(message: &Measurements, clock: ClockCheck) -> Result<Reading, Undecodable> {
    let shown = samples::newest(message);
    let newest = shown.filter(|&shown| clock.accepts(shown));
    let mut reading = Reading { frame: "measurements", clock: newest, ..about::reading(&message.serial)? };
    if newest != shown {
        reading.flags.insert(super::Flag::ClockNotSet.into());
    }
    if !message.battery_ok {
        reading.flags.insert(super::Flag::LowBattery.into());
    }
    let details = &mut reading.details;
    details.insert("period_base_s", message.period_base);
    details.insert("period_factor", message.period_factor);
    details.insert("transfer_reason", message.transfer_reason);
    details.insert("signal", message.signal);
    details.insert("config_hash", message.config_hash);
    insert_time(details, "next_transmission_at", message.next_transmission_at);
    insert_token(details, &message.cloud_token);
    samples::read(message, clock, &mut reading)?;
    Ok(reading)
}

/// Adds a time of the device; zero means none.
fn insert_time(details: &mut Details, name: &'static str, seconds: u32) {
    if let Some(at) = At::from_unix(seconds.into()).ok().filter(|&at| at != At::EPOCH) {
        details.insert(name, at.to_string());
    }
}

/// Adds a token that is an IMEI, which is no secret. Of any other token, adds only that it is present.
fn insert_token(details: &mut Details, token: &[u8]) {
    match std::str::from_utf8(token) {
        Ok("") => {}
        Ok(imei) if imei.len() == 15 && imei.bytes().all(|b| b.is_ascii_digit()) => details.insert("imei", imei),
        _ => details.insert("has_cloud_token", true),
    }
}
