//! Set of sessions whose uplink was found, each compared with what its meter sent, byte for byte.

use fixedbitset::FixedBitSet;
use pulsegate_model::uplink::Uplink;
use pulsegate_model::{aggregate, record};

use super::stream::Stream;
use crate::meters::Fleet;
use crate::run::Sessions;

/// Uplinks that were found.
#[derive(Debug, Clone)]
pub(super) struct FoundUplinks {
    hours: Vec<FixedBitSet>,
    /// Redundant copies.
    pub(super) duplicates: u64,
    /// Uplinks that no meter has sent, or not in this form.
    pub(super) strangers: u64,
    /// Records that cannot be parsed.
    pub(super) unreadable: u64,
}

/// Comparison of acknowledged with found sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Acknowledged sessions.
    pub(super) acknowledged: u64,
    /// Of these, found.
    pub(super) durable: u64,
    /// Found, and never acknowledged.
    pub(super) unacknowledged: u64,
}

impl FoundUplinks {
    /// An empty set.
    pub(super) fn none(fleet: &Fleet) -> Self {
        let none = || FixedBitSet::with_capacity(fleet.spec().devices as usize);
        let hours = (0..fleet.hours()).map(|_| none()).collect();
        Self { hours, duplicates: 0, strangers: 0, unreadable: 0 }
    }

    /// Uplinks of a stream.
    pub(super) fn in_stream(stream: &Stream, fleet: &Fleet) -> Self {
        const AT_ONCE: usize = 64;
        let mut found = Self::none(fleet);
        for shard in 0..stream.shards() {
            let mut from = 0;
            loop {
                let records = stream.read(shard, from, AT_ONCE);
                if records.is_empty() {
                    break;
                }
                from += records.len();
                for record in &records {
                    found.take_record(&record.data, fleet);
                }
            }
        }
        found
    }

    fn take_record(&mut self, data: &[u8], fleet: &Fleet) {
        let Some(user_records) = aggregate::user_records(data) else {
            self.unreadable += 1;
            return;
        };
        for user_record in user_records {
            match record::decode(&user_record) {
                Ok(uplink) => self.take(&uplink, fleet),
                Err(_) => self.unreadable += 1,
            }
        }
    }

    /// Adds an uplink.
    pub(super) fn take(&mut self, uplink: &Uplink, fleet: &Fleet) {
        match session_of(uplink, fleet) {
            None => self.strangers += 1,
            Some((meter, hour)) => self.duplicates += u64::from(self.hours[hour as usize].put(meter as usize)),
        }
    }

    /// Number of sessions found.
    pub(super) fn count(&self) -> u64 {
        self.hours.iter().map(|hour| hour.count_ones(..) as u64).sum()
    }

    /// Number of sessions that are not in `others`.
    pub(super) fn missing_in(&self, others: &Self) -> u64 {
        self.hours.iter().zip(&others.hours).map(|(a, b)| a.difference(b).count() as u64).sum()
    }

    /// Compares acknowledged sessions with the found ones.
    pub(super) fn against(&self, sessions: &Sessions) -> Verdict {
        let (mut verdict, mut meter) = (Verdict { acknowledged: 0, durable: 0, unacknowledged: 0 }, 0);
        for (hour, found) in (0..).zip(&self.hours) {
            while (meter as usize) < sessions.devices() {
                let (acknowledged, found) = (sessions.is_acknowledged(meter, hour), found.contains(meter as usize));
                verdict.acknowledged += u64::from(acknowledged);
                verdict.durable += u64::from(acknowledged && found);
                verdict.unacknowledged += u64::from(found && !acknowledged);
                meter += 1;
            }
            meter = 0;
        }
        verdict
    }
}

impl Verdict {
    /// Acknowledged, but not found. Must be 0.
    pub(super) fn lost(self) -> u64 {
        self.acknowledged - self.durable
    }
}

/// The session of an uplink, if its meter has sent exactly this uplink.
fn session_of(uplink: &Uplink, fleet: &Fleet) -> Option<(u32, u32)> {
    let number = fleet.number(&uplink.device)?;
    let (hour, position) = fleet.hour_of(number, uplink.at, uplink.sequence)?;
    let session = fleet.session(number, hour, fleet.counted(number, hour));
    let sent = session.uplinks.get(position)?;
    let is_same = sent.payload == uplink.payload.bytes()
        && uplink.profile.as_str() == fleet.meter(number).profile
        && uplink.time_source == sent.dating.time_source();
    is_same.then_some((number, hour))
}
