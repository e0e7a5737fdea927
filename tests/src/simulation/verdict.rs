//! What has to be so in the end, whatever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use pulsegate_pipeline::fakes::tally::Tally;
use serde_json::Value;

use super::fleet::{Fleet, owner, uplink_of};
use super::pipeline::Pipeline;
use super::table::Items;
use super::world::lock;

/// Of one kind of difference so many are told.
const TOLD: usize = 3;

/// How a run ended.
#[derive(Debug)]
pub struct End {
    /// Whether it did: nothing was left anywhere.
    pub quiet: bool,
    /// What was left, if anything.
    pub left: String,
    /// The table of raw uplinks, of pulses, and of events.
    pub tables: [Items; 3],
    /// Every message in quarantine, once.
    pub quarantined: BTreeSet<Arc<str>>,
    /// Messages turned away at the doors.
    pub refused: usize,
    /// Callbacks that were answered otherwise than expected.
    pub odd: Vec<String>,
    /// What panicked: handlers, and models that were asked for what AWS refuses.
    pub panics: Vec<String>,
    /// What the functions counted.
    pub tally: Tally,
    /// How often each fault happened.
    pub faults: Vec<u64>,
    /// Write units used.
    pub units: usize,
    /// Two runs of the same seed have the same.
    pub digest: u64,
}

const TABLES: [&str; 3] = ["raw uplinks", "pulses", "events"];

impl End {
    /// Of a pipeline.
    pub fn of(pipeline: &Pipeline, quiet: bool, tally: Tally) -> Self {
        let tables = [&pipeline.raw_table, &pipeline.pulse_table, &pipeline.event_table];
        let queues = pipeline.queues().map(|queue| (queue.name(), queue.len()));
        let read = pipeline.stream.is_read();
        let datagrams: BTreeSet<Vec<u8>> = pipeline.bridges.iter().flat_map(|bridge| bridge.refused()).collect();
        Self {
            quiet,
            left: format!("messages {queues:?}, stream read to its end: {read}, calm: {}", pipeline.world.is_quiet()),
            units: tables.iter().map(|table| table.units()).sum(),
            tables: tables.map(super::table::TableModel::items),
            quarantined: pipeline.quarantine.bodies().into_iter().collect(),
            refused: *lock(&pipeline.sigfox.refused) + datagrams.len(),
            odd: lock(&pipeline.sigfox.odd).clone(),
            panics: pipeline.world.panics(),
            tally,
            faults: pipeline.world.faults.counts(),
            digest: pipeline.world.digest(),
        }
    }

    /// Everything that is wrong with it, given what should have become of what was sent.
    pub fn wrong(&self, fleet: &Fleet) -> Vec<String> {
        let expected = &fleet.expected;
        let mut wrong = Vec::new();
        if !self.quiet {
            wrong.push(format!("something is left for ever: {}", self.left));
        }
        wrong.extend(self.panics.iter().take(TOLD).map(|panic| format!("a panic: {panic}")));
        wrong.extend(self.odd.iter().take(TOLD).map(|odd| format!("a callback is {odd}")));
        for (name, (expected, found)) in TABLES.iter().zip(expected.tables.iter().zip(&self.tables)) {
            tables_differ(&mut wrong, name, expected, found);
        }
        let quarantined: BTreeSet<String> = self.quarantined.iter().map(|message| identity(message)).collect();
        differ(&mut wrong, "quarantine", &expected.quarantined, &quarantined);
        let stored: BTreeSet<String> = self.tables[0].keys().map(|(d, key)| owner(d, &uplink_of(key))).collect();
        let became = [self.tables[0].len(), quarantined.difference(&stored).count(), self.refused];
        if fleet.messages() != became.iter().sum::<usize>() {
            wrong.push(format!("of {} messages, {became:?} were stored, quarantined, refused", fleet.messages()));
        }
        wrong.extend(unbalanced(&self.tally));
        wrong
    }

    /// Everything in which it differs from a run of the same messages in which nothing went wrong.
    pub fn unlike(&self, calm: &Self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, (here, there)) in TABLES.iter().zip(self.tables.iter().zip(&calm.tables)) {
            tables_differ(&mut wrong, &format!("{name}, beside the run where nothing went wrong"), there, here);
        }
        differ(&mut wrong, "quarantine, to the byte", &calm.quarantined, &self.quarantined);
        wrong
    }
}

/// In keys either way, and in contents.
fn tables_differ(wrong: &mut Vec<String>, what: &str, expected: &Items, found: &Items) {
    let keys = |items: &Items| items.keys().cloned().collect::<BTreeSet<_>>();
    differ(wrong, what, &keys(expected), &keys(found));
    let other = found.iter().filter(|(key, item)| expected.get(*key).is_some_and(|expected| expected != *item));
    wrong.extend(other.take(TOLD).map(|(key, _)| format!("{what}: {key:?} has other contents")));
}

fn differ<T: Ord + Debug>(wrong: &mut Vec<String>, what: &str, expected: &BTreeSet<T>, found: &BTreeSet<T>) {
    let missing = expected.difference(found);
    let more = found.difference(expected);
    wrong.extend(missing.take(TOLD).map(|missing| format!("{what}: {missing:?} is lost")));
    wrong.extend(more.take(TOLD).map(|more| format!("{what}: {more:?} should not be there")));
}

/// Scope uplink it is, or else the record itself.
fn identity(message: &str) -> String {
    let message: Value = serde_json::from_str(message).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    match (text(&message["device"]), text(&message["uplink"])) {
        (Some(device), Some(uplink)) => owner(&device, &uplink),
        _ => text(&message["record"]["text"]).unwrap_or_else(|| message["record"].to_string()),
    }
}

/// Received = stored + quarantined + given back + refused, at each part.
fn unbalanced(tally: &Tally) -> Vec<String> {
    let mut parts: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for ((part, name), &sum) in tally {
        parts.entry(part).or_default().insert(name, sum);
    }
    let balances = |counts: &BTreeMap<&str, u64>| {
        let became = ["stored", "quarantined", "given_back", "refused"];
        let sum = became.iter().map(|name| counts.get(name).copied().unwrap_or_default()).sum::<u64>();
        counts.get("received").is_none_or(|&received| received == sum)
    };
    parts
        .into_iter()
        .filter(|(_, counts)| !balances(counts))
        .map(|(part, counts)| format!("{part}: {counts:?}"))
        .collect()
}
