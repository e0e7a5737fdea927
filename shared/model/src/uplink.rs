//! An uplink: one message of a meter, and the key it is stored under.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::at::At;
use crate::device::DeviceId;

mod key;

pub use key::{NaturalKey, SortKey, SortKeyError};

/// The longest payload accepted. NB-IoT carries at most 1,600 bytes in one packet (3GPP TS 36.323, 4.3.1), Sigfox 12;
/// the rest is a margin for gateways that combine messages. An uplink of this size still fits one envelope as hex.
pub const MAX_PAYLOAD: usize = 4096;

/// The longest text of radio metadata; the longest seen is a station ID of 4 characters.
const MAX_RADIO_TEXT: usize = 64;

/// One uplink, as its network delivered it, not yet decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Uplink {
    /// The device that sent it.
    pub device: DeviceId,
    /// The kind of message.
    pub kind: Kind,
    /// The time of the uplink, by the clock `time_source`.
    pub at: At,
    /// The clock of `at`.
    pub time_source: TimeSource,
    /// The device's message counter, or a checksum of a datagram whose format has no counter. `None` without either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u32>,
    /// The device's profile, which selects the codec.
    pub profile: ProfileName,
    /// The bytes as received.
    pub payload: Payload,
    /// Radio metadata of the reception.
    #[serde(default, skip_serializing_if = "Radio::is_empty")]
    pub radio: Radio,
}

/// The kind of message. One uplink may arrive in several kinds, which have the same pulse key but different raw keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The uplink as first received.
    Data,
    /// The same uplink again, after the network has collected all its receptions (Sigfox's `DATA_ADVANCED`).
    DataAdvanced,
    /// An uplink of which only the network's report is known: its number, without a payload. Only the archive has this
    /// kind, made from a [device event](crate::event::DeviceEvent::numbered); a message that claims to be of it is not
    /// parsed.
    #[serde(skip_deserializing)]
    Event,
}

/// The clock that a time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeSource {
    /// The network's, at reception: the Sigfox cloud's, or that of the first bridge that received the datagram.
    Network,
    /// The device's own clock.
    Device,
    /// Computed from one of the others, with the device's log period or with an age that the device sent.
    Computed,
    /// The device's own clock, which shows an impossible time. It identifies an uplink and dates nothing.
    Unset,
}

/// The name of a device profile: lower-case letters, digits and hyphens, at most 64.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct ProfileName(Cow<'static, str>);

/// An uplink's bytes, at most [`MAX_PAYLOAD`]. Messages contain them as lower-case hex, as the Sigfox back end does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Payload(Vec<u8>);

/// Radio metadata of an uplink. Every field is optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Radio {
    /// Received signal strength, dBm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rssi: Option<Decibels>,
    /// Signal to noise ratio, dB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snr: Option<Decibels>,
    /// ID of the Sigfox base station.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<RadioText>,
    /// Signal quality as the modem reports it, without a unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal_quality: Option<u8>,
}

/// A level or a ratio of levels in dB, rounded to hundredths, from -1,000 to 1,000. No radio measures more, and a
/// number that DynamoDB cannot hold (beyond 1E+126 or closer to zero than 1E-130) fails the write of all items in its
/// batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Decibels(f64);

/// A short text of letters, digits, spaces and `-_.:` from a network's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RadioText(String);

/// A value that an uplink cannot have.
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
    /// Too long, or with other characters.
    #[error("radio metadata is not a plain text of at most {MAX_RADIO_TEXT} characters")]
    RadioText,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Data => "data",
            Self::DataAdvanced => "data-advanced",
            Self::Event => "event",
        })
    }
}

impl Payload {
    /// From received bytes.
    ///
    /// # Errors
    /// [`UplinkError::TooLong`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, UplinkError> {
        if bytes.len() <= MAX_PAYLOAD { Ok(Self(bytes.to_vec())) } else { Err(UplinkError::TooLong(bytes.len())) }
    }

    /// The bytes as received.
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
    /// True if all fields are absent.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl TryFrom<f64> for Decibels {
    type Error = UplinkError;

    fn try_from(level: f64) -> Result<Self, UplinkError> {
        // Also false for NaN.
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
    /// The name of a known profile, which [`crate::profile::parse`] has checked.
    pub(crate) const fn of_profile(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Serialises as text, and deserialises with the type's own parser.
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
#[expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "for tests: what is generated is valid")]
pub mod testing {
    //! Strategies for property tests.

    use proptest::prelude::*;

    use super::{At, Kind, Payload, Radio, TimeSource, Uplink};

    /// Any uplink that parses.
    pub fn any_uplink() -> impl Strategy<Value = Uplink> {
        let device = prop_oneof![
            "[0-9A-F]{1,8}".prop_map(|id| format!("sigfox:{id}")),
            "[1-9][0-9]{14}|[1-9A-F][0-9A-F]{11}".prop_map(|id| format!("nbiot:{id}")),
        ];
        let radio = (any::<Option<i16>>(), proptest::option::of("[0-9A-F]{4}"), any::<Option<u8>>());
        let payload = proptest::collection::vec(any::<u8>(), 0..64);
        let source = prop_oneof![Just(TimeSource::Network), Just(TimeSource::Device), Just(TimeSource::Unset)];
        (device, 0..4_000_000_000_i64, source, any::<Option<u32>>(), payload, radio).prop_map(
            |(device, at, time_source, sequence, payload, (rssi, station, signal_quality))| Uplink {
                device: device.parse().unwrap(),
                kind: Kind::Data,
                at: At::from_unix(at).unwrap(),
                time_source,
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

    proptest! {
        #[test]
        fn every_uplink_is_read_back_as_it_was_written(uplink in any_uplink()) {
            let text = serde_json::to_string(&uplink)?;
            prop_assert_eq!(serde_json::from_str::<Uplink>(&text)?, uplink);
        }

        #[test]
        fn a_message_that_claims_to_be_an_event_is_not_parsed(uplink in any_uplink()) {
            let text = serde_json::to_string(&Uplink { kind: Kind::Event, ..uplink })?;
            prop_assert!(text.contains(r#""kind":"event""#));
            prop_assert!(serde_json::from_str::<Uplink>(&text).is_err());
        }
    }
}
