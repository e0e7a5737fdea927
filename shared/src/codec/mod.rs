//! What a device's bytes say. Codecs are pure: no I/O, no clock, no panic whatever the bytes; so history can be decoded
//! again at any time.
//!
//! To add one: a file with a `static` [`Codec`] in it, the frame drawn in its docs with the source, and the maker's own
//! vectors as tests; then a profile in [`crate::profile`] that names it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::at::At;

pub mod adeunis_pulse;
mod cursor;

/// A frame format, with the code that reads it.
#[derive(Debug)]
pub struct Codec {
    /// What pulse items and quarantined records call it.
    pub name: &'static str,
    /// Raised whenever the same bytes would give another reading.
    pub version: u16,
    /// The bits of the device's counters, after which they start again at zero.
    pub counter_bits: u8,
    /// Reads a frame.
    pub decode: fn(&[u8]) -> Result<Reading, Undecodable>,
}

/// What one frame says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// The device's own clock, where the frame carries it: the time of the newest points.
    pub clock: Option<At>,
    /// Cumulative pulse counts of each channel, newest first.
    pub channels: BTreeMap<Channel, Vec<Index>>,
    /// What the device, or the codec, draws attention to.
    pub flags: BTreeSet<Flag>,
}

/// A pulse input of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Channel {
    /// The first.
    A,
    /// The second.
    B,
}

/// A cumulative count at a moment that the frame tells in log periods only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// How many log periods before the frame's own moment.
    pub logs_before: u16,
    /// Pulses counted so far, modulo the counter's width.
    pub count: u32,
}

/// A state that somebody may have to act upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flag {
    /// The battery is nearly empty.
    LowBattery,
    /// The device found a fault in itself.
    HardwareError,
    /// The device's settings contradict each other.
    InconsistentConfiguration,
    /// The last downlink changed the settings.
    ConfigurationDone,
    /// The frame carries a time, but one from before the device was made.
    ClockNotSet,
    /// A step of more than half the field's range. Some decoders of this format read it as negative, so the meter may
    /// have run backwards; here it is counted as it stands.
    LargeStep,
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
    /// A header that names no device.
    #[error(transparent)]
    Device(#[from] crate::device::DeviceIdError),
}
