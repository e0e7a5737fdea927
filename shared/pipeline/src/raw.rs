//! The stage of both `raw-*` functions: stores the bytes of each uplink as received, and only then passes the uplink on.
//!
//! A device event goes to the table of events. One that names an uplink by its number is a row of the archive too, so that
//! the number does not look like a lost uplink.

use pulsegate_model::codec::Flag;
use pulsegate_model::event::DeviceEvent;
use pulsegate_model::uplink::Uplink;
use pulsegate_model::{envelope, pulse as codecs};
use tokio::time::Instant;

use crate::batch::{self, BatchOutcome, BatchRecord};
use crate::ports::{Arrived, EventStore, Queue, RawStore, Refused};
use crate::telemetry::{self, OutcomeCounts};
use crate::{deadline, pulse, quarantine};

/// The ports of the stage.
#[derive(Debug)]
pub struct RawStage<R, E, Q> {
    /// Uplinks as they arrived.
    pub raw: R,
    /// Device events; `None` if the network sends none.
    pub events: Option<E>,
    /// The queue of the next stage. `None` in a stack without a table of pulses: then this stage decodes each uplink to
    /// quarantine those that no codec can read, and readers decode what is stored.
    pub pulse: Option<Q>,
    /// Records that cannot be parsed.
    pub quarantine: Q,
}

/// The outcome of uplinks.
#[derive(Default)]
struct Passed {
    /// Positions of those that are not stored, or not passed on.
    given_back: Refused,
    /// Positions of the events whose rows are not stored.
    unstored_events: Refused,
    /// The number of those that are stored, and in quarantine because no codec can read them.
    quarantined: usize,
}

impl<R: RawStore, E: EventStore, Q: Queue> RawStage<R, E, Q> {
    /// Stores a batch and passes it on. A record fails unless all of its uplinks are stored and passed on, its events
    /// stored and its unreadable pieces quarantined. Drops what is of erased devices. Repeating the whole record is idempotent.
    pub async fn run(&self, stage: &'static str, records: &[BatchRecord], deadline: Instant) -> BatchOutcome {
        let mut opened = batch::open(records, stage);
        if opened.is_empty() {
            return opened.given_back(&[]);
        }
        let tombstones = match self.raw.erased(deadline).await {
            Ok(tombstones) => tombstones,
            Err(error) => {
                tracing::warn!(reason = %error, cause = %error.source, "the erased devices are not known");
                return opened.given_back(records);
            }
        };
        let erased = opened.erase(&tombstones);
        if self.events.is_none() {
            opened.quarantine_events(stage);
        }
        let batch::OpenedBatch { uplinks, events, unreadable } = opened;
        let uplinks = uplinks.map(|uplink| uplink.value);
        let (Passed { given_back, unstored_events, quarantined }, mut unstored, unquarantined) = tokio::join!(
            self.store_and_pass_on(stage, &uplinks.values, &events.values, deadline),
            self.store_events(&events.values, deadline),
            quarantine::send(&self.quarantine, &unreadable.values, deadline),
        );
        unstored.extend(unstored_events);

        let mut failed = uplinks.records_of(&given_back);
        failed.extend(events.records_of(&unstored));
        failed.extend(unreadable.records_of(&unquarantined));
        let counts = OutcomeCounts {
            received: uplinks.len() + events.len() + unreadable.len() + erased,
            stored: uplinks.len() + events.len() - given_back.len() - quarantined - unstored.len(),
            quarantined: quarantined + unreadable.len() - unquarantined.len(),
            given_back: given_back.len() + unstored.len() + unquarantined.len(),
            refused: 0,
            erased,
        };
        BatchOutcome { failed, counts }
    }

    /// Stores events, which are not passed on. Returns the positions of those not stored.
    async fn store_events(&self, events: &[Arrived<DeviceEvent>], deadline: Instant) -> Refused {
        let Some(store) = self.events.as_ref().filter(|_| !events.is_empty()) else { return Refused::new() };
        let unstored = store.put(events, deadline).await;
        telemetry::emit_events(&events.iter().map(|event| &event.value).collect::<Vec<_>>());
        unstored
    }

    /// Stores uplinks, and numbered events beside them. Passes only stored uplinks on: the next stage must not see an
    /// uplink that could still be lost.
    async fn store_and_pass_on(
        &self,
        stage: &'static str,
        uplinks: &[Uplink],
        events: &[Arrived<DeviceEvent>],
        deadline: Instant,
    ) -> Passed {
        let (mut given_back, unstored_events) = self.store(uplinks, events, deadline::leaving_time(deadline)).await;
        let stored: Vec<usize> = (0..uplinks.len()).filter(|position| !given_back.contains(position)).collect();
        if let Some(queue) = &self.pulse {
            given_back.extend(publish(queue, uplinks, &stored, deadline).await);
            return Passed { given_back, unstored_events, quarantined: 0 };
        }
        let (unsent, quarantined) = self.quarantine_undecodable(stage, uplinks, stored, deadline).await;
        given_back.extend(unsent);
        Passed { given_back, unstored_events, quarantined }
    }

    /// Stores uplinks and the rows of numbered events in one write. Returns the positions of the uplinks and of the events
    /// that are not stored.
    async fn store(
        &self,
        uplinks: &[Uplink],
        events: &[Arrived<DeviceEvent>],
        deadline: Instant,
    ) -> (Refused, Refused) {
        let numbered = events.iter().enumerate().filter_map(|(nth, event)| Some((nth, event.value.numbered()?)));
        let (positions, rows): (Vec<usize>, Vec<Uplink>) = numbered.unzip();
        if rows.is_empty() {
            return (self.raw.put(uplinks, deadline).await, Refused::new());
        }
        let refused = self.raw.put(&[uplinks, &rows].concat(), deadline).await;
        let (of_uplinks, of_rows): (Refused, Refused) =
            refused.into_iter().partition(|&position| position < uplinks.len());
        (of_uplinks, of_rows.into_iter().map(|row| positions[row - uplinks.len()]).collect())
    }

    /// Quarantines the uplinks at these positions that no codec can read. Returns the positions of those that cannot be
    /// quarantined now, and the number of the others.
    async fn quarantine_undecodable(
        &self,
        stage: &'static str,
        uplinks: &[Uplink],
        stored: Vec<usize>,
        deadline: Instant,
    ) -> (Refused, usize) {
        let (mut positions, mut undecodable, mut unset_clocks) = (Vec::new(), Vec::new(), 0);
        for position in stored {
            match codecs::decode(&uplinks[position]) {
                Ok(item) => unset_clocks += usize::from(item.flags.contains(&Flag::ClockNotSet.into())),
                Err(reason) => {
                    positions.push(position);
                    undecodable.push(pulse::undecodable(stage, &uplinks[position], &reason));
                }
            }
        }
        telemetry::emit_unset_clocks(unset_clocks);
        let unsent = quarantine::send(&self.quarantine, &undecodable, deadline).await;
        let quarantined = positions.len() - unsent.len();
        (unsent.into_iter().map(|unsent| positions[unsent]).collect(), quarantined)
    }
}

/// Publishes the uplinks at these positions. Returns the positions of those not published.
async fn publish(queue: &impl Queue, uplinks: &[Uplink], stored: &[usize], deadline: Instant) -> Refused {
    let messages = envelope::pack(stored.iter().map(|&position| &uplinks[position]));
    let (bodies, members): (Vec<_>, Vec<_>) = messages.into_iter().map(|m| (m.body, m.members)).unzip();
    let unsent = queue.send(&bodies, deadline).await;
    // `members` are positions in `stored`.
    unsent.into_iter().flat_map(|unsent| stored[members[unsent].clone()].iter().copied()).collect()
}

#[cfg(test)]
mod tests;
