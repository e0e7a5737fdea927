//! Runs the cases of `tests/field.yaml` through the door they came by: the sockets of the bridge, or the handler of the
//! callback function. The whole URL at `pulsegate callbacks print` is a case of `tools/pulsegate/tests/command_line.rs`.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use pulsegate_model::pulse;
use pulsegate_pipeline::fakes::{FakeQueue, FakeSecret};
use pulsegate_tests::bridge::{Bridge, connected, keys, metric, quarantined, received, until};
use pulsegate_tests::{callback, yaml};
use serde_json::{Value, json};
use tokio::time::Instant;
use udp_bridge::protocol::sealed::Header;

/// The meter that seals payloads, and its time: 2026-11-20T12:00:00Z.
const SEALER: &str = "490154203237518";
const SEALED_AT: u32 = 1_795_176_000;

fn cases() -> Vec<Value> {
    yaml::read("tests/field.yaml").as_array().cloned().unwrap()
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("{}: no {field}", case["name"]))
}

/// Returns the messages of a case, as they are sent.
fn messages(case: &Value) -> Vec<Vec<u8>> {
    let sends = case["sends"].as_array().unwrap().iter().map(|hex| hex::decode(hex.as_str().unwrap()).unwrap());
    if case["listener"] != "sealed" {
        return sends.collect();
    }
    let imei = SEALER.parse().unwrap();
    let key = keys().device_key(1, imei).unwrap();
    let header = |counter| Header { key_id: 1, imei, counter, time: SEALED_AT };
    (1..).zip(sends).map(|(counter, payload)| key.seal_uplink(header(counter), &payload)).collect()
}

/// Sends the messages of a case. Returns the last answer in hex, the items, and the reasons of quarantine.
async fn outcome(case: &Value) -> (String, Vec<Value>, Vec<String>) {
    let profile = match text(case, "profile") {
        "efento" => "adeunis-pulse4-nbiot", // Efento has a listener of its own
        profile => profile,
    };
    let bridge = Bridge::start_for(profile, |_| {}).await;
    let listener = match text(case, "listener") {
        "trusted" => bridge.trusted,
        "sealed" => bridge.sealed,
        "coap_trusted" => bridge.coap_trusted,
        "efento" => bridge.efento,
        other => panic!("{other}"),
    };
    let meter = connected(listener).await;
    let (messages, mut answer) = (messages(case), Vec::new());
    for message in &messages {
        meter.send(message).await.unwrap();
        if case["answer"].is_string() {
            answer = received(&meter).await;
        }
    }
    until(async || metric(bridge.http, "received_total").await >= messages.len() as u64).await;
    let stream = std::sync::Arc::clone(&bridge.stream);
    let uplinks = bridge.stop().await;
    let mut reasons: Vec<String> = quarantined(&stream).into_iter().map(|record| record.reason).collect();
    let mut items = Vec::new();
    for uplink in uplinks {
        match pulse::decode(&uplink) {
            Ok(item) => items.push(serde_json::to_value(item).unwrap()),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    (hex::encode(answer), items, reasons)
}

/// True if a value has all expected members. An expected `null` means absent; an expected text that ends with `#` is a
/// beginning.
fn has(actual: &Value, expected: &Value) -> bool {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            expected.iter().all(|(name, value)| has(actual.get(name).unwrap_or(&Value::Null), value))
        }
        (Value::String(actual), Value::String(expected)) if expected.ends_with('#') => actual.starts_with(expected),
        (actual, expected) => actual == expected,
    }
}

#[tokio::test]
async fn every_message_to_the_bridge_ends_as_the_item_it_stands_for_or_in_quarantine_with_its_reason() {
    let mut run = 0;
    for case in cases().iter().filter(|case| case["listener"].is_string()) {
        let name = text(case, "name");
        let (answer, items, reasons) = outcome(case).await;
        assert!(answer.starts_with(case["answer"].as_str().unwrap_or_default()), "{name}: answered {answer}");
        let expected = case["items"].as_array().cloned().unwrap_or_default();
        assert_eq!(items.len(), expected.len(), "{name}: {items:?} {reasons:?}");
        for (item, expected) in items.iter().zip(&expected) {
            assert!(has(item, expected), "{name}: {item} is not {expected}");
        }
        let expected = case["quarantined"].as_array().cloned().unwrap_or_default();
        assert_eq!(reasons.len(), expected.len(), "{name}: {reasons:?}");
        for (reason, expected) in reasons.iter().zip(&expected) {
            assert!(reason.starts_with(expected.as_str().unwrap()), "{name}: {reason}");
        }
        run += 1;
    }
    assert_eq!(run, 13);
}

#[tokio::test]
async fn every_request_to_the_callback_function_is_the_uplink_it_stands_for() {
    let mut run = 0;
    for case in cases().iter().filter(|case| case["http"].is_string()) {
        let name = text(case, "name");
        let (method, path) = text(case, "http").split_once(' ').unwrap();
        let bytes = case["body_hex"].as_str().map(|hex| BASE64_STANDARD.encode(hex::decode(hex).unwrap()));
        let request = json!({
            "rawPath": path,
            "headers": {"authorization": case["authorization"], "content-type": case["type"]},
            "requestContext": {"http": {"method": method, "sourceIp": "185.110.98.4"}},
            "isBase64Encoded": bytes.is_some(),
            "body": bytes.map_or_else(|| case["body"].clone(), Value::String),
        });
        let secret = FakeSecret::of(&["secret"]);
        let function = callback::function(&secret, FakeQueue::default()).await;
        let request = serde_json::from_value(request).unwrap();
        let response = sigfox_callback::handle(&request, &function, Instant::now() + Duration::from_mins(1)).await;
        assert_eq!(response.status_code, 204, "{name}: {:?}", function.quarantine.sent());
        let sent: Vec<Value> =
            function.raw.sent().iter().map(|message| serde_json::from_str(message).unwrap()).collect();
        assert_eq!(sent.len(), 1, "{name}: {:?}", function.quarantine.sent());
        assert!(has(&sent[0]["uplinks"][0], &case["uplink"]), "{name}: {}", sent[0]);
        run += 1;
    }
    assert_eq!(run, 7);
}
