//! The audit: waits, reads, counts and judges.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsegate_aws::{Lookup, Pages};
use pulsegate_pipeline::ports::{Depth, ReceiveQueue, Waiting};
use tokio::time::{Instant, sleep};

use super::accounts::Accounts;
use super::failed_messages::{FailedMessages, inspect};
use super::findings::{Audit, Meters, NetworkCounts};
use super::missing::{List, Missing};
use super::progress::AuditProgress;
use super::read::{self, TableKind};
use super::waiting::{self, QueueKind, WatchedQueue};
use super::{FILE, Options, Stores};
use crate::Problem;

/// Pause before the tables are read again, if an acknowledged message was missing.
const PAUSE: Duration = Duration::from_secs(10);

/// Result of an audit, and the missing messages to print.
#[derive(Debug)]
pub(super) struct AuditResult {
    pub(super) audit: Audit,
    pub(super) missing: Vec<Missing>,
}

/// Waits, reads and counts. If an acknowledged message is missing, it reads again until the message is there or the
/// time is up, because a stream cannot report its depth.
pub(super) async fn check<R, P, I>(
    accounts: &mut Accounts,
    stores: &Stores<R, P, I>,
    options: &Options,
) -> Result<AuditResult, Problem>
where
    R: Pages + Lookup,
    P: Pages + Lookup,
    I: ReceiveQueue + Depth,
{
    let until = Instant::now() + options.wait;
    loop {
        waiting::settle(accounts, stores, until).await?;
        accounts.clear();
        let failed = inspect(accounts, &stores.places).await?;
        tables(accounts, stores, options).await?;
        let mut list = List::new(options.list, options.missing.as_deref())?;
        let networks = accounts.tally(|missing| list.take(missing))?;
        let missing = list.end()?;
        let queues = waiting::depths(&stores.places).await?;
        let is_settled = all(&networks).lost == 0 && waiting::work(&stores.places, &queues) == 0;
        if is_settled || Instant::now() + PAUSE >= until {
            let audit = audit(accounts, networks, &stores.places, queues, &failed, options);
            return Ok(AuditResult { audit, missing });
        }
        sleep(PAUSE).await;
    }
}

async fn tables<R, P, I>(accounts: &mut Accounts, stores: &Stores<R, P, I>, options: &Options) -> Result<(), Problem>
where
    R: Pages + Lookup,
    P: Pages + Lookup,
{
    let sent: u64 = accounts.runs.iter().map(|run| run.sent).sum();
    let raw = AuditProgress::of(sent, "raw uplinks");
    if options.by_key {
        read::by_key(accounts, TableKind::Raw, &stores.raw, &raw).await?;
    } else {
        read::whole(accounts, TableKind::Raw, &stores.raw, options.segments, &raw).await?;
    }
    drop(raw);
    let pulses = AuditProgress::of(sent, "pulses");
    if options.by_key {
        read::by_key(accounts, TableKind::Pulses, &stores.pulses, &pulses).await
    } else {
        read::whole(accounts, TableKind::Pulses, &stores.pulses, options.segments, &pulses).await
    }
}

fn audit<I>(
    accounts: &Accounts,
    networks: BTreeMap<String, NetworkCounts>,
    places: &[WatchedQueue<I>],
    queues: BTreeMap<String, Waiting>,
    failed: &FailedMessages,
    options: &Options,
) -> Audit {
    let mut meters = Meters::default();
    for each in &accounts.meters {
        meters.add(each);
    }
    let mut audit = Audit {
        at: jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string(),
        runs: accounts.runs.iter().map(|run| run.name.clone()).collect(),
        ok: false,
        wrong: vec![],
        networks,
        meters,
        strange: accounts.strange.clone(),
        foreign: accounts.foreign,
        sizes: accounts.sizes.clone(),
        queues,
        quarantined_unknown: failed.unknown,
        not_looked_at: not_looked_at(failed, options),
    };
    audit.wrong = wrong(accounts, &audit, places);
    audit.ok = audit.wrong.is_empty();
    audit
}

/// Reasons why not all is accounted for.
fn wrong<I>(accounts: &Accounts, audit: &Audit, places: &[WatchedQueue<I>]) -> Vec<String> {
    let counts = all(&audit.networks);
    let in_queues = |kind| {
        let places = places.iter().filter(move |place| place.kind == kind);
        places.filter_map(|place| audit.queues.get(place.name)).map(Waiting::all).sum::<u64>()
    };
    let unfinished = accounts.runs.iter().filter(|run| !run.complete).count() as u64;
    // The bits are of whole sessions. In partly acknowledged sessions, the number of acknowledged messages must be
    // stored.
    let acknowledged: u64 = accounts.runs.iter().map(|run| run.acknowledged).sum();
    let in_part = acknowledged.saturating_sub(counts.acknowledged + counts.given_up_stored);
    let reasons = [
        (unfinished, "unfinished runs (fleet load --resume continues one)"),
        (counts.lost, "acknowledged or stored in one table, and not in both"),
        (in_part, "acknowledged, of sessions that were given up in part, and not stored"),
        (counts.altered, "stored, but not as sent"),
        (counts.quarantined, "in quarantine"),
        (counts.dead_letters.max(in_queues(QueueKind::DeadLetters)), "among dead letters"),
        (in_queues(QueueKind::Work), "still in queues"),
        (
            audit.strange.items,
            "stored of the fleet's own devices that no session has sent (of another run? Name that too)",
        ),
        (counts.unnoted, "stored, and not noted as sent"),
        (audit.meters.wrong, "meters whose points are not what they counted"),
    ];
    reasons.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
}

fn not_looked_at(failed: &FailedMessages, options: &Options) -> Vec<String> {
    let mut not =
        vec!["the bucket of stream records that could not be stored in time (output UndeliveredBucket)".to_owned()];
    if options.by_key {
        not.push("what is in the tables that these runs have not sent".to_owned());
    }
    not.extend(failed.more.iter().map(|place| format!("part of the queue {place}: it has too many messages")));
    not
}

/// Sum of the counts of all networks.
pub(super) fn all(networks: &BTreeMap<String, NetworkCounts>) -> NetworkCounts {
    let mut all = NetworkCounts::default();
    for each in networks.values() {
        all.add(each);
    }
    all
}

/// Writes `audit.json` into the directory of each run.
pub(super) fn leave(found: &AuditResult, options: &Options) -> Result<(), Problem> {
    for directory in &options.runs {
        let file = directory.join(FILE);
        let name = || file.display().to_string();
        let text = serde_json::to_string_pretty(&found.audit)
            .map_err(|e| Problem::Wrong(format!("{} cannot be written: {e}", name())))?;
        std::fs::write(&file, text + "\n").map_err(|e| Problem::File(name(), e))?;
    }
    Ok(())
}
