//! Efento's loggers: `ProtoMeasurements` in protobuf, by CoAP to the path `m`, with a water meter in the accumulative mode.
//!
//! ```text
//! message ProtoMeasurements {
//!   bytes serial_num = 1;                 // 6 bytes
//!   bool battery_status = 2;              // false: low
//!   uint32 measurement_period_base = 3;   // seconds
//!   repeated ProtoChannel channels = 4;   // first the MAJOR one, then the MINOR one
//!   uint32 next_transmission_at = 5;      // seconds since 1970
//!   uint32 signal = 7;
//!   uint32 measurement_period_factor = 8;
//!   string cloud_token = 16;              // the modem's IMEI
//! }
//! message ProtoChannel {
//!   MeasurementType type = 1;             // 24 WATER_METER_ACC_MINOR, 25 WATER_METER_ACC_MAJOR
//!   int32 timestamp = 2;                  // of the first sample, seconds since 1970
//!   sint32 start_point = 4;               // a sample is start_point + sample_offset, the next a period later
//!   repeated sint32 sample_offsets = 5;
//! }
//! ```
//!
//! A MAJOR sample is `hundreds * 4 + status`, a MINOR one `rest * 6 + m`, where `m` is the number of its MAJOR channel.
//!
//! Sources: the schema with its comments in thingsboard/thingsboard, `common/transport/coap/src/main/proto/efento/`;
//! <https://getefento.com/library/pulse-counters/>.

use prost::Message;
use pulsegate_model::device::DeviceId;

use super::{Log, Report, Setting};

/// `OK_ALARM`, a binary sensor. A sample is the seconds since `timestamp`, plus one; it is negative for "OK".
const BINARY: i32 = 5;
const MINOR: i32 = 24;
const MAJOR: i32 = 25;

/// The unit of a MAJOR channel, in pulses.
const PER_MAJOR: u64 = 100;

/// Seconds. The interval between samples is this times a factor.
const PERIOD_BASE: u32 = 60;

/// The interval between samples of a logger with a binary sensor that does not send the factor, in seconds: 14 times 60.
pub(in crate::meters) const PERIOD_BESIDE_BINARY: i64 = 840;

const HOUR: u32 = 3_600;

#[derive(Clone, PartialEq, Message)]
struct Measurements {
    #[prost(bytes = "vec", tag = "1")]
    serial: Vec<u8>,
    #[prost(bool, tag = "2")]
    battery_ok: bool,
    #[prost(uint32, tag = "3")]
    period_base: u32,
    #[prost(message, repeated, tag = "4")]
    channels: Vec<Samples>,
    #[prost(uint32, tag = "5")]
    next_transmission_at: u32,
    #[prost(uint32, tag = "7")]
    signal: u32,
    #[prost(uint32, tag = "8")]
    period_factor: u32,
    #[prost(string, tag = "16")]
    cloud_token: String,
}

#[derive(Clone, PartialEq, Message)]
struct Samples {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(int32, tag = "2")]
    timestamp: i32,
    #[prost(sint32, tag = "4")]
    start_point: i32,
    #[prost(sint32, repeated, tag = "5")]
    offsets: Vec<i32>,
}

/// The samples of an hour.
pub(in crate::meters) fn measurements(report: &Report) -> Vec<Vec<u8>> {
    let logs: Vec<Log> = report.logs.iter().rev().copied().collect();
    let apart = HOUR / u32::try_from(logs.len().max(1)).unwrap_or(1);
    let serial = match report.device {
        DeviceId::NbiotSerial(serial) => serial.number().to_be_bytes()[2..].to_vec(),
        DeviceId::Nbiot(_) | DeviceId::Sigfox(_) => vec![],
    };
    let mut channels = vec![
        samples(MAJOR, &logs, |index| index / PER_MAJOR * 4),
        samples(MINOR, &logs, |index| index % PER_MAJOR * 6),
    ];
    // Without a factor it is 1, and 14 beside a binary sensor.
    let (period_base, period_factor) = match report.setting {
        Setting::NoFactor => (apart, 0),
        Setting::NoFactorBesideBinary => {
            let timestamp = channels[0].timestamp;
            channels.push(Samples { kind: BINARY, timestamp, start_point: 0, offsets: vec![-1] });
            (PERIOD_BASE, 0)
        }
        _ => (PERIOD_BASE, apart / PERIOD_BASE),
    };
    let message = Measurements {
        serial,
        battery_ok: !report.low_battery,
        period_base,
        channels,
        next_transmission_at: u32::try_from(report.at.unix()).unwrap_or(0) + HOUR,
        signal: report.signal.into(),
        period_factor,
        cloud_token: report.modem.to_string(),
    };
    vec![message.encode_to_vec()]
}

/// The sequence of a message, which has no number of its own: the CRC-32 of path and message (`docs/connect-nbiot.md`).
pub(in crate::meters) fn sequence(payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"m");
    hasher.update(payload);
    hasher.finalize()
}

fn samples(kind: i32, logs: &[Log], value: impl Fn(u64) -> u64) -> Samples {
    let values: Vec<i32> = logs.iter().map(|log| i32::try_from(value(log.a)).unwrap_or(i32::MAX)).collect();
    let start_point = values.first().copied().unwrap_or(0);
    let timestamp = logs.first().map_or(0, |log| log.at.unix());
    Samples {
        kind,
        // From 2038 on a time needs the sign's bit.
        timestamp: u32::try_from(timestamp).unwrap_or(0).cast_signed(),
        start_point,
        offsets: values.into_iter().map(|value| value - start_point).collect(),
    }
}
