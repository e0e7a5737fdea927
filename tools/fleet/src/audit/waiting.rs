//! Queues, and whether anything is still on its way.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsegate_aws::{Key, Lookup};
use pulsegate_pipeline::ports::{Depth, ReadError, Waiting};
use tokio::time::{Instant, sleep};

use super::Stores;
use super::accounts::Accounts;
use super::expected_run::{ExpectedRun, key};
use super::progress::AuditProgress;
use super::read::soon;
use crate::Problem;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// A queue that is empty for so many looks is: it counts what is in it one machine after the other.
const LOOKS: usize = 2;

/// So many of the last uplinks that were acknowledged are looked for: a stream has no depth that could be asked for.
const LAST: usize = 500;

/// A queue.
#[derive(Debug)]
pub struct WatchedQueue<I> {
    /// What it is called.
    pub name: &'static str,
    /// What waits there.
    pub kind: QueueKind,
    /// The queue.
    pub inbox: I,
}

/// What waits in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueKind {
    /// Work in progress.
    Work,
    /// What could not be stored.
    DeadLetters,
    /// What cannot be read.
    Quarantine,
}

/// How much is in each queue.
pub(super) async fn depths(places: &[WatchedQueue<impl Depth>]) -> Result<BTreeMap<String, Waiting>, ReadError> {
    let mut depths = BTreeMap::new();
    for place in places {
        depths.insert(place.name.to_owned(), place.inbox.depth(soon()).await?);
    }
    Ok(depths)
}

/// How much work is in progress.
pub(super) fn work<I>(places: &[WatchedQueue<I>], depths: &BTreeMap<String, Waiting>) -> u64 {
    let work = places.iter().filter(|place| place.kind == QueueKind::Work);
    work.filter_map(|place| depths.get(place.name)).map(Waiting::all).sum()
}

/// Waits until no work is in progress and the last uplinks that were acknowledged are stored, or until it is too late.
pub(super) async fn settle<R, P: Lookup, I: Depth>(
    accounts: &Accounts,
    stores: &Stores<R, P, I>,
    until: Instant,
) -> Result<(), Problem> {
    let progress = AuditProgress::waiting();
    let last: Vec<Key> = last(&accounts.runs)?;
    let mut quiet = 0;
    while quiet < LOOKS {
        let work = work(&stores.places, &depths(&stores.places).await?);
        let found = if work == 0 { stores.pulses.get(&last, soon()).await?.items.len() } else { 0 };
        let there = format!("{work} messages in queues, {found} of the last {} stored", last.len());
        progress.say(format!("waiting for what is on its way: {there}"));
        quiet = if work == 0 && found == last.len() { quiet + 1 } else { 0 };
        if Instant::now() >= until {
            break;
        }
        if quiet < LOOKS {
            sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Keys among pulses of the last uplinks that were acknowledged.
fn last(runs: &[ExpectedRun]) -> Result<Vec<Key>, Problem> {
    let mut keys = Vec::new();
    for run in runs {
        let hours = (0..run.fleet.hours()).rev();
        let due = hours.flat_map(|hour| {
            let due = (0..run.fleet.spec().devices).rev();
            due.filter_map(move |n| Some((run.fleet.due(hour, n)?.0, hour)))
        });
        let acknowledged = due.filter(|&(meter, hour)| run.sessions.is_acknowledged(meter, hour));
        for which in acknowledged.take(LAST / runs.len().max(1)) {
            let session = run.session(which);
            let Some(uplink) = session.uplinks.last() else { continue };
            keys.push(key(&run.fleet.meter(which.0), uplink)?);
        }
    }
    // Two runs may have sessions in common.
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}
