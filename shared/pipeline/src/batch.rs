//! The records of one batch and its partial response. Only this module has the rule for partial failures.
//!
//! The response names every failed record, and the host delivers only these again. All writes are idempotent, so a host
//! may also deliver more of the batch again, as a Kinesis shard does.

use std::collections::BTreeSet;

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_model::event::DeviceEvent;
use pulsegate_model::quarantine::Quarantined;
use pulsegate_model::uplink::Uplink;
use pulsegate_model::{aggregate, envelope, record};

use crate::ports::{Arrived, Refused};
use crate::telemetry::OutcomeCounts;
use crate::tombstones::Tombstones;

/// One record of a batch, whichever service delivered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRecord {
    /// The record's name in the response: a message ID or a sequence number.
    id: String,
    /// The time at which the queue or the stream received it.
    arrived: At,
    /// One envelope, or the user records of an aggregated Kinesis record.
    bodies: Vec<Body>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Body {
    /// See [`envelope`].
    Envelope(Vec<u8>),
    /// See [`record`].
    UserRecord(Vec<u8>),
    /// JSON in the stream: a datagram that the bridge quarantined, or an envelope that was put there by hand.
    Json(Vec<u8>),
}

/// Positions of the records that must be delivered again.
pub type Failed = BTreeSet<usize>;

/// The outcome of a batch.
#[derive(Debug, PartialEq, Eq)]
pub struct BatchOutcome {
    /// Records that must be delivered again.
    pub failed: Failed,
    /// Counts each uplink, event and unreadable piece once.
    pub counts: OutcomeCounts,
}

/// Values of one kind from the records of a batch.
#[derive(Debug)]
pub struct Pieces<T> {
    /// The values.
    pub values: Vec<T>,
    /// The position of each value's record in its batch.
    records: Vec<usize>,
}

/// The content of a batch.
#[derive(Debug, Default)]
pub struct OpenedBatch {
    /// Uplinks.
    pub uplinks: Pieces<Arrived<Uplink>>,
    /// Device events.
    pub events: Pieces<Arrived<DeviceEvent>>,
    /// Pieces that could not be parsed.
    pub unreadable: Pieces<Quarantined>,
}

impl BatchRecord {
    /// Builds a record of a queue: one envelope. The response names it by `id`.
    pub fn new(id: impl Into<String>, arrived: At, body: impl Into<Vec<u8>>) -> Self {
        Self { id: id.into(), arrived, bodies: vec![Body::Envelope(body.into())] }
    }

    /// Builds a record of a stream. Keeps every user record of an aggregated one, whatever its hash key: after a
    /// reshard, user records outside the shard's range exist nowhere else.
    pub fn of_stream(id: impl Into<String>, arrived: At, data: Vec<u8>) -> Self {
        let user_records = aggregate::user_records(&data).unwrap_or_else(|| vec![data]);
        Self { id: id.into(), arrived, bodies: user_records.into_iter().map(Body::of_user_record).collect() }
    }

    /// The record's name in the response.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The time at which the queue or the stream received the record.
    pub fn arrived(&self) -> At {
        self.arrived
    }
}

impl Body {
    /// Also accepts JSON. The two cannot be confused, since no binary record begins with a brace.
    fn of_user_record(data: Vec<u8>) -> Self {
        if data.starts_with(b"{") { Self::Json(data) } else { Self::UserRecord(data) }
    }
}

/// Opens the records of a batch. Pieces that cannot be parsed name `stage` as their stage; those that the bridge has
/// quarantined are unchanged.
pub fn open(records: &[BatchRecord], stage: &'static str) -> OpenedBatch {
    let mut opened = OpenedBatch::default();
    for (position, &BatchRecord { arrived, ref bodies, .. }) in records.iter().enumerate() {
        for body in bodies {
            match body {
                Body::Envelope(body) => opened.add_envelope(position, arrived, body, stage),
                Body::UserRecord(data) => match record::decode(data) {
                    Ok(value) => opened.uplinks.push(position, Arrived { value, arrived }),
                    Err(e) => opened.unreadable.push(position, Quarantined::new(stage, &e, data)),
                },
                Body::Json(data) => match Quarantined::of_bridge(data) {
                    Some(quarantined) => opened.unreadable.push(position, quarantined),
                    None => opened.add_envelope(position, arrived, data, stage),
                },
            }
        }
    }
    opened
}

impl OpenedBatch {
    fn add_envelope(&mut self, position: usize, arrived: At, body: &[u8], stage: &'static str) {
        match envelope::unpack(body) {
            Ok(unpacked) => {
                for value in unpacked.uplinks {
                    self.uplinks.push(position, Arrived { value, arrived });
                }
                for value in unpacked.events {
                    self.events.push(position, Arrived { value, arrived });
                }
                for member in unpacked.unreadable {
                    let quarantined = Quarantined::new(stage, &member.reason, member.envelope.as_bytes());
                    self.unreadable.push(position, quarantined);
                }
            }
            Err(e) => self.unreadable.push(position, Quarantined::new(stage, &e, body)),
        }
    }

    /// Drops what is of erased devices, and returns how many values. An unreadable value has no device, as a rule.
    pub fn erase(&mut self, tombstones: &Tombstones) -> usize {
        let is_erased = |device: Option<DeviceId>| device.is_some_and(|device| tombstones.contains(device));
        self.uplinks.remove(|uplink| is_erased(Some(uplink.value.device)))
            + self.events.remove(|event| is_erased(event.value.source.device()))
            + self.unreadable.remove(|unreadable| is_erased(unreadable.device()))
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.uplinks.len() + self.events.len() + self.unreadable.len()
    }

    /// True if there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The outcome if nothing can be done now: all is given back.
    pub fn given_back(&self, records: &[BatchRecord]) -> BatchOutcome {
        let counts = OutcomeCounts { received: self.len(), given_back: self.len(), ..OutcomeCounts::default() };
        BatchOutcome { failed: (0..records.len()).collect(), counts }
    }

    /// Moves device events to quarantine, so that a stage without an event store does not lose them.
    pub fn quarantine_events(&mut self, stage: &'static str) {
        for (position, event) in std::mem::take(&mut self.events) {
            let envelope = envelope::of_event(&event.value);
            let reason = "this stage takes no device events";
            self.unreadable.push(position, Quarantined::new(stage, &reason, envelope.as_bytes()));
        }
    }
}

impl<T> Pieces<T> {
    /// Adds a value from the record at this position.
    pub fn push(&mut self, record: usize, value: T) {
        self.values.push(value);
        self.records.push(record);
    }

    /// Removes values, and returns how many.
    fn remove(&mut self, is_doomed: impl Fn(&T) -> bool) -> usize {
        let all = self.len();
        let kept = std::mem::take(self).into_iter().filter(|(_, value)| !is_doomed(value));
        (self.records, self.values) = kept.unzip();
        all - self.len()
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns `true` if there are no values.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The same pieces, with another value for each.
    pub fn map<U>(self, value: impl FnMut(T) -> U) -> Pieces<U> {
        Pieces { values: self.values.into_iter().map(value).collect(), records: self.records }
    }

    /// Returns the records that contain the values at these positions.
    pub fn records_of(&self, positions: &Refused) -> Failed {
        positions.iter().map(|&position| self.records[position]).collect()
    }
}

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Self { values: Vec::new(), records: Vec::new() }
    }
}

/// Yields each value with the position of its record.
impl<T> IntoIterator for Pieces<T> {
    type Item = (usize, T);
    type IntoIter = std::iter::Zip<std::vec::IntoIter<usize>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.records.into_iter().zip(self.values)
    }
}

#[cfg(test)]
mod tests {
    use pulsegate_model::quarantine::{self, QuarantinedRecord};
    use serde_json::json;

    use super::*;

    fn uplink(sequence: u32) -> Uplink {
        serde_json::from_value(json!({
            "device": "nbiot:490154203237518", "kind": "data", "at": "2026-11-20T12:00:00Z", "time_source": "device",
            "sequence": sequence, "profile": "adeunis-pulse4-nbiot", "payload": "00",
        }))
        .unwrap()
    }

    fn user_record(sequence: u32) -> Vec<u8> {
        let mut data = vec![];
        record::encode(&uplink(sequence), &mut data);
        data
    }

    /// The bytes of every unreadable piece, with the position of its record.
    fn unreadable(opened: OpenedBatch) -> Vec<(usize, Vec<u8>)> {
        let kept = |quarantined: &Quarantined| QuarantinedRecord::from_message(&quarantined.to_message()).unwrap();
        opened.unreadable.into_iter().map(|(record, piece)| (record, kept(&piece).record().unwrap())).collect()
    }

    #[test]
    fn every_user_record_of_a_shard_is_read_in_its_order_and_known_by_its_record() {
        let mut aggregated = aggregate::Aggregator::default();
        aggregated.add(|| "a".to_owned(), &user_record(1));
        aggregated.add(|| "b".to_owned(), &user_record(2));
        let aggregated = aggregated.close().unwrap().data;
        let envelope = envelope::of_one(&uplink(3)).into_bytes();
        let data = [("101", aggregated), ("102", envelope), ("103", b"\x01?".to_vec()), ("104", user_record(4))];
        let records = data.map(|(id, data)| BatchRecord::of_stream(id, At::EPOCH, data));

        let opened = open(&records, "raw-nbiot");
        let read: Vec<_> = opened.uplinks.values.iter().map(|uplink| uplink.value.sequence).collect();
        assert_eq!(read, [Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!(opened.uplinks.records, [0, 0, 1, 3]);
        assert_eq!(opened.uplinks.records_of(&[1, 2].into()), Failed::from([0, 1]));
        assert_eq!(unreadable(opened), [(2, b"\x01?".to_vec())]);
    }

    #[test]
    fn what_the_bridge_quarantined_is_passed_on_as_it_is_and_only_from_a_stream() {
        let message = Quarantined::new(quarantine::UDP_BRIDGE, &"head", b"noise").under("senml-json").to_message();
        let mut aggregated = aggregate::Aggregator::default();
        aggregated.add(|| "a".to_owned(), &user_record(1));
        aggregated.add(|| "a".to_owned(), message.as_bytes());
        let record = BatchRecord::of_stream("101", At::EPOCH, aggregated.close().unwrap().data);
        let opened = open(&[record], "raw-nbiot");
        assert_eq!((opened.uplinks.len(), opened.unreadable.values[0].to_message()), (1, message.clone()));
        let opened = open(&[BatchRecord::new("1", At::EPOCH, message)], "raw-sigfox");
        assert_eq!(opened.unreadable.values[0].stage(), "raw-sigfox");
    }

    #[test]
    fn an_event_at_a_stage_that_takes_none_goes_to_quarantine_whole() {
        let event: DeviceEvent = serde_json::from_value(json!({
            "device": "sigfox:1A2345", "kind": "status", "at": "2026-11-20T12:00:00Z", "sequence": 43,
            "profile": "adeunis-pulse-v4", "says": {"battery_volts": 3.1},
        }))
        .unwrap();
        let body = envelope::of_event(&event);
        let mut opened = open(&[BatchRecord::new("1", At::EPOCH, body.as_bytes())], "pulse");
        opened.quarantine_events("pulse");
        assert!(opened.events.is_empty());
        assert_eq!(opened.unreadable.values[0].reason(), "this stage takes no device events");
        assert_eq!(unreadable(opened), [(0, body.into_bytes())]);
    }
}
