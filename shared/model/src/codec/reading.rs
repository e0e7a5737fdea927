//! A reading: the content of one frame, in one form for all codecs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::at::At;

/// The content of one frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// The kind of frame, in its maker's terms: `0x46`.
    pub frame: &'static str,
    /// The time of the frame by the device's own clock, if the frame contains it and [`ClockCheck`](crate::clock::ClockCheck)
    /// accepts it. Otherwise it is the time of the uplink.
    pub clock: Option<At>,
    /// Pulse counts, by input.
    pub channels: BTreeMap<Channel, Series>,
    /// Conditions that may need action.
    pub flags: BTreeSet<Mark>,
    /// Voltage of the battery, mV.
    pub battery_mv: Option<u16>,
    /// Flow of each channel, if the device computes it.
    pub flow: BTreeMap<Channel, Flow>,
    /// All other content: settings, frame counters, versions, and undocumented bits.
    pub details: Details,
}

/// The pulse counts of a channel: cumulative ones, modulo the counter's width, or increments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Series {
    /// Counts one log period of the profile apart, newest first. The newest has the time of the frame.
    Logs(Vec<u64>),
    /// Counts with the device's own times, in any order.
    Timed(Vec<(At, u64)>),
    /// Counts with the seconds from each to the time of the frame, in any order.
    Ago(Vec<(u32, u64)>),
    /// Counts of which only the order is known, newest first.
    Undated {
        /// True if the newest has the time of the frame.
        newest_is_now: bool,
        /// Cumulative counts; per-period counts within [`Series::Counted`].
        counts: Vec<u64>,
    },
    /// Any of these, but per-period counts: the device starts at zero in each period, and readers add them up.
    Counted(Box<Self>),
    /// The count at the first log of a series whose newest log has the time of the frame; later frames continue the
    /// series. The profile sets the number of logs in a series.
    First(u64),
    /// Increments from log to log of such a series.
    Increments {
        /// The first is the count between this log of the series and the next.
        after_log: u16,
        /// Oldest first.
        counts: Vec<u32>,
        /// How many uplinks earlier its [`Series::First`] was sent.
        uplinks_before: u16,
    },
}

/// Pulses per hour, as computed by the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Flow {
    /// At the time of the frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<u32>,
    /// The minimum of the day before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// The maximum of the day before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

/// A pulse input of a device: one to 64 printable ASCII characters, without spaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Channel(Cow<'static, str>);

/// Not the name of a channel.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not the name of a channel (1 to 64 printable ASCII characters without spaces)")]
pub struct ChannelError(String);

impl Channel {
    /// The first name in order.
    pub(crate) const FIRST: Self = Self(Cow::Borrowed("!"));

    /// The first input of a device that names them by letters, or its only one.
    pub const A: Self = Self(Cow::Borrowed("A"));
    /// The second input.
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

/// A condition that may need action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flag {
    /// The battery is nearly empty.
    LowBattery,
    /// The device reports a fault of its hardware.
    HardwareError,
    /// The device's settings contradict each other.
    InconsistentConfiguration,
    /// The last downlink changed the settings.
    ConfigurationDone,
    /// The device's clock shows an impossible time: see [`ClockCheck`](crate::clock::ClockCheck).
    ClockNotSet,
    /// A step of more than half the field's range. Some decoders of this format read it as negative, so the meter may
    /// have run backwards; here it counts as positive.
    LargeStep,
    /// The flow exceeded the limit set in the device.
    HighFlow,
    /// The flow never stopped.
    Leak,
    /// The device or its cable was tampered with.
    Tamper,
    /// Water ran backwards.
    Backflow,
    /// No water in the pipe.
    Dry,
    /// There has been no flow for too long.
    NoFlow,
    /// A contact has been open for too long.
    ContactOpen,
    /// The device must be set to the meter's count again.
    CalibrationRequired,
    /// A sample is missing because the device's sensor failed.
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

    /// Its written form.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(flag, _)| *flag == self).map_or("", |(_, name)| name)
    }

    /// The flag, for one channel.
    pub fn on(self, channel: Channel) -> Mark {
        Mark { flag: self, channel: Some(channel) }
    }
}

/// A flag, of the device or of one of its channels. Written `low-battery` and `leak:A`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Mark {
    /// The flag.
    pub flag: Flag,
    /// Its channel; `None` for the device.
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

/// All other content of a frame, by name. Names are in lower case with underscores and end with the unit, if there is
/// one, and with `:A` for a channel. Undocumented bits are kept, if any is set, under `unknown_` and the name of their
/// field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Details(BTreeMap<Cow<'static, str>, Value>);

/// The value of a detail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Flag(bool),
    /// A quantity, or a code.
    Number(i64),
    /// A text.
    Text(String),
}

impl Details {
    /// Adds a detail.
    pub fn insert(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }

    /// Adds a detail of a channel.
    pub fn insert_of(&mut self, channel: &Channel, name: &str, value: impl Into<Value>) {
        self.insert(format!("{name}:{channel}"), value);
    }

    /// Adds undocumented bits, if any is set.
    pub fn insert_unknown(&mut self, field: &str, bits: impl Into<i64>) {
        let bits = bits.into();
        if bits != 0 {
            self.insert(format!("unknown_{field}"), bits);
        }
    }

    /// The detail of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// True if there are none.
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
