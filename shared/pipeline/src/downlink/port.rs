//! The ports of the downlinks table.

use std::future::Future;

use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::{Downlink, DownlinkAnswer, DownlinkId, DownlinkOutcome, Entry};

/// The downlinks table: downlinks and markers with the key `device`, `downlink`.
///
/// Callers wait for the result, so these methods return a definite result or [`Unavailable`]. After [`Unavailable`] the
/// write may have happened; retrying is safe.
pub trait Downlinks {
    /// Returns all entries of a device, including every earlier write.
    fn of_device(
        &self,
        device: DeviceId,
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Entry>, Unavailable>> + Send;

    /// Assigns a downlink to an uplink and marks the uplink as answered, atomically. Returns `false`, and writes
    /// nothing, if the downlink was deleted, changed or assigned since it was read, or if the uplink already has an
    /// answer.
    fn answer_with(
        &self,
        answer: &DownlinkAnswer,
        deadline: Instant,
    ) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Stores the outcome of a downlink. Keeps an outcome that is already stored.
    fn close(
        &self,
        outcome: &DownlinkOutcome,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// The same table, for operators who queue downlinks.
pub trait DownlinkAdmin: Downlinks {
    /// Returns all entries of all devices.
    fn all(&self, deadline: Instant) -> impl Future<Output = Result<Vec<Entry>, Unavailable>> + Send;

    /// Adds a downlink. Returns `false`, and writes nothing, if one with its ID exists.
    fn add(&self, downlink: &Downlink, deadline: Instant) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Deletes a downlink. Returns `false`, and deletes nothing, if it does not exist or has answered an uplink.
    fn cancel(
        &self,
        device: DeviceId,
        id: &DownlinkId,
        deadline: Instant,
    ) -> impl Future<Output = Result<bool, Unavailable>> + Send;
}

/// The downlinks table cannot be read or written at the moment.
#[derive(Debug, thiserror::Error)]
#[error("the table of downlinks is not available")]
pub struct Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Unavailable {
    /// Wraps the cause.
    pub fn new(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(reason.into())
    }
}
