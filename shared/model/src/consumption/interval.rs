//! Intervals: V(end) - V(start), with its quality.

use super::calendar::{self, Every};
use super::step::StepKind;
use super::volume::{Position, PositionKind, Step, Volume, saturate};
use super::{Marks, Meter, Quality, Unit};
use crate::assignment::Zone;
use crate::at::At;

/// A reading this close to a boundary, in seconds, is taken for one at it: networks date readings some seconds off the
/// hour. For intervals below an hour, it is a twelfth of the interval.
const TOLERANCE: i64 = 300;

/// The wanted span and its intervals.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The beginning.
    pub from: At,
    /// The end, which is not part of it.
    pub to: At,
    /// The length of the intervals.
    pub interval: Every,
    /// The time zone of hours, days, weeks and months.
    pub zone: &'a Zone,
}

/// The consumption of a channel. Values are in thousandths of the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumption {
    /// The unit.
    pub unit: Unit,
    /// The intervals, in order, without gaps between them. Native ones: the steps that lie within the span.
    pub intervals: Vec<Interval>,
    /// The whole span.
    pub total: Total,
}

/// An interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// The beginning.
    pub start: At,
    /// The end, which is not part of it.
    pub end: At,
    /// The volume; `None` if it is missing. Negative only with the mark `reverse`.
    pub value: Option<i64>,
    /// Its quality.
    pub quality: Quality,
    /// The events in it.
    pub flags: Marks,
    /// The volume from the first boundary at which it is known to the end; `None` if it is unknown at the end.
    pub sum: Option<i64>,
    /// The interval begins or ends at an end of the span, not at a boundary.
    pub cut: bool,
}

/// The whole span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// The volume; `None` if it is unknown at an end.
    pub value: Option<i64>,
    /// Its quality.
    pub quality: Quality,
    /// The events in it.
    pub flags: Marks,
    /// The part of `value` that is in no interval.
    pub unplaced: Option<i64>,
}

/// The consumption of a channel.
pub fn consumption(meter: &Meter<'_>, request: &Request<'_>) -> Consumption {
    Volume::of(meter).consumption(request)
}

/// Seconds from a boundary to the nearest reading that is taken for one at it.
pub(crate) fn tolerance(every: Every) -> i64 {
    TOLERANCE.min(every.about() / 12)
}

impl Volume {
    /// The consumption of a span.
    pub fn consumption(&self, request: &Request<'_>) -> Consumption {
        let Request { from, to, interval: every, zone } = *request;
        if every == Every::Native {
            return self.native(from, to);
        }
        let boundaries = calendar::boundaries(from, to, every, zone);
        let mut intervals = self.intervals(&boundaries, every);
        let is_cut = |at: At| !calendar::is_boundary(at, every, zone);
        if let Some(first) = intervals.first_mut() {
            first.cut |= is_cut(from);
        }
        if let Some(last) = intervals.last_mut() {
            last.cut |= is_cut(to);
        }
        let total = self.total(from, to, tolerance(every), &intervals);
        Consumption { unit: self.unit(), intervals, total }
    }

    /// The intervals between boundaries.
    pub fn intervals(&self, boundaries: &[At], every: Every) -> Vec<Interval> {
        let tolerance = tolerance(every);
        let mut positions = boundaries.iter().map(|at| (*at, self.position(at.unix(), tolerance)));
        let Some(mut start) = positions.next() else { return Vec::new() };
        let mut base = start.1.volume();
        let mut intervals = Vec::with_capacity(boundaries.len() - 1);
        for end in positions {
            base = base.or(end.1.volume());
            let (value, quality, flags) = self.between(start.1, end.1, end.0.unix() - start.0.unix());
            let sum = end.1.volume().zip(base).map(|(volume, base)| saturate(volume - base));
            intervals.push(Interval { start: start.0, end: end.0, value, quality, flags, sum, cut: false });
            start = end;
        }
        intervals
    }

    /// The value of an interval of a length in seconds.
    fn between(&self, start: Position, end: Position, length: i64) -> (Option<i64>, Quality, Marks) {
        let (mut flags, mut is_broken, mut is_lost) = (Marks::NONE, false, true);
        for step in self.steps_between(start.at, end.at) {
            flags = flags.with(step.marks);
            is_broken |= step.kind.is_break();
            is_lost &= step.kind == StepKind::Lost;
        }
        let value = start.volume().zip(end.volume()).filter(|_| !(is_broken && is_lost));
        let Some((from, to)) = value else { return (None, Quality::Missing, flags) };
        let is_exact = |position: Position| match position.place {
            PositionKind::Exact(_) => true,
            PositionKind::Within(_, step) => step * 10 <= length,
            PositionKind::Unknown(_) | PositionKind::Outside(_) => false,
        };
        let quality = match (is_broken, is_exact(start) && is_exact(end)) {
            (true, _) => Quality::Partial,
            (false, true) => Quality::Measured,
            (false, false) => Quality::Interpolated,
        };
        (Some(saturate(to - from)), quality, flags)
    }

    fn total(&self, from: At, to: At, tolerance: i64, intervals: &[Interval]) -> Total {
        let (start, end) = (self.position(from.unix(), tolerance), self.position(to.unix(), tolerance));
        let (value, quality, flags) = self.between(start, end, to.unix() - from.unix());
        let placed: i64 = intervals.iter().filter_map(|interval| interval.value).fold(0, i64::saturating_add);
        Total { value, quality, flags, unplaced: value.map(|value| value.saturating_sub(placed)) }
    }

    /// The steps within a span.
    fn native(&self, from: At, to: At) -> Consumption {
        let is_within = |step: &Step| from <= step.from && step.from < step.to && step.to <= to;
        let steps = self.steps_between(from.unix(), to.unix()).filter(is_within);
        let mut sum = 0_i64;
        let interval = |step: Step| {
            let Step { from: start, to: end, volume, kind, marks: flags } = step;
            let quality = if kind.is_break() { Quality::Partial } else { Quality::Measured };
            let value = Some(volume).filter(|_| kind != StepKind::Lost);
            sum = sum.saturating_add(value.unwrap_or(0));
            let quality = if value.is_some() { quality } else { Quality::Missing };
            Interval { start, end, value, quality, flags, sum: Some(sum), cut: false }
        };
        let intervals: Vec<Interval> = steps.map(interval).collect();
        let all = || intervals.iter();
        let quality =
            if all().any(|of| of.quality != Quality::Measured) { Quality::Partial } else { Quality::Measured };
        let total = Total {
            value: intervals.last().and_then(|last| last.sum),
            quality: if intervals.is_empty() { Quality::Missing } else { quality },
            flags: all().fold(Marks::NONE, |flags, of| flags.with(of.flags)),
            unplaced: intervals.last().map(|_| 0),
        };
        Consumption { unit: self.unit(), intervals, total }
    }
}
