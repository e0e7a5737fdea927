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
//! Sources: RFC 8428 (the format; section 12.1 for `count`), RFC 7254 (`urn:gsma:imei:`), OMA LwM2M (`urn:imei:`).

use super::{Acknowledgement, ChannelError, Codec, Head, Identify, Reading, Undecodable, checksum};
use crate::clock::ClockCheck;
use crate::device::{DeviceId, DeviceIdError, Imei};

mod cbor;
mod json;
#[cfg(test)]
mod limits;
mod number;
mod pack;
mod record;
#[cfg(test)]
mod tests;
mod values;

use pack::Pack;
use record::Record;

/// In JSON.
pub static JSON: Codec = Codec {
    name: "senml-json",
    version: 2,
    counter_bits: None,
    identify: Some(Identify::Pack(|pack| Ok(vec![identify(pack, Form::Json)?]))),
    decode: |frame, context| decode(frame, Form::Json, context.clock),
};

/// In CBOR.
pub static CBOR: Codec = Codec {
    name: "senml-cbor",
    version: 2,
    counter_bits: None,
    identify: Some(Identify::Pack(|pack| Ok(vec![identify(pack, Form::Cbor)?]))),
    decode: |frame, context| decode(frame, Form::Cbor, context.clock),
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
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SenMlError {
    /// Not an array of objects.
    #[error("not SenML in JSON: {0}")]
    Json(String),
    /// Not an array of maps.
    #[error("not SenML in CBOR: {0}")]
    Cbor(String),
    /// No records.
    #[error("a pack without a record")]
    Empty,
    /// An unknown label that must be understood.
    #[error("field {0:?} has to be understood, and is not known")]
    NotUnderstood(String),
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
    /// A count from the future, or from a clock that is not set.
    #[error("a count of {0} is from {1}")]
    Time(String, &'static str),
    /// Counts with and without absolute times.
    #[error("some counts of {0} have absolute times, and some are relative to now")]
    MixedTimes(String),
    /// A channel named A beside one without a name.
    #[error("one channel has no name, and would be A, and another one is A")]
    TwoChannelsA,
    /// A base name without an IMEI.
    #[error("{0:?} does not begin with urn:imei: or urn:gsma:imei: and an IMEI")]
    NoMeter(String),
}

/// Identifies the meter of a pack by its first base name. Records are parsed, not interpreted. The clock is the latest time in
/// the pack, unless a time is relative to now. RFC 8428 has no acknowledgement; a meter that wants one uses CoAP.
fn identify(pack: &[u8], form: Form) -> Result<Head, Undecodable> {
    let records = parse(pack, form)?;
    let first = records.first().ok_or(SenMlError::Empty)?;
    let name = first.base_name.as_deref().or(first.name.as_deref()).unwrap_or_default();
    let imei = imei(name).ok_or_else(|| SenMlError::NoMeter(short(name)))??;
    Ok(Head {
        device: DeviceId::Nbiot(imei),
        clock: pack::resolve(records).ok().and_then(|pack| pack.clock()),
        sequence: checksum(&[pack]),
        signal_quality: None,
        acknowledgement: Acknowledgement::None,
    })
}

/// The IMEI at the beginning of a name.
fn imei(name: &str) -> Option<Result<Imei, DeviceIdError>> {
    let (digits, rest) = if let Some(name) = name.strip_prefix("urn:imei:") {
        let end = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
        let (digits, rest) = name.split_at(end);
        (digits.to_owned(), rest)
    } else {
        let name = name.strip_prefix("urn:gsma:imei:")?;
        let (number, rest) = name.split_at_checked("TTTTTTTT-SSSSSS-C".len())?;
        let parts: Vec<&str> = number.split('-').collect();
        let &[tac, serial, check] = parts.as_slice() else { return None };
        if [tac.len(), serial.len(), check.len()] != [8, 6, 1] {
            return None;
        }
        let digits = [tac, serial].concat();
        let check = if check == "0" { check_digit(&digits) } else { check.to_owned() };
        (digits + &check, rest)
    };
    // The rest names something in the meter, and must be separate from the IMEI.
    let ends = !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    ends.then(|| digits.parse())
}

/// The check digit of an IMEI (3GPP TS 23.003, annex B), which RFC 7254 replaces by a zero. With the zero, the meter
/// would have another ID than the one that is printed on it.
fn check_digit(digits: &str) -> String {
    let doubled = |digit: u32| digit * 2 / 10 + digit * 2 % 10;
    let digits = digits.chars().map(|c| c.to_digit(10).unwrap_or_default());
    let sum: u32 = digits.enumerate().map(|(n, digit)| if n % 2 == 1 { doubled(digit) } else { digit }).sum();
    ((10 - sum % 10) % 10).to_string()
}

fn parse(frame: &[u8], form: Form) -> Result<Vec<Record>, SenMlError> {
    match form {
        Form::Json => json::parse(frame),
        Form::Cbor => cbor::parse(frame),
    }
}

fn decode(frame: &[u8], form: Form, clock: ClockCheck) -> Result<Reading, Undecodable> {
    let pack: Pack = pack::resolve(parse(frame, form)?)?;
    Ok(values::reading(&pack, form, clock)?)
}

/// The beginning of a text from a pack, for a reason.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
