//! Steps: the way of an index from one point to the next.

use super::rules::Rules;
use super::{Mark, Marks};
use crate::pulse::modulo;

/// A point of a section: an index at a time, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) at: i64,
    pub(super) index: u64,
    pub(super) bits: Option<u8>,
    /// An index that an assignment states. It is never left out.
    pub(super) is_stated: bool,
}

/// The kinds of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepKind {
    /// The index stayed, so nothing was counted at any time in between.
    Still,
    /// Pulses were counted. The counter may have wrapped.
    Counted,
    /// Water flowed backwards.
    Reverse,
    /// The counter started again at zero. The pulses since then are a lower bound.
    Reset,
    /// The index fell a little. The pulses in between are unknown.
    Decrease,
    /// The index rose or fell by more than can be. The pulses in between are unknown.
    Implausible,
    /// The meter was changed, and its last and first index are known.
    Changed,
    /// The meter was changed, or the channel had no assignment. The pulses in between are unknown.
    ChangedUntold,
    /// Counts of periods are lost.
    Lost,
}

impl StepKind {
    /// True if pulses may have been counted that nobody knows of.
    pub fn is_break(self) -> bool {
        match self {
            Self::Still | Self::Counted | Self::Reverse | Self::Changed => false,
            Self::Reset | Self::Decrease | Self::Implausible | Self::ChangedUntold | Self::Lost => true,
        }
    }
}

/// A step without its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) kind: StepKind,
    /// Pulses; negative where water flowed backwards.
    pub(super) pulses: i128,
    pub(super) marks: Marks,
    /// The index fell by more than an older value restored would explain.
    pub(super) is_gross_fall: bool,
}

impl Way {
    fn new(kind: StepKind, pulses: i128, mark: Option<Mark>) -> Self {
        let is_gross_fall = kind == StepKind::Reset;
        Self { kind, pulses, marks: mark.into_iter().collect(), is_gross_fall }
    }
}

/// Classifies the way from one point to a later one.
pub(super) fn way(from: &Point, to: &Point, rules: &Rules) -> Way {
    let seconds = to.at.saturating_sub(from.at).max(3_600).unsigned_abs();
    let is_plausible = |pulses: u64| u128::from(pulses) * 3_600 <= u128::from(rules.max_per_hour) * u128::from(seconds);
    let bits = from.bits.filter(|_| from.bits == to.bits);
    let cut = |count: u64| bits.map_or(count, |bits| modulo(count, bits));
    let (a, b) = (cut(from.index), cut(to.index));
    if a == b {
        return Way::new(StepKind::Still, 0, None);
    }
    let is_fall = b < a;
    let fall = a.saturating_sub(b);
    let is_small_fall = is_fall && fall <= rules.max_reverse;
    // A counter of few bits may count its whole width within hours. A small fall is no rollover for all that.
    let counted = if is_fall { bits.map(|bits| modulo(b.wrapping_sub(a), bits)) } else { Some(b - a) };
    if let Some(pulses) = counted.filter(|&pulses| is_plausible(pulses) && !is_small_fall) {
        return Way::new(StepKind::Counted, pulses.into(), is_fall.then_some(Mark::Rollover));
    }
    if rules.can_reverse {
        // Backwards through zero as well.
        let back = if is_fall { Some(fall) } else { bits.map(|bits| modulo(a.wrapping_sub(b), bits)) };
        if let Some(back) = back.filter(|&back| back <= rules.max_reverse) {
            return Way::new(StepKind::Reverse, -i128::from(back), Some(Mark::Reverse));
        }
    }
    if is_small_fall {
        return Way::new(StepKind::Decrease, 0, Some(Mark::Decrease));
    }
    if is_fall && is_plausible(b) {
        return Way::new(StepKind::Reset, b.into(), Some(Mark::Reset));
    }
    Way { is_gross_fall: is_fall, ..Way::new(StepKind::Implausible, 0, Some(Mark::Implausible)) }
}
