//! The function on the stream, invoked as by the template's event source mapping: for each shard one batch at
//! a time, in order, with retries of failed records.
//!
//! The function is the deployed one, `pulsegate_pipeline::raw` with `pulsegate_pipeline::batch` around it, as
//! `functions/raw-nbiot` puts them together, but for the line of metrics that it prints.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use aws_lambda_events::event::kinesis::{KinesisEvent, KinesisEventRecord};
use aws_lambda_events::event::streams::KinesisEventResponse;
use futures_util::future::join_all;
use pulsegate_pipeline::archive::writer::ArchiveWriter;
use pulsegate_pipeline::raw::RawStage;
use tokio::time::{Instant, sleep};

use super::archive::{ArchiveContents, MemoryArchive, NullQueue};
use super::stream::{Record, Stream};
use crate::load::sigfox::lock;
use crate::meters::Fleet;

/// `BatchSize` and `MaximumBatchingWindowInSeconds` of the template, for a stack with a pulses table; its `ParallelizationFactor` is 1.
pub(super) const BATCH: usize = 50;
pub(super) const WINDOW: Duration = Duration::from_secs(1);

/// The function's time-out in the template, less the reserve for its answer.
const TIMEOUT: Duration = Duration::from_millis(29_500);

/// Polling interval of a shard.
const LOOK: Duration = Duration::from_millis(20);

/// Progress of the drain.
#[derive(Debug, Default)]
pub(super) struct DrainProgress {
    /// Uplinks of processed records.
    pub(super) passed: AtomicU64,
    /// Invocations.
    pub(super) invocations: AtomicU64,
}

/// The function on the stream takes no events; the type only has to be a store of these.
type Stage = RawStage<ArchiveWriter<MemoryArchive>, pulsegate_aws::EventTable<pulsegate_aws::DynamoTable>, NullQueue>;

/// Parts of a drain.
pub(super) struct Setup {
    pub(super) stream: Arc<Stream>,
    pub(super) fleet: Arc<Fleet>,
    pub(super) contents: Arc<ArchiveContents>,
    pub(super) progress: Arc<DrainProgress>,
}

/// Starts the drain on its own thread. It ends when the stream is closed and empty.
pub(super) fn start(setup: Setup) -> JoinHandle<io::Result<()>> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let Setup { stream, fleet, contents, progress } = setup;
        let invoke = Invoke { contents: Arc::clone(&contents), stage: stage(fleet, contents) };
        let shards = (0..stream.shards()).map(|shard| empty(&stream, shard, &invoke, &progress));
        runtime.block_on(join_all(shards)).into_iter().collect()
    })
}

async fn empty(stream: &Stream, shard: usize, invoke: &Invoke, progress: &DrainProgress) -> io::Result<()> {
    let mut next = 0;
    while gather(stream, shard, next).await {
        let batch = stream.read(shard, next, BATCH);
        let answer = invoke.run(next, &batch).await?;
        progress.invocations.fetch_add(1, Ordering::Relaxed);
        let done = done(next, &batch, &answer)?;
        let uplinks = batch[..done].iter().map(|record| u64::from(record.uplinks)).sum();
        progress.passed.fetch_add(uplinks, Ordering::Relaxed);
        next += done;
    }
    Ok(())
}

/// Waits for a full batch or the end of the window. `false` if the stream is closed and empty.
async fn gather(stream: &Stream, shard: usize, next: usize) -> bool {
    let mut since: Option<Instant> = None;
    loop {
        let is_closed = stream.is_closed();
        let len = stream.len(shard) - next;
        if len > 0 {
            let since = *since.get_or_insert_with(Instant::now);
            if len >= BATCH || is_closed || since.elapsed() >= WINDOW {
                return true;
            }
        } else if is_closed {
            return false;
        }
        sleep(LOOK).await;
    }
}

fn stage(fleet: Arc<Fleet>, contents: Arc<ArchiveContents>) -> Stage {
    let raw = ArchiveWriter { store: MemoryArchive::new(fleet, contents) };
    Stage { raw, events: None, pulse: Some(NullQueue), quarantine: NullQueue }
}

/// The function, and where it writes.
struct Invoke {
    stage: Stage,
    contents: Arc<ArchiveContents>,
}

impl Invoke {
    async fn run(&self, next: usize, batch: &[Record]) -> io::Result<KinesisEventResponse> {
        let records = pulsegate_aws::lambda::from_kinesis(event(next, batch)).map_err(io::Error::other)?;
        let outcome = self.stage.run("raw-nbiot", &records, Instant::now() + TIMEOUT).await;
        lock(&self.contents.uplinks).unreadable += outcome.counts.quarantined as u64;
        Ok(pulsegate_aws::lambda::kinesis_response(&records, &outcome.failed))
    }
}

fn event(next: usize, batch: &[Record]) -> KinesisEvent {
    let mut event = KinesisEvent::default();
    event.records.extend(batch.iter().enumerate().map(|(position, Record { data, .. })| {
        let mut record = KinesisEventRecord::default();
        record.kinesis.data.0 = data.to_vec();
        record.kinesis.sequence_number = (next + position).to_string();
        record
    }));
    event
}

/// Number of processed records of a batch: those before the first one that the answer names.
pub(super) fn done(next: usize, batch: &[Record], answer: &KinesisEventResponse) -> io::Result<usize> {
    let Some(failure) = answer.batch_item_failures.first() else { return Ok(batch.len()) };
    let name = failure.item_identifier.as_deref().unwrap_or_default();
    let position = name.parse::<usize>().ok().and_then(|number| number.checked_sub(next));
    let position = position.filter(|position| *position < batch.len());
    position.ok_or_else(|| io::Error::other(format!("the function names an unknown record: {name:?}")))
}
