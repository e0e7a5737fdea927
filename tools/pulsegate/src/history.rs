//! A device in a span, from the archive: its readings, its reports and its assignments.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsegate_model::assignment::Assignments;
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::PeriodEnd;
use pulsegate_model::day::{self, DAYS_AHEAD, Readings, Report};
use pulsegate_model::device::DeviceId;
use pulsegate_model::merge::{self, Points};
use pulsegate_model::uplink::{Kind, Uplink};
use pulsegate_pipeline::archive::assignments;
use pulsegate_pipeline::archive::decoded::Decoded;
use pulsegate_pipeline::archive::reader::Archive;
use pulsegate_pipeline::archive::reports;
use pulsegate_pipeline::archive::store::ObjectStore;
use pulsegate_pipeline::ports::{PulseReader, ReadError};
use tokio::time::Instant;

use crate::Problem;

/// A year has 366 files, at three requests each.
const TIMEOUT: Duration = Duration::from_mins(10);

/// Seconds before and after a span of which uplinks are read: so the readings beside the span are known, and those that
/// come late. It is as far as the files of days look.
const WINDOW: u64 = DAYS_AHEAD.unsigned_abs() * DAY;

/// A device's clock is accepted up to a day after the time of arrival.
const AHEAD: u64 = DAY;

const DAY: u64 = 86_400;

/// The most days of a span for which uplinks are read.
pub const MAX_DAYS: i64 = 400;

/// The readings and reports of a device.
#[derive(Debug, Default)]
pub struct History {
    /// Readings by channel.
    pub channels: BTreeMap<Channel, Readings>,
    /// Its uplinks, and its events that have a number, sorted.
    pub reports: Vec<Report>,
    /// A note for people about counts that are not in the readings.
    pub notes: Vec<String>,
}

/// The span of which uplinks are read for a span of readings.
pub fn window(from: At, to: At, now: At) -> (At, At) {
    let latest = now.checked_add(AHEAD).unwrap_or(At::MAX);
    let start = from.checked_sub(WINDOW).unwrap_or(At::EPOCH);
    (start, to.checked_add(WINDOW).unwrap_or(At::MAX).min(latest).max(start))
}

/// Loads the assignments of a device.
///
/// # Errors
/// [`Problem::Assignments`].
pub async fn assignments(store: &impl ObjectStore, device: DeviceId) -> Result<Assignments, Problem> {
    Ok(assignments::load_device(store, device, Instant::now() + TIMEOUT).await?)
}

impl History {
    /// Reads pulse items.
    ///
    /// # Errors
    /// [`Problem::Read`] if they cannot be read or merged.
    pub async fn of_items(reader: &impl PulseReader, device: DeviceId, (from, to): (At, At)) -> Result<Self, Problem> {
        let items = reader.items(device, from, to, Instant::now() + TIMEOUT).await?;
        let items = items.into_iter().map(|item| (item.uplink.clone(), item)).collect();
        Self::merged(&[], Decoded { items, undecodable: Vec::new() })
    }

    /// Reads uplinks: also those that no codec reads, and numbered events.
    ///
    /// # Errors
    /// [`Problem::Read`] if they cannot be read or merged.
    pub async fn of_uplinks<S: ObjectStore>(
        archive: &Archive<S>,
        device: DeviceId,
        (from, to): (At, At),
    ) -> Result<Self, Problem> {
        let uplinks = archive.uplinks(device, from, to, Instant::now() + TIMEOUT).await;
        let uplinks = uplinks.map_err(|e| ReadError { what: "the archive".to_owned(), source: e.into() })?;
        let events: Vec<Uplink> = uplinks.iter().filter(|uplink| uplink.kind == Kind::Event).cloned().collect();
        Self::merged(&events, Decoded::of(uplinks))
    }

    fn merged(events: &[Uplink], decoded: Decoded) -> Result<Self, Problem> {
        let reports = reports::of(events, &decoded).into_iter().collect();
        let merged = merge::merge(decoded.items.into_values());
        let merged = merged.map_err(|e| ReadError { what: "a pulse item".to_owned(), source: e.into() })?;
        let notes = notes(&merged);
        let readings = |Points { points, counted, .. }: Points| Readings {
            points: points.iter().map(Into::into).collect(),
            counted: counted.iter().map(Into::into).collect(),
        };
        let channels = merged.into_iter().map(|(channel, points)| (channel, readings(points))).collect();
        Ok(Self { channels, reports, notes })
    }

    /// The input of [`day::days`].
    pub fn into_days(self, assignments: &Assignments, device: DeviceId) -> day::History<'_> {
        let Self { channels, reports, .. } = self;
        day::History { channels, reports, assignments: assignments.of_device(device), carry: day::Carry::default() }
    }
}

/// The log period, as the first uplink reports it that does.
pub fn period(reports: &[Report]) -> Option<u32> {
    reports.iter().find_map(|report| report.period)
}

/// The end of a period that the time of a count names.
pub fn counted_at(reports: &[Report]) -> PeriodEnd {
    reports.first().map(|report| report.counted_at).unwrap_or_default()
}

fn notes(channels: &BTreeMap<Channel, Points>) -> Vec<String> {
    let undated: usize =
        channels.values().flat_map(|of| &of.undated).map(|of| of.indexes.len() + of.counted.len()).sum();
    let unanchored: usize = channels.values().flat_map(|of| &of.unanchored).map(|of| of.increments.len()).sum();
    let notes = [(undated, "counts whose time is not known"), (unanchored, "increments whose index is not known")];
    let notes = notes.into_iter().filter(|(count, _)| *count > 0);
    notes.map(|(count, what)| format!("not used: {count} {what}")).collect()
}
