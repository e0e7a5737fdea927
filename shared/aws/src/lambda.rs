//! Converts Lambda events to records, and failed records to the partial batch response.
//!
//! The response names the failed records, and only these are delivered again. The event source mapping must set
//! `FunctionResponseTypes: [ReportBatchItemFailures]`: without it, Lambda treats any response as success, and the
//! failed records are lost.
//!
//! A record's arrival is the time that the service states, which stays the same when the record is delivered again. An
//! event written by hand may lack it; then the record counts as arriving now, by the host's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lambda_events::event::kinesis::{KinesisEvent, KinesisRecord};
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use aws_lambda_events::event::streams::KinesisEventResponse;
use pulsegate_model::at::At;
use pulsegate_pipeline::batch::{BatchRecord, Failed};

/// A record has no ID. A response with an empty name would fail the whole batch for ever, so the invocation fails at
/// once.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("record {0} of the event has no ID")]
pub struct MissingId(usize);

/// Returns the records of an SQS batch. Bodies stay unparsed here, so that a bad body fails only its own record later.
///
/// # Errors
/// [`MissingId`].
pub fn from_sqs(event: SqsEvent) -> Result<Vec<BatchRecord>, MissingId> {
    let records = event.records.into_iter().enumerate();
    let record = |(position, message): (usize, SqsMessage)| {
        let arrived = sent(&message).unwrap_or_else(now);
        let id = message.message_id.filter(|id| !id.is_empty()).ok_or(MissingId(position))?;
        Ok(BatchRecord::new(id, arrived, message.body.unwrap_or_default()))
    };
    records.map(record).collect()
}

/// Returns the records of a Kinesis batch, all from one shard, in order.
///
/// # Errors
/// [`MissingId`].
pub fn from_kinesis(event: KinesisEvent) -> Result<Vec<BatchRecord>, MissingId> {
    let records = event.records.into_iter().map(|record| record.kinesis).enumerate();
    let record = |(position, record): (usize, KinesisRecord)| {
        let arrived = put(&record).unwrap_or_else(now);
        let number = Some(record.sequence_number).filter(|number| !number.is_empty()).ok_or(MissingId(position))?;
        Ok(BatchRecord::of_stream(number, arrived, record.data.0))
    };
    records.map(record).collect()
}

/// Returns when the queue received the message. `None` if the event does not state it.
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>)
fn sent(message: &SqsMessage) -> Option<At> {
    let millis: i64 = message.attributes.get("SentTimestamp")?.parse().ok()?;
    stated(millis / 1_000)
}

/// Returns when the stream received the record. `None` if the event does not state it.
/// (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_Record.html>)
fn put(record: &KinesisRecord) -> Option<At> {
    stated(record.approximate_arrival_timestamp.timestamp())
}

/// Takes zero as absent: it is the default of an event that is not parsed but built.
fn stated(seconds: i64) -> Option<At> {
    At::from_unix(seconds).ok().filter(|&at| at != At::EPOCH)
}

fn now() -> At {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    At::from_unix(since_1970.as_secs().cast_signed()).unwrap_or(At::EPOCH)
}

/// Names every failed record: SQS delivers exactly these again.
pub fn sqs_response(records: &[BatchRecord], failed: &Failed) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for &position in failed {
        response.add_failure(records[position].id().to_owned());
    }
    response
}

/// Names the first failed record: the shard restarts there, so later ones need not be named.
pub fn kinesis_response(records: &[BatchRecord], failed: &Failed) -> KinesisEventResponse {
    let mut response = KinesisEventResponse::default();
    if let Some(&lowest) = failed.first() {
        response.add_failure(records[lowest].id().to_owned());
    }
    response
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::encodings::SecondTimestamp;
    use pulsegate_pipeline::batch;
    use serde_json::{Value, json};

    use super::*;

    fn ten() -> Vec<BatchRecord> {
        (0..10).map(|n| BatchRecord::new(format!("id-{n}"), At::EPOCH, "")).collect()
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
        assert_eq!(from_sqs(event), Err(MissingId(0)));
    }

    /// The arrival of a message with this value of `SentTimestamp`.
    fn arrived(sent: &str) -> At {
        let event = json!({"Records": [{"messageId": "1", "body": "", "attributes": {"SentTimestamp": sent}}]});
        from_sqs(serde_json::from_value(event).unwrap()).unwrap()[0].arrived()
    }

    #[test]
    fn a_message_arrived_when_the_queue_received_it() {
        assert_eq!(arrived("1795176004999").to_string(), "2026-11-20T12:00:04Z");
        assert_eq!(arrived("1795176005000").to_string(), "2026-11-20T12:00:05Z");
    }

    #[test]
    fn a_record_arrived_when_the_stream_received_it() {
        let arrived: Vec<_> =
            from_kinesis(kinesis(&["101", "102"])).unwrap().iter().map(BatchRecord::arrived).collect();
        assert_eq!(arrived, ["2026-11-20T12:00:00Z"; 2].map(|at| at.parse().unwrap()));
    }

    #[test]
    fn a_record_whose_arrival_is_unknown_arrives_now() {
        let before = now();
        let event: SqsEvent = serde_json::from_str(r#"{"Records":[{"messageId":"1","body":"x"}]}"#).unwrap();
        let mut arrived = vec![from_sqs(event).unwrap()[0].arrived()];
        arrived.extend(["", "yesterday", "0", "-1", "9223372036854775807"].map(self::arrived));
        let mut event = kinesis(&["101"]);
        event.records[0].kinesis.approximate_arrival_timestamp = SecondTimestamp::default();
        arrived.push(from_kinesis(event).unwrap()[0].arrived());
        assert!(arrived.into_iter().all(|arrived| (before..=now()).contains(&arrived)));
    }

    /// Records of a shard, by number, each with the data `?` in base64.
    fn kinesis(numbers: &[&str]) -> KinesisEvent {
        let record = |number: &&str| {
            json!({
                "awsRegion": "eu-west-1", "eventID": "shardId-0:1", "eventName": "aws:kinesis:record", "eventVersion": "1.0",
                "eventSource": "aws:kinesis", "eventSourceARN": "arn", "invokeIdentityArn": "arn",
                "kinesis": {
                    "kinesisSchemaVersion": "1.0", "partitionKey": "key", "sequenceNumber": number,
                    "data": "Pw==", "approximateArrivalTimestamp": 1_795_176_000.5,
                },
            })
        };
        let records: Vec<Value> = numbers.iter().map(record).collect();
        serde_json::from_value(json!({"Records": records})).unwrap()
    }

    #[test]
    fn records_of_a_shard_are_named_by_their_numbers() {
        let records = from_kinesis(kinesis(&["101", "102", "103", "104"])).unwrap();
        assert_eq!(records.iter().map(BatchRecord::id).collect::<Vec<_>>(), ["101", "102", "103", "104"]);
        assert_eq!(batch::open(&records, "raw-nbiot").unreadable.len(), 4);
        let response = kinesis_response(&records, &Failed::from([1, 3]));
        assert_eq!(response.batch_item_failures[0].item_identifier.as_deref(), Some("102"));
    }

    #[test]
    fn a_record_of_a_shard_without_a_number_fails_the_invocation() {
        assert_eq!(from_kinesis(kinesis(&["101", ""])), Err(MissingId(1)));
    }
}
