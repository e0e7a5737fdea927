//! Assignments: which meter a channel of a device counts, from when to when, and what one pulse is worth.
//!
//! An assignment is the only thing that people tell Pulsegate about a meter. A channel without one is counted in pulses, in
//! UTC.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::at::At;
use crate::codec::Channel;
use crate::device::DeviceId;

mod pulse_volume;
mod zone;

pub use pulse_volume::{PulseVolume, PulseVolumeError};
pub use zone::{Zone, ZoneError};

/// The longest serial number, label or site, in characters.
pub const MAX_TEXT: usize = 128;

/// The meter at a channel of a device, for a span of time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// The device.
    pub device: DeviceId,
    /// Its channel.
    pub channel: Channel,
    /// The beginning of the span, which is part of it. `None`: from the first reading on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<At>,
    /// The end of the span, which is not part of it. `None`: until further notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<At>,
    /// The volume of one pulse.
    pub litres_per_pulse: PulseVolume,
    /// The meter's serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<MeterText>,
    /// The index at the beginning, in pulses, as the device counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_index: Option<u64>,
    /// The index at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_index: Option<u64>,
    /// The time zone of the meter's days.
    #[serde(default)]
    pub time_zone: Zone,
    /// The meter's permanent flow rate Q3 (ISO 4064-1), in litres per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q3: Option<u32>,
    /// The most pulses an hour; takes precedence over [`q3`](Self::q3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_hour: Option<u64>,
    /// True if the index falls when water flows backwards.
    #[serde(default)]
    pub can_reverse: bool,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<MeterText>,
    /// The building, street or network that the meter belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<MeterText>,
}

/// An assignment that contradicts itself.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum AssignmentError {
    /// The span is empty.
    #[error("`to` ({to}) is not after `from` ({from})")]
    Span {
        /// The beginning.
        from: At,
        /// The end.
        to: At,
    },
    /// An index has no time.
    #[error("`first_index` needs `from`, the time at which the meter showed it")]
    FirstIndex,
    /// An index has no time.
    #[error("`last_index` needs `to`, the time at which the meter showed it")]
    LastIndex,
}

/// Two assignments of one channel at the same time.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("overlaps with the assignment {existing}")]
pub struct Overlap {
    /// The other assignment.
    pub existing: Box<Assignment>,
}

impl Assignment {
    /// Checks the fields against each other.
    ///
    /// # Errors
    /// [`AssignmentError`].
    pub fn check(&self) -> Result<(), AssignmentError> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            return Err(AssignmentError::Span { from, to });
        }
        if self.first_index.is_some() && self.from.is_none() {
            return Err(AssignmentError::FirstIndex);
        }
        if self.last_index.is_some() && self.to.is_none() {
            return Err(AssignmentError::LastIndex);
        }
        Ok(())
    }

    /// True if the time is in its span.
    pub fn contains(&self, at: At) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at < to)
    }

    /// True if both are of one channel, and their spans have a time in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        let begins_before_end = |one: &Self, other: &Self| match (one.from, other.to) {
            (Some(from), Some(to)) => from < to,
            _ => true,
        };
        (self.device, &self.channel) == (other.device, &other.channel)
            && begins_before_end(self, other)
            && begins_before_end(other, self)
    }

    /// The most pulses an hour that are plausible, from [`max_per_hour`](Self::max_per_hour) or from Q3: a meter sustains
    /// 1.25 times Q3, its overload flow rate Q4 (ISO 4064-1). `None` if neither is known.
    pub fn most_per_hour(&self) -> Option<u64> {
        let of_q3 = |q3: u32| (u64::from(q3) * 1_250).div_ceil(self.litres_per_pulse.thousandths()).max(1);
        self.max_per_hour.or_else(|| self.q3.map(of_q3))
    }
}

/// Names the assignment for an error message: `sigfox:1A2345 A from 2026-01-01T00:00:00Z to now, serial 4711`.
impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, channel, .. } = self;
        let from = self.from.map_or_else(|| "the first reading".to_owned(), |from| from.to_string());
        let to = self.to.map_or_else(|| "now".to_owned(), |to| to.to_string());
        write!(f, "{device} {channel} from {from} to {to}")?;
        self.serial.iter().try_for_each(|serial| write!(f, ", serial {serial}"))
    }
}

/// Assignments of any devices: sorted, and without overlaps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assignments(BTreeMap<(DeviceId, Channel), Vec<Assignment>>);

impl Assignments {
    /// Adds an assignment.
    ///
    /// # Errors
    /// [`Overlap`] with another one; nothing is changed then.
    pub fn add(&mut self, assignment: Assignment) -> Result<(), Overlap> {
        let of_channel = self.0.entry((assignment.device, assignment.channel.clone())).or_default();
        if let Some(existing) = of_channel.iter().find(|existing| existing.overlaps(&assignment)) {
            return Err(Overlap { existing: Box::new(existing.clone()) });
        }
        let position = of_channel.partition_point(|other| other.from < assignment.from);
        of_channel.insert(position, assignment);
        Ok(())
    }

    /// Removes the assignment of a channel that begins at this time.
    pub fn remove(&mut self, device: DeviceId, channel: &Channel, from: Option<At>) -> Option<Assignment> {
        let of_channel = self.0.get_mut(&(device, channel.clone()))?;
        let position = of_channel.iter().position(|assignment| assignment.from == from)?;
        Some(of_channel.remove(position))
    }

    /// The assignments of a channel, in order of time.
    pub fn of(&self, device: DeviceId, channel: &Channel) -> &[Assignment] {
        self.0.get(&(device, channel.clone())).map_or(&[], Vec::as_slice)
    }

    /// The assignments of a device by channel.
    pub fn of_device(&self, device: DeviceId) -> BTreeMap<&Channel, &[Assignment]> {
        let all = self.0.range((device, Channel::FIRST)..).take_while(|((of, _), _)| *of == device);
        all.map(|((_, channel), of_channel)| (channel, of_channel.as_slice())).collect()
    }

    /// All assignments, in order of device, channel and time.
    pub fn iter(&self) -> impl Iterator<Item = &Assignment> {
        self.0.values().flatten()
    }
}

/// A serial number, a label or a site: 1 to [`MAX_TEXT`] characters without control characters, trimmed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct MeterText(String);

/// Not such a text.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a text of 1 to {MAX_TEXT} characters without control characters")]
pub struct MeterTextError(String);

impl MeterText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MeterText {
    type Err = MeterTextError;

    fn from_str(text: &str) -> Result<Self, MeterTextError> {
        let trimmed = text.trim();
        let is_valid = (1..=MAX_TEXT).contains(&trimmed.chars().count()) && !trimmed.chars().any(char::is_control);
        if is_valid { Ok(Self(trimmed.to_owned())) } else { Err(MeterTextError(text.chars().take(64).collect())) }
    }
}

impl TryFrom<String> for MeterText {
    type Error = MeterTextError;

    fn try_from(text: String) -> Result<Self, MeterTextError> {
        text.parse()
    }
}

impl fmt::Display for MeterText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for MeterText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
