//! Real messages through every stage, in this process: the output of each stage is the input of the next.

use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use pulsegate_aws::fakes::FakeTable;
use pulsegate_aws::items::Item;
use pulsegate_aws::{EventTable, PulseTable};
use pulsegate_model::uplink::Uplink;
use pulsegate_model::{aggregate, record};
use pulsegate_pipeline::archive::writer::ArchiveWriter;
use pulsegate_pipeline::fakes::{FakeObjects, FakeQueue, FakeSecret, FakeStore};
use pulsegate_pipeline::pulse::PulseStage;
use pulsegate_pipeline::raw::RawStage;
use pulsegate_tests::bridge::{ANSWER_TIMEOUT, Bridge};
use pulsegate_tests::{archived, callback, events};
use serde_dynamo::AttributeValue;
use serde_json::{Value, json};
use sigfox_callback::request::Request;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

type FakeRawStage = RawStage<ArchiveWriter<FakeObjects>, EventTable<FakeTable>, FakeQueue>;

fn raw_stage() -> FakeRawStage {
    RawStage {
        raw: ArchiveWriter { store: FakeObjects::default() },
        events: Some(EventTable { table: FakeTable::default(), retention_days: 400 }),
        pulse: Some(FakeQueue::default()),
        quarantine: FakeQueue::default(),
    }
}

/// Returns what the raw stage published.
fn published(stage: &FakeRawStage) -> Vec<String> {
    stage.pulse.as_ref().unwrap().sent()
}

/// Returns the sorted keys of the archived uplinks.
fn archived_keys(stage: &FakeRawStage) -> Vec<String> {
    let uplinks = archived(&stage.raw.store);
    let mut keys: Vec<String> = uplinks.iter().map(|uplink| format!("{}#{}", uplink.key(), uplink.kind)).collect();
    keys.sort();
    keys
}

fn pulse_stage() -> PulseStage<PulseTable<FakeTable>, FakeQueue, FakeObjects> {
    PulseStage {
        pulses: PulseTable { table: FakeTable::default(), retention_days: 30 },
        quarantine: FakeQueue::default(),
        archive: FakeObjects::default(),
    }
}

fn event<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_value(events::read(name)).unwrap()
}

/// Returns the bodies of an SQS event.
fn bodies(name: &str) -> Vec<String> {
    let records = events::read(name)["Records"].as_array().cloned().unwrap();
    records.iter().map(|record| record["body"].as_str().unwrap().to_owned()).collect()
}

/// Builds an SQS event with these bodies, all sent four seconds after noon.
fn sqs<T: serde::de::DeserializeOwned>(bodies: &[String]) -> T {
    let record = |(n, body): (usize, &String)| json!({"messageId": n.to_string(), "body": body, "attributes": {"SentTimestamp": "1795176004000"}});
    let records: Vec<Value> = bodies.iter().enumerate().map(record).collect();
    serde_json::from_value(json!({"Records": records})).unwrap()
}

fn items(table: &FakeTable) -> Vec<Value> {
    table.items().into_iter().map(|item| serde_dynamo::from_item(item).unwrap()).collect()
}

#[tokio::test]
async fn the_callback_enqueues_what_raw_sigfox_is_given() {
    let secret = FakeSecret::of(&["local-secret"]);
    let callback = callback::function(&secret, FakeQueue::default()).await;
    let request: Request = event("sigfox-callback-uplink.json");
    assert_eq!(sigfox_callback::handle(&request, &callback, soon()).await.status_code, 204);
    assert_eq!(callback.raw.sent(), bodies("raw-sigfox.json")[..1]);
}

#[tokio::test]
async fn raw_sigfox_publishes_what_pulse_sigfox_is_given() {
    let stage = raw_stage();
    let response = raw_sigfox::handle(event("raw-sigfox.json"), &stage, soon()).await.unwrap();
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(published(&stage), bodies("pulse-sigfox.json"));
    assert_eq!(archived_keys(&stage), ["2026-11-20T12:00:00Z#00042#data", "2026-11-20T12:00:00Z#01044#data"]);
}

#[tokio::test]
async fn raw_nbiot_publishes_what_pulse_nbiot_is_given() {
    let stage = raw_stage();
    let response = raw_nbiot::handle(event("raw-nbiot.json"), &stage, soon()).await.unwrap();
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(published(&stage), bodies("pulse-nbiot.json"));
    assert_eq!(archived_keys(&stage).len(), 2);
}

/// Returns the time from which each item of a table may be deleted, in seconds since noon on 20 November 2026.
fn expiries(table: &FakeTable) -> Vec<i64> {
    let expiry = |item: Item| match &item.inner()["expires_at"] {
        AttributeValue::N(seconds) => seconds.parse::<i64>().unwrap() - 1_795_176_000,
        other => panic!("{other:?}"),
    };
    table.items().into_iter().map(expiry).collect()
}

/// The meter's clock is years slow: by its own time, the item has long expired when it arrives.
#[tokio::test]
async fn an_uplink_dated_2021_is_archived_once_and_its_pulses_are_kept_for_the_retention_from_their_arrival() {
    let uplink: Uplink = serde_json::from_value(json!({
        "device": "nbiot:490154203237518", "kind": "data", "at": "2021-03-01T00:00:00Z", "time_source": "device",
        "sequence": 7, "profile": "adeunis-pulse4-nbiot", "payload": "1122334455667788030000002646800000009f00000002",
    }))
    .unwrap();
    let mut user_record = Vec::new();
    record::encode(&uplink, &mut user_record);
    let mut aggregator = aggregate::Aggregator::default();
    aggregator.add(|| uplink.device.to_string(), &user_record);
    let mut event = events::read("raw-nbiot.json");
    event["Records"][0]["kinesis"]["data"] = base64(aggregator.close().unwrap().data).into();

    let (stage, pulse) = (raw_stage(), pulse_stage());
    for _delivery in 0..2 {
        let event = serde_json::from_value(event.clone()).unwrap();
        assert!(raw_nbiot::handle(event, &stage, soon()).await.unwrap().batch_item_failures.is_empty());
        assert_eq!(archived(&stage.raw.store), std::slice::from_ref(&uplink));
        pulse::handle(sqs(&published(&stage)), &pulse, "pulse-test", soon()).await.unwrap();
        assert_eq!(expiries(&pulse.pulses.table), [4 + 30 * 86_400]);
    }
}

#[tokio::test]
async fn a_device_event_of_any_year_is_kept_for_the_retention_from_its_arrival_in_the_queue() {
    let stage = raw_stage();
    for year in [1970, 2021, 2026, 9999] {
        let at = format!("{year}-03-01T00:00:00Z");
        let body = json!({
            "v": 1,
            "events": [{"device": "sigfox:1A2345", "kind": "status", "at": at, "profile": "adeunis-pulse-v4", "says": {}}],
        });
        raw_sigfox::handle(sqs(&[body.to_string()]), &stage, soon()).await.unwrap();
    }
    assert_eq!(expiries(&stage.events.as_ref().unwrap().table), [4 + 400 * 86_400; 4]);
}

#[tokio::test]
async fn raw_nbiot_passes_a_datagram_that_the_bridge_quarantined_on_unchanged() {
    let stage = raw_stage();
    let event: Value = event("raw-nbiot-quarantined.json");
    let response = raw_nbiot::handle(serde_json::from_value(event.clone()).unwrap(), &stage, soon()).await.unwrap();
    assert!(response.batch_item_failures.is_empty());
    let data = BASE64_STANDARD.decode(event["Records"][0]["kinesis"]["data"].as_str().unwrap()).unwrap();
    let user_records = pulsegate_model::aggregate::user_records(&data).unwrap();
    assert_eq!(stage.quarantine.sent(), [str::from_utf8(&user_records[1]).unwrap()]);
    assert_eq!((archived_keys(&stage).len(), published(&stage).len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn when_the_store_refuses_two_uplinks_the_shard_starts_again_at_the_lower_one() {
    let records: Vec<Value> = (0..10)
        .map(|n| {
            let mut record = events::read("raw-nbiot.json")["Records"][0].clone();
            let body = bodies("pulse-nbiot.json")[0].replace("nbiot:1122334455667788", &format!("nbiot:{:015}", n + 1));
            record["kinesis"]["sequenceNumber"] = format!("4959{n}").into();
            record["kinesis"]["data"] = base64(&body).into();
            record
        })
        .collect();
    let FakeRawStage { events, pulse, quarantine, .. } = raw_stage();
    let raw = FakeStore::refusing(["nbiot:000000000000003", "nbiot:000000000000008"]);
    let stage = RawStage { raw, events, pulse, quarantine };
    let event = serde_json::from_value(json!({"Records": records})).unwrap();
    let response = raw_nbiot::handle(event, &stage, soon()).await.unwrap();
    let named: Vec<_> = response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_deref()).collect();
    assert_eq!(named, [Some("49592")]);
}

#[tokio::test]
async fn pulse_stores_the_published_indexes() {
    let stage = pulse_stage();
    for name in ["pulse-sigfox.json", "pulse-nbiot.json"] {
        let response = pulse::handle(event(name), &stage, "pulse-test", soon()).await.unwrap();
        assert!(response.batch_item_failures.is_empty());
    }
    let items = items(&stage.pulses.table);
    let indexes = |uplink: &str, channel: &str| -> Vec<u64> {
        let item = items.iter().find(|item| item["uplink"] == uplink).unwrap();
        item["channels"][channel]["indexes"].as_array().unwrap().iter().map(|index| index.as_u64().unwrap()).collect()
    };
    assert_eq!(indexes("2026-11-20T12:00:00Z#00042", "A"), [159]);
    assert_eq!(indexes("2026-11-20T12:00:00Z#00042", "B"), [2]);
    assert_eq!(indexes("2026-11-20T12:00:00Z#01044", "A"), [295, 294, 292, 289]);
    assert_eq!(indexes("2026-11-20T12:00:06Z#00039", "B"), [295, 294, 292, 289, 285]);
}

#[tokio::test]
async fn an_undecodable_uplink_and_a_message_of_noise_are_quarantined_and_their_neighbour_is_stored() {
    let stage = pulse_stage();
    let response = pulse::handle(event("pulse-sigfox-undecodable.json"), &stage, "pulse-test", soon()).await.unwrap();
    assert!(response.batch_item_failures.is_empty());
    assert_eq!((stage.pulses.table.len(), stage.quarantine.sent().len()), (1, 2));
}

#[tokio::test]
async fn the_callbacks_of_the_demo_become_its_points_and_twice_the_same_ones() {
    let secret = FakeSecret::of(&["local-secret"]);
    let (callback, raw, pulse) = (callback::function(&secret, FakeQueue::default()).await, raw_stage(), pulse_stage());
    let mut first = None;
    for _round in 0..2 {
        for message in events::demo_messages().iter().filter(|message| message["network"] == "sigfox") {
            let response = sigfox_callback::handle(&request(message), &callback, soon()).await;
            assert_eq!(response.status_code, 204);
        }
        raw_sigfox::handle(sqs(&callback.raw.sent()), &raw, soon()).await.unwrap();
        pulse::handle(sqs(&published(&raw)), &pulse, "pulse-test", soon()).await.unwrap();
        let now = (archived(&raw.raw.store), pulse.pulses.table.items());
        assert_eq!(*first.get_or_insert_with(|| now.clone()), now);
    }
    let expected = events::demo_expected();
    let sigfox = expected.iter().filter(|point| point["device"].as_str().unwrap().starts_with("sigfox:"));
    for point in sigfox {
        assert!(items(&pulse.pulses.table).iter().any(|item| events::holds(item, point)), "{point} is missing");
    }
}

#[tokio::test]
async fn what_an_efento_logger_counted_is_one_item_of_its_serial_number_however_often_it_is_sent() {
    let (bridge, raw, pulse) = (Bridge::start().await, raw_stage(), pulse_stage());
    let (_, case) = frames::cases().find(|(_, case)| case["name"] == "ef-hourly-for-a-day").unwrap();
    let meter = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // CON POST /m, repeated as a meter does.
    let request =
        [&hex::decode("40021234b16dff").unwrap()[..], &hex::decode(case["hex"].as_str().unwrap()).unwrap()].concat();
    for _ in 0..2 {
        meter.send_to(&request, bridge.efento).await.unwrap();
        let mut answer = [0; 64];
        let len = timeout(ANSWER_TIMEOUT, meter.recv(&mut answer)).await.expect("an answer").unwrap();
        assert_eq!(hex::encode(&answer[..len])[..10], *"60411234ff");
    }
    let stream = Arc::clone(&bridge.stream);
    assert_eq!(bridge.stop().await.len(), 2);
    let records = stream.records().into_iter().map(|sent| {
        let mut record = events::read("raw-nbiot.json")["Records"][0].clone();
        record["kinesis"]["data"] = base64(&sent.data).into();
        record
    });
    let event = serde_json::from_value(json!({"Records": records.collect::<Vec<_>>()})).unwrap();
    assert!(raw_nbiot::handle(event, &raw, soon()).await.unwrap().batch_item_failures.is_empty());
    pulse::handle(sqs(&published(&raw)), &pulse, "pulse-test", soon()).await.unwrap();
    assert_eq!(archived_keys(&raw).len(), 1);
    let items = items(&pulse.pulses.table);
    assert_eq!(items.len(), 1);
    assert_eq!((&items[0]["device"], &items[0]["channels"]), (&json!("nbiot:282C02424EED"), &case["item"]["channels"]));
    assert!(items[0]["uplink"].as_str().unwrap().starts_with("2026-11-20T12:00:00Z#"));
}

/// Converts a message of the demo to a request.
fn request(message: &Value) -> Request {
    let event = json!({
        "pathParameters": {"profile": message["profile"], "kind": "uplink"},
        "headers": {"authorization": "Bearer local-secret"},
        "body": events::demo_body(message),
    });
    serde_json::from_value(event).unwrap()
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}
