//! Sensor Measurement Lists (SenML, RFC 8428) in JSON and in CBOR: the open format, for meters without a format of
//! their own.
//!
//! ```text
//! [{"bn": "urn:imei:490154203237518:", "bt": 1795176000, "bu": "count", "n": "A", "v": 1234},
//!  {"n": "A", "t": -3600, "v": 1230}, {"n": "battery", "u": "V", "v": 3.61}, {"n": "leak:A", "vb": true}]
//! ```
//!
//! A pack is an array of records. Base fields apply from their record on: a record's name is the base name and its own,
//! its value the base value plus its own, and so on. In CBOR the labels are numbers. `docs/codecs.md` describes the
//! mapping:
//!
//! - Numbers with the unit `count` are pulse counts. The channel is the name without the base name of the first record.
//! - `vb`, if true, sets the [`Flag`](super::Flag) or [`Mark`](super::Mark) of its name; `battery` in `V` is the
//!   battery's voltage.
//! - Everything else is kept in the details, under its name.
//!
//! A time from 2^28 on is in seconds since 1970; a smaller one is relative to now, the time of the uplink. Fractions of
//! a second are dropped.
//!
//! A pack may have records of several meters. It is an uplink of each, and each is decoded from its own records.
//!
//! Source: RFC 8428 (the format; section 12.1 for `count`).

use std::borrow::Cow;

use super::decoration::HexText;
use super::{Acknowledgement, ChannelError, Codec, Context, Head, Identify, Reading, Undecodable, checksum};
use crate::at::At;
use crate::device::DeviceId;

mod cbor;
mod json;
#[cfg(test)]
mod limits;
mod meter;
mod names;
mod number;
mod pack;
mod record;
mod series;
#[cfg(test)]
mod tests;
mod values;

use names::Names;
use record::Record;

/// In JSON.
pub static JSON: Codec = Codec {
    name: "senml-json",
    version: 3,
    counter_bits: None,
    identify: Some(Identify::Pack(|pack| identify(pack, Form::Json))),
    decode: |frame, context| decode(frame, Form::Json, context),
};

/// In CBOR.
pub static CBOR: Codec = Codec {
    name: "senml-cbor",
    version: 3,
    counter_bits: None,
    identify: Some(Identify::Pack(|pack| identify(pack, Form::Cbor))),
    decode: |frame, context| decode(frame, Form::Cbor, context),
};

/// The encoding of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `application/senml+json`.
    Json,
    /// `application/senml+cbor`.
    Cbor,
}

/// A pack that cannot be decoded.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum SenMlError {
    /// Not an array of objects.
    #[error("not SenML in JSON: {0}")]
    Json(String),
    /// Not an array of maps.
    #[error("not SenML in CBOR: {0}")]
    Cbor(String),
    /// No records, or only base fields.
    #[error("the pack has no record with a value")]
    Empty,
    /// An unknown label that must be understood.
    #[error("field {0:?} has to be understood, and is not known")]
    NotUnderstood(String),
    /// The number of a label as a text.
    #[error("a record has field {0:?}, a text: in CBOR it is a number, in JSON it has a name (RFC 8428, table 4)")]
    NumberAsText(String),
    /// A label twice in a record.
    #[error("a record has field {0:?} twice")]
    Twice(&'static str),
    /// A value of the wrong type.
    #[error("field {0:?} is of another type than RFC 8428 says")]
    Type(&'static str),
    /// An unknown version.
    #[error("version {0} of SenML is not known (10 at most, the same in all records)")]
    Version(String),
    /// No value, or several.
    #[error("{0} has not just one value")]
    NotOneValue(String),
    /// A name that is empty, too long, or has characters that RFC 8428 does not allow.
    #[error("{0:?} is not the name of a record (1 to 128 letters, digits and -:./_)")]
    Name(String),
    /// A name that is not a channel's.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// A number that is not a count.
    #[error("count {1} of {0} is not a whole number of pulses that can be held exactly")]
    Count(String, String),
    /// A value beyond its limit.
    #[error("{0} goes beyond all bounds")]
    Bounds(&'static str),
    /// Counts with and without absolute times.
    #[error("some counts of {0} have absolute times, and some are relative to now")]
    MixedTimes(String),
    /// A channel named A beside one without a name.
    #[error("one channel has no name, and would be A, and another one is A")]
    TwoChannelsA,
    /// No name begins with a meter.
    #[error(
        "{0:?} names no meter: a base name begins with urn:imei:, urn:gsma:imei:, urn:imei-imsi:, urn:imei-msisdn:, \
         urn:imeisv: or urn:dev:imei: and an IMEI, or with urn:dev:mac: and a MAC address of 48 bits"
    )]
    NoMeter(String),
}

/// Identifies the meters of a pack by their names. Records are parsed, not interpreted; a pack that goes wrong after
/// some records is of the meters that these name, so that it is kept under their IDs. The clock is the latest time of
/// a meter's records, unless a time is relative to now. RFC 8428 has no acknowledgement; a meter that wants one uses
/// CoAP.
fn identify(pack: &[u8], form: Form) -> Result<Vec<Head>, Undecodable> {
    let mut records = Vec::new();
    let parsed = parse(pack, form, &mut records);
    let names = Names::of(&records);
    if names.meters.is_empty() {
        parsed?;
        return Err(no_meter(&names));
    }
    let clock = |device| {
        let seconds = pack::resolve(&records, &names, device).ok()?.clock()?;
        At::from_unix(seconds).ok().filter(|_| parsed.is_ok())
    };
    let head = |&device: &DeviceId| Head {
        device,
        clock: clock(device),
        sequence: checksum(&[pack]),
        signal_quality: None,
        acknowledgement: Acknowledgement::None,
    };
    Ok(names.meters.iter().map(head).collect())
}

fn no_meter(names: &Names) -> Undecodable {
    match &names.invalid {
        Some(invalid) => invalid.clone().into(),
        None if names.records.is_empty() => SenMlError::Empty.into(),
        None => SenMlError::NoMeter(short(names.first())).into(),
    }
}

/// Reads records until the end of the pack, or until the first error.
fn parse(frame: &[u8], form: Form, records: &mut Vec<Record>) -> Result<(), SenMlError> {
    let frame = bytes(frame);
    match form {
        Form::Json => json::parse(&frame, records),
        Form::Cbor => cbor::parse(&frame, records),
    }
}

/// The bytes of a pack, which some modems send as hex in ASCII. No pack is a text of hex digits only.
fn bytes(frame: &[u8]) -> Cow<'_, [u8]> {
    let spelled = HexText::of(frame).and_then(|text| text.bytes().ok());
    spelled.map_or(Cow::Borrowed(frame), Cow::Owned)
}

fn decode(frame: &[u8], form: Form, context: &Context<'_>) -> Result<Reading, Undecodable> {
    let mut records = Vec::new();
    parse(frame, form, &mut records)?;
    let pack = pack::resolve(&records, &Names::of(&records), context.device)?;
    Ok(values::reading(&pack, form, context.clock)?)
}

/// The beginning of a text from a pack, for a reason.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
