//! What goes wrong, how often, and how often it did.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;

/// How likely a fault is, each time it could happen. What has none follows from others, or is arranged, and is only counted.
type Rate = f64;

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident $rate:literal $text:literal),* $(,)?) => {
        /// A kind of fault, or of what follows from one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $(#[doc = $text] $name),* }

        impl Fault {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            const TABLE: &[(&str, Rate)] = &[$(($text, $rate)),*];
        }
    };
}

faults! {
    CallbackLost 0.03 "Sigfox: a callback never arrives",
    CallbackThrottled 0.03 "Sigfox: the API answers a callback 429",
    CallbackRepeated 0.03 "Sigfox: a callback arrives twice",
    CallbackDelayed 0.05 "Sigfox: a callback arrives late",
    CallbackUnanswered 0.04 "Sigfox: the answer to a callback gets lost",
    CallbackGivenUp 0.0 "Sigfox: gave a callback up after four times",
    CallbackRecovered 0.0 "Sigfox: such a callback, fetched back",
    DatagramLost 0.05 "UDP: a datagram gets lost",
    DatagramRepeated 0.03 "UDP: a datagram arrives twice",
    DatagramDelayed 0.05 "UDP: a datagram arrives late",
    AcknowledgementLost 0.05 "UDP: an acknowledgement gets lost",
    BridgeKilled 0.005 "bridge: killed with readings in hand",
    BridgeGaveBack 0.0 "bridge: a reading is not acknowledged, since it could not be put",
    InvocationThrottled 0.02 "Lambda: no room for an invocation",
    InvocationKilled 0.05 "Lambda: killed at an await",
    InvocationTimedOut 0.03 "Lambda: runs out of time half-way",
    InvocationUnanswered 0.03 "Lambda: done, and its answer gets lost",
    CallerGoneBefore 0.0 "a request's sender is gone before its effect",
    CallerGoneBetween 0.0 "a request's sender is gone between effect and answer",
    SendRefused 0.02 "SQS: `SendMessageBatch` refused",
    SendPartlyRefused 0.04 "SQS: `SendMessageBatch` refuses some entries",
    SendUnanswered 0.03 "SQS: `SendMessageBatch` done, its answer lost",
    SendLate 0.02 "SQS: `SendMessageBatch` takes effect after it was given up",
    QueueDown 0.0 "SQS: a request while the queue is down",
    ReceivedTwice 0.04 "SQS: a message is delivered twice at once",
    DeleteLost 0.02 "SQS: a deleted message stays",
    DeletedCameBack 0.01 "SQS: a deleted message comes back later",
    HandleOutdated 0.0 "SQS: a message is deleted by a handle that is no longer its latest",
    Redelivered 0.0 "SQS: a message comes again after its visibility time-out",
    PartOfBatchFailed 0.0 "SQS: a part of a batch is given back",
    DeadLettered 0.0 "SQS: a message goes to the dead letters",
    Redriven 0.0 "SQS: a dead letter is sent back",
    PutRefused 0.03 "Kinesis: `PutRecords` refused",
    PutPartlyRefused 0.08 "Kinesis: `PutRecords` refuses some records",
    PutUnanswered 0.04 "Kinesis: `PutRecords` done, its answer lost",
    PutLate 0.03 "Kinesis: `PutRecords` takes effect after it was given up",
    StreamDown 0.0 "Kinesis: a request while the stream is down",
    ShardSplit 0.0 "Kinesis: a shard is split",
    ShardsMerged 0.0 "Kinesis: two shards are merged",
    ReshardedInFlight 0.0 "Kinesis: a shard is closed with records that nobody has read",
    BatchTwice 0.05 "Kinesis: a batch is delivered twice at once",
    CheckpointLost 0.05 "Kinesis: a checkpoint is lost, and its batch comes again",
    Bisected 0.0 "Kinesis: a batch is bisected",
    ResumedAtLowest 0.0 "Kinesis: a batch goes on at the lowest failed record",
    Undelivered 0.0 "Kinesis: a record is too old, and goes to the bucket",
    PutBack 0.0 "Kinesis: a record is put back from the bucket",
    WriteThrottled 0.03 "DynamoDB: `BatchWriteItem` throttled",
    ItemsUnprocessed 0.08 "DynamoDB: `BatchWriteItem` leaves items unprocessed",
    WriteUnanswered 0.04 "DynamoDB: `BatchWriteItem` done, its answer lost",
    WriteLate 0.03 "DynamoDB: `BatchWriteItem` takes effect after it was given up",
    TableDown 0.0 "DynamoDB: a request while the table is down",
}

impl Fault {
    /// What happens.
    pub fn text(self) -> &'static str {
        Self::TABLE[self as usize].0
    }
}

/// How long things go wrong.
pub const STORM: Duration = Duration::from_mins(20);

/// The faults of a run.
#[derive(Debug)]
pub struct Faults {
    stormy: bool,
    rates: Vec<Rate>,
    raging: AtomicBool,
    counts: Vec<AtomicU64>,
}

impl Faults {
    /// Not every run has every fault, and some have one of them often: what hides behind one fault shows without it.
    pub(super) fn drawn(rng: &mut Rng, stormy: bool) -> Self {
        let mut rate = |&(_, rate): &(&str, Rate)| rate * [0.0, 1.0, 1.0, 3.0][rng.usize(..4)];
        Self {
            stormy,
            rates: Fault::TABLE.iter().map(&mut rate).collect(),
            raging: AtomicBool::new(stormy),
            counts: Fault::TABLE.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Whether this is a run in which things go wrong.
    pub fn stormy(&self) -> bool {
        self.stormy
    }

    /// Whether things go wrong now.
    pub fn rage(&self) -> bool {
        self.raging.load(Ordering::Relaxed)
    }

    /// From now on nothing does.
    pub fn end(&self) {
        self.raging.store(false, Ordering::Relaxed);
    }

    pub(super) fn threatens(&self, fault: Fault, rng: &mut Rng) -> bool {
        self.rage() && rng.f64() < self.rates[fault as usize]
    }

    /// Counts it.
    pub fn happened(&self, fault: Fault, times: usize) {
        self.counts[fault as usize].fetch_add(times as u64, Ordering::Relaxed);
    }

    /// How often each happened, in the order of [`Fault::ALL`].
    pub fn counts(&self) -> Vec<u64> {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

/// When a service is down: never, or once for up to twelve minutes, which is longer than Sigfox repeats a callback.
pub(super) fn outage(rng: &mut Rng, stormy: bool) -> Range<Duration> {
    if !stormy || rng.f64() < 0.75 {
        return Duration::ZERO..Duration::ZERO;
    }
    let [from, lasts] = [rng.u64(0..480), if rng.bool() { rng.u64(1..60) } else { rng.u64(60..720) }];
    Duration::from_secs(from)..Duration::from_secs(from + lasts)
}
