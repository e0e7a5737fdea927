//! `pulsegate erase`: removes a device from every place of a stack.
//!
//! The tombstone is first, so that nothing that arrives from then on is stored. Each other step removes what it finds, and
//! puts what it must keep of other devices before it deletes: a run may be killed at any moment, and repeated.
//!
//! # Layout
//!
//! - `run`: the order of the steps; searches all places twice, if invocations may still run that began before the
//!   tombstone.
//! - `messages`, `undelivered`: what is to become of a message and of a stored stream record.
//! - `mentions`: finds the device in records that nothing can parse.
//! - `report`: the counts.
//!
//! The steps in the archive are those of [`pulsegate_pipeline::archive::erase`].

use std::time::Duration;

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use crate::options::{EraseOptions, Format};

mod mentions;
mod messages;
mod report;
mod run;
#[cfg(test)]
mod tests;
mod undelivered;

pub use run::run;

/// Longer than any request takes in normal operation: a file of a day can have 10 MB.
pub const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

/// The places in which a device can be.
#[derive(Debug)]
pub struct Places<S, T, I, A> {
    /// The archive's bucket.
    pub archive: S,
    /// The bucket of undelivered stream records.
    pub undelivered: S,
    /// Tables, and what is in them.
    pub tables: Vec<(&'static str, T)>,
    /// Queues that keep messages: quarantine and dead letters.
    pub queues: Vec<QueueEnds<I, A>>,
}

/// A queue to receive from and to send to.
#[derive(Debug)]
pub struct QueueEnds<I, A> {
    /// Its content.
    pub name: &'static str,
    /// To receive from and to delete from.
    pub inbox: I,
    /// The same queue, for what it keeps of other devices.
    pub again: A,
}

/// The parameters of a run.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// The device.
    pub device: DeviceId,
    /// False: it only shows what it would remove.
    pub write: bool,
    /// Time after the tombstone in which an invocation that began before it may still write.
    pub grace: Duration,
    /// Output format.
    pub format: Format,
    /// Start of the run.
    pub now: At,
}

impl Order {
    /// Converts the options of a command line.
    pub fn of(options: &EraseOptions, now: At) -> Self {
        let &EraseOptions { device, write, grace, format, .. } = options;
        Self { device, write, grace, format, now }
    }
}

fn deadline() -> Instant {
    Instant::now() + REQUEST_TIMEOUT
}
