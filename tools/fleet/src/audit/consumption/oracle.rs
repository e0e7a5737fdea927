//! The volume of a channel by what its meter has counted, and what an interval must have, by the rules of `docs/consumption.md`.

use std::collections::BTreeMap;

use pulsegate_model::assignment::Assignment;
use pulsegate_model::consumption::{Mark, Marks, Quality};

use crate::meters::{Change, TrueReading};

/// Thousandths of a pulse in a pulse.
const PULSE: i128 = 1_000;

/// Seconds from a boundary to a reading that is taken for one at it.
pub(super) const NEAR: i64 = 300;

/// The longest step over which a volume is spread, in seconds.
pub(super) const LONGEST: i64 = 72 * 3_600;

/// The true volume at the readings of a channel, in thousandths of its unit.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    pub(super) knots: Vec<(i64, i128)>,
    /// One less than the knots.
    pub(super) steps: Vec<TrueStep>,
    /// The volume of a pulse.
    pub(super) per_pulse: i128,
    /// Events, for the account of faults.
    pub(super) marks: Marks,
}

/// The truth about the way from one reading to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TrueStep {
    /// The volume is a lower bound.
    pub(super) is_broken: bool,
    pub(super) marks: Marks,
}

/// The value that an interval must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) value: Option<i64>,
    pub(super) quality: Quality,
    pub(super) flags: Marks,
}

/// A boundary: its time or that of the reading near it, and V there with how it is known.
#[derive(Clone, Copy)]
struct Boundary {
    at: i64,
    volume: Option<i128>,
    /// The length of the step within which it is spread; 0 if it is known.
    within: i64,
}

/// Readings of one register, or of one that was reset, without those that are wrong.
#[derive(Default)]
struct Section<'a> {
    readings: Vec<&'a TrueReading>,
    notes: Vec<(i64, Mark)>,
}

impl Oracle {
    /// The volume of a channel. `swapped` are its pulses until the swap that its assignments have.
    ///
    /// # Errors
    /// The reason why the truth does not decide it.
    pub(super) fn of(
        readings: &[TrueReading],
        assignments: &[Assignment],
        change: Option<Change>,
        swapped: i64,
    ) -> Result<Self, String> {
        let per_pulse = assignments.first().map_or(PULSE, |first| first.litres_per_pulse.thousandths().into());
        let mut oracle = Self { per_pulse, ..Self::default() };
        let [_, second] = assignments else {
            oracle.add(&Section::of(readings)?, change);
            return Ok(oracle);
        };
        let Some(at) = second.from else { return Err("a swap without its time".to_owned()) };
        let (before, after): (Vec<TrueReading>, Vec<TrueReading>) =
            readings.iter().cloned().partition(|reading| reading.at < at);
        let last = |section: &Section<'_>| section.readings.last().map(|reading| reading.pulses);
        let (before, after) = (Section::of(&before)?, Section::of(&after)?);
        oracle.add(&before, None);
        let still = last(&before).unwrap_or(swapped);
        oracle.extend(
            at.unix(),
            swapped - still,
            TrueStep { is_broken: false, marks: before.marks(at.unix() - 1, at.unix()) },
        );
        let volume = oracle.knots.last().map_or(0, |(_, volume)| *volume);
        let changed = Marks::of(Mark::MeterChanged);
        oracle.marks = oracle.marks.with(changed);
        oracle.steps.push(TrueStep { is_broken: false, marks: changed });
        oracle.knots.push((at.unix(), volume));
        if let Some(first) = after.readings.first() {
            let step = TrueStep { is_broken: false, marks: Marks::NONE };
            oracle.extend(first.at.unix(), first.pulses - swapped, step);
            oracle.add_steps(&after, None);
        }
        Ok(oracle)
    }

    fn add(&mut self, section: &Section<'_>, change: Option<Change>) {
        let Some(first) = section.readings.first() else { return };
        self.knots.push((first.at.unix(), 0));
        self.add_steps(section, change);
    }

    fn add_steps(&mut self, section: &Section<'_>, change: Option<Change>) {
        for pair in section.readings.windows(2) {
            let [from, to] = [pair[0], pair[1]];
            let (pulses, mark) = match change.filter(|_| from.register != to.register) {
                None => (to.pulses - from.pulses, (to.index < from.index).then_some(Mark::Rollover)),
                // The pulses since the reset, at the least.
                Some(Change::Reset | Change::PowerLoss) => (to.index.cast_signed(), Some(Mark::Reset)),
                // The pulses of both meters in between are unknown.
                Some(Change::Swap | Change::UntoldSwap) => (0, Some(Mark::Implausible)),
            };
            let is_broken = mark.is_some_and(|mark| mark != Mark::Rollover);
            let marks: Marks = mark.into_iter().collect();
            let marks = marks.with(section.marks(from.at.unix(), to.at.unix()));
            self.extend(to.at.unix(), pulses, TrueStep { is_broken, marks });
        }
    }

    fn extend(&mut self, at: i64, pulses: i64, step: TrueStep) {
        self.marks = self.marks.with(step.marks);
        let Some(&(_, volume)) = self.knots.last() else {
            self.knots.push((at, 0));
            return;
        };
        self.knots.push((at, volume + i128::from(pulses) * self.per_pulse));
        self.steps.push(step);
    }

    /// Of steps with both of their ends: length in seconds, volume, and what is true of it.
    pub(super) fn ways(&self) -> impl Iterator<Item = (i64, i128, TrueStep)> {
        let ways = self.knots.windows(2).zip(&self.steps);
        ways.map(|(knots, step)| (knots[1].0 - knots[0].0, knots[1].1 - knots[0].1, *step))
    }

    /// The volume from the first reading to the last.
    pub(super) fn sum(&self) -> i128 {
        self.knots.last().map_or(0, |(_, volume)| *volume)
    }

    /// The value that an interval must have.
    pub(super) fn interval(&self, start: i64, end: i64) -> Expected {
        let (from, to) = (self.boundary(start), self.boundary(end));
        let (mut flags, mut is_broken) = (Marks::NONE, false);
        for (knots, step) in self.knots.windows(2).zip(&self.steps) {
            let (begin, finish) = (knots[0].0, knots[1].0);
            let is_inside =
                if begin == finish { begin > from.at && begin <= to.at } else { begin < to.at && finish > from.at };
            if is_inside {
                flags = flags.with(step.marks);
                is_broken |= step.is_broken;
            }
        }
        let Some(value) = to.volume.zip(from.volume).map(|(to, from)| to - from) else {
            return Expected { value: None, quality: Quality::Missing, flags };
        };
        let is_known = |boundary: Boundary| boundary.within * 10 <= end - start;
        let quality = match (is_broken, is_known(from) && is_known(to)) {
            (true, _) => Quality::Partial,
            (false, true) => Quality::Measured,
            (false, false) => Quality::Interpolated,
        };
        Expected { value: i64::try_from(value).ok(), quality, flags }
    }

    fn boundary(&self, at: i64) -> Boundary {
        let distance = |knot: &&(i64, i128)| ((knot.0 - at).abs(), knot.0);
        let Some(nearest) = self.knots.iter().min_by_key(distance) else {
            return Boundary { at, volume: None, within: 0 };
        };
        if (nearest.0 - at).abs() <= NEAR {
            return Boundary { at: nearest.0, volume: Some(nearest.1), within: 0 };
        }
        let step = self.knots.windows(2).find(|knots| knots[0].0 < at && at < knots[1].0);
        let Some(&[(begin, from), (finish, to)]) = step else { return Boundary { at, volume: None, within: 0 } };
        let length = finish - begin;
        if from == to && self.is_still(begin) {
            return Boundary { at, volume: Some(from), within: 0 };
        }
        if length > LONGEST {
            return Boundary { at, volume: None, within: length };
        }
        let part = (to - from) * i128::from(at - begin) / i128::from(length);
        Boundary { at, volume: Some(from + part), within: length }
    }

    /// True if nothing was counted in the step that begins at a time. A break without a volume is no stillness.
    fn is_still(&self, begin: i64) -> bool {
        let step = self.knots.windows(2).zip(&self.steps).find(|(knots, _)| knots[0].0 == begin && knots[1].0 > begin);
        step.is_some_and(|(_, step)| !step.is_broken)
    }
}

impl<'a> Section<'a> {
    /// Leaves out wrong indexes: one that has a right one beside it is contradicted, one alone is an outlier.
    fn of(readings: &'a [TrueReading]) -> Result<Self, String> {
        let mut times: BTreeMap<i64, Vec<&TrueReading>> = BTreeMap::new();
        for reading in readings {
            times.entry(reading.at.unix()).or_default().push(reading);
        }
        let mut section = Self::default();
        for (at, together) in times {
            let right: Vec<&TrueReading> = together.iter().copied().filter(|reading| !reading.is_garbled).collect();
            match right[..] {
                [] => section.notes.push((at, Mark::Outlier)),
                [first, ..] => {
                    if right.iter().any(|other| other.pulses != first.pulses) {
                        return Err(format!("it has sent two counts for {}", first.at));
                    }
                    section.readings.push(first);
                    if right.len() < together.len() {
                        section.notes.push((at, Mark::Contradicted));
                    }
                }
            }
        }
        let is_inside = |at: i64| {
            let times = || section.readings.iter().map(|reading| reading.at.unix());
            times().any(|other| other < at) && times().any(|other| other > at)
        };
        match section.notes.iter().find(|(at, _)| !is_inside(*at)) {
            Some(_) => Err("a wrong index is its first or last one".to_owned()),
            None => Ok(section),
        }
    }

    fn marks(&self, from: i64, to: i64) -> Marks {
        self.notes.iter().filter(|(at, _)| (from..=to).contains(at)).map(|(_, mark)| *mark).collect()
    }
}
