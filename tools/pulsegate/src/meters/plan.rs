//! The difference between rows and the stored assignments, and the contradictions between them.

use std::collections::BTreeMap;

use pulsegate_model::assignment::{Assignment, Assignments, MeterText};
use pulsegate_model::codec::Channel;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::tombstones::Tombstones;

use super::Fault;
use super::rows::{Key, Row, Rows};

/// The rows by what becomes of them.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// New assignments, and those that replace another one, in the order of the file.
    pub(super) written: Vec<Planned>,
    /// The number of rows that are stored as they are.
    pub(super) unchanged: usize,
}

/// A row that is to be written.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) row: Row,
    /// The stored assignment that it replaces.
    pub(super) old: Option<Assignment>,
}

/// An assignment as it will be: a row, or one that is stored and stays.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    /// `None` if it is stored and stays.
    row: Option<&'a Row>,
    assignment: &'a Assignment,
}

/// Compares rows with what is stored. Nothing may be written if there is an error.
pub(super) fn plan(stored: &Assignments, erased: &Tombstones, rows: Rows) -> (Plan, Vec<Fault>) {
    let Rows { right, replaced, mut faults } = rows;
    let mut of_key: BTreeMap<Key, Row> = BTreeMap::new();
    for row in right {
        if let Some(at) = erased.of(row.assignment.device) {
            let reason = format!("{} was erased on {at}; see docs/erase.md", row.assignment.device);
            faults.push(fault(&row, "device", reason));
        }
        let key = key(&row.assignment);
        match of_key.get(&key) {
            Some(first) => {
                let where_ = first.line.map_or_else(String::new, |line| format!(" as in line {line}"));
                faults.push(fault(&row, "from", format!("the same device, channel and from{where_}")));
            }
            None => {
                of_key.insert(key, row);
            }
        }
    }
    let staying = stored.iter().filter(|assignment| {
        let key = key(assignment);
        !of_key.contains_key(&key) && !replaced.contains(&key)
    });
    contradictions(staying, &of_key, &mut faults);
    let mut plan = Plan::default();
    for row in of_key.into_values() {
        let Assignment { device, channel, from, .. } = &row.assignment;
        let old = stored.of(*device, channel).iter().find(|old| old.from == *from);
        if old == Some(&row.assignment) {
            plan.unchanged += 1;
        } else {
            plan.written.push(Planned { old: old.cloned(), row });
        }
    }
    plan.written.sort_by_key(|planned| planned.row.line);
    faults.sort_by_key(|fault| fault.line);
    (plan, faults)
}

/// Finds assignments of one channel, or of one serial number, at the same time.
fn contradictions<'a>(
    staying: impl Iterator<Item = &'a Assignment>,
    rows: &'a BTreeMap<Key, Row>,
    faults: &mut Vec<Fault>,
) {
    let staying = staying.map(|assignment| Entry { row: None, assignment });
    let entries = staying.chain(rows.values().map(|row| Entry { row: Some(row), assignment: &row.assignment }));
    let mut channels: BTreeMap<(DeviceId, &Channel), Vec<Entry<'_>>> = BTreeMap::new();
    let mut serials: BTreeMap<&MeterText, Vec<Entry<'_>>> = BTreeMap::new();
    for entry in entries {
        channels.entry(channel(entry)).or_default().push(entry);
        if let Some(serial) = &entry.assignment.serial {
            serials.entry(serial).or_default().push(entry);
        }
    }
    for (row, other) in channels.into_values().flat_map(|entries| overlapping(entries, |_, _| true)) {
        faults.push(fault(row, "from", format!("overlaps with the assignment {}", named(other))));
    }
    let differ = |one, other| channel(one) != channel(other);
    for (row, other) in serials.into_values().flat_map(|entries| overlapping(entries, differ)) {
        let reason = format!("the meter is at the same time in the assignment {}", named(other));
        faults.push(fault(row, "serial", reason));
    }
}

/// Pairs of assignments with a time in common, at least one of which is a row: that of the greater line, and the other one.
/// Of those with which an assignment overlaps it returns the first one.
fn overlapping<'a>(
    mut entries: Vec<Entry<'a>>,
    contradict: impl Fn(Entry<'a>, Entry<'a>) -> bool,
) -> Vec<(&'a Row, Entry<'a>)> {
    if entries.iter().all(|entry| entry.row.is_none()) {
        return Vec::new();
    }
    entries.sort_by_key(|entry| entry.assignment.from);
    let mut open: Vec<Entry<'_>> = Vec::new();
    let mut pairs = Vec::new();
    for entry in entries {
        open.retain(|before| before.assignment.to.is_none_or(|to| entry.assignment.from.is_none_or(|from| from < to)));
        let is_pair =
            |before: &&Entry<'a>| (entry.row.is_some() || before.row.is_some()) && contradict(entry, **before);
        if let Some(before) = open.iter().find(is_pair) {
            let (later, other) = if line(entry) > line(*before) { (entry, *before) } else { (*before, entry) };
            pairs.extend(later.row.map(|row| (row, other)));
        }
        open.push(entry);
    }
    pairs
}

/// Orders what is stored before all rows.
fn line(entry: Entry<'_>) -> (bool, Option<u64>) {
    (entry.row.is_some(), entry.row.and_then(|row| row.line))
}

fn key(assignment: &Assignment) -> Key {
    (assignment.device, assignment.channel.clone(), assignment.from)
}

fn channel(entry: Entry<'_>) -> (DeviceId, &Channel) {
    (entry.assignment.device, &entry.assignment.channel)
}

fn named(entry: Entry<'_>) -> String {
    let assignment = entry.assignment;
    match entry.row {
        None => format!("{assignment}, which is stored"),
        Some(Row { line: Some(line), .. }) => format!("{assignment}, of line {line}"),
        Some(Row { line: None, .. }) => assignment.to_string(),
    }
}

fn fault(row: &Row, column: &str, reason: String) -> Fault {
    Fault { line: row.line, column: Some(column.to_owned()), reason }
}
