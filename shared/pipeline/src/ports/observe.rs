//! Ports for observation: the depth of a queue, and the lines of a log.

use std::future::Future;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::ReadError;

/// A queue that reports its depth.
pub trait Depth {
    /// Returns the number of messages, approximately: a distributed queue counts its servers one after the other.
    fn depth(&self, deadline: Instant) -> impl Future<Output = Result<Waiting, ReadError>> + Send;
}

/// The numbers of messages in a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Available to receive.
    pub visible: u64,
    /// Received, and neither deleted nor given back.
    pub in_flight: u64,
    /// Not available yet.
    pub delayed: u64,
}

impl Waiting {
    /// The sum of all.
    pub fn all(&self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// A log whose lines can be read.
pub trait Log {
    /// Returns the lines of a period, by the log's clock, in milliseconds since 1970. Returns each line once, in any
    /// order, and an error unless it has read all of them.
    fn lines(
        &self,
        between: Range<u64>,
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<LogLine>, ReadError>> + Send;
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The time in milliseconds since 1970.
    pub at: u64,
    /// The text without its line end.
    pub text: String,
}
