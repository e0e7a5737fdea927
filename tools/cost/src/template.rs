//! Values of `template.yaml` that a bill or a plan depends on. A test compares them with the template.

use rust_decimal::{Decimal, dec};

/// Maximum messages of an invocation behind a queue (`BatchSize`).
pub const QUEUE_BATCH: Decimal = dec!(50);

/// Seconds for which Lambda collects them (`MaximumBatchingWindowInSeconds`).
pub const QUEUE_WINDOW: Decimal = dec!(5);

/// Maximum records of an invocation behind the stream (`BatchSize`).
pub const STREAM_BATCH: Decimal = dec!(50);

/// Seconds for which Lambda collects them (`MaximumBatchingWindowInSeconds`).
pub const STREAM_WINDOW: Decimal = dec!(1);

/// Tables that have the capacity of the parameters `TableWriteCapacity` and `TableReadCapacity` each: raw uplinks and
/// pulses. Device events are few, and paid by request.
pub const TABLES: Decimal = dec!(2);

/// Default of `TableReadCapacity`.
pub const READ_CAPACITY: Decimal = dec!(5);

/// Default of `RawRetentionDays`.
pub const RAW_DAYS: u32 = 400;

/// Default of `LogRetentionDays`.
pub const LOG_DAYS: Decimal = dec!(14);

/// Default of `StreamRetentionHours`; a longer retention costs more.
pub const STREAM_HOURS: u32 = 24;

/// Secrets: the callbacks' and the meters' master keys.
pub const SECRETS: Decimal = dec!(2);

/// Alarms of the bridge: three of its own, and two for each of its two scaling policies.
pub const BRIDGE_ALARMS: Decimal = dec!(7);

/// Addresses of the load balancer: one for each zone. Each task has one in addition.
pub const BALANCER_ADDRESSES: Decimal = dec!(2);

/// Default and minimum of `BridgeMinTasks`.
pub const TASKS: u32 = 2;

/// Values of `BridgeCpu`, in 1024ths of a processor.
pub const TASK_SIZES: [u32; 5] = [256, 512, 1024, 2048, 4096];

/// GB of memory for each whole processor.
pub const GB_PER_PROCESSOR: Decimal = dec!(2);

/// Target of the bridge's scaling: used part of a processor.
pub const SCALING_TARGET: Decimal = dec!(0.5);
