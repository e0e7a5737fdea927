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
    /// What happened on the day.
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

/// What is known about a device, for the days that are wanted: the input of days.
#[derive(Debug, Clone, Default)]
pub struct History<'a> {
    /// Readings by channel, in any order, from [`Carry`] and of the wanted days on.
    pub channels: BTreeMap<Channel, Readings>,
    /// The device's uplinks and events of the wanted days, in any order.
    pub reports: Vec<Report>,
    /// The assignments of its channels.
    pub assignments: BTreeMap<&'a Channel, &'a [Assignment]>,
    /// What the days before have left.
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
    /// What it is.
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

/// What the days until a date leave for the days after it. Rows of these days are the same, to the byte, whether they are
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

/// A stand-in until the real function is there.
pub fn days(device: DeviceId, history: &History<'_>, from: Date, until: &dyn Fn(&Zone) -> Date) -> Vec<DayRow> {
    use crate::consumption::calendar::{date_of, start_of};
    let mut channels: BTreeSet<Channel> = history.channels.keys().cloned().collect();
    channels.extend(history.assignments.keys().map(|channel| (*channel).clone()));
    channels.extend(history.carry.channels.keys().cloned());
    let mut rows = Vec::new();
    for channel in channels {
        let none = Readings::default();
        let of = |from: &BTreeMap<Channel, Readings>| from.get(&channel).unwrap_or(&none).points.clone();
        let mut points = [of(&history.channels), of(&history.carry.channels)].concat();
        points.sort_unstable();
        points.dedup();
        let assignments = history.assignments.get(&channel).copied().unwrap_or_default();
        let zone = assignments.first().map_or(Zone::UTC, |assignment| assignment.time_zone.clone());
        let begins = assignments.iter().filter_map(|assignment| assignment.from).chain(points.first().map(|p| p.at));
        let Some(first) = begins.min() else { continue };
        let until = until(&zone);
        let mut day = date_of(first, &zone).max(from);
        while day < until {
            let Ok(next) = day.tomorrow() else { break };
            let (Some(start), Some(end)) = (start_of(day, &zone), start_of(next, &zone)) else { break };
            let before = points.iter().rfind(|p| p.at <= start).map(|p| p.index);
            let last = points.iter().rfind(|p| p.at <= end).map(|p| p.index);
            let later = points.iter().find(|p| p.at >= end).is_some();
            let total = before.zip(last).filter(|_| later).map(|(a, b)| b.cast_signed() - a.cast_signed());
            let quality = if total.is_some() { Quality::Measured } else { Quality::Missing };
            let read = points.iter().filter(|p| start <= p.at && p.at < end).count();
            let reports = history.reports.iter().filter(|r| start <= r.at && r.at < end);
            let contact = history.reports.iter().filter(|r| r.at < end).map(|r| r.at).max();
            let known = history.reports.iter().filter(|r| r.at < end && r.battery_mv.is_some()).max_by_key(|r| r.at);
            rows.push(DayRow {
                device,
                channel: channel.clone(),
                day,
                zone: zone.clone(),
                start,
                end,
                unit: if assignments.is_empty() { Unit::Pulses } else { Unit::Litres },
                total,
                quality,
                flags: Marks::NONE,
                hours: vec![total, None],
                hour_qualities: vec![quality, Quality::Missing],
                ledger: Ledger {
                    slots_read: u32::try_from(read).unwrap_or(u32::MAX),
                    uplinks: u32::try_from(reports.clone().count()).unwrap_or(u32::MAX),
                    ..Ledger::default()
                },
                night_minimum: None,
                longest_still: None,
                device_flags: reports.flat_map(|r| r.flags.clone()).collect(),
                battery_mv: known.map(|r| r.battery_mv).unwrap_or(history.carry.battery_mv),
                last_contact: contact.max(history.carry.last_contact),
            });
            day = next;
        }
    }
    rows
}

/// A stand-in until the real function is there.
pub fn carry(_: DeviceId, history: &History<'_>, at: Date) -> Carry {
    use crate::consumption::calendar::start_of;
    let mut carry = Carry::default();
    let channels: BTreeSet<&Channel> = history.channels.keys().chain(history.carry.channels.keys()).collect();
    for channel in channels {
        let zone =
            history.assignments.get(channel).and_then(|of| of.first()).map_or(Zone::UTC, |a| a.time_zone.clone());
        let Some(start) = start_of(at, &zone) else { continue };
        let of = [&history.channels, &history.carry.channels];
        let points = of.into_iter().filter_map(|of| of.get(channel)).flat_map(|of| of.points.clone());
        let points: BTreeSet<Reading> = points.filter(|p| p.at <= start).collect();
        let points = points.last().into_iter().chain(points.first()).copied().collect();
        carry.channels.insert(channel.clone(), Readings { points, counted: Vec::new() });
        let before = history.reports.iter().filter(|r| r.at < start);
        carry.last_contact = before.clone().map(|r| r.at).max().max(history.carry.last_contact);
        let known = before.filter(|r| r.battery_mv.is_some()).max_by_key(|r| r.at);
        carry.battery_mv = known.map(|r| r.battery_mv).unwrap_or(history.carry.battery_mv);
    }
    carry
}
