//! The volume of a pulse.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// The volume of one pulse, in thousandths of a litre: from 0.001 to 1,000,000 litres. Written as litres: `10`, `0.25`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PulseVolume(u64);

/// Not the volume of a pulse.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a number of litres from 0.001 to 1000000 with at most three decimals")]
pub struct PulseVolumeError(String);

const MAX_THOUSANDTHS: u64 = 1_000_000_000;

impl PulseVolume {
    /// One litre.
    pub const LITRE: Self = Self(1_000);

    /// From thousandths of a litre.
    ///
    /// # Errors
    /// [`PulseVolumeError`] if it is 0 or over a million litres.
    pub fn from_thousandths(thousandths: u64) -> Result<Self, PulseVolumeError> {
        if (1..=MAX_THOUSANDTHS).contains(&thousandths) {
            Ok(Self(thousandths))
        } else {
            Err(PulseVolumeError(format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000)))
        }
    }

    /// Thousandths of a litre.
    pub fn thousandths(self) -> u64 {
        self.0
    }
}

impl FromStr for PulseVolume {
    type Err = PulseVolumeError;

    fn from_str(text: &str) -> Result<Self, PulseVolumeError> {
        let error = || PulseVolumeError(text.chars().take(64).collect());
        let (whole, decimals) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let is_decimal = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
        if whole.is_empty() || whole.len() > 9 || decimals.len() > 3 || !is_decimal(whole) || !is_decimal(decimals) {
            return Err(error());
        }
        let thousandths = format!("{whole}{decimals:0<3}").parse().map_err(|_| error())?;
        Self::from_thousandths(thousandths).map_err(|_| error())
    }
}

impl fmt::Display for PulseVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.0 / 1_000, format!("{:03}", self.0 % 1_000));
        match decimals.trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            decimals => write!(f, "{whole}.{decimals}"),
        }
    }
}

/// A JSON number.
impl Serialize for PulseVolume {
    #[expect(clippy::cast_precision_loss, reason = "a million litres in thousandths is below 2^53")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1_000.0)
    }
}

impl<'de> Deserialize<'de> for PulseVolume {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The shortest text of a number with up to three decimals is that number.
        f64::deserialize(deserializer)?.to_string().parse().map_err(serde::de::Error::custom)
    }
}
