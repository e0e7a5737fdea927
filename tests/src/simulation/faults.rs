//! Faults: their kinds, their rates, and how often each occurred.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;

/// Probability of a fault, each time it could occur. A rate of 0: it follows from other faults or is arranged, and is
/// only counted.
pub type Rate = f64;

/// The kinds of faults of a simulation.
pub trait FaultKind: Debug + Copy + Send + Sync + 'static {
    /// All kinds.
    const ALL: &'static [Self];
    /// Their descriptions and rates, in the same order.
    const TABLE: &'static [(&'static str, Rate)];
    /// A request's sender ends before the request's effect.
    const CALLER_GONE_BEFORE: Self;
    /// A request's sender ends between effect and answer.
    const CALLER_GONE_BETWEEN: Self;

    /// Returns its position in [`Self::ALL`].
    fn position(self) -> usize;

    /// Returns its description.
    fn text(self) -> &'static str {
        Self::TABLE[self.position()].0
    }
}

/// Defines the kinds of faults of a simulation. `CallerGoneBefore` and `CallerGoneBetween` are always among them.
macro_rules! faults {
    ($(#[doc = $of:literal])* $kind:ident { $($name:ident $rate:literal $text:literal),* $(,)? }) => {
        $(#[doc = $of])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $kind { $(#[doc = $text] $name),* }

        impl $crate::simulation::faults::FaultKind for $kind {
            const ALL: &'static [Self] = &[$(Self::$name),*];
            const TABLE: &'static [(&'static str, $crate::simulation::faults::Rate)] = &[$(($text, $rate)),*];
            const CALLER_GONE_BEFORE: Self = Self::CallerGoneBefore;
            const CALLER_GONE_BETWEEN: Self = Self::CallerGoneBetween;

            fn position(self) -> usize {
                self as usize
            }
        }
    };
}

pub(super) use faults;

faults! {
    /// A kind of fault of the pipeline, or a consequence of one.
    Fault {
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
        BridgeKilled 0.02 "bridge: killed while it holds readings",
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
        ObjectPutThrottled 0.03 "S3: a put is answered with 503",
        ObjectPutUnanswered 0.05 "S3: a put succeeds, but its answer is lost",
        ObjectPutLate 0.05 "S3: a put takes effect after its time-out",
        BucketDown 0.0 "S3: a put while the store is down",
    }
}

/// Time for which faults occur.
pub const STORM: Duration = Duration::from_mins(20);

/// The faults of one run.
#[derive(Debug)]
pub struct Faults<F = Fault> {
    kind: PhantomData<F>,
    stormy: bool,
    rates: Vec<Rate>,
    active: AtomicBool,
    counts: Vec<AtomicU64>,
}

impl<F: FaultKind> Faults<F> {
    /// Draws the rates of a run. Not every run has every fault, and some have one often: one fault can hide the effects
    /// of another.
    pub(super) fn drawn(rng: &mut Rng, stormy: bool) -> Self {
        let mut rate = |&(_, rate): &(&str, Rate)| rate * [0.0, 1.0, 1.0, 3.0][rng.usize(..4)];
        Self {
            kind: PhantomData,
            stormy,
            rates: F::TABLE.iter().map(&mut rate).collect(),
            active: AtomicBool::new(stormy),
            counts: F::TABLE.iter().map(|_| AtomicU64::new(0)).collect(),
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

    pub(super) fn is_due(&self, fault: F, rng: &mut Rng) -> bool {
        self.are_active() && rng.f64() < self.rates[fault.position()]
    }

    /// Counts occurrences of a fault.
    pub fn happened(&self, fault: F, times: usize) {
        self.counts[fault.position()].fetch_add(times as u64, Ordering::Relaxed);
    }

    /// Returns the occurrences of each fault, in the order of [`FaultKind::ALL`].
    pub fn counts(&self) -> Vec<u64> {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

/// Returns the kinds of faults that never occurred, by their counts.
pub fn unseen<F: FaultKind>(counts: &[u64]) -> Vec<&'static str> {
    F::ALL.iter().zip(counts).filter(|&(_, &count)| count == 0).map(|(fault, _)| fault.text()).collect()
}

/// Returns the faults and their counts as a table.
pub fn table<F: FaultKind>(counts: &[u64]) -> String {
    let rows = F::ALL.iter().zip(counts);
    let rows: Vec<String> = rows.map(|(fault, count)| format!("{count:>12}  {}\n", fault.text())).collect();
    rows.concat()
}

/// Draws the outage of a service, which begins within so many seconds: none, or one of up to twelve minutes, which is longer
/// than Sigfox repeats a callback.
pub(super) fn outage(rng: &mut Rng, stormy: bool, within: u64) -> Range<Duration> {
    if !stormy || rng.f64() < 0.75 {
        return Duration::ZERO..Duration::ZERO;
    }
    let [from, lasts] = [rng.u64(0..within), if rng.bool() { rng.u64(1..60) } else { rng.u64(60..720) }];
    Duration::from_secs(from)..Duration::from_secs(from + lasts)
}
