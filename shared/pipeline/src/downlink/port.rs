//! The ports to the table of downlinks.

use std::future::Future;

use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::{Downlink, DownlinkAnswer, DownlinkId, DownlinkOutcome, Entry};

/// What waits for devices to ask, and what became of it: entries with the key `device`, `downlink`.
///
/// Somebody waits for the answer, so these verbs say what is so, or that they do not know. What they were asked for may
/// then have happened, and may be asked for again.
pub trait Downlinks {
    /// All entries of a device, with all that was written before.
    fn of_device(
        &self,
        device: DeviceId,
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Entry>, Unavailable>> + Send;

    /// Makes a downlink the answer to an uplink and marks the uplink as answered: both, or, if the downlink is no longer
    /// there as it was read, or is an answer already, or the uplink has one, neither. Whether it was done.
    fn answer_with(
        &self,
        answer: &DownlinkAnswer,
        deadline: Instant,
    ) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Notes what became of a downlink. What is known of one already stays.
    fn close(
        &self,
        outcome: &DownlinkOutcome,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// The same table, for those who queue.
pub trait DownlinkAdmin: Downlinks {
    /// All entries of all devices.
    fn all(&self, deadline: Instant) -> impl Future<Output = Result<Vec<Entry>, Unavailable>> + Send;

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
