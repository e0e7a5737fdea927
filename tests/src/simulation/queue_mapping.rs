//! A model of an event source mapping on a queue: batches, concurrent invocations, partial answers.

use std::collections::BTreeSet;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::queue::{QueueModel, Received};
use super::world::World;

/// Settings of a mapping on a queue, from the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSettings {
    /// `BatchSize`.
    pub batch: usize,
    /// `MaximumBatchingWindowInSeconds`.
    pub window: Duration,
    /// `MaximumConcurrency`.
    pub concurrency: usize,
}

/// Number of pollers that Lambda starts with.
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>)
const POLLERS: usize = 5;

/// Passes the queue's messages to the function, for ever. `invoke` returns the function's answer, if there is one.
pub async fn run<F>(
    world: Arc<World>,
    queue: QueueModel,
    settings: QueueSettings,
    invoke: impl Fn(SqsEvent) -> F + Clone + 'static,
) where
    F: Future<Output = Option<SqsBatchResponse>>,
{
    let places = Arc::new(Semaphore::new(settings.concurrency));
    let poller = || poll(Arc::clone(&world), queue.clone(), settings, Arc::clone(&places), invoke.clone());
    join_all(iter::repeat_with(poller).take(POLLERS)).await;
}

async fn poll<F>(
    world: Arc<World>,
    queue: QueueModel,
    settings: QueueSettings,
    places: Arc<Semaphore>,
    invoke: impl Fn(SqsEvent) -> F + Clone + 'static,
) where
    F: Future<Output = Option<SqsBatchResponse>>,
{
    loop {
        queue.visible().await;
        if queue.waiting() < settings.batch {
            sleep(window(&world, settings)).await;
        }
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        // SQS may return fewer messages than it has.
        let most = if world.faults.stormy() { world.draw(|rng| rng.usize(1..=settings.batch)) } else { settings.batch };
        let messages = queue.receive(most);
        if messages.is_empty() {
            continue;
        }
        let (queue, invoke, event) = (queue.clone(), invoke.clone(), event(&world, &messages));
        world.spawn(async move {
            let answer = invoke(event).await;
            queue.release(&messages);
            settle(&queue, &messages, answer);
            drop(place);
        });
    }
}

/// Returns the rest of a poller's batching window: each poller's window began at another time.
fn window(world: &World, settings: QueueSettings) -> Duration {
    if !world.faults.stormy() {
        return settings.window;
    }
    settings.window.mul_f64(world.draw(fastrand::Rng::f64))
}

/// Builds the event of an invocation.
pub fn event(world: &World, messages: &[Received]) -> SqsEvent {
    let mut event = SqsEvent::default();
    for message in messages {
        let mut record = SqsMessage::default();
        record.message_id = Some(message.id.to_string());
        record.body = Some(message.body.to_string());
        let sent = world.time_of(message.sent).as_millis().to_string();
        record.attributes.insert("SentTimestamp".to_owned(), sent);
        event.records.push(record);
    }
    event
}

/// Deletes the messages that the answer does not name. Deletes none if there is no answer, or if it names an unknown
/// message.
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>)
pub fn settle(queue: &QueueModel, messages: &[Received], answer: Option<SqsBatchResponse>) {
    let Some(answer) = answer else { return };
    let failed: BTreeSet<&str> = answer.batch_item_failures.iter().map(|f| f.item_identifier.as_str()).collect();
    let ids: Vec<String> = messages.iter().map(|message| message.id.to_string()).collect();
    if failed.iter().any(|failed| !ids.iter().any(|id| id == failed)) {
        return;
    }
    queue.settled(messages.len(), failed.len());
    for (message, _) in messages.iter().zip(&ids).filter(|(_, id)| !failed.contains(id.as_str())) {
        queue.delete(message);
    }
}
