//! What a device's bytes say. Codecs are pure: no I/O, no clock, no panic whatever the bytes; so history can be decoded
//! again at any time.
//!
//! To add one: a file with a `static` [`Codec`] in it, the frame drawn in its docs with the source; its line in [`CODECS`];
//! the maker's own vectors; then a profile in `shared/model/profiles.toml` that names it. `docs/add-a-device.md` walks through it.

use crate::at::At;
use crate::device::DeviceId;

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
    /// Identifies the device of a datagram that arrives in the clear, in the maker's own form. `None` for a format whose
    /// bytes name no device: its messages arrive over Sigfox, in a sealed envelope, or not at all.
    pub identify: Option<Identify>,
    /// Reads a frame of a device with these settings.
    pub decode: fn(&[u8], &CodecSettings) -> Result<Reading, Undecodable>,
}

/// How datagrams that arrive in the clear are read, and the function that reads the head of one.
#[derive(Debug, Clone, Copy)]
pub enum Identify {
    /// Each datagram is an uplink.
    Datagram(ReadHead),
    /// Each datagram is a CoAP message to one of the fixed paths of Efento's loggers; its payload is the uplink.
    EfentoCoap(ReadHead),
}

/// Reads the head of an uplink. What is behind it is not looked at: the codec reads that later, from the stored bytes.
///
/// # Errors
/// [`Undecodable`] when the bytes name no device.
pub type ReadHead = fn(&[u8]) -> Result<Head, Undecodable>;

/// The head of an uplink in its maker's own form.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// The device that sent it.
    pub device: DeviceId,
    /// The device's own time, if the uplink has it and the clock was set.
    pub clock: Option<At>,
    /// The device's message counter; [`checksum`] of the uplink if the format has none.
    pub sequence: u32,
    /// Signal quality as the modem reports it, without a unit.
    pub signal_quality: Option<u8>,
    /// The device's acknowledgement.
    pub acknowledgement: Acknowledgement,
}

/// What a device is sent once its uplink is durable. Never longer than the uplink: an address can be forged, and the bridge
/// must not amplify.
#[derive(Debug, Clone, Copy)]
pub enum Acknowledgement {
    /// Nothing.
    None,
    /// The first so many bytes of its own datagram.
    Echo(usize),
    /// A message that this function makes of the time, in seconds since 1970.
    Time(fn(u32) -> Vec<u8>),
}

impl Identify {
    /// Reads the head of an uplink.
    ///
    /// # Errors
    /// [`Undecodable`] when the bytes name no device.
    pub fn head(&self, uplink: &[u8]) -> Result<Head, Undecodable> {
        match self {
            Self::Datagram(read) | Self::EfentoCoap(read) => read(uplink),
        }
    }
}

impl Acknowledgement {
    /// The acknowledgement of an uplink, at this time in seconds since 1970; empty if the device expects none.
    pub fn bytes(&self, uplink: &[u8], now: u32) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Echo(len) => uplink.iter().take(*len).copied().collect(),
            Self::Time(message) => message(now),
        }
    }
}

/// Replaces the sequence where a format has none: two uplinks of the same second stay two, and a repeated one stays one.
/// CRC-32 over the parts in their order, which must be all that the stored uplink is made of. Of two uplinks that differ, one pair
/// in 4,294,967,296 has the same.
pub fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
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
