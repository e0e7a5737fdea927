//! Checks the final state of a run, which must not depend on the faults.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use pulsegate_pipeline::fakes::tally::Tally;
use serde_json::Value;

use super::expiry;
use super::fleet::{Fleet, owner, uplink_of};
use super::pipeline::Pipeline;
use super::raw_objects::Rows;
use super::table::Items;
use super::world::lock;

/// Maximum number of reported differences of one kind.
const MAX_REPORTED: usize = 3;

/// Final state of a run.
#[derive(Debug)]
pub struct End {
    /// True if all messages were processed before the time-out.
    pub quiet: bool,
    /// Description of the messages that are left.
    pub left: String,
    /// The archive.
    pub raw: Rows,
    /// Tables of pulses and events.
    pub tables: [Items; 2],
    /// Distinct messages in quarantine.
    pub quarantined: BTreeSet<Arc<str>>,
    /// Number of callbacks and datagrams rejected on arrival.
    pub refused: usize,
    /// Unexpected answers to callbacks.
    pub unexpected: Vec<String>,
    /// Items that do not expire when they should.
    pub expiries: Vec<String>,
    /// Panics of handlers, and of models that got a request that AWS rejects.
    pub panics: Vec<String>,
    /// Counters of the functions.
    pub tally: Tally,
    /// Occurrences of each fault.
    pub faults: Vec<u64>,
    /// Write units used.
    pub units: usize,
    /// Digest of the effects; two runs of one seed have the same.
    pub digest: u64,
}

const ARCHIVE: &str = "raw uplinks";
const TABLES: [&str; 2] = ["pulses", "events"];

impl End {
    /// Reads the state of a pipeline.
    pub fn of(pipeline: &Pipeline, quiet: bool, tally: Tally) -> Self {
        let tables = [&pipeline.pulse_table, &pipeline.event_table];
        let queues = pipeline.queues().map(|queue| (queue.name(), queue.len()));
        let read = pipeline.stream.is_read();
        let datagrams: BTreeSet<Vec<u8>> = pipeline.bridges.iter().flat_map(|bridge| bridge.refused()).collect();
        Self {
            quiet,
            left: format!("messages {queues:?}, stream read to its end: {read}, calm: {}", pipeline.world.is_quiet()),
            units: tables.iter().map(|table| table.units()).sum(),
            raw: pipeline.archive.rows(),
            tables: tables.map(super::table::TableModel::items),
            quarantined: pipeline.quarantine.bodies().into_iter().collect(),
            refused: *lock(&pipeline.sigfox.refused) + datagrams.len(),
            unexpected: lock(&pipeline.sigfox.unexpected).clone(),
            expiries: expiry::wrong(pipeline),
            panics: pipeline.world.panics(),
            tally,
            faults: pipeline.world.faults.counts(),
            digest: pipeline.world.digest(),
        }
    }

    /// Returns all errors, given the expected results of the fleet.
    pub fn wrong(&self, fleet: &Fleet) -> Vec<String> {
        let expected = &fleet.expected;
        let mut wrong = Vec::new();
        if !self.quiet {
            wrong.push(format!("messages are left for ever: {}", self.left));
        }
        wrong.extend(self.panics.iter().take(MAX_REPORTED).map(|panic| format!("a panic: {panic}")));
        wrong
            .extend(self.unexpected.iter().take(MAX_REPORTED).map(|unexpected| format!("a callback was {unexpected}")));
        wrong.extend(self.expiries.iter().take(MAX_REPORTED).cloned());
        rows_differ(&mut wrong, ARCHIVE, &expected.raw, &self.raw);
        for (name, (expected, found)) in TABLES.iter().zip(expected.tables.iter().zip(&self.tables)) {
            tables_differ(&mut wrong, name, expected, found);
        }
        let quarantined: BTreeSet<String> = self.quarantined.iter().map(|message| identity(message)).collect();
        differ(&mut wrong, "quarantine", &expected.quarantined, &quarantined);
        let stored: BTreeSet<String> = self.raw.keys().map(|(d, key)| owner(d, &uplink_of(key))).collect();
        let became = [self.raw.len(), quarantined.difference(&stored).count(), self.refused];
        if fleet.messages() != became.iter().sum::<usize>() {
            wrong.push(format!("of {} messages, {became:?} were stored, quarantined, rejected", fleet.messages()));
        }
        wrong.extend(unbalanced(&self.tally));
        wrong
    }

    /// Returns all differences to the run of the same messages without faults.
    pub fn differences(&self, calm: &Self) -> Vec<String> {
        let mut wrong = Vec::new();
        rows_differ(&mut wrong, &format!("{ARCHIVE}, compared with the run without faults"), &calm.raw, &self.raw);
        for (name, (here, there)) in TABLES.iter().zip(self.tables.iter().zip(&calm.tables)) {
            tables_differ(&mut wrong, &format!("{name}, compared with the run without faults"), there, here);
        }
        differ(&mut wrong, "quarantine, byte by byte", &calm.quarantined, &self.quarantined);
        wrong
    }
}

/// Reports keys that are missing or unexpected, and rows that differ.
fn rows_differ(wrong: &mut Vec<String>, what: &str, expected: &Rows, found: &Rows) {
    let keys = |rows: &Rows| rows.keys().cloned().collect::<BTreeSet<_>>();
    differ(wrong, what, &keys(expected), &keys(found));
    let other = found.iter().filter(|(key, rows)| expected.get(*key).is_some_and(|expected| expected != *rows));
    wrong.extend(other.take(MAX_REPORTED).map(|(key, _)| format!("{what}: {key:?} has other contents")));
}

/// Reports keys that are missing or unexpected, and contents that differ. The expiry is compared by [`expiry`].
fn tables_differ(wrong: &mut Vec<String>, what: &str, expected: &Items, found: &Items) {
    let keys = |items: &Items| items.keys().cloned().collect::<BTreeSet<_>>();
    differ(wrong, what, &keys(expected), &keys(found));
    let other = found
        .iter()
        .filter(|(key, item)| expected.get(*key).is_some_and(|expected| !expiry::differ_at_most_in_it(expected, item)));
    wrong.extend(other.take(MAX_REPORTED).map(|(key, _)| format!("{what}: {key:?} has other contents")));
}

fn differ<T: Ord + Debug>(wrong: &mut Vec<String>, what: &str, expected: &BTreeSet<T>, found: &BTreeSet<T>) {
    let missing = expected.difference(found);
    let more = found.difference(expected);
    wrong.extend(missing.take(MAX_REPORTED).map(|missing| format!("{what}: {missing:?} is lost")));
    wrong.extend(more.take(MAX_REPORTED).map(|more| format!("{what}: {more:?} should not be there")));
}

/// Identifies a quarantined message: by its uplink, or else by the record itself.
fn identity(message: &str) -> String {
    let message: Value = serde_json::from_str(message).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    match (text(&message["device"]), text(&message["uplink"])) {
        (Some(device), Some(uplink)) => owner(&device, &uplink),
        _ => text(&message["record"]["text"]).unwrap_or_else(|| message["record"].to_string()),
    }
}

/// Returns the parts whose counters do not fulfil: received = stored + quarantined + given back + refused + erased.
fn unbalanced(tally: &Tally) -> Vec<String> {
    let mut parts: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for ((part, name), &sum) in tally {
        parts.entry(part).or_default().insert(name, sum);
    }
    let balances = |counts: &BTreeMap<&str, u64>| {
        let became = ["stored", "quarantined", "given_back", "refused", "erased"];
        let sum = became.iter().map(|name| counts.get(name).copied().unwrap_or_default()).sum::<u64>();
        counts.get("received").is_none_or(|&received| received == sum)
    };
    parts
        .into_iter()
        .filter(|(_, counts)| !balances(counts))
        .map(|(part, counts)| format!("{part}: {counts:?}"))
        .collect()
}
