//! Limits of AWS, and of this project, that bills and plans depend on.

use rust_decimal::{Decimal, dec};

/// Bytes that SQS bills as one request, and the maximum size of a message of this project
/// (<https://aws.amazon.com/sqs/pricing/>).
pub const MESSAGE_BYTES: Decimal = bytes(pulsegate_model::envelope::MAX_BYTES);

/// Bytes of a record that Kinesis bills as one unit, and the maximum size of a record of this project
/// (<https://aws.amazon.com/kinesis/data-streams/pricing/>).
pub const RECORD_BYTES: Decimal = bytes(pulsegate_model::aggregate::MAX_BYTES);

/// Maximum bytes of a callback; the function answers 413 to a longer one (`docs/sigfox.md`). API Gateway bills twice as
/// many, 512 KB, as one call (<https://aws.amazon.com/api-gateway/pricing/>).
pub const CALLBACK_BYTES: Decimal = dec!(262_144);

/// Uplinks of a batch that fit into a query string: API Gateway accepts 10,240 bytes of request line and headers
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>). The caller's headers take about
/// 1,000 of them, and a line takes about 60 after its separators are encoded.
pub const QUERY_UPLINKS: Decimal = dec!(150);

/// Factor by which a function of 256 MB is slower than a whole processor, which AWS gives to 1,769 MB
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>).
pub const SHARE: Decimal = dec!(6.91);

/// Bytes and records that a shard accepts in a second
/// (<https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>).
pub const SHARD_BYTES: Decimal = dec!(1_000_000);
/// See [`SHARD_BYTES`].
pub const SHARD_RECORDS: Decimal = dec!(1000);

/// Planned use of a shard. Records are distributed at random, so that some shards get more than others.
pub const SHARD_USE: Decimal = dec!(0.7);

/// Messages that SQS returns or deletes in one call
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
pub const CALL_MESSAGES: Decimal = dec!(10);

/// Bytes of an invocation's event (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
pub const EVENT_BYTES: Decimal = dec!(6_291_456);

/// Bytes that an event adds to each message or record: receipt, attributes, names; from recorded events, rounded up.
pub const EVENT_OVERHEAD: Decimal = dec!(700);

/// Factor by which base64 lengthens a record of a stream.
pub const BASE64: Decimal = dec!(1.3333333333333333333333333333);

/// Pollers that Lambda keeps at an empty queue; each request waits for 20 seconds
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>).
pub const POLLERS: Decimal = dec!(5);
/// See [`POLLERS`].
pub const POLL_SECONDS: Decimal = dec!(20);

/// Bytes of the IP and UDP headers.
pub const UDP_HEADS: Decimal = dec!(28);

/// Idle time-out of a UDP flow at a load balancer, seconds
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/network-load-balancers.html>).
pub const UDP_IDLE: Decimal = dec!(120);

/// Bytes that `DynamoDB` adds to each stored item
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>).
pub const ITEM_OVERHEAD: Decimal = dec!(100);

/// Objects that one request lists, and that `settle` merges in a pass
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>).
pub const LISTED: Decimal = dec!(1000);

/// Planned rows of a file of `day/`: 56,250 hourly meters. A larger file is longer in memory when `settle` merges it.
pub const FILE_ROWS: Decimal = dec!(1_350_000);

/// Rows of a row group of a file (`pulsegate_pipeline::archive::file`).
pub const ROW_GROUP: Decimal = dec!(32_768);

/// Rows of a row group of a file of points or of reports (`pulsegate_pipeline::archive::points::file`).
pub const POINTS_GROUP: Decimal = dec!(131_072);

/// Files of assignments (`pulsegate_pipeline::archive::assignments`).
pub const ASSIGNMENT_FILES: Decimal = dec!(64);

/// Sources that the daily pass reads at once (`pulsegate_pipeline::archive::days::sources`).
pub const DAYS_READS_AT_ONCE: Decimal = dec!(16);

/// Most bits of a partition (`pulsegate_pipeline::archive::place`).
pub const MAX_BITS: u32 = 10;

/// Bytes that Athena bills for a query at least (<https://aws.amazon.com/athena/pricing/>).
pub const QUERY_BYTES: Decimal = dec!(10_000_000);

/// Default quota of an account for writes a second of a table, by request or provisioned; AWS raises it on request
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html>).
pub const TABLE_WRITES: Decimal = dec!(40_000);

/// Default quotas of an account for calls a second, and for a burst of calls, of all its APIs together; AWS raises them on
/// request
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>).
pub const ACCOUNT_CALLS: Decimal = dec!(10_000);
/// See [`ACCOUNT_CALLS`].
pub const ACCOUNT_BURST: Decimal = dec!(5000);

/// Seconds for which the bridge retries a put. After that the meters have to send again (`docs/operate.md`).
pub const BRIDGE_TIMEOUT: Decimal = dec!(10);

/// Seconds after which a function reads both versions of its secret again.
pub const SECRET_SECONDS: Decimal = dec!(300);
/// See [`SECRET_SECONDS`].
pub const SECRET_VERSIONS: Decimal = dec!(2);

#[expect(clippy::cast_possible_truncation, reason = "the limits are some kilobytes")]
const fn bytes(number: usize) -> Decimal {
    Decimal::from_parts(number as u32, 0, 0, false, 0)
}
