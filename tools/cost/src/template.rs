//! Values of `template.yaml` that a bill or a plan depends on. A test compares them with the template.

use rust_decimal::{Decimal, dec};

/// Maximum messages of an invocation of a pulse stage (`BatchSize`).
pub const QUEUE_BATCH: Decimal = dec!(50);

/// Seconds for which Lambda collects them (`MaximumBatchingWindowInSeconds`), with a table of pulses.
pub const QUEUE_WINDOW: Decimal = dec!(5);

/// Maximum records of an invocation behind the stream (`BatchSize`), with a table of pulses.
pub const STREAM_BATCH: Decimal = dec!(50);

/// Seconds for which Lambda collects them (`MaximumBatchingWindowInSeconds`), with a table of pulses.
pub const STREAM_WINDOW: Decimal = dec!(1);

/// Maximum messages of an invocation of `raw-sigfox`, and records of `raw-nbiot` without a table of pulses: Lambda's maximum, so
/// that the window or the maximum length of an event ends a batch.
pub const ARCHIVE_BATCH: Decimal = dec!(10_000);

/// Seconds for which Lambda collects them without a table of pulses (`BatchingWindowSeconds`).
pub const ARCHIVE_WINDOW: Decimal = dec!(60);

/// Default of `SettleSchedule`, minutes.
pub const SETTLE_MINUTES: u32 = 15;

/// Runs of `derive` in a month: the default of `DeriveSchedule` is nightly.
pub const DERIVE_RUNS: Decimal = dec!(30.416666666666666666666666667);

/// Runs of `days` in a day that look for changed sources: the default of `DaysSchedule` is hourly.
pub const DAYS_RUNS_A_DAY: Decimal = dec!(24);

/// Default of `DaysConcurrency`: partitions whose days are made at once.
pub const DAYS_CONCURRENCY: u32 = 8;

/// Time-out of `settle` and of `derive`, seconds: Lambda's maximum.
pub const RUN_SECONDS: Decimal = dec!(900);

/// Days for which the bucket keeps older versions (`NoncurrentVersionExpiration`): all of them for a day, of which the
/// end is rounded up to midnight, and the newest four of a file of `day/` for 35 days.
pub const VERSION_DAYS: Decimal = dec!(1.5);
/// See [`VERSION_DAYS`].
pub const NEWEST_VERSIONS: Decimal = dec!(4);
/// See [`VERSION_DAYS`].
pub const NEWEST_VERSION_DAYS: Decimal = dec!(35);

/// Default of `TableReadCapacity`.
pub const READ_CAPACITY: Decimal = dec!(5);

/// Default of `LogRetentionDays`.
pub const LOG_DAYS: Decimal = dec!(14);

/// Default of `StreamRetentionHours`; a longer retention costs more.
pub const STREAM_HOURS: u32 = 24;

/// Secrets: the callbacks' and the meters' master keys.
pub const SECRETS: Decimal = dec!(2);

/// Alarms of the bridge: three of its own, and two for each of its two scaling policies.
pub const BRIDGE_ALARMS: Decimal = dec!(7);

/// Alarms of the archive: `settle` stands still, fails, or touches many files; an object cannot be read; `derive` fails;
/// `days` fails.
pub const ARCHIVE_ALARMS: Decimal = dec!(6);

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
