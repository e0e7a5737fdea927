//! [`Queue`] on SQS.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{BatchResultErrorEntry, SendMessageBatchRequestEntry, SendMessageBatchResultEntry};
use futures_util::{StreamExt as _, stream};
use pulsegate_pipeline::ports::{Queue, Refused};
use tokio::time::Instant;

use crate::resend::{Undone, all_undone, cut, until_accepted};

/// Limits of one SQS request: the number of messages, and their bytes.
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>)
pub(crate) const MAX_BATCH: usize = 10;
const MAX_BYTES: usize = 1024 * 1024;

/// Concurrent requests.
pub(crate) const CONCURRENCY: usize = 4;

/// An SQS standard queue.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// The actions that the template must grant on the queue.
    pub const ACTIONS: &[&str] = &["sqs:SendMessage"];

    /// Sends to the queue with this URL.
    pub fn new(config: &aws_config::SdkConfig, url: impl Into<String>) -> Self {
        Self { client: Client::new(config), url: url.into() }
    }

    async fn request(&self, bodies: &[String], pending: Vec<usize>) -> Undone {
        let entries = pending.iter().map(|&position| entry(position, &bodies[position])).collect();
        match self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await {
            Ok(answer) => {
                undone(answer.successful().iter().map(SendMessageBatchResultEntry::id), answer.failed(), &pending)
            }
            Err(e) => all_undone(pending, &e),
        }
    }
}

impl Queue for SqsQueue {
    async fn send(&self, bodies: &[String], deadline: Instant) -> Refused {
        send_all(bodies, deadline, |pending| self.request(bodies, pending)).await
    }
}

/// Sends every message, in requests as large as SQS allows. `request` sends the messages at these positions.
pub async fn send_all<F>(bodies: &[String], deadline: Instant, request: impl Fn(Vec<usize>) -> F) -> Refused
where
    F: Future<Output = Undone>,
{
    stream::iter(cut(bodies.iter().map(String::len), MAX_BATCH, MAX_BYTES))
        .map(|batch| until_accepted(batch, deadline, &request))
        .buffer_unordered(CONCURRENCY)
        .concat()
        .await
}

#[expect(clippy::expect_used, reason = "both required fields are set right here")]
fn entry(position: usize, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(position.to_string()).message_body(body).build().expect("ID and body")
}

/// Treats only the entries that the response lists as successful as done. Entries are named by their positions.
pub(crate) fn undone<'a>(
    successful: impl Iterator<Item = &'a str>,
    failed: &[BatchResultErrorEntry],
    pending: &[usize],
) -> Undone {
    let position = |id: &str| id.parse().ok().filter(|position| pending.contains(position));
    for entry in failed {
        tracing::warn!(code = entry.code(), message = entry.message(), "message refused");
    }
    let sent: Vec<usize> = successful.filter_map(position).collect();
    let never: Vec<usize> =
        failed.iter().filter(|entry| entry.sender_fault()).filter_map(|entry| position(entry.id())).collect();
    let again = pending.iter().copied().filter(|position| !sent.contains(position) && !never.contains(position));
    Undone { again: again.collect(), never, ..Undone::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(id: &str, sender_fault: bool) -> BatchResultErrorEntry {
        BatchResultErrorEntry::builder().id(id).sender_fault(sender_fault).code("InternalError").build().unwrap()
    }

    #[test]
    fn the_senders_own_fault_is_final_and_any_other_is_not() {
        let undone = undone(["5"].into_iter(), &[failed("4", false), failed("7", true)], &[4, 5, 7]);
        assert_eq!(undone, Undone { again: vec![4], never: vec![7], ..Undone::default() });
    }

    #[test]
    fn what_the_answer_does_not_name_is_not_durable() {
        assert_eq!(undone(["4"].into_iter(), &[], &[4, 5]).again, [5]);
        assert_eq!(undone(["9"].into_iter(), &[failed("x", true)], &[4, 5]).again, [4, 5]);
    }
}
