//! What `template.yaml` says, as far as a bill or a plan depends on it. A test holds these to the template.

use rust_decimal::{Decimal, dec};

/// Messages that an invocation behind a queue is given at most (`BatchSize`).
pub const QUEUE_BATCH: Decimal = dec!(50);

/// Seconds for which Lambda gathers them (`MaximumBatchingWindowInSeconds`).
pub const QUEUE_WINDOW: Decimal = dec!(5);

/// Records that an invocation behind the stream is given at most (`BatchSize`).
pub const STREAM_BATCH: Decimal = dec!(50);

/// Seconds for which Lambda gathers them (`MaximumBatchingWindowInSeconds`).
pub const STREAM_WINDOW: Decimal = dec!(1);

/// Tables whose capacity is that of the parameters `TableWriteCapacity` and `TableReadCapacity`, each: raw uplinks and
/// pulses. What the network says about devices is little, and paid by request.
pub const TABLES: Decimal = dec!(2);

/// `TableReadCapacity`, if it is not set.
pub const READ_CAPACITY: Decimal = dec!(5);

/// `RawRetentionDays`, if it is not set.
pub const RAW_DAYS: u32 = 400;

/// `LogRetentionDays`, if it is not set.
pub const LOG_DAYS: Decimal = dec!(14);

/// `StreamRetentionHours`, if it is not set; what is kept longer costs more.
pub const STREAM_HOURS: u32 = 24;

/// Secrets: of callbacks, and the meters' master keys.
pub const SECRETS: Decimal = dec!(2);

/// Alarms that come with the bridge: its own three, and two that each of its two scaling policies makes.
pub const BRIDGE_ALARMS: Decimal = dec!(7);

/// Addresses of the load balancer: one for each zone. Each task has one more.
pub const BALANCER_ADDRESSES: Decimal = dec!(2);

/// `BridgeMinTasks`, if it is not set, and the least that it may be.
pub const TASKS: u32 = 2;

/// Values of `BridgeCpu`, in 1024ths of a processor.
pub const TASK_SIZES: [u32; 5] = [256, 512, 1024, 2048, 4096];

/// GB of memory that come with each whole processor.
pub const GB_PER_PROCESSOR: Decimal = dec!(2);

/// Part of a processor that the scaling of the bridge aims at.
pub const SCALING_TARGET: Decimal = dec!(0.5);
