//! Faults: their kinds, their rates, and how often each occurred.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;

/// Probability of a fault, each time it could occur. A rate of 0: it follows from other faults or is arranged, and is
/// only counted.
type Rate = f64;

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident $rate:literal $text:literal),* $(,)?) => {
        /// A kind of fault, or a consequence of one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $(#[doc = $text] $name),* }

        impl Fault {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            const TABLE: &[(&str, Rate)] = &[$(($text, $rate)),*];
        }
    };
}

faults! {
    CallbackLost 0.03 "Sigfox: a callback never arrives",
    CallbackThrottled 0.03 "Sigfox: the API answers a callback with 429",
    CallbackRepeated 0.03 "Sigfox: a callback arrives twice",
    CallbackDelayed 0.05 "Sigfox: a callback arrives late",
    CallbackUnanswered 0.04 "Sigfox: the answer to a callback is lost",
    CallbackGivenUp 0.0 "Sigfox: a callback is given up after four attempts",
    CallbackRecovered 0.0 "Sigfox: an undelivered callback is recovered",
    DatagramLost 0.05 "UDP: a datagram is lost",
    DatagramRepeated 0.03 "UDP: a datagram arrives twice",
    DatagramDelayed 0.05 "UDP: a datagram arrives late",
    AcknowledgementLost 0.05 "UDP: an acknowledgement is lost",
    BridgeKilled 0.005 "bridge: killed while it holds readings",
    BridgeGaveBack 0.0 "bridge: a reading is not acknowledged, because its put failed",
    InvocationThrottled 0.02 "Lambda: no capacity for an invocation",
    InvocationKilled 0.05 "Lambda: killed at an await",
    InvocationTimedOut 0.03 "Lambda: times out half-way",
    InvocationUnanswered 0.03 "Lambda: succeeds, but its answer is lost",
    CallerGoneBefore 0.0 "a request's sender ends before the request's effect",
    CallerGoneBetween 0.0 "a request's sender ends between effect and answer",
    SendRefused 0.02 "SQS: `SendMessageBatch` is rejected",
    SendPartlyRefused 0.04 "SQS: `SendMessageBatch` rejects some entries",
    SendUnanswered 0.03 "SQS: `SendMessageBatch` succeeds, but its answer is lost",
    SendLate 0.02 "SQS: `SendMessageBatch` takes effect after its time-out",
    QueueDown 0.0 "SQS: a request while the queue is down",
    ReceivedTwice 0.04 "SQS: a message is delivered twice at once",
    DeleteLost 0.02 "SQS: a deleted message stays",
    DeletedCameBack 0.01 "SQS: a deleted message is delivered again later",
    HandleOutdated 0.0 "SQS: a message is deleted with an outdated receipt handle",
    Redelivered 0.0 "SQS: a message is redelivered after its visibility time-out",
    PartOfBatchFailed 0.0 "SQS: a part of a batch is given back",
    DeadLettered 0.0 "SQS: a message becomes a dead letter",
    Redriven 0.0 "SQS: a dead letter is sent back",
    PutRefused 0.03 "Kinesis: `PutRecords` is rejected",
    PutPartlyRefused 0.08 "Kinesis: `PutRecords` rejects some records",
    PutUnanswered 0.04 "Kinesis: `PutRecords` succeeds, but its answer is lost",
    PutLate 0.03 "Kinesis: `PutRecords` takes effect after its time-out",
    StreamDown 0.0 "Kinesis: a request while the stream is down",
    ShardSplit 0.0 "Kinesis: a shard is split",
    ShardsMerged 0.0 "Kinesis: two shards are merged",
    ReshardedInFlight 0.0 "Kinesis: a shard is closed with unread records",
    BatchTwice 0.05 "Kinesis: a batch is delivered twice at once",
    CheckpointLost 0.05 "Kinesis: a checkpoint is lost, and its batch is delivered again",
    Bisected 0.0 "Kinesis: a batch is bisected",
    ResumedAtLowest 0.0 "Kinesis: a batch resumes at the lowest failed record",
    Undelivered 0.0 "Kinesis: a record is too old and goes to the bucket",
    PutBack 0.0 "Kinesis: a record is put back from the bucket",
    WriteThrottled 0.03 "DynamoDB: `BatchWriteItem` is throttled",
    ItemsUnprocessed 0.08 "DynamoDB: `BatchWriteItem` leaves items unprocessed",
    WriteUnanswered 0.04 "DynamoDB: `BatchWriteItem` succeeds, but its answer is lost",
    WriteLate 0.03 "DynamoDB: `BatchWriteItem` takes effect after its time-out",
    TableDown 0.0 "DynamoDB: a request while the table is down",
}

impl Fault {
    /// Returns the description of the fault.
    pub fn text(self) -> &'static str {
        Self::TABLE[self as usize].0
    }
}

/// Time for which faults occur.
pub const STORM: Duration = Duration::from_mins(20);

/// The faults of one run.
#[derive(Debug)]
pub struct Faults {
    stormy: bool,
    rates: Vec<Rate>,
    active: AtomicBool,
    counts: Vec<AtomicU64>,
}

impl Faults {
    /// Draws the rates of a run. Not every run has every fault, and some have one often: one fault can hide the effects
    /// of another.
    pub(super) fn drawn(rng: &mut Rng, stormy: bool) -> Self {
        let mut rate = |&(_, rate): &(&str, Rate)| rate * [0.0, 1.0, 1.0, 3.0][rng.usize(..4)];
        Self {
            stormy,
            rates: Fault::TABLE.iter().map(&mut rate).collect(),
            active: AtomicBool::new(stormy),
            counts: Fault::TABLE.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Returns whether this is a run with faults.
    pub fn stormy(&self) -> bool {
        self.stormy
    }

    /// Returns whether faults occur now.
    pub fn are_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Stops the faults.
    pub fn end(&self) {
        self.active.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_due(&self, fault: Fault, rng: &mut Rng) -> bool {
        self.are_active() && rng.f64() < self.rates[fault as usize]
    }

    /// Counts occurrences of a fault.
    pub fn happened(&self, fault: Fault, times: usize) {
        self.counts[fault as usize].fetch_add(times as u64, Ordering::Relaxed);
    }

    /// Returns the occurrences of each fault, in the order of [`Fault::ALL`].
    pub fn counts(&self) -> Vec<u64> {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

/// Draws the outage of a service: none, or one of up to twelve minutes, which is longer than Sigfox repeats a callback.
pub(super) fn outage(rng: &mut Rng, stormy: bool) -> Range<Duration> {
    if !stormy || rng.f64() < 0.75 {
        return Duration::ZERO..Duration::ZERO;
    }
    let [from, lasts] = [rng.u64(0..480), if rng.bool() { rng.u64(1..60) } else { rng.u64(60..720) }];
    Duration::from_secs(from)..Duration::from_secs(from + lasts)
}
