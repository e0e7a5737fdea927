//! The item of a downlink: its key, its bytes, and what became of it.

use std::fmt;
use std::str::FromStr;

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{ANSWERED, KEPT_SECONDS, LEN};

/// The longest name in a key.
const MAX_NAME: usize = 64;

/// A downlink, as the table holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downlink {
    /// Who it is for.
    pub device: DeviceId,
    /// Its key among the device's.
    #[serde(rename = "downlink")]
    pub id: DownlinkId,
    /// What is sent.
    pub data: Data,
    /// The latest uplink that it may answer is of this time; without it there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<At>,
    /// From when on the table may delete it, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// The natural key of the uplink it was the answer to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<String>,
    /// What became of it: zero if it was sent, otherwise see [`code_name`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// The network's own words for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Since when that is known, by the network's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<At>,
}

/// What a table holds of a device: downlinks, and marks of uplinks that have their answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A downlink.
    Downlink(Downlink),
    /// The uplink with this key was answered with the downlink of this ID.
    Answered {
        /// The uplink's natural key.
        uplink: String,
        /// The downlink's ID, as it is written.
        downlink: String,
    },
    /// An entry that somebody typed wrongly. It is never sent, since nobody knows what should be.
    Invalid {
        /// Its key: device and downlink.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Entry {
    /// Reads an entry as a table holds it, by its attributes' names.
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

/// A downlink's key among those of its device: `5#2026-11-20T12:00:00Z#open-valve`. Keys sort by priority, then by age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct DownlinkId {
    priority: u8,
    queued_at: At,
    name: String,
}

/// The bytes of a downlink, as hex in whichever case they were typed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Data {
    text: String,
    bytes: [u8; LEN],
}

/// Where a downlink is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Waits for the device to ask.
    Pending,
    /// Waited too long.
    Expired,
    /// Handed to the network as the answer to an uplink.
    Answered,
    /// The network says that it has sent it. Whether the device has heard it, nobody knows.
    Delivered,
    /// The network says that it has not.
    Refused,
}

/// Not a downlink.
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
    /// One that waits.
    pub fn pending(device: DeviceId, id: DownlinkId, data: Data, valid_until: Option<At>) -> Self {
        let expires_at = valid_until.map(|until| until.unix() + KEPT_SECONDS);
        let (uplink, code, message, told_at) = (None, None, None, None);
        Self { device, id, data, valid_until, expires_at, uplink, code, message, told_at }
    }

    /// Whether it may answer an uplink of that time.
    pub fn is_valid_at(&self, at: At) -> bool {
        self.valid_until.is_none_or(|until| at <= until)
    }

    /// Where it is on its way. Only what still waits depends on the time.
    pub fn state(&self, now: At) -> State {
        match (self.code, &self.uplink) {
            (Some(0), _) => State::Delivered,
            (Some(_), _) => State::Refused,
            (None, Some(_)) => State::Answered,
            (None, None) if self.is_valid_at(now) => State::Pending,
            (None, None) => State::Expired,
        }
    }

    /// The time of the uplink it was the answer to.
    pub fn answered_at(&self) -> Option<At> {
        self.uplink.as_ref()?.split('#').next()?.parse().ok()
    }
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Expired, Self::Answered, Self::Delivered, Self::Refused];

    /// What people call it.
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
    /// A key of its parts.
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

    /// How urgent it is; 0 goes first.
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// What whoever queued it calls it.
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
        // Another spelling would sort elsewhere.
        if id.to_string() == text { Ok(id) } else { Err(error()) }
    }
}

impl Data {
    /// The bytes.
    pub fn bytes(&self) -> [u8; LEN] {
        self.bytes
    }

    /// The hex, as it was typed.
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
