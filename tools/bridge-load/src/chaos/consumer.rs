//! Reads the stream with the code of the deployed consumer, and records which readings it stores.

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
use pulsegate_pipeline::ports::{Arrived, EventStore, Queue, RawStore, Refused};
use pulsegate_pipeline::raw::RawStage;
use tokio::time::Instant;

use crate::readings::Meters;

/// The most records in the channel to the consumer, of at most 25 KB each. Beyond this the stream slows down.
const MAX_WAITING: usize = 4_096;

/// The batch size of an invocation, as in the template.
const MAX_BATCH: usize = 100;

const DEADLINE: Duration = Duration::from_mins(1);

/// What is stored.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// Readings, by their number.
    pub readings: FixedBitSet,
    /// Repeated writes of a reading.
    pub duplicates: u64,
    /// Items that no meter has sent.
    pub foreign: u64,
    /// Records that cannot be parsed.
    pub unreadable: u64,
}

/// The consumer, on a thread of its own. It stops when all senders are dropped.
pub struct Consumer {
    thread: JoinHandle<io::Result<Stored>>,
}

impl Consumer {
    /// Starts it. Readings from number `readings` on are foreign.
    pub fn start(meters: Arc<Meters>, readings: u64) -> (Self, SyncSender<Vec<u8>>) {
        let (sender, records) = sync_channel(MAX_WAITING);
        let thread = std::thread::spawn(move || {
            consume(&records, Readings { meters, sent: readings, stored: Mutex::default() })
        });
        (Self { thread }, sender)
    }

    /// Waits until it has read everything, and returns what is stored.
    ///
    /// # Errors
    /// If an event cannot be read.
    pub fn stored(self) -> io::Result<Stored> {
        self.thread.join().map_err(|_| io::Error::other("the consumer panicked"))?
    }
}

fn consume(records: &Receiver<Vec<u8>>, store: Readings) -> io::Result<Stored> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let events: Option<NoEvents> = None;
    let stage = RawStage { raw: store, events, pulse: Some(Nowhere), quarantine: Nowhere };
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

/// A store that keeps one bit for each reading, so that millions fit.
struct Readings {
    meters: Arc<Meters>,
    sent: u64,
    stored: Mutex<Stored>,
}

impl Readings {
    /// The state is valid after every statement, so a lock that a panicking thread held is still good.
    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the reading of which this uplink has key and payload.
    fn number(&self, uplink: &Uplink) -> Option<usize> {
        let key = format!("{}#{}", uplink.key(), uplink.kind);
        let number = self.meters.stored(&uplink.device.to_string(), &key, uplink.payload.bytes());
        usize::try_from(number.filter(|&number| number < self.sent)?).ok()
    }
}

impl RawStore for Readings {
    async fn put(&self, uplinks: &[Uplink], _: Instant) -> Refused {
        let mut stored = self.stored();
        for uplink in uplinks {
            match self.number(uplink) {
                None => stored.foreign += 1,
                Some(number) => {
                    stored.readings.grow(number + 1);
                    stored.duplicates += u64::from(stored.readings.put(number));
                }
            }
        }
        Refused::new()
    }
}

/// A queue that discards its messages.
struct Nowhere;

impl Queue for Nowhere {
    async fn send(&self, _: &[String], _: Instant) -> Refused {
        Refused::new()
    }
}

/// A store of events; meters on NB-IoT have none.
struct NoEvents;

impl EventStore for NoEvents {
    async fn put(&self, _: &[Arrived<DeviceEvent>], _: Instant) -> Refused {
        Refused::new()
    }
}
