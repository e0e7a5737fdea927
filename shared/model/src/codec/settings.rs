//! The settings of a device that its bytes do not tell.

use serde::{Deserialize, Serialize};

use super::Codec;

/// How all devices of a profile are set, where their frames do not say so. Nothing of it is ever guessed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CodecSettings {
    /// Seconds between two logs of a history.
    pub log_period: Option<u32>,
    /// How many logs a series has that is sent in several frames.
    pub logs_per_series: Option<u16>,
    /// The bits of the device's counters, where the codec does not know them, or they are fewer than the codec says.
    pub counter_bits: Option<u8>,
    /// Whether frames of a Dragino device have the IMSI behind the IMEI, as newer firmware sends it.
    pub imsi: bool,
    /// How long a record in the log of a Dragino CPN01-NB is: 11 bytes, or 12 with firmware that repeats the calculate flag.
    pub record_bytes: Option<u8>,
}

impl CodecSettings {
    /// Returns what is wrong with the settings for devices that speak this codec.
    pub(crate) fn fault(&self, codec: &Codec) -> Option<String> {
        if let Some(bits) = self.counter_bits.filter(|bits| !(1..=64).contains(bits)) {
            return Some(format!("a counter has 1 to 64 bits, not {bits}"));
        }
        if let Some((bits, field)) = self.counter_bits.zip(codec.counter_bits).filter(|(bits, field)| bits > field) {
            return Some(format!("a counter of {bits} bits, in a field of {field} ({})", codec.name));
        }
        if self.log_period == Some(0) {
            return Some("a log period of no time at all".to_owned());
        }
        if self.logs_per_series.is_some_and(|logs| logs < 2) {
            return Some("a series has two logs at least".to_owned());
        }
        let bytes = self.record_bytes.filter(|bytes| !(11..=12).contains(bytes))?;
        Some(format!("a record has 11 or 12 bytes, not {bytes}"))
    }
}
