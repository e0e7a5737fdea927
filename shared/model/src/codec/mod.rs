//! What a device's bytes say. Codecs are pure: no I/O, no clock, no panic whatever the bytes; so history can be decoded
//! again at any time.
//!
//! To add one: a file with a `static` [`Codec`] in it, the frame drawn in its docs with the source; its line in [`CODECS`];
//! the maker's own vectors; then a profile in `shared/model/profiles.toml` that names it. `docs/add-a-device.md` walks through it.

use crate::at::At;

pub mod adeunis_pulse;
mod cursor;
pub mod dragino;
pub mod efento;
mod reading;
pub mod senml;
mod settings;

pub use reading::{Channel, ChannelError, Details, Flag, Flow, Mark, Reading, Series, UnknownMark, Value};
pub use settings::CodecSettings;

/// Every codec that a profile can name.
pub static CODECS: &[&Codec] = &[
    &adeunis_pulse::V2,
    &adeunis_pulse::V3,
    &adeunis_pulse::V4,
    &adeunis_pulse::NBIOT,
    &dragino::SW3L_NB,
    &dragino::CPN01_NB,
    &efento::MEASUREMENTS,
    &efento::CONFIGURATION,
    &efento::DEVICE_INFO,
    &senml::JSON,
    &senml::CBOR,
];

/// A frame format, with the code that reads it.
#[derive(Debug)]
pub struct Codec {
    /// What profiles, pulse items and quarantined records call it.
    pub name: &'static str,
    /// Raised whenever the same bytes would give another reading.
    pub version: u16,
    /// The bits of the device's counters, after which they start again at zero. `None` where their maker does not say; a
    /// profile may.
    pub counter_bits: Option<u8>,
    /// Reads a frame of a device with these settings.
    pub decode: fn(&[u8], &CodecSettings) -> Result<Reading, Undecodable>,
}

/// The bytes are no frame of this codec. Nothing of them is guessed; the uplink goes to quarantine with this reason.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Undecodable {
    /// The frame ends too early.
    #[error("the frame ends at byte {0}, in the middle of a field")]
    TooShort(usize),
    /// The frame goes on after its end.
    #[error("{0} bytes follow after the end of the frame")]
    TooLong(usize),
    /// A frame code this codec does not know.
    #[error("frame code {0:#04x} is not known to this codec")]
    UnknownFrame(u8),
    /// A field holds what it cannot mean.
    #[error("{field} is {value}, which this codec does not know")]
    UnknownValue {
        /// Which.
        field: &'static str,
        /// What it holds.
        value: i64,
    },
    /// The frame is not of the form that the format asks for.
    #[error("{0}")]
    Form(&'static str),
    /// The profile leaves out what the frame cannot be read without.
    #[error("the profile does not set {0}, without which this frame cannot be read")]
    Setting(&'static str),
    /// Not the protobuf of the message it should be.
    #[error(transparent)]
    Protobuf(#[from] prost::DecodeError),
    /// A header that names no device.
    #[error(transparent)]
    Device(#[from] crate::device::DeviceIdError),
    /// Not SenML, or not of pulses.
    #[error(transparent)]
    SenMl(#[from] senml::SenMlError),
}

/// 2020-01-01T00:00:00Z, before any of the devices read here was made: an earlier time is of a clock that nobody has set.
const CLOCK_SET: i64 = 1_577_836_800;

/// What a device's clock says, in seconds since 1970; `None` if nobody has set it.
fn clock(seconds: impl Into<i64>) -> Option<At> {
    let seconds = seconds.into();
    if seconds < CLOCK_SET { None } else { At::from_unix(seconds).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_set_from_the_first_second_of_2020_on() {
        assert_eq!(clock(1_577_836_799), None);
        assert_eq!(clock(1_577_836_800).map(|at| at.to_string()).as_deref(), Some("2020-01-01T00:00:00Z"));
    }
}
