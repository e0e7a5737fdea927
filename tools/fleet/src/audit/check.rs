//! All of it together.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsegate_aws::{Lookup, Pages};
use pulsegate_pipeline::ports::{Depth, ReceiveQueue, Waiting};
use tokio::time::{Instant, sleep};

use super::books::Books;
use super::missing::{List, Missing};
use super::peek::{Peeked, peek};
use super::progress::Progress;
use super::read::{self, Table};
use super::tally::{Audit, Counts, Meters};
use super::waiting::{self, Kind, Place};
use super::{FILE, Options, Stores};
use crate::Problem;

/// Before the tables are read again, when something that was acknowledged was not in them.
const PAUSE: Duration = Duration::from_secs(10);

/// What an audit has found, and those that are to be printed of what is missing.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) audit: Audit,
    pub(super) missing: Vec<Missing>,
}

/// Waits, reads, and accounts. When something is missing that was acknowledged, it reads again, until it is there or the time is up: what
/// is in the stream nobody can ask for.
pub(super) async fn check<R, P, I>(
    books: &mut Books,
    stores: &Stores<R, P, I>,
    options: &Options,
) -> Result<Found, Problem>
where
    R: Pages + Lookup,
    P: Pages + Lookup,
    I: ReceiveQueue + Depth,
{
    let until = Instant::now() + options.wait;
    loop {
        waiting::settle(books, stores, until).await?;
        books.clear();
        let peeked = peek(books, &stores.places).await?;
        tables(books, stores, options).await?;
        let mut list = List::new(options.list, options.missing.as_deref())?;
        let networks = books.tally(|missing| list.take(missing))?;
        let missing = list.end()?;
        let queues = waiting::depths(&stores.places).await?;
        let is_settled = all(&networks).lost == 0 && waiting::work(&stores.places, &queues) == 0;
        if is_settled || Instant::now() + PAUSE >= until {
            let audit = audit(books, networks, &stores.places, queues, &peeked, options);
            return Ok(Found { audit, missing });
        }
        sleep(PAUSE).await;
    }
}

async fn tables<R, P, I>(books: &mut Books, stores: &Stores<R, P, I>, options: &Options) -> Result<(), Problem>
where
    R: Pages + Lookup,
    P: Pages + Lookup,
{
    let sent: u64 = books.runs.iter().map(|book| book.sent).sum();
    let raw = Progress::of(sent, "raw uplinks");
    if options.by_key {
        read::by_key(books, Table::Raw, &stores.raw, &raw).await?;
    } else {
        read::whole(books, Table::Raw, &stores.raw, options.segments, &raw).await?;
    }
    drop(raw);
    let pulses = Progress::of(sent, "pulses");
    if options.by_key {
        read::by_key(books, Table::Pulses, &stores.pulses, &pulses).await
    } else {
        read::whole(books, Table::Pulses, &stores.pulses, options.segments, &pulses).await
    }
}

fn audit<I>(
    books: &Books,
    networks: BTreeMap<String, Counts>,
    places: &[Place<I>],
    queues: BTreeMap<String, Waiting>,
    peeked: &Peeked,
    options: &Options,
) -> Audit {
    let mut meters = Meters::default();
    for each in &books.meters {
        meters.add(each);
    }
    let mut audit = Audit {
        at: jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string(),
        runs: books.runs.iter().map(|book| book.name.clone()).collect(),
        ok: false,
        wrong: vec![],
        networks,
        meters,
        strange: books.strange.clone(),
        foreign: books.foreign,
        sizes: books.sizes.clone(),
        queues,
        quarantined_unknown: peeked.unknown,
        not_looked_at: not_looked_at(peeked, options),
    };
    audit.wrong = wrong(books, &audit, places);
    audit.ok = audit.wrong.is_empty();
    audit
}

/// Why not all is accounted for.
fn wrong<I>(books: &Books, audit: &Audit, places: &[Place<I>]) -> Vec<String> {
    let counts = all(&audit.networks);
    let in_queues = |kind| {
        let places = places.iter().filter(move |place| place.kind == kind);
        places.filter_map(|place| audit.queues.get(place.name)).map(Waiting::all).sum::<u64>()
    };
    let unfinished = books.runs.iter().filter(|book| !book.complete).count() as u64;
    // The bits are of whole sessions. Of those that were given up in part, as many have to be there as were acknowledged.
    let acknowledged: u64 = books.runs.iter().map(|book| book.acknowledged).sum();
    let in_part = acknowledged.saturating_sub(counts.acknowledged + counts.given_up_stored);
    let reasons = [
        (unfinished, "runs that have not come to their end (fleet simulate --resume goes on with one)"),
        (counts.lost, "acknowledged or stored in one table, and not in both"),
        (in_part, "acknowledged, of sessions that were given up in part, and not stored"),
        (counts.altered, "stored otherwise than it was sent"),
        (counts.quarantined, "in quarantine"),
        (counts.dead_letters.max(in_queues(Kind::DeadLetters)), "among dead letters"),
        (in_queues(Kind::Work), "still in queues"),
        (
            audit.strange.items,
            "stored of the fleet's own devices that no session has sent (of another run? Name that too)",
        ),
        (counts.unnoted, "stored, and not noted as sent"),
        (audit.meters.wrong, "meters whose points are not what they counted"),
    ];
    reasons.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
}

fn not_looked_at(peeked: &Peeked, options: &Options) -> Vec<String> {
    let mut not =
        vec!["the bucket of stream records that could not be stored in time (output UndeliveredBucket)".to_owned()];
    if options.by_key {
        not.push("what is in the tables that these runs have not sent".to_owned());
    }
    not.extend(peeked.more.iter().map(|place| format!("some of what is in the queue {place}: it is too much")));
    not
}

/// Counts of all networks together.
pub(super) fn all(networks: &BTreeMap<String, Counts>) -> Counts {
    let mut all = Counts::default();
    for each in networks.values() {
        all.add(each);
    }
    all
}

/// Leaves `audit.json` in the directory of each run.
pub(super) fn leave(found: &Found, options: &Options) -> Result<(), Problem> {
    for directory in &options.runs {
        let file = directory.join(FILE);
        let name = || file.display().to_string();
        let text = serde_json::to_string_pretty(&found.audit)
            .map_err(|e| Problem::Wrong(format!("{} cannot be written: {e}", name())))?;
        std::fs::write(&file, text + "\n").map_err(|e| Problem::File(name(), e))?;
    }
    Ok(())
}
