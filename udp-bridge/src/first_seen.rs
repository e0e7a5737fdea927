//! When a datagram came first.
//!
//! A meter without a clock is dated by when its datagram arrived. If its acknowledgement gets lost, it sends the same
//! bytes again, seconds or minutes later; that is the same message and must get the same time, or it would be stored
//! twice. So the bridge remembers for a while what came when. It does so by content alone: addresses and ports mean
//! nothing behind a carrier's NAT. The memory is this process's own: across a restart, or on another bridge, a repeat
//! gets a time of its own and becomes a second item with the same count, which does no harm to consumption. Meters that
//! send their clock do not need any of this.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use pulsegate_model::at::At;

/// For how long a datagram is surely remembered, in seconds. Twice as long at most.
const REMEMBERED: i64 = 600;

/// How many datagrams are surely remembered, whatever their age: 9 MB for each generation.
const MAX_DATAGRAMS: usize = 450_000;

/// The memory. It forgets by generations: when the younger is old or full, the elder is dropped.
#[derive(Debug)]
pub struct FirstSeen {
    hashes: RandomState,
    young: HashMap<u64, At>,
    old: HashMap<u64, At>,
    young_since: At,
}

impl FirstSeen {
    /// Remembers nothing yet.
    pub fn new(now: At) -> Self {
        Self { hashes: RandomState::new(), young: HashMap::new(), old: HashMap::new(), young_since: now }
    }

    /// When this datagram came first: now, or earlier.
    ///
    /// Only its hash is kept. It is keyed by chance at start, so nobody can make two collide on purpose, and by accident
    /// two do once in 10^7 full memories.
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
