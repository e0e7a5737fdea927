//! What is only looked at: how much waits in a queue, and what a part has logged.

use std::future::Future;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::ReadError;

/// A queue whose length can be asked for.
pub trait Depth {
    /// How many messages are in it. Nearly: a queue of many machines counts them one after the other.
    fn depth(&self, deadline: Instant) -> impl Future<Output = Result<Waiting, ReadError>> + Send;
}

/// Messages of a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Nobody holds them.
    pub visible: u64,
    /// Somebody has received them, and has neither deleted nor given them back.
    pub in_flight: u64,
    /// Not to be received yet.
    pub delayed: u64,
}

impl Waiting {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// A log whose lines can be read.
pub trait Log {
    /// The lines of a time, by the log's clock, in milliseconds since 1970. Each once, in any order; all of them or an error.
    fn lines(
        &self,
        between: Range<u64>,
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<LogLine>, ReadError>> + Send;
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What, without a line end.
    pub text: String,
}
