//! The built binary with `pulsegate erase`, over buckets, tables and queues of its own: send, erase, send again, and look
//! for the device everywhere.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::types::{BucketVersioningStatus, CreateBucketConfiguration, VersioningConfiguration};
use bytes::Bytes;
use pulsegate_aws::items::Item;
use pulsegate_aws::{DynamoTable, EventTable, PulseTable, S3Objects, SqsQueue, Table as _};
use pulsegate_model::aggregate::Aggregator;
use pulsegate_model::assignment::{Assignment, Assignments};
use pulsegate_model::at::At;
use pulsegate_model::uplink::Uplink;
use pulsegate_model::{envelope, record};
use pulsegate_pipeline::archive::assignments::{self, ASSIGNMENTS, AssignmentsError};
use pulsegate_pipeline::archive::file::FileRows;
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::place::PartitionBits;
use pulsegate_pipeline::archive::reader::Archive;
use pulsegate_pipeline::archive::settle::Settle;
use pulsegate_pipeline::archive::store::{Condition, Got, ObjectStore as _, Part};
use pulsegate_pipeline::archive::versions::{VersionPage, VersionedStore as _};
use pulsegate_pipeline::archive::writer::ArchiveWriter;
use pulsegate_pipeline::batch::BatchRecord;
use pulsegate_pipeline::ports::Queue as _;
use pulsegate_pipeline::pulse::PulseStage;
use pulsegate_pipeline::raw::RawStage;
use pulsegate_pipeline::telemetry::OutcomeCounts;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cloud::Cloud;
use crate::replay::printed;
use crate::tests::create_table;

const DEVICE: &str = "sigfox:E5A5E1";
const OTHER: &str = "sigfox:E5A5E2";
const METER: &str = "nbiot:490154203237518";

const ARCHIVE: &str = "erase-archive";
const UNDELIVERED: &str = "erase-undelivered";
const TABLES: [(&str, &str); 3] =
    [("erase-events", "event"), ("erase-downlinks", "downlink"), ("erase-pulses", "uplink")];
const QUEUES: [&str; 5] =
    ["erase-quarantine", "erase-raw-letters", "erase-sigfox-letters", "erase-nbiot-letters", "erase-pulse"];

/// A payload that no codec decodes, and one that one does.
const NOISE: &str = "ff";
const DATA: &str = "46800000009f00000002";

fn uplink(device: &str, hour: u32, payload: &str) -> Uplink {
    serde_json::from_value(json!({
        "device": device, "kind": "data", "at": format!("2026-11-20T{hour:02}:00:00Z"), "time_source": "network",
        "sequence": hour, "profile": "adeunis-pulse-v4", "payload": payload,
    }))
    .unwrap()
}

fn soon() -> Instant {
    Instant::now() + std::time::Duration::from_mins(1)
}

/// The resources of the test.
struct World<'a> {
    cloud: &'a Cloud,
    archive: S3Objects,
    undelivered: S3Objects,
    queues: HashMap<&'static str, String>,
}

impl<'a> World<'a> {
    async fn new(cloud: &'a Cloud) -> Self {
        let config = aws_sdk_s3::config::Builder::from(&cloud.config).force_path_style(true).build();
        let s3 = aws_sdk_s3::Client::from_conf(config);
        for bucket in [ARCHIVE, UNDELIVERED] {
            let region = cloud.config.region().unwrap().as_ref().into();
            let here = CreateBucketConfiguration::builder().location_constraint(region).build();
            s3.create_bucket().bucket(bucket).create_bucket_configuration(here).send().await.unwrap();
        }
        let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        s3.put_bucket_versioning().bucket(ARCHIVE).versioning_configuration(versioning).send().await.unwrap();
        for (table, key) in TABLES {
            create_table(cloud, table, &["device", key]).await;
        }
        let mut queues = HashMap::new();
        for name in QUEUES {
            let queue = cloud.sqs.create_queue().queue_name(name).send().await.unwrap();
            queues.insert(name, queue.queue_url.unwrap());
        }
        let bucket = |name| S3Objects::new(&cloud.config, name);
        Self { cloud, archive: bucket(ARCHIVE), undelivered: bucket(UNDELIVERED), queues }
    }

    fn queue(&self, name: &str) -> SqsQueue {
        SqsQueue::new(&self.cloud.config, &self.queues[name])
    }

    fn table(&self, name: &str) -> DynamoTable {
        DynamoTable::new(&self.cloud.config, name)
    }

    /// Sends a batch through the stages of raw uplinks and of pulses, with the real adapters.
    async fn arrive(&self, uplinks: &[Uplink]) -> [OutcomeCounts; 2] {
        let body = envelope::pack(uplinks).remove(0).body;
        let records = [BatchRecord::new("id", At::EPOCH, body)];
        let raw = RawStage {
            raw: ArchiveWriter { store: self.archive.clone() },
            events: None::<EventTable<DynamoTable>>,
            pulse: Some(self.queue("erase-pulse")),
            quarantine: self.queue("erase-quarantine"),
        };
        let pulse = PulseStage {
            pulses: PulseTable { table: self.table("erase-pulses"), retention_days: 0 },
            quarantine: self.queue("erase-quarantine"),
            archive: self.archive.clone(),
        };
        let outcomes = [raw.run("raw-sigfox", &records, soon()).await, pulse.run(&records, soon()).await];
        outcomes.map(|outcome| {
            assert!(outcome.failed.is_empty());
            outcome.counts
        })
    }

    async fn settle(&self) {
        let settle = Settle { store: &self.archive, bits: &PartitionBits::default(), stop: soon(), deadline: soon() };
        settle.run().await.unwrap();
    }

    /// Puts the devices into the places that the stages do not fill.
    async fn fill(&self) {
        for (table, key) in &TABLES[..2] {
            let item = |(device, n): (&str, usize)| -> Item {
                serde_dynamo::to_item(json!({"device": device, (*key): format!("key-{n}")})).unwrap()
            };
            let of = |device| (0..30).map(move |n| (device, n));
            // One at a time: the adapter takes items without `uplink` or `event` for one item.
            for item in of(DEVICE).chain(of(OTHER)).map(item) {
                assert!(self.table(table).put(&[item], soon()).await.is_empty());
            }
        }
        for device in [DEVICE, OTHER] {
            let assignment = json!({"device": device, "channel": "A", "litres_per_pulse": 10});
            let assignment: Assignment = serde_json::from_value(assignment).unwrap();
            let add = |all: &mut Assignments| {
                all.add(assignment.clone()).unwrap();
                Ok::<_, AssignmentsError>(())
            };
            assignments::update(&self.archive, &assignments::key_of(assignment.device), soon(), add).await.unwrap();
        }
        let letter = envelope::pack(&[uplink(DEVICE, 9, DATA), uplink(OTHER, 9, DATA)]).remove(0).body;
        for queue in &QUEUES[1..4] {
            assert!(self.queue(queue).send(std::slice::from_ref(&letter), soon()).await.is_empty());
        }
        let mut records = Aggregator::default();
        for device in [DEVICE, METER] {
            let mut data = Vec::new();
            record::encode(&uplink(device, 1, DATA), &mut data);
            records.add(|| device.to_owned(), &data);
        }
        let record = records.close().unwrap();
        let data = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, record.data);
        let kinesis = json!({"kinesis": {"partitionKey": record.partition_key, "data": data}});
        let object = json!({"payload": json!({"Records": [kinesis]}).to_string()}).to_string();
        self.undelivered.put("aws/lambda/1", object.into(), Condition::Always, soon()).await.unwrap();
    }

    /// Runs the command.
    async fn erase(&self, write: &[&str]) -> (Option<i32>, Value) {
        let [quarantine, raw, sigfox, nbiot, _] = QUEUES.map(|name| self.queues[name].as_str());
        let arguments = [
            "erase",
            DEVICE,
            "--format",
            "json",
            "--grace",
            "0s",
            "--archive-bucket",
            ARCHIVE,
            "--undelivered-bucket",
            UNDELIVERED,
            "--events-table",
            TABLES[0].0,
            "--downlink-table",
            TABLES[1].0,
            "--pulse-table",
            TABLES[2].0,
            "--quarantine-queue",
            quarantine,
            "--raw-dead-letters",
            raw,
            "--pulse-sigfox-dead-letters",
            sigfox,
            "--pulse-nbiot-dead-letters",
            nbiot,
        ];
        printed(&[&arguments[..], write].concat()).await
    }

    /// Everything that is stored, in the stages' order, as text: the older versions of objects too.
    async fn everything(&self) -> Vec<String> {
        let mut all = Vec::new();
        for store in [&self.archive, &self.undelivered] {
            let mut after = None;
            loop {
                let VersionPage { versions, next } = store.versions("", after.as_ref(), soon()).await.unwrap();
                for listed in versions.into_iter().filter(|listed| !listed.is_marker) {
                    let Got::Object(object) = store.version(&listed.version, Part::Whole, soon()).await.unwrap() else {
                        panic!("{:?} is gone", listed.version)
                    };
                    all.push(format!("{} {}", listed.version.key, content(&listed.version.key, &object.content)));
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        for (table, _) in TABLES {
            let pages = self.cloud.dynamodb.scan().table_name(table).into_paginator().items().send();
            let items: Vec<HashMap<String, AttributeValue>> = pages.collect::<Result<_, _>>().await.unwrap();
            all.extend(items.iter().map(|item| format!("{table} {item:?}")));
        }
        // The queue of the next stage is not the command's to empty.
        for queue in &QUEUES[..4] {
            let bodies = self.cloud.take_all(&self.queues[queue]).await;
            assert!(self.queue(queue).send(&bodies, soon()).await.is_empty());
            all.extend(bodies.into_iter().map(|body| format!("{queue} {body}")));
        }
        all
    }

    /// Checks that nothing names the device. Returns what names the other one.
    async fn check(&self) -> usize {
        let everything = self.everything().await;
        let found: Vec<&String> = everything.iter().filter(|text| names(text, DEVICE)).collect();
        assert!(found.is_empty(), "{found:#?}");
        everything.iter().filter(|text| names(text, OTHER)).count()
    }
}

fn names(text: &str, device: &str) -> bool {
    text.contains(device.trim_start_matches("sigfox:"))
}

/// The rows of an object of the archive; any other object as text, with its base64 decoded.
fn content(key: &str, content: &Bytes) -> String {
    let texts: Vec<String> = if key.starts_with("new/") {
        object::decode(key, content).unwrap().iter().map(|uplink| uplink.device.to_string()).collect()
    } else if key.starts_with("day/") {
        let mut rows = FileRows::new(content.clone()).unwrap();
        std::iter::from_fn(|| rows.next_row().unwrap()).map(|row| row.device().to_string()).collect()
    } else if key.starts_with(ASSIGNMENTS) {
        let assignments = assignments::file::decode(content.clone()).unwrap();
        assignments.iter().map(|assignment| assignment.device.to_string()).collect()
    } else {
        vec![String::from_utf8_lossy(content).into_owned()]
    };
    texts.join(" ")
}

pub async fn an_erased_device_is_nowhere_and_does_not_come_back(cloud: Cloud) {
    let world = World::new(&cloud).await;
    let batch = |hour| [uplink(DEVICE, hour, DATA), uplink(OTHER, hour, DATA), uplink(METER, hour, NOISE)];
    for hour in 0..4 {
        world.arrive(&batch(hour)).await;
        if hour < 3 {
            world.settle().await;
        }
    }
    world.arrive(&[uplink(DEVICE, 5, NOISE), uplink(OTHER, 5, NOISE)]).await;
    world.fill().await;
    let others = world.everything().await.iter().filter(|text| names(text, OTHER) && !text.starts_with("new/")).count();
    assert!(others > 60, "{others}");

    let (code, shown) = world.erase(&[]).await;
    assert_eq!((code, &shown["written"], &shown["tombstone"]), (Some(0), &json!(false), &Value::Null));
    let counts = |report: &Value, of: &str| -> HashMap<String, u64> {
        let each = report["places"].as_array().unwrap().iter();
        each.map(|place| (place["place"].as_str().unwrap().to_owned(), place[of].as_u64().unwrap())).collect()
    };
    let found = counts(&shown, "found");
    assert_eq!((found["quarantine"], found["undelivered stream records"]), (1, 1));
    assert_eq!((found["archive, new/"], found["archive, day/"], found["table of pulses"]), (2, 1, 4));
    assert_eq!(found["archive, assignments/"], 1);
    // Three settled objects, and the file before the second and the third run of `settle`.
    assert_eq!((found["archive, older versions"], found["table of downlinks"]), (5, 30));

    let (code, done) = world.erase(&["--write"]).await;
    assert_eq!((code, &done["finished"]), (Some(0), &json!(true)), "{done:#}");
    assert_eq!(counts(&done, "found"), counts(&done, "removed"));
    let after = world.check().await;

    // Everything again, as a redrive or a late network delivers it.
    for hour in 0..4 {
        let [raw, pulse] = world.arrive(&batch(hour)).await;
        assert_eq!((raw.received, raw.erased, pulse.received, pulse.erased), (3, 1, 3, 1));
    }
    world.settle().await;
    let (code, again) = world.erase(&["--write"]).await;
    assert_eq!(code, Some(0));
    assert!(counts(&again, "found").values().all(|found| *found == 0), "{again:#}");
    assert!(world.check().await >= after);

    let archive = Archive { store: world.archive.clone(), bits: PartitionBits::default() };
    let span = ("2026-11-20T00:00:00Z".parse().unwrap(), "2026-11-20T23:59:59Z".parse().unwrap());
    let read = async |device: &str| archive.uplinks(device.parse().unwrap(), span.0, span.1, soon()).await.unwrap();
    assert_eq!((read(DEVICE).await.len(), read(OTHER).await.len(), read(METER).await.len()), (0, 5, 4));
}
