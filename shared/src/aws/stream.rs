//! [`Stream`] on Kinesis.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};
use tokio::time::Instant;

use super::resend::{Undone, all_undone, cut, until_accepted};
use crate::ports::{Refused, Stream, StreamRecord};

/// What Kinesis takes in one `PutRecords`: this many records, and this many bytes with their keys.
/// (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>; the limit was 5 MiB until 2025 and
/// still is in some emulators, and a request of that size is filled by 500 records of 10 KB, far more than ours.)
const MAX_RECORDS: usize = 500;
const MAX_BYTES: usize = 5 * 1024 * 1024;

/// A Kinesis data stream.
#[derive(Debug, Clone)]
pub struct KinesisStream {
    client: Client,
    name: String,
}

impl KinesisStream {
    /// What has to be granted on the stream.
    pub const ACTIONS: &[&str] = &["kinesis:PutRecords"];

    /// The stream of this name.
    pub fn new(config: &aws_config::SdkConfig, name: impl Into<String>) -> Self {
        Self { client: Client::new(config), name: name.into() }
    }

    async fn request(&self, records: &[StreamRecord], pending: Vec<usize>) -> Undone {
        let entries = pending.iter().map(|&position| entry(&records[position])).collect();
        match self.client.put_records().stream_name(&self.name).set_records(Some(entries)).send().await {
            Ok(answer) => undone(answer.records(), &pending),
            Err(e) => all_undone(pending, &e),
        }
    }
}

impl Stream for KinesisStream {
    async fn put(&self, records: &[StreamRecord], deadline: Instant) -> Refused {
        let mut refused = Refused::new();
        let sizes = records.iter().map(|record| record.partition_key.len() + record.data.len());
        for request in cut(sizes, MAX_RECORDS, MAX_BYTES) {
            refused.extend(until_accepted(request, deadline, |pending| self.request(records, pending)).await);
        }
        refused
    }
}

#[expect(clippy::expect_used, reason = "both required fields are set right here")]
fn entry(record: &StreamRecord) -> PutRecordsRequestEntry {
    PutRecordsRequestEntry::builder()
        .partition_key(&record.partition_key)
        .data(Blob::new(record.data.as_slice()))
        .build()
        .expect("key and data")
}

/// The answer has an entry for every record, in their order. Any other number of them cannot be trusted, so everything
/// is sent again.
fn undone(entries: &[PutRecordsResultEntry], pending: &[usize]) -> Undone {
    if entries.len() != pending.len() {
        return Undone { again: pending.to_vec(), ..Undone::default() };
    }
    let refused = |(&position, entry): (&usize, &PutRecordsResultEntry)| entry.error_code().map(|_| position);
    Undone { again: pending.iter().zip(entries).filter_map(refused).collect(), ..Undone::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted() -> PutRecordsResultEntry {
        PutRecordsResultEntry::builder().sequence_number("1").shard_id("shardId-000000000000").build()
    }

    fn throttled() -> PutRecordsResultEntry {
        PutRecordsResultEntry::builder().error_code("ProvisionedThroughputExceededException").build()
    }

    #[test]
    fn exactly_the_refused_records_are_sent_again() {
        assert_eq!(undone(&[accepted(), throttled(), accepted()], &[3, 5, 8]).again, [5]);
    }

    #[test]
    fn an_answer_of_another_length_is_not_believed() {
        assert_eq!(undone(&[accepted()], &[3, 5]).again, [3, 5]);
    }
}
