//! [`Stream`] on Kinesis.

use std::fmt::Display;
use std::sync::Arc;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};
use pulsegate_model::aggregate::StreamRecord;
use pulsegate_pipeline::ports::{MAX_STREAM_BYTES, MAX_STREAM_RECORDS, Refused, Stream};
use pulsegate_pipeline::telemetry::LogThrottle;
use tokio::time::{Instant, timeout_at};

use crate::cause::cause;
use crate::resend::cut;

/// A Kinesis data stream.
#[derive(Debug, Clone)]
pub struct KinesisStream {
    client: Client,
    name: String,
    failures: Arc<LogThrottle>,
}

impl KinesisStream {
    /// The actions to grant on the stream.
    pub const ACTIONS: &[&str] = &["kinesis:PutRecords"];

    /// Writes to the stream with this name.
    pub fn new(config: &aws_config::SdkConfig, name: impl Into<String>) -> Self {
        Self { client: Client::new(config), name: name.into(), failures: Arc::default() }
    }

    async fn request(&self, records: &[&StreamRecord], positions: &[usize]) -> Vec<usize> {
        let entries = positions.iter().map(|&position| entry(records[position])).collect();
        match self.client.put_records().stream_name(&self.name).set_records(Some(entries)).send().await {
            Ok(answer) => {
                if let Some(entry) = answer.records().iter().find(|entry| entry.error_code().is_some()) {
                    self.log(&format_args!("{:?}: {:?}", entry.error_code(), entry.error_message()));
                }
                refused(answer.records(), positions)
            }
            Err(e) => {
                self.log(&cause(&e));
                positions.to_vec()
            }
        }
    }

    /// Logs at most one line per minute: a throttling stream refuses records many times a second.
    fn log(&self, error: &dyn Display) {
        if let Some(suppressed) = self.failures.due() {
            tracing::warn!(stream = self.name, suppressed, %error, "stream rejected records");
        }
    }
}

impl Stream for KinesisStream {
    async fn put(&self, records: &[&StreamRecord], deadline: Instant) -> Refused {
        let mut refused = Refused::new();
        let sizes = records.iter().map(|record| record.partition_key.len() + record.data.len());
        for positions in cut(sizes, MAX_STREAM_RECORDS, MAX_STREAM_BYTES) {
            let answered = timeout_at(deadline, self.request(records, &positions)).await;
            refused.extend(answered.unwrap_or(positions));
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

/// Returns the positions of refused records. The response has an entry for every record, in order, with a sequence
/// number if the record was accepted. Any other response cannot be trusted: a record not known to be accepted is
/// refused.
fn refused(entries: &[PutRecordsResultEntry], positions: &[usize]) -> Vec<usize> {
    if entries.len() != positions.len() {
        return positions.to_vec();
    }
    let accepted = |entry: &PutRecordsResultEntry| entry.error_code().is_none() && entry.sequence_number().is_some();
    positions.iter().zip(entries).filter(|(_, entry)| !accepted(entry)).map(|(&position, _)| position).collect()
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
    fn exactly_the_refused_records_are_told() {
        assert_eq!(refused(&[accepted(), throttled(), accepted()], &[3, 5, 8]), [5]);
    }

    #[test]
    fn an_answer_of_another_length_is_not_believed() {
        assert_eq!(refused(&[accepted()], &[3, 5]), [3, 5]);
        assert_eq!(refused(&[accepted(), PutRecordsResultEntry::builder().build()], &[3, 5]), [5]);
    }
}
