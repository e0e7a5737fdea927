//! A device event: a network's report about a device.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::at::At;
use crate::device::{DeviceId, SigfoxId};
use crate::uplink::{Decibels, Kind, Payload, ProfileName, Radio, RadioText, TimeSource, Uplink};

/// Limit on the length of an event's other variables together, in bytes. The whole event must fit a message, and one
/// write unit holds 1 KB. The longest events that Sigfox documents ("off contract") have about 500 bytes.
const MAX_VARIABLES: usize = 8 * 1024;

/// The name of a variable that arrived without one.
const NAMELESS: &str = "?";

/// The longest name of an event, in characters.
const MAX_NAME: usize = 64;

/// A device event. The fields that are present depend on its kind and on the customer's template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceEvent {
    /// The device or other subject of the event.
    #[serde(rename = "device")]
    pub source: Source,
    /// The kind of callback that delivered it: `status`, `acknowledge`, `data-advanced`, `error`, `event`, ...
    pub kind: String,
    /// The name of the event, for the kind `event`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The time, by the network's clock.
    pub at: At,
    /// The message counter of its uplink, if it belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u32>,
    /// The device's profile.
    pub profile: ProfileName,
    /// The variables that have a field of their own.
    #[serde(rename = "says", default)]
    pub details: EventDetails,
    /// All other variables, unchanged; names in lower case, without hyphens and underscores.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

/// The variables of an event that have a field of their own. Every field is optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventDetails {
    /// Voltage of the device's (or the repeater's) battery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_volts: Option<Measure>,
    /// Temperature inside the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_celsius: Option<Measure>,
    /// Quality of the radio link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_quality: Option<LinkQuality>,
    /// Position computed by the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// Position entered in the back end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_location: Option<Location>,
    /// The base stations that received the uplink.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub receptions: Vec<Reception>,
    /// The network operator that received it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<RadioText>,
    /// Country of the operator: ISO 3166-1 numeric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<u16>,
    /// The result of a downlink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downlink: Option<DownlinkReport>,
    /// A gap in the counter: uplinks that the network never received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_break: Option<SequenceBreak>,
    /// Severity, such as `ERROR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<RadioText>,
}

/// Sigfox's link quality indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkQuality {
    /// At the limit of reception.
    Limit,
    /// Average.
    Average,
    /// Good.
    Good,
    /// Excellent.
    Excellent,
}

/// A position.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north.
    pub lat: Measure,
    /// Degrees east.
    pub lng: Measure,
    /// Radius of its uncertainty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius_metres: Option<Measure>,
    /// The method: 1 GPS in the payload, 2 network, 6 Wi-Fi, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<u8>,
}

/// A base station that received an uplink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reception {
    /// Its ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<RadioText>,
    /// Received signal strength, dBm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rssi: Option<Decibels>,
    /// Signal to noise ratio, dB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snr: Option<Decibels>,
    /// How many of the uplink's three frames it received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repetitions: Option<u8>,
}

/// The network's report about a downlink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownlinkReport {
    /// 0: a station has sent it. Any other code: no station has sent it, or not yet
    /// (<https://support.sigfox.com/docs/acknowledge>).
    pub code: u32,
    /// The code in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// True if the station sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<bool>,
    /// True if the device has received more downlinks than its contract allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_quota: Option<bool>,
}

/// The network's name for the result of a downlink; `UNKNOWN` for a new code.
/// (<https://support.sigfox.com/docs/acknowledge>; 10 comes from an integrator's code)
pub fn code_name(code: u32) -> &'static str {
    match code {
        0 => "ACKED",
        1 => "NO_ANSWER",
        2 => "INVALID_PAYLOAD",
        3 => "OVERRUN_ERROR",
        4 => "NETWORK_ERROR",
        5 => "PENDING",
        6 => "NO_DOWNLINK_CONTRACT",
        7 => "TOO_MANY_REQUESTS",
        8 => "INVALID_CONFIGURATION",
        10 => "ROAMING_PENDING",
        _ => "UNKNOWN",
    }
}

/// Returns `true` if the result is still open. The network reports the final one with another code.
pub fn is_provisional(code: u32) -> bool {
    matches!(code, 5 | 10)
}

/// True if the downlink was not sent and will not be sent.
pub fn is_refusal(code: u32) -> bool {
    code != 0 && !is_provisional(code)
}

/// A gap in a device's counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceBreak {
    /// The expected counter.
    pub expected: u32,
    /// The received counter.
    pub received: u32,
    /// The number of missing uplinks. A counter that was reset looks like a large gap.
    pub missed: u32,
}

/// A measured value, rounded to seven decimals, from -1,000,000 to 1,000,000: a database can hold it, and none of these
/// values is larger.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Measure(f64);

/// The subject of an event, written as the partition key: a device, `sigfox:1A2345`, or another object that Sigfox
/// sends events about, `sigfox-group:57309674171c857460043085`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Source(String);

/// An event that cannot be stored.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum EventError {
    /// Not a source.
    #[error("{0:?} is neither a device nor anything else that Sigfox has events about")]
    Source(String),
    /// Not a measured value.
    #[error("{0} is not a measured value")]
    Measure(f64),
    /// Variables beyond the limit.
    #[error("its variables take more than {MAX_VARIABLES} bytes")]
    TooLong,
}

impl DeviceEvent {
    /// The event as a row of the archive, if it is of a device and names an uplink by its number. Out-of-band messages
    /// use numbers of the device's counter; without them, their numbers would look like lost uplinks.
    pub fn numbered(&self) -> Option<Uplink> {
        Some(Uplink {
            device: self.source.device()?,
            kind: Kind::Event,
            at: self.at,
            time_source: TimeSource::Network,
            sequence: Some(self.sequence?),
            profile: self.profile.clone(),
            payload: Payload::default(),
            radio: Radio::default(),
        })
    }

    /// The sort key: `2026-11-20T12:00:00Z#00042#status`. A repeated delivery has the same key.
    pub fn key(&self) -> String {
        let name = self.name.as_deref().map(|name| format!(":{name}")).unwrap_or_default();
        match self.sequence {
            Some(sequence) => format!("{}#{sequence:05}#{}{name}", self.at, self.kind),
            None => format!("{}#-#{}{name}", self.at, self.kind),
        }
    }
}

/// Collects the variables without a field of their own.
///
/// # Errors
/// [`EventError::TooLong`].
pub fn bounded<'a>(
    variables: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<BTreeMap<String, String>, EventError> {
    let mut bounded = BTreeMap::new();
    let mut len = 0;
    for (name, value) in variables {
        len += name.len() + value.len();
        // A table allows no empty names. Of two variables with one name, the first is kept.
        let name = if name.is_empty() { NAMELESS } else { name };
        bounded.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        if len > MAX_VARIABLES {
            return Err(EventError::TooLong);
        }
    }
    Ok(bounded)
}

/// Converts a text to a name for keys: lower-case letters, digits and hyphens.
pub fn slug(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    text.chars().take(MAX_NAME).map(plain).collect()
}

impl Source {
    /// The subject of an event about a kind of object (`DEVICE`, `GROUP`, ...).
    ///
    /// # Errors
    /// [`EventError::Source`].
    pub fn of_event(kind: &str, id: &str) -> Result<Self, EventError> {
        match id.parse::<SigfoxId>() {
            Ok(device) => Ok(device.into()),
            Err(_) if kind.is_empty() => Err(EventError::Source(id.chars().take(MAX_NAME).collect())),
            Err(_) => format!("sigfox-{}:{}", slug(kind), id.to_ascii_lowercase()).parse(),
        }
    }

    /// The device, if the subject is one.
    pub fn device(&self) -> Option<DeviceId> {
        self.0.parse().ok()
    }

    /// The partition key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<SigfoxId> for Source {
    fn from(id: SigfoxId) -> Self {
        Self(DeviceId::Sigfox(id).to_string())
    }
}

impl FromStr for Source {
    type Err = EventError;

    fn from_str(text: &str) -> Result<Self, EventError> {
        if let Ok(device) = text.parse::<DeviceId>() {
            return Ok(Self(device.to_string()));
        }
        let hex = |id: &str| (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit());
        match text.strip_prefix("sigfox-").and_then(|rest| rest.split_once(':')) {
            Some((kind, id)) if !kind.is_empty() && slug(kind) == kind && hex(id) => Ok(Self(text.to_owned())),
            _ => Err(EventError::Source(text.chars().take(MAX_NAME).collect())),
        }
    }
}

impl TryFrom<String> for Source {
    type Error = EventError;

    fn try_from(text: String) -> Result<Self, EventError> {
        text.parse()
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl LinkQuality {
    /// From Sigfox's number. 4 is "not available".
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Limit, Self::Average, Self::Good, Self::Excellent].get(usize::from(number)).copied()
    }
}

impl FromStr for LinkQuality {
    type Err = ();

    /// From Sigfox's word, which is in capitals in its documentation, but not in its callbacks.
    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "limit" => Ok(Self::Limit),
            "average" => Ok(Self::Average),
            "good" => Ok(Self::Good),
            "excellent" => Ok(Self::Excellent),
            _ => Err(()),
        }
    }
}

impl Measure {
    /// True if it is zero.
    pub fn is_zero(self) -> bool {
        self.0 == 0.0
    }
}

impl TryFrom<f64> for Measure {
    type Error = EventError;

    fn try_from(value: f64) -> Result<Self, EventError> {
        // Also false for NaN. Adding zero turns -0 into 0.
        if value.abs() <= 1e6 { Ok(Self((value * 1e7).round() / 1e7 + 0.0)) } else { Err(EventError::Measure(value)) }
    }
}

impl From<Measure> for f64 {
    fn from(measure: Measure) -> Self {
        measure.0
    }
}

impl FromStr for Measure {
    type Err = EventError;

    fn from_str(text: &str) -> Result<Self, EventError> {
        text.parse().unwrap_or(f64::NAN).try_into()
    }
}
