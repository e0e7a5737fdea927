//! A model of Kinesis: ordered shards that are split and merged while they are read.

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

/// A range of hash keys, both ends included.
#[derive(Debug)]
struct Shard {
    first: u128,
    last: u128,
    parents: Vec<usize>,
    records: Vec<Arc<Stored>>,
    closed: bool,
    /// Number of records that the mapping has processed.
    done: usize,
}

/// A record in a shard.
#[derive(Debug)]
pub struct Stored {
    /// Sequence number, which only grows.
    pub sequence: String,
    /// The record as it was put.
    pub record: StreamRecord,
    /// Time of the put.
    pub arrived: Instant,
}

/// Result of a read from a shard.
#[derive(Debug)]
pub enum Next {
    /// The next unprocessed records.
    Records(Vec<Arc<Stored>>),
    /// No records yet.
    Nothing,
    /// The end of a closed shard.
    End,
}

impl StreamModel {
    /// Creates a stream with this number of shards.
    pub fn new(world: &Arc<World>, shards: u32) -> Self {
        let (world, wire) = (Arc::clone(world), Wire::new(world, FAULTS));
        let shards = rules::even_ranges(shards).map(|(first, last)| Shard::new(first, last, Vec::new())).collect();
        Self(Arc::new(Inner { world, wire, shards: Mutex::new(shards), changed: Notify::new() }))
    }

    /// Waits for the next change, from this call on.
    pub fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    /// Returns the shards that may be read: children only when their parents are read to the end.
    pub fn readable(&self) -> Vec<usize> {
        let shards = lock(&self.0.shards);
        let read = |&parent: &usize| shards[parent].is_read();
        (0..shards.len()).filter(|&shard| shards[shard].parents.iter().all(read)).collect()
    }

    /// Returns the next records of a shard, at most `max`.
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

    /// Marks this many more records of a shard as processed.
    pub fn checkpoint(&self, shard: usize, records: usize) {
        lock(&self.0.shards)[shard].done += records;
        self.0.changed.notify_waiters();
    }

    /// Returns whether all records are processed.
    pub fn is_read(&self) -> bool {
        lock(&self.0.shards).iter().all(|shard| shard.done == shard.records.len())
    }

    /// Returns all records.
    pub fn records(&self) -> Vec<Arc<Stored>> {
        lock(&self.0.shards).iter().flat_map(|shard| shard.records.iter().cloned()).collect()
    }

    /// Returns the data of all records, by shard.
    pub fn data(&self) -> Vec<Vec<Vec<u8>>> {
        let data = |shard: &Shard| shard.records.iter().map(|stored| stored.record.data.clone()).collect();
        lock(&self.0.shards).iter().map(data).collect()
    }

    /// Adds a record, without a request that could fail.
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

    /// Splits a random shard in two, or merges it with its neighbour.
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

    /// Puts the records in one `PutRecords`. Returns the rejected positions, or `None` if it fails.
    async fn request(&self, records: Vec<StreamRecord>) -> Option<BTreeSet<usize>> {
        let sizes = records.iter().map(|record| record.partition_key.len() + record.data.len());
        assert_eq!(rules::check(sizes), Ok(()), "a request within the limits of PutRecords");
        let this = self.clone();
        let put = move || {
            let partly = this.0.world.is_due(Fault::PutPartlyRefused);
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

/// As the adapter: one attempt, split into requests of the allowed size.
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
