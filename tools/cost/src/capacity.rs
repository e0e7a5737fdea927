//! Shards and tasks that a rate of uplinks needs, from measurements.

use rust_decimal::{Decimal, dec};

use crate::aws::BatchSize;
use crate::limits::{RECORD_BYTES, SHARD_BYTES, SHARD_RECORDS, SHARD_USE};
use crate::load::Arrival;
use crate::measurement::{Function, Measurement};
use crate::money::{measured, whole};
use crate::template::{SCALING_TARGET, STREAM_BATCH, TASK_SIZES, TASKS};

/// Part of a processor that tasks may use in a burst, which is over before scaling reacts.
const BURST_USE: Decimal = dec!(0.8);

/// Maximum number of tasks of a size before the next larger size is chosen: many small tasks are harder to operate.
const TASKS_OF_A_SIZE: u32 = 4;

/// Tasks of the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bridge {
    /// Number of tasks.
    pub tasks: u32,
    /// Size of each, in 1024ths of a processor: one of [`TASK_SIZES`].
    pub size: u32,
}

impl Bridge {
    /// Processors of each task.
    pub fn processors(self) -> Decimal {
        Decimal::from(self.size) / dec!(1024)
    }
}

/// Uplinks of the busiest second, for `average` uplinks a second.
pub fn peak(average: Decimal, arrival: Arrival) -> Decimal {
    match arrival {
        Arrival::Uniform | Arrival::Jitter => average,
        Arrival::TopOfHour => average * dec!(60),
    }
}

/// Tasks for `datagrams` a second: at least two, of the smallest size of which a few suffice.
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

/// Processor seconds of a datagram.
pub fn processor_seconds(of: &Measurement) -> Decimal {
    measured(of.bridge.cpu_seconds_per_million) / dec!(1_000_000)
}

/// Mean uplinks of a stream record that a bridge writes, at `uplinks` a second through that bridge.
pub fn in_a_record(uplinks: Decimal, of: &Measurement) -> Decimal {
    let stream = &of.stream;
    let rate = stream.uplinks_per_second / stream.bridges;
    BatchSize { measured: stream.uplinks_per_record, rate, max: full_record(of) }.at(uplinks)
}

/// Bytes of an uplink in a record, with its share of the record's frame.
pub fn bytes_in_a_record(of: &Measurement) -> Decimal {
    measured(of.stream.record_bytes) / measured(of.stream.uplinks_per_record)
}

/// Uplinks of a full record; an uplink has at least one byte.
fn full_record(of: &Measurement) -> Decimal {
    (RECORD_BYTES / bytes_in_a_record(of)).floor().clamp(Decimal::ONE, RECORD_BYTES)
}

/// Uplinks a second that one instance of a function processes, in batches of `uplinks`, if it runs `slower` times as long
/// as measured.
pub fn throughput(function: &Function, uplinks: Decimal, slower: Decimal) -> Decimal {
    let milliseconds = (measured(function.fixed_ms) + measured(function.per_uplink_ms) * uplinks) * slower;
    uplinks * dec!(1000) / milliseconds.max(Decimal::ONE)
}

/// Uplinks a second that the function behind a shard processes. A shard has one instance at a time, and with a backlog its
/// batches are full.
pub fn behind_a_shard(of: &Measurement, slower: Decimal) -> Decimal {
    throughput(&of.functions.raw_nbiot, STREAM_BATCH * full_record(of), slower)
}

/// Rates at which a stream receives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inflow {
    /// Uplinks of the busiest second.
    pub uplinks: Decimal,
    /// Records of the busiest second.
    pub records: Decimal,
    /// Uplinks a second, on average.
    pub average: Decimal,
}

/// Shards that accept the busiest second, and whose functions keep up with the average if they run `slower` times as long
/// as measured.
pub fn shards(inflow: Inflow, of: &Measurement, slower: Decimal) -> u32 {
    let bytes = inflow.uplinks * bytes_in_a_record(of) / SHARD_BYTES;
    let functions = inflow.average / behind_a_shard(of, slower);
    let shards = whole(bytes.max(inflow.records / SHARD_RECORDS).max(functions) / SHARD_USE);
    u32::try_from(shards).unwrap_or(u32::MAX).max(1)
}
