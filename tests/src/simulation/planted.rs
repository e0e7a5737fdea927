//! Bugs planted on purpose, to check that the simulation finds them. They are in the harness, never in the product.

use std::sync::Arc;

use aws_lambda_events::event::kinesis::KinesisEvent;
use aws_lambda_events::event::streams::KinesisEventResponse;
use pulsegate_aws::items::Item;
use pulsegate_aws::lambda::MissingId;
use pulsegate_aws::resend::Undone;
use pulsegate_aws::{Table, put_all, send_all};
use pulsegate_model::at::At;
use pulsegate_pipeline::batch::Failed;
use pulsegate_pipeline::ports::{EventStore, Queue, RawStore, Refused};
use pulsegate_pipeline::raw::RawStage;
use serde_dynamo::AttributeValue;
use tokio::time::Instant;

use super::expiry::EXPIRES_AT;
use super::faults::Fault;
use super::lambda;
use super::pipeline::RETENTION_DAYS;
use super::queue::QueueModel;
use super::table::TableModel;
use super::world::World;

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The bridge acknowledges a datagram before the stream has it.
    AcknowledgesBeforeThePut,
    /// The table answers before it writes, and the caller does not wait for the write.
    AnswersBeforeTheWrite,
    /// Items that `BatchWriteItem` left unprocessed are ignored.
    IgnoresUnprocessed,
    /// Messages that `SendMessageBatch` rejected are ignored.
    IgnoresRefusedMessages,
    /// Of several failed records of a shard, the highest is reported.
    ReportsTheHighest,
    /// A function panics sometimes; its messages are delivered again.
    Panics,
    /// Sort keys contain the time of the write.
    ClockInTheKey,
    /// Items are retained from the time that their message carries.
    RetainsFromTheMessage,
}

/// A table behind an adapter that may have a bug.
#[derive(Debug, Clone)]
pub struct PlantedTable {
    /// The table.
    pub table: TableModel,
    /// The bug, if there is one.
    pub bug: Option<Bug>,
    /// The run.
    pub world: Arc<World>,
}

impl Table for PlantedTable {
    async fn put(&self, items: &[Item], deadline: Instant) -> Refused {
        match self.bug {
            Some(Bug::AnswersBeforeTheWrite) => self.later(items, deadline),
            Some(Bug::IgnoresUnprocessed) => self.ignoring_unprocessed(items, deadline).await,
            Some(Bug::Panics) => {
                let panics = self.world.faults.are_active() && self.world.draw(|rng| rng.u8(..)) < 16;
                assert!(!panics, "a planted panic");
                self.table.put(items, deadline).await
            }
            Some(Bug::ClockInTheKey) => {
                let now = self.world.elapsed().as_secs();
                let items: Vec<Item> = items.iter().map(|item| stamped(item, now)).collect();
                self.table.put(&items, deadline).await
            }
            Some(Bug::RetainsFromTheMessage) => {
                let items: Vec<Item> = items.iter().map(retained_from_the_message).collect();
                self.table.put(&items, deadline).await
            }
            _ => self.table.put(items, deadline).await,
        }
    }
}

impl PlantedTable {
    /// Writes after the answer. A kill of the sandbox, as frequent as other kills, loses the write.
    fn later(&self, items: &[Item], deadline: Instant) -> Refused {
        let (table, world, items) = (self.table.clone(), Arc::clone(&self.world), items.to_vec());
        self.world.spawn(async move {
            let _busy = world.busy();
            let awaits = if world.is_due(Fault::InvocationKilled) { lambda::awaits(&world) } else { u32::MAX };
            lambda::killed(table.put(&items, deadline), awaits).await;
        });
        Refused::new()
    }

    async fn ignoring_unprocessed(&self, items: &[Item], deadline: Instant) -> Refused {
        let puts = self.table.puts(items);
        let request = |pending: Vec<usize>| async {
            let all = pending.clone();
            let again = self.table.request(&puts, pending).await.map_or(all, |_unprocessed| Vec::new());
            Undone { again, ..Undone::default() }
        };
        put_all(items, deadline, request).await
    }
}

/// A queue behind an adapter that may have a bug.
#[derive(Debug, Clone)]
pub struct PlantedQueue {
    /// The queue.
    pub queue: QueueModel,
    /// The bug, if there is one.
    pub bug: Option<Bug>,
}

impl Queue for PlantedQueue {
    async fn send(&self, bodies: &[String], deadline: Instant) -> Refused {
        if self.bug != Some(Bug::IgnoresRefusedMessages) {
            return self.queue.send(bodies, deadline).await;
        }
        let shared = QueueModel::shared(bodies);
        let request = |pending: Vec<usize>| async {
            let all = pending.clone();
            let again = self.queue.request(&shared, pending).await.map_or(all, |_refused| Vec::new());
            Undone { again, ..Undone::default() }
        };
        send_all(bodies, deadline, request).await
    }
}

fn stamped(item: &Item, seconds: u64) -> Item {
    let mut item = item.clone().into_inner();
    for (_, value) in item.iter_mut().filter(|(name, _)| ["uplink", "event"].contains(&name.as_str())) {
        if let AttributeValue::S(key) = value {
            *key = format!("{key}#{seconds}");
        }
    }
    Item::from(item)
}

fn retained_from_the_message(item: &Item) -> Item {
    let mut item = item.clone().into_inner();
    let key = ["uplink", "event"].into_iter().find_map(|name| item.get(name));
    let Some(AttributeValue::S(key)) = key else { return item.into() };
    let at = key.split('#').next().and_then(|at| at.parse::<At>().ok());
    if let (Some(at), Some(expires_at)) = (at, item.get_mut(EXPIRES_AT)) {
        *expires_at = AttributeValue::N(at.expires_at(RETENTION_DAYS).to_string());
    }
    item.into()
}

/// Runs `raw_nbiot::handle`, but reports the highest failed record instead of the lowest.
///
/// # Errors
/// As `raw_nbiot::handle`.
pub async fn report_the_highest(
    event: KinesisEvent,
    stage: &RawStage<impl RawStore, impl EventStore, impl Queue>,
    deadline: Instant,
) -> Result<KinesisEventResponse, MissingId> {
    let began = Instant::now();
    let records = pulsegate_aws::lambda::from_kinesis(event)?;
    let outcome = stage.run(raw_nbiot::STAGE, &records, deadline).await;
    outcome.counts.emit(raw_nbiot::STAGE, records.len(), began);
    let highest: Failed = outcome.failed.last().copied().into_iter().collect();
    Ok(pulsegate_aws::lambda::kinesis_response(&records, &highest))
}
