//! Receives each message of a queue once.

use std::collections::{HashMap, HashSet};

use pulsegate_pipeline::ports::{ReadError, ReceiveQueue, Received};

use super::{VISIBILITY_TIMEOUT, deadline, give_back};

/// After this many consecutive empty answers the queue is empty. A single empty answer could be chance.
const MAX_EMPTY_ANSWERS: usize = 2;

/// Approximate minimum number of messages in an answer of a queue that is not empty.
const MIN_ANSWER: usize = 10;

/// A walk through a queue. It holds every message until the end, so that it does not receive it again. If the walk
/// takes longer than the visibility time-out, it recognises repeated messages by their IDs.
#[derive(Debug)]
pub(crate) struct Walk<'a, I> {
    inbox: &'a I,
    /// Start of the walk, in milliseconds since 1970. It ignores messages that were sent later: they may be records
    /// that this run has sent, and that have returned.
    began: u64,
    /// IDs of all received messages. It includes those that could not be deleted, so that a run sends them only once.
    met: HashSet<String>,
    /// Handles of held messages, by ID.
    held: HashMap<String, String>,
    /// Number of messages sent after the start.
    pub(crate) late: usize,
}

impl<'a, I: ReceiveQueue> Walk<'a, I> {
    pub(crate) fn new(inbox: &'a I, began: u64) -> Self {
        Self { inbox, began, met: HashSet::new(), held: HashMap::new(), late: 0 }
    }

    /// Receives messages that it has not received before; `None` if there are no more.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Received>>, ReadError> {
        let (mut empty, mut stale) = (0, 0);
        // Repeated messages are held again, so others will follow; but the number of attempts is limited.
        while empty < MAX_EMPTY_ANSWERS && stale < MAX_EMPTY_ANSWERS + self.held.len() / MIN_ANSWER {
            let received = self.inbox.receive(VISIBILITY_TIMEOUT, deadline()).await?;
            *if received.is_empty() { &mut empty } else { &mut stale } += 1;
            let mut some = Vec::new();
            for message in received {
                self.held.insert(message.id.clone(), message.handle.clone());
                let new = self.met.insert(message.id.clone());
                match (new, message.sent < self.began) {
                    (false, _) => {}
                    (true, true) => some.push(message),
                    (true, false) => self.late += 1,
                }
            }
            if !some.is_empty() {
                return Ok(Some(some));
            }
        }
        Ok(None)
    }

    /// Deletes messages. Returns how many may still be in the queue; they are released at the end with the others.
    pub(crate) async fn delete(&mut self, ids: &[&str]) -> usize {
        let taken = ids.iter().filter_map(|id| self.held.remove_entry(*id));
        let (ids, handles): (Vec<String>, Vec<String>) = taken.unzip();
        let refused = self.inbox.delete(&handles, deadline()).await;
        let kept = |&position: &usize| (ids[position].clone(), handles[position].clone());
        self.held.extend(refused.iter().map(kept));
        refused.len()
    }

    /// Releases the held messages.
    pub(crate) async fn end(self) {
        let handles: Vec<String> = self.held.into_values().collect();
        give_back(self.inbox, &handles).await;
    }
}
