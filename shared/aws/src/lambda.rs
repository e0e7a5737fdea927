//! Converts Lambda events to records, and failed records to the partial batch response.
//!
//! The response names the failed records, and only these are delivered again. The event source mapping must set
//! `FunctionResponseTypes: [ReportBatchItemFailures]`: without it, Lambda treats any response as success, and the
//! failed records are lost.

use aws_lambda_events::event::kinesis::KinesisEvent;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use aws_lambda_events::event::streams::KinesisEventResponse;
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
    let record = |(position, message): (usize, aws_lambda_events::event::sqs::SqsMessage)| {
        let id = message.message_id.filter(|id| !id.is_empty()).ok_or(MissingId(position))?;
        Ok(BatchRecord::new(id, message.body.unwrap_or_default()))
    };
    records.map(record).collect()
}

/// Returns the records of a Kinesis batch, all from one shard, in order.
///
/// # Errors
/// [`MissingId`].
pub fn from_kinesis(event: KinesisEvent) -> Result<Vec<BatchRecord>, MissingId> {
    let records = event.records.into_iter().map(|record| record.kinesis).enumerate();
    let record = |(position, record): (usize, aws_lambda_events::event::kinesis::KinesisRecord)| {
        let number = Some(record.sequence_number).filter(|number| !number.is_empty()).ok_or(MissingId(position))?;
        Ok(BatchRecord::of_stream(number, record.data.0))
    };
    records.map(record).collect()
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
    use pulsegate_pipeline::batch;
    use serde_json::{Value, json};

    use super::*;

    fn ten() -> Vec<BatchRecord> {
        (0..10).map(|n| BatchRecord::new(format!("id-{n}"), "")).collect()
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
