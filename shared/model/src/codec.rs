//! Codecs: decode the frames of devices into readings. They are pure: no I/O, no clock, no panic for any bytes. So
//! history can be decoded again at any time.
//!
//! A new codec needs a file with a `static` [`Codec`], whose docs draw the frame and name the source; a line in
//! [`CODECS`]; the maker's own vectors; and a profile in `shared/model/profiles.toml` that names it.
//! `docs/add-a-device.md` shows the steps.

use crate::at::At;
use crate::clock::ClockCheck;
use crate::device::DeviceId;

pub mod adeunis_pulse;
mod cursor;
mod decoration;
pub mod dragino;
pub mod efento;
mod reading;
pub mod senml;
mod settings;

pub use reading::{Channel, ChannelError, Details, Flag, Flow, Mark, Reading, Series, UnknownMark, Value};
pub use settings::{CodecSettings, PeriodEnd};

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

/// A frame format, with the code that decodes it.
#[derive(Debug)]
pub struct Codec {
    /// Its name in profiles, pulse items and quarantined records.
    pub name: &'static str,
    /// Increased whenever the same bytes give another reading.
    pub version: u16,
    /// Width of the device's counters in bits, after which they wrap to zero. `None` if their maker does not specify
    /// it; a profile may.
    pub counter_bits: Option<u8>,
    /// Identifies the device of a datagram in the clear, in the maker's own format. `None` for a format whose bytes do
    /// not identify the device: its messages arrive over Sigfox, in a sealed envelope, or not at all.
    pub identify: Option<Identify>,
    /// Reads a frame.
    pub decode: Decode,
}

/// Reads a frame. A pure function of the frame's bytes and of what is known of its uplink.
///
/// # Errors
/// [`Undecodable`].
pub type Decode = fn(&[u8], &Context<'_>) -> Result<Reading, Undecodable>;

/// Facts about a frame that its bytes do not contain.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The settings of the device's profile.
    pub settings: &'a CodecSettings,
    /// The device that the uplink is stored under. A frame may name others.
    pub device: DeviceId,
    /// Checks the times of the device's clock.
    pub clock: ClockCheck,
}

/// The format of datagrams in the clear, with the function that reads the head of one.
#[derive(Debug, Clone, Copy)]
pub enum Identify {
    /// Each datagram is an uplink.
    Datagram(ReadHead),
    /// Each datagram is a pack of records, which may be of several devices. It is an uplink of each of them: `decode`
    /// reads the records of the device that the uplink is stored under.
    Pack(ReadHeads),
    /// Each datagram is a CoAP message to one of the fixed paths of Efento's loggers; its payload is the uplink.
    EfentoCoap(ReadHead),
}

/// Reads the head of an uplink. Does not check the rest: the codec decodes it later, from the stored bytes.
///
/// # Errors
/// [`Undecodable`] if the bytes do not identify a device.
pub type ReadHead = fn(&[u8]) -> Result<Head, Undecodable>;

/// Reads the heads of a pack: one for each device that it names, in the order in which they are first named. There is at
/// least one. All have the same sequence.
///
/// # Errors
/// [`Undecodable`] if the bytes do not identify a device.
pub type ReadHeads = fn(&[u8]) -> Result<Vec<Head>, Undecodable>;

/// The head of an uplink in its maker's own format.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// The device that sent it.
    pub device: DeviceId,
    /// The time that the device's own clock shows, if the uplink contains it. It may be impossible: see [`ClockCheck`].
    pub clock: Option<At>,
    /// The device's message counter; [`checksum`] of the uplink if the format has none.
    pub sequence: u32,
    /// Signal quality as the modem reports it, without a unit.
    pub signal_quality: Option<u8>,
    /// The device's acknowledgement.
    pub acknowledgement: Acknowledgement,
}

/// The answer to a device once its uplink is durable. Never longer than the uplink, because an address can be forged
/// and the bridge must not amplify.
#[derive(Debug, Clone, Copy)]
pub enum Acknowledgement {
    /// Nothing.
    None,
    /// The first bytes of its own datagram, so many of them.
    Echo(usize),
    /// A message made by this function from the time, in seconds since 1970.
    Time(fn(u32) -> Vec<u8>),
}

impl Identify {
    /// Reads the heads of an uplink, one for each device that it names, in the order in which they are first named.
    /// There is at least one.
    ///
    /// # Errors
    /// [`Undecodable`] if the bytes do not identify a device.
    pub fn heads(&self, uplink: &[u8]) -> Result<Vec<Head>, Undecodable> {
        match self {
            Self::Datagram(read) | Self::EfentoCoap(read) => Ok(vec![read(uplink)?]),
            Self::Pack(read) => read(uplink),
        }
    }

    /// Reads the head of an uplink; of a pack, the first.
    ///
    /// # Errors
    /// [`Undecodable`] if the bytes do not identify a device.
    pub fn head(&self, uplink: &[u8]) -> Result<Head, Undecodable> {
        match self {
            Self::Datagram(read) | Self::EfentoCoap(read) => read(uplink),
            Self::Pack(read) => read(uplink)?.into_iter().next().ok_or(Undecodable::Form("the pack names no device")),
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

/// A sequence for formats that have none: two uplinks of the same second stay two, and a repeated one stays one. CRC-32
/// over the parts in order, which must be everything that the stored uplink is made of. Two different uplinks have the
/// same one with a probability of 1 in 4,294,967,296.
pub fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// Why bytes are not a frame of the codec. Nothing is guessed: the uplink is quarantined with this reason.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Undecodable {
    /// The frame ends too early.
    #[error("the frame ends at byte {0}, in the middle of a field")]
    TooShort(usize),
    /// Bytes follow after the end of the frame.
    #[error("{0} bytes follow after the end of the frame")]
    TooLong(usize),
    /// A frame code that this codec does not know.
    #[error("frame code {0:#04x} is not known to this codec")]
    UnknownFrame(u8),
    /// A field has an unknown value.
    #[error("{field} is {value}, which this codec does not know")]
    UnknownValue {
        /// The field.
        field: &'static str,
        /// Its value.
        value: i64,
    },
    /// The frame violates its format.
    #[error("{0}")]
    Form(&'static str),
    /// The profile lacks a setting that the frame needs.
    #[error("the profile does not set {0}, without which this frame cannot be read")]
    Setting(&'static str),
    /// Not protobuf of the expected message.
    #[error(transparent)]
    Protobuf(#[from] prost::DecodeError),
    /// A header without a valid device ID.
    #[error(transparent)]
    Device(#[from] crate::device::DeviceIdError),
    /// Content of a device that did not send it, or that the uplink is not stored under.
    #[error("the frame has content of {0}, and the uplink is of another device")]
    OtherDevice(DeviceId),
    /// Not SenML, or not SenML of pulses.
    #[error(transparent)]
    SenMl(#[from] senml::SenMlError),
}

#[cfg(test)]
impl<'a> Context<'a> {
    /// The context of an uplink that the network received at this time.
    fn of(settings: &'a CodecSettings, received: &str) -> Self {
        let device = DeviceId::Sigfox(crate::device::SigfoxId::from(1));
        Self { settings, device, clock: ClockCheck::against(received.parse().unwrap()) }
    }
}
