//! Reports: one row for each uplink of a UTC day, without its counts, and for each numbered event.
//!
//! ```text
//! reports/day=2026-11-20/2a.parquet     made from day/2026-11-20/2a.parquet alone
//! ```
//!
//! [`Derive`](super::points::Derive) writes it before the points file of the same place, which names its version. Completeness
//! is computed from reports: the numbers that arrived, and the log periods.
//!
//! # Layout
//!
//! - [`of`]: the reports of a device. [`file`]: their columns and encoding.

use std::collections::BTreeSet;

use pulsegate_model::codec::CodecSettings;
use pulsegate_model::consumption::PeriodEnd;
use pulsegate_model::day::{Report, ReportKind};
use pulsegate_model::device::Network;
use pulsegate_model::profile;
use pulsegate_model::pulse::{ChannelCounts, PulseItem};
use pulsegate_model::uplink::{SortKey, Uplink};

use super::decoded::Decoded;
use super::place::Place;

pub mod file;
#[cfg(test)]
mod tests;

/// The prefix of files of reports.
pub const REPORTS: &str = "reports/";

/// The key of a file of reports.
pub fn key_of(place: Place) -> String {
    place.key_under(REPORTS)
}

/// The reports of a device, from its events and its decoded uplinks. An uplink that arrived in two kinds is one report.
pub fn of<'a>(events: impl IntoIterator<Item = &'a Uplink>, decoded: &Decoded) -> BTreeSet<Report> {
    let Decoded { items, undecodable } = decoded;
    let undecodable = undecodable.iter().map(|(uplink, _)| uplink);
    let undecodable = undecodable.filter(|uplink| !items.contains_key(&uplink.key().to_string()));
    let events = events.into_iter().map(|event| without_content(event, ReportKind::Event));
    let undecodable = undecodable.map(|uplink| without_content(uplink, ReportKind::Undecodable));
    items.values().filter_map(of_item).chain(undecodable).chain(events).collect()
}

/// The report of an item; `None` if its key is not that of an uplink, which [`Decoded`] never makes.
fn of_item(item: &PulseItem) -> Option<Report> {
    let SortKey { at, sequence, .. } = item.uplink.parse().ok()?;
    let (of_profile, counted_at) = settings(item.device.network(), item.profile.as_str());
    let of_channel = |counts: &ChannelCounts| counts.log_period.or_else(|| counts.every?.try_into().ok());
    let period = item.channels.values().filter_map(of_channel).filter(|period| *period > 0).min().or(of_profile);
    let (battery_mv, flags) = (item.battery_mv, item.flags.clone());
    Some(Report { at, number: sequence, kind: ReportKind::Uplink, period, counted_at, battery_mv, flags })
}

fn without_content(uplink: &Uplink, kind: ReportKind) -> Report {
    let (period, counted_at) = settings(uplink.device.network(), uplink.profile.as_str());
    let Uplink { at, sequence: number, .. } = *uplink;
    Report { at, number, kind, period, counted_at, battery_mv: None, flags: BTreeSet::new() }
}

/// The profile's log period, and the end of a period that the time of a count names.
fn settings(network: Network, profile: &str) -> (Option<u32>, PeriodEnd) {
    let known = profile::find(network, profile).map(|profile| &profile.settings);
    known
        .map_or((None, PeriodEnd::default()), |CodecSettings { log_period, counted_at, .. }| (*log_period, *counted_at))
}
