//! [`ReceiveQueue`] on SQS.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, ChangeMessageVisibilityBatchResultEntry, DeleteMessageBatchRequestEntry,
    DeleteMessageBatchResultEntry, Message, MessageSystemAttributeName, QueueAttributeName,
};
use futures_util::{StreamExt as _, stream};
use pulsegate_pipeline::ports::{Depth, MAX_RECEIVED, ReadError, ReceiveQueue, Received, Refused, Waiting};
use tokio::time::Instant;

use crate::queue::{CONCURRENCY, MAX_BATCH, undone};
use crate::resend::{Undone, all_undone, cut, until_accepted, until_answered};

/// Wait time in seconds. Above zero, SQS queries all of its servers, not a subset, so an empty response is meaningful.
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>)
const WAIT: i32 = 1;

/// An SQS standard queue to receive messages from.
#[derive(Debug, Clone)]
pub struct SqsReceiver {
    client: Client,
    url: String,
}

impl SqsReceiver {
    /// The actions to grant on the queue.
    pub const ACTIONS: &[&str] = &["sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage"];

    /// The actions to grant on the queue if only its depth is read.
    pub const DEPTH_ACTIONS: &[&str] = &["sqs:GetQueueAttributes"];

    /// Receives from the queue with this URL.
    pub fn new(config: &aws_config::SdkConfig, url: impl Into<String>) -> Self {
        Self { client: Client::new(config), url: url.into() }
    }

    async fn some(&self, hold: Duration, deadline: Instant) -> Result<Vec<Received>, ReadError> {
        let answer = until_answered(deadline, || {
            let request = self.client.receive_message().queue_url(&self.url).wait_time_seconds(WAIT);
            request
                .max_number_of_messages(i32::try_from(MAX_BATCH).unwrap_or(i32::MAX))
                .visibility_timeout(i32::try_from(hold.as_secs()).unwrap_or(i32::MAX))
                .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
                .send()
        });
        let answer = answer.await.map_err(|source| ReadError { what: self.url.clone(), source })?;
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(received).collect())
    }

    async fn request_give_back(&self, handles: &[String], pending: Vec<usize>) -> Undone {
        let entry = |&position: &usize| {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(position.to_string());
            entry.receipt_handle(&handles[position]).visibility_timeout(0).build()
        };
        let Ok(entries) = pending.iter().map(entry).collect::<Result<_, BuildError>>() else { return never(pending) };
        match self.client.change_message_visibility_batch().queue_url(&self.url).set_entries(Some(entries)).send().await
        {
            Ok(answer) => undone(
                answer.successful().iter().map(ChangeMessageVisibilityBatchResultEntry::id),
                answer.failed(),
                &pending,
            ),
            Err(e) => all_undone(pending, &e),
        }
    }

    async fn request_delete(&self, handles: &[String], pending: Vec<usize>) -> Undone {
        let entry = |&position: &usize| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(position.to_string());
            entry.receipt_handle(&handles[position]).build()
        };
        let Ok(entries) = pending.iter().map(entry).collect::<Result<_, BuildError>>() else { return never(pending) };
        match self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await {
            Ok(answer) => {
                undone(answer.successful().iter().map(DeleteMessageBatchResultEntry::id), answer.failed(), &pending)
            }
            Err(e) => all_undone(pending, &e),
        }
    }
}

impl ReceiveQueue for SqsReceiver {
    async fn receive(&self, hold: Duration, deadline: Instant) -> Result<Vec<Received>, ReadError> {
        let requests = stream::iter(0..MAX_RECEIVED / MAX_BATCH).map(|_| self.some(hold, deadline));
        let answers: Vec<_> = requests.buffer_unordered(MAX_RECEIVED / MAX_BATCH).collect().await;
        let mut messages = Vec::new();
        let mut error = None;
        for answer in answers {
            match answer {
                Ok(some) => messages.extend(some),
                Err(e) => error = Some(e),
            }
        }
        // Received messages are held and must be handled; a persistent error will occur again at the next receive.
        error.filter(|_| messages.is_empty()).map_or(Ok(messages), Err)
    }

    async fn give_back(&self, handles: &[String], deadline: Instant) -> Refused {
        stream::iter(cut(handles.iter().map(String::len), MAX_BATCH, usize::MAX))
            .map(|batch| until_accepted(batch, deadline, |pending| self.request_give_back(handles, pending)))
            .buffer_unordered(CONCURRENCY)
            .concat()
            .await
    }

    async fn delete(&self, handles: &[String], deadline: Instant) -> Refused {
        stream::iter(cut(handles.iter().map(String::len), MAX_BATCH, usize::MAX))
            .map(|batch| until_accepted(batch, deadline, |pending| self.request_delete(handles, pending)))
            .buffer_unordered(CONCURRENCY)
            .concat()
            .await
    }
}

impl Depth for SqsReceiver {
    async fn depth(&self, deadline: Instant) -> Result<Waiting, ReadError> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages as Visible, ApproximateNumberOfMessagesDelayed as Delayed,
            ApproximateNumberOfMessagesNotVisible as InFlight,
        };
        let asked = [Visible, InFlight, Delayed];
        let answer = until_answered(deadline, || {
            let request = self.client.get_queue_attributes().queue_url(&self.url);
            request.set_attribute_names(Some(asked.to_vec())).send()
        });
        let unread = |source| ReadError { what: self.url.clone(), source };
        let counts = answer.await.map_err(unread)?.attributes.unwrap_or_default();
        // A missing count is an error: it does not mean zero.
        let count = |name: &QueueAttributeName| {
            let number = counts.get(name).and_then(|number| number.parse().ok());
            number.ok_or_else(|| unread(format!("the answer has no {name}").into()))
        };
        Ok(Waiting { visible: count(&asked[0])?, in_flight: count(&asked[1])?, delayed: count(&asked[2])? })
    }
}

fn never(pending: Vec<usize>) -> Undone {
    Undone { never: pending, ..Undone::default() }
}

/// Returns `None` for a message without ID, handle or time: it cannot be handled and returns to the queue by itself.
fn received(message: Message) -> Option<Received> {
    let sent = message.attributes.as_ref()?.get(&MessageSystemAttributeName::SentTimestamp)?.parse().ok()?;
    Some(Received { id: message.message_id?, handle: message.receipt_handle?, sent, body: message.body? })
}
