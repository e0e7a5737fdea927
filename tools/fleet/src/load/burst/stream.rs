//! The stream behind the stand-in: its records by shard, all of them kept until the end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use pulsegate_model::aggregate;

use crate::load::sigfox::lock;

/// A record, and how many user records are in it.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) data: Arc<Vec<u8>>,
    pub(super) uplinks: u32,
}

/// What was put. Whoever puts is on another thread than those who read.
#[derive(Debug)]
pub(super) struct Stream {
    shards: Vec<Mutex<Vec<Record>>>,
    put: AtomicU64,
    is_closed: AtomicBool,
}

impl Stream {
    /// Records on their way from the stand-in, at most: a moment's worth. When there are more, the stand-in waits.
    const ON_THEIR_WAY: usize = 4_096;

    /// An empty one, and where to put records. It is closed when nobody can put any more.
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
            // A bridge's records have the first meter as their key, so they are spread by chance.
            let shard = crc32fast::hash(&data) as usize % self.shards.len();
            // Before anybody can read them: what was read is never more than what was put.
            self.put.fetch_add(u64::from(uplinks), Ordering::Relaxed);
            lock(&self.shards[shard]).push(Record { data: Arc::new(data), uplinks });
        }
        self.is_closed.store(true, Ordering::Release);
    }

    /// How many shards it has.
    pub(super) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Uplinks put so far, repeated ones included.
    pub(super) fn put(&self) -> u64 {
        self.put.load(Ordering::Relaxed)
    }

    /// Whether nothing more comes. What was put before is there then.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Records of a shard from a position on, at most so many.
    pub(super) fn read(&self, shard: usize, from: usize, most: usize) -> Vec<Record> {
        let records = lock(&self.shards[shard]);
        records[from..records.len().min(from + most)].to_vec()
    }

    /// How many records a shard has.
    pub(super) fn len(&self, shard: usize) -> usize {
        lock(&self.shards[shard]).len()
    }
}
