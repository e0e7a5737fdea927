//! The stream of the stand-in: its records by shard, all kept until the end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use pulsegate_model::aggregate;

use crate::load::sigfox::lock;

/// A record, and its number of user records.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) data: Arc<Vec<u8>>,
    pub(super) uplinks: u32,
}

/// Records that were put. Writer and readers are on different threads.
#[derive(Debug)]
pub(super) struct Stream {
    shards: Vec<Mutex<Vec<Record>>>,
    put: AtomicU64,
    is_closed: AtomicBool,
}

impl Stream {
    /// Maximum records between stand-in and stream. When there are more, the stand-in waits.
    const ON_THEIR_WAY: usize = 4_096;

    /// An empty stream, and the sender of its records. It is closed when the sender is dropped.
    pub(super) fn open(shards: u16) -> (Arc<Self>, SyncSender<Vec<u8>>, JoinHandle<()>) {
        let shards = (0..shards.max(1)).map(|_| Mutex::default()).collect();
        let stream = Arc::new(Self { shards, put: AtomicU64::new(0), is_closed: AtomicBool::new(false) });
        let (sender, records) = sync_channel(Self::ON_THEIR_WAY);
        let filled = Arc::clone(&stream);
        let thread = std::thread::spawn(move || filled.fill(&records));
        (stream, sender, thread)
    }

    fn fill(&self, records: &Receiver<Vec<u8>>) {
        while let Ok(data) = records.recv() {
            let uplinks = aggregate::user_records(&data).map_or(1, |records| records.len());
            let uplinks = u32::try_from(uplinks).unwrap_or(u32::MAX);
            // The bridge's partition key is the first meter, so records are spread at random.
            let shard = crc32fast::hash(&data) as usize % self.shards.len();
            // Counted before the records are readable, so that `read` never exceeds `put`.
            self.put.fetch_add(u64::from(uplinks), Ordering::Relaxed);
            lock(&self.shards[shard]).push(Record { data: Arc::new(data), uplinks });
        }
        self.is_closed.store(true, Ordering::Release);
    }

    /// Number of shards.
    pub(super) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Uplinks put so far, repetitions included.
    pub(super) fn put(&self) -> u64 {
        self.put.load(Ordering::Relaxed)
    }

    /// True if the stream is closed. All records are then readable.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// At most `most` records of a shard, from a position.
    pub(super) fn read(&self, shard: usize, from: usize, most: usize) -> Vec<Record> {
        let records = lock(&self.shards[shard]);
        records[from..records.len().min(from + most)].to_vec()
    }

    /// Number of records in a shard.
    pub(super) fn len(&self, shard: usize) -> usize {
        lock(&self.shards[shard]).len()
    }
}
