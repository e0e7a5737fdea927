//! One to three verbs each in front of AWS. What an adapter promises stands here; `aws` keeps it, `fakes` break it on purpose.
//!
//! The verbs of queue, table and stream follow one rule. They are handed several things and answer with the positions of those that are
//! **not** durable; an empty answer means that all of them are. Queue and table send again what was refused for the
//! moment; all give up at the deadline at the latest. Whatever is handed over may have been written although it is
//! reported as refused (an answer can get lost), so every write must be one that can be repeated.

use std::collections::BTreeSet;
use std::future::Future;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::device::DeviceId;
use crate::downlink::{Answer, Downlink, DownlinkId, Outcome};

mod replay;
mod size;
mod watch;

pub use replay::{Found, Inbox, Key, Lookup, MAX_KEYS, MAX_RECEIVED, Page, Pages, Part, ReadError, Received, Whose};
pub use size::item_size;
pub use watch::{Depth, Log, LogLine, Waiting};

/// Positions, in what was handed over, of what is not durable.
pub type Refused = BTreeSet<usize>;

/// An item of a table: names and values, in the database's types.
pub type Item = serde_dynamo::Item;

/// A queue of messages.
pub trait Queue {
    /// Sends every message. No message, no request.
    fn send(&self, bodies: &[String], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// A table whose items have the key `device` and `uplink`, or `device` and `event`.
pub trait Table {
    /// Puts every item, replacing one with the same key. Of several with the same key the last stays. No item, no
    /// request.
    fn put(&self, items: &[Item], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// What Kinesis takes in one `PutRecords`: this many records, and this many bytes with their keys.
/// (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>)
pub const MAX_STREAM_RECORDS: usize = 500;
/// See [`MAX_STREAM_RECORDS`].
pub const MAX_STREAM_BYTES: usize = 10 * 1024 * 1024;

/// A stream of records, ordered by partition key.
pub trait Stream {
    /// Puts every record, once: what is refused is the caller's to send again, who knows which meters wait for what was
    /// accepted meanwhile. No record, no request; more than one request takes are several, one after the other.
    fn put(&self, records: &[&StreamRecord], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// A record for a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRecord {
    /// Chooses the shard; records with the same key keep their order.
    pub partition_key: String,
    /// What the consumer gets.
    pub data: Vec<u8>,
}

/// How far something that is fetched has been fetched, by name.
pub trait Watermarks {
    /// The watermark last set, or `None` if none ever was.
    fn get(
        &self,
        name: &str,
        deadline: Instant,
    ) -> impl Future<Output = Result<Option<Watermark>, WatermarkError>> + Send;

    /// Sets it. After an error it may be set or not.
    fn set(
        &self,
        name: &str,
        watermark: &Watermark,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), WatermarkError>> + Send;
}

/// Everything before `since` has been fetched and is durable. Times are in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// Where the next pass begins, or where the unfinished one has begun.
    pub since: u64,
    /// The pass that has not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Unfinished>,
}

/// How far a pass from `since` on has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// Where it ends.
    pub before: u64,
    /// How many of its finds are durable, in the order in which they are listed.
    pub offset: u64,
}

/// A watermark can be neither read nor set now.
#[derive(Debug, thiserror::Error)]
#[error("the watermarks cannot be reached")]
pub struct WatermarkError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What waits for devices to ask, and what became of it: items with the key `device`, `downlink`.
///
/// Somebody waits for the answer, so these verbs say what is so, or that they do not know. What they were asked for may
/// then have happened, and may be asked for again.
pub trait Downlinks {
    /// All items of a device, with all that was written before.
    fn of_device(
        &self,
        device: DeviceId,
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Item>, Unavailable>> + Send;

    /// Makes a downlink the answer to an uplink and marks the uplink as answered: both, or, if the downlink is no longer
    /// there as it was read, or is an answer already, or the uplink has one, neither. Whether it was done.
    fn answer_with(&self, answer: &Answer, deadline: Instant)
    -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Notes what became of a downlink. What is known of one already stays.
    fn close(&self, outcome: &Outcome, deadline: Instant) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// The same table, for those who queue.
pub trait DownlinkDesk: Downlinks {
    /// All items of all devices.
    fn all(&self, deadline: Instant) -> impl Future<Output = Result<Vec<Item>, Unavailable>> + Send;

    /// Adds a downlink, unless there is one with its ID. Whether it was done.
    fn add(&self, downlink: &Downlink, deadline: Instant) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Deletes a downlink, unless it is an answer already or not there at all. Whether it was done.
    fn cancel(
        &self,
        device: DeviceId,
        id: &DownlinkId,
        deadline: Instant,
    ) -> impl Future<Output = Result<bool, Unavailable>> + Send;
}

/// Nobody knows, for now.
#[derive(Debug, thiserror::Error)]
#[error("the table of downlinks is not available")]
pub struct Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Unavailable {
    /// For this reason.
    pub fn new(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(reason.into())
    }
}

/// A secret that is changed without a moment in which neither the old nor the new one is valid.
pub trait Secret {
    /// Every text that is valid now: the current one and, if there is one, the one before it.
    ///
    /// # Errors
    /// [`SecretError`] when they cannot be read, which may be so for the moment only.
    fn versions(&self) -> impl Future<Output = Result<Vec<String>, SecretError>> + Send;
}

/// A secret cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the secret {id}")]
pub struct SecretError {
    /// Its name.
    pub id: String,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// An item out of a value's own shape.
#[expect(clippy::expect_used, reason = "items are structs of texts, numbers and bytes, which a table always holds")]
pub(crate) fn item(value: &impl Serialize) -> Item {
    serde_dynamo::to_item(value).expect("an item is a struct")
}
