//! The order in which the meters are due in an hour, and when.

use super::chance::{About, hash};
use crate::spec::{Arrival, Spec};

/// An hour in milliseconds.
pub(super) const HOUR: u64 = 3_600_000;

/// The same as a floating-point number.
const HOUR_MS: f64 = 3_600_000.0;

/// Milliseconds in which all meters send with [`Arrival::TopOfHour`].
const TOP: u64 = 60_000;

/// The largest delay with [`Arrival::Jitter`], in milliseconds.
const JITTER: u64 = 300_000;

/// The places of the meters in the hour: `number = (place * step + shift) mod count`, with a step that is coprime to the count.
/// So each meter has one place, the same in every hour, and neighbours in time are far apart in number.
#[derive(Debug)]
pub(super) struct Order {
    seed: u64,
    arrival: Arrival,
    count: u64,
    step: u64,
    /// `step * back` is 1, modulo the count.
    back: u64,
    shift: u64,
    /// The end of the fleet, in milliseconds.
    end: u64,
}

impl Order {
    /// The order of a checked spec.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "hours are positive, and few enough")]
    pub(super) fn new(spec: &Spec) -> Self {
        let count = u64::from(spec.devices);
        // The golden section spreads neighbours well for every count.
        let mut step = count * 618_033_989 / 1_000_000_000;
        while gcd(step, count) != 1 {
            step += 1;
        }
        Self {
            seed: spec.seed,
            arrival: spec.arrival,
            count,
            step,
            back: inverse(step, count),
            shift: hash(spec.seed, About::Order, 0, 0) % count,
            end: ((spec.hours * HOUR_MS).round() as u64).max(1),
        }
    }

    /// The number of hours, of which the last may be incomplete.
    pub(super) fn hours(&self) -> u32 {
        self.end.div_ceil(HOUR).try_into().unwrap_or(u32::MAX)
    }

    /// The number of meters that are due in an hour.
    pub(super) fn sessions(&self, hour: u32) -> u32 {
        let left = self.end.saturating_sub(u64::from(hour) * HOUR);
        let due = (left * self.count).div_ceil(self.span()).min(self.count);
        due.try_into().unwrap_or(u32::MAX)
    }

    /// The nth meter that is due in an hour, and when; `None` after the last.
    pub(super) fn due(&self, hour: u32, n: u32) -> Option<(u32, u64)> {
        (n < self.sessions(hour)).then(|| {
            let number = ((u64::from(n) * self.step + self.shift) % self.count).try_into().unwrap_or(u32::MAX);
            (number, u64::from(hour) * HOUR + self.offset(n.into()) + self.jitter(number, hour.into()))
        })
    }

    /// True if a meter is due in an hour.
    pub(super) fn is_due(&self, number: u32, hour: u32) -> bool {
        self.place(number) < self.sessions(hour).into()
    }

    /// When a meter is due in an hour, in milliseconds since the start; negative for hours before it.
    pub(super) fn time(&self, number: u32, hour: i64) -> i64 {
        let after = self.after_the_hour(number) + self.jitter(number, hour);
        hour * HOUR.cast_signed() + after.cast_signed()
    }

    /// The earliest time in an hour at which a meter is due, in milliseconds.
    pub(super) fn after_the_hour(&self, number: u32) -> u64 {
        self.offset(self.place(number))
    }

    fn place(&self, number: u32) -> u64 {
        (u64::from(number) % self.count + self.count - self.shift) * self.back % self.count
    }

    fn offset(&self, place: u64) -> u64 {
        place * self.span() / self.count
    }

    fn span(&self) -> u64 {
        match self.arrival {
            Arrival::Uniform | Arrival::Jitter => HOUR,
            Arrival::TopOfHour => TOP,
        }
    }

    fn jitter(&self, number: u32, hour: i64) -> u64 {
        match self.arrival {
            Arrival::Uniform | Arrival::TopOfHour => 0,
            Arrival::Jitter => hash(self.seed, About::Jitter, number, hour) % JITTER,
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The inverse of `step` modulo `count`, which are coprime (Euclid's extended algorithm).
fn inverse(step: u64, count: u64) -> u64 {
    let modulus = count.cast_signed();
    let (mut r, mut next_r) = (modulus, step.cast_signed());
    let (mut t, mut next_t) = (0, 1);
    while next_r != 0 {
        let quotient = r / next_r;
        (r, next_r) = (next_r, r - quotient * next_r);
        (t, next_t) = (next_t, t - quotient * next_t);
    }
    t.rem_euclid(modulus).cast_unsigned()
}
