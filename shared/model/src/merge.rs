//! The points of a device, made of its pulse items: in order, each once.
//!
//! A function of the **set** of items: in which order they are read, how often, and in which parts changes nothing. So pages of
//! a query may be merged as they come, or each by itself and then joined. Nothing is guessed: what the items at hand do not
//! fix in time, or not at all, is handed out apart from the points, with the reason. `docs/data-model.md` says the same in words.

use std::collections::{BTreeMap, BTreeSet};

use numbered::Numbered;

use crate::at::At;
use crate::codec::Channel;
use crate::device::DeviceId;
use crate::pulse::{ChannelCounts, PulseItem, modulo};
use crate::uplink::TimeSource;

mod numbered;
mod series;
#[cfg(test)]
mod tests;

/// Pulse items of one device, and what they tell together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merge {
    device: Option<DeviceId>,
    told: BTreeSet<UplinkCounts>,
}

/// What the items tell of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Points {
    /// In the order of time; of one time in the order of indexes. No two have time and index in common.
    ///
    /// A log that two uplinks tell, of which the network dated each, may be at two times some seconds apart: as much as its
    /// radio took longer once than the other time. Both are points, and since they have the same index, no pulse counts twice.
    pub points: Vec<Point>,
    /// What a device counted that begins anew in each period, in the order of time. Of the same time and count there is one.
    pub counted: Vec<Counted>,
    /// ChannelCounts in known order, but of unknown time, by the uplinks that told them.
    pub undated: Vec<Undated>,
    /// Increments to an index that is not known, by the uplinks that told them.
    pub unanchored: Vec<Unanchored>,
}

/// A cumulative count at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// When.
    pub at: At,
    /// Pulses counted until then, modulo the counter's width.
    pub index: u64,
    /// Scope clock says so: the best of all that do, of which the device's is better than the network's, and that better than
    /// one reckoned back.
    pub time_source: TimeSource,
    /// After how many bits the counter starts again at zero, if anybody knows and nobody says otherwise.
    pub counter_bits: Option<u8>,
    /// There is another index at this very time. Which one is right is not known here.
    pub contradicted: bool,
}

/// What was counted in one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// Which period: its beginning or its end, as the device's maker has it.
    pub at: At,
    /// Pulses counted in it.
    pub pulses: u64,
    /// See [`Point::time_source`].
    pub time_source: TimeSource,
    /// There is another count of this very time: not to be added to this one. Which one is right is not known here.
    pub contradicted: bool,
}

/// ChannelCounts of unknown time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Undated {
    /// The sort key of the uplink that told them, or the first of them.
    pub uplink: String,
    /// Newest first, as in the item. All were logged before the uplink was sent, and before what it dates.
    pub indexes: Vec<u64>,
    /// Newest first, where the device counts in each period anew. They may be there another time, in another uplink.
    pub counted: Vec<u64>,
    /// See [`Point::counter_bits`].
    pub counter_bits: Option<u8>,
}

/// Increments of a series that cannot be added to anything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unanchored {
    /// The sort key of the uplink that told them.
    pub uplink: String,
    /// See [`ChannelCounts::after_log`].
    pub after_log: u16,
    /// In the order of time.
    pub increments: Vec<u32>,
    /// UnanchoredReason.
    pub why: UnanchoredReason,
}

/// UnanchoredReason increments stand alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnanchoredReason {
    /// The uplink that begins the series is not there, or the device's message counter is not, which would tell it; or the device
    /// sent something else in between, and not all that it sent since that uplink is there.
    AnchorMissing,
    /// An uplink between that one and this is not there.
    FrameMissing,
    /// They would fit two series, or two uplinks tell the same part of theirs differently; or they come after such ones.
    Contradicting,
}

/// An item that is not taken in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MergeError {
    /// It is not of the device that the first item was of.
    #[error("an item of {found} among those of {expected}")]
    OtherDevice {
        /// Scope items these are.
        expected: DeviceId,
        /// Scope that one is.
        found: DeviceId,
    },
    /// Its sort key is none.
    #[error("{0:?} is not the sort key of an uplink, of the form 2026-11-20T12:00:00Z#00042")]
    Key(String),
}

/// The points of a device, by channel.
///
/// # Errors
/// [`MergeError`]: the first item that is not one of the device's.
pub fn merge(items: impl IntoIterator<Item = PulseItem>) -> Result<BTreeMap<Channel, Points>, MergeError> {
    let mut merge = Merge::default();
    for item in items {
        merge.add(item)?;
    }
    Ok(merge.points())
}

/// Pulses counted from one point to a later one of the same channel, if the counter started again at most once in between.
///
/// `None` where that cannot be told: the points' counters are not equally wide, or nobody knows how wide and the index fell.
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
    /// [`MergeError`], and then nothing has changed.
    pub fn add(&mut self, item: PulseItem) -> Result<(), MergeError> {
        let told = UplinkCounts::of(item.uplink, item.counter_bits, item.channels)?;
        self.of(item.device)?;
        self.told.insert(told);
        Ok(())
    }

    /// Adds all that another one was given.
    ///
    /// # Errors
    /// [`MergeError::OtherDevice`], and then nothing has changed.
    pub fn join(&mut self, other: Self) -> Result<(), MergeError> {
        if let Some(device) = other.device {
            self.of(device)?;
        }
        self.told.extend(other.told);
        Ok(())
    }

    /// What all items tell together, by channel.
    pub fn points(&self) -> BTreeMap<Channel, Points> {
        let channels: BTreeSet<&Channel> = self.told.iter().flat_map(|told| told.channels.keys()).collect();
        channels.into_iter().map(|channel| (channel.clone(), self.channel(channel))).collect()
    }

    fn of(&mut self, found: DeviceId) -> Result<(), MergeError> {
        let expected = *self.device.get_or_insert(found);
        if expected == found { Ok(()) } else { Err(MergeError::OtherDevice { expected, found }) }
    }

    fn channel(&self, channel: &Channel) -> Points {
        let all =
            self.told.iter().filter_map(|uplink| Some(ChannelReport { uplink, counts: uplink.channels.get(channel)? }));
        let all: Vec<ChannelReport> = all.collect();
        let mut found = Found::default();
        for said in all.iter().filter(|said| said.begins_series().is_none()) {
            found.put_indexes(said, said.counts.dated());
            let undated = put(&mut found.counted, said, said.counts.counted_dated());
            found.leave_undated(said, vec![], undated);
        }
        if let Some(device) = self.device {
            series::chain(&all, &Numbered::new(device.network(), &self.told), &mut found);
        }
        found.points()
    }
}

/// What an item tells that points are made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct UplinkCounts {
    at: At,
    sequence: Option<u32>,
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
        let parts = key.split_once('#').and_then(|(at, sequence)| {
            let sequence = if sequence == "-" { None } else { Some(sequence.parse().ok()?) };
            Some((at.parse().ok()?, sequence))
        });
        let Some((at, sequence)) = parts else { return Err(MergeError::Key(key)) };
        Ok(Self { at, sequence, key, counter_bits, channels })
    }
}

/// What an uplink tells of a channel.
#[derive(Clone, Copy)]
struct ChannelReport<'a> {
    uplink: &'a UplinkCounts,
    counts: &'a ChannelCounts,
}

/// What has been found of a channel.
#[derive(Default)]
struct Found {
    indexes: Dated,
    counted: Dated,
    undated: BTreeSet<Undated>,
    unanchored: BTreeSet<Unanchored>,
}

/// By time and count.
type Dated = BTreeMap<(At, u64), Known>;

/// What is known of a point, from all that tell it.
struct Known {
    time_source: TimeSource,
    counter_bits: BTreeSet<u8>,
}

impl Found {
    /// Indexes that an uplink tells, newest first.
    fn put_indexes(&mut self, said: &ChannelReport, indexes: impl Iterator<Item = (u64, Option<At>)>) {
        let undated = put(&mut self.indexes, said, indexes);
        self.leave_undated(said, undated, vec![]);
    }

    fn leave_undated(&mut self, said: &ChannelReport, indexes: Vec<u64>, counted: Vec<u64>) {
        if !(indexes.is_empty() && counted.is_empty()) {
            let (uplink, counter_bits) = (said.uplink.key.clone(), said.uplink.counter_bits);
            self.undated.insert(Undated { uplink, indexes, counted, counter_bits });
        }
    }

    fn leave(&mut self, said: &ChannelReport, why: UnanchoredReason) {
        self.unanchored.insert(Unanchored {
            uplink: said.uplink.key.clone(),
            after_log: said.counts.after_log.unwrap_or_default(),
            increments: said.counts.increments.clone(),
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

/// Takes in counts that an uplink tells, newest first; hands back those without a time.
fn put(dated: &mut Dated, said: &ChannelReport, counts: impl Iterator<Item = (u64, Option<At>)>) -> Vec<u64> {
    let mut undated = vec![];
    for (nth, (count, at)) in counts.enumerate() {
        let Some(at) = at else {
            undated.push(count);
            continue;
        };
        let time_source = said.time_source(nth);
        let known = dated.entry((at, count));
        let known = known.or_insert_with(|| Known { time_source, counter_bits: BTreeSet::new() });
        known.time_source = better(known.time_source, time_source);
        known.counter_bits.extend(said.uplink.counter_bits);
    }
    undated
}

/// The points in their order, with a mark on those of one time.
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
    /// Scope clock the item's nth count is of. The first one's is given. The others' distances to it are the profile's, or the
    /// device's, whose times they are if the first one's is.
    fn time_source(&self, nth: usize) -> TimeSource {
        let given = self.counts.time_source.filter(|_| !self.counts.begins_series);
        let given = given.filter(|&of| nth == 0 || of == TimeSource::Device && self.counts.log_period.is_none());
        given.unwrap_or(TimeSource::Computed)
    }

    /// The index of the first log of a series that other uplinks go on with.
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
        TimeSource::Computed => 0,
    };
    if rank(other) > rank(one) { other } else { one }
}
