//! Checks reads and the final state.

use std::collections::BTreeMap;

use bytes::Bytes;
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::file::{self, FileRows};
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::place::{DAY, NEW, Place};
use pulsegate_pipeline::archive::points::{POINTS, file as point_file};
use pulsegate_pipeline::archive::reports::{REPORTS, file as report_file};
use pulsegate_pipeline::archive::row::Row;
use pulsegate_pipeline::tombstones::ERASED;

use super::activity::Activity;
use super::messages::Messages;
use super::{points, reports};

/// Maximum number of reported errors of one kind.
const MAX_REPORTED: usize = 3;

/// Returns all errors of a run.
pub fn wrong(activity: &Activity) -> Vec<String> {
    let mut wrong: Vec<String> = activity.errors().into_iter().take(MAX_REPORTED).collect();
    wrong.extend(activity.world.panics().iter().take(MAX_REPORTED).map(|panic| format!("a panic: {panic}")));
    if activity.derives {
        wrong.extend(points::wrong(activity).into_iter().take(MAX_REPORTED));
        wrong.extend(reports::wrong(activity).into_iter().take(MAX_REPORTED));
    }
    let (expected, mut found) = (expected(activity), activity.objects.all());
    found.retain(|key, _| key != ERASED && !key.starts_with(POINTS) && !key.starts_with(REPORTS));
    if let Some(device) = activity.erasing {
        // Without the erased device, a file may have no rows left.
        found.retain(|key, content| !key.starts_with(DAY) || has_rows(content, |_| true));
        let versions = activity.objects.all_versions();
        let holding = versions.iter().filter(|(key, content)| holds(key, content, device));
        wrong.extend(holding.take(MAX_REPORTED).map(|(key, _)| format!("at the end, {key} has the erased device")));
    }
    let missing = expected.keys().filter(|key| !found.contains_key(*key));
    wrong.extend(missing.take(MAX_REPORTED).map(|key| format!("at the end, {key} is missing")));
    let more = found.keys().filter(|key| !expected.contains_key(*key));
    wrong.extend(more.take(MAX_REPORTED).map(|key| format!("at the end, {key} should not be there")));
    let other = found.iter().filter(|(key, content)| expected.get(*key).is_some_and(|expected| expected != *content));
    wrong.extend(other.take(MAX_REPORTED).map(|(key, _)| format!("at the end, {key} has other contents")));
    wrong
}

/// The files that the archive must have at the end: a function of the set of messages.
fn expected(activity: &Activity) -> BTreeMap<String, Bytes> {
    let messages = &activity.messages;
    let mut files: BTreeMap<Place, Vec<Row>> = BTreeMap::new();
    for uplink in messages.uplinks.iter().filter(|uplink| activity.erasing != Some(uplink.device)) {
        files.entry(messages.bits.place(uplink)).or_default().push(uplink.into());
    }
    let encoded = |rows| file::union(None, rows).unwrap_or_else(|e| panic!("{e}"));
    files.into_iter().map(|(place, rows)| (place.to_string(), encoded(rows))).collect()
}

/// True if a version of an object has rows of the device.
fn holds(key: &str, content: &Bytes, device: DeviceId) -> bool {
    if key.starts_with(NEW) {
        let uplinks = object::decode(key, content).unwrap_or_else(|e| panic!("{key}: {e}"));
        return uplinks.iter().any(|uplink| uplink.device == device);
    }
    if key.starts_with(POINTS) {
        let (_, rows) = point_file::read(content.clone()).unwrap_or_else(|e| panic!("{key}: {e}"));
        return rows.iter().any(|row| row.device == device);
    }
    if key.starts_with(REPORTS) {
        let devices = report_file::read(content.clone()).unwrap_or_else(|e| panic!("{key}: {e}"));
        return devices.iter().any(|(of, _)| *of == device);
    }
    key.starts_with(DAY) && has_rows(content, |row| row.device() == device)
}

fn has_rows(content: &Bytes, is_of: impl Fn(&Row) -> bool) -> bool {
    let mut rows = FileRows::new(content.clone()).unwrap_or_else(|e| panic!("{e}"));
    std::iter::from_fn(|| rows.next_row().unwrap_or_else(|e| panic!("{e}"))).any(|row| is_of(&row))
}

/// Returns the errors of a read, given the rows that were acknowledged when it began. Of several rows with one key it returns
/// the greatest.
pub fn wrong_read(due: impl Iterator<Item = Row>, read: &[Uplink], messages: &Messages) -> Vec<String> {
    let read: Vec<Row> = read.iter().map(Row::from).collect();
    let has = |due: &Row| read.iter().any(|row| row.key() == due.key() && row >= due);
    let mut wrong: Vec<String> =
        due.filter(|due| !has(due)).map(|row| format!("a reader misses {:?}", row.key())).collect();
    if !read.is_sorted_by(|one, next| one.key() < next.key()) {
        wrong.push("a reader returns uplinks out of order, or a key twice".to_owned());
    }
    let sent = messages.rows();
    wrong.extend(read.iter().filter(|row| !sent.contains(row)).map(|row| format!("a reader invents {:?}", row.key())));
    wrong
}
