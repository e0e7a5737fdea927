//! The counters: the indexes that they show for a count. Most continue from their index at the start of the fleet; some roll
//! over, and some are reset.

use pulsegate_model::at::At;

use super::Fleet;
use super::chance::{About, fraction, hash};
use super::home::SLOTS;
use super::input::Input;
use super::kinds::{Kind, Logs};

/// The range of indexes at the start, but for counters that roll over: some years of a household's water. After a reset no
/// counter reaches `LEAST` again within the longest fleet, and none comes near half of 24 bits, so that a reset differs from
/// a roll-over.
const LEAST: u64 = 3_000_000;
const MOST: u64 = 6_000_000;

/// The index of a meter that takes another one's place is from this to its double. It is less than that of the other, and by more
/// than can flow in days: so nobody takes it for a roll-over or for a reset to zero.
const SWAPPED: u64 = 1_000_000;

/// A meter with logs within the hour is swapped when this part of a slot is over.
const SLOT_PARTS: u32 = 5;

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
    /// The same, and they do not count in the first half of the next hour.
    LosesPower { after: u32 },
    /// Another meter takes their place between the session of this hour and the next one.
    Swapped { after: u32, is_told: bool },
}

/// A register that takes the place of the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Restart {
    /// The hour after whose session it does.
    pub(super) after: u32,
    /// Pulses between that session and the first pulse that it counts.
    pub(super) later: i64,
    /// Its index at its beginning.
    pub(super) base: i64,
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
        if last == 0 {
            return Fate::GoesOn;
        }
        let after = hash(self.spec.seed, About::Restart, number, 0) % last;
        let after = after.try_into().unwrap_or(u32::MAX);
        let faults = &self.spec.faults;
        let shares = [
            (self.spec.reset_share, Fate::StartsAgain { after }),
            (faults.power_loss, Fate::LosesPower { after }),
            (faults.swap, Fate::Swapped { after, is_told: faults.assigned > 0.0 }),
            (faults.untold_swap, Fate::Swapped { after, is_told: false }),
        ];
        let mut until = self.spec.rollover_share;
        let mut is_below = |share: f64| {
            until += share;
            drawn < until
        };
        shares.into_iter().find(|(share, _)| is_below(*share)).map_or(Fate::GoesOn, |(_, fate)| fate)
    }

    /// The register that takes the place of a meter's first one, if one does.
    pub(super) fn restart(&self, kind: &Kind, number: u32) -> Option<Restart> {
        let (after, base, is_later) = match self.fate(kind, number) {
            Fate::GoesOn | Fate::RollsOver => return None,
            Fate::StartsAgain { after } => (after, 0, false),
            // A log within the hour cannot be in the frame of another one if the index falls in between.
            Fate::LosesPower { after } => (after, 0, !matches!(kind.logs, Logs::Parts(_))),
            Fate::Swapped { after, .. } => {
                let drawn = hash(self.spec.seed, About::Start, number, 1);
                (after, (SWAPPED + drawn % SWAPPED).cast_signed(), true)
            }
        };
        let later = if is_later { self.before_swap(kind, number, after + 1) } else { 0 };
        Some(Restart { after, later, base })
    }

    /// The pulses of an hour until a swap in it: at its middle, or before the first log in it.
    fn before_swap(&self, kind: &Kind, number: u32, hour: u32) -> i64 {
        let slots = self.slots(number, hour.into());
        match kind.logs {
            Logs::Parts(_) => i64::from(slots[0] / SLOT_PARTS),
            _ => slots[..SLOTS / 2].iter().map(|&pulses| i64::from(pulses)).sum(),
        }
    }

    /// The time of a swap in an hour, by the clock that dates the meter's uplinks.
    pub(super) fn swap_time(&self, kind: &Kind, number: u32, hour: u32) -> At {
        let [from, to] = [i64::from(hour) - 1, i64::from(hour)].map(|hour| self.order.time(number, hour));
        let part = match kind.logs {
            Logs::Parts(_) => i64::from(SLOT_PARTS) * SLOTS.cast_signed() as i64,
            _ => 2,
        };
        self.shown(kind.network(), number, from + (to - from) / part)
    }

    /// A meter's counters in an hour, with the count up to its session.
    pub(super) fn counter(&self, kind: &Kind, number: u32, hour: u32, counted: i64) -> Counter {
        let bits = kind.counter_bits.map_or(u64::BITS, u32::from);
        let drawn = hash(self.spec.seed, About::Start, number, 0);
        let start = (LEAST + drawn % (MOST - LEAST)).cast_signed();
        if let Some(Restart { after, later, base }) = self.restart(kind, number).filter(|restart| restart.after < hour)
        {
            let zero = self.counted_until(number, after, hour, counted) + later;
            let [a, b] = [Input::A, Input::B].map(|input| input.of(base) - input.of(zero));
            return Counter { a, b, bits };
        }
        match self.fate(kind, number) {
            Fate::RollsOver => {
                let [first, last] = self.first_day(number);
                let [a, b] =
                    [Input::A, Input::B].map(|input| before_full(input.of(first), input.of(last), bits, drawn));
                Counter { a, b, bits }
            }
            _ => Counter { a: start, b: Input::B.of(start), bits },
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
