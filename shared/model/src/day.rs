//! Days: consumption and ledger of each channel and local day, computed from everything that is known about a device.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::assignment::{Assignment, Zone};
use crate::at::At;
use crate::codec::{self, Channel};
use crate::consumption::{Count, Marks, PeriodEnd, Quality, Reading, Unit};
use crate::device::DeviceId;
use crate::ledger::Ledger;

mod compute;
mod dates;
#[cfg(test)]
mod tests;

pub use compute::{carry, days};
pub use dates::Dates;

/// The UTC days before the first wanted day of which the history must have the readings, besides the carry.
pub const DAYS_BEHIND: i64 = 4;

/// The UTC days after the last wanted day of which the history has readings and reports, as far as there are any. Where the
/// next reading comes later, nothing is known about the time until then; its volume is on the day on which it comes.
pub const DAYS_AHEAD: i64 = 35;

/// A channel and a local day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayRow {
    /// The device.
    pub device: DeviceId,
    /// The channel.
    pub channel: Channel,
    /// The date, in `zone`.
    pub day: Date,
    /// The time zone of the assignment at the beginning of the day; UTC without one.
    pub zone: Zone,
    /// The beginning of the day.
    pub start: At,
    /// The end of the day: 23 to 25 hours later.
    pub end: At,
    /// The unit of all volumes, which are in thousandths of it.
    pub unit: Unit,
    /// The volume; `None` if it is missing.
    pub total: Option<i64>,
    /// The quality of `total`.
    pub quality: Quality,
    /// The events of the day.
    pub flags: Marks,
    /// The volume of each local hour, 23 to 25 of them.
    pub hours: Vec<Option<i64>>,
    /// The quality of each hour.
    pub hour_qualities: Vec<Quality>,
    /// Completeness.
    pub ledger: Ledger,
    /// The least flow between two readings from 02:00 to 05:00, in thousandths of the unit per hour; `None` if no step of
    /// at most one and a half log periods lies in this time.
    pub night_minimum: Option<i64>,
    /// The longest time without flow, in seconds, as far as readings prove it; `None` if there are none.
    pub longest_still: Option<u32>,
    /// Conditions that the device reported in this day's uplinks.
    pub device_flags: BTreeSet<codec::Mark>,
    /// The last voltage of the battery that the device reported, in mV, on this day or before.
    pub battery_mv: Option<u16>,
    /// The time of the device's last uplink, on this day or before.
    pub last_contact: Option<At>,
}

impl DayRow {
    /// The number of hours of a quality.
    pub fn hours_of(&self, quality: Quality) -> usize {
        self.hour_qualities.iter().filter(|of| **of == quality).count()
    }
}

/// Known facts about a device, for the days that are wanted: the input of days.
#[derive(Debug, Clone, Default)]
pub struct History<'a> {
    /// Readings by channel, in any order, from [`Carry`] and of the wanted days on.
    pub channels: BTreeMap<Channel, Readings>,
    /// The device's uplinks and events of the wanted days, in any order.
    pub reports: Vec<Report>,
    /// The assignments of its channels.
    pub assignments: BTreeMap<&'a Channel, &'a [Assignment]>,
    /// The carry of the days before.
    pub carry: Carry,
}

/// The readings of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Readings {
    /// Cumulative counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<Reading>,
    /// Counts of periods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<Count>,
}

/// An uplink without its counts, or a device event that has a number of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Report {
    /// The time of the uplink.
    pub at: At,
    /// The number of the uplink by the device's counter. `None`: it has none.
    pub number: Option<u32>,
    /// Its kind.
    pub kind: ReportKind,
    /// Seconds from one log to the next, from the profile or from the device.
    pub period: Option<u32>,
    /// The end of a period that the time of a count names.
    pub counted_at: PeriodEnd,
    /// The voltage of the battery, mV.
    pub battery_mv: Option<u16>,
    /// Conditions that the device reports.
    pub flags: BTreeSet<codec::Mark>,
}

/// The kinds of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReportKind {
    /// An uplink with counts or a status, as its codec reads it.
    Uplink,
    /// An uplink that no codec reads.
    Undecodable,
    /// An event of the network about an uplink that has a number and no payload.
    Event,
}

/// Facts that the days until a date leave for the days after it. Rows of these days are the same, to the byte, whether they are
/// computed from the whole history or from the carry and the readings since.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Carry {
    /// The last readings of each channel: those that decide about the readings after them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<Channel, Readings>,
    /// The numbers of the last reports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<(At, u32)>,
    /// The last known log period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u32>,
    /// The end of a period that the time of a count names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_at: Option<PeriodEnd>,
    /// The last known voltage of the battery, mV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_mv: Option<u16>,
    /// The last uplink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_contact: Option<At>,
}
