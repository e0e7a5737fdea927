//! Settings of devices that their frames do not contain.

use serde::{Deserialize, Serialize};

use super::Codec;

/// Settings of all devices of a profile that their frames do not contain. They are never guessed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CodecSettings {
    /// Seconds between two logs of a history.
    pub log_period: Option<u32>,
    /// Number of logs in a series that is sent in several frames.
    pub logs_per_series: Option<u16>,
    /// Width of the device's counters in bits, if the codec does not know it, or if it is smaller than the codec's.
    pub counter_bits: Option<u8>,
    /// The end of its period that the time of a per-period count names ([`Series::Counted`](super::Series::Counted)).
    pub counted_at: PeriodEnd,
    /// True if frames of a Dragino device have the IMSI after the IMEI, as newer firmware sends it.
    pub imsi: bool,
    /// Length of a record in the log of a Dragino CPN01-NB: 11 bytes, or 12 with firmware that repeats the calculate
    /// flag.
    pub record_bytes: Option<u8>,
}

/// The end of a period that a time names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeriodEnd {
    /// The beginning.
    Start,
    /// The end.
    #[default]
    End,
}

impl CodecSettings {
    /// Returns what is wrong with the settings for devices that speak this codec.
    pub(crate) fn fault(&self, codec: &Codec) -> Option<String> {
        if let Some(bits) = self.counter_bits.filter(|bits| !(1..=64).contains(bits)) {
            return Some(format!("a counter has 1 to 64 bits, not {bits}"));
        }
        if let Some((bits, field)) = self.counter_bits.zip(codec.counter_bits).filter(|(bits, field)| bits > field) {
            return Some(format!("a counter of {bits} bits does not fit its field of {field} ({})", codec.name));
        }
        if self.log_period == Some(0) {
            return Some("log_period is 0, but must be at least 1 second".to_owned());
        }
        if self.logs_per_series.is_some_and(|logs| logs < 2) {
            return Some("a series has at least two logs".to_owned());
        }
        let bytes = self.record_bytes.filter(|bytes| !(11..=12).contains(bytes))?;
        Some(format!("a record has 11 or 12 bytes, not {bytes}"))
    }
}
