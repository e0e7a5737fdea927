//! Runs every case of `callbacks.yaml` through the handler: from API Gateway's event to the output.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use pulsegate_pipeline::fakes::{FakeQueue, FakeSecret};
use pulsegate_tests::{callback, yaml};
use serde_json::{Map, Value, json};
use sigfox_callback::handle;
use tokio::time::Instant;

fn cases() -> Vec<Value> {
    yaml::read("tests/callbacks.yaml").as_array().cloned().unwrap()
}

/// Returns the case's body, as API Gateway hands it on: bytes that are not given as text are base64.
fn body(case: &Value) -> (Value, bool) {
    let bytes = case["body_hex"].as_str().map(|hex| hex::decode(hex).unwrap_or_else(|e| panic!("{e}: {hex}")));
    bytes.map_or_else(|| (case["body"].clone(), false), |bytes| (BASE64_STANDARD.encode(bytes).into(), true))
}

/// Builds the case's request.
fn request(case: &Value) -> Value {
    let (body, is_base64) = body(case);
    let mut headers: Map<String, Value> = case["headers"].as_object().cloned().unwrap_or_default();
    let content_type = case["type"].as_str().unwrap_or("application/json");
    headers.extend([("authorization".into(), "Bearer secret".into()), ("content-type".into(), content_type.into())]);
    json!({
        "rawQueryString": case["query"].as_str().unwrap_or_default(),
        "pathParameters": {"profile": "adeunis-pulse-v4", "kind": case["kind"]},
        "headers": headers,
        "requestContext": {"http": {"method": case["method"].as_str().unwrap_or("POST"), "sourceIp": "185.110.98.4"}},
        "body": body,
        "isBase64Encoded": is_base64,
    })
}

/// Returns the output: uplinks, events, and reasons of quarantine.
async fn outcome(case: &Value) -> BTreeMap<&'static str, Vec<Value>> {
    let secret = FakeSecret::of(&["secret"]);
    let callback = callback::function(&secret, FakeQueue::default()).await;
    let request = serde_json::from_value(request(case)).unwrap();
    let response = handle(&request, &callback, Instant::now() + Duration::from_mins(1)).await;
    assert_eq!(response.status_code, 204, "{}", case["name"]);
    let parse = |text: &String| serde_json::from_str::<Value>(text).unwrap();
    let sent: Vec<Value> = callback.raw.sent().iter().map(parse).collect();
    let members = |field: &str| sent.iter().flat_map(|m| m[field].as_array().cloned().unwrap_or_default()).collect();
    let reasons = callback.quarantine.sent().iter().map(|text| parse(text)["reason"].clone()).collect();
    BTreeMap::from([("uplinks", members("uplinks")), ("events", members("events")), ("quarantined", reasons)])
}

/// Returns whether a value has all expected members. An expected `null` means absent; an expected text with a space is
/// a prefix.
fn has(actual: &Value, expected: &Value) -> bool {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            expected.iter().all(|(name, value)| has(actual.get(name).unwrap_or(&Value::Null), value))
        }
        (Value::Array(actual), Value::Array(expected)) => {
            actual.len() == expected.len() && actual.iter().zip(expected).all(|(a, e)| has(a, e))
        }
        (Value::String(actual), Value::String(expected)) if expected.contains(' ') => {
            actual.starts_with(expected.as_str())
        }
        (actual, expected) => actual == expected,
    }
}

#[tokio::test]
async fn every_shape_becomes_what_it_stands_for() {
    let the_uplink = {
        let mut uplink = outcome(&cases()[0]).await["uplinks"][0].clone();
        uplink.as_object_mut().unwrap().remove("radio");
        uplink
    };
    let mut wrong = Vec::new();
    for case in cases() {
        let becomes = match case["becomes"].as_str() {
            Some("the uplink") => json!({"uplinks": [the_uplink]}),
            Some(other) => panic!("{other}"),
            None => case["becomes"].clone(),
        };
        let actual = outcome(&case).await;
        for (what, found) in actual {
            let expected = becomes.get(what).cloned().unwrap_or_else(|| json!([]));
            if !has(&Value::Array(found.clone()), &expected) {
                wrong.push(format!("{}: {what} are {}, not {expected}", case["name"], Value::Array(found)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_case_says_what_it_stands_for_and_where_that_is_from_and_none_is_there_twice() {
    let cases = cases();
    assert!(cases.len() >= 150, "{}", cases.len());
    let names: BTreeSet<&str> = cases.iter().map(|case| case["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), cases.len());
    let known = ["name", "source", "kind", "method", "type", "query", "headers", "body", "body_hex", "becomes"];
    for case in &cases {
        assert!(case["source"].as_str().is_some_and(|source| !source.is_empty()), "{}", case["name"]);
        for field in case.as_object().unwrap().keys() {
            assert!(known.contains(&field.as_str()), "{}: {field}", case["name"]);
        }
    }
}
