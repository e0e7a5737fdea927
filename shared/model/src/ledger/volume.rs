//! The volume of a day, by what is known about it.

use crate::at::At;
use crate::consumption::calendar::Every;
use crate::consumption::{MAX_INTERPOLATED, Step, StepKind, Volume, saturate, tolerance};

/// The longest step whose volume is timed if the log period is unknown, in seconds: one and a half hours.
const HOURLY: u32 = 3_600;

/// The volume of a day, in thousandths of the unit. See [`Ledger`](super::Ledger) for the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VolumeOfDay {
    /// In steps of at most one and a half log periods.
    pub timed: i64,
    /// In longer steps, of at most 72 hours.
    pub spread: i64,
    /// In still longer steps that end on this day.
    pub unplaced: i64,
    /// Of these three, counted after a reset.
    pub after_break: i64,
    /// Breaks of the index that end on this day.
    pub breaks: u32,
}

/// The volume of the day from `start` to `end`, of a device with this log period in seconds. Days beside each other add up to
/// all that was counted.
pub fn volume_of_day(volume: &Volume, start: At, end: At, period: Option<u32>) -> VolumeOfDay {
    let tolerance = tolerance(Every::Day);
    let from = volume.certain(start.unix(), tolerance);
    let to = volume.certain(end.unix(), tolerance);
    let longest_timed = i64::from(period.unwrap_or(HOURLY)) * 3 / 2;
    let (mut timed, mut spread, mut unplaced, mut after_break, mut breaks) = (0, 0, 0, 0, 0);
    for step in volume.steps_between(from.0, to.0) {
        let part = part_of(volume, &step, from, to);
        match step.to.unix() - step.from.unix() {
            length if length <= longest_timed => timed += part,
            length if length <= MAX_INTERPOLATED => spread += part,
            _ => unplaced += part,
        }
        if step.kind == StepKind::Reset {
            after_break += part;
        }
        breaks += u32::from(step.kind.is_break() && step.to.unix() <= to.0);
    }
    VolumeOfDay {
        timed: saturate(timed),
        spread: saturate(spread),
        unplaced: saturate(unplaced),
        after_break: saturate(after_break),
        breaks,
    }
}

/// The part of a step's volume between two boundaries, each a time with the volume until then.
fn part_of(volume: &Volume, step: &Step, start: (i64, i128), end: (i64, i128)) -> i128 {
    // The only count of a period of unknown length.
    if step.from == step.to {
        return step.volume.into();
    }
    let on_point = |at: At| volume.certain(at.unix(), 0).1;
    let before = if step.from.unix() < start.0 { start.1 } else { on_point(step.from) };
    let after = if step.to.unix() > end.0 { end.1 } else { on_point(step.to) };
    after - before
}
