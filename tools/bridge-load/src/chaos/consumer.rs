//! Takes the stream's records apart as the deployed consumer does, and remembers what it has stored.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, iter};

use aws_lambda_events::event::kinesis::{KinesisEvent, KinesisEventRecord};
use fixedbitset::FixedBitSet;
use pulsegate_aws::lambda;
use pulsegate_model::event::DeviceEvent;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::ports::{EventStore, Queue, RawStore, Refused};
use pulsegate_pipeline::raw::RawStage;
use tokio::time::Instant;

use crate::readings::Meters;

/// Records on their way to the consumer, of at most 25 KB. When there are more, the stream gets slow.
const MAX_WAITING: usize = 4_096;

/// What one invocation takes, as the template sets it.
const MAX_BATCH: usize = 100;

const DEADLINE: Duration = Duration::from_mins(1);

/// What has been stored.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// Readings, by their number.
    pub readings: FixedBitSet,
    /// How often one was stored that was there already.
    pub duplicates: u64,
    /// Items that no meter has sent, or not like this.
    pub strangers: u64,
    /// What could not be read.
    pub unreadable: u64,
}

/// The consumer, on a thread of its own. It ends when nobody can send it records any more.
pub struct Consumer {
    thread: JoinHandle<io::Result<Stored>>,
}

impl Consumer {
    /// Starts it. Of `meters`, only the first so many readings are there.
    pub fn start(meters: Arc<Meters>, readings: u64) -> (Self, SyncSender<Vec<u8>>) {
        let (sender, records) = sync_channel(MAX_WAITING);
        let thread =
            std::thread::spawn(move || consume(&records, Readings { meters, readings, stored: Mutex::default() }));
        (Self { thread }, sender)
    }

    /// Waits for it to have taken everything, and gives what it has stored.
    ///
    /// # Errors
    /// When a record could not be taken.
    pub fn stored(self) -> io::Result<Stored> {
        self.thread.join().map_err(|_| io::Error::other("the consumer panicked"))?
    }
}

fn consume(records: &Receiver<Vec<u8>>, store: Readings) -> io::Result<Stored> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let events: Option<NoEvents> = None;
    let stage = RawStage { raw: store, events, pulse: Nowhere, quarantine: Nowhere };
    while let Ok(first) = records.recv() {
        let batch = iter::once(first).chain(records.try_iter().take(MAX_BATCH - 1));
        let records = lambda::from_kinesis(event(batch)).map_err(io::Error::other)?;
        let outcome = runtime.block_on(stage.run("raw-nbiot", &records, Instant::now() + DEADLINE));
        stage.raw.stored().unreadable += outcome.counts.quarantined as u64;
    }
    let stored = stage.raw.stored().clone();
    Ok(stored)
}

fn event(batch: impl Iterator<Item = Vec<u8>>) -> KinesisEvent {
    let mut event = KinesisEvent::default();
    event.records.extend(batch.map(|data| {
        let mut record = KinesisEventRecord::default();
        record.kinesis.data.0 = data;
        "1".clone_into(&mut record.kinesis.sequence_number);
        record
    }));
    event
}

/// A store that keeps of every uplink which reading it is, and nothing else: millions of them fit.
struct Readings {
    meters: Arc<Meters>,
    readings: u64,
    stored: Mutex<Stored>,
}

impl Readings {
    /// Counters and bits have nothing to leave half done, so what a panicking thread held is still good.
    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the reading that an uplink is, with all that belongs to it.
    fn number(&self, uplink: &Uplink) -> Option<usize> {
        let key = format!("{}#{}", uplink.key(), uplink.kind);
        let number = self.meters.stored(&uplink.device.to_string(), &key, uplink.payload.bytes());
        usize::try_from(number.filter(|&number| number < self.readings)?).ok()
    }
}

impl RawStore for Readings {
    async fn put(&self, uplinks: &[Uplink], _: Instant) -> Refused {
        let mut stored = self.stored();
        for uplink in uplinks {
            match self.number(uplink) {
                None => stored.strangers += 1,
                Some(number) => {
                    stored.readings.grow(number + 1);
                    stored.duplicates += u64::from(stored.readings.put(number));
                }
            }
        }
        Refused::new()
    }
}

/// A queue whose messages nobody reads.
struct Nowhere;

impl Queue for Nowhere {
    async fn send(&self, _: &[String], _: Instant) -> Refused {
        Refused::new()
    }
}

/// A store of events, of which meters on NB-IoT have none.
struct NoEvents;

impl EventStore for NoEvents {
    async fn put(&self, _: &[DeviceEvent], _: Instant) -> Refused {
        Refused::new()
    }
}
