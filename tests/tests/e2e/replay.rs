//! The built binary with `pulsegate redrive` and `pulsegate redecode`.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use pulsegate_aws::items::Item;
use pulsegate_aws::{DynamoTable, Key, S3Objects, SqsQueue, Table as _};
use pulsegate_model::quarantine::Quarantined;
use pulsegate_model::uplink::{Kind, Uplink};
use pulsegate_model::{envelope, pulse, record};
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::store::{Condition, ObjectStore as _};
use pulsegate_pipeline::ports::Queue as _;
use pulsegate_tests::repository;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::cloud::{Cloud, until};
use crate::tests::create_table;

const PAYLOAD: &str = "46800000009f00000002";

/// A payload that no codec decodes.
const NOISE: &str = "ff";

/// Time-out of a run that decodes a long history on a busy machine.
const REPLAY_TIMEOUT: Duration = Duration::from_mins(15);

fn uplink(device: &str, profile: &str, payload: &str) -> Uplink {
    serde_json::from_value(json!({
        "device": device, "kind": "data", "at": "2026-11-20T12:00:00Z", "time_source": "network", "sequence": 1,
        "profile": profile, "payload": payload,
    }))
    .unwrap()
}

fn tool(arguments: &[&str]) -> Command {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository("target"), Into::into);
    let mut command = Command::new(target.join("debug/pulsegate"));
    command.args(arguments);
    command
}

/// Runs a command to its end; returns the exit code and its output, parsed as JSON.
pub async fn printed(arguments: &[&str]) -> (Option<i32>, Value) {
    let mut command = tool(arguments);
    let running = tokio::task::spawn_blocking(move || command.output().unwrap());
    let Output { status, stdout, stderr } = running.await.unwrap();
    let log = String::from_utf8_lossy(&stderr);
    let printed = serde_json::from_slice(&stdout).unwrap_or_else(|e| panic!("{e}: {log}"));
    println!("{arguments:?}: {status}\n{log}");
    (status.code(), printed)
}

/// Returns a record that an older version of each stage would have quarantined, and the device whose pulses it becomes
/// now.
fn quarantined() -> Vec<(&'static str, Quarantined)> {
    let of = |device| uplink(device, "adeunis-pulse-v4", PAYLOAD);
    let sigfox = |device| envelope::of_one(&of(device));
    let nbiot =
        |imei: &str| uplink(&format!("nbiot:{imei}"), "adeunis-pulse4-nbiot", &format!("0{imei}0300000001{PAYLOAD}"));
    let mut in_stream = Vec::new();
    record::encode(&nbiot("490154203237559"), &mut in_stream);
    let body = json!({"device": "4ED3", "time": 1_795_176_000, "data": PAYLOAD}).to_string();
    let url = "https://a1.example.com/sigfox/adeunis-pulse-v4/uplink";
    let listed =
        json!({"callback": {"url": url, "body": body.replace("4ED3", "4ED4")}, "deviceId": "4ED4"}).to_string();
    let new = |stage, record: &[u8]| Quarantined::new(stage, &"not known yet", record);
    let datagram = hex::decode(format!("04901542032375750300000001{PAYLOAD}")).unwrap();
    let rejected = new("udp-bridge", &datagram).under("adeunis-pulse4-nbiot");
    let rejected = rejected.received_at("udp://0.0.0.0:7011", None, "2026-11-20T12:00:00Z".parse().unwrap());
    let callback = new("sigfox-callback", body.as_bytes()).under("adeunis-pulse-v4").of_callback("uplink", "");
    vec![
        ("sigfox:4ED1", new("pulse", sigfox("sigfox:4ED1").as_bytes()).of(&of("sigfox:4ED1"))),
        ("nbiot:490154203237567", new("pulse", envelope::of_one(&nbiot("490154203237567")).as_bytes())),
        ("sigfox:4ED2", new("raw-sigfox", sigfox("sigfox:4ED2").as_bytes())),
        ("nbiot:490154203237559", new("raw-nbiot", &in_stream)),
        ("nbiot:490154203237575", rejected),
        ("sigfox:4ED3", callback),
        ("sigfox:4ED4", new("sigfox-recovery", listed.as_bytes())),
    ]
}

pub async fn quarantined_records_of_every_stage_are_sent_again_and_end_in_the_table(cloud: Cloud) {
    const QUARANTINE: &str = "QUARANTINE_QUEUE_URL";
    cloud.settled().await;
    cloud.take_all(&cloud.address(QUARANTINE)).await;
    let still = envelope::of_one(&uplink("sigfox:4ED5", "adeunis-pulse-v4", NOISE));
    let still = Quarantined::new("pulse", &"not known yet", still.as_bytes());
    let mut messages: Vec<String> = quarantined().iter().map(|(_, record)| record.to_message()).collect();
    messages.extend([still.to_message(), "not ours".to_owned()]);
    let queue = SqsQueue::new(&cloud.config, cloud.address(QUARANTINE));
    assert!(queue.send(&messages, Instant::now() + Duration::from_mins(1)).await.is_empty());

    let (code, groups) = printed(&["redrive", "list", "--format", "json"]).await;
    let of = |stage: &Value| groups.as_array().unwrap().iter().find(|group| group["stage"] == *stage).unwrap();
    assert_eq!((code, &of(&json!("pulse"))["count"], &of(&json!(null))["count"]), (Some(0), &json!(3), &json!(1)));
    let (code, report) = printed(&["redrive", "send", "--all", "--dry-run", "--format", "json"]).await;
    assert_eq!((code, &report["sent"]), (Some(0), &json!(8)));
    let visible = async || {
        let attribute = aws_sdk_sqs::types::QueueAttributeName::ApproximateNumberOfMessages;
        let request = cloud.sqs.get_queue_attributes().queue_url(cloud.address(QUARANTINE));
        let answer = request.attribute_names(attribute.clone()).send().await.unwrap();
        answer.attributes.unwrap()[&attribute].clone()
    };
    assert_eq!(visible().await, "9", "all messages are given back");

    let (code, report) = printed(&["redrive", "send", "--stage", "raw-nbiot", "--format", "json"]).await;
    assert_eq!((code, &report["to"]), (Some(0), &json!({"ProcessRawDataNbiot": 1})));
    let (code, report) = printed(&["redrive", "send", "--all", "--format", "json"]).await;
    assert_eq!((code, &report["sent"], &report["not_ours"][0]["count"]), (Some(0), &json!(7), &json!(1)));
    for (device, _) in quarantined() {
        until(device, async || cloud.items_of("PULSE_TABLE", device).await.len() == 1).await;
    }
    cloud.settled().await;
    // The undecodable record is back in quarantine, with today's reason.
    until("two in quarantine", async || visible().await == "2").await;
    let left = cloud.take_all(&cloud.address(QUARANTINE)).await;
    let (ours, others): (Vec<&String>, Vec<&String>) = left.iter().partition(|body| body.starts_with('{'));
    let record: Value = serde_json::from_str(ours[0]).unwrap();
    assert_eq!((others[0].as_str(), &record["device"]), ("not ours", &json!("sigfox:4ED5")));
    assert_ne!(record["reason"], "not known yet");
}

/// Default number of uplinks of a history, and the variable that overrides it.
const UPLINKS: usize = 20_000;
const UPLINKS_VARIABLE: &str = "PULSEGATE_REPLAY_UPLINKS";

/// The time of the first, 2031-01-01T00:00:00Z: no other test has uplinks of that year.
const FIRST: i64 = 1_924_992_000;
const SPAN: [&str; 4] = ["--from", "2031-01-01T00:00:00Z", "--to", "2032-01-01T00:00:00Z"];

/// A history of uplinks: a tenth was decoded by an older codec, some were not decoded at all.
struct History {
    raw: Vec<Uplink>,
    before: Vec<Item>,
    expected: Vec<Item>,
    /// The expected difference of each uplink that differs.
    differ: BTreeMap<Key, &'static str>,
}

impl History {
    const DEVICES: usize = 1_000;

    fn of(uplinks: usize) -> Self {
        let mut history = Self { raw: vec![], before: vec![], expected: vec![], differ: BTreeMap::new() };
        (0..uplinks).for_each(|n| history.add(n));
        history
    }

    fn add(&mut self, n: usize) {
        let payload = if n % 1_000 == 999 { NOISE.to_owned() } else { format!("4680{n:08x}00000002") };
        let uplink: Uplink = serde_json::from_value(json!({
            "device": format!("sigfox:{:X}", n % Self::DEVICES), "kind": "data", "time_source": "network",
            "at": pulsegate_model::at::At::from_unix(FIRST + 3_600 * i64::try_from(n / Self::DEVICES).unwrap()).unwrap(),
            "sequence": n / Self::DEVICES, "profile": "adeunis-pulse-v4", "payload": payload,
        }))
        .unwrap();
        if n.is_multiple_of(50) {
            self.raw.push(Uplink { kind: Kind::DataAdvanced, ..uplink.clone() });
        }
        self.raw.push(uplink.clone());
        let Ok(now) = pulse::decode(&uplink).map(|item| pulsegate_aws::items::pulse_item(&item)) else { return };
        let key = Key::of(&now).unwrap();
        if n % 10 == 3 {
            self.before.push(older(&now));
            self.differ.insert(key, "changed");
        } else if n % 33 == 1 {
            self.differ.insert(key, "new");
        } else {
            self.before.push(now.clone());
        }
        self.expected.push(now);
    }
}

/// Returns the item as an older codec version decoded it.
fn older(item: &Item) -> Item {
    let mut attributes: HashMap<String, serde_dynamo::AttributeValue> = item.inner().clone();
    attributes.insert("codec_version".to_owned(), serde_dynamo::AttributeValue::N("0".to_owned()));
    attributes.remove("channels");
    attributes.into()
}

/// Writes uplinks to the stack's archive, which settles them by itself.
async fn archive(cloud: &Cloud, uplinks: &[Uplink]) {
    let bucket = S3Objects::new(&cloud.config, cloud.address("ARCHIVE_BUCKET"));
    for batch in uplinks.chunks(5_000) {
        let object = object::encode(batch).unwrap();
        let deadline = Instant::now() + REPLAY_TIMEOUT;
        bucket.put(&object.key, object.content, Condition::Always, deadline).await.unwrap();
    }
}

async fn fill(cloud: &Cloud, table: &str, items: &[Item]) {
    create_table(cloud, table, &["device", "uplink"]).await;
    let table = DynamoTable::new(&cloud.config, table);
    for items in items.chunks(5_000) {
        assert!(table.put(items, Instant::now() + REPLAY_TIMEOUT).await.is_empty());
    }
}

/// Returns all items of a table, by key.
async fn all(cloud: &Cloud, table: &str) -> BTreeMap<Key, Item> {
    let pages = cloud.dynamodb.scan().table_name(table).into_paginator().items().send();
    let items: Vec<HashMap<String, AttributeValue>> = pages.collect::<Result<_, _>>().await.unwrap();
    by_key(items.into_iter().map(Item::from))
}

fn by_key(items: impl IntoIterator<Item = Item>) -> BTreeMap<Key, Item> {
    items.into_iter().map(|item| (Key::of(&item).unwrap(), item)).collect()
}

/// Returns the reported difference of each uplink that differs.
fn reported(report: &Value) -> BTreeMap<Key, String> {
    let differences = report["differences"].as_array().unwrap();
    let each = differences.iter().map(|difference| {
        let key: Key = serde_json::from_value(difference.clone()).unwrap();
        (key, difference["what"].as_str().unwrap().to_owned())
    });
    let reported: BTreeMap<_, _> = each.collect();
    assert_eq!(reported.len(), differences.len(), "an uplink is reported twice");
    reported
}

pub async fn history_is_decoded_again_by_a_run_that_is_killed_and_continued(cloud: Cloud) {
    const PULSES: &str = "replay-pulses";
    let uplinks = std::env::var(UPLINKS_VARIABLE).map_or(UPLINKS, |count| count.parse().unwrap());
    let history = History::of(uplinks);
    archive(&cloud, &history.raw).await;
    fill(&cloud, PULSES, &history.before).await;
    let expected: BTreeMap<Key, String> =
        history.differ.iter().map(|(key, what)| (key.clone(), (*what).to_owned())).collect();
    assert!(expected.len() > uplinks / 9);
    println!("{} raw uplinks; {} uplinks should differ", history.raw.len(), expected.len());

    let directory = Scratch::new();
    let [state, meters] = ["state", "meters"].map(|name| directory.0.join(name).display().to_string());
    let question = [&["redecode", "--pulse-table", PULSES, "--format", "json"][..], &SPAN].concat();
    let pace = ["--read-units", "1000000", "--write-units", "1000000"];
    let dry = [&question[..], &pace].concat();
    let (code, report) = printed(&dry).await;
    assert_eq!((code, report["finished"].as_bool(), report["written"].as_bool()), (Some(0), Some(true), Some(false)));
    assert!(reported(&report) == expected, "exactly the expected differences");
    assert_eq!(report["still_undecodable"], uplinks / 1_000);

    let write = [&dry[..], &["--write", "--state", &state, "--meters", &meters]].concat();
    let mut run = tool(&write).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let uplinks_done = || -> u64 {
        let state = std::fs::read(&state).ok().and_then(|state| serde_json::from_slice::<Value>(&state).ok());
        state.and_then(|state| state["tally"]["uplinks"].as_u64()).unwrap_or_default()
    };
    let deadline = Instant::now() + REPLAY_TIMEOUT;
    while uplinks_done() < uplinks as u64 * 2 / 5 {
        assert!(Instant::now() < deadline && run.try_wait().unwrap().is_none(), "{} uplinks", uplinks_done());
        sleep(Duration::from_millis(20)).await;
    }
    run.kill().unwrap();
    assert!(!run.wait().unwrap().success());
    println!("killed after {} raw uplinks", uplinks_done());
    assert!(uplinks_done() < history.raw.len() as u64, "half-way");

    let (code, report) = printed(&[&write[..], &["--continue"]].concat()).await;
    assert_eq!((code, report["finished"].as_bool()), (Some(0), Some(true)));
    assert!(reported(&report) == expected, "the report of an uninterrupted run; the dry run wrote nothing");

    let (code, report) = printed(&[&dry[..], &["--write"]].concat()).await;
    assert_eq!((code, &report["changed"], &report["new"]), (Some(0), &json!(0), &json!(0)));
    assert_eq!(report["same"], history.expected.len());
    assert!(all(&cloud, PULSES).await == by_key(history.expected), "byte by byte the output of today's codecs");
}

/// A temporary directory of the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = repository(&format!("target/replay-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
