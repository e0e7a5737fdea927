//! What the archive knows about a device in a span: its readings, its reports and its assignments.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsegate_model::assignment::Assignments;
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::PeriodEnd;
use pulsegate_model::day::{self, DAYS_AHEAD, Readings, Report, ReportKind};
use pulsegate_model::device::DeviceId;
use pulsegate_model::merge::{self, Points};
use pulsegate_model::profile;
use pulsegate_model::pulse::{ChannelCounts, PulseItem};
use pulsegate_model::uplink::{SortKey, SortKeyError};
use pulsegate_pipeline::archive::assignments;
use pulsegate_pipeline::archive::decoded::Decoded;
use pulsegate_pipeline::archive::reader::Archive;
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
    /// Its uplinks.
    pub reports: Vec<Report>,
    /// What is not in the readings, for people.
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
        Self::merged(items)
    }

    /// Reads uplinks: also those that no codec reads.
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
        let Decoded { items, undecodable } = Decoded::of(uplinks);
        let mut history = Self::merged(items.into_values())?;
        let unread = undecodable
            .iter()
            .map(|(uplink, _)| Report { kind: ReportKind::Undecodable, ..report(uplink.at, uplink.sequence) });
        history.reports.extend(unread);
        Ok(history)
    }

    fn merged(items: impl IntoIterator<Item = PulseItem>) -> Result<Self, Problem> {
        let items: Vec<PulseItem> = items.into_iter().collect();
        let reports = items.iter().map(report_of).collect::<Result<_, ReadError>>()?;
        let merged = merge::merge(items).map_err(unreadable)?;
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

/// The report of an uplink with this item.
fn report_of(item: &PulseItem) -> Result<Report, ReadError> {
    let SortKey { at, sequence, .. } = item.uplink.parse().map_err(unreadable::<SortKeyError>)?;
    let of_profile = profile::find(item.device.network(), item.profile.as_str()).and_then(|of| of.settings.log_period);
    let of_channel = |counts: &ChannelCounts| counts.log_period.or_else(|| counts.every?.try_into().ok());
    let period = item.channels.values().filter_map(of_channel).filter(|period| *period > 0).min();
    Ok(Report {
        period: period.or(of_profile),
        battery_mv: item.battery_mv,
        flags: item.flags.clone(),
        ..report(at, sequence)
    })
}

/// An uplink of which no more is known.
fn report(at: At, number: Option<u32>) -> Report {
    let counted_at = PeriodEnd::default();
    Report { at, number, kind: ReportKind::Uplink, period: None, counted_at, battery_mv: None, flags: [].into() }
}

fn notes(channels: &BTreeMap<Channel, Points>) -> Vec<String> {
    let undated: usize =
        channels.values().flat_map(|of| &of.undated).map(|of| of.indexes.len() + of.counted.len()).sum();
    let unanchored: usize = channels.values().flat_map(|of| &of.unanchored).map(|of| of.increments.len()).sum();
    let notes = [(undated, "counts whose time is not known"), (unanchored, "increments whose index is not known")];
    let notes = notes.into_iter().filter(|(count, _)| *count > 0);
    notes.map(|(count, what)| format!("not used: {count} {what}")).collect()
}

fn unreadable<E: Into<Box<dyn std::error::Error + Send + Sync>>>(error: E) -> ReadError {
    ReadError { what: "a pulse item".to_owned(), source: error.into() }
}
