//! The ports: traits of one to three methods for each service. Their docs are the contract; adapter crates implement
//! it, `fakes` fail on purpose.
//!
//! All write methods follow one rule. They take several values and return the positions of those that are **not**
//! durable; an empty set means that all are durable. Queues and stores retry transient refusals; all give up at the
//! deadline at the latest. A value may have been written although it is reported as refused (a response can get lost),
//! so every write must be idempotent.

use std::collections::BTreeSet;
use std::future::{Future, ready};

use pulsegate_model::aggregate::StreamRecord;
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_model::event::DeviceEvent;
use pulsegate_model::pulse::PulseItem;
use pulsegate_model::uplink::Uplink;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::tombstones::Tombstones;

mod observe;
mod receive;

pub use observe::{Depth, Log, LogLine, Waiting};
pub use receive::{MAX_RECEIVED, ReadError, ReceiveQueue, Received};

/// Positions, among the values passed, of those that are not durable.
pub type Refused = BTreeSet<usize>;

/// A queue of messages.
pub trait Queue {
    /// Sends every message. Makes no request if there are none.
    fn send(&self, bodies: &[String], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// A value of a record, and the time at which the queue or the stream received the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived<T> {
    /// The value.
    pub value: T,
    /// The arrival of its record. It stays the same when the record is delivered again.
    pub arrived: At,
}

/// A store of uplinks with their bytes as received: a set, which keeps every uplink that differs in any part.
pub trait RawStore {
    /// Adds every uplink. Makes no request if there are none.
    fn put(&self, uplinks: &[Uplink], deadline: Instant) -> impl Future<Output = Refused> + Send;

    /// Returns the erased devices, of which nothing must be stored any more. A store from which nobody erases has none.
    fn erased(&self, deadline: Instant) -> impl Future<Output = Result<Tombstones, ReadError>> + Send {
        let _ = deadline;
        ready(Ok(Tombstones::default()))
    }
}

/// A store of pulse items, under their natural key. It keeps an item for its retention from the arrival, whatever time
/// the item itself has.
pub trait PulseStore {
    /// Stores every item, replacing one with the same key. Of several with the same key, keeps the last. Makes no
    /// request if there are none.
    fn put(&self, items: &[Arrived<PulseItem>], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// Reads pulse items: from where they are stored, or decoded from the uplinks of the archive.
pub trait PulseReader {
    /// The pulse items of a device from one time to another, both included, sorted by their key `uplink`, each key once.
    /// The times are those of the keys. An uplink that no codec reads has no item.
    ///
    /// # Errors
    /// [`ReadError`] if they cannot be read before the deadline.
    fn items(
        &self,
        device: DeviceId,
        from: At,
        to: At,
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<PulseItem>, ReadError>> + Send;
}

/// A store of device events, under their source and key. It keeps an event for its retention from the arrival.
pub trait EventStore {
    /// Stores every event, replacing one with the same key. Of several with the same key, keeps the last. Makes no
    /// request if there are none.
    fn put(&self, events: &[Arrived<DeviceEvent>], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// Limits of one Kinesis `PutRecords` request: the number of records, and their bytes including the keys.
/// (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>)
pub const MAX_STREAM_RECORDS: usize = 500;
/// See [`MAX_STREAM_RECORDS`].
pub const MAX_STREAM_BYTES: usize = 10 * 1024 * 1024;

/// A stream of records, ordered by partition key.
pub trait Stream {
    /// Puts every record once. The caller retries refused records, because it knows which meters wait for the accepted
    /// ones meanwhile. Makes no request if there are none, and several in sequence if one request cannot hold all.
    fn put(&self, records: &[&StreamRecord], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// Stores, by name, how far a source has been fetched.
pub trait Watermarks {
    /// Returns the watermark last set; `None` if it was never set.
    fn get(
        &self,
        name: &str,
        deadline: Instant,
    ) -> impl Future<Output = Result<Option<Watermark>, WatermarkError>> + Send;

    /// Sets the watermark. After an error it may or may not be set.
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
    /// Start of the next pass, or of the unfinished one.
    pub since: u64,
    /// The unfinished pass, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Unfinished>,
}

/// The progress of a pass that starts at `since`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// End of the pass.
    pub before: u64,
    /// The number of found items that are durable, in the order of the list.
    pub offset: u64,
}

/// A watermark cannot be read or set at the moment.
#[derive(Debug, thiserror::Error)]
#[error("the watermarks cannot be reached")]
pub struct WatermarkError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A secret that can be rotated without a gap: the previous version stays valid for a while.
pub trait Secret {
    /// Returns all valid versions: the current one and, if there is one, the previous one.
    ///
    /// # Errors
    /// [`SecretError`] if they cannot be read, which may be transient.
    fn versions(&self) -> impl Future<Output = Result<Vec<String>, SecretError>> + Send;
}

/// A secret cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the secret {id}")]
pub struct SecretError {
    /// The secret's name or ARN.
    pub id: String,
    /// The cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
