//! What an invocation brings, and the partial answer it gets. This is the one place for that rule.
//!
//! A record that failed is named in the answer and comes back; its neighbours do not. That holds only where the event
//! source mapping sets `FunctionResponseTypes: [ReportBatchItemFailures]`: without it, Lambda takes any answer for "all
//! of it is done", and what failed is lost.

use std::collections::BTreeSet;

use aws_lambda_events::event::kinesis::KinesisEvent;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use aws_lambda_events::event::streams::KinesisEventResponse;
use tokio::time::Instant;

use crate::event::DeviceEvent;
use crate::ports::{Queue, Refused};
use crate::quarantine::Quarantined;
use crate::telemetry::Counts;
use crate::uplink::Uplink;
use crate::{aggregate, envelope, record};

/// One record of an invocation, whichever service brought it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What the answer names it by: a message ID or a sequence number.
    id: String,
    /// What was sent: one envelope, or what was in an aggregated Kinesis record.
    bodies: Vec<Body>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Body {
    /// See [`envelope`].
    Envelope(Vec<u8>),
    /// See [`record`].
    UserRecord(Vec<u8>),
}

/// Positions of the records that are to come back.
pub type Failed = BTreeSet<usize>;

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Records to come back.
    pub failed: Failed,
    /// Every uplink and every unreadable piece, once.
    pub counts: Counts,
}

/// Something that was in a record.
#[derive(Debug)]
pub struct Piece<T> {
    /// Position of the record in its batch.
    pub record: usize,
    /// What was in it.
    pub piece: T,
}

/// What the envelopes of a batch held.
#[derive(Debug, Default)]
pub struct Opened {
    /// What could be read.
    pub uplinks: Vec<Piece<Uplink>>,
    /// The same of device events.
    pub events: Vec<Piece<DeviceEvent>>,
    /// What could not.
    pub unreadable: Vec<Piece<Quarantined>>,
}

/// A record without an ID. An answer with an empty name fails the whole batch for ever, so the invocation fails at once.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("record {0} of the event has no ID")]
pub struct NoId(usize);

impl Record {
    /// A record with an ID to answer by.
    pub fn new(id: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { id: id.into(), bodies: vec![Body::Envelope(body.into())] }
    }

    /// What the answer names it by.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The records of an SQS batch. Bodies stay bytes: parsing belongs into the loop, where one bad body is one bad record.
///
/// # Errors
/// [`NoId`].
pub fn from_sqs(event: SqsEvent) -> Result<Vec<Record>, NoId> {
    named(
        event
            .records
            .into_iter()
            .map(|r| (r.message_id, vec![Body::Envelope(r.body.unwrap_or_default().into_bytes())])),
    )
}

/// The records of a Kinesis batch, all of one shard, in their order. Of an aggregated record every user record is taken,
/// whatever its hash key: after a reshard, those outside the shard's range are nowhere else.
///
/// # Errors
/// [`NoId`].
pub fn from_kinesis(event: KinesisEvent) -> Result<Vec<Record>, NoId> {
    named(event.records.into_iter().map(|r| {
        let data = r.kinesis.data.0;
        let user_records = aggregate::user_records(&data).unwrap_or_else(|| vec![data]);
        (Some(r.kinesis.sequence_number), user_records.into_iter().map(Body::of_user_record).collect())
    }))
}

impl Body {
    /// An envelope does as well as a record: whoever puts something into the stream by hand writes JSON. The two cannot be
    /// mistaken for each other, since no record begins with a brace.
    fn of_user_record(data: Vec<u8>) -> Self {
        if data.starts_with(b"{") { Self::Envelope(data) } else { Self::UserRecord(data) }
    }
}

fn named(records: impl Iterator<Item = (Option<String>, Vec<Body>)>) -> Result<Vec<Record>, NoId> {
    records
        .enumerate()
        .map(|(position, (id, bodies))| match id.filter(|id| !id.is_empty()) {
            Some(id) => Ok(Record { id, bodies }),
            None => Err(NoId(position)),
        })
        .collect()
}

/// Names every failed record: SQS keeps exactly these.
pub fn sqs_response(records: &[Record], failed: &Failed) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for &position in failed {
        response.add_failure(records[position].id.clone());
    }
    response
}

/// Names the first failed record: the shard starts again there, so naming the later ones would say nothing more.
pub fn kinesis_response(records: &[Record], failed: &Failed) -> KinesisEventResponse {
    let mut response = KinesisEventResponse::default();
    if let Some(&lowest) = failed.first() {
        response.add_failure(records[lowest].id.clone());
    }
    response
}

/// Opens the envelopes of a batch; `stage` is who says so in quarantine.
pub fn open(records: &[Record], stage: &'static str) -> Opened {
    let mut opened = Opened::default();
    let bodies = records
        .iter()
        .enumerate()
        .flat_map(|(record, Record { bodies, .. })| bodies.iter().map(move |body| (record, body)));
    for (record, body) in bodies {
        let body = match body {
            Body::Envelope(body) => body,
            Body::UserRecord(data) => {
                match record::decode(data) {
                    Ok(piece) => opened.uplinks.push(Piece { record, piece }),
                    Err(e) => opened.unreadable.push(Piece { record, piece: Quarantined::new(stage, &e, data) }),
                }
                continue;
            }
        };
        match envelope::unpack(body) {
            Ok(unpacked) => {
                opened.uplinks.extend(unpacked.uplinks.into_iter().map(|piece| Piece { record, piece }));
                opened.events.extend(unpacked.events.into_iter().map(|piece| Piece { record, piece }));
                opened.unreadable.extend(unpacked.unreadable.into_iter().map(|member| {
                    let piece = Quarantined::new(stage, &member.reason, member.envelope.as_bytes());
                    Piece { record, piece }
                }));
            }
            Err(e) => opened.unreadable.push(Piece { record, piece: Quarantined::new(stage, &e, body) }),
        }
    }
    opened
}

/// Device events at a stage that has nowhere to put them: to quarantine, so that they are not lost.
pub fn misplaced(events: Vec<Piece<DeviceEvent>>, stage: &'static str) -> impl Iterator<Item = Piece<Quarantined>> {
    events.into_iter().map(move |Piece { record, piece }| {
        let envelope = envelope::of_event(&piece);
        Piece { record, piece: Quarantined::new(stage, &"this stage takes no device events", envelope.as_bytes()) }
    })
}

/// Sends what could not be read to quarantine. The answer tells positions among `pieces`.
pub async fn quarantine(queue: &impl Queue, pieces: &[Piece<Quarantined>], deadline: Instant) -> Refused {
    let messages: Vec<String> = pieces.iter().map(|piece| piece.piece.to_message()).collect();
    for piece in pieces {
        piece.piece.log();
    }
    queue.send(&messages, deadline).await
}

/// The records that the pieces at these positions were in.
pub fn records_of<T>(pieces: &[Piece<T>], positions: &Refused) -> Failed {
    positions.iter().map(|&position| pieces[position].record).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde_json::{Value, json};

    use super::*;
    use crate::quarantine::Kept;

    fn ten() -> Vec<Record> {
        (0..10).map(|n| Record::new(format!("id-{n}"), "")).collect()
    }

    #[test]
    fn sqs_is_told_exactly_the_failed_records() {
        let response = sqs_response(&ten(), &Failed::from([7, 2]));
        let ids: Vec<_> = response.batch_item_failures.into_iter().map(|f| f.item_identifier).collect();
        assert_eq!(ids, ["id-2", "id-7"]);
    }

    #[test]
    fn kinesis_is_told_the_lowest_failed_record() {
        let response = kinesis_response(&ten(), &Failed::from([7, 2]));
        let ids: Vec<_> = response.batch_item_failures.into_iter().map(|f| f.item_identifier).collect();
        assert_eq!(ids, [Some("id-2".to_owned())]);
    }

    #[test]
    fn all_well_is_an_empty_list_and_not_an_empty_name() {
        assert!(sqs_response(&ten(), &Failed::new()).batch_item_failures.is_empty());
        assert!(kinesis_response(&ten(), &Failed::new()).batch_item_failures.is_empty());
    }

    #[test]
    fn a_record_that_cannot_be_named_fails_the_invocation() {
        let event: SqsEvent = serde_json::from_str(r#"{"Records":[{"messageId":"","body":"x"}]}"#).unwrap();
        assert_eq!(from_sqs(event), Err(NoId(0)));
    }

    /// Records of a shard, by number.
    fn kinesis(records: &[(&str, &[u8])]) -> KinesisEvent {
        let record = |(number, data): &(&str, &[u8])| {
            json!({
                "awsRegion": "eu-west-1", "eventID": "shardId-0:1", "eventName": "aws:kinesis:record", "eventVersion": "1.0",
                "eventSource": "aws:kinesis", "eventSourceARN": "arn", "invokeIdentityArn": "arn",
                "kinesis": {
                    "kinesisSchemaVersion": "1.0", "partitionKey": "key", "sequenceNumber": number,
                    "data": BASE64_STANDARD.encode(data), "approximateArrivalTimestamp": 1_795_176_000.5,
                },
            })
        };
        let records: Vec<Value> = records.iter().map(record).collect();
        serde_json::from_value(json!({"Records": records})).unwrap()
    }

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

    fn kept(quarantined: &Quarantined) -> Kept {
        Kept::from_message(&quarantined.to_message()).unwrap()
    }

    #[test]
    fn every_user_record_of_a_shard_is_read_in_its_order_and_known_by_its_record() {
        let mut aggregated = aggregate::Aggregator::default();
        aggregated.add(|| "a".to_owned(), &user_record(1));
        aggregated.add(|| "b".to_owned(), &user_record(2));
        let aggregated = aggregated.close().unwrap().data;
        let envelope = envelope::of_one(&uplink(3)).into_bytes();
        let alone = user_record(4);
        let event = kinesis(&[("101", &aggregated), ("102", &envelope), ("103", b"\x01?"), ("104", &alone)]);

        let records = from_kinesis(event).unwrap();
        assert_eq!(records.iter().map(Record::id).collect::<Vec<_>>(), ["101", "102", "103", "104"]);
        let opened = open(&records, "raw-nbiot");
        let read: Vec<_> = opened.uplinks.iter().map(|piece| (piece.record, piece.piece.sequence)).collect();
        assert_eq!(read, [(0, Some(1)), (0, Some(2)), (1, Some(3)), (3, Some(4))]);
        let unreadable: Vec<_> =
            opened.unreadable.iter().map(|piece| (piece.record, kept(&piece.piece).record().unwrap())).collect();
        assert_eq!(unreadable, [(2, b"\x01?".to_vec())]);
        assert_eq!(records_of(&opened.uplinks, &[1, 2].into()), Failed::from([0, 1]));
        let response = kinesis_response(&records, &Failed::from([1, 3]));
        assert_eq!(response.batch_item_failures[0].item_identifier.as_deref(), Some("102"));
    }

    #[test]
    fn a_record_of_a_shard_without_a_number_fails_the_invocation() {
        assert_eq!(from_kinesis(kinesis(&[("101", b"{}"), ("", b"{}")])), Err(NoId(1)));
    }

    #[test]
    fn an_event_at_a_stage_that_takes_none_goes_to_quarantine_whole() {
        let event: DeviceEvent = serde_json::from_value(json!({
            "device": "sigfox:1A2345", "kind": "status", "at": "2026-11-20T12:00:00Z", "sequence": 43,
            "profile": "adeunis-pulse-v4", "says": {"battery_volts": 3.1},
        }))
        .unwrap();
        let body = envelope::of_event(&event);
        let opened = open(&[Record::new("1", ""), Record::new("2", body.as_bytes())], "pulse");
        let misplaced: Vec<_> = misplaced(opened.events, "pulse").collect();
        let told: Vec<_> = misplaced.iter().map(|piece| (piece.record, kept(&piece.piece).record().unwrap())).collect();
        assert_eq!(told, [(1, body.into_bytes())]);
        assert_eq!(misplaced[0].piece.reason(), "this stage takes no device events");
    }
}
