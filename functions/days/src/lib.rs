//! The archive's points files -> its files of days.
//!
//! One function takes two events. The schedule's: it finds the partitions with work and sends a message for each to the
//! queue. The queue's: it makes the files of the partition that a message names. So the partitions of a large fleet are
//! made side by side.
//!
//! The work is [`pulsegate_pipeline::archive::days`]; this crate sets its time limit and emits its counters.

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use pulsegate_model::at::At;
use pulsegate_pipeline::archive::days::{Days, Made, Partition};
use pulsegate_pipeline::archive::place::PartitionBits;
use pulsegate_pipeline::archive::reader::ArchiveError;
use pulsegate_pipeline::archive::store::ObjectStore;
use pulsegate_pipeline::config::{ArchiveConfig, ConfigError, EnvSettings};
use pulsegate_pipeline::deadline;
use pulsegate_pipeline::ports::Queue;
use pulsegate_pipeline::telemetry::{self, Metrics};
use serde_json::{Value, json};
use tokio::time::Instant;

/// The part name in metrics.
pub const STAGE: &str = "days";

/// The time that one file takes at most: a month of 56,000 hourly meters.
const ONE_FILE: Duration = Duration::from_mins(4);

/// The settings of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The archive.
    pub archive: ArchiveConfig,
    /// `DAYS_QUEUE_URL`: the queue of partitions.
    pub queue: String,
}

/// The work of the function.
#[derive(Debug)]
pub struct Handler<'a, S, Q> {
    /// The archive.
    pub store: &'a S,
    /// The number of partitions.
    pub bits: &'a PartitionBits,
    /// The queue of partitions.
    pub queue: &'a Q,
}

/// An invocation that failed. The next one of the schedule repeats it.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// The archive cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The queue does not take all partitions.
    #[error("{0} partitions cannot be sent to the queue")]
    Unsent(usize),
    /// A message is no partition, or the event is not one of a queue.
    #[error("not an event of this function: {0}")]
    Event(#[from] serde_json::Error),
    /// A message cannot be named in the answer.
    #[error("the message at position {0} has no ID")]
    Unnamed(usize),
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variables.
    pub fn from_settings(settings: &EnvSettings<'_>) -> Result<Self, ConfigError> {
        let queue = settings.required("DAYS_QUEUE_URL");
        let archive = ArchiveConfig::from_settings(settings)?;
        Ok(Self { archive, queue: queue? })
    }
}

impl<S: ObjectStore + Sync, Q: Queue> Handler<'_, S, Q> {
    /// Handles an event of the queue, if it has messages, or else of the schedule.
    ///
    /// # Errors
    /// [`HandleError`].
    pub async fn handle(&self, event: Value, now: At, deadline: Instant) -> Result<Value, HandleError> {
        if event.get("Records").is_some() {
            self.run(serde_json::from_value(event)?, now, deadline).await
        } else {
            self.plan(now, deadline).await
        }
    }

    /// Sends the partitions with work to the queue.
    async fn plan(&self, now: At, deadline: Instant) -> Result<Value, HandleError> {
        let began = Instant::now();
        let planned = self.days(now, deadline).plan().await?;
        let bodies: Result<Vec<String>, _> = planned.iter().map(serde_json::to_string).collect();
        let unsent = self.queue.send(&bodies?, deadline).await.len();
        let counts = json!({ "planned": planned.len(), "unsent": unsent });
        emit(counts.clone(), began);
        if unsent > 0 { Err(HandleError::Unsent(unsent)) } else { Ok(counts) }
    }

    /// Makes the files of the partitions in these messages; there is one, as the template sets it. A message is given
    /// back if the archive cannot be reached. What is left for lack of time is in the next plan.
    async fn run(&self, event: SqsEvent, now: At, deadline: Instant) -> Result<Value, HandleError> {
        let mut response = SqsBatchResponse::default();
        for (position, message) in event.records.into_iter().enumerate() {
            let began = Instant::now();
            let id = message.message_id.ok_or(HandleError::Unnamed(position))?;
            match self.made(message.body.as_deref().unwrap_or_default(), now, deadline).await {
                Ok(made) => report(&made, began),
                Err(reason) => {
                    tracing::error!(id, %reason, "a partition cannot be made, and its message is given back");
                    response.add_failure(id);
                }
            }
        }
        Ok(serde_json::to_value(response)?)
    }

    async fn made(&self, body: &str, now: At, deadline: Instant) -> Result<Made, HandleError> {
        let partition: Partition = serde_json::from_str(body)?;
        Ok(self.days(now, deadline).run(partition).await?)
    }

    fn days(&self, now: At, deadline: Instant) -> Days<'_, S> {
        // In a short invocation, a third of the time has to suffice for the last file.
        let stop = deadline.checked_sub(ONE_FILE).unwrap_or(deadline).max(deadline::leaving_time(deadline));
        Days { store: self.store, bits: self.bits, now, stop, deadline }
    }
}

fn report(made: &Made, began: Instant) {
    if made.remaining > 0 {
        tracing::warn!(files = made.remaining, "files of days are left to the next plan");
    }
    emit(json!(made), began);
}

fn emit(counts: Value, began: Instant) {
    let properties = json!({ "ms": began.elapsed().as_millis() });
    telemetry::emit(&Metrics { part: STAGE, values: &[("Count", counts)], properties });
}

#[cfg(test)]
mod tests;
