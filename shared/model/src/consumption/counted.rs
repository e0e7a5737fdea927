//! Counts of periods: devices that start at zero in each.

use super::step::StepKind;
use super::volume::{Knot, Volume};
use super::{Count, Mark, Marks, Meter, PeriodEnd};
use crate::at::At;

/// A gap between two periods up to this long, in seconds, is drift of the device's clock.
const DRIFT: i64 = 300;

/// The longest period of a device whose period is unknown, in seconds.
const MAX_UNKNOWN: i64 = 86_400;

/// A period and its pulses.
struct Period {
    start: i64,
    end: i64,
    pulses: Option<u64>,
}

/// Adds the periods of a channel to its volume.
pub(super) fn add(meter: &Meter<'_>, volume: &mut Volume) {
    let mut marks = Marks::NONE;
    for Period { start, end, pulses } in periods(meter) {
        // The step to the next period is lost if nothing of this one is known.
        let Some(pulses) = pulses else {
            marks = Marks::of(Mark::Contradicted);
            continue;
        };
        let Some(per_pulse) = per_pulse(meter, end) else { continue };
        let drift = DRIFT.min((end - start) / 12);
        let sum = volume.knots.last().map_or(0, |knot| knot.volume);
        match volume.knots.last().map(|knot| knot.at) {
            None => volume.knots.push(Knot { at: start, volume: 0 }),
            Some(last) if start - last > drift => {
                volume.ways.push((StepKind::Lost, marks));
                volume.knots.push(Knot { at: start, volume: sum });
            }
            Some(_) => {}
        }
        marks = Marks::NONE;
        let last = volume.knots.last().map_or(start, |knot| knot.at);
        let kind = if pulses == 0 { StepKind::Still } else { StepKind::Counted };
        volume.ways.push((kind, Marks::NONE));
        volume.knots.push(Knot { at: end.max(last), volume: sum + i128::from(pulses) * i128::from(per_pulse) });
    }
}

/// The periods in order. One whose counts contradict each other has no pulses.
fn periods(meter: &Meter<'_>) -> Vec<Period> {
    let mut counts: Vec<Count> = meter.counted.to_vec();
    counts.sort_unstable();
    counts.dedup();
    let together: Vec<&[Count]> = counts.chunk_by(|one, other| one.at == other.at).collect();
    let times: Vec<i64> = together.iter().map(|group| group[0].at.unix()).collect();
    let of = |nth: usize, group: &[Count]| {
        let at = times[nth];
        // The shortest time between two of the counts near it: where one is lost on one side, the others have the period.
        let near = &times[nth.saturating_sub(2)..times.len().min(nth + 3)];
        let apart = near.windows(2).map(|pair| pair[1] - pair[0]).filter(|apart| *apart <= MAX_UNKNOWN).min();
        let length = meter.period.map(i64::from).or(apart).unwrap_or(0);
        let (start, end) = match meter.counted_at {
            PeriodEnd::Start => (at, at.saturating_add(length)),
            PeriodEnd::End => (at - length, at),
        };
        let pulses = if let [only] = group { Some(only.pulses) } else { None };
        // Before 1970 there is no time.
        Period { start: start.max(0), end: end.min(At::MAX.unix()), pulses }
    };
    together.iter().enumerate().map(|(nth, group)| of(nth, group)).collect()
}

/// Thousandths of the unit that a pulse of a period is worth; `None` outside of all assignments.
fn per_pulse(meter: &Meter<'_>, end: i64) -> Option<u64> {
    if meter.assignments.is_empty() {
        return Some(1_000);
    }
    let last = At::from_unix((end - 1).max(0)).ok()?;
    let assignment = meter.assignments.iter().find(|assignment| assignment.contains(last))?;
    Some(assignment.litres_per_pulse.thousandths())
}
