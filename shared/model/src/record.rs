//! An uplink as a user record of the Kinesis stream, in protobuf.
//!
//! Kinesis bills by size (in units of 25 KB), queues by message. So the stream has protobuf instead of JSON, a quarter
//! of the size: about 70 bytes for a short uplink.
//!
//! ```text
//! message Uplink {
//!   uint32 version = 1;             // 1
//!   uint64 imei = 2;                // of an NB-IoT device; each record has one of 2, 3 and 14
//!   optional uint32 sigfox_id = 3;  // of a Sigfox device
//!   uint64 at = 4;                  // seconds since 1970
//!   uint32 time_source = 5;         // 0 network, 1 device, 2 computed, 3 unset
//!   optional uint32 sequence = 6;
//!   string profile = 7;
//!   bytes payload = 8;
//!   uint32 kind = 9;                // 0 data, 1 data-advanced, 2 event (in the archive only)
//!   optional double rssi = 10;      // dBm
//!   optional double snr = 11;       // dB
//!   optional string station = 12;
//!   optional uint32 signal_quality = 13;
//!   optional uint64 serial = 14;    // of an NB-IoT device whose frames have no IMEI
//! }
//! ```

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::at::{At, AtError};
use crate::device::{DeviceId, DeviceIdError, Imei, Serial, SigfoxId};
use crate::uplink::{Kind, Payload, Radio, TimeSource, Uplink, UplinkError};

const VERSION: u32 = 1;

#[derive(Clone, PartialEq, Message)]
struct UplinkRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint64, tag = "2")]
    imei: u64,
    #[prost(uint32, optional, tag = "3")]
    sigfox_id: Option<u32>,
    #[prost(uint64, tag = "4")]
    at: u64,
    #[prost(uint32, tag = "5")]
    time_source: u32,
    #[prost(uint32, optional, tag = "6")]
    sequence: Option<u32>,
    #[prost(string, tag = "7")]
    profile: String,
    #[prost(bytes = "vec", tag = "8")]
    payload: Vec<u8>,
    #[prost(uint32, tag = "9")]
    kind: u32,
    #[prost(double, optional, tag = "10")]
    rssi: Option<f64>,
    #[prost(double, optional, tag = "11")]
    snr: Option<f64>,
    #[prost(string, optional, tag = "12")]
    station: Option<String>,
    #[prost(uint32, optional, tag = "13")]
    signal_quality: Option<u32>,
    #[prost(uint64, optional, tag = "14")]
    serial: Option<u64>,
}

/// A record that is not a valid uplink.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not protobuf of this message.
    #[error("not an uplink's record: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// Of an unknown version.
    #[error("record version {0} is not known (this is version {VERSION})")]
    Version(u32),
    /// An invalid time.
    #[error(transparent)]
    At(#[from] AtError),
    /// An invalid device ID.
    #[error(transparent)]
    Device(#[from] DeviceIdError),
    /// Another invalid value.
    #[error(transparent)]
    Uplink(#[from] UplinkError),
    /// A number without a meaning in its field.
    #[error("{field} {number} is not known")]
    Unknown {
        /// The field.
        field: &'static str,
        /// The number.
        number: u32,
    },
}

/// Appends an uplink to the buffer.
pub fn encode(uplink: &Uplink, buffer: &mut Vec<u8>) {
    let (imei, sigfox_id, serial) = match uplink.device {
        DeviceId::Nbiot(imei) => (imei.number(), None, None),
        DeviceId::NbiotSerial(serial) => (0, None, Some(serial.number())),
        DeviceId::Sigfox(id) => (0, Some(id.number()), None),
    };
    let Radio { rssi, snr, station, signal_quality } = &uplink.radio;
    let time_source = match uplink.time_source {
        TimeSource::Network => 0,
        TimeSource::Device => 1,
        TimeSource::Computed => 2,
        TimeSource::Unset => 3,
    };
    let record = UplinkRecord {
        version: VERSION,
        imei,
        sigfox_id,
        serial,
        at: uplink.at.unix().unsigned_abs(), // never negative
        time_source,
        sequence: uplink.sequence,
        kind: match uplink.kind {
            Kind::Data => 0,
            Kind::DataAdvanced => 1,
            Kind::Event => 2,
        },
        rssi: rssi.map(f64::from),
        snr: snr.map(f64::from),
        station: station.as_ref().map(|station| station.as_str().to_owned()),
        signal_quality: signal_quality.map(u32::from),
        ..UplinkRecord::default()
    };
    record.encode_raw(buffer);
    // These two are encoded by hand, which saves copying them into the message. Protobuf accepts fields in any order.
    for (tag, bytes) in [(7, uplink.profile.as_str().as_bytes()), (8, uplink.payload.bytes())] {
        encode_key(tag, WireType::LengthDelimited, buffer);
        encode_varint(bytes.len() as u64, buffer);
        buffer.extend_from_slice(bytes);
    }
}

/// Parses an uplink that a network delivered. Skips unknown fields, so that a newer sender may add some.
///
/// # Errors
/// [`RecordError`], also for [`Kind::Event`]: a meter or a queue cannot send one.
pub fn decode(record: &[u8]) -> Result<Uplink, RecordError> {
    match decode_stored(record)? {
        Uplink { kind: Kind::Event, .. } => Err(RecordError::Unknown { field: "kind", number: 2 }),
        uplink => Ok(uplink),
    }
}

/// Parses an uplink of the archive, of any kind.
///
/// # Errors
/// [`RecordError`].
pub fn decode_stored(record: &[u8]) -> Result<Uplink, RecordError> {
    let record = UplinkRecord::decode(record)?;
    if record.version != VERSION {
        return Err(RecordError::Version(record.version));
    }
    Ok(Uplink {
        device: match (record.sigfox_id, record.serial) {
            (Some(id), _) => DeviceId::Sigfox(SigfoxId::from(id)),
            (None, Some(serial)) => DeviceId::NbiotSerial(Serial::try_from(serial)?),
            (None, None) => DeviceId::Nbiot(Imei::try_from(record.imei)?),
        },
        kind: match record.kind {
            0 => Kind::Data,
            1 => Kind::DataAdvanced,
            2 => Kind::Event,
            number => return Err(RecordError::Unknown { field: "kind", number }),
        },
        at: At::from_unix(i64::try_from(record.at).unwrap_or(i64::MAX))?,
        time_source: match record.time_source {
            0 => TimeSource::Network,
            1 => TimeSource::Device,
            2 => TimeSource::Computed,
            3 => TimeSource::Unset,
            number => return Err(RecordError::Unknown { field: "time source", number }),
        },
        sequence: record.sequence,
        profile: record.profile.parse()?,
        payload: Payload::from_bytes(&record.payload)?,
        radio: Radio {
            rssi: record.rssi.map(TryInto::try_into).transpose()?,
            snr: record.snr.map(TryInto::try_into).transpose()?,
            station: record.station.map(|station| station.parse()).transpose()?,
            signal_quality: record.signal_quality.map(signal_quality).transpose()?,
        },
    })
}

fn signal_quality(number: u32) -> Result<u8, RecordError> {
    number.try_into().map_err(|_| RecordError::Unknown { field: "signal quality", number })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::uplink::testing::any_uplink;

    fn encoded(uplink: &Uplink) -> Vec<u8> {
        let mut buffer = Vec::new();
        encode(uplink, &mut buffer);
        buffer
    }

    proptest! {
        #[test]
        fn every_uplink_is_read_back_as_it_was_written(uplink in any_uplink()) {
            prop_assert_eq!(decode(&encoded(&uplink))?, uplink);
        }

        #[test]
        fn no_bytes_panic(record: Vec<u8>) {
            let _ = decode(&record);
        }
    }

    #[test]
    fn a_short_uplink_takes_some_seventy_bytes_and_its_fields_have_the_documented_numbers() {
        let uplink: Uplink = serde_json::from_str(
            r#"{"device":"nbiot:490154203237518","kind":"data","at":"2026-11-20T12:00:00Z","time_source":"device",
            "sequence":7,"profile":"adeunis-pulse4-nbiot","payload":"46800000009f00000002"}"#,
        )
        .unwrap();
        let expected = "0801 108e99add9aeb96f 20c0ec80d806 2801 3007 \
            3a14616465756e69732d70756c7365342d6e62696f74 420a46800000009f00000002";
        assert_eq!(hex::encode(encoded(&uplink)), expected.replace(' ', ""));
        // The same, of a device with a serial number.
        let by_serial = Uplink { device: "nbiot:282C02424EED".parse().unwrap(), ..uplink };
        let expected = "0801 20c0ec80d806 2801 3007 70ed9d8992c0850a".to_owned()
            + "3a14616465756e69732d70756c7365342d6e62696f74 420a46800000009f00000002";
        assert_eq!(hex::encode(encoded(&by_serial)), expected.replace(' ', ""));
    }

    proptest! {
        #[test]
        fn an_event_is_read_from_the_archive_and_from_nowhere_else(uplink in any_uplink()) {
            let event = Uplink { kind: Kind::Event, ..uplink };
            prop_assert_eq!(&decode_stored(&encoded(&event))?, &event);
            prop_assert_eq!(decode(&encoded(&event)).unwrap_err().to_string(), "kind 2 is not known");
        }
    }

    #[test]
    fn what_cannot_be_an_uplink_is_refused_with_the_reason() {
        let reason = |record: &str| decode(&hex::decode(record).unwrap()).unwrap_err().to_string();
        assert!(reason("7b22").contains("not an uplink's record"));
        assert_eq!(reason(""), "record version 0 is not known (this is version 1)");
        assert!(reason("0801").contains("not an IMEI"));
        assert!(reason("08017000").contains("not a serial number"));
        assert_eq!(reason("080118014805"), "kind 5 is not known");
    }
}
