//! Runs over fakes, which may be killed at any request.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use clap::Parser as _;
use proptest::prelude::*;
use pulsegate_aws::DeviceItems;
use pulsegate_model::assignment::{Assignment, Assignments};
use pulsegate_model::envelope;
use pulsegate_model::quarantine::Quarantined;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::assignments::{self, ASSIGNMENTS};
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::place::PartitionBits;
use pulsegate_pipeline::archive::reader::Archive;
use pulsegate_pipeline::archive::settle::Settle;
use pulsegate_pipeline::archive::store::{Condition, Get, Got, ObjectStore, Page, Part, Put, StoreError};
use pulsegate_pipeline::archive::versions::{Version, VersionPage, VersionedStore};
use pulsegate_pipeline::fakes::{FakeObjects, FakeReceiveQueue, Life};
use pulsegate_pipeline::ports::{Queue as _, ReadError, Refused};
use serde_json::Value;
use tokio::time::timeout;

use super::*;
use crate::options::{Command, Options};
use crate::stop::Stop;
use crate::{CommandOutput, Problem};

const DEVICE: &str = "sigfox:1A2345";
const OTHER: &str = "sigfox:2A2345";

/// Everything of a stack that a run reads and changes.
struct World {
    archive: FakeObjects,
    undelivered: FakeObjects,
    quarantine: FakeReceiveQueue,
    letters: FakeReceiveQueue,
    pulses: FakeItems,
}

/// The items of a table: how many each device has.
#[derive(Debug, Default)]
struct FakeItems(Mutex<BTreeMap<DeviceId, usize>>);

impl DeviceItems for &FakeItems {
    async fn count(&self, device: DeviceId, _: Instant) -> Result<usize, ReadError> {
        Ok(self.0.lock().unwrap().get(&device).copied().unwrap_or_default())
    }

    async fn delete_some(&self, device: DeviceId, _: Instant) -> Result<usize, ReadError> {
        let mut items = self.0.lock().unwrap();
        let left = items.entry(device).or_default();
        let some = (*left).min(25);
        *left -= some;
        Ok(some)
    }
}

/// The connection of a process to a bucket. It never answers after so many requests, half of them with their effect.
#[derive(Debug)]
struct Mortal<'a> {
    store: &'a FakeObjects,
    steps: &'a Mutex<usize>,
}

impl Mortal<'_> {
    async fn step(&self) {
        let is_over = {
            let mut steps = self.steps.lock().unwrap();
            let is_over = *steps == 0;
            *steps = steps.saturating_sub(1);
            is_over
        };
        if is_over {
            std::future::pending::<()>().await;
        }
    }
}

impl ObjectStore for Mortal<'_> {
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
        self.step().await;
        let put = self.store.put(key, content, condition, deadline).await;
        self.step().await;
        put
    }

    async fn delete(&self, keys: &[String], deadline: Instant) -> Refused {
        self.step().await;
        let refused = self.store.delete(keys, deadline).await;
        self.step().await;
        refused
    }
}

impl VersionedStore for Mortal<'_> {
    async fn versions(
        &self,
        prefix: &str,
        after: Option<&Version>,
        deadline: Instant,
    ) -> Result<VersionPage, StoreError> {
        self.store.versions(prefix, after, deadline).await
    }

    async fn version(&self, version: &Version, part: Part, deadline: Instant) -> Result<Got, StoreError> {
        self.store.version(version, part, deadline).await
    }

    async fn delete_versions(&self, versions: &[Version], deadline: Instant) -> Refused {
        self.step().await;
        let refused = self.store.delete_versions(versions, deadline).await;
        self.step().await;
        refused
    }
}

fn uplink(device: &str, hour: u32) -> Uplink {
    let text = format!(
        r#"{{"device":"{device}","kind":"data","at":"2026-11-20T{hour:02}:00:00Z","time_source":"network","sequence":{hour},
        "profile":"adeunis-pulse-v4","payload":"46800000009f00000002"}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn bits() -> PartitionBits {
    PartitionBits::default()
}

fn order(line: &str) -> Order {
    let command = Options::parse_from(["pulsegate", "erase"].into_iter().chain(line.split(' '))).command;
    let Command::Erase(options) = command else { panic!("another command") };
    Order::of(&options, "2026-11-21T00:00:00Z".parse().unwrap())
}

impl World {
    /// Both devices everywhere.
    async fn filled() -> Self {
        let world = Self {
            archive: FakeObjects::default(),
            undelivered: FakeObjects::default(),
            quarantine: FakeReceiveQueue::new(),
            letters: FakeReceiveQueue::new(),
            pulses: FakeItems::default(),
        };
        for hour in 0..4 {
            world.arrive(hour).await;
            if hour < 2 {
                world.settle().await;
            }
        }
        let quarantined = |device| {
            let uplink = uplink(device, 7);
            Quarantined::new("pulse", &"why", envelope::of_one(&uplink).as_bytes()).of(&uplink).to_message()
        };
        world.quarantine.send(&[quarantined(DEVICE), quarantined(OTHER)], deadline()).await;
        let both = envelope::pack(&[uplink(DEVICE, 8), uplink(OTHER, 8)]).remove(0).body;
        world.letters.send(&[both], deadline()).await;
        for device in [DEVICE, OTHER] {
            world.assign(device).await;
            world.pulses.0.lock().unwrap().insert(device.parse().unwrap(), 60);
        }
        world
    }

    /// A batch of both devices.
    async fn arrive(&self, hour: u32) {
        let batch = [uplink(DEVICE, hour), uplink(OTHER, hour)];
        let new = object::encode(&batch).unwrap();
        self.archive.put(&new.key, new.content, Condition::Always, deadline()).await.unwrap();
    }

    /// An assignment of the device.
    async fn assign(&self, device: &str) {
        let text = format!(r#"{{"device":"{device}","channel":"A","litres_per_pulse":10}}"#);
        let assignment: Assignment = serde_json::from_str(&text).unwrap();
        let key = assignments::key_of(assignment.device);
        let add = |all: &mut Assignments| {
            all.add(assignment.clone()).unwrap();
            Ok::<_, Problem>(())
        };
        assignments::update(&self.archive, &key, deadline(), add).await.unwrap();
    }

    async fn settle(&self) {
        let settle = Settle { store: &self.archive, bits: &bits(), stop: deadline(), deadline: deadline() };
        settle.run().await.unwrap();
    }

    /// Runs the command, in a process with so many steps to live.
    async fn run(&self, command: &str, steps: usize) -> CommandOutput {
        let (left, life) = (Mutex::new(steps), Life::of(steps.min(usize::MAX / 2)));
        let bucket = |store| Mortal { store, steps: &left };
        let queue = |name, queue| QueueEnds { name, inbox: life.with(queue), again: life.with(queue) };
        let places = Places {
            archive: bucket(&self.archive),
            undelivered: bucket(&self.undelivered),
            tables: vec![("pulses", &self.pulses)],
            queues: vec![queue("quarantine", &self.quarantine), queue("dead letters", &self.letters)],
        };
        run(&places, &order(command), &Stop::default()).await
    }

    /// Contents of all places, with older versions.
    fn everything(&self) -> Vec<String> {
        let text = |(key, content): (String, Bytes)| {
            let content = if key.starts_with("new/") {
                format!("{:?}", object::decode(&key, &content).unwrap())
            } else if key.starts_with(ASSIGNMENTS) {
                format!("{:?}", assignments::file::decode(content).unwrap())
            } else {
                String::from_utf8_lossy(&content).into_owned()
            };
            format!("{key} {content}")
        };
        let mut all: Vec<String> = self.archive.ever().into_iter().chain(self.undelivered.ever()).map(text).collect();
        all.extend(self.quarantine.bodies().into_iter().chain(self.letters.bodies()));
        all.extend(self.pulses.0.lock().unwrap().iter().filter(|(_, count)| **count > 0).map(|(id, _)| id.to_string()));
        all
    }

    /// Checks that the device is nowhere, and everything of the other one is where it was.
    async fn check(&self) {
        // A device is written in the texts as `1A2345`, and in the debug form of an ID as a number.
        let number = format!("SigfoxId({})", 0x001A_2345);
        for place in self.everything() {
            assert!(!place.contains("1A2345") && !place.contains(&number), "{place}");
        }
        while !self.archive.keys("new/").is_empty() {
            self.settle().await;
        }
        let left = Mutex::new(usize::MAX);
        let archive = Archive { store: Mortal { store: &self.archive, steps: &left }, bits: bits() };
        let span = ("2026-11-20T00:00:00Z".parse().unwrap(), "2026-11-20T23:59:59Z".parse().unwrap());
        let read = archive.uplinks(OTHER.parse().unwrap(), span.0, span.1, deadline()).await.unwrap();
        assert_eq!(read, (0..4).map(|hour| uplink(OTHER, hour)).collect::<Vec<_>>());
        let assigned = assignments::load_device(&self.archive, OTHER.parse().unwrap(), deadline()).await.unwrap();
        assert_eq!(assigned.iter().count(), 1);
        let (quarantine, letters) = (self.quarantine.bodies(), self.letters.bodies());
        assert!(quarantine.len() == 1 && quarantine[0].contains(OTHER), "{quarantine:?}");
        assert!(!letters.is_empty() && letters.iter().all(|letter| letter.contains(OTHER)), "{letters:?}");
        assert_eq!(self.pulses.0.lock().unwrap()[&OTHER.parse().unwrap()], 60);
    }
}

fn places(output: &CommandOutput) -> BTreeMap<String, (u64, u64, u64)> {
    let report: Value = serde_json::from_str(&output.text).unwrap();
    let count = |place: &Value, of: &str| place[of].as_u64().unwrap();
    let each = report["places"].as_array().unwrap().iter();
    each.map(|place| {
        let counts = (count(place, "found"), count(place, "rows"), count(place, "removed"));
        (place["place"].as_str().unwrap().to_owned(), counts)
    })
    .collect()
}

const WRITE: &str = "sigfox:1A2345 --write --format json";

#[tokio::test(start_paused = true)]
async fn a_run_shows_first_what_it_would_remove_and_then_removes_it_everywhere() {
    let world = World::filled().await;
    let before = world.everything();
    let shown = world.run("1A2345 --format json", usize::MAX).await;
    assert!(shown.problem.is_none() && before == world.everything(), "{:?}", shown.problem);
    let shown = places(&shown);
    assert_eq!(shown["archive, new/"], (2, 2, 0));
    assert_eq!(shown["archive, day/"], (1, 2, 0));
    assert_eq!(shown["archive, assignments/"], (1, 1, 0));
    // The objects of two settled batches, and the file before the second.
    assert_eq!(shown["archive, older versions"], (3, 3, 0));
    assert_eq!(
        (shown["quarantine"], shown["dead letters"], shown["table of pulses"]),
        ((1, 1, 0), (1, 1, 0), (60, 60, 0))
    );

    let done = world.run(WRITE, usize::MAX).await;
    assert!(done.problem.is_none(), "{:?} {}", done.problem, done.text);
    let done = places(&done);
    assert_eq!((done["archive, new/"], done["archive, day/"]), ((2, 2, 2), (1, 2, 1)));
    assert_eq!(done["archive, assignments/"], (1, 1, 1));
    assert_eq!(
        (done["quarantine"], done["dead letters"], done["table of pulses"]),
        ((1, 1, 1), (1, 1, 1), (60, 60, 60))
    );
    world.check().await;
    let again = world.run(WRITE, usize::MAX).await;
    assert!(again.problem.is_none() && places(&again).values().all(|count| *count == (0, 0, 0)), "{}", again.text);
}

#[tokio::test(start_paused = true)]
async fn what_an_invocation_stores_that_began_before_the_tombstone_is_found_by_the_second_search() {
    let world = World::filled().await;
    let late = async {
        tokio::time::sleep(Duration::from_mins(5)).await;
        world.arrive(0).await;
    };
    let began = Instant::now();
    let (output, ()) = tokio::join!(world.run(WRITE, usize::MAX), late);
    assert!(output.problem.is_none(), "{:?}", output.problem);
    assert_eq!(began.elapsed().as_secs() / 60, 15);
    world.check().await;
    // The tombstone is older than any invocation now.
    let began = Instant::now();
    let later = Order { now: "2026-11-21T00:15:00Z".parse().unwrap(), ..order(WRITE) };
    let left = Mutex::new(usize::MAX);
    let bucket = |store| Mortal { store, steps: &left };
    let places = Places {
        archive: bucket(&world.archive),
        undelivered: bucket(&world.undelivered),
        tables: vec![("pulses", &world.pulses)],
        queues: Vec::<QueueEnds<FakeReceiveQueue, FakeReceiveQueue>>::new(),
    };
    assert!(run(&places, &later, &Stop::default()).await.problem.is_none());
    assert!(began.elapsed() < Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_says_so_and_the_next_continues() {
    let world = World::filled().await;
    let stop = Stop::default();
    stop.request();
    let left = Mutex::new(usize::MAX);
    let bucket = |store| Mortal { store, steps: &left };
    let places = Places {
        archive: bucket(&world.archive),
        undelivered: bucket(&world.undelivered),
        tables: vec![("pulses", &world.pulses)],
        queues: vec![QueueEnds { name: "quarantine", inbox: FakeReceiveQueue::new(), again: FakeReceiveQueue::new() }],
    };
    let stopped = run(&places, &order(WRITE), &stop).await;
    assert!(matches!(stopped.problem, Some(Problem::Stopped(_))), "{:?}", stopped.problem);
    assert!(world.run(WRITE, usize::MAX).await.problem.is_none());
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_a_problem() {
    let world = World::filled().await;
    world.archive.set("day/2026-11-20/00.parquet", "noise");
    let output = world.run(WRITE, usize::MAX).await;
    assert!(matches!(output.problem, Some(Problem::NotErased { left: 1, kept: 0 })), "{:?}", output.problem);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_run_that_is_killed_at_any_request_is_continued_by_the_next(lives in prop::collection::vec(0..60_usize, 1..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::filled().await;
            for steps in lives {
                let _ = timeout(Duration::from_hours(1), world.run(WRITE, steps)).await;
                // Messages that the killed process held are visible again.
                tokio::time::sleep(Duration::from_mins(10)).await;
            }
            let last = world.run(WRITE, usize::MAX).await;
            assert!(last.problem.is_none(), "{:?}", last.problem);
            world.check().await;
        });
    }
}
