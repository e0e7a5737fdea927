//! Receiving from a queue, and the error of everything that reads.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::Refused;

/// What can be received of a queue at once, at most.
pub const MAX_RECEIVED: usize = 100;

/// A queue whose messages somebody takes. A message that was received is held: nobody else receives it until it is given
/// back, or the time for which it is held is over. It is gone only once it is deleted.
pub trait ReceiveQueue {
    /// Some of the messages that nobody holds, in any order, at most [`MAX_RECEIVED`], each held for so long from now
    /// on. None may mean that there are none, or that it is to be asked again.
    fn receive(
        &self,
        hold: Duration,
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Received>, ReadError>> + Send;

    /// Gives back what was received, by its handles, for whoever receives next. The answer tells positions of what is
    /// not, which comes back by itself when its time is over.
    fn give_back(&self, handles: &[String], deadline: Instant) -> impl Future<Output = Refused> + Send;

    /// Deletes what was received, by its handles. The answer tells positions of what may still be there.
    fn delete(&self, handles: &[String], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// A message, held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The same whenever it is received.
    pub id: String,
    /// This time's, to delete it by or to give it back.
    pub handle: String,
    /// When it was sent, by the queue's clock: milliseconds since 1970.
    pub sent: u64,
    /// What was sent.
    pub body: String,
}

/// A queue or a table cannot be read, for now or at all.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot be read")]
pub struct ReadError {
    /// Which.
    pub what: String,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
