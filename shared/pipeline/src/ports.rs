//! The ports: one to three verbs each in front of a service. Their docs are the contract; adapter crates keep it, `fakes`
//! break it on purpose.
//!
//! The write verbs follow one rule. They take several values and return the positions of those that are **not** durable; an
//! empty answer means that all of them are. Queues and stores send again what was refused for the moment; all give up at the
//! deadline at the latest. A value may have been written although it is reported as refused (an answer can get lost), so
//! every write must be repeatable.

use std::collections::BTreeSet;
use std::future::Future;

use pulsegate_model::aggregate::StreamRecord;
use pulsegate_model::event::DeviceEvent;
use pulsegate_model::pulse::PulseItem;
use pulsegate_model::uplink::Uplink;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

mod observe;
mod receive;

pub use observe::{Depth, Log, LogLine, Waiting};
pub use receive::{MAX_RECEIVED, ReadError, ReceiveQueue, Received};

/// Positions, in what was handed over, of what is not durable.
pub type Refused = BTreeSet<usize>;

/// A queue of messages.
pub trait Queue {
    /// Sends every message. No message, no request.
    fn send(&self, bodies: &[String], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// A store of raw uplinks, under their natural key and kind.
pub trait RawStore {
    /// Stores every uplink, replacing one with the same key. Of several with the same key the last stays. No uplink, no
    /// request.
    fn put(&self, uplinks: &[Uplink], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// A store of pulse items, under their natural key.
pub trait PulseStore {
    /// Stores every item, replacing one with the same key. Of several with the same key the last stays. No item, no
    /// request.
    fn put(&self, items: &[PulseItem], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// A store of device events, under their source and key.
pub trait EventStore {
    /// Stores every event, replacing one with the same key. Of several with the same key the last stays. No event, no
    /// request.
    fn put(&self, events: &[DeviceEvent], deadline: Instant) -> impl Future<Output = Refused> + Send;
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
