//! V(t): the volume since the first point of a channel.

use std::borrow::Cow;

use super::clean::{Cleaned, clean};
use super::counted;
use super::rules::{MAX_INTERPOLATED, Rules};
use super::step::{Point, StepKind, way};
use super::{Mark, Marks, Meter, Reading, Unit};
use crate::assignment::Assignment;
use crate::at::At;

/// Thousandths of a pulse in a pulse.
const PULSE: u64 = 1_000;

/// V(t): piecewise linear through points, with what is known about each step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    unit: Unit,
    /// Times and V, sorted by time. There may be two of one time where a meter was changed.
    pub(super) knots: Vec<Knot>,
    /// One less than the knots.
    pub(super) ways: Vec<(StepKind, Marks)>,
}

/// A point of V.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Knot {
    pub(super) at: i64,
    /// In thousandths of the unit. No sum of 64-bit counts overflows it.
    pub(super) volume: i128,
}

/// A step of V, from one point to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The time of the first point.
    pub from: At,
    /// The time of the second. It may be the same where the meter was changed.
    pub to: At,
    /// The volume, in thousandths of the unit.
    pub volume: i64,
    /// Its kind.
    pub kind: StepKind,
    /// The events in it.
    pub marks: Marks,
}

/// V at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// The time itself, or that of the point near it that was taken instead.
    pub(super) at: i64,
    pub(super) place: PositionKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PositionKind {
    /// On a point, or within a still step.
    Exact(i128),
    /// Within a step of so many seconds.
    Within(i128, i64),
    /// Within a step over which nothing is spread. V at its beginning.
    Unknown(i128),
    /// Before the first point or after the last. V at it.
    Outside(i128),
}

impl Position {
    /// V, if it is known.
    pub(super) fn volume(self) -> Option<i128> {
        match self.place {
            PositionKind::Exact(volume) | PositionKind::Within(volume, _) => Some(volume),
            PositionKind::Unknown(_) | PositionKind::Outside(_) => None,
        }
    }

    /// V, with the volume of steps over which nothing is spread at their ends.
    pub(super) fn certain(self) -> i128 {
        match self.place {
            PositionKind::Exact(volume)
            | PositionKind::Within(volume, _)
            | PositionKind::Unknown(volume)
            | PositionKind::Outside(volume) => volume,
        }
    }
}

impl Volume {
    /// The volume of a channel.
    pub fn of(meter: &Meter<'_>) -> Self {
        let unit = if meter.assignments.is_empty() { Unit::Pulses } else { Unit::Litres };
        let mut volume = Self { unit, knots: Vec::new(), ways: Vec::new() };
        if meter.points.is_empty() && !meter.counted.is_empty() {
            counted::add(meter, &mut volume);
            return volume;
        }
        let readings = sorted(meter.points);
        volume.knots.reserve(readings.len() + 2 * meter.assignments.len());
        volume.ways.reserve(readings.len() + 2 * meter.assignments.len());
        for section in sections(meter.assignments, &meter.rules) {
            volume.add_section(&readings, &section);
        }
        volume
    }

    /// The unit of volumes, which are in thousandths of it.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// True if there is no point.
    pub fn is_empty(&self) -> bool {
        self.knots.is_empty()
    }

    /// The time of the first point.
    pub fn begin(&self) -> Option<At> {
        self.knots.first().map(|knot| time(knot.at))
    }

    /// The steps, in order of time.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        self.steps_from(0)
    }

    /// The steps that are, in part, after the first time and not after the second.
    pub(crate) fn steps_between(&self, from: i64, to: i64) -> impl Iterator<Item = Step> {
        let first = self.knots.partition_point(|knot| knot.at <= from).saturating_sub(1);
        self.steps_from(first)
            .skip_while(move |step| step.to.unix() <= from)
            .take_while(move |step| step.from.unix() < to || step.from == step.to && step.to.unix() == to)
    }

    fn steps_from(&self, first: usize) -> impl Iterator<Item = Step> {
        let ways = self.ways.get(first..).unwrap_or_default().iter();
        let knots = self.knots.get(first..).unwrap_or_default().windows(2);
        ways.zip(knots).map(|(&(kind, marks), knots)| Step {
            from: time(knots[0].at),
            to: time(knots[1].at),
            volume: saturate(knots[1].volume - knots[0].volume),
            kind,
            marks,
        })
    }

    /// V at a time, or at the nearest point that is at most `tolerance` seconds away, and the time taken. The volume of steps
    /// over which nothing is spread is at their ends; before the first point and after the last there is none.
    pub(crate) fn certain(&self, at: i64, tolerance: i64) -> (i64, i128) {
        let position = self.position(at, tolerance);
        (position.at, position.certain())
    }

    /// V at a time, or at the nearest point that is at most `tolerance` seconds away.
    pub(super) fn position(&self, at: i64, tolerance: i64) -> Position {
        let after = self.knots.partition_point(|knot| knot.at <= at);
        let (before, next) = (after.checked_sub(1), self.knots.get(after));
        let distance = |knot: &Knot| (knot.at - at).abs();
        let nearest = match (before.map(|before| &self.knots[before]), next) {
            (Some(before), Some(next)) if distance(next) < distance(before) => self.last_of(next.at),
            (Some(before), _) => Some(before),
            (None, Some(next)) => self.last_of(next.at),
            (None, None) => return Position { at, place: PositionKind::Outside(0) },
        };
        if let Some(near) = nearest.filter(|near| distance(near) <= tolerance) {
            return Position { at: near.at, place: PositionKind::Exact(near.volume) };
        }
        let place = match (before, next) {
            (Some(before), Some(next)) => self.within(before, next, at),
            (Some(before), None) => PositionKind::Outside(self.knots[before].volume),
            (None, _) => PositionKind::Outside(0),
        };
        Position { at, place }
    }

    /// V within a step.
    fn within(&self, before: usize, next: &Knot, at: i64) -> PositionKind {
        let (from, kind) = (&self.knots[before], self.ways[before].0);
        let length = next.at - from.at;
        match kind {
            StepKind::Still => PositionKind::Exact(from.volume),
            // The periods before it are known, and none within it.
            StepKind::Lost => PositionKind::Within(from.volume, length),
            _ if length > MAX_INTERPOLATED => PositionKind::Unknown(from.volume),
            _ => {
                let part = (next.volume - from.volume) * i128::from(at - from.at);
                PositionKind::Within(from.volume + part.div_euclid(i128::from(length)), length)
            }
        }
    }

    /// The last point of a time: what happened at a boundary belongs to the interval that ends there.
    fn last_of(&self, at: i64) -> Option<&Knot> {
        self.knots[..self.knots.partition_point(|knot| knot.at <= at)].last()
    }

    fn add_section(&mut self, readings: &[Reading], section: &Section<'_>) {
        let Cleaned { points, notes } = clean(section.readings(readings), section.stated(readings), &section.rules);
        let Some(first) = points.first() else { return };
        let mut volume = self.knots.last().map_or(0, |knot| knot.volume);
        if let Some(last) = self.knots.last() {
            let kind = if last.at == first.at { StepKind::Changed } else { StepKind::ChangedUntold };
            self.ways.push((kind, Marks::of(Mark::MeterChanged)));
        }
        let mut notes = notes.as_slice();
        self.knots.push(Knot { at: first.at, volume });
        for pair in points.windows(2) {
            let way = way(&pair[0], &pair[1], &section.rules);
            volume += way.pulses * i128::from(section.per_pulse);
            // Readings left out between two points, or at one of them, concern the step.
            while notes.first().is_some_and(|(at, _)| *at < pair[0].at) {
                notes = &notes[1..];
            }
            let within = notes.iter().take_while(|(at, _)| *at <= pair[1].at);
            let marks = within.fold(way.marks, |marks, (_, mark)| marks.with(Marks::of(*mark)));
            self.knots.push(Knot { at: pair[1].at, volume });
            self.ways.push((way.kind, marks));
        }
    }
}

/// The time in which one assignment holds.
struct Section<'a> {
    assignment: Option<&'a Assignment>,
    rules: Rules,
    /// Thousandths of the unit.
    per_pulse: u64,
    /// A reading at the end of the section belongs to it, not to the next one.
    includes_end: bool,
}

fn sections<'a>(assignments: &'a [Assignment], rules: &Rules) -> Vec<Section<'a>> {
    if assignments.is_empty() {
        return vec![Section { assignment: None, rules: *rules, per_pulse: PULSE, includes_end: true }];
    }
    let mut sorted: Vec<&Assignment> = assignments.iter().collect();
    sorted.sort_unstable_by_key(|assignment| assignment.from);
    let next_begins = sorted.iter().skip(1).map(|next| next.from).chain([None]);
    sorted.iter().zip(next_begins).map(|(assignment, next)| Section::of(assignment, next, rules)).collect()
}

impl<'a> Section<'a> {
    fn of(assignment: &'a Assignment, next_begins: Option<At>, rules: &Rules) -> Self {
        let includes_end = assignment.to != next_begins || next_begins.is_none();
        let rules = Rules {
            max_per_hour: assignment.most_per_hour().unwrap_or(rules.max_per_hour),
            can_reverse: assignment.can_reverse || rules.can_reverse,
            ..*rules
        };
        let per_pulse = assignment.litres_per_pulse.thousandths();
        Self { assignment: Some(assignment), rules, per_pulse, includes_end }
    }

    /// The readings in it.
    fn readings<'r>(&self, readings: &'r [Reading]) -> &'r [Reading] {
        let Some(assignment) = self.assignment else { return readings };
        let start = assignment.from.map_or(0, |from| readings.partition_point(|reading| reading.at < from));
        let end = assignment.to.map_or(readings.len(), |to| {
            readings.partition_point(|reading| reading.at < to || self.includes_end && reading.at == to)
        });
        &readings[start..end.max(start)]
    }

    /// The indexes that its assignment states, at its beginning and at its end.
    fn stated(&self, readings: &[Reading]) -> [Option<Point>; 2] {
        let Some(assignment) = self.assignment else { return [None, None] };
        // The stated index is of the same counter.
        let bits = self.readings(readings).first().and_then(|reading| reading.counter_bits);
        let point =
            |at: Option<At>, index: Option<u64>| Some(Point { at: at?.unix(), index: index?, bits, is_stated: true });
        [point(assignment.from, assignment.first_index), point(assignment.to, assignment.last_index)]
    }
}

/// Sorted and distinct readings. Of one that comes with and without its counter's width, the one with it counts.
fn sorted(readings: &[Reading]) -> Cow<'_, [Reading]> {
    if readings.windows(2).all(|pair| (pair[0].at, pair[0].index) < (pair[1].at, pair[1].index)) {
        return Cow::Borrowed(readings);
    }
    let mut readings = readings.to_vec();
    readings.sort_unstable_by(|one, other| {
        (one.at, one.index, other.counter_bits).cmp(&(other.at, other.index, one.counter_bits))
    });
    readings.dedup_by_key(|reading| (reading.at, reading.index));
    Cow::Owned(readings)
}

/// A time of a point, which was an [`At`] before.
fn time(unix: i64) -> At {
    At::from_unix(unix).unwrap_or(At::EPOCH)
}

/// A volume for people. No meter counts 2^63 thousandths of a litre.
pub(crate) fn saturate(volume: i128) -> i64 {
    i64::try_from(volume).unwrap_or(if volume < 0 { i64::MIN } else { i64::MAX })
}
