//! The port that receives from a queue, and the error type of all reads.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::Refused;

/// The most messages of one receive.
pub const MAX_RECEIVED: usize = 100;

/// A queue to receive messages from. A received message is held: no other consumer receives it until it is given back
/// or its hold expires. It stays in the queue until it is deleted.
pub trait ReceiveQueue {
    /// Receives up to [`MAX_RECEIVED`] messages that are not held, in any order, and holds each for `hold`. An empty
    /// result does not prove that the queue is empty: the caller should receive again.
    fn receive(
        &self,
        hold: Duration,
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Received>, ReadError>> + Send;

    /// Gives back received messages by their handles, so that they can be received again at once. Returns the positions
    /// of those not given back; they return to the queue when their hold expires.
    fn give_back(&self, handles: &[String], deadline: Instant) -> impl Future<Output = Refused> + Send;

    /// Deletes received messages by their handles. Returns the positions of those that may still be in the queue.
    fn delete(&self, handles: &[String], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// A received message, which is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The message ID, the same at every receive.
    pub id: String,
    /// The handle of this receive, for deleting the message or giving it back.
    pub handle: String,
    /// When it was sent, by the queue's clock, in milliseconds since 1970.
    pub sent: u64,
    /// The body as sent.
    pub body: String,
}

/// A queue, table or log cannot be read; the cause may be transient or permanent.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot be read")]
pub struct ReadError {
    /// The queue, table or log.
    pub what: String,
    /// The cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
