//! Datagrams of meters in the field at the bridge's sockets: set to another mode or payload form, or with something
//! around their bytes. Each becomes durable under its own meter and is decoded, or is quarantined with a reason.

use pulsegate_model::codec::Channel;
use pulsegate_model::pulse::{self, ChannelCounts, PulseItem};
use pulsegate_model::uplink::Uplink;
use pulsegate_tests::bridge::{Bridge, connected, received};
use tokio::net::UdpSocket;

/// A frame of a Dragino SW3L-NB, also in `tests/codecs/dragino.yaml`.
const DRAGINO: &str = "f86778705021331701790c78170000010001c200015c4f6315537b00015c3163154ecb00015b0063154a1b";

/// A datagram of an Adeunis PULSE 4, also in `tests/codecs/adeunis-pulse.yaml`.
const ADEUNIS: &str = "0490154203100010020000000146800000009f00000002";

/// Sends datagrams to a trusted listener of this profile; returns the durable uplinks, in their order.
async fn sent(profile: &str, datagrams: &[Vec<u8>]) -> Vec<Uplink> {
    let bridge = Bridge::start_for(profile, |_| {}).await;
    let meter = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for datagram in datagrams {
        meter.send_to(datagram, bridge.trusted).await.unwrap();
    }
    bridge.stop().await
}

/// Decodes the uplinks as of this arrival; the examples have fixed times. The payload of each is what was sent.
fn decoded(uplinks: Vec<Uplink>, datagrams: &[Vec<u8>], arrival: &str) -> Vec<PulseItem> {
    assert_eq!(uplinks.len(), datagrams.len(), "each is durable");
    for (uplink, datagram) in uplinks.iter().zip(datagrams) {
        assert_eq!(uplink.payload.bytes(), datagram);
    }
    uplinks.into_iter().map(|uplink| pulse::decode(&at(uplink, arrival)).unwrap()).collect()
}

fn at(uplink: Uplink, arrival: &str) -> Uplink {
    Uplink { at: arrival.parse().unwrap(), ..uplink }
}

/// The datagram as modems, gateways and scripts pass it on in hex.
fn in_hex(datagram: &str) -> Vec<Vec<u8>> {
    let upper = datagram.to_uppercase();
    let forms = [
        datagram.to_owned(),
        format!("0x{upper}"),
        format!(" {upper}\r\n"),
        format!("{datagram}\0"),
        format!("\"{datagram}\"\n"),
    ];
    forms.map(String::into_bytes).to_vec()
}

#[tokio::test]
async fn a_flow_sensor_in_mode_1_counts_since_its_last_uplink() {
    let datagrams = [("25", "3640"), ("0c", "3af0")].map(|(count, time)| {
        hex::decode(format!("f49015420310000101790c78170000000101c2000000{count}6b00{time}")).unwrap()
    });
    let uplinks = sent("dragino-sw3l-nb", &datagrams).await;
    let counts = decoded(uplinks, &datagrams, "2026-11-20T13:00:00Z").into_iter().map(|mut item| {
        let ChannelCounts { indexes, counted, .. } = item.channels.remove(&Channel::A).unwrap();
        (item.device.to_string(), indexes, counted)
    });
    let expected = [37, 12].map(|count| ("nbiot:490154203100001".to_owned(), vec![], vec![count]));
    assert_eq!(counts.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_dragino_set_to_json_is_kept_under_its_meter_with_the_setting_that_is_right() {
    let json = br#"{"IMEI": "490154203100009", "Model": "SW3L-NB", "mod": 0, "battery": 3.19, "1": {1,4,0}}"#.to_vec();
    let uplinks = sent("dragino-sw3l-nb", std::slice::from_ref(&json)).await;
    assert_eq!(uplinks[0].device.to_string(), "nbiot:490154203100009");
    assert_eq!(uplinks[0].payload.bytes(), json);
    let reason = pulse::decode(&uplinks[0]).unwrap_err().to_string();
    assert!(reason.contains("AT+PRO=2,0"), "{reason}");
}

#[tokio::test]
async fn a_dragino_in_decorated_hex_or_with_a_line_end_is_the_same_reading() {
    let bytes = hex::decode(DRAGINO).unwrap();
    let ended = [b"\0".as_slice(), b"\r\n"].map(|end| [&bytes, end].concat());
    let datagrams = [vec![bytes.clone()], in_hex(DRAGINO), ended.to_vec()].concat();
    let uplinks = sent("dragino-sw3l-nb", &datagrams).await;
    let items = decoded(uplinks, &datagrams, "2022-09-06T00:00:00Z");
    for item in &items {
        assert_eq!((item.device, &item.channels), (items[0].device, &items[0].channels));
    }
}

#[tokio::test]
async fn an_adeunis_in_hex_is_stored_and_acknowledged_as_its_own_meter() {
    let datagrams = in_hex(ADEUNIS);
    let items = decoded(sent("adeunis-pulse4-nbiot", &datagrams).await, &datagrams, "2026-11-20T13:00:00Z");
    for item in items {
        assert_eq!(item.device.to_string(), "nbiot:490154203100010");
        assert_eq!(item.channels[&Channel::A].indexes, [159]);
    }
    let bridge = Bridge::start_for("adeunis-pulse4-nbiot", |_| {}).await;
    let meter = connected(bridge.trusted).await;
    meter.send(ADEUNIS.as_bytes()).await.unwrap();
    assert_eq!(received(&meter).await, ADEUNIS.as_bytes()[..26], "its header, as it was sent");
    bridge.stop().await;
}

#[tokio::test]
async fn a_text_that_is_no_datagram_is_nobodys() {
    let texts = ["1234567890123456,23,159,2", "0490154203100010020000000146800000009f0000000", "AT+NSOST\r\n"];
    assert_eq!(sent("adeunis-pulse4-nbiot", &texts.map(|text| text.as_bytes().to_vec())).await, []);
}

#[tokio::test]
async fn an_efento_without_a_factor_beside_a_flooding_sensor_samples_every_14_periods() {
    let bridge = Bridge::start().await;
    let logger = connected(bridge.efento).await;
    let request = "420200010102b16dff0a06282c0240aa011001183c2210081910b0df80d80620c03e2a03000000220f081810b0df80d80620782a03000c1822\
                   0d080710b0df80d8062a0301a11a3815";
    logger.send(&hex::decode(request).unwrap()).await.unwrap();
    assert_eq!(received(&logger).await[1], 0x41, "2.01");
    let uplink = bridge.stop().await.remove(0);
    let item = pulse::decode(&at(uplink, "2026-11-20T13:00:00Z")).unwrap();
    let points: Vec<_> = item.channels[&Channel::numbered(2)].dated().collect();
    let expected = [(100_012, "12:00:00"), (100_011, "11:46:00"), (100_010, "11:32:00")];
    assert_eq!(points, expected.map(|(index, time)| (index, format!("2026-11-20T{time}Z").parse().ok())));
}
