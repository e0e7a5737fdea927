//! A model of an event source mapping on a stream: one batch at a time per shard, and failed records are retried before
//! any later ones.
//!
//! Sources: <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html>.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use aws_lambda_events::event::kinesis::{KinesisEvent, KinesisEventRecord};
use aws_lambda_events::event::streams::KinesisEventResponse;
use pulsegate_model::aggregate::StreamRecord;
use tokio::time::sleep;

use super::faults::Fault;
use super::stream::{Next, Stored, StreamModel};
use super::world::{World, lock};

/// Pauses between two attempts with the same records. AWS does not document their length.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// Settings of the mapping on the stream, from the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamSettings {
    /// `BatchSize`.
    pub batch: usize,
    /// `MaximumBatchingWindowInSeconds`.
    pub window: Duration,
    /// `MaximumRecordAgeInSeconds`.
    pub give_up: Duration,
}

/// A mapping.
#[derive(Debug)]
pub struct StreamMapping<I> {
    /// The run.
    pub world: Arc<World>,
    /// The stream.
    pub stream: StreamModel,
    /// Its settings.
    pub settings: StreamSettings,
    /// Invokes the function; returns its answer, if there is one.
    pub invoke: I,
    /// The on-failure destination: records that became too old.
    pub bucket: Arc<Mutex<Vec<StreamRecord>>>,
}

/// Result of a batch.
enum BatchResult {
    Done,
    /// The records before this one are done; it and the later ones are retried.
    UpTo(usize),
    Failed,
}

impl<I, F> StreamMapping<I>
where
    I: Fn(KinesisEvent) -> F + 'static,
    F: Future<Output = Option<KinesisEventResponse>> + 'static,
{
    /// Reads all current and future shards, for ever: children once their parents are read.
    pub async fn run(self) {
        let this = Arc::new(self);
        let mut started = BTreeSet::new();
        loop {
            let changed = this.stream.changed();
            for shard in this.stream.readable() {
                if started.insert(shard) {
                    this.world.spawn(Arc::clone(&this).read(shard));
                }
            }
            changed.await;
        }
    }

    async fn read(self: Arc<Self>, shard: usize) {
        loop {
            let changed = self.stream.changed();
            if matches!(self.stream.next(shard, 1), Next::Nothing) {
                changed.await;
                continue;
            }
            sleep(self.settings.window).await;
            let Next::Records(records) = self.stream.next(shard, self.settings.batch) else { return };
            self.batch(&records).await;
            if self.world.occurs(Fault::CheckpointLost) {
                continue;
            }
            self.stream.checkpoint(shard, records.len());
        }
    }

    /// Processes a batch to its end before any later record. With `BisectBatchOnFunctionError`, a failed batch is
    /// retried in halves.
    async fn batch(&self, records: &[Arc<Stored>]) {
        let mut left = Vec::from([Range { start: 0, end: records.len() }]);
        let mut pause = FIRST_PAUSE;
        while let Some(range) = left.pop() {
            let range = self.skip_expired(records, range);
            if range.is_empty() {
                continue;
            }
            let (start, end, middle) = (range.start, range.end, range.start + range.len() / 2);
            match self.once(&records[range]).await {
                BatchResult::Done => pause = FIRST_PAUSE,
                BatchResult::UpTo(failed) => {
                    self.world.faults.happened(Fault::ResumedAtLowest, 1);
                    left.push(start + failed..end);
                    pause = self.wait(pause).await;
                }
                BatchResult::Failed if end - start > 1 => {
                    self.world.faults.happened(Fault::Bisected, 1);
                    left.extend([middle..end, start..middle]);
                }
                BatchResult::Failed => {
                    left.push(start..end);
                    pause = self.wait(pause).await;
                }
            }
        }
    }

    async fn wait(&self, pause: Duration) -> Duration {
        sleep(pause).await;
        (pause * 2).min(LONGEST_PAUSE)
    }

    async fn once(&self, records: &[Arc<Stored>]) -> BatchResult {
        if self.world.occurs(Fault::BatchTwice) {
            // A poller that lost the shard may not know it yet. Its answer is ignored.
            self.world.spawn((self.invoke)(event(&self.world, records)));
        }
        let Some(answer) = (self.invoke)(event(&self.world, records)).await else { return BatchResult::Failed };
        let place = |id: Option<String>| records.iter().position(|stored| Some(&stored.sequence) == id.as_ref());
        let failed: Option<Vec<usize>> =
            answer.batch_item_failures.into_iter().map(|failure| place(failure.item_identifier)).collect();
        match failed.map(|failed| failed.into_iter().min()) {
            Some(None) => BatchResult::Done,
            Some(Some(lowest)) => BatchResult::UpTo(lowest),
            None => BatchResult::Failed,
        }
    }

    /// Moves records that are too old, at the start of a batch, to the bucket.
    fn skip_expired(&self, records: &[Arc<Stored>], mut range: Range<usize>) -> Range<usize> {
        let expired = |stored: &&Arc<Stored>| stored.arrived.elapsed() > self.settings.give_up;
        for stored in records[range.clone()].iter().take_while(expired) {
            self.world.faults.happened(Fault::Undelivered, 1);
            lock(&self.bucket).push(stored.record.clone());
            range.start += 1;
        }
        range
    }
}

/// Builds the event of an invocation.
pub fn event(world: &World, records: &[Arc<Stored>]) -> KinesisEvent {
    let mut event = KinesisEvent::default();
    for stored in records {
        let mut record = KinesisEventRecord::default();
        record.kinesis.sequence_number.clone_from(&stored.sequence);
        record.kinesis.partition_key.clone_from(&stored.record.partition_key);
        record.kinesis.data.0.clone_from(&stored.record.data);
        record.kinesis.approximate_arrival_timestamp.0 = (UNIX_EPOCH + world.time_of(stored.arrived)).into();
        event.records.push(record);
    }
    event
}
