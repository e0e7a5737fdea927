use std::collections::HashMap;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use lambda_http::http::request::Builder;
use lambda_http::{Body, Request, RequestExt as _};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::fakes::FakeQueue;

use super::*;

const SECRET: &str = "correct-horse-battery-staple";
const PROFILE: &str = "adeunis-pulse-v4";

fn callback(raw: FakeQueue, quarantine: FakeQueue) -> Callback<FakeQueue> {
    Callback { secret: Secret::new(SECRET.to_owned()).unwrap(), raw, quarantine }
}

fn up() -> Callback<FakeQueue> {
    callback(FakeQueue::default(), FakeQueue::default())
}

fn bearer(request: Builder) -> Builder {
    request.header("authorization", format!("Bearer {SECRET}"))
}

fn request(profile: &str, credentials: impl FnOnce(Builder) -> Builder, body: impl Into<Body>) -> Request {
    let uri = format!("https://example.com/sigfox/{profile}/uplink");
    let request = credentials(Builder::new().method("POST").uri(uri)).body(body.into()).unwrap();
    request.with_path_parameters(HashMap::from([("profile".to_owned(), vec![profile.to_owned()])]))
}

async fn answer(request: &Request, callback: &Callback<FakeQueue>) -> u16 {
    handle(request, callback, Instant::now() + Duration::from_secs(1)).await.as_u16()
}

/// The uplink that arrives when a body is posted.
async fn arrived(body: &Value) -> Uplink {
    let callback = up();
    assert_eq!(answer(&request(PROFILE, bearer, body.to_string()), &callback).await, 204);
    assert_eq!(callback.quarantine.sent(), [""; 0]);
    envelope::unpack(callback.raw.sent()[0].as_bytes()).unwrap().uplinks.remove(0)
}

/// The reason with which a body is quarantined when it is posted.
async fn reason(body: impl Into<Body>) -> String {
    let callback = up();
    assert_eq!(answer(&request(PROFILE, bearer, body), &callback).await, 204);
    assert_eq!(callback.raw.sent(), [""; 0]);
    let record: Value = serde_json::from_str(&callback.quarantine.sent()[0]).unwrap();
    assert_eq!(record["profile"], PROFILE);
    record["reason"].as_str().unwrap().to_owned()
}

fn body() -> Value {
    json!({
        "device": "1A2345", "time": 1_795_176_000, "data": "46800000009f00000002", "seqNumber": 42,
        "rssi": -123.00, "snr": 12.5, "station": "27B9", "deviceTypeId": "628fd74fb3cabb6565ae81bb", "ack": false,
    })
}

#[tokio::test]
async fn an_uplink_is_enqueued_under_its_natural_key() {
    let uplink = arrived(&body()).await;
    assert_eq!(uplink.device.to_string(), "sigfox:1A2345");
    assert_eq!(uplink.key().to_string(), "2026-11-20T12:00:00Z#00042");
    assert_eq!(uplink.profile.as_str(), PROFILE);
    assert_eq!(uplink.payload.bytes().len(), 10);
    assert_eq!(uplink.radio.rssi.map(f64::from), Some(-123.0));
    assert_eq!(uplink.radio.snr.map(f64::from), Some(12.5));
}

#[tokio::test]
async fn numbers_and_booleans_in_quotes_are_the_same_uplink() {
    let mut quoted = body();
    for value in quoted.as_object_mut().unwrap().values_mut() {
        if !value.is_string() {
            *value = value.to_string().into();
        }
    }
    assert_eq!(arrived(&quoted).await, arrived(&body()).await);
}

#[tokio::test]
async fn a_padded_lower_case_device_id_is_the_same_uplink() {
    let mut padded = body();
    padded["device"] = "001a2345".into();
    padded["data"] = "46800000009F00000002".into();
    assert_eq!(arrived(&padded).await, arrived(&body()).await);
}

#[tokio::test]
async fn a_variable_without_a_value_is_absent_however_that_is_written() {
    for absent in [json!(null), json!("null"), json!(""), json!("N/A"), json!("{rssi}")] {
        let mut body = body();
        body["rssi"] = absent;
        assert_eq!(arrived(&body).await.radio.rssi, None);
    }
}

#[tokio::test]
async fn an_uplink_without_sequence_data_and_metadata_is_kept() {
    let uplink = arrived(&json!({"device": "1A2345", "time": "1795176000"})).await;
    assert_eq!(uplink.key().to_string(), "2026-11-20T12:00:00Z#-");
    assert!(uplink.payload.bytes().is_empty() && uplink.radio.is_empty());
}

#[tokio::test]
async fn metadata_that_cannot_be_read_does_not_hold_the_uplink_back() {
    let mut odd = body();
    odd["station"] = json!(["27B9"]);
    odd["snr"] = json!({"value": 1});
    for rssi in ["NaN", "inf", "1e300", "-"] {
        odd["rssi"] = rssi.into();
        let uplink = arrived(&odd).await;
        assert_eq!(uplink.key(), arrived(&body()).await.key());
        assert!(uplink.radio.is_empty(), "{rssi}");
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_quarantined_with_the_reason_and_answered_2xx() {
    assert!(reason("{device: 1A2345}").await.starts_with("the body is not JSON"));
    assert_eq!(reason("[1,2]").await, "the body is not a JSON object");
    assert_eq!(reason(r#"{"time": 1}"#).await, "the variable device is missing");
    assert_eq!(reason(r#"{"device": "1A2345"}"#).await, "the variable time is missing");
    assert!(reason(r#"{"device": "XYZ", "time": 1}"#).await.contains("device is not a device ID"));
    assert!(reason(r#"{"device": "1A2345", "time": 1795176000000}"#).await.contains("milliseconds"));
    assert!(reason(r#"{"device": "1A2345", "time": 1, "data": "4"}"#).await.contains("not hex"));
    assert!(reason(r#"{"device": "1A2345", "time": 1, "seqNumber": -1}"#).await.contains("seqNumber"));
    assert!(reason(vec![0xFF, 0x00]).await.contains("not JSON"));
    assert!(reason(Body::Empty).await.contains("not JSON"));
}

#[tokio::test]
async fn wrong_or_missing_credentials_are_answered_401_and_nothing_is_enqueued() {
    let basic = |credentials: &str| format!("Basic {}", BASE64_STANDARD.encode(credentials));
    let wrong = [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer wrong".to_owned(),
        format!("Bearer {SECRET}x"),
        format!("Bearer {}", &SECRET[1..]),
        format!("Digest {SECRET}"),
        SECRET.to_owned(),
        basic(SECRET),
        basic("sigfox:wrong"),
        "Basic not-base64".to_owned(),
    ];
    for header in wrong {
        let callback = up();
        let request = request(PROFILE, |r| r.header("authorization", &header), body().to_string());
        assert_eq!(answer(&request, &callback).await, 401, "{header}");
        assert_eq!((callback.raw.sent(), callback.quarantine.sent()), (vec![], vec![]));
    }
    let callback = up();
    assert_eq!(answer(&request(PROFILE, |r| r, body().to_string()), &callback).await, 401);
    assert_eq!(callback.raw.sent(), [""; 0]);
}

#[tokio::test]
async fn the_secret_is_the_password_of_any_user_in_basic() {
    for user in ["sigfox", "", "me%40example.com"] {
        let header = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{SECRET}")));
        let request = request(PROFILE, |r| r.header("Authorization", header), body().to_string());
        assert_eq!(answer(&request, &up()).await, 204);
    }
}

#[tokio::test]
async fn an_unknown_profile_is_answered_404_but_only_to_whom_it_may_concern() {
    assert_eq!(answer(&request("acme", bearer, body().to_string()), &up()).await, 404);
    assert_eq!(answer(&request("adeunis-pulse4-nbiot", bearer, body().to_string()), &up()).await, 404);
    assert_eq!(answer(&request("acme", |r| r, body().to_string()), &up()).await, 401);
}

#[tokio::test]
async fn a_queue_that_is_down_is_answered_503() {
    let callback = callback(FakeQueue::down(), FakeQueue::default());
    assert_eq!(answer(&request(PROFILE, bearer, body().to_string()), &callback).await, 503);
}

#[tokio::test]
async fn a_quarantine_that_is_down_is_answered_503() {
    let callback = callback(FakeQueue::default(), FakeQueue::down());
    assert_eq!(answer(&request(PROFILE, bearer, "noise"), &callback).await, 503);
}

#[tokio::test]
async fn a_megabyte_of_noise_is_answered_413_and_not_kept() {
    let callback = up();
    let noise: Vec<u8> = (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(answer(&request(PROFILE, bearer, noise), &callback).await, 413);
    assert_eq!(callback.quarantine.sent(), [""; 0]);
}

#[tokio::test]
async fn the_longest_body_of_noise_fits_into_quarantine() {
    let callback = up();
    for noise in [0xFF, 0x01, b'"'] {
        assert_eq!(answer(&request(PROFILE, bearer, vec![noise; MAX_BODY]), &callback).await, 204);
    }
    assert!(callback.quarantine.sent().iter().all(|message| message.len() < 1024 * 1024));
}

proptest! {
    #[test]
    fn no_body_is_answered_with_anything_but_2xx_and_every_one_is_kept(body: Vec<u8>) {
        let callback = up();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        prop_assert_eq!(runtime.block_on(answer(&request(PROFILE, bearer, body), &callback)), 204);
        prop_assert_eq!(callback.raw.sent().len() + callback.quarantine.sent().len(), 1);
    }
}
