//! What a fleet needs, each as a function of rates and of what was measured.

use rust_decimal::{Decimal, dec};

use crate::cost::aws::Gathering;
use crate::cost::deployed::{SCALING_TARGET, STREAM_BATCH, TASK_SIZES, TASKS};
use crate::cost::limits::{RECORD_BYTES, SHARD_BYTES, SHARD_RECORDS, SHARD_USE};
use crate::cost::measurement::{Function, Measurement};
use crate::cost::money::{measured, whole};
use crate::spec::Arrival;

/// Part of a processor that tasks may use in a burst, for which scaling comes too late.
const BURST_USE: Decimal = dec!(0.8);

/// Tasks beyond which larger ones are taken: with more of them, each addition is one of many to look after.
const TASKS_OF_A_SIZE: u32 = 4;

/// Tasks of the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bridge {
    /// How many.
    pub tasks: u32,
    /// 1024ths of a processor of each: one of [`TASK_SIZES`].
    pub size: u32,
}

impl Bridge {
    /// Processors of each task.
    pub fn processors(self) -> Decimal {
        Decimal::from(self.size) / dec!(1024)
    }
}

/// Uplinks of the fastest second, of so many a second on average.
pub fn peak(average: Decimal, arrival: Arrival) -> Decimal {
    match arrival {
        Arrival::Uniform | Arrival::Jitter => average,
        Arrival::TopOfHour => average * dec!(60),
    }
}

/// Tasks for so many datagrams a second: at least two, and of the smallest size of which a few are enough.
pub fn bridge(datagrams: Decimal, arrival: Arrival, of: &Measurement) -> Bridge {
    let used = match arrival {
        Arrival::Uniform | Arrival::Jitter => SCALING_TARGET,
        Arrival::TopOfHour => BURST_USE,
    };
    let needed = datagrams * processor_seconds(of) / used;
    let tasks = |size: u32| {
        let tasks = whole(needed * dec!(1024) / Decimal::from(size));
        u32::try_from(tasks).unwrap_or(u32::MAX).max(TASKS)
    };
    let largest = TASK_SIZES[TASK_SIZES.len() - 1];
    let size = TASK_SIZES.into_iter().find(|size| tasks(*size) <= TASKS_OF_A_SIZE).unwrap_or(largest);
    Bridge { tasks: tasks(size), size }
}

/// Processor time of a datagram.
pub fn processor_seconds(of: &Measurement) -> Decimal {
    measured(of.bridge.cpu_seconds_per_million) / dec!(1_000_000)
}

/// Uplinks that a bridge puts into a record of the stream, of so many a second that it gets.
pub fn in_a_record(uplinks: Decimal, of: &Measurement) -> Decimal {
    let stream = &of.stream;
    let at = stream.uplinks_per_second / stream.bridges;
    Gathering { held: stream.uplinks_per_record, at, most: full_record(of) }.holds(uplinks)
}

/// Bytes of an uplink in a record, with its share of what is around it.
pub fn bytes_in_a_record(of: &Measurement) -> Decimal {
    measured(of.stream.record_bytes) / measured(of.stream.uplinks_per_record)
}

/// Uplinks of a full record, each of which has a byte at least.
fn full_record(of: &Measurement) -> Decimal {
    (RECORD_BYTES / bytes_in_a_record(of)).floor().clamp(Decimal::ONE, RECORD_BYTES)
}

/// Uplinks a second that one instance of a function takes, in batches of so many, where it takes so many times as long as
/// measured.
pub fn throughput(function: &Function, uplinks: Decimal, slower: Decimal) -> Decimal {
    let milliseconds = (measured(function.fixed_ms) + measured(function.per_uplink_ms) * uplinks) * slower;
    uplinks * dec!(1000) / milliseconds.max(Decimal::ONE)
}

/// Uplinks a second that the function behind a shard takes, of which there is one at a time: with a backlog its batches are full.
pub fn behind_a_shard(of: &Measurement, slower: Decimal) -> Decimal {
    throughput(&of.functions.raw_nbiot, STREAM_BATCH * full_record(of), slower)
}

/// What a stream gets, a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inflow {
    /// Uplinks, of the fastest second.
    pub uplinks: Decimal,
    /// Records, of the fastest second.
    pub records: Decimal,
    /// Uplinks, on average.
    pub average: Decimal,
}

/// Shards that take the fastest second, and whose functions take the average though they take so many times as long as measured.
pub fn shards(inflow: Inflow, of: &Measurement, slower: Decimal) -> u32 {
    let bytes = inflow.uplinks * bytes_in_a_record(of) / SHARD_BYTES;
    let functions = inflow.average / behind_a_shard(of, slower);
    let shards = whole(bytes.max(inflow.records / SHARD_RECORDS).max(functions) / SHARD_USE);
    u32::try_from(shards).unwrap_or(u32::MAX).max(1)
}
