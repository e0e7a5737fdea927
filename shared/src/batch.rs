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
    use super::*;

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
}
