//! Quarantines the datagrams that a trusted listener rejects: a meter with a wrong profile or a new firmware sends them,
//! and often only once.
//!
//! A record for the quarantine queue travels in the packs of the stream, because the bridge may write nowhere else; the
//! next stage passes it on. Whoever reaches the listener can send noise, so the number of records is limited. A sealed
//! listener quarantines nothing: what it rejects comes from strangers.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pulsegate_model::at::At;
use pulsegate_model::quarantine::{Quarantined, UDP_BRIDGE};
use tokio::time::Instant;

use crate::protocol::{Protocol, Refusal, Trust};

/// Maximum number of records for one sender address and [`PERIOD`]. A meter sends a datagram, and repeats it a few
/// times.
pub const MAX_OF_SENDER: u32 = 10;

/// Maximum number of records for all senders and [`PERIOD`]: 1.4 million a day, which SQS stores and passes on for about
/// two dollars. It also limits the memory for senders.
pub const MAX_IN_ALL: u32 = 1_000;

/// Period of both limits.
pub const PERIOD: Duration = Duration::from_mins(1);

/// The limit of all trusted listeners of this process.
#[derive(Debug, Default)]
pub struct Limit(Mutex<Period>);

/// The records of the current period.
#[derive(Debug, Default)]
struct Period {
    since: Option<Instant>,
    in_all: u32,
    of_senders: HashMap<Option<IpAddr>, u32>,
}

impl Limit {
    /// Counts a record of this sender. Returns `false` if it is beyond the limit. Ports do not count, because a sender
    /// can use many.
    fn admits(&self, sender: Option<IpAddr>, now: Instant) -> bool {
        let mut period = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if period.since.is_none_or(|since| now.duration_since(since) >= PERIOD) {
            *period = Period { since: Some(now), ..Period::default() };
        }
        if period.in_all >= MAX_IN_ALL {
            return false;
        }
        let of_sender = period.of_senders.entry(sender).or_default();
        let admitted = *of_sender < MAX_OF_SENDER;
        if admitted {
            *of_sender += 1;
            period.in_all += 1;
        }
        admitted
    }
}

/// The quarantine of a trusted listener.
#[derive(Debug, Clone)]
pub struct Quarantine {
    profile: Option<&'static str>,
    listener: String,
    limit: Arc<Limit>,
}

impl Quarantine {
    /// The quarantine of a listener with this address; `None` if the listener is sealed.
    pub fn new(protocol: &Protocol, addr: SocketAddr, limit: &Arc<Limit>) -> Option<Self> {
        if matches!(protocol.trust(), Trust::Sealed(_)) {
            return None;
        }
        let profile = protocol.profile().map(|profile| profile.name);
        Some(Self { profile, listener: format!("{}://{addr}", protocol.name()), limit: Arc::clone(limit) })
    }

    /// Returns whether another datagram of this sender is quarantined now.
    pub fn admits(&self, sender: Option<SocketAddr>) -> bool {
        self.limit.admits(sender.map(|sender| sender.ip()), Instant::now())
    }

    /// Builds the record of a rejected datagram. `received` is the time of its first arrival, so that a repeated
    /// datagram has the same.
    pub fn record(&self, refusal: &Refusal, datagram: &[u8], sender: Option<SocketAddr>, received: At) -> String {
        let record = Quarantined::new(UDP_BRIDGE, refusal, datagram).received_at(&self.listener, sender, received);
        self.profile.into_iter().fold(record, Quarantined::under).to_message()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn a_sender_has_its_share_of_each_period_and_takes_nothing_of_anothers() {
        let (limit, now) = (Limit::default(), Instant::now());
        for later in [Duration::ZERO, PERIOD, PERIOD * 5] {
            let admitted = |sender| (0..10_000).filter(|_| limit.admits(sender, now + later)).count();
            assert_eq!([Some(sender(1)), None, Some(sender(2))].map(admitted), [10, 10, 10]);
        }
    }

    #[test]
    fn many_senders_have_no_more_than_the_limit_of_all_and_take_no_more_memory() {
        let (limit, now) = (Limit::default(), Instant::now());
        assert_eq!((0..100_000).filter(|&number| limit.admits(Some(sender(number)), now)).count(), 1_000);
        assert_eq!(limit.0.lock().unwrap().of_senders.len(), 1_000);
        assert!(limit.admits(Some(sender(1)), now + PERIOD));
    }
}
