//! [`Queue`] on SQS.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{BatchResultErrorEntry, SendMessageBatchRequestEntry};
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use super::resend::{Undone, all_undone, until_accepted};
use crate::ports::{Queue, Refused};

/// What SQS takes in one request. Ten of our messages, 64 KiB each, are well under its 1 MiB.
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>)
const MAX_BATCH: usize = 10;

/// Requests in flight at once.
const CONCURRENCY: usize = 4;

/// An SQS standard queue.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// What the template has to grant on the queue.
    pub const ACTIONS: &[&str] = &["sqs:SendMessage"];

    /// The queue with this URL.
    pub fn new(config: &aws_config::SdkConfig, url: impl Into<String>) -> Self {
        Self { client: Client::new(config), url: url.into() }
    }

    async fn request(&self, bodies: &[String], pending: Vec<usize>) -> Undone {
        let entries = pending.iter().map(|&position| entry(position, &bodies[position])).collect();
        match self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await {
            Ok(answer) => undone(answer.failed(), &pending),
            Err(e) => all_undone(pending, &e),
        }
    }
}

impl Queue for SqsQueue {
    async fn send(&self, bodies: &[String], deadline: Instant) -> Refused {
        let positions: Vec<usize> = (0..bodies.len()).collect();
        let batches: Vec<Vec<usize>> = positions.chunks(MAX_BATCH).map(<[_]>::to_vec).collect();
        stream::iter(batches)
            .map(|batch| until_accepted(batch, deadline, |pending| self.request(bodies, pending)))
            .buffer_unordered(CONCURRENCY)
            .concat()
            .await
    }
}

#[expect(clippy::expect_used, reason = "both required fields are set right here")]
fn entry(position: usize, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(position.to_string()).message_body(body).build().expect("ID and body")
}

/// Entries are named by their positions. One with a name that was never given would mean that the answer cannot be
/// trusted, so everything is sent again.
fn undone(failed: &[BatchResultErrorEntry], pending: &[usize]) -> Undone {
    let mut undone = Undone::default();
    for entry in failed {
        tracing::warn!(code = entry.code(), message = entry.message(), "message refused");
        match entry.id().parse() {
            Ok(position) if pending.contains(&position) && entry.sender_fault() => undone.never.push(position),
            Ok(position) if pending.contains(&position) => undone.again.push(position),
            _ => return Undone { again: pending.to_vec(), never: vec![] },
        }
    }
    undone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(id: &str, sender_fault: bool) -> BatchResultErrorEntry {
        BatchResultErrorEntry::builder().id(id).sender_fault(sender_fault).code("InternalError").build().unwrap()
    }

    #[test]
    fn the_senders_own_fault_is_final_and_any_other_is_not() {
        let answer = [failed("4", false), failed("7", true)];
        assert_eq!(undone(&answer, &[4, 5, 7]), Undone { again: vec![4], never: vec![7] });
        assert_eq!(undone(&[], &[4, 5, 7]), Undone::default());
    }

    #[test]
    fn an_answer_about_messages_that_were_never_sent_is_not_believed() {
        assert_eq!(undone(&[failed("9", false)], &[4, 5]), Undone { again: vec![4, 5], never: vec![] });
    }
}
