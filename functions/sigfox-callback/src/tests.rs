use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use proptest::prelude::*;
use pulsegate_model::envelope;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::fakes::{FakeDownlinks, FakeQueue, FakeSecret};
use pulsegate_pipeline::sigfox::CallbackKind;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "correct-horse-battery-staple";
const PROFILE: &str = "adeunis-pulse-v4";

type Fake<'a> = Callback<&'a FakeSecret, FakeQueue, FakeDownlinks>;

/// The function with working queues.
async fn up(secret: &FakeSecret) -> Fake<'_> {
    Callback {
        secrets: Cached::read(secret).await.unwrap(),
        rules: Rules::default(),
        refusals: Refusals::default(),
        raw: FakeQueue::default(),
        quarantine: FakeQueue::default(),
        downlinks: FakeDownlinks::default(),
    }
}

fn secret() -> FakeSecret {
    FakeSecret::of(&[SECRET])
}

/// A request of API Gateway, with the changes of a test.
fn event(change: impl FnOnce(&mut Value)) -> Request {
    let mut event = json!({
        "version": "2.0",
        "rawQueryString": "",
        "pathParameters": {"profile": PROFILE, "kind": "uplink"},
        "headers": {"authorization": format!("Bearer {SECRET}"), "content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "sourceIp": "185.110.98.4"}},
        "body": body().to_string(),
        "isBase64Encoded": false,
    });
    change(&mut event);
    serde_json::from_value(event).unwrap()
}

fn body() -> Value {
    json!({
        "device": "1A2345", "time": 1_795_176_000, "data": "46800000009f00000002", "seqNumber": 42,
        "rssi": -123.00, "snr": 12.5, "station": "27B9", "deviceTypeId": "628fd74fb3cabb6565ae81bb", "ack": false,
    })
}

fn posted(body: &[u8]) -> Request {
    event(|event| {
        event["body"] = BASE64_STANDARD.encode(body).into();
        event["isBase64Encoded"] = true.into();
    })
}

async fn status(request: &Request, callback: &Fake<'_>) -> u16 {
    let response = handle(request, callback, Instant::now() + Duration::from_mins(1)).await;
    assert_eq!(response, Response::empty(response.status_code), "the response reveals nothing");
    response.status_code
}

fn uplinks(callback: &Fake<'_>) -> Vec<Uplink> {
    callback.raw.sent().iter().flat_map(|message| envelope::unpack(message.as_bytes()).unwrap().uplinks).collect()
}

#[tokio::test]
async fn an_uplink_is_enqueued_under_its_natural_key() {
    let secret = secret();
    let callback = up(&secret).await;
    assert_eq!(status(&event(|_| {}), &callback).await, 204);
    let uplink = uplinks(&callback).remove(0);
    assert_eq!(uplink.device.to_string(), "sigfox:1A2345");
    assert_eq!(uplink.key().to_string(), "2026-11-20T12:00:00Z#00042");
    assert_eq!(uplink.profile.as_str(), PROFILE);
    assert_eq!(uplink.payload.bytes().len(), 10);
    assert_eq!(uplink.radio.rssi.map(f64::from), Some(-123.0));
    assert_eq!(callback.quarantine.sent(), [""; 0]);
}

#[tokio::test]
async fn every_kind_is_taken_and_enqueued() {
    for kind in CallbackKind::ALL {
        let secret = secret();
        let callback = up(&secret).await;
        let request = event(|event| event["pathParameters"]["kind"] = kind.name().into());
        assert_eq!(status(&request, &callback).await, 204, "{kind}");
        let unpacked: Vec<_> =
            callback.raw.sent().iter().map(|message| envelope::unpack(message.as_bytes()).unwrap()).collect();
        let (uplinks, events): (usize, usize) =
            unpacked.iter().fold((0, 0), |sum, m| (sum.0 + m.uplinks.len(), sum.1 + m.events.len()));
        let expected = match kind {
            CallbackKind::Uplink | CallbackKind::Bidir => (1, 0),
            CallbackKind::DataAdvanced => (1, 1),
            _ => (0, 1),
        };
        assert_eq!((uplinks, events), expected, "{kind}");
        assert_eq!(callback.quarantine.sent(), [""; 0]);
    }
}

#[tokio::test]
async fn five_hundred_lines_are_a_few_messages_and_the_bad_ones_are_quarantined_each_alone() {
    let secret = secret();
    let callback = up(&secret).await;
    let line = |n: u32| match n {
        7 => "noise".to_owned(),
        77 => format!("{n:X};later;46;1"),
        300 => "XYZ;1795176000;46;1".to_owned(),
        n => format!("{n:X};1795176000;46800000009f00000002;{n}"),
    };
    let lines = (0..500).map(line).collect::<Vec<_>>().join("\n");
    let form = form_urlencoded::Serializer::new(String::new()).append_pair("batch", &lines).finish();
    assert_eq!(status(&posted(form.as_bytes()), &callback).await, 204);
    assert_eq!(uplinks(&callback).len(), 497);
    assert!(callback.raw.sent().len() <= 3, "{}", callback.raw.sent().len());
    let quarantined: Vec<Value> =
        callback.quarantine.sent().iter().map(|record| serde_json::from_str(record).unwrap()).collect();
    let records: Vec<&str> = quarantined.iter().map(|record| record["record"]["text"].as_str().unwrap()).collect();
    assert_eq!(records, ["noise", "4D;later;46;1", "XYZ;1795176000;46;1"]);
    assert_eq!((&quarantined[0]["profile"], &quarantined[0]["callback"]), (&json!(PROFILE), &json!("uplink")));
}

#[tokio::test]
async fn what_cannot_be_understood_is_quarantined_whole_with_its_url_and_answered_2xx() {
    let secret = secret();
    let callback = up(&secret).await;
    let request = event(|event| {
        event["body"] = "{device: 1A2345".into();
        event["rawQueryString"] = "a=b".into();
        event["pathParameters"]["kind"] = "status".into();
    });
    assert_eq!(status(&request, &callback).await, 204);
    let record: Value = serde_json::from_str(&callback.quarantine.sent()[0]).unwrap();
    assert!(record["reason"].as_str().unwrap().starts_with("the body is not JSON"), "{record}");
    assert_eq!(record["record"], json!({"text": "{device: 1A2345"}));
    assert_eq!((&record["callback"], &record["query"]), (&json!("status"), &json!("a=b")));
}

#[tokio::test]
async fn a_queue_or_a_quarantine_that_is_down_is_answered_503() {
    let secret = secret();
    let down = Callback { raw: FakeQueue::down(), ..up(&secret).await };
    assert_eq!(status(&event(|_| {}), &down).await, 503);
    let down = Callback { quarantine: FakeQueue::down(), ..up(&secret).await };
    assert_eq!(status(&posted(b"noise"), &down).await, 503);
    assert_eq!(status(&event(|_| {}), &down).await, 204);
}

#[tokio::test]
async fn when_the_queue_refuses_a_batch_its_bad_lines_wait_for_the_next_try() {
    let secret = secret();
    let callback = Callback { raw: FakeQueue::down(), ..up(&secret).await };
    let lines = "1A2345;1795176000;46;1\nnoise";
    assert_eq!(status(&posted(lines.as_bytes()), &callback).await, 503);
    assert_eq!(callback.quarantine.sent(), [""; 0]);
}

#[tokio::test]
async fn an_unknown_profile_or_kind_is_answered_404_but_only_to_whom_it_may_concern() {
    let secret = secret();
    let callback = up(&secret).await;
    for (parameter, value) in
        [("profile", "acme"), ("profile", "adeunis-pulse4-nbiot"), ("kind", "UPLINK"), ("kind", "")]
    {
        let request = event(|event| event["pathParameters"][parameter] = value.into());
        assert_eq!(status(&request, &callback).await, 404, "{value}");
        let stranger = event(|event| {
            event["pathParameters"][parameter] = value.into();
            event["headers"] = json!({});
        });
        assert_eq!(status(&stranger, &callback).await, 401);
    }
    assert_eq!((callback.raw.sent(), callback.quarantine.sent()), (vec![], vec![]));
}

#[tokio::test]
async fn a_megabyte_of_noise_is_answered_413_and_not_kept() {
    let secret = secret();
    let callback = up(&secret).await;
    let noise: Vec<u8> = (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(status(&posted(&noise), &callback).await, 413);
    assert_eq!(callback.quarantine.sent(), [""; 0]);
}

#[tokio::test]
async fn the_longest_content_of_noise_fits_into_quarantine() {
    let secret = secret();
    let callback = up(&secret).await;
    for noise in [0xFF, 0x01, b'"', b'\n', b';', b'&', b'{'] {
        assert_eq!(status(&posted(&vec![noise; MAX_CONTENT]), &callback).await, 204, "{noise}");
    }
    assert_eq!(callback.quarantine.sent().len(), 7);
    assert!(callback.quarantine.sent().iter().all(|message| message.len() < 1024 * 1024));
}

#[tokio::test]
async fn a_hundred_thousand_bad_lines_are_a_hundred_records_and_one_with_the_rest() {
    let secret = secret();
    let callback = up(&secret).await;
    let lines = format!("1A2345;1795176000;46;1\n{}", "x\n".repeat(100_000));
    assert_eq!(status(&posted(lines.as_bytes()), &callback).await, 204);
    assert_eq!(uplinks(&callback).len(), 1);
    let sent = callback.quarantine.sent();
    assert_eq!(sent.len(), 101);
    let rest: Value = serde_json::from_str(sent.last().unwrap()).unwrap();
    assert_eq!(rest["record"]["text"].as_str().unwrap().lines().count(), 100_000 - 100);
}

#[tokio::test]
async fn variables_may_come_in_headers_but_the_secret_is_none() {
    let secret = secret();
    let callback = up(&secret).await;
    let rules = Rules { secret_header: Some("X-Sigfox-Secret".to_owned()), ..Rules::default() };
    let callback = Callback { rules, ..callback };
    let request = event(|event| {
        event["body"] = json!({"device": "1A2345", "data": "46"}).to_string().into();
        event["headers"] = json!({"x-sigfox-secret": SECRET, "x-sigfox-time": "1795176000"});
    });
    assert_eq!(status(&request, &callback).await, 204);
    assert_eq!(uplinks(&callback)[0].key().to_string(), "2026-11-20T12:00:00Z#-");
    let unreadable = event(|event| {
        event["body"] = "{".into();
        event["headers"] = json!({"x-sigfox-secret": SECRET, "x-sigfox-time": "1795176000"});
    });
    assert_eq!(status(&unreadable, &callback).await, 204);
    let record = &callback.quarantine.sent()[0];
    assert!(record.contains("time=1795176000") && !record.contains(SECRET), "{record}");
}

proptest! {
    #[test]
    fn no_request_whatever_is_answered_5xx_and_what_is_let_in_is_kept(
        body: Vec<u8>, query in ".{0,40}", kind in 0..CallbackKind::ALL.len(), header in "[ -~]{0,20}"
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let secret = secret();
        let callback = runtime.block_on(up(&secret));
        let request = event(|event| {
            event["body"] = BASE64_STANDARD.encode(body).into();
            event["isBase64Encoded"] = true.into();
            event["rawQueryString"] = query.into();
            event["pathParameters"]["kind"] = CallbackKind::ALL[kind].name().into();
            event["headers"]["x-sigfox-time"] = header.into();
        });
        prop_assert_eq!(runtime.block_on(status(&request, &callback)), 204);
        prop_assert!(callback.raw.sent().len() + callback.quarantine.sent().len() >= 1);
    }
}

mod downlink_requests;
mod routes;
mod unauthenticated;
