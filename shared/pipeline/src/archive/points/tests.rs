//! Properties of points without faults. The simulation has the faults.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use pulsegate_model::at::At;
use pulsegate_model::device::{DeviceId, Network};
use pulsegate_model::merge;
use pulsegate_model::pulse::PulseItem;
use pulsegate_model::uplink::{Kind, Payload, TimeSource, Uplink};
use tokio::time::Instant;

use super::file::{PointRow, ValueKind};
use super::*;
use crate::archive::decoded::Decoded;
use crate::archive::file as uplink_file;
use crate::archive::row::{self, Row};
use crate::archive::settle::Settle;
use crate::archive::store::{Get, Got, Page, Part};
use crate::archive::tests::{block, put, soon};
use crate::fakes::FakeObjects;
use crate::ports::Refused;

/// 2026-11-20T00:00:00Z.
pub(in crate::archive) const MIDNIGHT: i64 = 1_795_132_800;

pub(in crate::archive) const DAY: i64 = 86_400;

/// A day with one partition, then days with two, then with four.
const BITS: &str = "2026-01-01=0,2026-11-20=1,2026-11-22=2";

pub(in crate::archive) fn bits() -> PartitionBits {
    BITS.parse().unwrap()
}

async fn derive(store: &FakeObjects, decoder: Decoder, stop: Instant) -> Derived {
    Derive { store, bits: &bits(), decoder, stop, deadline: soon() }.run().await.unwrap()
}

pub(in crate::archive) async fn derive_all(store: &FakeObjects) -> Derived {
    derive(store, decoder, soon()).await
}

async fn settle_all(store: &FakeObjects) {
    let bits = bits();
    while (Settle { store, bits: &bits, stop: soon(), deadline: soon() }).run().await.unwrap().objects > 0 {}
}

pub(in crate::archive) async fn put_and_settle(store: &FakeObjects, uplinks: &[Uplink]) {
    put(store, uplinks).await;
    settle_all(store).await;
}

pub(in crate::archive) fn uplink(
    device: &str,
    profile: &str,
    at: i64,
    sequence: Option<u32>,
    payload: &[u8],
) -> Uplink {
    Uplink {
        device: device.parse().unwrap(),
        kind: Kind::Data,
        at: At::from_unix(at).unwrap(),
        time_source: TimeSource::Network,
        sequence,
        profile: profile.parse().unwrap(),
        payload: Payload::from_bytes(payload).unwrap(),
        radio: pulsegate_model::uplink::Radio::default(),
    }
}

/// An uplink with counts of channel A at these times.
pub(in crate::archive) fn timed(device: u64, at: i64, counts: &[(i64, u32)]) -> Uplink {
    let records: Vec<String> =
        counts.iter().map(|(time, count)| format!(r#"{{"n":"A","u":"count","v":{count},"t":{time}}}"#)).collect();
    let payload = format!("[{}]", records.join(","));
    uplink(&format!("nbiot:{}", 490_154_203_000_000 + device), "senml-json", at, Some(1), payload.as_bytes())
}

/// A frame of a series of six logs, ten minutes apart: see `adeunis_pulse`.
fn of_series(place: u8, first: u32, step: u16) -> Vec<u8> {
    let mut frame = vec![0x48, 0x00, place];
    match place {
        0 => frame.extend([first.to_be_bytes(), first.to_be_bytes()].concat()),
        3 => frame.extend([step.to_be_bytes(), step.to_be_bytes()].concat()),
        _ => frame.extend([step.to_be_bytes(); 4].concat()),
    }
    frame
}

fn data(index: u32) -> Vec<u8> {
    [&[0x46, 0x00][..], &index.to_be_bytes(), &index.to_be_bytes()].concat()
}

fn history(index: u32, steps: &[u16]) -> Vec<u8> {
    let steps = steps.iter().flat_map(|step| step.to_be_bytes());
    [0x5A, 0x00].into_iter().chain(index.to_be_bytes()).chain(steps).collect()
}

/// A time of some days, often near midnight.
fn any_time() -> impl Strategy<Value = i64> {
    let near = prop_oneof![-600..600_i64, -10_000..10_000_i64, 0..DAY];
    (-2..4_i64, near).prop_map(|(day, seconds)| MIDNIGHT + day * DAY + seconds)
}

/// Uplinks of few devices with series, histories, or times of their own.
pub(in crate::archive) fn any_uplink() -> impl Strategy<Value = Uplink> {
    let series = (1..3_u32, any_time(), 0..4_u8, 0..2_u32, 0..6_u32).prop_map(|(device, at, place, first, more)| {
        // The number fits the place in the series more often than not.
        let sequence = if more < 4 { first * 4 + u32::from(place) } else { more };
        let payload = if more == 5 { data(first) } else { of_series(place, first, 1) };
        uplink(&format!("sigfox:{device}"), "adeunis-pulse-v2-10min", at, Some(sequence), &payload)
    });
    let histories = (3..5_u32, any_time(), 0..3_u32, vec(0..2_u16, 1..3)).prop_map(|(device, at, index, steps)| {
        uplink(&format!("sigfox:{device}"), "adeunis-pulse-v3-1h", at, Some(index), &history(index + 9, &steps))
    });
    let times = vec((prop_oneof![-3 * DAY..DAY, -34 * DAY..0], 0..3_u32), 1..4);
    let by_counts = (1..3_u64, any_time(), times).prop_map(|(device, at, counts)| {
        let counts: Vec<_> = counts.into_iter().map(|(before, count)| (at + before, count)).collect();
        timed(device, at, &counts)
    });
    let uplinks = prop_oneof![3 => series, 1 => histories, 2 => by_counts];
    let sources = prop_oneof![9 => Just(TimeSource::Network), 1 => Just(TimeSource::Unset)];
    let kinds = prop_oneof![8 => Just(Kind::Data), 1 => Just(Kind::DataAdvanced), 1 => Just(Kind::Event)];
    (uplinks, sources, kinds).prop_map(|(uplink, time_source, kind)| {
        let payload = if kind == Kind::Event { Payload::default() } else { uplink.payload };
        Uplink { time_source, kind, payload, ..uplink }
    })
}

/// The points of all uplinks with an accepted time, each device's merged as a whole, by the key of their file.
fn expected(uplinks: &[Uplink], bits: &PartitionBits) -> BTreeMap<String, Vec<PointRow>> {
    let dated = uplinks.iter().filter(|uplink| Day::of(uplink) != Day::Odd);
    let rows: BTreeSet<Row> = dated.map(Row::from).collect();
    let mut devices: BTreeMap<DeviceId, Vec<Row>> = BTreeMap::new();
    for row in rows {
        devices.entry(row.device()).or_default().push(row);
    }
    let mut files: BTreeMap<String, Vec<PointRow>> = BTreeMap::new();
    for (device, rows) in devices {
        let uplinks = row::valid(rows).iter().map(|row| row.uplink().unwrap()).collect();
        let items: Vec<PulseItem> = Decoded::of(uplinks).items.into_values().collect();
        for (channel, points) in merge::merge(items.clone()).unwrap() {
            let codec_of = |at: At| {
                let day = at.unix().div_euclid(DAY);
                let has = |item: &&PulseItem| item.channels.contains_key(&channel);
                let of_day = items.iter().filter(has).filter(|item| merge::days(item).unwrap().contains(&day));
                of_day.max().map(|item| (item.codec.to_string(), item.codec_version)).unwrap()
            };
            let counted = points.counted.iter().map(|period| {
                (ValueKind::Counted, period.at, period.pulses, period.time_source, None, period.contradicted)
            });
            let indexes = points.points.iter().map(|point| {
                (ValueKind::Index, point.at, point.index, point.time_source, point.counter_bits, point.contradicted)
            });
            for (kind, at, value, time_source, counter_bits, contradicted) in counted.chain(indexes) {
                let place = bits.place_of(device, Day::at(at));
                let (codec, codec_version) = codec_of(at);
                let channel = channel.to_string();
                files.entry(key_of(place)).or_default().push(PointRow {
                    device,
                    channel,
                    kind,
                    at,
                    value,
                    time_source,
                    counter_bits,
                    contradicted,
                    codec,
                    codec_version,
                });
            }
        }
    }
    files
}

pub(in crate::archive) fn points_files(store: &FakeObjects) -> BTreeMap<String, Bytes> {
    store.all().into_iter().filter(|(key, _)| key.starts_with(POINTS)).collect()
}

/// The points of each file that has some, and the sources of each.
fn rows_of(files: &BTreeMap<String, Bytes>) -> BTreeMap<String, Vec<PointRow>> {
    let rows = files.iter().map(|(key, content)| (key.clone(), file::read(content.clone()).unwrap().1));
    rows.filter(|(_, rows)| !rows.is_empty()).collect()
}

pub(in crate::archive) fn origin_of(content: &Bytes) -> Origin {
    file::read(content.clone()).unwrap().0.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn points_files_are_what_merging_all_uplinks_of_each_device_gives(
        uplinks in vec(any_uplink(), 1..40),
        group in 1..12_usize,
        derive_each: bool,
    ) {
        let store = FakeObjects::of_pages(3);
        let again = block(async {
            for batch in uplinks.chunks(group) {
                put_and_settle(&store, batch).await;
                if derive_each {
                    derive_all(&store).await;
                }
            }
            derive_all(&store).await;
            derive_all(&store).await
        });
        let found = points_files(&store);
        prop_assert_eq!(rows_of(&found), expected(&uplinks, &bits()));
        prop_assert_eq!((again.files, again.remaining, again.unreadable), (0, 0, 0));

        // From the same sources, another history of runs makes the same bytes.
        let other = FakeObjects::of_pages(5);
        block(async {
            put_and_settle(&other, &uplinks).await;
            derive_all(&other).await;
        });
        for (key, content) in points_files(&other) {
            if origin_of(&content).sources == origin_of(&found[&key]).sources {
                prop_assert_eq!(&content, &found[&key]);
            }
        }
    }

    #[test]
    fn a_points_file_has_its_rows_in_order(uplinks in vec(any_uplink(), 1..40)) {
        let store = FakeObjects::default();
        block(async {
            put_and_settle(&store, &uplinks).await;
            derive_all(&store).await;
        });
        for rows in rows_of(&points_files(&store)).values() {
            prop_assert!(rows.is_sorted_by(|one, next| one < next), "{:?}", rows);
        }
    }
}

/// Three days, each with a device that sends one count of its day, and one that sends counts of that day and the day before.
pub(in crate::archive) fn three_days() -> Vec<Uplink> {
    let at = |day: i64| MIDNIGHT + day * DAY + 12 * 3_600;
    (0..3)
        .flat_map(|day| {
            let index = |day: i64| u32::try_from(10 + day).unwrap();
            let history = [(at(day), index(day)), (at(day) - DAY, index(day - 1))];
            [timed(1, at(day), &[(at(day), 5)]), timed(2, at(day), &history)]
        })
        .collect()
}

/// The days of points files that differ.
fn changed(before: &BTreeMap<String, Bytes>, after: &BTreeMap<String, Bytes>) -> BTreeSet<String> {
    let differ = after.iter().filter(|(key, content)| before.get(*key) != Some(*content));
    differ.map(|(key, _)| key.split('/').nth(1).unwrap().trim_start_matches("day=").to_owned()).collect()
}

fn days(days: &[&str]) -> BTreeSet<String> {
    days.iter().map(|&day| day.to_owned()).collect()
}

#[test]
fn a_run_writes_nothing_if_nothing_changed() {
    let store = FakeObjects::default();
    let (first, second) = block(async {
        put_and_settle(&store, &three_days()).await;
        (derive_all(&store).await, derive_all(&store).await)
    });
    assert_eq!((first.points, first.remaining), (7, 0));
    assert_eq!(second, Derived { current: points_files(&store).len(), ..Derived::default() });
}

#[test]
fn a_changed_file_makes_the_days_anew_that_it_has_a_part_in() {
    let store = FakeObjects::default();
    let at = MIDNIGHT + 2 * DAY + 13 * 3_600;
    let (before, after) = block(async {
        put_and_settle(&store, &three_days()).await;
        derive_all(&store).await;
        let before = points_files(&store);
        put_and_settle(&store, &[timed(1, at, &[(at, 6)])]).await;
        derive_all(&store).await;
        (before, points_files(&store))
    });
    // The second device's history links the day to the one before, but not to the first.
    assert!(changed(&before, &after).is_subset(&days(&["2026-11-21", "2026-11-22"])));
    assert!(changed(&before, &after).contains("2026-11-22"));
}

#[test]
fn a_history_that_reaches_back_makes_an_old_day_anew_and_no_other() {
    let store = FakeObjects::default();
    let at = MIDNIGHT + 20 * DAY;
    let (before, after) = block(async {
        put_and_settle(&store, &three_days()).await;
        derive_all(&store).await;
        let before = points_files(&store);
        put_and_settle(&store, &[timed(1, at, &[(at, 9), (MIDNIGHT + 60, 4)])]).await;
        derive_all(&store).await;
        (before, points_files(&store))
    });
    assert_eq!(changed(&before, &after), days(&["2026-11-20", "2026-12-10"]));
}

#[test]
fn a_codec_of_another_version_makes_its_files_anew() {
    let store = FakeObjects::default();
    let other: Decoder =
        |network, profile| if profile == "senml-json" { "2".to_owned() } else { decoder(network, profile) };
    let unrelated: Decoder =
        |network, profile| if profile == "efento" { "2".to_owned() } else { decoder(network, profile) };
    block(async {
        put_and_settle(&store, &three_days()).await;
        let files = derive_all(&store).await.files;
        assert_eq!(derive(&store, unrelated, soon()).await.files, 0);
        assert_eq!(derive(&store, other, soon()).await.files, files);
        assert_eq!(derive(&store, other, soon()).await.files, 0);
    });
}

/// The codec reads a history only from its second version on.
#[test]
fn a_codec_that_reads_more_than_before_reaches_more_days() {
    let store = FakeObjects::default();
    let at = MIDNIGHT + DAY;
    let unknown = Uplink { profile: "later".parse().unwrap(), ..timed(3, at, &[(at - DAY, 1)]) };
    let then: Decoder = |_, _| "1".to_owned();
    let now: Decoder = |_, profile| if profile == "later" { "2" } else { "1" }.to_owned();
    block(async {
        put_and_settle(&store, &[three_days(), vec![unknown]].concat()).await;
        assert_eq!(derive(&store, then, soon()).await.undecodable, 1);
        assert!(derive(&store, now, soon()).await.files > 0);
    });
    assert_eq!(decoder(Network::Nbiot, "later"), "none");
    assert_ne!(decoder(Network::Sigfox, "adeunis-pulse-v2-1h"), decoder(Network::Sigfox, "adeunis-pulse-v2-10min"));
}

#[test]
fn a_points_file_that_is_deleted_or_damaged_comes_back() {
    let store = FakeObjects::default();
    block(async {
        put_and_settle(&store, &three_days()).await;
        derive_all(&store).await;
        let all = points_files(&store);
        for (key, content) in &all {
            store.delete(std::slice::from_ref(key), soon()).await;
            assert_eq!(derive_all(&store).await.files, 1, "{key}");
            store.set(key, content.slice(..content.len() / 2));
            assert_eq!(derive_all(&store).await.files, 1, "{key}");
            store.set(key, "noise");
            assert_eq!(derive_all(&store).await.files, 1, "{key}");
        }
        assert_eq!(rows_of(&points_files(&store)), rows_of(&all));
    });
}

#[test]
fn a_device_that_is_erased_from_its_sources_is_gone_from_the_points() {
    let store = FakeObjects::default();
    block(async {
        put_and_settle(&store, &three_days()).await;
        derive_all(&store).await;
        for (key, content) in store.all().into_iter().filter(|(key, _)| key.starts_with("day/")) {
            let mut rows = uplink_file::FileRows::new(content).unwrap();
            let rows = std::iter::from_fn(|| rows.next_row().unwrap());
            let rest: Vec<Row> = rows.filter(|row| row.device() != three_days()[1].device).collect();
            store.set(&key, uplink_file::union(None, rest).unwrap());
        }
        derive_all(&store).await;
    });
    let rest: Vec<Uplink> = three_days().into_iter().step_by(2).collect();
    assert_eq!(rows_of(&points_files(&store)), expected(&rest, &bits()));
}

/// Its rows may still be in files when the run begins.
#[test]
fn a_device_that_has_a_tombstone_gets_no_points() {
    let store = FakeObjects::default();
    let uplinks = three_days();
    block(async {
        put_and_settle(&store, &uplinks).await;
        tombstones::bury(&store, uplinks[0].device, At::EPOCH, soon()).await.unwrap();
        derive_all(&store).await;
    });
    let rest: Vec<Uplink> = uplinks.into_iter().skip(1).step_by(2).collect();
    assert_eq!(rows_of(&points_files(&store)), expected(&rest, &bits()));
}

#[test]
fn points_of_a_day_whose_sources_are_gone_are_gone_too() {
    let store = FakeObjects::default();
    block(async {
        put_and_settle(&store, &three_days()).await;
        derive_all(&store).await;
        store.delete(&store.keys("day/"), soon()).await;
        let derived = derive_all(&store).await;
        assert_eq!((derived.files, derived.points), (points_files(&store).len(), 0));
        assert_eq!(derive_all(&store).await.files, 0);
    });
}

#[test]
fn counts_older_than_the_reach_are_counted_and_left_out() {
    let store = FakeObjects::default();
    let at = MIDNIGHT + 100 * DAY;
    let counts = [(at, 9), (at - REACH * DAY, 4), (at - (REACH + 1) * DAY, 3), (at - 90 * DAY, 2)];
    let derived = block(async {
        put_and_settle(&store, &[timed(1, at, &counts)]).await;
        derive_all(&store).await
    });
    assert_eq!((derived.points, derived.out_of_reach), (2, 2));
}

#[test]
fn a_source_that_cannot_be_read_holds_up_no_other_day() {
    let store = FakeObjects::default();
    let derived = block(async {
        put_and_settle(&store, &three_days()).await;
        store.set("day/2026-11-25/00.parquet", "noise");
        derive_all(&store).await
    });
    assert_eq!((derived.points, derived.unreadable), (7, 1));
}

/// Takes a second for a put, and settles an uplink before each row group is read.
struct Restless<'a> {
    store: &'a FakeObjects,
    settles: bool,
    requests: AtomicU32,
}

impl ObjectStore for Restless<'_> {
    async fn list(&self, prefix: &str, after: Option<&str>, deadline: Instant) -> Result<Page, StoreError> {
        self.store.list(prefix, after, deadline).await
    }

    async fn get(&self, request: Get<'_>, deadline: Instant) -> Result<Got, StoreError> {
        if self.settles && matches!(request.part, Part::Range(_)) {
            let index = self.requests.fetch_add(1, Ordering::Relaxed);
            put_and_settle(self.store, &[timed(3, MIDNIGHT + i64::from(index), &[(MIDNIGHT, index)])]).await;
        }
        self.store.get(request, deadline).await
    }

    async fn put(&self, key: &str, content: Bytes, of: Condition<'_>, deadline: Instant) -> Result<Put, StoreError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.store.put(key, content, of, deadline).await
    }

    async fn delete(&self, _: &[String], _: Instant) -> Refused {
        unreachable!("derive deletes nothing")
    }
}

#[test]
fn a_run_without_time_leaves_the_rest_to_the_next_and_begins_with_the_latest_day() {
    let store = FakeObjects::default();
    let uplinks = three_days();
    let restless = Restless { store: &store, settles: false, requests: AtomicU32::new(0) };
    let bits = bits();
    block(async {
        put_and_settle(&store, &uplinks).await;
        let run = async |seconds| {
            let stop = Instant::now() + Duration::from_secs(seconds);
            Derive { store: &restless, bits: &bits, decoder, stop, deadline: soon() }.run().await.unwrap()
        };
        let first = run(1).await;
        assert_eq!(first.files, 1);
        assert!(first.remaining > 0);
        assert!(points_files(&store).keys().all(|key| key.contains("day=2026-11-22")));
        let mut runs = 0;
        while run(2).await.files > 0 {
            runs += 1;
        }
        assert!(runs > 1);
    });
    assert_eq!(rows_of(&points_files(&store)), expected(&uplinks, &bits));
}

#[test]
fn a_source_that_changes_while_it_is_read_is_not_claimed_and_the_next_run_heals() {
    let store = FakeObjects::default();
    let restless = Restless { store: &store, settles: true, requests: AtomicU32::new(0) };
    let bits = bits();
    let derived = block(async {
        put_and_settle(&store, &three_days()).await;
        Derive { store: &restless, bits: &bits, decoder, stop: soon(), deadline: soon() }.run().await.unwrap()
    });
    assert!(derived.changed > 0);
    let now = store.all();
    for content in points_files(&store).values() {
        for source in origin_of(content).sources.keys() {
            assert!(now.contains_key(source));
        }
    }
    let sent =
        (0..restless.requests.into_inner()).map(|index| timed(3, MIDNIGHT + i64::from(index), &[(MIDNIGHT, index)]));
    let sent: Vec<Uplink> = three_days().into_iter().chain(sent).collect();
    block(derive_all(&store));
    assert_eq!(rows_of(&points_files(&store)), expected(&sent, &bits));
}

#[test]
fn a_slower_run_does_not_replace_what_a_faster_one_wrote() {
    let store = FakeObjects::default();
    let slow = Restless { store: &store, settles: false, requests: AtomicU32::new(0) };
    let bits = bits();
    let (slow, fast) = block(async {
        put_and_settle(&store, &three_days()).await;
        let slow = Derive { store: &slow, bits: &bits, decoder, stop: soon(), deadline: soon() };
        tokio::join!(async { slow.run().await.unwrap() }, derive_all(&store))
    });
    assert_eq!((slow.files, slow.conflicts > 0, fast.conflicts), (0, true, 0));
    assert_eq!(block(derive_all(&store)).files, 0);
}
