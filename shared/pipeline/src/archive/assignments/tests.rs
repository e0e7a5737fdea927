//! Assignments over a store in memory: writers at once, lost answers, and the files to the byte.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use pulsegate_model::assignment::{PulseVolume, Zone};
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;

use super::*;
use crate::archive::place::{Day, PartitionBits};
use crate::archive::store::Page;
use crate::fakes::FakeObjects;
use crate::ports::Refused;

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

fn block<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

/// A meter at a device from some hour on until the next.
fn assignment(device: u32, hour: u8) -> Assignment {
    let at = |hour: u8| At::from_unix(1_795_176_000 + i64::from(hour) * 3_600).unwrap();
    let rich = hour.is_multiple_of(2);
    let text = |text: String| rich.then(|| text.parse().unwrap());
    Assignment {
        device: format!("sigfox:{:X}", device + 1).parse().unwrap(),
        channel: if device.is_multiple_of(3) { Channel::B } else { Channel::A },
        from: (hour > 0).then(|| at(hour)),
        to: Some(at(hour + 1)),
        litres_per_pulse: PulseVolume::from_thousandths(u64::from(hour) * 250 + 1).unwrap(),
        serial: text(format!("8ZRI{device:08}")),
        first_index: (hour > 0 && rich).then_some(u64::MAX - u64::from(device)),
        last_index: rich.then_some(u64::from(device)),
        time_zone: if rich { "Europe/Brussels".parse().unwrap() } else { Zone::UTC },
        q3: rich.then_some(2_500),
        max_per_hour: (hour % 3 == 1).then_some(u64::MAX),
        can_reverse: hour % 4 == 1,
        label: text(format!("Küche {device}")),
        site: text("Rue de la Loi 16, \"B\"".to_owned()),
    }
}

fn any_assignments() -> impl Strategy<Value = Vec<Assignment>> {
    proptest::collection::btree_set((0..200_u32, 0..12_u8), 0..30)
        .prop_map(|set| set.into_iter().map(|(device, hour)| assignment(device, hour)).collect())
}

async fn add_to(store: &impl ObjectStore, assignment: &Assignment) -> Result<bool, AssignmentsError> {
    let change = |all: &mut Assignments| {
        all.remove(assignment.device, &assignment.channel, assignment.from);
        all.add(assignment.clone()).unwrap();
        Ok(())
    };
    update(store, &key_of(assignment.device), soon(), change).await
}

fn sorted(assignments: &[Assignment]) -> Vec<Assignment> {
    let mut all = Assignments::default();
    assignments.iter().for_each(|assignment| all.add(assignment.clone()).unwrap());
    all.iter().cloned().collect()
}

fn bits(bits: u8) -> PartitionBits {
    format!("2026-01-01={bits}").parse().unwrap()
}

/// A store in which others are at work: a rival writes before the first write, and the answer to the second one is lost.
struct Hostile {
    objects: FakeObjects,
    puts: AtomicUsize,
    rival: Assignment,
}

impl ObjectStore for Hostile {
    async fn list(&self, prefix: &str, after: Option<&str>, deadline: Instant) -> Result<Page, StoreError> {
        self.objects.list(prefix, after, deadline).await
    }

    async fn get(&self, request: Get<'_>, deadline: Instant) -> Result<Got, StoreError> {
        let got = self.objects.get(request, deadline).await;
        // Others work between a read and the write that follows it.
        tokio::task::yield_now().await;
        got
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Condition<'_>,
        deadline: Instant,
    ) -> Result<Put, StoreError> {
        match self.puts.fetch_add(1, Ordering::Relaxed) {
            0 => {
                add_to(&self.objects, &self.rival).await.unwrap();
            }
            1 => {
                // An adapter repeats a request whose answer is lost, and finds its own result.
                self.objects.put(key, content.clone(), condition, deadline).await?;
            }
            _ => {}
        }
        self.objects.put(key, content, condition, deadline).await
    }

    async fn delete(&self, keys: &[String], deadline: Instant) -> Refused {
        self.objects.delete(keys, deadline).await
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn assignments_are_loaded_as_they_were_added_in_any_order(assignments in any_assignments(), page in 1..9_usize) {
        let (store, reversed) = (FakeObjects::of_pages(page), FakeObjects::default());
        block(async {
            for assignment in &assignments {
                prop_assert!(add_to(&store, assignment).await.unwrap());
            }
            for assignment in assignments.iter().rev() {
                add_to(&reversed, assignment).await.unwrap();
                prop_assert!(!add_to(&reversed, assignment).await.unwrap(), "the same again writes nothing");
            }
            prop_assert_eq!(store.all(), reversed.all(), "a set has one encoding");
            let loaded: Vec<Assignment> = load(&store, soon()).await.unwrap().iter().cloned().collect();
            prop_assert_eq!(loaded, sorted(&assignments));
            for device in assignments.iter().map(|assignment| assignment.device) {
                let of_device = load_device(&store, device, soon()).await.unwrap();
                let own = assignments.iter().filter(|assignment| assignment.device == device).cloned();
                prop_assert_eq!(of_device.iter().cloned().collect::<Vec<_>>(), sorted(&own.collect::<Vec<_>>()));
            }
            Ok(())
        })?;
    }

    #[test]
    fn the_partitions_of_any_number_of_bits_have_each_assignment_once(assignments in any_assignments(), bits_of in 0..=8_u8) {
        let store = FakeObjects::default();
        block(async {
            for assignment in &assignments {
                add_to(&store, assignment).await.unwrap();
            }
            let all = versions(&store, soon()).await.unwrap();
            let mut found = Vec::new();
            for partition in 0..1 << bits_of {
                let place = Place { day: Day::Odd, partition, bits: bits_of };
                let loaded = load_partition(&store, place, soon()).await.unwrap();
                prop_assert!(loaded.versions.iter().all(|(key, version)| all.get(key) == Some(version)));
                for assignment in loaded.assignments.iter() {
                    let day = Day::at("2026-11-20T00:00:00Z".parse().unwrap());
                    prop_assert_eq!(bits(bits_of).place_of(assignment.device, day).partition, partition);
                    prop_assert!(loaded.versions.contains_key(&key_of(assignment.device)));
                    found.push(assignment.clone());
                }
            }
            prop_assert_eq!(sorted(&found), sorted(&assignments));
            Ok(())
        })?;
    }

    #[test]
    fn what_is_no_file_of_assignments_is_refused(content in vec(any::<u8>(), 0..200)) {
        prop_assert!(file::decode(content.into()).is_err());
    }
}

#[test]
fn a_partition_of_six_bits_or_more_is_in_one_file() {
    let place = |partition, bits| keys_of(Place { day: Day::Odd, partition, bits });
    assert_eq!(place(0x2a, 6), ["assignments/2a.parquet"]);
    assert_eq!(place(0x2af, 10), ["assignments/2a.parquet"]);
    assert_eq!(place(1, 5), ["assignments/02.parquet", "assignments/03.parquet"]);
    assert_eq!(place(0, 0).len(), 64);
}

#[test]
fn a_faster_writer_and_a_lost_answer_cost_nothing() {
    let [own, rival] = [1, 2].map(|hour| assignment(7, hour));
    let store = Hostile { objects: FakeObjects::default(), puts: AtomicUsize::new(0), rival: rival.clone() };
    block(async {
        let written = add_to(&store, &own).await.unwrap();
        assert!(!written, "the third attempt finds what the second one wrote");
        assert_eq!(store.puts.load(Ordering::Relaxed), 2);
        assert_eq!(load(&store, soon()).await.unwrap().iter().cloned().collect::<Vec<_>>(), [own, rival]);
    });
}

#[test]
fn many_writers_at_once_lose_nothing() {
    let assignments: Vec<Assignment> = (0..40).map(|n| assignment(u32::from(n % 4), 1 + n)).collect();
    let store = Hostile { objects: FakeObjects::default(), puts: AtomicUsize::new(2), rival: assignments[0].clone() };
    block(async {
        futures_util::future::join_all(assignments.iter().map(|assignment| add_to(&store, assignment))).await;
        assert_eq!(load(&store, soon()).await.unwrap().iter().count(), 40);
        assert!(store.puts.load(Ordering::Relaxed) > 42, "there were conflicts");
    });
}

#[test]
fn a_change_that_fails_writes_nothing_and_the_last_removal_leaves_a_file_without_rows() {
    let store = FakeObjects::default();
    let only = assignment(7, 1);
    let key = key_of(only.device);
    block(async {
        add_to(&store, &only).await.unwrap();
        let before = store.all();
        let failed = update(&store, &key, soon(), |all| {
            all.remove(only.device, &only.channel, only.from);
            Err(AssignmentsError::Store(StoreError { what: "refused".to_owned(), source: "no".into() }))
        });
        assert!(failed.await.is_err());
        assert_eq!(store.all(), before);
        let remove = |all: &mut Assignments| {
            all.remove(only.device, &only.channel, only.from);
            Ok::<_, AssignmentsError>(())
        };
        assert!(update(&store, &key, soon(), remove).await.unwrap());
        assert!(!update(&store, &key, soon(), remove).await.unwrap());
        assert_eq!(load(&store, soon()).await.unwrap().iter().count(), 0);
        assert_eq!(store.keys(ASSIGNMENTS), [key]);
    });
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_stays_as_it_is() {
    let store = FakeObjects::default();
    let own = assignment(7, 1);
    store.set(&key_of(own.device), "garbage");
    block(async {
        let error = add_to(&store, &own).await.unwrap_err().to_string();
        assert!(error.contains(&key_of(own.device)), "{error}");
        assert!(load(&store, soon()).await.is_err());
        assert_eq!(store.all()[&key_of(own.device)], "garbage");
    });
}

/// `GOLDEN=record cargo test -p pulsegate-pipeline assignments` records it again.
#[test]
fn a_file_is_written_as_it_was_to_the_byte() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/assignments.parquet");
    let assignments = sorted(&(0..40).map(|n: u8| assignment(u32::from(n / 4), n % 4)).collect::<Vec<_>>());
    let content = file::encode(&assignments).unwrap();
    if std::env::var("GOLDEN").is_ok_and(|what| what == "record") {
        std::fs::write(&path, &content).unwrap();
    }
    let recorded = Bytes::from(std::fs::read(&path).unwrap());
    assert_eq!(file::decode(recorded.clone()).unwrap(), assignments);
    assert!(content == recorded, "the rows are the same, and their encoding is another one");
}
