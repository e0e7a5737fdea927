//! The archive's bucket, read as a whole, and the function that settles it.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use pulsegate_aws::S3Objects;
use pulsegate_model::at::At;
use pulsegate_model::consumption::Quality;
use pulsegate_model::pulse;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::days::{DAYS, file as days_file};
use pulsegate_pipeline::archive::file::FileRows;
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::place::{DAY, NEW};
use pulsegate_pipeline::archive::row::Row;
use pulsegate_pipeline::archive::store::{Condition, Get, Got, MAX_LISTED, ObjectStore as _};
use pulsegate_tests::stack::Stack;
use pulsegate_tests::{contracts, events, repository};
use serde_json::json;
use tokio::time::{Duration, Instant};

use crate::cloud::{Cloud, until};

/// Longer than a request takes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

fn soon() -> Instant {
    Instant::now() + REQUEST_TIMEOUT
}

impl Cloud {
    /// Returns the archive's bucket.
    pub fn archive(&self) -> S3Objects {
        S3Objects::new(&self.config, self.address("ARCHIVE_BUCKET"))
    }

    /// Returns the keys with a prefix.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let (archive, mut keys): (_, Vec<String>) = (self.archive(), Vec::new());
        loop {
            let page = archive.list(prefix, keys.last().map(String::as_str), soon()).await.unwrap();
            keys.extend(page.objects.into_iter().map(|listed| listed.key));
            if !page.truncated {
                return keys;
            }
        }
    }

    /// Invokes a deployed function, by the name of its address, with a file of `events/`.
    async fn run(&self, function: &str, event: &str) {
        let (endpoint, function) = (self.address("AWS_ENDPOINT_URL"), self.address(function));
        let url = format!("{endpoint}/2015-03-31/functions/{function}/invocations");
        let event = events::read(event).to_string();
        tokio::task::spawn_blocking(move || ureq::post(url).send(event)).await.unwrap().unwrap();
    }

    /// Returns every uplink of the archive once, by device and time, settled or not.
    pub async fn archived(&self) -> Vec<Uplink> {
        loop {
            if let Some(rows) = self.rows().await {
                return rows.iter().map(|row| row.uplink().unwrap()).collect();
            }
        }
    }

    /// Returns every uplink of a device in the archive.
    pub async fn archived_of(&self, device: &str) -> Vec<Uplink> {
        let mut uplinks = self.archived().await;
        uplinks.retain(|uplink| uplink.device.to_string() == device);
        uplinks
    }

    /// Returns all rows: of what is new, and then of the files. Returns `None` if an object is gone, because it has been
    /// settled meanwhile.
    async fn rows(&self) -> Option<BTreeSet<Row>> {
        let archive = self.archive();
        let mut rows = BTreeSet::new();
        let keys = self.keys(NEW).await;
        for key in keys {
            let Got::Object(new) = archive.get(Get::whole(&key), soon()).await.unwrap() else { return None };
            rows.extend(object::decode(&key, &new.content).unwrap().iter().map(Row::from));
        }
        for key in self.keys(DAY).await {
            let Got::Object(file) = archive.get(Get::whole(&key), soon()).await.unwrap() else { return None };
            let mut file = FileRows::new(file.content).unwrap();
            rows.extend(std::iter::from_fn(|| file.next_row().unwrap()));
        }
        Some(rows)
    }
}

pub async fn the_archives_bucket_keeps_the_contract(cloud: Cloud) {
    contracts::an_object_store_keeps_its_promises(&cloud.archive()).await;
    // More than a request of S3 takes.
    let keys: Vec<String> = (0..=MAX_LISTED).map(|n| format!("contract/{n}")).collect();
    let archive = cloud.archive();
    for key in [&keys[0], &keys[MAX_LISTED]] {
        archive.put(key, "x".into(), Condition::Absent, soon()).await.unwrap();
    }
    assert!(archive.delete(&keys, soon()).await.is_empty());
    assert!(cloud.keys("contract/").await.is_empty());
}

pub async fn the_schedule_moves_what_is_new_to_the_files_and_nothing_is_lost(cloud: Cloud) {
    for message in events::demo_today().0 {
        cloud.send(&message).await;
    }
    cloud.settled().await;
    let before = cloud.archived().await;
    assert!(!before.is_empty());
    until("an empty new/", async || cloud.keys(NEW).await.is_empty()).await;
    assert_eq!(cloud.archived().await, before);
    assert!(cloud.keys(DAY).await.iter().all(|key| key.ends_with("/00.parquet")), "one partition");
}

pub async fn days_are_made_of_settled_uplinks_a_partition_in_each_message_of_the_queue(cloud: Cloud) {
    const DEVICE: &str = "nbiot:490154203237559";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let first = now - now % 86_400 - 3 * 86_400;
    // A pulse an hour, until midnight today.
    let uplink = |hour: i64| -> Uplink {
        let counts = format!(r#"[{{"n":"A","u":"count","v":{hour}}}]"#);
        let uplink = json!({
            "device": DEVICE, "kind": "data", "at": At::from_unix(first + hour * 3_600).unwrap(),
            "time_source": "network", "sequence": hour, "profile": "senml-json", "payload": hex::encode(counts),
        });
        serde_json::from_value(uplink).unwrap()
    };
    let object = object::encode(&(0..=72).map(uplink).collect::<Vec<_>>()).unwrap();
    cloud.archive().put(&object.key, object.content, Condition::Always, soon()).await.unwrap();
    until("three days of 24 pulses", async || {
        for (function, event) in [("SETTLE", "settle.json"), ("DERIVE", "derive.json"), ("DAYS", "days-scheduled.json")]
        {
            cloud.run(function, event).await;
        }
        let mut days = Vec::new();
        for key in cloud.keys(DAYS).await {
            if let Got::Object(file) = cloud.archive().get(Get::whole(&key), soon()).await.unwrap() {
                days.extend(days_file::read(file.content).unwrap().rows);
            }
        }
        days.retain(|row| row.device.to_string() == DEVICE);
        let totals: Vec<_> = days.iter().map(|row| (row.total, row.quality)).collect();
        totals == [(Some(24_000), Quality::Measured); 3]
    })
    .await;
}

pub async fn without_the_table_of_pulses_every_message_is_in_the_archive_and_noise_in_quarantine(cloud: Cloud) {
    let directory = repository(&format!("target/e2e-archive-{}", std::process::id()));
    let parameters = ["PulseTable=false", "BatchingWindowSeconds=1"];
    let stack = Stack::start(&directory, &cloud.address("SIGFOX_API_URL"), &parameters);
    let cloud = Cloud::at(stack.addresses().clone()).await;
    assert!(!stack.addresses().contains_key("PULSE_TABLE"));

    let (messages, expected) = events::demo_today();
    for message in messages {
        cloud.send(&message).await;
    }
    let noise = json!({"device": "BAD", "time": 1_795_176_000, "data": "ff", "seqNumber": 1});
    assert_eq!(cloud.callback("adeunis-pulse-v4", &noise), 204);
    for point in expected {
        let arrived = async || {
            let items = cloud.archived().await.into_iter().filter_map(|uplink| pulse::decode(&uplink).ok());
            items.map(|item| json!(item)).any(|item| events::holds(&item, &point))
        };
        until(&format!("{point}"), arrived).await;
    }
    until("the noise in quarantine", async || cloud.waiting("QUARANTINE_QUEUE_URL").await == 1).await;
    assert_eq!(cloud.archived_of("sigfox:BAD").await.len(), 1, "stored as it came, too");
    drop(stack);
    std::fs::remove_dir_all(&directory).unwrap();
}
