//! Holds `docs/openapi.yaml` to the code: its routes are the template's, its kinds and profiles the code's, and its
//! examples get the documented answers.

use std::collections::BTreeSet;
use std::time::Duration;

use pulsegate_model::device::Network;
use pulsegate_model::envelope;
use pulsegate_model::profile::PROFILES;
use pulsegate_pipeline::fakes::{FakeQueue, FakeSecret};
use pulsegate_pipeline::sigfox::CallbackKind;
use pulsegate_tests::template::Template;
use pulsegate_tests::{callback, yaml};
use serde_json::{Value, json};
use sigfox_callback::handle;
use tokio::time::Instant;

const PATH: &str = "/sigfox/{profile}/{kind}";

fn document() -> Value {
    yaml::read("docs/openapi.yaml")
}

fn texts(values: &Value) -> BTreeSet<&str> {
    values.as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect()
}

#[test]
fn it_is_openapi_3_1_and_every_reference_in_it_leads_somewhere() {
    let document = document();
    let spec = oas3::from_json(document.to_string()).unwrap();
    assert_eq!(spec.validate_version().unwrap().to_string(), "3.1.0");
    let text = document.to_string();
    let references: BTreeSet<&str> =
        text.split(r##""$ref":"#"##).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
    assert!(!references.is_empty());
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

#[test]
fn its_routes_are_the_templates() {
    let document = document();
    let operations: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (path, method)))
        .filter(|(_, method)| *method != "parameters")
        .map(|(path, method)| format!("{} {path}", method.to_uppercase()))
        .collect();
    let template = Template::read();
    let routes = template.resources_of("AWS::ApiGatewayV2::Route");
    let keys = routes.iter().map(|(_, route)| route["RouteKey"].as_str().unwrap().to_owned());
    // The other routes are no operations: they lead requests that match none of these to the same function.
    let others = ["ANY /sigfox/{path+}", "$default"];
    assert_eq!(operations, keys.filter(|key| !others.contains(&key.as_str())).collect());
}

#[test]
fn its_kinds_profiles_and_limits_are_the_codes() {
    let document = document();
    let parameters = &document["components"]["parameters"];
    assert_eq!(
        texts(&parameters["Kind"]["schema"]["enum"]),
        CallbackKind::ALL.iter().map(|kind| kind.name()).collect()
    );
    let sigfox = PROFILES.iter().filter(|profile| profile.network == Network::Sigfox);
    assert_eq!(texts(&parameters["Profile"]["schema"]["enum"]), sigfox.map(|profile| profile.name).collect());
    let limit = format!("{} KiB", sigfox_callback::MAX_CONTENT / 1024);
    assert!(document["components"]["requestBodies"]["Callback"]["description"].as_str().unwrap().contains(&limit));
    assert!(document["components"]["responses"]["TooLarge"]["description"].as_str().unwrap().contains(&limit));
}

/// Sends a callback; returns the status and the numbers of uplinks, events and quarantined records.
async fn answer(
    kind: &str,
    body: &str,
    change: impl FnOnce(&mut Value),
    raw: FakeQueue,
) -> (String, usize, usize, usize) {
    let secret = FakeSecret::of(&["secret"]);
    let callback = callback::function(&secret, raw).await;
    let mut event = json!({
        "pathParameters": {"profile": "adeunis-pulse-v4", "kind": kind},
        "requestContext": {"http": {"method": "POST"}},
        "headers": {"authorization": "Bearer secret"},
        "body": body,
    });
    change(&mut event);
    let request = serde_json::from_value(event).unwrap();
    let response = handle(&request, &callback, Instant::now() + Duration::from_mins(1)).await;
    let messages = callback.raw.sent();
    let unpacked = messages.iter().map(|message| envelope::unpack(message.as_bytes()).unwrap());
    let (uplinks, events) = unpacked.fold((0, 0), |sum, m| (sum.0 + m.uplinks.len(), sum.1 + m.events.len()));
    (response.status_code.to_string(), uplinks, events, callback.quarantine.sent().len())
}

#[tokio::test]
async fn each_of_its_examples_is_kept_as_what_it_says_it_is() {
    let document = document();
    let content = &document["components"]["requestBodies"]["Callback"]["content"];
    let examples = |of: &str| content[of]["examples"].as_object().cloned().unwrap();
    for (kind, example) in examples("application/json") {
        let (status, uplinks, events, quarantined) =
            answer(&kind, &example["value"].to_string(), |_| {}, FakeQueue::default()).await;
        assert_eq!((status.as_str(), quarantined), ("204", 0), "{kind}");
        let expected = match kind.as_str() {
            "uplink" | "bidir" => (1, 0),
            "data-advanced" => (1, 1),
            _ => (0, 1),
        };
        assert_eq!((uplinks, events), expected, "{kind}");
    }
    assert_eq!(examples("application/json").len(), CallbackKind::ALL.len());
    // By name: the order of the examples depends on the features of serde_json.
    for (of, kind, expected) in [
        ("application/x-www-form-urlencoded", "uplink", 1),
        ("application/x-www-form-urlencoded", "bidir", 2),
        ("text/plain", "uplink", 2),
    ] {
        let body = examples(of)[kind]["value"].as_str().unwrap().to_owned();
        let outcome = answer(kind, &body, |_| {}, FakeQueue::default()).await;
        assert_eq!(outcome, ("204".to_owned(), expected, 0, 0), "{of}: {kind}");
    }
}

/// Returns the required fields of a schema and of its parts.
fn required<'a>(document: &'a Value, schema: &'a Value) -> BTreeSet<&'a str> {
    let of_reference = schema["$ref"].as_str().map(|path| required(document, document.pointer(&path[1..]).unwrap()));
    let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(|part| required(document, part));
    let own = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    own.chain(parts).chain(of_reference.into_iter().flatten()).collect()
}

#[tokio::test]
async fn what_its_schemas_require_is_what_there_has_to_be_and_no_more() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let values = json!({
        "device": "1A2345", "devices": "1A2345", "sourceId": "1A2345", "time": 1_795_176_000, "data": "46",
    });
    for kind in CallbackKind::ALL {
        let schema = kind.name().replace('-', "");
        let required = required(&document, schemas.iter().find(|(name, _)| name.to_lowercase() == schema).unwrap().1);
        let body: Value = required.iter().map(|&name| (name.to_owned(), values[name].clone())).collect();
        let (status, uplinks, events, quarantined) =
            answer(kind.name(), &body.to_string(), |_| {}, FakeQueue::default()).await;
        assert_eq!((status.as_str(), quarantined), ("204", 0), "{kind}");
        assert_eq!(uplinks + events, 1, "{kind}");
        for missing in required {
            let mut less = body.clone();
            less.as_object_mut().unwrap().remove(missing);
            let outcome = answer(kind.name(), &less.to_string(), |_| {}, FakeQueue::default()).await;
            assert_eq!(outcome, ("204".to_owned(), 0, 0, 1), "{kind} without {missing}");
        }
    }
}

#[tokio::test]
async fn each_form_of_authorization_that_it_describes_is_accepted() {
    let document = document();
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(
        texts(&json!(schemes.keys().collect::<Vec<_>>())),
        BTreeSet::from(["Basic", "Bearer", "Header", "Plain"])
    );
    let ok = json!({"device": "1A2345", "time": 1_795_176_000, "data": "46"}).to_string();
    for value in ["Bearer secret", "Token secret", "secret", "Basic c2lnZm94OnNlY3JldA=="] {
        let header = |event: &mut Value| event["headers"] = json!({"authorization": value});
        assert_eq!(answer("uplink", &ok, header, FakeQueue::default()).await.0, "204", "{value}");
    }
}

#[tokio::test]
async fn a_request_that_matches_no_operation_is_answered_as_it_says() {
    let description = document()["info"]["description"].as_str().unwrap().to_owned();
    let to = |method: &'static str, path: &'static str| {
        move |event: &mut Value| {
            event["rawPath"] = path.into();
            event["pathParameters"] = json!({});
            event["requestContext"]["http"]["method"] = method.into();
        }
    };
    let ok = json!({"device": "1A2345", "time": 1_795_176_000, "data": "46"}).to_string();
    for (method, path, status) in [
        ("POST", "/sigfox/adeunis-pulse-v4/uplink/", "204"),
        ("POST", "/sigfox/adeunis-pulse-v4", "404"),
        ("PATCH", "/sigfox/adeunis-pulse-v4/uplink", "405"),
    ] {
        assert_eq!(answer("", &ok, to(method, path), FakeQueue::default()).await.0, status, "{method} {path}");
        assert!(status == "204" || description.contains(status), "{status}");
    }
}

#[tokio::test]
async fn its_statuses_are_those_that_are_answered() {
    let document = document();
    // API Gateway answers 429; 200 needs a pending downlink.
    let mut answered = BTreeSet::from(["429".to_owned(), "200".to_owned()]);
    let ok = json!({"device": "1A2345", "time": 1_795_176_000, "data": "46"}).to_string();
    let long = "x".repeat(sigfox_callback::MAX_CONTENT + 1);
    answered.insert(answer("uplink", &ok, |_| {}, FakeQueue::default()).await.0);
    answered.insert(answer("uplink", &ok, |_| {}, FakeQueue::down()).await.0);
    answered.insert(answer("uplink", &ok, |event| event["headers"] = json!({}), FakeQueue::default()).await.0);
    answered.insert(answer("nonsense", &ok, |_| {}, FakeQueue::default()).await.0);
    answered.insert(answer("uplink", &long, |_| {}, FakeQueue::default()).await.0);
    for method in ["get", "post", "put"] {
        let documented = document["paths"][PATH][method]["responses"].as_object().unwrap();
        assert_eq!(documented.keys().cloned().collect::<BTreeSet<_>>(), answered, "{method}");
    }
}
