//! Merges the pulse items of a device into its points: in order, each once.
//!
//! The result is a function of the **set** of items: order, repetition and grouping do not change it. So pages of a
//! query may be merged as they arrive, or each by itself and then joined. Nothing is guessed: counts whose time or
//! index the available items do not determine are returned apart from the points, with the reason. `docs/data-model.md`
//! has the rules in words.

use std::collections::{BTreeMap, BTreeSet};

use numbered::Numbered;
pub use reach::days;

use crate::at::At;
use crate::codec::Channel;
use crate::device::DeviceId;
use crate::pulse::{ChannelCounts, PulseItem, modulo};
use crate::uplink::{SortKey, SortKeyError, TimeSource};

mod numbered;
mod reach;
mod series;
#[cfg(test)]
mod tests;

/// The pulse items of one device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merge {
    device: Option<DeviceId>,
    uplinks: BTreeSet<UplinkCounts>,
}

/// What the items report about a channel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Points {
    /// Sorted by time, then by index. No two have the same time and index.
    ///
    /// A log in two uplinks that the network dated may have two times some seconds apart, because one transmission took
    /// longer than the other. Both are points. They have the same index, so no pulse counts twice.
    pub points: Vec<Point>,
    /// Per-period counts, of a device that starts at zero in each period, sorted by time. Each time and count occurs
    /// once.
    pub counted: Vec<Counted>,
    /// Counts in known order, but of unknown time, by the uplink that reports them.
    pub undated: Vec<Undated>,
    /// Increments to an unknown index, by the uplink that reports them.
    pub unanchored: Vec<Unanchored>,
}

/// A cumulative count at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The time.
    pub at: At,
    /// Pulses counted until then, modulo the counter's width.
    pub index: u64,
    /// The best clock of all reports of this point: the device's is better than the network's, and that is better than
    /// a computed time.
    pub time_source: TimeSource,
    /// Width of the counter in bits, after which it wraps to zero; `None` if unknown, or if the reports disagree.
    pub counter_bits: Option<u8>,
    /// There is another index of the same time. It is unknown which one is right.
    pub contradicted: bool,
}

/// The count of one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// The beginning or the end of the period, depending on the device's maker.
    pub at: At,
    /// Pulses counted in it.
    pub pulses: u64,
    /// See [`Point::time_source`].
    pub time_source: TimeSource,
    /// There is another count of the same time: do not add both. It is unknown which one is right.
    pub contradicted: bool,
}

/// Counts of unknown time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Undated {
    /// The sort key of the uplink that reports them, or of the first uplink of their series.
    pub uplink: String,
    /// Newest first, as in the item. All were logged before the uplink was sent, and before the counts that it dates.
    pub indexes: Vec<u64>,
    /// Per-period counts, newest first. Another uplink may report them too.
    pub counted: Vec<u64>,
    /// See [`Point::counter_bits`].
    pub counter_bits: Option<u8>,
}

/// Increments of a series, without a known index to add them to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unanchored {
    /// The sort key of the uplink that reports them.
    pub uplink: String,
    /// See [`ChannelCounts::after_log`].
    pub after_log: u16,
    /// Oldest first.
    pub increments: Vec<u32>,
    /// Why they are unanchored.
    pub why: UnanchoredReason,
}

/// Why increments are unanchored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnanchoredReason {
    /// The uplink that begins the series is not available, or is unknown because the device has no message counter. Or
    /// the device sent something else in between, and not all uplinks since the first are available.
    AnchorMissing,
    /// An uplink between the first one of the series and this one is not available.
    FrameMissing,
    /// They fit two series, or two uplinks contradict each other in a part of the series, or they follow such a part.
    Contradicting,
}

/// An item that cannot be merged.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MergeError {
    /// It is of another device than the first item.
    #[error("an item of {found} among those of {expected}")]
    OtherDevice {
        /// The device of the first item.
        expected: DeviceId,
        /// The device of this item.
        found: DeviceId,
    },
    /// Its sort key is invalid.
    #[error(transparent)]
    Key(#[from] SortKeyError),
}

/// Merges items into the points of a device, by channel.
///
/// # Errors
/// [`MergeError`] for the first item that cannot be merged.
pub fn merge(items: impl IntoIterator<Item = PulseItem>) -> Result<BTreeMap<Channel, Points>, MergeError> {
    let mut merge = Merge::default();
    for item in items {
        merge.add(item)?;
    }
    Ok(merge.points())
}

/// Pulses counted from one point to a later one of the same channel, if the counter wrapped at most once in between.
///
/// `None` if that is unknown: the counters differ in width, or their width is unknown and the index fell.
pub fn difference(from: &Point, to: &Point) -> Option<u64> {
    match (from.counter_bits, to.counter_bits) {
        (Some(bits), Some(other)) if bits == other => Some(modulo(to.index.wrapping_sub(from.index), bits)),
        (None, None) => to.index.checked_sub(from.index),
        _ => None,
    }
}

impl Merge {
    /// Adds an item. Adding it again changes nothing.
    ///
    /// # Errors
    /// [`MergeError`]; nothing is changed then.
    pub fn add(&mut self, item: PulseItem) -> Result<(), MergeError> {
        let uplink = UplinkCounts::of(item.uplink, item.counter_bits, item.channels)?;
        self.of(item.device)?;
        self.uplinks.insert(uplink);
        Ok(())
    }

    /// Adds all items of another merge.
    ///
    /// # Errors
    /// [`MergeError::OtherDevice`]; nothing is changed then.
    pub fn join(&mut self, other: Self) -> Result<(), MergeError> {
        if let Some(device) = other.device {
            self.of(device)?;
        }
        self.uplinks.extend(other.uplinks);
        Ok(())
    }

    /// The points of all items together, by channel.
    pub fn points(&self) -> BTreeMap<Channel, Points> {
        let uplinks = self.without_replays();
        let channels: BTreeSet<&Channel> = uplinks.iter().flat_map(|uplink| uplink.channels.keys()).collect();
        channels.into_iter().map(|channel| (channel.clone(), self.channel(channel, &uplinks))).collect()
    }

    /// All uplinks but those whose time was not accepted when they arrived once more, and was before.
    fn without_replays(&self) -> Vec<&UplinkCounts> {
        let accepted: BTreeSet<SortKey> =
            self.uplinks.iter().map(|uplink| uplink.sort).filter(|key| !key.unset).collect();
        let is_replay = |key: SortKey| key.unset && accepted.contains(&SortKey { unset: false, ..key });
        self.uplinks.iter().filter(|uplink| !is_replay(uplink.sort)).collect()
    }

    fn of(&mut self, found: DeviceId) -> Result<(), MergeError> {
        let expected = *self.device.get_or_insert(found);
        if expected == found { Ok(()) } else { Err(MergeError::OtherDevice { expected, found }) }
    }

    fn channel(&self, channel: &Channel, uplinks: &[&UplinkCounts]) -> Points {
        let all =
            uplinks.iter().filter_map(|uplink| Some(ChannelReport { uplink, counts: uplink.channels.get(channel)? }));
        let all: Vec<ChannelReport> = all.collect();
        let mut found = Found::default();
        for report in all.iter().filter(|report| report.begins_series().is_none()) {
            found.put_indexes(report, report.counts.dated());
            let undated = put(&mut found.counted, report, report.counts.counted_dated());
            found.leave_undated(report, vec![], undated);
        }
        if let Some(device) = self.device {
            series::chain(&all, &Numbered::new(device.network(), uplinks.iter().copied()), &mut found);
        }
        found.points()
    }
}

/// The parts of an item that points are made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct UplinkCounts {
    sort: SortKey,
    key: String,
    counter_bits: Option<u8>,
    channels: BTreeMap<Channel, ChannelCounts>,
}

impl UplinkCounts {
    fn of(
        key: String,
        counter_bits: Option<u8>,
        channels: BTreeMap<Channel, ChannelCounts>,
    ) -> Result<Self, MergeError> {
        Ok(Self { sort: key.parse()?, key, counter_bits, channels })
    }
}

/// What an uplink reports about a channel.
#[derive(Clone, Copy)]
struct ChannelReport<'a> {
    uplink: &'a UplinkCounts,
    counts: &'a ChannelCounts,
}

/// The results of a channel so far.
#[derive(Default)]
struct Found {
    indexes: Dated,
    counted: Dated,
    undated: BTreeSet<Undated>,
    unanchored: BTreeSet<Unanchored>,
}

/// Counts, by time and number.
type Dated = BTreeMap<(At, u64), Known>;

/// The attributes of a point, from all its reports.
struct Known {
    time_source: TimeSource,
    counter_bits: BTreeSet<u8>,
}

impl Found {
    /// Adds the indexes of an uplink, newest first.
    fn put_indexes(&mut self, report: &ChannelReport, indexes: impl Iterator<Item = (u64, Option<At>)>) {
        let undated = put(&mut self.indexes, report, indexes);
        self.leave_undated(report, undated, vec![]);
    }

    fn leave_undated(&mut self, report: &ChannelReport, indexes: Vec<u64>, counted: Vec<u64>) {
        if !(indexes.is_empty() && counted.is_empty()) {
            let (uplink, counter_bits) = (report.uplink.key.clone(), report.uplink.counter_bits);
            self.undated.insert(Undated { uplink, indexes, counted, counter_bits });
        }
    }

    fn leave(&mut self, report: &ChannelReport, why: UnanchoredReason) {
        self.unanchored.insert(Unanchored {
            uplink: report.uplink.key.clone(),
            after_log: report.counts.after_log.unwrap_or_default(),
            increments: report.counts.increments.clone(),
            why,
        });
    }

    fn points(self) -> Points {
        let period = |Point { at, index, time_source, contradicted, .. }| Counted {
            at,
            pulses: index,
            time_source,
            contradicted,
        };
        Points {
            points: marked(self.indexes),
            counted: marked(self.counted).into_iter().map(period).collect(),
            undated: self.undated.into_iter().collect(),
            unanchored: self.unanchored.into_iter().collect(),
        }
    }
}

/// Adds the counts of an uplink, newest first; returns those without a time.
fn put(dated: &mut Dated, report: &ChannelReport, counts: impl Iterator<Item = (u64, Option<At>)>) -> Vec<u64> {
    let mut undated = vec![];
    for (nth, (count, at)) in counts.enumerate() {
        let Some(at) = at else {
            undated.push(count);
            continue;
        };
        let time_source = report.time_source(nth);
        let known = dated.entry((at, count));
        let known = known.or_insert_with(|| Known { time_source, counter_bits: BTreeSet::new() });
        known.time_source = better(known.time_source, time_source);
        known.counter_bits.extend(report.uplink.counter_bits);
    }
    undated
}

/// The points in order; marks those that share a time.
fn marked(dated: Dated) -> Vec<Point> {
    let point = |((at, index), known): ((At, u64), Known)| Point {
        at,
        index,
        time_source: known.time_source,
        counter_bits: known.counter_bits.first().copied().filter(|_| known.counter_bits.len() == 1),
        contradicted: false,
    };
    let mut points: Vec<Point> = dated.into_iter().map(point).collect();
    for together in points.chunk_by_mut(|a, b| a.at == b.at).filter(|together| together.len() > 1) {
        for point in together {
            point.contradicted = true;
        }
    }
    points
}

impl ChannelReport<'_> {
    /// The clock of the item's nth count. The item contains the clock of the first. The others are computed from it,
    /// unless it is the device's clock and the intervals are the device's too, not the profile's.
    fn time_source(&self, nth: usize) -> TimeSource {
        let given = self.counts.time_source.filter(|_| !self.counts.begins_series);
        let given = given.filter(|&of| nth == 0 || of == TimeSource::Device && self.counts.log_period.is_none());
        given.unwrap_or(TimeSource::Computed)
    }

    /// The index of the first log, if this uplink begins a series.
    fn begins_series(&self) -> Option<u64> {
        match self.counts.indexes[..] {
            [first] if self.counts.begins_series => Some(first),
            _ => None,
        }
    }
}

fn better(one: TimeSource, other: TimeSource) -> TimeSource {
    let rank = |source| match source {
        TimeSource::Device => 2,
        TimeSource::Network => 1,
        TimeSource::Computed | TimeSource::Unset => 0,
    };
    if rank(other) > rank(one) { other } else { one }
}
