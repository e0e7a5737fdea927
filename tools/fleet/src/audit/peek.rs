//! What is in quarantine and among dead letters, without taking anything from it.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsegate_model::envelope;
use pulsegate_model::quarantine::QuarantinedRecord;
use pulsegate_pipeline::ports::{ReceiveQueue, Received};

use super::book::Told;
use super::books::Books;
use super::read::soon;
use super::waiting::{Kind, Place};
use crate::Problem;

/// Long enough to look at all of it, so that nothing is met twice.
const HOLD: Duration = Duration::from_mins(2);

/// No more are looked at: each is held until the end, and a queue lets nobody hold more than 120,000.
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>)
const MOST: usize = 20_000;

/// So many answers in a row with nothing new in them, and there is nothing more.
const IDLE: usize = 2;

/// What has been looked at.
#[derive(Debug, Default)]
pub(super) struct Peeked {
    /// Records in quarantine of which nobody can tell the uplink.
    pub(super) unknown: u64,
    /// Places with more than was looked at.
    pub(super) more: Vec<&'static str>,
}

/// Tells the books what they have in quarantine and among dead letters.
pub(super) async fn peek(books: &mut Books, places: &[Place<impl ReceiveQueue>]) -> Result<Peeked, Problem> {
    let mut peeked = Peeked::default();
    for place in places.iter().filter(|place| place.kind != Kind::Work) {
        let mut held = BTreeMap::new();
        let looked = look(place, &mut held).await;
        let handles: Vec<String> = held.values().map(|message| message.handle.clone()).collect();
        // What is not given back now comes back by itself.
        place.inbox.give_back(&handles, soon()).await;
        looked?;
        if held.len() >= MOST {
            peeked.more.push(place.name);
        }
        for message in held.values() {
            peeked.unknown += u64::from(!tell(books, place.kind, &message.body) && place.kind == Kind::Quarantine);
        }
    }
    Ok(peeked)
}

/// Holds all that is there, by ID.
async fn look(place: &Place<impl ReceiveQueue>, held: &mut BTreeMap<String, Received>) -> Result<(), Problem> {
    let mut idle = 0;
    while idle < IDLE && held.len() < MOST {
        let before = held.len();
        let some = place.inbox.receive(HOLD, soon()).await?;
        held.extend(some.into_iter().map(|message| (message.id.clone(), message)));
        idle = if held.len() == before { idle + 1 } else { 0 };
    }
    Ok(())
}

/// Whether it is known of which uplinks a message is, theirs or others'.
fn tell(books: &mut Books, kind: Kind, body: &str) -> bool {
    if kind == Kind::DeadLetters {
        return tell_members(books, body.as_bytes(), &Told::DeadLetter);
    }
    let Ok(kept) = QuarantinedRecord::from_message(body) else { return false };
    let told = Told::Quarantined(format!("{}: {}", kept.stage, kept.reason));
    match (kept.device, &kept.uplink) {
        (Some(device), Some(uplink)) => {
            books.tell(device, uplink, &told);
            true
        }
        _ => kept.record().is_ok_and(|record| tell_members(books, &record, &told)),
    }
}

fn tell_members(books: &mut Books, body: &[u8], told: &Told) -> bool {
    let Ok(unpacked) = envelope::unpack(body) else { return false };
    for uplink in &unpacked.uplinks {
        books.tell(uplink.device, &uplink.key().to_string(), told);
    }
    unpacked.unreadable.is_empty()
}
