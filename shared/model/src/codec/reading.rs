//! What one frame says, whatever its format: the normal form of all codecs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::at::At;

/// What one frame says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// What kind of frame it is, in its maker's words: `0x46`.
    pub frame: &'static str,
    /// The device's own clock, where the frame carries it and it was set: the frame's own moment. Without it that is the
    /// time of the uplink.
    pub clock: Option<At>,
    /// Pulse counts, by the input they were counted at.
    pub channels: BTreeMap<Channel, Series>,
    /// What somebody may have to act upon.
    pub flags: BTreeSet<Mark>,
    /// Voltage of the battery, mV.
    pub battery_mv: Option<u16>,
    /// Flow of each channel, where the device reckons it.
    pub flow: BTreeMap<Channel, Flow>,
    /// All else: settings, counters of frames, versions, and bits that nobody documents.
    pub details: Details,
}

/// Cumulative pulse counts, modulo the counter's width, or what was counted between two moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Series {
    /// Counts a log period of the profile apart, newest first. The newest is of the frame's own moment.
    Logs(Vec<u64>),
    /// Counts with the device's own times, in no order.
    Timed(Vec<(At, u64)>),
    /// Counts with how many seconds they were taken before the frame's own moment, in no order.
    Ago(Vec<(u32, u64)>),
    /// Counts of which only the order is known, newest first.
    Undated {
        /// Whether the newest is of the frame's own moment.
        newest_is_now: bool,
        /// Of cumulative counts if it stands by itself, of periods within [`Series::Counted`].
        counts: Vec<u64>,
    },
    /// The same as any of these, but not cumulative: the device counts in each period anew, and these are added up.
    Counted(Box<Self>),
    /// The count at the first log of a series whose newest log is of the frame's own moment; the frames after it tell how
    /// it went on. How many logs a series has, the profile knows.
    First(u64),
    /// What was counted from one log of such a series to the next.
    Increments {
        /// The first is what was counted from this log of the series to the next.
        after_log: u16,
        /// In the order of time.
        counts: Vec<u32>,
        /// How many uplinks before this one its [`Series::First`] was sent.
        uplinks_before: u16,
    },
}

/// Pulses per hour, as the device reckons them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Flow {
    /// When the frame was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<u32>,
    /// The least of the day before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// The most of the day before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

/// A pulse input of a device: one to 64 printable ASCII characters, without spaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Channel(Cow<'static, str>);

/// Not the name of a channel.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not the name of a channel (1 to 64 printable ASCII characters without spaces)")]
pub struct ChannelError(String);

impl Channel {
    /// The first input of a device that calls them so, or its only one.
    pub const A: Self = Self(Cow::Borrowed("A"));
    /// The second.
    pub const B: Self = Self(Cow::Borrowed("B"));

    /// An input of a device that numbers them.
    pub fn numbered(number: usize) -> Self {
        Self(Cow::Owned(number.to_string()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Channel {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, ChannelError> {
        if (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(ChannelError(text.chars().take(64).collect()))
        }
    }
}

impl TryFrom<String> for Channel {
    type Error = ChannelError;

    fn try_from(text: String) -> Result<Self, ChannelError> {
        text.parse()
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Channel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A state that somebody may have to act upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// More flowed than the limit that is set in the device.
    HighFlow,
    /// Something always flowed.
    Leak,
    /// Somebody tampered with the device or its cable.
    Tamper,
    /// Water ran backwards.
    Backflow,
    /// No water in the pipe.
    Dry,
    /// Nothing has flowed for too long.
    NoFlow,
    /// A contact has been open for too long.
    ContactOpen,
    /// The device has to be set to the meter's count once more.
    CalibrationRequired,
    /// A sample is not there, since the device's sensor failed.
    SensorError,
}

impl Flag {
    const NAMES: [(Self, &str); 15] = [
        (Self::LowBattery, "low-battery"),
        (Self::HardwareError, "hardware-error"),
        (Self::InconsistentConfiguration, "inconsistent-configuration"),
        (Self::ConfigurationDone, "configuration-done"),
        (Self::ClockNotSet, "clock-not-set"),
        (Self::LargeStep, "large-step"),
        (Self::HighFlow, "high-flow"),
        (Self::Leak, "leak"),
        (Self::Tamper, "tamper"),
        (Self::Backflow, "backflow"),
        (Self::Dry, "dry"),
        (Self::NoFlow, "no-flow"),
        (Self::ContactOpen, "contact-open"),
        (Self::CalibrationRequired, "calibration-required"),
        (Self::SensorError, "sensor-error"),
    ];

    /// How it is written.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(flag, _)| *flag == self).map_or("", |(_, name)| name)
    }

    /// Of one channel only.
    pub fn on(self, channel: Channel) -> Mark {
        Mark { flag: self, channel: Some(channel) }
    }
}

/// A flag, of the device or of one of its channels. Written `low-battery` and `leak:A`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Mark {
    /// What.
    pub flag: Flag,
    /// Of which channel; `None` for the device.
    pub channel: Option<Channel>,
}

/// Not a flag.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a flag")]
pub struct UnknownMark(String);

impl From<Flag> for Mark {
    fn from(flag: Flag) -> Self {
        Self { flag, channel: None }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.channel {
            Some(channel) => write!(f, "{}:{channel}", self.flag.name()),
            None => f.write_str(self.flag.name()),
        }
    }
}

impl FromStr for Mark {
    type Err = UnknownMark;

    fn from_str(text: &str) -> Result<Self, UnknownMark> {
        let unknown = || UnknownMark(text.to_owned());
        let (name, channel) = match text.split_once(':') {
            Some((name, channel)) => (name, Some(channel.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let (flag, _) = Flag::NAMES.iter().find(|(_, known)| *known == name).ok_or_else(unknown)?;
        Ok(Self { flag: *flag, channel })
    }
}

impl TryFrom<String> for Mark {
    type Error = UnknownMark;

    fn try_from(text: String) -> Result<Self, UnknownMark> {
        text.parse()
    }
}

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a frame says besides, by name. Names are in lower case with underscores and end with the unit, if there is one;
/// what is of one channel ends with `:A`. Bits that nobody documents are kept, if any is set, under `unknown_` and the
/// name of their field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Details(BTreeMap<Cow<'static, str>, Value>);

/// A detail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Flag(bool),
    /// How much, or a code.
    Number(i64),
    /// A word.
    Text(String),
}

impl Details {
    /// Adds one.
    pub fn insert(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }

    /// Adds one of a channel.
    pub fn insert_of(&mut self, channel: &Channel, name: &str, value: impl Into<Value>) {
        self.insert(format!("{name}:{channel}"), value);
    }

    /// Keeps bits that nobody documents. There is nothing to keep where none is set.
    pub fn insert_unknown(&mut self, field: &str, bits: impl Into<i64>) {
        let bits = bits.into();
        if bits != 0 {
            self.insert(format!("unknown_{field}"), bits);
        }
    }

    /// The one of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

macro_rules! value_from {
    ($($type:ty => $variant:ident),*) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

value_from!(bool => Flag, u8 => Number, u16 => Number, u32 => Number, i32 => Number, i64 => Number, &str => Text, String => Text);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_flag_is_read_back_as_it_is_written() {
        for (flag, name) in Flag::NAMES {
            assert_eq!(flag.name(), name);
            for mark in [Mark::from(flag), flag.on(Channel::B)] {
                assert_eq!(mark.to_string().parse(), Ok(mark));
            }
        }
        assert_eq!(Flag::Leak.on(Channel::A).to_string(), "leak:A");
        for text in ["", "leek", "leak:", "leak: A"] {
            assert_eq!(text.parse::<Mark>(), Err(UnknownMark(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn a_channel_is_what_it_was_read_from_or_none(text in ".{0,70}") {
            match text.parse::<Channel>() {
                Ok(channel) => prop_assert_eq!(channel.as_str(), text),
                Err(_) => prop_assert!(text.is_empty() || text.len() > 64 || text.contains(|c: char| !c.is_ascii_graphic())),
            }
        }
    }
}
