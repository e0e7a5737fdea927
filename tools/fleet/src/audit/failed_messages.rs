//! Inspects quarantine and dead letters without removing messages.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsegate_model::envelope;
use pulsegate_model::quarantine::QuarantinedRecord;
use pulsegate_pipeline::ports::{ReceiveQueue, Received};

use super::accounts::Accounts;
use super::expected_run::Deviation;
use super::read::soon;
use super::waiting::{QueueKind, WatchedQueue};
use crate::Problem;

/// Visibility time-out: long enough to read the whole queue, so that no message is received twice.
const HOLD: Duration = Duration::from_mins(2);

/// Maximum messages to inspect: each is held until the end, and SQS allows at most 120,000 in flight.
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>)
const MOST: usize = 20_000;

/// Consecutive receives without a new message after which a queue counts as read.
const IDLE: usize = 2;

/// Result of the inspection.
#[derive(Debug, Default)]
pub(super) struct FailedMessages {
    /// Records in quarantine whose uplink is unknown.
    pub(super) unknown: u64,
    /// Queues with more messages than were inspected.
    pub(super) more: Vec<&'static str>,
}

/// Records in the accounts what is in quarantine and among dead letters.
pub(super) async fn inspect(
    accounts: &mut Accounts,
    places: &[WatchedQueue<impl ReceiveQueue>],
) -> Result<FailedMessages, Problem> {
    let mut failed = FailedMessages::default();
    for place in places.iter().filter(|place| place.kind != QueueKind::Work) {
        let mut held = BTreeMap::new();
        let looked = look(place, &mut held).await;
        let handles: Vec<String> = held.values().map(|message| message.handle.clone()).collect();
        // Messages that are not returned here become visible again after `HOLD`.
        place.inbox.give_back(&handles, soon()).await;
        looked?;
        if held.len() >= MOST {
            failed.more.push(place.name);
        }
        for message in held.values() {
            failed.unknown +=
                u64::from(!note(accounts, place.kind, &message.body) && place.kind == QueueKind::Quarantine);
        }
    }
    Ok(failed)
}

/// Receives all messages of a queue, by ID.
async fn look(place: &WatchedQueue<impl ReceiveQueue>, held: &mut BTreeMap<String, Received>) -> Result<(), Problem> {
    let mut idle = 0;
    while idle < IDLE && held.len() < MOST {
        let before = held.len();
        let some = place.inbox.receive(HOLD, soon()).await?;
        held.extend(some.into_iter().map(|message| (message.id.clone(), message)));
        idle = if held.len() == before { idle + 1 } else { 0 };
    }
    Ok(())
}

/// Records a message. Returns whether its uplinks are known, of these runs or of others.
fn note(accounts: &mut Accounts, kind: QueueKind, body: &str) -> bool {
    if kind == QueueKind::DeadLetters {
        return note_members(accounts, body.as_bytes(), &Deviation::DeadLetter);
    }
    let Ok(kept) = QuarantinedRecord::from_message(body) else { return false };
    let deviation = Deviation::Quarantined(format!("{}: {}", kept.stage, kept.reason));
    match (kept.device, &kept.uplink) {
        (Some(device), Some(uplink)) => {
            accounts.note(device, uplink, &deviation);
            true
        }
        _ => kept.record().is_ok_and(|record| note_members(accounts, &record, &deviation)),
    }
}

fn note_members(accounts: &mut Accounts, body: &[u8], deviation: &Deviation) -> bool {
    let Ok(unpacked) = envelope::unpack(body) else { return false };
    for uplink in &unpacked.uplinks {
        accounts.note(uplink.device, &uplink.key().to_string(), deviation);
    }
    unpacked.unreadable.is_empty()
}
