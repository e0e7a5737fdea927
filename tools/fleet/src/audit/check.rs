//! The audit: waits, reads, counts and judges.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pulsegate_aws::{Lookup, Pages};
use pulsegate_pipeline::archive::store::ObjectStore;
use pulsegate_pipeline::ports::{Depth, ReceiveQueue, Waiting};
use tokio::time::{Instant, sleep};

use super::accounts::Accounts;
use super::failed_messages::{FailedMessages, inspect};
use super::findings::{Audit, ConsumptionFindings, Meters, NetworkCounts, Sources};
use super::missing::{List, Missing};
use super::progress::AuditProgress;
use super::waiting::{self, QueueKind, WatchedQueue};
use super::{FILE, Options, Stores, archive, consumption, read};
use crate::Problem;

/// Pause before the stores are read again, if an acknowledged message was missing.
const PAUSE: Duration = Duration::from_secs(10);

/// Result of an audit, and the missing messages to print.
#[derive(Debug)]
pub(super) struct AuditResult {
    pub(super) audit: Audit,
    pub(super) missing: Vec<Missing>,
}

/// Waits, reads and counts. If an acknowledged message is missing, it reads again until the message is there or the
/// time is up, because a stream cannot report its depth.
pub(super) async fn check<S, P, I>(
    accounts: &mut Accounts,
    stores: &Stores<S, P, I>,
    options: &Options,
) -> Result<AuditResult, Problem>
where
    S: ObjectStore,
    P: Pages + Lookup,
    I: ReceiveQueue + Depth,
{
    let until = Instant::now() + options.wait;
    loop {
        waiting::settle(accounts, stores, until).await?;
        accounts.clear();
        let failed = inspect(accounts, &stores.places).await?;
        let known = archive::new_keys(&stores.archive.store).await?;
        let sources = read(accounts, stores, options).await?;
        let mut list = List::new(options.list, options.missing.as_deref())?;
        let networks = accounts.tally(|missing| list.take(missing))?;
        let missing = list.end()?;
        let queues = waiting::depths(&stores.places).await?;
        let work = waiting::work(&stores.places, &queues);
        let is_settled = all(&networks).lost == 0 && work == 0;
        let is_final = is_settled || Instant::now() + PAUSE >= until;
        if is_final || !may_change(stores, &known, work, until - PAUSE).await? {
            let read = ReadStores { networks, sources, queues, failed };
            let audit = audit(accounts, read, &stores.places, options);
            return Ok(AuditResult { audit, missing });
        }
    }
}

/// Waits until the stores may hold more than was read. Returns false if they do not until `until`.
async fn may_change<S: ObjectStore, P, I>(
    stores: &Stores<S, P, I>,
    known: &BTreeSet<String>,
    work: u64,
    until: Instant,
) -> Result<bool, Problem> {
    if stores.pulses.is_none() && work == 0 {
        return waiting::growth(&stores.archive.store, known, until).await;
    }
    sleep(PAUSE).await;
    Ok(true)
}

/// Reads the archive, and the pulses from their table or from the archive.
async fn read<S, P, I>(accounts: &mut Accounts, stores: &Stores<S, P, I>, options: &Options) -> Result<Sources, Problem>
where
    S: ObjectStore,
    P: Pages + Lookup,
{
    let sent: u64 = accounts.runs.iter().map(|run| run.sent).sum();
    let days = options.by_key.then(|| archive::days(&accounts.runs));
    let raw = AuditProgress::of(sent, "raw uplinks");
    let sources = archive::read(accounts, &stores.archive, days.as_ref(), &raw).await?;
    drop(raw);
    if accounts.consumption.is_some() {
        accounts.days = consumption::read_days(&stores.archive.store, &accounts.runs).await?;
    }
    let pulses = AuditProgress::of(sent, "pulses");
    match &stores.pulses {
        Some(table) if options.by_key => read::by_key(accounts, table, &pulses).await?,
        Some(table) => read::whole(accounts, table, options.segments, &pulses).await?,
        None => accounts.decode()?,
    }
    Ok(Sources { pulses_table: stores.pulses.is_some(), ..sources })
}

/// The sources that were read, besides the accounts.
struct ReadStores {
    networks: BTreeMap<String, NetworkCounts>,
    sources: Sources,
    queues: BTreeMap<String, Waiting>,
    failed: FailedMessages,
}

fn audit<I>(accounts: &Accounts, read: ReadStores, places: &[WatchedQueue<I>], options: &Options) -> Audit {
    let ReadStores { networks, sources, queues, failed } = read;
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
        consumption: accounts.consumption.clone().map(|found| ConsumptionFindings {
            not_happened: consumption::not_happened(&accounts.runs, &found),
            ..found
        }),
        strange: accounts.strange.clone(),
        foreign: accounts.foreign,
        sources,
        sizes: accounts.sizes.clone(),
        queues,
        quarantined_unknown: failed.unknown,
        not_looked_at: not_looked_at(&failed, sources, options),
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
    let lost = if audit.sources.pulses_table {
        "acknowledged or stored, and not both in the archive and in the pulses table"
    } else {
        "acknowledged, and not in the archive, or not readable by its codec"
    };
    let none = ConsumptionFindings::default();
    let consumption = audit.consumption.as_ref().unwrap_or(&none);
    let reasons = [
        (unfinished, "unfinished runs (fleet load --resume continues one)"),
        (counts.lost, lost),
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
        (consumption.wrong, "meters whose consumption or ledger is not what they counted and what was lost"),
        (consumption.not_happened.len() as u64, "faults that were to happen and have not"),
    ];
    reasons.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
}

fn not_looked_at(failed: &FailedMessages, sources: Sources, options: &Options) -> Vec<String> {
    let mut not =
        vec!["the bucket of stream records that could not be stored in time (output UndeliveredBucket)".to_owned()];
    if options.by_key {
        not.push("days of the archive on which these runs have sent nothing".to_owned());
    }
    if options.by_key && sources.pulses_table {
        not.push("what is in the pulses table that these runs have not sent".to_owned());
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
