//! An event source mapping on a queue: batches, invocations at once, and partial answers.

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

/// What the template says of a mapping on a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSettings {
    /// `BatchSize`.
    pub batch: usize,
    /// `MaximumBatchingWindowInSeconds`.
    pub window: Duration,
    /// `MaximumConcurrency`.
    pub concurrency: usize,
}

/// How many pollers Lambda begins with.
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>)
const POLLERS: usize = 5;

/// Hands what comes into the queue to the function, for ever. `invoke` says how the function answered, if it did.
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
        // SQS gives fewer than there are, whenever it likes.
        let most = if world.faults.stormy() { world.draw(|rng| rng.usize(1..=settings.batch)) } else { settings.batch };
        let messages = queue.receive(most);
        if messages.is_empty() {
            continue;
        }
        let (queue, invoke) = (queue.clone(), invoke.clone());
        world.spawn(async move {
            let answer = invoke(event(&messages)).await;
            queue.out_of_hand(&messages);
            settle(&queue, &messages, answer);
            drop(place);
        });
    }
}

/// How much of its window a poller has left: each began it at a moment of its own.
fn window(world: &World, settings: QueueSettings) -> Duration {
    if !world.faults.stormy() {
        return settings.window;
    }
    settings.window.mul_f64(world.draw(fastrand::Rng::f64))
}

/// What an invocation is given.
pub fn event(messages: &[Received]) -> SqsEvent {
    let mut event = SqsEvent::default();
    for message in messages {
        let mut record = SqsMessage::default();
        record.message_id = Some(message.id.to_string());
        record.body = Some(message.body.to_string());
        event.records.push(record);
    }
    event
}

/// Deletes what the answer does not name. If there is none, or it names what was not in the batch, nothing is done.
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
