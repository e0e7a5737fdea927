//! Properties of the archive without faults. The simulation has the faults.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use pulsegate_model::at::At;
use pulsegate_model::uplink::testing::any_uplink;
use pulsegate_model::uplink::{TimeSource, Uplink};
use tokio::time::Instant;

use super::file::{self, FileRows};
use super::object;
use super::place::{DAY, NEW, PartitionBits, Place};
use super::reader::Archive;
use super::row::{self, Row};
use super::settle::{Settle, Settled};
use super::store::{Condition, Get, Got, ObjectStore, Page, Put, StoreError};
use crate::fakes::FakeObjects;
use crate::ports::Refused;

mod golden;

fn bits() -> PartitionBits {
    "1970-01-01=0,2030-01-01=2".parse().unwrap()
}

/// Some devices within some days, so that files have several rows.
pub(super) fn crowded() -> impl Strategy<Value = Uplink> {
    let sources = prop_oneof![3 => Just(TimeSource::Network), 1 => Just(TimeSource::Unset)];
    (any_uplink(), 0..6_u32, 0..200_000_i64, any::<bool>(), proptest::option::of(0..3_u32), sources).prop_map(
        |(uplink, device, after, late, sequence, time_source)| Uplink {
            device: format!("sigfox:{:X}", device + 1).parse().unwrap(),
            at: At::from_unix(if late { 1_900_000_000 } else { 1_795_176_000 } + after).unwrap(),
            sequence,
            time_source,
            ..uplink
        },
    )
}

pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

pub(super) async fn put(store: &FakeObjects, uplinks: &[Uplink]) {
    let object = object::encode(uplinks).unwrap();
    store.put(&object.key, object.content, Condition::Always, soon()).await.unwrap();
}

async fn settle(store: &FakeObjects, bits: &PartitionBits) -> Settled {
    Settle { store, bits, stop: soon(), deadline: soon() }.run().await.unwrap()
}

/// The files as they must be.
fn expected(uplinks: &[Uplink], bits: &PartitionBits) -> BTreeMap<String, Bytes> {
    let mut files: BTreeMap<Place, Vec<Row>> = BTreeMap::new();
    for uplink in uplinks {
        files.entry(bits.place(uplink)).or_default().push(uplink.into());
    }
    files.into_iter().map(|(place, rows)| (place.to_string(), file::union(None, rows).unwrap())).collect()
}

pub(super) fn block<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

fn rows_of(content: &Bytes) -> Vec<Row> {
    let mut rows = FileRows::new(content.clone()).unwrap();
    std::iter::from_fn(|| rows.next_row().unwrap()).collect()
}

proptest! {
    #[test]
    fn a_row_is_read_back_as_the_uplink_that_it_was_written_from(uplinks in vec(any_uplink(), 0..40)) {
        let rows: Vec<Row> = uplinks.iter().map(Row::from).collect();
        let distinct: BTreeSet<Row> = rows.iter().cloned().collect();
        let read = rows_of(&file::union(None, rows).unwrap());
        prop_assert_eq!(&read, &distinct.iter().cloned().collect::<Vec<_>>());
        for uplink in &uplinks {
            prop_assert!(read.iter().any(|row| row.uplink().as_ref() == Ok(uplink)), "{:?}", uplink);
        }
    }

    #[test]
    fn an_object_is_named_after_the_set_of_its_uplinks(uplinks in vec(any_uplink(), 0..40)) {
        let object = object::encode(&uplinks).unwrap();
        let again: Vec<&Uplink> = uplinks.iter().rev().chain(&uplinks).collect();
        prop_assert_eq!(&object, &object::encode(again).unwrap());
        let read = object::decode(&object.key, &object.content).unwrap();
        prop_assert!(read.len() <= uplinks.len());
        prop_assert!(uplinks.iter().all(|uplink| read.contains(uplink)));
    }

    #[test]
    fn a_rest_is_after_every_object_that_it_replaces(batches in vec(vec(any_uplink(), 0..3), 1..4), rests in 1..4_usize) {
        let mut keys: Vec<String> = batches.iter().map(|batch| object::encode(batch).unwrap().key).collect();
        for _ in 0..rests {
            let rest = object::encode_rest(&keys, &batches[0]).unwrap();
            prop_assert!(keys.iter().all(|key| *key < rest.key), "{} {:?}", rest.key, keys);
            let uplinks = object::decode(&rest.key, &rest.content).unwrap();
            prop_assert!(uplinks.len() <= batches[0].len() && uplinks.iter().all(|uplink| batches[0].contains(uplink)));
            keys.push(rest.key);
        }
    }

    #[test]
    fn settled_files_are_the_encoding_of_the_set_in_whatever_order_and_groups_it_came(
        uplinks in vec(crowded(), 1..60),
        order in vec(any::<prop::sample::Index>(), 0..60),
        group in 1..20_usize,
        settle_each: bool,
    ) {
        let mut sent: Vec<Uplink> = order.iter().map(|index| index.get(&uplinks).clone()).collect();
        sent.extend(uplinks.clone());
        let store = FakeObjects::of_pages(3);
        block(async {
            for batch in sent.chunks(group) {
                put(&store, batch).await;
                if settle_each {
                    settle(&store, &bits()).await;
                }
            }
            while settle(&store, &bits()).await.objects > 0 {}
        });
        prop_assert_eq!(store.all(), expected(&uplinks, &bits()));
    }

    #[test]
    fn a_reader_finds_every_uplink_of_a_device_settled_or_not(
        uplinks in vec(crowded(), 1..60),
        settled in 0..60_usize,
        (from, to) in (1_795_100_000..1_900_300_000_i64, 0..300_000_i64),
    ) {
        let (from, to) = (At::from_unix(from).unwrap(), At::from_unix(from + to).unwrap());
        let store = FakeObjects::of_pages(4);
        let device = uplinks[0].device;
        let (first, second) = uplinks.split_at(settled.min(uplinks.len()));
        let archive = Archive { store, bits: bits() };
        let whole = (At::from_unix(1_795_000_000).unwrap(), At::from_unix(1_901_000_000).unwrap());
        for (from, to) in [(from, to), whole] {
            let read = block(async {
                if !first.is_empty() {
                    put(&archive.store, first).await;
                }
                while settle(&archive.store, &archive.bits).await.objects > 0 {}
                for batch in second.chunks(7) {
                    put(&archive.store, batch).await;
                }
                archive.uplinks(device, from, to, soon()).await.unwrap()
            });
            let of_device: BTreeSet<Row> =
                uplinks.iter().filter(|uplink| uplink.device == device && (from..=to).contains(&uplink.at)).map(Row::from).collect();
            let valid: Vec<Uplink> = row::valid(of_device).iter().map(|row| row.uplink().unwrap()).collect();
            prop_assert_eq!(read, valid);
        }
    }
}

#[test]
fn a_day_with_several_row_groups_is_read_by_the_groups_of_the_device() {
    let uplink = |device: &str, hour: i64| {
        let text = format!(
            r#"{{"device":"{device}","kind":"data","at":"{}","time_source":"network","sequence":{hour},
            "profile":"adeunis-pulse-v4","payload":"46800000009f00000002"}}"#,
            At::from_unix(1_795_132_800 + hour * 3600).unwrap()
        );
        serde_json::from_str::<Uplink>(&text).unwrap()
    };
    let sigfox = (1..=3_000).map(|device| format!("sigfox:{device:X}"));
    let devices: Vec<String> =
        sigfox.chain((0..3_000).map(|device| format!("nbiot:{}", 490_154_203_000_000_u64 + device))).collect();
    let uplinks: Vec<Uplink> =
        devices.iter().flat_map(|device| (0..24).map(move |hour| uplink(device, hour))).collect();
    let content = file::union(None, uplinks.iter().map(Row::from).collect()).unwrap();
    assert!(content.len() < 12 * uplinks.len(), "{} bytes for {} rows", content.len(), uplinks.len());
    let store = FakeObjects::default();
    let archive = Archive { store, bits: PartitionBits::default() };
    archive.store.set("day/2026-11-20/00.parquet", content);
    let day = ("2026-11-20T00:00:00Z".parse().unwrap(), "2026-11-20T23:59:59Z".parse().unwrap());
    // Of both networks those at the ends, in the middle, and those of which two row groups have rows.
    let boundaries = (1..5).map(|group| group * file::ROW_GROUP / 24);
    for nth in boundaries.chain([0, 1_999, 2_999, 3_000, 4_500, devices.len() - 1]) {
        let device = devices[nth].parse().unwrap();
        let read = block(archive.uplinks(device, day.0, day.1, soon())).unwrap();
        assert_eq!(read.len(), 24, "{device}");
        assert!(read.iter().all(|uplink| uplink.device == device));
    }
}

#[test]
fn an_object_whose_name_is_not_its_content_stays_and_holds_up_no_other() {
    let store = FakeObjects::default();
    let uplinks: Vec<Uplink> = (1..4_u32).map(|n| {
        serde_json::from_str(&format!(r#"{{"device":"sigfox:{n}","kind":"data","at":"2026-11-20T12:00:00Z","time_source":"network","profile":"p","payload":"46"}}"#)).unwrap()
    }).collect();
    let bad = "new/0000000000000000000000000000000000000000000000000000000000000000";
    store.set(bad, "noise");
    let settled = block(async {
        put(&store, &uplinks).await;
        settle(&store, &bits()).await
    });
    assert_eq!((settled.objects, settled.unreadable, settled.files), (1, 1, 1));
    assert_eq!(store.keys(NEW), [bad]);
    assert_eq!(store.keys(DAY).len(), 1);
}

#[test]
fn a_run_stops_reading_when_its_memory_is_used_and_the_next_one_goes_on() {
    let store = FakeObjects::default();
    let uplinks: Vec<Uplink> = (1..=20_u32).map(|n| {
        serde_json::from_str(&format!(r#"{{"device":"sigfox:{n:X}","kind":"data","at":"2026-11-20T12:00:00Z","time_source":"network","profile":"p","payload":"46"}}"#)).unwrap()
    }).collect();
    let bits = PartitionBits::default();
    let runs = block(async {
        for batch in uplinks.chunks(4) {
            put(&store, batch).await;
        }
        let mut runs = Vec::new();
        loop {
            let run = Settle { store: &store, bits: &bits, stop: soon(), deadline: soon() };
            let settled = is_send(run.run_within(2_000)).await.unwrap();
            runs.push((settled.objects, settled.more));
            if !settled.more {
                return runs;
            }
        }
    });
    assert_eq!(runs, [(2, true), (2, true), (1, false)]);
    assert_eq!(store.all(), expected(&uplinks, &bits));
}

/// Lambda moves a handler's future between threads.
fn is_send<F: Future + Send>(future: F) -> F {
    future
}

#[test]
fn a_run_that_has_no_time_left_puts_the_rest_back_as_one_object() {
    let store = FakeObjects::default();
    let uplink: Uplink = serde_json::from_str(
        r#"{"device":"sigfox:1","kind":"data","at":"2026-11-20T12:00:00Z","time_source":"network","profile":"p","payload":"46"}"#,
    )
    .unwrap();
    let settled = block(async {
        put(&store, std::slice::from_ref(&uplink)).await;
        let bits = bits();
        Settle { store: &store, bits: &bits, stop: Instant::now(), deadline: soon() }.run().await.unwrap()
    });
    assert_eq!((settled.remaining, settled.files), (1, 0));
    assert_eq!(store.keys(NEW).len(), 1);
}

/// Takes a second for a put, and keeps deletions for later.
#[derive(Debug)]
struct SlowObjects<'a> {
    store: &'a FakeObjects,
    deletions: Mutex<Vec<String>>,
}

impl ObjectStore for SlowObjects<'_> {
    async fn list(&self, prefix: &str, after: Option<&str>, deadline: Instant) -> Result<Page, StoreError> {
        self.store.list(prefix, after, deadline).await
    }

    async fn get(&self, request: Get<'_>, deadline: Instant) -> Result<Got, StoreError> {
        self.store.get(request, deadline).await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Condition<'_>,
        deadline: Instant,
    ) -> Result<Put, StoreError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.store.put(key, content, condition, deadline).await
    }

    async fn delete(&self, keys: &[String], _: Instant) -> Refused {
        self.deletions.lock().unwrap().extend_from_slice(keys);
        Refused::new()
    }
}

/// The first run merges one of two days and puts the other one back; before its deletion takes effect, the second run puts
/// both back. Each deletes what it read.
#[test]
fn two_runs_that_put_back_the_same_rows_do_not_each_delete_what_the_other_relies_on() {
    let uplinks = ["2026-11-20T12:00:00Z", "2026-11-21T12:00:00Z"].map(|at| {
        let text = format!(
            r#"{{"device":"sigfox:1","kind":"data","at":"{at}","time_source":"network","profile":"p","payload":"46"}}"#
        );
        serde_json::from_str::<Uplink>(&text).unwrap()
    });
    let (store, bits) = (FakeObjects::default(), PartitionBits::default());
    let slow = SlowObjects { store: &store, deletions: Mutex::default() };
    block(async {
        put(&store, &uplinks).await;
        let stop = Instant::now() + Duration::from_secs(1);
        let first = Settle { store: &slow, bits: &bits, stop, deadline: soon() }.run().await.unwrap();
        let second = Settle { store: &store, bits: &bits, stop: Instant::now(), deadline: soon() }.run().await.unwrap();
        assert_eq!((first.files, first.remaining, second.files), (1, 1, 0));
        let deletions = slow.deletions.into_inner().unwrap();
        store.delete(&deletions, soon()).await;
        while settle(&store, &bits).await.objects > 0 {}
    });
    assert_eq!(store.all(), expected(&uplinks, &bits));
}
