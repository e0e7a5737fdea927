//! Golden tests: what is stored and sent for every frame, callback and datagram among the project's examples, byte by
//! byte. Each is stored as if it had arrived at its own time.
//!
//! `tests/golden/*.jsonl` has the output at the time of recording. Tables, queues and streams hold data of that format,
//! so a difference is a change of format. `GOLDEN=record cargo test -p pulsegate-tests --test golden` records again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use pulsegate_model::at::At;
use pulsegate_model::profile::PROFILES;
use pulsegate_model::quarantine::Quarantined;
use pulsegate_model::uplink::Uplink;
use pulsegate_model::{aggregate, envelope, profile, pulse, record};
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::batch;
use pulsegate_pipeline::fakes::{FakeQueue, FakeSecret};
use pulsegate_pipeline::ports::Arrived;
use pulsegate_tests::{callback, events, yaml};
use serde_json::{Value, json};
use tokio::time::Instant;
use udp_bridge::protocol::clear;

const RETENTION_DAYS: u32 = 400;

/// Converts an item to DynamoDB's JSON, with the types of its attributes.
fn typed(item: pulsegate_aws::items::Item) -> Value {
    let attributes: BTreeMap<String, serde_dynamo::AttributeValue> = item.into_inner().into_iter().collect();
    attributes.iter().map(|(name, value)| (name.clone(), typed_value(value))).collect()
}

fn typed_value(value: &serde_dynamo::AttributeValue) -> Value {
    use serde_dynamo::AttributeValue as V;
    match value {
        V::S(text) => json!({"S": text}),
        V::N(digits) => json!({"N": digits}),
        V::B(bytes) => json!({"B": hex::encode(bytes)}),
        V::Bool(value) => json!({"BOOL": value}),
        V::Null(value) => json!({"NULL": value}),
        V::L(values) => json!({"L": values.iter().map(typed_value).collect::<Vec<_>>()}),
        V::M(members) => {
            let members: BTreeMap<_, _> = members.iter().map(|(name, value)| (name, typed_value(value))).collect();
            json!({"M": members})
        }
        other => panic!("the items have no such attribute: {other:?}"),
    }
}

/// Returns what each stage stores and sends of an uplink.
fn uplink(uplink: &Uplink) -> Value {
    let mut user_record = Vec::new();
    record::encode(uplink, &mut user_record);
    let mut aggregator = aggregate::Aggregator::default();
    aggregator.add(|| uplink.device.to_string(), &user_record);
    let stream = aggregator.close().unwrap();
    let decoded = match pulse::decode(uplink).map(|item| pulsegate_aws::items::pulse_item(&item)) {
        Ok(item) => {
            json!({"item": typed(item), "size": pulsegate_aws::items::item_size(&pulse::decode(uplink).map(|item| pulsegate_aws::items::pulse_item(&item)).unwrap())})
        }
        Err(reason) => {
            let kept = Quarantined::new("pulse", &reason, envelope::of_one(uplink).as_bytes());
            json!({"quarantined": kept.of(uplink).by(reason.codec()).to_message()})
        }
    };
    json!({
        "archived": hex::encode(object::encode([uplink]).unwrap().content),
        "pulse": decoded,
        "envelope": envelope::of_one(uplink),
        "stream": {"partition_key": stream.partition_key, "data": hex::encode(stream.data)},
    })
}

/// Compares named lines with the recorded file.
fn assert_recorded(file: &str, lines: &[(String, Value)]) {
    let mut text = String::new();
    for (name, value) in lines {
        writeln!(text, "{}", json!({"case": name, "is": value})).unwrap();
    }
    let path = frames::repository(&format!("tests/golden/{file}"));
    if std::env::var("GOLDEN").is_ok_and(|what| what == "record") {
        std::fs::write(&path, &text).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap();
    assert!(lines.len() > 20, "{file} has {} cases", lines.len());
    // As values: with other features, `serde_json` keeps the members of an object in another order.
    let value = |line| serde_json::from_str::<Value>(line).unwrap();
    for (now, before) in text.lines().zip(recorded.lines()) {
        assert_eq!(value(now), value(before), "{file}");
    }
    assert_eq!(text.lines().count(), recorded.lines().count(), "{file}");
}

#[test]
fn every_frame_is_stored_and_sent_as_it_was() {
    let lines: Vec<_> = frames::cases()
        .map(|(file, case)| (format!("{file}: {}", case["name"].as_str().unwrap()), uplink(&frames::uplink(&case))))
        .collect();
    assert_recorded("frames.jsonl", &lines);
}

#[tokio::test]
async fn every_callback_is_answered_enqueued_and_stored_as_it_was() {
    let mut requests = Vec::new();
    for case in yaml::read("tests/callbacks.yaml").as_array().unwrap() {
        let mut headers = case["headers"].as_object().cloned().unwrap_or_default();
        let content_type = case["type"].as_str().unwrap_or("application/json");
        headers
            .extend([("authorization".into(), "Bearer secret".into()), ("content-type".into(), content_type.into())]);
        let request = json!({
            "rawQueryString": case["query"].as_str().unwrap_or_default(),
            "pathParameters": {"profile": "adeunis-pulse-v4", "kind": case["kind"]},
            "headers": headers, "body": case["body"],
            "requestContext": {"http": {"sourceIp": "185.110.98.4"}},
        });
        requests.push((case["name"].as_str().unwrap().to_owned(), request));
    }
    for listed in events::listed().into_iter().filter(|listed| listed.file.starts_with("sigfox-callback-")) {
        let mut request = events::read(&listed.file);
        request["headers"]["authorization"] = "Bearer secret".into();
        requests.push((listed.file, request));
    }
    let mut lines = Vec::new();
    for (name, request) in requests {
        let secret = FakeSecret::of(&["secret"]);
        let callback = callback::function(&secret, FakeQueue::default()).await;
        let request = serde_json::from_value(request).unwrap();
        let response = sigfox_callback::handle(&request, &callback, Instant::now() + Duration::from_mins(1)).await;
        let mut stored = Vec::new();
        for body in callback.raw.sent() {
            let opened = batch::open(&[batch::BatchRecord::new("1", At::EPOCH, body)], "raw-sigfox");
            stored.extend(opened.uplinks.values.iter().map(|arrived| uplink(&arrived.value)));
            stored.extend(
                opened.events.values.iter().map(|Arrived { value, .. }| {
                    typed(pulsegate_aws::items::event_item(value, value.at, RETENTION_DAYS))
                }),
            );
        }
        let line = json!({
            "response": response, "raw": callback.raw.sent(), "quarantine": callback.quarantine.sent(), "stored": stored,
        });
        lines.push((name, line));
    }
    assert_recorded("callbacks.jsonl", &lines);
}

/// Parses every frame with the parser of every profile, as a listener does: its head, or the reason of its rejection.
#[test]
fn every_datagram_is_identified_as_it_was() {
    let mut datagrams: Vec<(String, Vec<u8>)> =
        frames::cases().map(|(file, case)| (format!("{file}: {}", case["name"]), frames::payload(&case))).collect();
    let seeds = pulsegate_tests::seeds::all();
    datagrams.extend(seeds["datagram"].iter().map(|(name, bytes)| (format!("seed: {name}"), bytes.clone())));
    let mut lines = Vec::new();
    for (name, datagram) in datagrams {
        let mut heads = serde_json::Map::new();
        for profile in PROFILES.iter() {
            if profile.codec.identify.is_none() {
                continue;
            }
            let head = match clear::open(profile, &datagram) {
                Ok(opened) => json!({
                    "device": opened.device, "clock": opened.clock, "sequence": opened.sequence, "radio": opened.radio,
                    "payload": opened.payload,
                    // The answer to an Efento logger contains the current time.
                    "acknowledgement": if profile.codec.name == "efento" { String::new() } else { hex::encode(opened.acknowledgement) },
                }),
                Err(refusal) => json!({"refused": refusal.to_string(), "reason": refusal.reason()}),
            };
            heads.insert(profile.name.to_owned(), head);
        }
        lines.push((name, heads.into()));
    }
    assert_recorded("datagrams.jsonl", &lines);
    assert!(profile::find(pulsegate_model::device::Network::Nbiot, "efento").is_some());
}
