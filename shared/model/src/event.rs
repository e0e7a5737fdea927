//! A device event: what a network says about a device, apart from what the device itself sent.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::at::At;
use crate::device::{DeviceId, SigfoxId};
use crate::uplink::{Decibels, ProfileName, RadioText};

/// The longest of an event's other variables, all together. The whole event has to fit a message, and one write unit holds
/// 1 KB: the longest events that Sigfox documents ("off contract") have some 500 bytes.
const MAX_VARIABLES: usize = 8 * 1024;

/// What a variable is called that came without a name.
const NAMELESS: &str = "?";

/// The longest name of an event.
const MAX_NAME: usize = 64;

/// A device event. Which of its fields there are depends on its kind, and on the customer's template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceEvent {
    /// Who it is about.
    #[serde(rename = "device")]
    pub source: Source,
    /// Which kind of callback brought it: `status`, `acknowledge`, `data-advanced`, `error`, `event`, ...
    pub kind: String,
    /// Of the kind `event`: which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When, by the network's clock.
    pub at: At,
    /// The counter of the uplink it belongs to, if it belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u32>,
    /// What the device is.
    pub profile: ProfileName,
    /// What is understood of it.
    #[serde(rename = "says", default)]
    pub details: EventDetails,
    /// What else it says, as it came: names without case, hyphens and underscores.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

/// What is understood of an event. All of it may be absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventDetails {
    /// Of the device's (or the repeater's) battery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_volts: Option<Measure>,
    /// Inside the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_celsius: Option<Measure>,
    /// How well the network hears the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_quality: Option<LinkQuality>,
    /// Where the network reckons the device to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// Where somebody has typed in that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_location: Option<Location>,
    /// The base stations that received it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub receptions: Vec<Reception>,
    /// Scope network received it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<RadioText>,
    /// In which country: ISO 3166-1 numeric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<u16>,
    /// What became of a downlink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downlink: Option<DownlinkReport>,
    /// Uplinks that the network never received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_break: Option<SequenceBreak>,
    /// `ERROR` and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<RadioText>,
}

/// Sigfox's link quality indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkQuality {
    /// Barely.
    Limit,
    /// Fairly.
    Average,
    /// Well.
    Good,
    /// Very well.
    Excellent,
}

/// A place on earth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north.
    pub lat: Measure,
    /// Degrees east.
    pub lng: Measure,
    /// How far off it may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius_metres: Option<Measure>,
    /// How it was reckoned: 1 GPS in the payload, 2 network, 6 Wi-Fi, ...
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
    /// How many of the uplink's three frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repetitions: Option<u8>,
}

/// What the network says became of a downlink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownlinkReport {
    /// 0: a station has sent it. Anything else: none has, or not yet (<https://support.sigfox.com/docs/acknowledge>).
    pub code: u32,
    /// The same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the station did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<bool>,
    /// Whether the device has had more than its contract allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_quota: Option<bool>,
}

/// The network's name for what became of a downlink. New ones may come.
/// (<https://support.sigfox.com/docs/acknowledge>; 10 is of an integrator's code)
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

/// Whether the network has yet to say what becomes of a downlink: it does so by another code.
pub fn is_provisional(code: u32) -> bool {
    matches!(code, 5 | 10)
}

/// Whether a downlink was not sent, and will not be.
pub fn is_refusal(code: u32) -> bool {
    code != 0 && !is_provisional(code)
}

/// A gap in a device's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceBreak {
    /// What should have come.
    pub expected: u32,
    /// What came.
    pub received: u32,
    /// How many are missing. The counter may have been set back instead, which looks like a large gap.
    pub missed: u32,
}

/// A measured value, to the seventh decimal, at most a million either way: what a database can hold, and more than any of
/// these is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Measure(f64);

/// Who an event is about, as the partition key writes it: a device, `sigfox:1A2345`, or something else that Sigfox has
/// events about, `sigfox-group:57309674171c857460043085`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Source(String);

/// No event that could be stored.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum EventError {
    /// Not a source.
    #[error("{0:?} is neither a device nor anything else that Sigfox has events about")]
    Source(String),
    /// Not a measured value.
    #[error("{0} is not a measured value")]
    Measure(f64),
    /// More than an event may say.
    #[error("its variables take more than {MAX_VARIABLES} bytes")]
    TooLong,
}

impl DeviceEvent {
    /// The sort key: `2026-11-20T12:00:00Z#00042#status`. What is delivered again has the same.
    pub fn key(&self) -> String {
        let name = self.name.as_deref().map(|name| format!(":{name}")).unwrap_or_default();
        match self.sequence {
            Some(sequence) => format!("{}#{sequence:05}#{}{name}", self.at, self.kind),
            None => format!("{}#-#{}{name}", self.at, self.kind),
        }
    }
}

/// Variables without a field of their own.
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
        // A table has no empty names; of two with one name the first counts.
        let name = if name.is_empty() { NAMELESS } else { name };
        bounded.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        if len > MAX_VARIABLES {
            return Err(EventError::TooLong);
        }
    }
    Ok(bounded)
}

/// A name for keys: lower-case letters, digits and hyphens.
pub fn slug(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    text.chars().take(MAX_NAME).map(plain).collect()
}

impl Source {
    /// Who an event of a kind of things (`DEVICE`, `GROUP`, ...) is about.
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

    /// The device, if it is one.
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
    /// By Sigfox's number. 4 is "not available".
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Limit, Self::Average, Self::Good, Self::Excellent].get(usize::from(number)).copied()
    }
}

impl FromStr for LinkQuality {
    type Err = ();

    /// By Sigfox's word, which its documentation has in capitals and its callbacks have not.
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
    /// Whether it is nought.
    pub fn is_zero(self) -> bool {
        self.0 == 0.0
    }
}

impl TryFrom<f64> for Measure {
    type Error = EventError;

    fn try_from(value: f64) -> Result<Self, EventError> {
        // Not so for NaN either. Adding nought makes -0 the same as 0.
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
