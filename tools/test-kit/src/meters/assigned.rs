//! The assignments of the meters ([`MeterFaults::assigned`](crate::spec::MeterFaults::assigned)): volumes of a pulse, zones and
//! limits of several kinds, and the indexes of a meter that is swapped and of the one in its place.

use pulsegate_model::assignment::{Assignment, PulseVolume, Zone};
use pulsegate_model::at::At;

use super::Fleet;
use super::chance::{About, fraction, hash};
use super::counter::Fate;
use super::input::Input;
use super::kinds::Kind;

/// Thousandths of a litre per pulse.
const VOLUMES: [u64; 4] = [1_000, 10_000, 250, 1_500];

/// Zones with whole, half and quarter hours.
const ZONES: [&str; 5] = ["Europe/Brussels", "UTC", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu"];

/// A limit that no household here reaches, in pulses an hour, and one for each litre per pulse, in litres.
const MAX_PER_HOUR: u64 = 5_000;
const Q3: u64 = 4_000;

impl Fleet {
    /// The assignments of a meter, by channel and time; none for a meter without.
    pub fn assignments(&self, number: u32) -> Vec<Assignment> {
        let kind = self.mix.kind(number);
        let swap = match self.fate(kind, number) {
            Fate::Swapped { after, is_told: true } => Some((after, self.swap_time(kind, number, after + 1))),
            _ => None,
        };
        let drawn = |nth| hash(self.spec.seed, About::Assignment, number, nth);
        if swap.is_none() && fraction(drawn(0)) >= self.spec.faults.assigned {
            return vec![];
        }
        let of_channel = |&(channel, input): &(&str, Input)| -> Option<Vec<Assignment>> {
            let first = self.assignment(kind, number, channel)?;
            let Some((after, at)) = swap else { return Some(vec![first]) };
            let [last_index, first_index] = self.indexes_of_swap(kind, number, after, input);
            let second = Assignment { from: Some(at), first_index: Some(first_index), ..first.clone() };
            let first = Assignment { to: Some(at), last_index: Some(last_index), ..first };
            let serial = |nth: u8| format!("{number}-{channel}-{nth}").parse().ok();
            Some(vec![Assignment { serial: serial(1), ..first }, Assignment { serial: serial(2), ..second }])
        };
        kind.channels.iter().filter_map(of_channel).flatten().collect()
    }

    /// An assignment without an end. `None` is of no meter: the names and numbers here are valid.
    fn assignment(&self, kind: &Kind, number: u32, channel: &str) -> Option<Assignment> {
        let drawn = |nth| hash(self.spec.seed, About::Assignment, number, nth);
        let one_of = |nth, count: usize| usize::try_from(drawn(nth)).map_or(0, |drawn| drawn % count);
        let volume = VOLUMES[one_of(1, VOLUMES.len())];
        let zone: Zone = ZONES[one_of(2, ZONES.len())].parse().ok()?;
        let (q3, max_per_hour) = match drawn(3) % 3 {
            0 => (None, None),
            1 => (u32::try_from(Q3 * volume / 1_000).ok(), None),
            _ => (None, Some(MAX_PER_HOUR)),
        };
        Some(Assignment {
            device: self.identities.device(kind, number),
            channel: channel.parse().ok()?,
            from: None,
            to: None,
            litres_per_pulse: PulseVolume::from_thousandths(volume).ok()?,
            serial: None,
            first_index: None,
            last_index: None,
            time_zone: zone,
            q3,
            max_per_hour,
            can_reverse: false,
            label: None,
            site: format!("site {}", number % 100).parse().ok(),
        })
    }

    /// The last index of the old meter and the first one of the new.
    fn indexes_of_swap(&self, kind: &Kind, number: u32, after: u32, input: Input) -> [u64; 2] {
        let until = self.counted(number, after).cast_signed();
        let swapped = until + self.restart(kind, number).map_or(0, |restart| restart.later);
        let next = until + i64::from(self.pulses(number, after + 1));
        let old = self.counter(kind, number, after, until).index(input, swapped);
        let new = self.counter(kind, number, after + 1, next).index(input, swapped);
        [old, new]
    }

    /// The time of a meter's swap, by the clock that dates its uplinks; `None` if it is not swapped.
    pub fn swapped_at(&self, number: u32) -> Option<At> {
        let kind = self.mix.kind(number);
        match self.fate(kind, number) {
            Fate::Swapped { after, .. } => Some(self.swap_time(kind, number, after + 1)),
            _ => None,
        }
    }
}
