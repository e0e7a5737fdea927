//! Limits of AWS, and of this project on AWS, that bills and plans depend on.

use rust_decimal::{Decimal, dec};

/// Bytes that SQS bills as one request, and the most that a message of ours has
/// (<https://aws.amazon.com/sqs/pricing/>).
pub const MESSAGE_BYTES: Decimal = bytes(pulsegate_model::envelope::MAX_BYTES);

/// Bytes of a record that Kinesis bills as one unit, and the most that a record of ours has
/// (<https://aws.amazon.com/kinesis/data-streams/pricing/>).
pub const RECORD_BYTES: Decimal = bytes(pulsegate_model::aggregate::MAX_BYTES);

/// Bytes of a callback beyond which the function answers 413 (`docs/sigfox.md`). API Gateway bills twice as much, 512 KB, as one
/// call (<https://aws.amazon.com/api-gateway/pricing/>).
pub const CALLBACK_BYTES: Decimal = dec!(262_144);

/// Uplinks of a batch that would fit into a query string: API Gateway takes 10,240 bytes of request line and headers
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>), of which some 1,000 are the
/// caller's headers, and a line has some 60 once its separators are encoded.
pub const QUERY_UPLINKS: Decimal = dec!(150);

/// By how much a function of 256 MB is slower than a whole processor, which comes with 1,769 MB
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>).
pub const SHARE: Decimal = dec!(6.91);

/// Bytes and records that a shard takes in a second
/// (<https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>).
pub const SHARD_BYTES: Decimal = dec!(1_000_000);
/// See [`SHARD_BYTES`].
pub const SHARD_RECORDS: Decimal = dec!(1000);

/// Part of a shard that is used: records go to shards by chance, so that one gets more than another.
pub const SHARD_USE: Decimal = dec!(0.7);

/// Messages that SQS gives or deletes in one call
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
pub const CALL_MESSAGES: Decimal = dec!(10);

/// Pollers that Lambda keeps at a queue in which nothing is, each of which asks for 20 seconds
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>).
pub const POLLERS: Decimal = dec!(5);
/// See [`POLLERS`].
pub const POLL_SECONDS: Decimal = dec!(20);

/// Bytes of the heads of IP and UDP.
pub const UDP_HEADS: Decimal = dec!(28);

/// Seconds for which a load balancer counts a UDP flow as open after its last datagram
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/network-load-balancers.html>).
pub const UDP_IDLE: Decimal = dec!(120);

/// Bytes that `DynamoDB` adds to each item it stores
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>).
pub const ITEM_OVERHEAD: Decimal = dec!(100);

/// Writes a second that a table takes, paid by request or provisioned, unless AWS raises it for the account
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html>).
pub const TABLE_WRITES: Decimal = dec!(40_000);

/// Calls a second that an account's APIs take together, and calls at once, unless AWS raises them
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>).
pub const ACCOUNT_CALLS: Decimal = dec!(10_000);
/// See [`ACCOUNT_CALLS`].
pub const ACCOUNT_BURST: Decimal = dec!(5000);

/// Seconds for which the bridge keeps trying to put what it holds, before it leaves it to the meters (`docs/operate.md`).
pub const BRIDGE_PATIENCE: Decimal = dec!(10);

/// Seconds after which a function reads its secret anew, each of its two versions.
pub const SECRET_SECONDS: Decimal = dec!(300);
/// See [`SECRET_SECONDS`].
pub const SECRET_VERSIONS: Decimal = dec!(2);

#[expect(clippy::cast_possible_truncation, reason = "some kilobytes")]
const fn bytes(number: usize) -> Decimal {
    Decimal::from_parts(number as u32, 0, 0, false, 0)
}
