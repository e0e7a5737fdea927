//! Takes what is in quarantine, each message once.

use std::collections::{HashMap, HashSet};

use pulsegate_pipeline::ports::{ReadError, ReceiveQueue, Received};

use super::{HOLD, give_back, soon};

/// So many answers in a row with nothing in them, and there is nothing more. One could be chance.
const IDLE: usize = 2;

/// An answer of a queue that is not empty has about so many messages or more.
const AT_LEAST: usize = 10;

/// A walk through a queue. Everything it meets it holds until the end, or it would meet it again; what it does meet again,
/// because the walk takes longer than anything is held, it knows by its ID.
#[derive(Debug)]
pub(super) struct Walk<'a, I> {
    inbox: &'a I,
    /// Messages that were sent from then on are not for this walk: among them may be what it has sent itself and what
    /// came back. Milliseconds since 1970.
    began: u64,
    /// The IDs of all that it has met, of what it could not delete, too: that must not be sent again and again.
    met: HashSet<String>,
    /// By ID, the handles of what it holds.
    held: HashMap<String, String>,
    /// How many were sent too late for it.
    pub(super) late: usize,
}

impl<'a, I: ReceiveQueue> Walk<'a, I> {
    pub(super) fn new(inbox: &'a I, began: u64) -> Self {
        Self { inbox, began, met: HashSet::new(), held: HashMap::new(), late: 0 }
    }

    /// Some that it has not met before; `None` when there are no more.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Received>>, ReadError> {
        let (mut empty, mut stale) = (0, 0);
        // Those that it has met before are held once more, so the others' turn will come; but not for ever.
        while empty < IDLE && stale < IDLE + self.held.len() / AT_LEAST {
            let received = self.inbox.receive(HOLD, soon()).await?;
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

    /// Deletes these. How many may still be there; they are given back in the end with the others.
    pub(super) async fn delete(&mut self, ids: &[&str]) -> usize {
        let taken = ids.iter().filter_map(|id| self.held.remove_entry(*id));
        let (ids, handles): (Vec<String>, Vec<String>) = taken.unzip();
        let refused = self.inbox.delete(&handles, soon()).await;
        let kept = |&position: &usize| (ids[position].clone(), handles[position].clone());
        self.held.extend(refused.iter().map(kept));
        refused.len()
    }

    /// Gives back what stays.
    pub(super) async fn end(self) {
        let handles: Vec<String> = self.held.into_values().collect();
        give_back(self.inbox, &handles).await;
    }
}
