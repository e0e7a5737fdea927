//! Faults beyond those of clocks and counters: uplinks that are lost on the air, wrong indexes, and status messages, which take
//! numbers of their own ([`MeterFaults`](crate::spec::MeterFaults)).

use pulsegate_model::device::Network;

use super::Fleet;
use super::chance::{About, fraction, hash, mix};
use super::counter::Fate;
use super::frames::Log;
use super::kinds::{Kind, Logs};
use super::setting::Setting;

/// By how much a wrong index is too high: more than can flow in a month, and less than half of 24 bits.
const TOO_HIGH: u64 = 7_000_000;

/// A meter with status messages sends one every so many hours.
const STATUS_HOURS: u64 = 4;

/// Hours of a fleet in which a wrong index may be the first or the last one, on both ends together.
const ENDS: u32 = 3;

impl Fleet {
    /// The positions of the uplinks of a session that arrive, of all that its meter numbers and sends.
    pub(super) fn kept(&self, kind: &Kind, number: u32, hour: u32) -> impl Iterator<Item = usize> {
        (0..self.uplinks(kind, number, hour)).filter(move |&position| !self.is_lost(kind, number, hour, position))
    }

    /// True if an uplink never arrives.
    pub(super) fn is_lost(&self, kind: &Kind, number: u32, hour: u32, position: usize) -> bool {
        let lost = self.spec.faults.lost;
        lost > 0.0
            && fraction(mix(hash(self.spec.seed, About::Lost, number, hour.into()) ^ position as u64)) < lost
            && !self.is_beside_garbled(kind, number, hour)
    }

    /// A wrong index shows as such between two right ones.
    fn is_beside_garbled(&self, kind: &Kind, number: u32, hour: u32) -> bool {
        self.garbled_hour(kind, number).is_some_and(|garbled| garbled.abs_diff(hour) <= 1)
    }

    /// The hour in whose session a meter sends a wrong index.
    pub(super) fn garbled_hour(&self, kind: &Kind, number: u32) -> Option<u32> {
        let drawn = |nth| hash(self.spec.seed, About::Garbled, number, nth);
        let hours = self.hours().checked_sub(ENDS).filter(|hours| *hours > 0)?;
        let is_drawn = self.spec.faults.garbled > 0.0 && fraction(drawn(0)) < self.spec.faults.garbled;
        let has_whole_indexes = matches!(kind.logs, Logs::Now | Logs::Sessions(_))
            && self.setting(kind, number) != Setting::PulsesSinceUplink;
        let goes_on = matches!(self.fate(kind, number), Fate::GoesOn | Fate::RollsOver);
        let has_clock = !self.is_wrong(kind.network(), number, 0);
        (is_drawn && has_whole_indexes && goes_on && has_clock)
            .then(|| u32::try_from(1 + drawn(1) % u64::from(hours)).unwrap_or(1))
    }

    /// True if a meter sends a status message at the end of a session.
    pub(super) fn has_status(&self, kind: &Kind, number: u32, hour: u32) -> bool {
        self.status_hour(kind, number).is_some_and(|of| u64::from(hour) % STATUS_HOURS == of)
    }

    /// The number of status messages that a meter has sent before an hour.
    pub(super) fn statuses_before(&self, kind: &Kind, number: u32, hour: u64) -> u64 {
        self.status_hour(kind, number).map_or(0, |of| (hour + STATUS_HOURS - 1 - of) / STATUS_HOURS)
    }

    fn status_hour(&self, kind: &Kind, number: u32) -> Option<u64> {
        let drawn = |nth| hash(self.spec.seed, About::Status, number, nth);
        let share = self.spec.faults.status;
        let has_some = share > 0.0 && kind.network() == Network::Sigfox && fraction(drawn(0)) < share;
        has_some.then(|| drawn(1) % STATUS_HOURS)
    }
}

/// Makes the indexes of a log wrong.
pub(super) fn garble(log: &mut Log, counter_bits: Option<u8>) {
    let bits = counter_bits.map_or(u64::BITS, u32::from);
    let wrong = |index: u64| (index + TOO_HIGH) & (u64::MAX >> (u64::BITS - bits));
    (log.a, log.b, log.is_garbled) = (wrong(log.a), wrong(log.b), true);
}
