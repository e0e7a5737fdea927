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
use crate::archive::points::{Derive, decoder};
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
async fn erase(store: &FakeObjects, write: bool, stop: &(dyn Fn() -> bool + Sync)) -> [Erased; 7] {
    let erase = Erase { store, device: device(), write, timeout: Duration::from_mins(1), stop };
    let (objects, files) = (erase.objects().await.unwrap(), erase.files().await.unwrap());
    let (points, reports) = (erase.points().await.unwrap(), erase.reports().await.unwrap());
    let (days, assignments) = (erase.days().await.unwrap(), erase.assignments().await.unwrap());
    [objects, files, points, reports, days, assignments, erase.older_versions().await.unwrap()]
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
            let found = |of: [Erased; 7]| [of[0].found, of[0].rows, of[1].found, of[1].rows];
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

/// Adds an assignment for each of these litres per pulse, one after another.
async fn assign(store: &FakeObjects, device: DeviceId, litres: &[&str]) {
    for (nth, litres) in litres.iter().enumerate() {
        let text = format!(
            r#"{{"device":"{device}","channel":"A","from":"2026-0{}-01T00:00:00Z","to":"2026-0{}-01T00:00:00Z","litres_per_pulse":{litres}}}"#,
            nth + 1,
            nth + 2
        );
        let assignment: Assignment = serde_json::from_str(&text).unwrap();
        let add = |all: &mut Assignments| {
            all.add(assignment.clone()).unwrap();
            Ok::<_, AssignmentsError>(())
        };
        assignments::update(store, &assignments::key_of(device), soon(), add).await.unwrap();
    }
}

#[test]
fn the_assignments_of_the_device_leave_all_versions_and_those_of_others_stay() {
    // A device whose assignments are in the same file.
    let of_file = |other: &DeviceId| assignments::key_of(*other) == assignments::key_of(device());
    let other = (2..10_000).map(|id| format!("sigfox:{id:X}").parse().unwrap()).find(of_file).unwrap();
    for stopped_after in 0..4 {
        let store = FakeObjects::default();
        block(async {
            assign(&store, other, &["1"]).await;
            assign(&store, device(), &["1", "10"]).await;
            assign(&store, "sigfox:2".parse().unwrap(), &["1"]).await;
            let before = store.ever();
            let [.., shown, older] = erase(&store, false, &|| false).await;
            assert_eq!((shown.found, shown.rows, older.found, older.rows), (1, 2, 1, 1));
            assert_eq!(store.ever(), before);
            let left = AtomicUsize::new(stopped_after);
            let stop = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err();
            erase(&store, true, &stop).await;
            erase(&store, true, &|| false).await;
            for (key, content) in store.ever() {
                let of_device = assignments::file::without(content, device()).unwrap();
                assert!(of_device.is_none(), "{key}");
            }
            assert_eq!(assignments::load(&store, soon()).await.unwrap().iter().count(), 2);
        });
    }
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
        let [.., of_days, _, _] = erase(&store, true, &|| false).await;
        assert_eq!((of_days.found, of_days.rows, of_days.removed), (1, 20, 1));
        assert_eq!(rows(), 20);
        pass().await;
        assert_eq!(rows(), 20);
        let ever = store.ever().into_iter().filter(|(key, _)| key.starts_with("days/"));
        let ever = ever.flat_map(|(_, content)| days_file::read(content).unwrap().rows);
        assert!(ever.into_iter().all(|row| row.device == other));
    });
}

/// The files of other devices are made again.
#[test]
fn points_and_reports_of_the_device_are_gone_from_every_version_until_derive_makes_the_others_again() {
    let store = FakeObjects::default();
    let uplink = |device: &str| {
        let text = format!(
            r#"{{"device":"{device}","kind":"data","at":"2026-11-20T12:00:00Z","time_source":"network","sequence":1,
            "profile":"adeunis-pulse-v4","payload":"46800000009f00000002"}}"#
        );
        serde_json::from_str::<Uplink>(&text).unwrap()
    };
    let bits = bits();
    let derive = async || {
        let derive = Derive { store: &store, bits: &bits, decoder, stop: soon(), deadline: soon() };
        derive.run().await.unwrap();
    };
    let has = |content: &Bytes, device: DeviceId| content.windows(8).any(|part| part == device.to_string().as_bytes());
    block(async {
        fill(&store, &[uplink("sigfox:1"), uplink("sigfox:2")], 1).await;
        derive().await;
        let [.., points, reports, _, _, older] = erase(&store, false, &|| false).await;
        assert_eq!((points.found, points.removed, reports.found, reports.removed, older.found), (1, 0, 1, 0, 1));
        let [_, files, points, reports, ..] = erase(&store, true, &|| false).await;
        assert_eq!((files.removed, points.removed, reports.removed), (1, 1, 1));
        let derived = |(key, _): &(String, Bytes)| key.starts_with(POINTS) || key.starts_with(REPORTS);
        assert_eq!(store.ever().iter().filter(|entry| derived(entry)).count(), 0);
        derive().await;
        let made: Vec<(String, Bytes)> = store.ever().into_iter().filter(derived).collect();
        assert_eq!(made.len(), 2);
        assert!(made.iter().all(|(_, content)| has(content, "sigfox:2".parse().unwrap()) && !has(content, device())));
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
