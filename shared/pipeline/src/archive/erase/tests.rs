//! Properties of erasure without faults, and after a stop at any request. The simulation has the faults.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use pulsegate_model::assignment::{Assignment, Assignments};
use pulsegate_model::at::At;
use pulsegate_model::uplink::TimeSource;
use pulsegate_model::uplink::testing::any_uplink;

use super::*;
use crate::archive::assignments::{self, AssignmentsError};
use crate::archive::days::{Days, file as days_file};
use crate::archive::file::FileRows;
use crate::archive::object;
use crate::archive::place::{Day, PartitionBits, Place};
use crate::archive::reader::Archive;
use crate::archive::row::Row;
use crate::archive::settle::Settle;
use crate::archive::store::ObjectStore;
use crate::archive::tombstones;
use crate::fakes::FakeObjects;

fn bits() -> PartitionBits {
    "2026-01-01=0,2026-11-21=2".parse().unwrap()
}

/// Some devices within some days.
fn crowded() -> impl Strategy<Value = Uplink> {
    let sources = prop_oneof![3 => Just(TimeSource::Network), 1 => Just(TimeSource::Unset)];
    (any_uplink(), 1..5_u32, 0..200_000_i64, sources).prop_map(|(uplink, device, after, time_source)| Uplink {
        device: format!("sigfox:{device:X}").parse().unwrap(),
        at: At::from_unix(1_795_176_000 + after).unwrap(),
        time_source,
        ..uplink
    })
}

fn device() -> DeviceId {
    "sigfox:1".parse().unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

fn block<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

/// Puts batches. Settles after each of the first ones.
async fn fill(store: &FakeObjects, uplinks: &[Uplink], settled: usize) {
    for (number, batch) in uplinks.chunks(3).enumerate() {
        let object = object::encode(batch).unwrap();
        store.put(&object.key, object.content, Condition::Always, soon()).await.unwrap();
        if number < settled {
            settle(store).await;
        }
    }
}

async fn settle(store: &FakeObjects) -> usize {
    Settle { store, bits: &bits(), stop: soon(), deadline: soon() }.run().await.unwrap().objects
}

/// Makes all steps of a run.
async fn erase(store: &FakeObjects, write: bool, stop: &(dyn Fn() -> bool + Sync)) -> [Erased; 5] {
    let erase = Erase { store, device: device(), write, timeout: Duration::from_mins(1), stop };
    let (objects, files) = (erase.objects().await.unwrap(), erase.files().await.unwrap());
    let (points, days) = (erase.points().await.unwrap(), erase.days().await.unwrap());
    [objects, files, points, days, erase.older_versions().await.unwrap()]
}

/// The rows of an object of any kind.
fn rows_of(key: &str, content: &Bytes) -> Vec<Row> {
    if key.starts_with(NEW) {
        return object::decode(key, content).unwrap().iter().map(Row::from).collect();
    }
    let mut rows = FileRows::new(content.clone()).unwrap();
    std::iter::from_fn(|| rows.next_row().unwrap()).collect()
}

/// The files of the other devices' uplinks.
fn expected(uplinks: &[Uplink]) -> BTreeMap<String, Bytes> {
    let mut files: BTreeMap<Place, Vec<Row>> = BTreeMap::new();
    for uplink in uplinks.iter().filter(|uplink| uplink.device != device()) {
        files.entry(bits().place(uplink)).or_default().push(uplink.into());
    }
    files.into_iter().map(|(place, rows)| (place.to_string(), file::union(None, rows).unwrap())).collect()
}

/// Checks that nothing of the device is left, and everything of the others.
async fn check(store: &FakeObjects, uplinks: &[Uplink]) -> Result<(), TestCaseError> {
    for (key, content) in store.ever() {
        prop_assert!(rows_of(&key, &content).iter().all(|row| row.device() != device()), "{}", key);
    }
    while settle(store).await > 0 {}
    let mut files = store.all();
    files.retain(|key, content| !rows_of(key, content).is_empty());
    prop_assert_eq!(files, expected(uplinks));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_of_the_device_is_left_in_any_version_and_everything_of_the_others(
        uplinks in vec(crowded(), 1..40),
        settled in 0..12_usize,
        page in 1..9_usize,
    ) {
        let store = FakeObjects::of_pages(page);
        block(async {
            fill(&store, &uplinks, settled).await;
            let before = (store.all(), store.ever());
            let seen = erase(&store, false, &|| false).await;
            prop_assert_eq!(before, (store.all(), store.ever()), "a dry run writes nothing");
            let removed = erase(&store, true, &|| false).await;
            let found = |of: [Erased; 5]| [of[0].found, of[0].rows, of[1].found, of[1].rows];
            prop_assert_eq!(found(seen), found(removed));
            prop_assert!(removed.iter().all(|step| step.removed == step.found && step.unreadable == 0));
            check(&store, &uplinks).await?;
            let again = erase(&store, true, &|| false).await;
            prop_assert!(again.iter().all(|step| step.found == 0));
            Ok(())
        })?;
    }

    #[test]
    fn a_run_that_is_stopped_anywhere_is_continued_by_the_next(uplinks in vec(crowded(), 1..40), settled in 0..12_usize, steps in 0..20_usize) {
        let store = FakeObjects::default();
        block(async {
            fill(&store, &uplinks, settled).await;
            let left = AtomicUsize::new(steps);
            let stop = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err();
            erase(&store, true, &stop).await;
            erase(&store, true, &|| false).await;
            check(&store, &uplinks).await
        })?;
    }
}

#[test]
fn a_file_is_found_with_any_number_of_partitions() {
    let store = FakeObjects::default();
    let device: DeviceId = "nbiot:490154203237518".parse().unwrap();
    let rows = |name: &str| {
        let text = format!(
            r#"{{"device":"{name}","kind":"data","at":"2026-11-20T12:00:00Z","time_source":"network","profile":"p","payload":"46"}}"#
        );
        vec![Row::from(&serde_json::from_str::<Uplink>(&text).unwrap())]
    };
    for bits in 0..=10 {
        let bits: PartitionBits = format!("2020-01-01={bits}").parse().unwrap();
        let key = bits.place_of(device, Day::at("2026-11-20T12:00:00Z".parse().unwrap())).to_string();
        store.set(&key, file::union(None, rows("nbiot:490154203237518")).unwrap());
    }
    let files = store.all().len();
    let none = || false;
    let erase = Erase { store: &store, device, write: true, timeout: Duration::from_mins(1), stop: &none };
    let files_erased = block(erase.files()).unwrap();
    assert_eq!((files_erased.found, files_erased.removed), (files, files));
}

/// The daily pass makes the file again, without the device, which has a tombstone by then.
#[test]
fn a_file_of_days_with_the_device_is_deleted_in_all_versions_and_one_without_it_stays() {
    let store = FakeObjects::default();
    let assign = async |device: DeviceId| {
        let assignment: Assignment = serde_json::from_value(serde_json::json!({
            "device": device, "channel": "A", "from": "2026-11-01T00:00:00Z", "litres_per_pulse": 1,
        }))
        .unwrap();
        let add = |all: &mut Assignments| {
            all.add(assignment.clone()).unwrap();
            Ok::<_, AssignmentsError>(())
        };
        assignments::update(&store, &assignments::key_of(device), soon(), add).await.unwrap();
    };
    let partitions: PartitionBits = "2026-01-01=10".parse().unwrap();
    let of = |device| partitions.place_of(device, Day::Date(20_800)).partition;
    let others = (2..9_u32).map(|number| format!("sigfox:{number:X}").parse().unwrap());
    let other: DeviceId = others.into_iter().find(|other| of(*other) != of(device())).unwrap();
    let bits: PartitionBits = "2026-11-01=10".parse().unwrap();
    let now = "2026-11-21T00:00:00Z".parse().unwrap();
    block(async {
        // The archive begins with a file of points, whatever it has.
        store.set("points/day=2026-11-10/00.parquet", "");
        for device in [device(), other] {
            assign(device).await;
        }
        let days = Days { store: &store, bits: &bits, now, stop: soon(), deadline: soon() };
        let pass = async || {
            for partition in days.plan().await.unwrap() {
                days.run(partition).await.unwrap();
            }
        };
        pass().await;
        let rows = || -> usize {
            let files = store.all().into_iter().filter(|(key, _)| key.starts_with("days/"));
            files.map(|(_, content)| days_file::read(content).unwrap().rows.len()).sum()
        };
        assert_eq!(rows(), 40);
        tombstones::bury(&store, device(), now, soon()).await.unwrap();
        let [.., of_days, _] = erase(&store, true, &|| false).await;
        assert_eq!((of_days.found, of_days.rows, of_days.removed), (1, 20, 1));
        assert_eq!(rows(), 20);
        pass().await;
        assert_eq!(rows(), 20);
        let ever = store.ever().into_iter().filter(|(key, _)| key.starts_with("days/"));
        let ever = ever.flat_map(|(_, content)| days_file::read(content).unwrap().rows);
        assert!(ever.into_iter().all(|row| row.device == other));
    });
}

#[test]
fn an_object_that_cannot_be_read_is_counted_and_stays() {
    let store = FakeObjects::default();
    store.set("new/noise", "noise");
    store.set("day/odd/00.parquet", "noise");
    let [objects, files, ..] = block(erase(&store, true, &|| false));
    assert_eq!((objects.unreadable, files.unreadable, store.all().len()), (1, 1, 2));
}

#[test]
fn the_first_tombstone_of_a_device_stays_and_those_of_others_are_kept() {
    let store = FakeObjects::default();
    let other: DeviceId = "sigfox:2".parse().unwrap();
    let at = |seconds: i64| At::from_unix(1_795_176_000 + seconds).unwrap();
    block(async {
        assert!(!tombstones::load(&store, soon()).await.unwrap().contains(device()));
        assert_eq!(tombstones::bury(&store, device(), at(0), soon()).await.unwrap(), at(0));
        assert_eq!(tombstones::bury(&store, other, at(5), soon()).await.unwrap(), at(5));
        assert_eq!(tombstones::bury(&store, device(), at(9), soon()).await.unwrap(), at(0));
        let tombstones = tombstones::load(&store, soon()).await.unwrap();
        assert!(tombstones.contains(device()) && tombstones.contains(other));
    });
}

#[test]
fn settle_drops_what_arrives_of_an_erased_device_and_a_reader_returns_none() {
    let store = FakeObjects::default();
    let uplink = |device: &str| {
        let text = format!(
            r#"{{"device":"{device}","kind":"data","at":"2026-11-20T12:00:00Z","time_source":"network","profile":"p","payload":"46"}}"#
        );
        serde_json::from_str::<Uplink>(&text).unwrap()
    };
    let uplinks = [uplink("sigfox:1"), uplink("sigfox:2")];
    let span = ("2026-11-20T00:00:00Z".parse().unwrap(), "2026-11-21T00:00:00Z".parse().unwrap());
    let archive = Archive { store, bits: bits() };
    let read = |name: &str| archive.uplinks(name.parse().unwrap(), span.0, span.1, soon());
    block(async {
        tombstones::bury(&archive.store, device(), span.0, soon()).await.unwrap();
        fill(&archive.store, &uplinks, 0).await;
        assert_eq!((read("sigfox:1").await.unwrap().len(), read("sigfox:2").await.unwrap().len()), (0, 1));
        let settled =
            Settle { store: &archive.store, bits: &bits(), stop: soon(), deadline: soon() }.run().await.unwrap();
        assert_eq!((settled.objects, settled.rows, settled.erased), (1, 1, 1));
        assert_eq!(rows_of("day/2026-11-20/00.parquet", &archive.store.all()["day/2026-11-20/00.parquet"]).len(), 1);
    });
}

#[test]
fn nothing_is_settled_or_read_if_the_tombstones_cannot_be_read() {
    let store = FakeObjects::default();
    store.set("erased", "noise");
    let archive = Archive { store, bits: bits() };
    let settle = Settle { store: &archive.store, bits: &bits(), stop: soon(), deadline: soon() };
    assert!(block(settle.run()).is_err());
    assert!(block(archive.uplinks(device(), At::EPOCH, At::EPOCH, soon())).is_err());
}
