//! The counters: the indexes that they show for a count. Most continue from their index at the start of the fleet; some roll
//! over, and some are reset.

use super::Fleet;
use super::chance::{About, fraction, hash};
use super::input::Input;
use super::kinds::Kind;

/// The range of indexes at the start, but for counters that roll over: some years of a household's water. After a reset no
/// counter reaches `LEAST` again within the longest fleet, and none comes near half of 24 bits, so that a reset differs from
/// a roll-over.
const LEAST: u64 = 3_000_000;
const MOST: u64 = 6_000_000;

/// A counter that rolls over does so within this many hours.
const ROLLS_WITHIN: u32 = 24;

/// What happens to a meter's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// They count on.
    GoesOn,
    /// They reach their width and start again at zero.
    RollsOver,
    /// They are reset to zero right after the session of this hour.
    StartsAgain { after: u32 },
}

/// The state of a meter's counters: their indexes at a count of zero, and their width.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counter {
    a: i64,
    b: i64,
    bits: u32,
}

impl Counter {
    /// The index at this count since the start, which is negative before the start.
    pub(super) fn index(self, input: Input, counted: i64) -> u64 {
        let base = match input {
            Input::A => self.a,
            Input::B => self.b,
        };
        (base + input.of(counted)).cast_unsigned() & (u64::MAX >> (u64::BITS - self.bits))
    }
}

impl Fleet {
    /// What happens to a meter's counters.
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

    /// A meter's counters in an hour, with the count up to its session.
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

    /// The count up to an earlier hour, computed from the nearer end.
    fn counted_until(&self, number: u32, earlier: u32, hour: u32, counted: i64) -> i64 {
        if earlier < hour - earlier {
            self.counted(number, earlier).cast_signed()
        } else {
            counted - (earlier + 1..=hour).map(|hour| i64::from(self.pulses(number, hour))).sum::<i64>()
        }
    }

    /// The counts up to the first and to the last session of the first day.
    fn first_day(&self, number: u32) -> [i64; 2] {
        let hours = self.hours().min(ROLLS_WITHIN);
        let due = (0..hours).filter(|&hour| hour == 0 || self.is_due(number, hour));
        let mut counts = due.map(|hour| i64::from(self.pulses(number, hour)));
        let first = counts.next().unwrap_or(0);
        [first, first + counts.sum::<i64>()]
    }
}

/// The index at the start with which a counter rolls over between the first session and the last one; before the first one, if
/// nothing is counted in between.
fn before_full(first: i64, last: i64, bits: u32, drawn: u64) -> i64 {
    let full = 1_i64 << bits;
    let within = |count: i64| (drawn % count.max(1).cast_unsigned()).cast_signed();
    if last > first { full - 1 - first - within(last - first) } else { full - 1 - within(first) }
}
