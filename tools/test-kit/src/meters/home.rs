//! The household behind a meter: its consumption by hour and day of the week, one litre per pulse.
//!
//! In each five minutes water may be drawn. The probability follows the hour of the day in virtual time, in UTC for all
//! meters. Integers only, for the same result on every machine.

use super::Fleet;
use super::chance::{About, rng};

/// Slots of five minutes in an hour.
pub(super) const SLOTS: usize = 12;

/// The pulses of each slot.
pub(super) type Slots = [u32; SLOTS];

/// The share of each hour in a day's water, in thousandths: from Monday to Friday, and at the weekend. Invented for these
/// meters: a steep morning, a broad evening, little at night; two hours later at the weekend.
const WEEKDAY: [u32; 24] = [8, 5, 3, 3, 6, 20, 62, 88, 72, 52, 44, 42, 48, 42, 34, 34, 38, 52, 72, 82, 72, 56, 42, 23];
const WEEKEND: [u32; 24] = [12, 8, 5, 4, 4, 8, 20, 42, 70, 86, 80, 68, 62, 54, 44, 40, 42, 52, 66, 70, 60, 46, 35, 22];

/// The consumption of a weekend day, in hundredths of a weekday's.
const AT_WEEKEND: u32 = 110;

/// The litres drawn at once: percentage, least and most.
const DRAUGHTS: [(u32, u32, u32); 3] = [(45, 1, 3), (40, 6, 9), (15, 30, 60)];

/// The mean of these, in millilitres.
const DRAUGHT_ML: u64 = 10_650;

/// The percentage of homes with one to six people.
const PEOPLE: [u32; 6] = [33, 34, 15, 12, 4, 2];

/// A home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Home {
    /// The consumption of a weekday.
    pub(super) litres_a_day: u32,
    /// A leak, in litres per hour; 0 in most homes.
    pub(super) leak: u32,
    /// The number of people; 0 in some homes.
    pub(super) people: u32,
}

impl Home {
    /// The home of a meter.
    pub(super) fn of(seed: u64, number: u32) -> Self {
        let mut rng = rng(seed, About::Home, number, 0);
        let is_empty = rng.u32(0..100) < 4;
        let leaks = rng.u32(0..100) < 2;
        let mut place = rng.u32(0..100);
        let mut people = 1;
        for part in PEOPLE {
            if place < part {
                break;
            }
            place -= part;
            people += 1;
        }
        // 50 litres for the home and 100 for each person, with a variation of a fifth.
        let habit = rng.u32(80..=120);
        let leak = if leaks { rng.u32(3..=12) } else { 0 };
        let people = if is_empty { 0 } else { people };
        let litres_a_day = if is_empty { 0 } else { (50 + 100 * people) * habit / 100 };
        Self { litres_a_day, leak, people }
    }
}

impl Fleet {
    /// The pulses of the hour up to a meter's session, by slot.
    pub(super) fn slots(&self, number: u32, hour: i64) -> Slots {
        let home = Home::of(self.spec.seed, number);
        let mut slots: Slots = std::array::from_fn(|slot| steady(home.leak, slot));
        if home.litres_a_day > 0 {
            let likely = self.likely(&home, number, hour);
            let mut rng = rng(self.spec.seed, About::Hour, number, hour);
            for slot in &mut slots {
                if u64::from(rng.u32(..)) < likely {
                    *slot += draught(&mut rng);
                }
            }
        }
        slots
    }

    /// The probability that water is drawn in a slot of the hour up to a session, in parts of 2^32.
    fn likely(&self, home: &Home, number: u32, hour: i64) -> u64 {
        const HALF_AN_HOUR: i64 = 1_800;
        let after = (self.order.after_the_hour(number) / 1_000).cast_signed();
        let middle = self.spec.start.unix() + hour * 3_600 + after - HALF_AN_HOUR;
        let (day, of_day) =
            (middle.div_euclid(86_400), usize::try_from(middle.rem_euclid(86_400) / 3_600).unwrap_or(0));
        // 1970-01-01 was a Thursday.
        let is_weekend = (day + 3).rem_euclid(7) >= 5;
        let part = if is_weekend { WEEKEND[of_day] * AT_WEEKEND } else { WEEKDAY[of_day] * 100 };
        // Litres times thousandths times hundredths are hundredths of a millilitre.
        let millilitres = u64::from(home.litres_a_day) * u64::from(part) / 100;
        (millilitres << 32) / (SLOTS as u64 * DRAUGHT_ML)
    }
}

/// The litres of a leak in a slot: whole litres, spread evenly over the hour.
fn steady(an_hour: u32, slot: usize) -> u32 {
    let until = |slot: usize| an_hour * u32::try_from(slot).unwrap_or(0) / 12;
    until(slot + 1) - until(slot)
}

fn draught(rng: &mut fastrand::Rng) -> u32 {
    let mut place = rng.u32(0..100);
    for (part, least, most) in DRAUGHTS {
        if place < part {
            return rng.u32(least..=most);
        }
        place -= part;
    }
    0
}
