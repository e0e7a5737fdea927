//! The counters: what they show of what was counted. Most go on from what they had when the fleet began; some are about to start
//! again at zero by their width, and some are put back to zero.

use super::Fleet;
use super::chance::{About, fraction, hash};
use super::input::Input;
use super::kinds::Kind;

/// Where counters stand that are not about to start again: some years of a household's water. The first, put back to
/// zero, does not get there again within the longest time that a fleet lives; and none comes near to half of 24 bits, so
/// that a counter that was put back is told from one that rolled over.
const LEAST: u64 = 3_000_000;
const MOST: u64 = 6_000_000;

/// Within so many hours a counter that is about to start again does so.
const ROLLS_WITHIN: u32 = 24;

/// What becomes of a meter's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// They go on.
    GoesOn,
    /// They start again at zero, having reached their width.
    RollsOver,
    /// They are put back to zero, right after the session of this hour.
    StartsAgain { after: u32 },
}

/// What a meter's counters show, of what it has counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counter {
    a: i64,
    b: i64,
    bits: u32,
}

impl Counter {
    /// An index, with this much counted since the start (below zero: so much before).
    pub(super) fn index(self, input: Input, counted: i64) -> u64 {
        let base = match input {
            Input::A => self.a,
            Input::B => self.b,
        };
        (base + input.of(counted)).cast_unsigned() & (u64::MAX >> (u64::BITS - self.bits))
    }
}

impl Fleet {
    /// What becomes of a meter's counters.
    pub(super) fn fate(&self, kind: &Kind, number: u32) -> Fate {
        let drawn = fraction(hash(self.spec.seed, About::Fate, number, 0));
        if drawn < self.spec.rollover_share {
            return if kind.counter_bits.is_some() { Fate::RollsOver } else { Fate::GoesOn };
        }
        let last = u64::from(self.hours() - 1);
        if drawn < self.spec.rollover_share + self.spec.reset_share && last > 0 {
            let after = hash(self.spec.seed, About::Restart, number, 0) % last;
            return Fate::StartsAgain { after: after.try_into().unwrap_or(u32::MAX) };
        }
        Fate::GoesOn
    }

    /// A meter's counters in an hour up to whose session it has counted so much.
    pub(super) fn counter(&self, kind: &Kind, number: u32, hour: u32, counted: i64) -> Counter {
        let bits = kind.counter_bits.map_or(u64::BITS, u32::from);
        let drawn = hash(self.spec.seed, About::Start, number, 0);
        let start = (LEAST + drawn % (MOST - LEAST)).cast_signed();
        match self.fate(kind, number) {
            Fate::StartsAgain { after } if after < hour => {
                let zero = self.counted_until(number, after, hour, counted);
                Counter { a: -Input::A.of(zero), b: -Input::B.of(zero), bits }
            }
            Fate::GoesOn | Fate::StartsAgain { .. } => Counter { a: start, b: Input::B.of(start), bits },
            Fate::RollsOver => {
                let [first, last] = self.first_day(number);
                let [a, b] =
                    [Input::A, Input::B].map(|input| before_full(input.of(first), input.of(last), bits, drawn));
                Counter { a, b, bits }
            }
        }
    }

    /// What was counted up to an earlier hour, from whichever side is nearer.
    fn counted_until(&self, number: u32, earlier: u32, hour: u32, counted: i64) -> i64 {
        if earlier < hour - earlier {
            self.counted(number, earlier).cast_signed()
        } else {
            counted - (earlier + 1..=hour).map(|hour| i64::from(self.pulses(number, hour))).sum::<i64>()
        }
    }

    /// What is counted up to the first session and to the last one of the first day.
    fn first_day(&self, number: u32) -> [i64; 2] {
        let hours = self.hours().min(ROLLS_WITHIN);
        let due = (0..hours).filter(|&hour| hour == 0 || self.is_due(number, hour));
        let mut counts = due.map(|hour| i64::from(self.pulses(number, hour)));
        let first = counts.next().unwrap_or(0);
        [first, first + counts.sum::<i64>()]
    }
}

/// What to begin with so that a counter gets full between the first session and the last one; where nothing is counted in
/// between, before the first one.
fn before_full(first: i64, last: i64, bits: u32, drawn: u64) -> i64 {
    let full = 1_i64 << bits;
    let within = |count: i64| (drawn % count.max(1).cast_unsigned()).cast_signed();
    if last > first { full - 1 - first - within(last - first) } else { full - 1 - within(first) }
}
