//! Checks reads and the final state.

use std::collections::BTreeMap;

use bytes::Bytes;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::file;
use pulsegate_pipeline::archive::place::Place;
use pulsegate_pipeline::archive::points::POINTS;
use pulsegate_pipeline::archive::row::Row;

use super::activity::Activity;
use super::messages::Messages;
use super::points;

/// Maximum number of reported errors of one kind.
const MAX_REPORTED: usize = 3;

/// Returns all errors of a run.
pub fn wrong(activity: &Activity) -> Vec<String> {
    let mut wrong: Vec<String> = activity.errors().into_iter().take(MAX_REPORTED).collect();
    wrong.extend(activity.world.panics().iter().take(MAX_REPORTED).map(|panic| format!("a panic: {panic}")));
    wrong.extend(points::wrong(activity).into_iter().take(MAX_REPORTED));
    let (expected, mut found) = (expected(&activity.messages), activity.objects.all());
    found.retain(|key, _| !key.starts_with(POINTS));
    let missing = expected.keys().filter(|key| !found.contains_key(*key));
    wrong.extend(missing.take(MAX_REPORTED).map(|key| format!("at the end, {key} is missing")));
    let more = found.keys().filter(|key| !expected.contains_key(*key));
    wrong.extend(more.take(MAX_REPORTED).map(|key| format!("at the end, {key} should not be there")));
    let other = found.iter().filter(|(key, content)| expected.get(*key).is_some_and(|expected| expected != *content));
    wrong.extend(other.take(MAX_REPORTED).map(|(key, _)| format!("at the end, {key} has other contents")));
    wrong
}

/// The files that the archive must have at the end: a function of the set of messages.
fn expected(messages: &Messages) -> BTreeMap<String, Bytes> {
    let mut files: BTreeMap<Place, Vec<Row>> = BTreeMap::new();
    for uplink in &messages.uplinks {
        files.entry(messages.bits.place(uplink)).or_default().push(uplink.into());
    }
    let encoded = |rows| file::union(None, rows).unwrap_or_else(|e| panic!("{e}"));
    files.into_iter().map(|(place, rows)| (place.to_string(), encoded(rows))).collect()
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
