//! Remembers the first arrival of each datagram.
//!
//! An uplink of a meter without a clock, or with one that shows an impossible time, gets the time at which its datagram
//! arrived. If the acknowledgement is lost,
//! the meter sends the same bytes again, seconds or minutes later. That is the same message and must get the same time,
//! or it would be stored twice. So the bridge remembers recent arrivals, by content alone: addresses and ports mean
//! nothing behind a carrier's NAT. The memory belongs to this process: after a restart, or at another bridge, a
//! repeated datagram gets a new time and becomes a second item with the same count, which does not change the
//! consumption. A clock is compared with the first arrival too, so that a repetition is accepted or rejected as the first
//! datagram was. Sealed uplinks do not need this: their time is always the meter's.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use pulsegate_model::at::At;

/// Minimum time for which a datagram is remembered, in seconds. The maximum is twice that.
const REMEMBERED: i64 = 600;

/// Maximum number of datagrams in a generation: 9 MB.
const MAX_DATAGRAMS: usize = 450_000;

/// First arrivals in two generations: when the younger is old or full, it replaces the older.
#[derive(Debug)]
pub struct FirstSeen {
    hashes: RandomState,
    young: HashMap<u64, At>,
    old: HashMap<u64, At>,
    young_since: At,
}

/// The earliest arrival that is remembered now.
pub fn earliest(now: At) -> At {
    now.checked_sub(2 * REMEMBERED.unsigned_abs()).unwrap_or(At::EPOCH)
}

impl FirstSeen {
    /// Creates an empty memory.
    pub fn new(now: At) -> Self {
        Self { hashes: RandomState::new(), young: HashMap::new(), old: HashMap::new(), young_since: now }
    }

    /// Returns the first arrival of this datagram: now, or earlier.
    ///
    /// It stores only the datagram's hash. The hash has a random key, so a sender cannot provoke a collision; by
    /// chance, one full memory in 10^7 has one.
    pub fn first(&mut self, datagram: &[u8], now: At) -> At {
        if now.unix() - self.young_since.unix() >= REMEMBERED || self.young.len() >= MAX_DATAGRAMS {
            self.old = std::mem::take(&mut self.young);
            self.young_since = now;
        }
        let hash = self.hashes.hash_one(datagram);
        let recent = |first: &At| now.unix() - first.unix() < 2 * REMEMBERED;
        let first = self.old.get(&hash).copied().filter(recent).unwrap_or(now);
        *self.young.entry(hash).or_insert(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> At {
        At::from_unix(1_795_176_000 + seconds).unwrap()
    }

    #[test]
    fn a_repeated_datagram_keeps_its_first_time_and_another_gets_its_own() {
        let mut arrivals = FirstSeen::new(at(0));
        assert_eq!(arrivals.first(b"one", at(0)), at(0));
        assert_eq!(arrivals.first(b"one", at(5)), at(0));
        assert_eq!(arrivals.first(b"two", at(5)), at(5));
    }

    #[test]
    fn a_datagram_is_remembered_across_a_change_of_generation_and_forgotten_after_the_second() {
        let mut arrivals = FirstSeen::new(at(0));
        arrivals.first(b"one", at(REMEMBERED - 1));
        assert_eq!(arrivals.first(b"one", at(REMEMBERED + 60)), at(REMEMBERED - 1));
        arrivals.first(b"two", at(3 * REMEMBERED));
        arrivals.first(b"two", at(5 * REMEMBERED));
        assert_eq!(arrivals.first(b"one", at(5 * REMEMBERED)), at(5 * REMEMBERED));
    }
}
