//! Properties of days without faults, and of runs that are killed, overlap or see their sources change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use jiff::civil::Date;
use proptest::collection::vec;
use proptest::prelude::*;
use pulsegate_model::assignment::{Assignment, Assignments, Zone};
use pulsegate_model::codec::Channel;
use pulsegate_model::day::{self, Dates, DayRow, History, Readings};
use pulsegate_model::device::DeviceId;
use pulsegate_model::merge;
use pulsegate_model::uplink::{Kind, Payload, Radio, TimeSource, Uplink};

use super::file::DaysFile;
use super::*;
use crate::archive::assignments::update;
use crate::archive::decoded::Decoded;
use crate::archive::points::{Derive, decoder};
use crate::archive::reports;
use crate::archive::row::{self, Row};
use crate::archive::settle::Settle;
use crate::archive::tests::{block, put, soon};
use crate::fakes::{FakeObjects, Life};

mod encoding;
mod runs;

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// A month with one partition, then two, then four, then one again.
const BITS: &str = "2026-01-01=0,2026-10-10=1,2026-11-20=2,2026-12-15=0";

fn bits() -> PartitionBits {
    BITS.parse().unwrap()
}

fn at(text: &str) -> At {
    text.parse().unwrap()
}

fn device(number: u64) -> DeviceId {
    format!("nbiot:{}", 490_154_203_000_000 + number).parse().unwrap()
}

/// An uplink with counts of channel A at these times.
fn uplink(number: u64, at: i64, counts: &[(i64, u64)]) -> Uplink {
    let records: Vec<String> =
        counts.iter().map(|(time, count)| format!(r#"{{"n":"A","u":"count","v":{count},"t":{time}}}"#)).collect();
    Uplink {
        device: device(number),
        kind: Kind::Data,
        at: At::from_unix(at).unwrap(),
        time_source: TimeSource::Network,
        sequence: u32::try_from(at / HOUR % 4096).ok(),
        profile: "senml-json".parse().unwrap(),
        payload: Payload::from_bytes(format!("[{}]", records.join(",")).as_bytes()).unwrap(),
        radio: Radio::default(),
    }
}

/// Uplinks of a meter that counts one pulse an hour and reports every sixth hour.
fn hourly(number: u64, from: &str, days: i64) -> Vec<Uplink> {
    let from = at(from).unix();
    let counts = |end: i64| (end - 5..=end).map(|hour| (from + hour * HOUR, u64::try_from(100 + hour).unwrap()));
    (0..days * 4)
        .map(|n| uplink(number, from + (n * 6 + 5) * HOUR + 60, &counts(n * 6 + 5).collect::<Vec<_>>()))
        .collect()
}

fn assignment(number: u64, from: Option<&str>, zone: &str) -> Assignment {
    let text = serde_json::json!({
        "device": device(number), "channel": "A", "from": from, "litres_per_pulse": 10, "time_zone": zone,
    });
    serde_json::from_value(text).unwrap()
}

async fn assign(store: &FakeObjects, assignment: &Assignment) {
    let key = assignments::key_of(assignment.device);
    let add = |assignments: &mut Assignments| {
        assignments.remove(assignment.device, &assignment.channel, assignment.from);
        assignments.add(assignment.clone()).unwrap();
        Ok::<_, AssignmentsError>(())
    };
    update(store, &key, soon(), add).await.unwrap();
}

async fn receive(store: &FakeObjects, uplinks: &[Uplink]) {
    let bits = bits();
    put(store, uplinks).await;
    while (Settle { store, bits: &bits, stop: soon(), deadline: soon() }).run().await.unwrap().objects > 0 {}
    let derived = Derive { store, bits: &bits, decoder, stop: soon(), deadline: soon() }.run().await.unwrap();
    assert_eq!((derived.remaining, derived.unreadable), (0, 0));
}

fn days<'a, S>(store: &'a S, bits: &'a PartitionBits, now: At) -> Days<'a, S> {
    Days { store, bits, now, stop: soon(), deadline: soon() }
}

/// Plans, and makes all that is planned.
async fn pass(store: &impl ObjectStore, now: At) -> Made {
    let bits = bits();
    let days = days(store, &bits, now);
    let mut sum = Made::default();
    for partition in days.plan().await.unwrap() {
        let made = days.run(partition).await.unwrap();
        sum.files += made.files;
        sum.rows += made.rows;
        sum.conflicts += made.conflicts;
        sum.changed += made.changed;
        sum.remaining += made.remaining;
        sum.unreadable += made.unreadable;
    }
    sum
}

fn files(store: &FakeObjects) -> BTreeMap<String, Bytes> {
    store.all().into_iter().filter(|(key, _)| key.starts_with(DAYS)).collect()
}

fn read(store: &FakeObjects) -> BTreeMap<String, DaysFile> {
    files(store).into_iter().map(|(key, content)| (key, file::read(content).unwrap())).collect()
}

/// All rows of the files, in order of device, channel and day. Checks that each is in its file, in order.
fn rows(store: &FakeObjects) -> Vec<DayRow> {
    let mut all = Vec::new();
    for (key, DaysFile { rows, .. }) in read(store) {
        let order = |row: &DayRow| (row.device, row.channel.clone(), row.day);
        assert!(rows.is_sorted_by(|one, next| order(one) < order(next)), "{key}");
        for row in &rows {
            assert_eq!(key_of(bits().place_of(row.device, Month::of(row.day).day())), key);
        }
        all.extend(rows);
    }
    all.sort_by_key(|row| (row.device, row.channel.clone(), row.day));
    all
}

/// The rows of these uplinks and assignments, each device's computed as a whole.
fn expected(uplinks: &[Uplink], assigned: &[Assignment], now: At) -> Vec<DayRow> {
    let mut assignments = Assignments::default();
    for assignment in assigned {
        assignments.add(assignment.clone()).unwrap();
    }
    let mut devices: BTreeMap<DeviceId, BTreeSet<Row>> = BTreeMap::new();
    for assignment in assigned {
        devices.entry(assignment.device).or_default();
    }
    for uplink in uplinks {
        devices.entry(uplink.device).or_default().insert(uplink.into());
    }
    let mut all = Vec::new();
    for (device, rows) in devices {
        let uplinks = row::valid(rows).iter().map(|row| row.uplink().unwrap()).collect();
        let decoded = Decoded::of(uplinks);
        let reports = reports::of([], &decoded).into_iter().collect();
        let items = decoded.items.into_values();
        let mut channels: BTreeMap<Channel, Readings> = BTreeMap::new();
        for (channel, points) in merge::merge(items).unwrap() {
            let readings = channels.entry(channel).or_default();
            readings.points.extend(points.points.iter().map(pulsegate_model::consumption::Reading::from));
            readings.counted.extend(points.counted.iter().map(pulsegate_model::consumption::Count::from));
        }
        let assignments = assignments.of_device(device);
        let history = History { channels, reports, assignments, ..History::default() };
        let until = |zone: &Zone| pulsegate_model::consumption::calendar::date_of(now, zone);
        all.extend(day::days(device, &history, Date::constant(2020, 1, 1), &until, &mut Dates::default()));
    }
    all
}
