//! Waits until the queues are empty and the last uplinks are stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pulsegate_aws::{Key, Lookup};
use pulsegate_pipeline::archive::store::ObjectStore;
use pulsegate_pipeline::ports::{Depth, ReadError, Waiting};
use tokio::time::{Instant, sleep};

use super::accounts::Accounts;
use super::expected_run::{ExpectedRun, key};
use super::progress::AuditProgress;
use super::read::soon;
use super::{Stores, archive};
use crate::Problem;
use crate::meters::{Dating, Uplink};

/// Pause between two checks.
const PAUSE: Duration = Duration::from_secs(2);

/// Consecutive checks in which a queue must be empty: SQS depths are approximate.
const LOOKS: usize = 2;

/// Number of last acknowledged uplinks to look up, because a stream cannot report its depth.
const LAST: usize = 500;

/// A queue that the audit reads.
#[derive(Debug)]
pub struct WatchedQueue<I> {
    /// Name.
    pub name: &'static str,
    /// Kind of its messages.
    pub kind: QueueKind,
    /// The queue.
    pub inbox: I,
}

/// Kind of the messages in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueKind {
    /// Work in progress.
    Work,
    /// Messages that could not be stored.
    DeadLetters,
    /// Messages that cannot be parsed.
    Quarantine,
}

/// Depth of each queue.
pub(super) async fn depths(places: &[WatchedQueue<impl Depth>]) -> Result<BTreeMap<String, Waiting>, ReadError> {
    let mut depths = BTreeMap::new();
    for place in places {
        depths.insert(place.name.to_owned(), place.inbox.depth(soon()).await?);
    }
    Ok(depths)
}

/// Number of messages in work queues.
pub(super) fn work<I>(places: &[WatchedQueue<I>], depths: &BTreeMap<String, Waiting>) -> u64 {
    let work = places.iter().filter(|place| place.kind == QueueKind::Work);
    work.filter_map(|place| depths.get(place.name)).map(Waiting::all).sum()
}

/// Waits until the work queues are empty and the last acknowledged uplinks are among the pulses, or until `until`.
/// Without a pulses table, until `new/` of the archive has no more objects than at the last check.
pub(super) async fn settle<S: ObjectStore, P: Lookup, I: Depth>(
    accounts: &Accounts,
    stores: &Stores<S, P, I>,
    until: Instant,
) -> Result<(), Problem> {
    let progress = AuditProgress::waiting();
    let last: Vec<Key> = last(&accounts.runs)?;
    let (mut quiet, mut known) = (0, BTreeSet::new());
    while quiet < LOOKS {
        let work = work(&stores.places, &depths(&stores.places).await?);
        let (is_there, there) = match &stores.pulses {
            Some(_) if work > 0 => (false, String::new()),
            Some(table) => {
                let found = table.get(&last, soon()).await?.items.len();
                (found == last.len(), format!(", {found} of the last {} stored", last.len()))
            }
            None => {
                let before = std::mem::replace(&mut known, archive::new_keys(&stores.archive.store).await?);
                (known.is_subset(&before), format!(", {} objects in new/ of the archive", known.len()))
            }
        };
        progress.say(format!("waiting for messages in transit: {work} messages in queues{there}"));
        quiet = if work == 0 && is_there { quiet + 1 } else { 0 };
        if Instant::now() >= until {
            break;
        }
        if quiet < LOOKS {
            sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Waits until `new/` of the archive has an object that it had not, or until `until`. Nothing that is missing in the
/// archive can be found before. Returns false at `until`.
pub(super) async fn growth(
    store: &impl ObjectStore,
    known: &BTreeSet<String>,
    until: Instant,
) -> Result<bool, Problem> {
    let progress = AuditProgress::waiting();
    progress.say("waiting for the archive to grow: messages are missing".to_owned());
    while Instant::now() < until {
        if !archive::new_keys(store).await?.is_subset(known) {
            return Ok(true);
        }
        sleep(PAUSE).await;
    }
    Ok(false)
}

/// Keys, in the pulses table, of the last acknowledged uplinks.
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
            // The key of an uplink that its arrival dates is unknown.
            let is_known = |uplink: &&Uplink| uplink.dating != Dating::Arrival;
            let Some(uplink) = session.uplinks.iter().rfind(|uplink| !uplink.is_status).filter(is_known) else {
                continue;
            };
            keys.push(key(&run.fleet.meter(which.0), uplink)?);
        }
    }
    // Two runs may have sessions in common.
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}
