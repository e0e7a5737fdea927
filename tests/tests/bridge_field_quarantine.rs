//! Datagrams that a trusted listener rejects, from a meter's socket to the quarantine queue.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pulsegate_aws::EventTable;
use pulsegate_aws::fakes::FakeTable;
use pulsegate_model::quarantine::QuarantinedRecord;
use pulsegate_model::uplink::TimeSource;
use pulsegate_pipeline::fakes::{FakeQueue, FakeStore, FakeStream};
use pulsegate_pipeline::raw::RawStage;
use pulsegate_tests::bridge::{ANSWER_TIMEOUT, Bridge, connected, durable, metric, quarantined, until};
use pulsegate_tests::events;
use serde_json::json;
use tokio::time::{Instant, timeout};

/// Passes the records of a stream to `raw-nbiot`. Returns the messages that it sends to quarantine.
async fn quarantine_of(stream: &FakeStream) -> Vec<QuarantinedRecord> {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let stage = RawStage {
        raw: FakeStore::default(),
        events: None::<EventTable<FakeTable>>,
        pulse: Some(FakeQueue::default()),
        quarantine: FakeQueue::default(),
    };
    let records = stream.records().into_iter().map(|sent| {
        let mut record = events::read("raw-nbiot.json")["Records"][0].clone();
        record["kinesis"]["data"] = BASE64_STANDARD.encode(&sent.data).into();
        record
    });
    let event = serde_json::from_value(json!({"Records": records.collect::<Vec<_>>()})).unwrap();
    let response = raw_nbiot::handle(event, &stage, Instant::now() + Duration::from_mins(1)).await.unwrap();
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(stage.raw.len(), durable(stream).len());
    stage.quarantine.sent().iter().map(|message| QuarantinedRecord::from_message(message).unwrap()).collect()
}

/// Sends a datagram to a listener. Returns its quarantined record and the answer to the meter.
async fn rejected(
    profile: &str,
    listener: impl Fn(&Bridge) -> SocketAddr,
    datagram: &[u8],
) -> (QuarantinedRecord, Option<Vec<u8>>) {
    let bridge = Bridge::start_for(profile, |_| {}).await;
    let addr = listener(&bridge);
    let meter = connected(addr).await;
    meter.send(datagram).await.unwrap();
    until(async || metric(bridge.http, "quarantined_total").await == 1).await;
    for (name, count) in [("received_total", 1), ("authenticated_total", 0), ("durable_total", 0), ("in_flight", 0)] {
        assert_eq!(metric(bridge.http, name).await, count, "{name}");
    }
    let stream = Arc::clone(&bridge.stream);
    assert!(bridge.stop().await.is_empty());
    let sender = meter.local_addr().unwrap();
    assert!(stream.records().iter().all(|record| record.partition_key == sender.to_string()));
    let mut records = quarantine_of(&stream).await;
    assert_eq!(records.len(), 1);
    let record = records.remove(0);
    assert_eq!((record.stage.as_str(), record.sender.as_deref()), ("udp-bridge", Some(&*sender.to_string())));
    assert!(record.listener.as_ref().unwrap().ends_with(&format!("://{addr}")) && record.received.is_some());
    let mut answer = [0; 64];
    let answered = meter.try_recv(&mut answer).ok().map(|len| answer[..len].to_vec());
    (record, answered)
}

#[tokio::test]
async fn what_a_bare_listener_rejects_is_in_quarantine_with_its_bytes_and_its_sender_and_is_not_answered() {
    let other_urn = br#"[{"bn":"urn:dev:ow:10e2073a01080063","n":"A","u":"count","v":1}]"#;
    let dragino_json = br#"{"Model": "SW3L-NB", "mod": 0, "battery": 3.19, "signal": 23, "total_pulse": 89167}"#;
    let long = [b"[", [b' '; 2_048].as_slice()].concat();
    let cases: [(&str, &[u8], &str); 6] = [
        ("adeunis-pulse4-nbiot", b"AT+NSOST=0,hello\r\n\x00\xff", ""),
        ("senml-json", other_urn, "\"urn:dev:ow:10e2073a01080063A\" names no meter: "),
        ("dragino-sw3l-nb", dragino_json, ""),
        ("dragino-sw3l-nb", b"", ""),
        ("senml-json", &long, "longer than 2048 bytes"),
        ("senml-cbor", b"\x81\xa1", ""),
    ];
    for (profile, datagram, reason) in cases {
        let (record, answered) = rejected(profile, |bridge| bridge.trusted, datagram).await;
        assert_eq!(record.record().unwrap(), datagram, "{profile}");
        assert_eq!((record.profile.as_deref(), answered), (Some(profile), None));
        assert!(record.reason.contains(reason) && !record.reason.is_empty(), "{}", record.reason);
        assert!(record.listener.unwrap().starts_with("udp://"));
    }
}

#[tokio::test]
async fn what_a_coap_listener_rejects_is_in_quarantine_and_is_answered_by_its_error_at_once() {
    let path = b"\x40\x02\x12\x34\xb4acme\xff\x01\x02".as_slice();
    let method = b"\x40\x01\x12\x34\xbasenml-json\xff\x01".as_slice();
    let head = b"\x40\x02\x12\x34\xbasenml-json\xff[{}]".as_slice();
    for (datagram, code) in [(path, 0x84), (method, 0x85), (head, 0x80)] {
        let (record, answered) = rejected("senml-json", |bridge| bridge.coap_trusted, datagram).await;
        assert_eq!((record.record().unwrap(), answered), (datagram.to_vec(), Some(vec![0x60, code, 0x12, 0x34])));
        assert_eq!(record.profile, None);
        assert!(record.listener.unwrap().starts_with("coap://"));
    }
    let (record, answered) = rejected("senml-json", |bridge| bridge.coap_trusted, b"not CoAP").await;
    assert_eq!((record.text(), record.reason.as_str(), answered), (Some("not CoAP"), "not a CoAP request", None));
    let (record, answered) = rejected("senml-json", |bridge| bridge.efento, path).await;
    assert_eq!((record.profile.as_deref(), answered), (Some("efento"), Some(vec![0x60, 0x84, 0x12, 0x34])));
}

#[tokio::test]
async fn what_a_sealed_listener_rejects_is_counted_only() {
    let bridge = Bridge::start().await;
    for (sent, listener) in [(1, bridge.sealed), (2, bridge.coap)] {
        connected(listener).await.send(b"noise").await.unwrap();
        until(async || metric(bridge.http, "received_total").await == sent).await;
    }
    let stream = Arc::clone(&bridge.stream);
    assert!(bridge.stop().await.is_empty());
    assert_eq!(stream.records().len(), 0);
}

#[tokio::test]
async fn a_flood_fills_quarantine_to_the_limit_and_the_meter_beside_it_is_acknowledged() {
    let bridge = Bridge::start().await;
    let (flood, meter) = (connected(bridge.trusted).await, connected(bridge.trusted).await);
    for number in 0..500_u32 {
        flood.send(&number.to_be_bytes()).await.unwrap();
    }
    meter.send(&hex::decode("1122334455667788030000002646800000009f00000002").unwrap()).await.unwrap();
    timeout(ANSWER_TIMEOUT, meter.recv(&mut [0; 64])).await.expect("an answer").unwrap();
    until(async || metric(bridge.http, "received_total").await == 501).await;
    let beyond = metric(bridge.http, "beyond_limit_total").await;
    let stream = Arc::clone(&bridge.stream);
    assert_eq!(bridge.stop().await.len(), 1);
    // Ten a minute; the flood may last into the next one.
    let kept = quarantined(&stream).len() as u64;
    assert!(kept == 10 || kept == 20, "{kept}");
    assert_eq!(kept + beyond, 500);
}

#[tokio::test]
async fn what_the_stream_does_not_accept_for_quarantine_is_counted_as_lost() {
    let bridge = Bridge::start_with(|pace| pace.put_timeout = Duration::from_millis(50)).await;
    bridge.stream.set_down(true);
    connected(bridge.trusted).await.send(b"noise").await.unwrap();
    until(async || metric(bridge.http, "not_quarantined_total").await == 1).await;
    for name in ["quarantined_total", "given_back_total", "durable_total", "in_flight"] {
        assert_eq!(metric(bridge.http, name).await, 0, "{name}");
    }
    bridge.stop().await;
}

#[tokio::test]
async fn a_datagram_of_two_meters_is_an_uplink_of_each_and_has_one_answer_once_both_are_durable() {
    let pack = br#"[{"bn":"urn:imei:490154203237518:","n":"A","u":"count","v":7},
        {"bn":"urn:imei:490154203100006:","n":"A","u":"count","v":9}]"#;
    let bridge = Bridge::start_for("senml-json", |_| {}).await;
    let (bare, coap) = (connected(bridge.trusted).await, connected(bridge.coap_trusted).await);
    bare.send(pack).await.unwrap();
    coap.send(&[b"\x40\x02\x12\x34\xbasenml-json\xff", pack.as_slice()].concat()).await.unwrap();
    let mut answer = [0; 64];
    let len = timeout(ANSWER_TIMEOUT, coap.recv(&mut answer)).await.expect("an answer").unwrap();
    assert_eq!(&answer[..len], b"\x60\x44\x12\x34");
    until(async || metric(bridge.http, "durable_total").await == 4).await;
    for (name, count) in
        [("received_total", 2), ("authenticated_total", 2), ("uplinks_total", 4), ("acknowledged_total", 1)]
    {
        assert_eq!(metric(bridge.http, name).await, count, "{name}");
    }
    let uplinks = bridge.stop().await;
    let of = |device: &str| uplinks.iter().filter(|uplink| uplink.device.to_string() == device).count();
    assert_eq!((of("nbiot:490154203237518"), of("nbiot:490154203100006")), (2, 2));
    for uplink in uplinks {
        assert_eq!((uplink.time_source, uplink.payload.bytes()), (TimeSource::Network, pack.as_slice()));
    }
    assert!(bare.try_recv(&mut answer).is_err());
}

#[tokio::test]
async fn a_datagram_of_more_meters_than_fit_into_a_record_is_quarantined_and_refused_413() {
    let record = |n| format!(r#"{{"bn":"urn:imei:4901542{n:07}0:","n":"A","u":"count","v":{n}}}"#);
    let pack = format!("[{}]", (0..30).map(record).collect::<Vec<_>>().join(","));
    let request = [b"\x40\x02\x12\x34\xbasenml-json\xff", pack.as_bytes()].concat();
    let (record, answered) = rejected("senml-json", |bridge| bridge.coap_trusted, &request).await;
    assert!(record.reason.starts_with("it names 30 meters"), "{}", record.reason);
    assert_eq!(answered, Some(vec![0x60, 0x8D, 0x12, 0x34]));
    let (record, _) = rejected("senml-json", |bridge| bridge.trusted, pack.as_bytes()).await;
    assert_eq!(record.record().unwrap(), pack.as_bytes());
}
