//! Timers: items and the times at which they are due.

use std::collections::BTreeMap;
use std::time::Duration;

/// Items and the times at which they are due. Times are rounded up to the next step, so that many items share
/// an entry: nothing is due early, or late by a whole step.
#[derive(Debug)]
pub(super) struct Timers<T> {
    step: u64,
    slots: BTreeMap<u64, Vec<T>>,
    len: usize,
}

impl<T> Timers<T> {
    /// No timers. `step` is in the caller's unit of time.
    pub(super) fn new(step: u64) -> Self {
        Self { step, slots: BTreeMap::new(), len: 0 }
    }

    /// Adds an item that is due at a time.
    pub(super) fn add(&mut self, at: u64, thing: T) {
        self.slots.entry(at.div_ceil(self.step)).or_default().push(thing);
        self.len += 1;
    }

    /// Removes and returns an item that is due.
    pub(super) fn due(&mut self, now: u64) -> Option<T> {
        let mut first = self.slots.first_entry().filter(|slot| slot.key().saturating_mul(self.step) <= now)?;
        let thing = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        self.len -= 1;
        thing
    }

    /// Time of the first timer.
    pub(super) fn next(&self) -> Option<u64> {
        self.slots.first_key_value().map(|(slot, _)| slot.saturating_mul(self.step))
    }

    /// Number of timers.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

/// Whole microseconds.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_thing_is_due_once_and_never_early_nor_a_step_late(
            step in 1_u64..50, times in prop::collection::vec(0_u64..1_000, 0..100)
        ) {
            let mut timers = Timers::new(step);
            for &at in &times {
                timers.add(at, at);
            }
            prop_assert_eq!(timers.len(), times.len());
            let mut seen = Vec::new();
            for now in 0..1_100 {
                while let Some(at) = timers.due(now) {
                    prop_assert!(at <= now && now < at + step, "{} was due at {}", at, now);
                    seen.push(at);
                }
            }
            seen.sort_unstable();
            let mut times = times;
            times.sort_unstable();
            prop_assert_eq!(seen, times);
            prop_assert_eq!((timers.len(), timers.next()), (0, None));
        }
    }
}
