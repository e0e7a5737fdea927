//! Clear-text meters of several vendors at the bridge: device, time, and answer of their uplinks.

use std::collections::BTreeSet;

use pulsegate_model::at::At;
use pulsegate_model::clock::ClockCheck;
use pulsegate_model::codec::{Context, Value};
use pulsegate_model::device::Network;
use pulsegate_model::profile;
use pulsegate_model::uplink::{TimeSource, Uplink};
use pulsegate_tests::bridge::{Bridge, connected, post, received};
use pulsegate_tests::document;
use tokio::net::UdpSocket;

/// A frame of a Dragino SW3L-NB, also in `tests/codecs/dragino.yaml`.
const DRAGINO: &str = "f86778705021331701790c78170000010001c200015c4f6315537b00015c3163154ecb00015b0063154a1b";

/// Sends datagrams when the frames were recorded; returns the durable uplinks, and whether the meter got an answer.
async fn sent(profile: &str, datagrams: &[&[u8]]) -> (Vec<Uplink>, bool) {
    let clock: fn() -> At = match profile {
        "dragino-sw3l-nb" => || At::from_unix(1_662_342_015).unwrap(), // 2022-09-05T01:40:15Z
        _ => || At::from_unix(1_795_176_005).unwrap(),
    };
    let bridge = Bridge::start_at(profile, clock, |_| {}).await;
    let meter = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for datagram in datagrams {
        meter.send_to(datagram, bridge.trusted).await.unwrap();
    }
    // The bridge reads the datagrams in the kernel's buffer, and stops when they are durable and answered.
    let uplinks = bridge.stop().await;
    (uplinks, meter.try_recv(&mut [0; 64]).is_ok())
}

/// Returns the keys of stored uplinks.
fn keys(uplinks: &[Uplink]) -> BTreeSet<String> {
    uplinks.iter().map(|uplink| format!("{} {}", uplink.device, uplink.key())).collect()
}

#[tokio::test]
async fn a_dragino_is_dated_by_its_own_clock_and_told_nothing() {
    let frame = hex::decode(DRAGINO).unwrap();
    let (uplinks, answered) = sent("dragino-sw3l-nb", &[&frame]).await;
    assert!(!answered);
    let key = keys(&uplinks).pop_first().unwrap();
    assert!(key.starts_with("nbiot:867787050213317 2022-09-05T01:40:11Z#"), "{key}");
    assert_eq!((uplinks[0].time_source, uplinks[0].payload.bytes()), (TimeSource::Device, frame.as_slice()));
}

#[tokio::test]
async fn of_a_dragino_the_same_datagram_is_one_uplink_and_each_other_of_the_same_second_another() {
    let frame = hex::decode(DRAGINO).unwrap();
    let other = hex::decode(DRAGINO.replace("00015c4f", "00015c50")).unwrap();
    let (uplinks, _) = sent("dragino-sw3l-nb", &[&frame, &frame, DRAGINO.as_bytes(), &other]).await;
    assert_eq!((uplinks.len(), keys(&uplinks).len()), (4, 3), "{:?}", keys(&uplinks));
    for (a, b) in uplinks.iter().flat_map(|a| uplinks.iter().map(move |b| (a, b))) {
        assert_eq!(a.key() == b.key(), a == b, "equal keys have equal contents");
    }
    assert!(uplinks.iter().all(|uplink| uplink.at == uplinks[0].at));
}

#[tokio::test]
async fn a_dragino_without_a_clock_is_dated_by_its_first_arrival() {
    let frame = hex::decode(DRAGINO.replace("6315537b", "00000e10")).unwrap();
    let (uplinks, _) = sent("dragino-sw3l-nb", &[&frame, &frame]).await;
    assert_eq!((uplinks[0].time_source, &uplinks[0]), (TimeSource::Network, &uplinks[1]));
}

#[tokio::test]
async fn a_senml_meter_is_named_by_its_base_name_and_dated_by_its_latest_count() {
    let pack = br#"[{"bn":"urn:imei:490154203237518:","bt":1795176000,"n":"A","u":"count","v":7}]"#;
    let later = br#"[{"bn":"urn:imei:490154203237518:","bt":1795176000,"n":"A","u":"count","v":8}]"#;
    let (uplinks, answered) = sent("senml-json", &[pack, pack, later, b"[{}]"]).await;
    assert!(!answered);
    assert_eq!((uplinks.len(), keys(&uplinks).len()), (3, 2), "{:?}", keys(&uplinks));
    for key in keys(&uplinks) {
        assert!(key.starts_with("nbiot:490154203237518 2026-11-20T12:00:00Z#"), "{key}");
    }
}

#[tokio::test]
async fn a_senml_meter_without_a_clock_is_told_from_its_repeats_by_the_number_of_the_pack() {
    let pack =
        |n| format!(r#"[{{"bn":"urn:imei:490154203237518:","n":"A","u":"count","v":1234}},{{"n":"seq","v":{n}}}]"#);
    let (first, second) = (pack(17), pack(18));
    let (uplinks, _) = sent("senml-json", &[first.as_bytes(), first.as_bytes(), second.as_bytes()]).await;
    assert_eq!((uplinks.len(), keys(&uplinks).len()), (3, 2), "{:?}", keys(&uplinks));
    let senml = profile::find(Network::Nbiot, "senml-json").unwrap();
    let device = "nbiot:490154203237518".parse().unwrap();
    let context = Context { settings: &senml.settings, device, clock: ClockCheck::REJECT };
    let reading = (senml.codec.decode)(second.as_bytes(), &context).unwrap();
    assert_eq!(reading.details.get("seq"), Some(&Value::Number(18)));
    assert_eq!(reading.channels.len(), 1);
}

#[tokio::test]
async fn a_senml_meter_that_wants_an_answer_posts_its_pack_in_coap() {
    let pack = br#"[{"bn":"urn:imei:490154203237518:","n":"A","u":"count","v":7}]"#;
    let bridge = Bridge::start().await;
    let meter = connected(bridge.coap_trusted).await;
    // CON POST /senml-json, message ID 0x1234, no token.
    meter.send(&[b"\x40\x02\x12\x34\xbasenml-json\xff", pack.as_slice()].concat()).await.unwrap();
    assert_eq!(received(&meter).await, *b"\x60\x44\x12\x34", "2.04, in the acknowledgement");
    let uplinks = bridge.stop().await;
    assert_eq!((uplinks[0].profile.as_str(), uplinks[0].time_source), ("senml-json", TimeSource::Network));
    assert_eq!(uplinks[0].payload.bytes(), pack);
}

#[tokio::test]
async fn a_late_answer_in_coap_goes_out_once_in_the_clear_and_again_to_who_has_proved_itself() {
    let bridge = Bridge::start().await;
    let (meter, sealed) = (connected(bridge.coap_trusted).await, connected(bridge.coap).await);
    bridge.stream.set_held(true);
    let frame = hex::decode("1122334455667788030000002646800000009f00000002").unwrap();
    meter.send(&post(true, 0x1234, &frame)).await.unwrap();
    sealed.send(&document::bytes("CoAP request")).await.unwrap();
    assert_eq!(received(&meter).await, [0x60, 0x00, 0x12, 0x34], "the empty acknowledgement");
    assert_eq!(received(&sealed).await, document::bytes("CoAP empty ACK"));
    bridge.stream.set_held(false);
    let answer = received(&meter).await;
    assert_eq!((answer[0], answer[1], &answer[7..]), (0x52, 0x44, &frame[..13]), "non-confirmable");
    let answer = received(&sealed).await;
    // The first repetition comes after 3 seconds at the latest, the second after 6 at the earliest.
    for _ in 0..2 {
        assert_eq!(received(&sealed).await, answer);
    }
    assert!(meter.try_recv(&mut [0; 64]).is_err());
    assert_eq!(bridge.stop().await.len(), 2);
}
