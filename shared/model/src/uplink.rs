//! One message of a meter, the key it is stored under, and the raw item.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::at::At;
use crate::device::DeviceId;

/// The longest payload taken. NB-IoT carries at most 1,600 bytes in one packet (3GPP TS 36.323, 4.3.1), Sigfox 12; the
/// rest is room for what a gateway may have put together. An uplink of this size still fits one envelope as hex.
pub const MAX_PAYLOAD: usize = 4096;

/// The longest text of radio metadata; the longest seen is a station ID of 4 characters.
const MAX_RADIO_TEXT: usize = 64;

/// One uplink, as its network delivered it, not yet interpreted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Uplink {
    /// Who sent it.
    pub device: DeviceId,
    /// What kind of message the network made of it.
    pub kind: Kind,
    /// When: see `time_source`.
    pub at: At,
    /// Scope clock `at` was read from.
    pub time_source: TimeSource,
    /// The device's message counter; of a datagram whose format has none, a checksum; or neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u32>,
    /// What the device is; chooses the codec.
    pub profile: ProfileName,
    /// The bytes as they came off the air.
    pub payload: Payload,
    /// How it was received.
    #[serde(default, skip_serializing_if = "Radio::is_empty")]
    pub radio: Radio,
}

/// The kind of message. One uplink may arrive in several kinds, which share its pulse key but not its raw key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What the device sent, as it was first received.
    Data,
    /// The same once more, when the network had gathered who else received it (Sigfox's `DATA_ADVANCED`).
    DataAdvanced,
}

/// Scope clock a time was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeSource {
    /// The network's, at reception: the Sigfox cloud's, or that of the bridge a datagram reached first.
    Network,
    /// The device's own.
    Device,
    /// Reckoned back from one of the others, by the device's log period or by how long ago it says.
    Computed,
}

/// The name of a device profile: lower-case letters, digits and hyphens, at most 64.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct ProfileName(Cow<'static, str>);

/// An uplink's bytes, at most [`MAX_PAYLOAD`]. In messages they are lower-case hex, as in the Sigfox back end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Payload(Vec<u8>);

/// How an uplink was received. All of it may be absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Radio {
    /// Received signal strength, dBm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rssi: Option<Decibels>,
    /// Signal to noise ratio, dB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snr: Option<Decibels>,
    /// The Sigfox base station.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<RadioText>,
    /// Signal quality as the modem reports it, without a unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal_quality: Option<u8>,
}

/// A level or a ratio of levels, to the hundredth, at most 1,000 either way. No radio measures more, and one number that
/// DynamoDB cannot hold (beyond 1E+126 or closer to zero than 1E-130) fails the write of everything beside it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Decibels(f64);

/// A short text of letters, digits, spaces and `-_.:` out of a network's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RadioText(String);

/// Not part of an uplink.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum UplinkError {
    /// Not a profile name.
    #[error("{0:?} is not a profile name (lower-case letters, digits and hyphens, at most 64)")]
    Profile(String),
    /// Not hex.
    #[error("the payload is not hex: {0}")]
    Hex(#[from] hex::FromHexError),
    /// Longer than [`MAX_PAYLOAD`].
    #[error("a payload of {0} bytes is longer than {MAX_PAYLOAD}")]
    TooLong(usize),
    /// Not a level.
    #[error("{0} is not a level in decibels")]
    Decibels(f64),
    /// Not short and plain.
    #[error("radio metadata is not a plain text of at most {MAX_RADIO_TEXT} characters")]
    RadioText,
}

/// What makes an uplink the same one however often it arrives: device, time and sequence.
///
/// Only an [`Uplink`] has one. Its texts are the keys in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NaturalKey {
    device: DeviceId,
    at: At,
    sequence: Option<u32>,
}

impl Uplink {
    /// The key it is the same uplink under, whatever its kind.
    pub fn key(&self) -> NaturalKey {
        NaturalKey { device: self.device, at: self.at, sequence: self.sequence }
    }
}

impl NaturalKey {
    /// The partition key: the device's ID.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// When, by whichever clock the uplink was dated.
    pub fn at(&self) -> At {
        self.at
    }
}

/// The sort key: `2026-11-20T12:00:00Z#00042`. Keys sort by time; a device without a counter has `#-`.
/// Five digits hold every counter of Sigfox (12 bits); a longer one is written whole.
impl fmt::Display for NaturalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sequence {
            Some(sequence) => write!(f, "{}#{sequence:05}", self.at),
            None => write!(f, "{}#-", self.at),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Data => "data",
            Self::DataAdvanced => "data-advanced",
        })
    }
}

impl Payload {
    /// From bytes off the air.
    ///
    /// # Errors
    /// [`UplinkError::TooLong`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, UplinkError> {
        if bytes.len() <= MAX_PAYLOAD { Ok(Self(bytes.to_vec())) } else { Err(UplinkError::TooLong(bytes.len())) }
    }

    /// The bytes as they came off the air.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Payload {
    type Err = UplinkError;

    fn from_str(text: &str) -> Result<Self, UplinkError> {
        Self::from_bytes(&hex::decode(text)?)
    }
}

impl Radio {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl TryFrom<f64> for Decibels {
    type Error = UplinkError;

    fn try_from(level: f64) -> Result<Self, UplinkError> {
        // Not so for NaN either.
        if level.abs() <= 1000.0 {
            Ok(Self((level * 100.0).round() / 100.0))
        } else {
            Err(UplinkError::Decibels(level))
        }
    }
}

impl From<Decibels> for f64 {
    fn from(level: Decibels) -> Self {
        level.0
    }
}

impl FromStr for ProfileName {
    type Err = UplinkError;

    fn from_str(text: &str) -> Result<Self, UplinkError> {
        let valid = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if valid {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(UplinkError::Profile(text.chars().take(64).collect()))
        }
    }
}

impl RadioText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RadioText {
    type Err = UplinkError;

    fn from_str(text: &str) -> Result<Self, UplinkError> {
        let valid =
            text.len() <= MAX_RADIO_TEXT && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.: ".contains(&b));
        if valid { Ok(Self(text.to_owned())) } else { Err(UplinkError::RadioText) }
    }
}

impl ProfileName {
    /// The name of a profile there is; a test holds those to the rule.
    pub(crate) const fn of_profile(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Serde reads and writes these as text, through the same parsers as everybody else.
macro_rules! as_text {
    ($type:ty, $value:ident => $text:expr) => {
        impl TryFrom<String> for $type {
            type Error = UplinkError;

            fn try_from(text: String) -> Result<Self, UplinkError> {
                text.parse()
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $value = self;
                serializer.serialize_str($text)
            }
        }
    };
}

as_text!(ProfileName, name => &name.0);
as_text!(RadioText, text => &text.0);
as_text!(Payload, payload => &hex::encode(&payload.0));

#[cfg(any(test, feature = "testing"))]
pub mod testing {
    //! Strategies for property tests.

    use proptest::prelude::*;

    use super::*;

    /// Any uplink that parses.
    pub fn any_uplink() -> impl Strategy<Value = Uplink> {
        let device = prop_oneof![
            "[0-9A-F]{1,8}".prop_map(|id| format!("sigfox:{id}")),
            "[1-9][0-9]{14}|[1-9A-F][0-9A-F]{11}".prop_map(|id| format!("nbiot:{id}")),
        ];
        let radio = (any::<Option<i16>>(), proptest::option::of("[0-9A-F]{4}"), any::<Option<u8>>());
        let payload = proptest::collection::vec(any::<u8>(), 0..64);
        (device, 0..4_000_000_000_i64, any::<Option<u32>>(), payload, radio).prop_map(
            |(device, at, sequence, payload, (rssi, station, signal_quality))| Uplink {
                device: device.parse().unwrap(),
                kind: Kind::Data,
                at: At::from_unix(at).unwrap(),
                time_source: TimeSource::Network,
                sequence,
                profile: "adeunis-pulse-v4".parse().unwrap(),
                payload: Payload::from_bytes(&payload).unwrap(),
                radio: Radio {
                    rssi: rssi.map(|rssi| (f64::from(rssi) / 100.0).try_into().unwrap()),
                    snr: None,
                    station: station.map(|station| station.parse().unwrap()),
                    signal_quality,
                },
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::testing::any_uplink;
    use super::*;

    #[test]
    fn a_level_that_the_database_could_not_hold_is_none() {
        assert_eq!(Decibels::try_from(-123.456).map(f64::from), Ok(-123.46));
        assert_eq!(Decibels::try_from(1e-200).map(f64::from), Ok(0.0));
        for level in [1e300, f64::INFINITY, f64::NAN] {
            assert!(Decibels::try_from(level).is_err(), "{level}");
        }
        assert!(serde_json::from_str::<Radio>(r#"{"rssi":1e300}"#).is_err());
    }

    #[test]
    fn the_key_reads_as_time_and_zero_padded_sequence() {
        let key = NaturalKey {
            device: "sigfox:1A2345".parse().unwrap(),
            at: "2026-11-20T12:00:00Z".parse().unwrap(),
            sequence: Some(42),
        };
        assert_eq!(key.to_string(), "2026-11-20T12:00:00Z#00042");
        assert_eq!(NaturalKey { sequence: None, ..key }.to_string(), "2026-11-20T12:00:00Z#-");
    }

    proptest! {
        #[test]
        fn keys_sort_by_time(a in any_uplink(), b in any_uplink()) {
            prop_assume!(a.at != b.at);
            prop_assert_eq!(a.at < b.at, a.key().to_string() < b.key().to_string());
        }

        #[test]
        fn every_uplink_is_read_back_as_it_was_written(uplink in any_uplink()) {
            let text = serde_json::to_string(&uplink)?;
            prop_assert_eq!(serde_json::from_str::<Uplink>(&text)?, uplink);
        }
    }
}
