//! The table item of a downlink: its key, its bytes and its outcome.

use std::fmt;
use std::str::FromStr;

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{ANSWERED, LEN, RETENTION_SECONDS};

/// The longest name in a key.
const MAX_NAME: usize = 64;

/// A downlink, as the table stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downlink {
    /// The device that receives it.
    pub device: DeviceId,
    /// Its key among the downlinks of the device.
    #[serde(rename = "downlink")]
    pub id: DownlinkId,
    /// The bytes to send.
    pub data: Data,
    /// The latest time of an uplink that it may answer; no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<At>,
    /// When the table may delete it, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// The natural key of the uplink that it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<String>,
    /// Its outcome: zero if it was sent, otherwise see [`code_name`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// The network's message for that code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the network reported the outcome, by the network's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<At>,
}

/// An entry of a device in the table: a downlink, or the marker of an answered uplink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A downlink.
    Downlink(Downlink),
    /// The uplink with this key was answered with the downlink with this ID.
    Answered {
        /// The uplink's natural key.
        uplink: String,
        /// The downlink's ID, as text.
        downlink: String,
    },
    /// An invalid entry, typed by hand. It is never sent, since the intended bytes are unknown.
    Invalid {
        /// Its key: device and downlink.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Entry {
    /// Parses an entry of the table from an object of its attributes.
    pub fn read(value: Value) -> Self {
        let text = |name: &str| value[name].as_str().unwrap_or("?").to_owned();
        if let Some(uplink) = text("downlink").strip_prefix(ANSWERED) {
            let downlink = value["answer"].as_str().unwrap_or_default().to_owned();
            return Self::Answered { uplink: uplink.to_owned(), downlink };
        }
        let key = format!("{} {}", text("device"), text("downlink"));
        match serde_json::from_value(value) {
            Ok(downlink) => Self::Downlink(downlink),
            Err(reason) => Self::Invalid { key, reason: reason.to_string() },
        }
    }
}

/// A downlink's key among the downlinks of its device: `5#2026-11-20T12:00:00Z#open-valve`. Keys sort by priority, then
/// by age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct DownlinkId {
    priority: u8,
    queued_at: At,
    name: String,
}

/// The bytes of a downlink, and their hex text in its original case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Data {
    text: String,
    bytes: [u8; LEN],
}

/// The state of a downlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Waits for the device to request a downlink.
    Pending,
    /// No longer valid: the device requested no downlink in time.
    Expired,
    /// Handed to the network as the answer to an uplink.
    Answered,
    /// The network reports that it sent the downlink. Reception by the device is not confirmed.
    Delivered,
    /// The network reports that it did not send the downlink.
    Refused,
}

/// A part of a downlink is invalid.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum DownlinkError {
    /// Not eight bytes in hex.
    #[error("{0:?} is not {LEN} bytes in hex (sixteen digits)")]
    Data(String),
    /// Not a key.
    #[error("{0:?} is not a downlink's ID of the form 5#2026-11-20T12:00:00Z#NAME")]
    Id(String),
    /// Not a priority.
    #[error("{0} is not a priority from 0 (the most urgent) to 9")]
    Priority(u8),
    /// Not a name.
    #[error("{0:?} is not a name of letters, digits, hyphens and underscores, at most {MAX_NAME}")]
    Name(String),
}

impl Downlink {
    /// Builds a pending downlink.
    pub fn pending(device: DeviceId, id: DownlinkId, data: Data, valid_until: Option<At>) -> Self {
        let expires_at = valid_until.map(|until| until.unix() + RETENTION_SECONDS);
        let (uplink, code, message, told_at) = (None, None, None, None);
        Self { device, id, data, valid_until, expires_at, uplink, code, message, told_at }
    }

    /// Returns `true` if it may answer an uplink of that time.
    pub fn is_valid_at(&self, at: At) -> bool {
        self.valid_until.is_none_or(|until| at <= until)
    }

    /// Returns its state. `now` only separates pending downlinks from expired ones.
    pub fn state(&self, now: At) -> State {
        match (self.code, &self.uplink) {
            (Some(0), _) => State::Delivered,
            (Some(_), _) => State::Refused,
            (None, Some(_)) => State::Answered,
            (None, None) if self.is_valid_at(now) => State::Pending,
            (None, None) => State::Expired,
        }
    }

    /// The time of the uplink that it answered.
    pub fn answered_at(&self) -> Option<At> {
        self.uplink.as_ref()?.split('#').next()?.parse().ok()
    }
}

impl State {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Expired, Self::Answered, Self::Delivered, Self::Refused];

    /// Its name for operators.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Expired => "expired",
            Self::Answered => "answered",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
        }
    }
}

impl DownlinkId {
    /// Builds a key from its parts.
    ///
    /// # Errors
    /// [`DownlinkError::Priority`] or [`DownlinkError::Name`].
    pub fn new(priority: u8, queued_at: At, name: &str) -> Result<Self, DownlinkError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if priority > 9 {
            Err(DownlinkError::Priority(priority))
        } else if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) {
            Err(DownlinkError::Name(name.chars().take(MAX_NAME).collect()))
        } else {
            Ok(Self { priority, queued_at, name: name.to_owned() })
        }
    }

    /// The priority; 0 goes first.
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// The name that the operator gave it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for DownlinkId {
    type Err = DownlinkError;

    fn from_str(text: &str) -> Result<Self, DownlinkError> {
        let error = || DownlinkError::Id(text.to_owned());
        let mut parts = text.splitn(3, '#');
        let (Some(priority), Some(at), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(error());
        };
        let (priority, at) = priority.parse().ok().zip(at.parse().ok()).ok_or_else(error)?;
        let id = Self::new(priority, at, name)?;
        // Reject other spellings: they would sort differently.
        if id.to_string() == text { Ok(id) } else { Err(error()) }
    }
}

impl Data {
    /// The bytes.
    pub fn bytes(&self) -> [u8; LEN] {
        self.bytes
    }

    /// The hex text in its original case.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Data {
    type Err = DownlinkError;

    fn from_str(text: &str) -> Result<Self, DownlinkError> {
        let mut bytes = [0; LEN];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DownlinkError::Data(text.chars().take(64).collect()))?;
        Ok(Self { text: text.to_owned(), bytes })
    }
}

impl fmt::Display for DownlinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}#{}", self.priority, self.queued_at, self.name)
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<String> for DownlinkId {
    type Error = DownlinkError;

    fn try_from(text: String) -> Result<Self, DownlinkError> {
        text.parse()
    }
}

impl TryFrom<String> for Data {
    type Error = DownlinkError;

    fn try_from(text: String) -> Result<Self, DownlinkError> {
        text.parse()
    }
}

impl Serialize for DownlinkId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
