//! Checks the points files of the final state against the set of messages, merged device by device.

use std::collections::{BTreeMap, BTreeSet};

use pulsegate_model::device::DeviceId;
use pulsegate_model::merge;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::decoded::Decoded;
use pulsegate_pipeline::archive::place::Day;
use pulsegate_pipeline::archive::points::file::{self, PointRow, ValueKind};
use pulsegate_pipeline::archive::points::{POINTS, key_of};
use pulsegate_pipeline::archive::reports::REPORTS;
use pulsegate_pipeline::archive::row::{self, Row};

use super::activity::Activity;

/// The points of each file, as far as they depend on counts and not on codecs.
type Files = BTreeMap<String, BTreeSet<Point>>;

type Point = (DeviceId, String, ValueKind, i64, u64, bool);

/// Returns the errors in points files, of which there must be no other ones.
pub(super) fn wrong(activity: &Activity) -> Vec<String> {
    let (mut found, mut wrong) = (Files::new(), Vec::new());
    let versions = activity.objects.etags();
    for (key, content) in activity.objects.all().into_iter().filter(|(key, _)| key.starts_with(POINTS)) {
        let (origin, rows) = match file::read(content) {
            Ok((Some(origin), rows)) => (origin, rows),
            read => {
                wrong.push(format!("at the end, {key} cannot be read: {:?}", read.err()));
                continue;
            }
        };
        if origin.sources.iter().any(|(source, version)| versions.get(source).is_none_or(|now| now.0 != *version)) {
            wrong.push(format!("at the end, {key} is made from sources that are no longer there"));
        }
        let reports = key.replacen(POINTS, REPORTS, 1);
        if versions.get(&reports).is_none_or(|now| now.0 != origin.reports) {
            wrong.push(format!("at the end, {key} names other reports than there are"));
        }
        if !rows.is_empty() {
            found.insert(key, rows.iter().map(point).collect());
        }
    }
    let expected = expected(activity);
    let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let other = keys.into_iter().filter(|key| expected.get(*key) != found.get(*key));
    wrong.extend(other.map(|key| format!("at the end, {key} has other points")));
    wrong
}

fn expected(activity: &Activity) -> Files {
    let messages = &activity.messages;
    let mut devices: BTreeMap<DeviceId, Vec<Row>> = BTreeMap::new();
    let kept = messages.uplinks.iter().filter(|uplink| activity.erasing != Some(uplink.device));
    let dated = kept.filter(|uplink| Day::of(uplink) != Day::Odd);
    for row in dated.map(Row::from).collect::<BTreeSet<_>>() {
        devices.entry(row.device()).or_default().push(row);
    }
    let mut files = Files::new();
    for (device, rows) in devices {
        let uplinks: Result<Vec<Uplink>, _> = row::valid(rows).iter().map(Row::uplink).collect();
        let items = Decoded::of(uplinks.unwrap_or_else(|e| panic!("{e}"))).items;
        for (channel, points) in merge::merge(items.into_values()).unwrap_or_else(|e| panic!("{e}")) {
            for point in points.points {
                let key = key_of(messages.bits.place_of(device, Day::at(point.at)));
                let channel = channel.to_string();
                let point = (device, channel, ValueKind::Index, point.at.unix(), point.index, point.contradicted);
                files.entry(key).or_default().insert(point);
            }
        }
    }
    files
}

fn point(row: &PointRow) -> Point {
    (row.device, row.channel.clone(), row.kind, row.at.unix(), row.value, row.contradicted)
}
