//! Kinesis: shards, each in its order, that are split and merged while they are read.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use pulsegate_aws::resend::cut;
use pulsegate_model::aggregate::StreamRecord;
use pulsegate_pipeline::ports::{MAX_STREAM_BYTES, MAX_STREAM_RECORDS, Refused, Stream};
use test_kit::kinesis::rules;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, timeout_at};

use super::faults::Fault;
use super::wire::{Wire, WireFaults};
use super::world::{World, lock};

const FAULTS: WireFaults = WireFaults {
    refused: Fault::PutRefused,
    unanswered: Fault::PutUnanswered,
    late: Fault::PutLate,
    down: Fault::StreamDown,
};

/// A stream.
#[derive(Debug, Clone)]
pub struct StreamModel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    world: Arc<World>,
    wire: Wire,
    shards: Mutex<Vec<Shard>>,
    changed: Notify,
}

/// A range of hash keys, from the first to the last.
#[derive(Debug)]
struct Shard {
    first: u128,
    last: u128,
    parents: Vec<usize>,
    records: Vec<Arc<Stored>>,
    closed: bool,
    /// How many of its records the mapping is done with.
    done: usize,
}

/// A record in a shard.
#[derive(Debug)]
pub struct Stored {
    /// Its number, which only grows.
    pub sequence: String,
    /// As it was put.
    pub record: StreamRecord,
    /// When.
    pub arrived: Instant,
}

/// What a reader of a shard finds next.
#[derive(Debug)]
pub enum Next {
    /// These, after what it is done with.
    Records(Vec<Arc<Stored>>),
    /// Nothing yet.
    Nothing,
    /// Nothing, and there never will be.
    End,
}

impl StreamModel {
    /// One of so many shards.
    pub fn new(world: &Arc<World>, shards: u32) -> Self {
        let (world, wire) = (Arc::clone(world), Wire::new(world, FAULTS));
        let shards = rules::even_ranges(shards).map(|(first, last)| Shard::new(first, last, Vec::new())).collect();
        Self(Arc::new(Inner { world, wire, shards: Mutex::new(shards), changed: Notify::new() }))
    }

    /// Waits until something changes, from this moment on.
    pub fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    /// The shards that may be read: of those that came out of others, the ones whose parents are read to their end.
    pub fn readable(&self) -> Vec<usize> {
        let shards = lock(&self.0.shards);
        let read = |&parent: &usize| shards[parent].is_read();
        (0..shards.len()).filter(|&shard| shards[shard].parents.iter().all(read)).collect()
    }

    /// What comes next in a shard, at most so many records.
    pub fn next(&self, shard: usize, max: usize) -> Next {
        let shards = lock(&self.0.shards);
        let shard = &shards[shard];
        let records: Vec<_> = shard.records[shard.done..].iter().take(max).cloned().collect();
        match (records.is_empty(), shard.closed) {
            (false, _) => Next::Records(records),
            (true, false) => Next::Nothing,
            (true, true) => Next::End,
        }
    }

    /// The reader of a shard is done with so many more of its records.
    pub fn checkpoint(&self, shard: usize, records: usize) {
        lock(&self.0.shards)[shard].done += records;
        self.0.changed.notify_waiters();
    }

    /// Whether all records were read to their end.
    pub fn is_read(&self) -> bool {
        lock(&self.0.shards).iter().all(|shard| shard.done == shard.records.len())
    }

    /// The data of all its records, shard by shard.
    pub fn data(&self) -> Vec<Vec<Vec<u8>>> {
        let data = |shard: &Shard| shard.records.iter().map(|stored| stored.record.data.clone()).collect();
        lock(&self.0.shards).iter().map(data).collect()
    }

    /// Puts a record, without a request that could fail.
    pub fn add(&self, record: StreamRecord) {
        let hash = rules::hash_key(&record.partition_key);
        let mut shards = lock(&self.0.shards);
        let count = shards.len();
        let takes = |(_, shard): &(usize, &mut Shard)| !shard.closed && (shard.first..=shard.last).contains(&hash);
        let (index, shard) = shards.iter_mut().enumerate().find(takes).expect("every key has an open shard");
        self.0.world.happened("stream", index);
        let sequence = format!("496{count:05}{:048}", shard.records.len());
        shard.records.push(Arc::new(Stored { sequence, record, arrived: Instant::now() }));
        drop(shards);
        self.0.changed.notify_waiters();
    }

    /// Splits a shard in two, or merges two neighbours, by chance.
    pub fn reshard(&self) {
        let world = &self.0.world;
        let mut shards = lock(&self.0.shards);
        let mut open: Vec<usize> = (0..shards.len()).filter(|&shard| !shards[shard].closed).collect();
        open.sort_by_key(|&shard| shards[shard].first);
        let chosen = world.draw(|rng| rng.usize(..open.len()));
        let (parents, children) = if let (true, Some(&right)) = (world.coin(), open.get(chosen + 1)) {
            let left = open[chosen];
            world.faults.happened(Fault::ShardsMerged, 1);
            (vec![left, right], vec![(shards[left].first, shards[right].last)])
        } else {
            let Shard { first, last, .. } = shards[open[chosen]];
            let middle = first + (last - first) / 2;
            world.faults.happened(Fault::ShardSplit, 1);
            (vec![open[chosen]], vec![(first, middle), (middle + 1, last)])
        };
        for &parent in &parents {
            shards[parent].closed = true;
            if !shards[parent].is_read() {
                world.faults.happened(Fault::ReshardedInFlight, 1);
            }
        }
        shards.extend(children.into_iter().map(|(first, last)| Shard::new(first, last, parents.clone())));
        drop(shards);
        self.0.changed.notify_waiters();
    }

    /// One `PutRecords`: the positions of those it refuses, or `None` if it fails.
    async fn request(&self, records: Vec<StreamRecord>) -> Option<BTreeSet<usize>> {
        let sizes = records.iter().map(|record| record.partition_key.len() + record.data.len());
        assert_eq!(rules::check(sizes), Ok(()), "a request within the limits of PutRecords");
        let this = self.clone();
        let put = move || {
            let partly = this.0.world.threatens(Fault::PutPartlyRefused);
            let mut refused = BTreeSet::new();
            for (position, record) in records.into_iter().enumerate() {
                if partly && this.0.world.coin() {
                    refused.insert(position);
                } else {
                    this.add(record);
                }
            }
            if !refused.is_empty() {
                this.0.world.faults.happened(Fault::PutPartlyRefused, 1);
            }
            refused
        };
        self.0.wire.carry(put).await
    }
}

impl Shard {
    fn new(first: u128, last: u128, parents: Vec<usize>) -> Self {
        Self { first, last, parents, records: Vec::new(), closed: false, done: 0 }
    }

    fn is_read(&self) -> bool {
        self.closed && self.done == self.records.len()
    }
}

/// As the adapter does: one attempt, cut where a request would get too large.
impl Stream for StreamModel {
    async fn put(&self, records: &[&StreamRecord], deadline: Instant) -> Refused {
        let mut refused = Refused::new();
        let sizes = records.iter().map(|record| record.partition_key.len() + record.data.len());
        for positions in cut(sizes, MAX_STREAM_RECORDS, MAX_STREAM_BYTES) {
            let request = positions.iter().map(|&position| records[position].clone()).collect();
            match timeout_at(deadline, self.request(request)).await.ok().flatten() {
                Some(within) => refused.extend(within.into_iter().map(|position| positions[position])),
                None => refused.extend(positions),
            }
        }
        refused
    }
}
