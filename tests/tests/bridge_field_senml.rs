//! Packs of SenML as meters in the field send them, from a meter's socket to the pulse item.

use pulsegate_model::codec::Channel;
use pulsegate_model::pulse;
use pulsegate_model::uplink::Uplink;
use pulsegate_tests::bridge::{ANSWER_TIMEOUT, Bridge, keys};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use udp_bridge::protocol::sealed::Header;

/// 2026-11-20T12:00:00Z.
const NOW: u32 = 1_795_176_000;

const SENDER: &str = "490154203237518";

/// Sends a datagram in the clear; returns the durable uplinks.
async fn trusted(profile: &str, datagram: &[u8]) -> Vec<Uplink> {
    let bridge = Bridge::start_for(profile, |_| {}).await;
    let meter = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    meter.send_to(datagram, bridge.trusted).await.unwrap();
    // The bridge reads the datagrams in the kernel's buffer, and stops when they are durable and answered.
    bridge.stop().await
}

/// Sends a pack that the sender seals; returns the durable uplink. The bridge acknowledges it.
async fn sealed(profile: &str, pack: &[u8]) -> Uplink {
    let bridge = Bridge::start_for(profile, |_| {}).await;
    let meter = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let imei = SENDER.parse().unwrap();
    let header = Header { key_id: 1, imei, counter: 7, time: NOW };
    let datagram = keys().device_key(1, imei).unwrap().seal_uplink(header, pack);
    meter.send_to(&datagram, bridge.sealed).await.unwrap();
    timeout(ANSWER_TIMEOUT, meter.recv(&mut [0; 64])).await.expect("an acknowledgement in time").unwrap();
    let uplinks = bridge.stop().await;
    assert_eq!((uplinks.len(), uplinks[0].payload.bytes()), (1, pack));
    uplinks.into_iter().next().unwrap()
}

/// The device of an uplink and its counts of channel A; the reason of quarantine if it cannot be decoded.
fn counts(uplink: &Uplink) -> (String, Result<Vec<u64>, String>) {
    let item = pulse::decode(uplink).map_err(|e| e.to_string());
    let counts = item.map(|item| item.channels.get(&Channel::A).map(|of_a| of_a.indexes.clone()).unwrap_or_default());
    (uplink.device.to_string(), counts)
}

async fn trusted_counts(profile: &str, datagram: &[u8]) -> (String, Result<Vec<u64>, String>) {
    let uplinks = trusted(profile, datagram).await;
    assert_eq!(uplinks.len(), 1, "{}", String::from_utf8_lossy(datagram));
    assert_eq!(uplinks[0].payload.bytes(), datagram, "it is stored as it came");
    counts(&uplinks[0])
}

/// absmach/senml#21, cisco/senml#28.
#[tokio::test]
async fn the_first_base_name_names_the_meter_in_whichever_record_it_is() {
    let pack = br#"[{"bt": 1795176000}, {"bn": "urn:imei:490154203100006:", "n": "A", "u": "count", "v": 12}]"#;
    assert_eq!(trusted_counts("senml-json", pack).await, ("nbiot:490154203100006".to_owned(), Ok(vec![12])));
}

/// influxdata/telegraf#7536, helium/semtech-udp#75.
#[tokio::test]
async fn a_text_with_its_zero_behind_it_is_read() {
    let pack = b"[{\"bn\": \"urn:imei:490154203100007:\", \"bu\": \"count\", \"n\": \"A\", \"v\": 1234}]\0";
    assert_eq!(trusted_counts("senml-json", pack).await, ("nbiot:490154203100007".to_owned(), Ok(vec![1234])));
    assert_eq!(counts(&sealed("senml-json", b"[{\"n\":\"A\",\"u\":\"count\",\"v\":5}]\0\0").await).1, Ok(vec![5]));
}

/// cisco/senml#28, kpn-iot/thingsml-c-library, OMA LwM2M, RFC 7254, RFC 9039.
#[tokio::test]
async fn a_meter_has_one_id_in_all_its_spellings() {
    for name in [
        "URN:IMEI:490154203237518:",
        "urn:gsma:imei:49015420-323751-0;svn=07:",
        "urn:imei-imsi:490154203237518-262021234567890:",
        "urn:imeisv:4901542032375107:",
        "urn:dev:IMEI:490154203237518:",
    ] {
        let pack = format!(r#"[{{"bn":"{name}","bt":1795176000,"bu":"count","n":"A","v":5}}]"#);
        let expected = (format!("nbiot:{SENDER}"), Ok(vec![5]));
        assert_eq!(trusted_counts("senml-json", pack.as_bytes()).await, expected, "{name}");
    }
    let pack = br#"[{"bn":"urn:dev:mac:0024befffe804ff1:","bt":1795176000,"bu":"count","n":"A","v":5}]"#;
    assert_eq!(trusted_counts("senml-json", pack).await, ("nbiot:0024BE804FF1".to_owned(), Ok(vec![5])));
}

/// eclipse-leshan/leshan#1654.
#[tokio::test]
async fn a_record_of_unknown_fields_goes_to_quarantine() {
    let digits = hex::decode("81a361306141613165636f756e7461321863").unwrap();
    let reason = counts(&sealed("senml-cbor", &digits).await).1.unwrap_err();
    assert!(reason.starts_with("a record has field \"0\", a text: in CBOR it is a number"), "{reason}");
    let reason = counts(&sealed("senml-json", br#"[{"bt":1795176000,"e":[{"v":1}]}]"#).await).1.unwrap_err();
    assert!(reason.contains("has not just one value"), "{reason}");
}

/// fxamacker/cbor#228.
#[tokio::test]
async fn self_described_cbor_is_read() {
    let sealed_pack = hex::decode("d9d9f781a30061410165636f756e74021863").unwrap();
    assert_eq!(counts(&sealed("senml-cbor", &sealed_pack).await).1, Ok(vec![99]));
    // [{-2: "urn:imei:490154203237518:", -4: "count", 0: "A", 2: 99}]
    let named = [
        b"\xd9\xd9\xf7\x81\xa4\x21\x78\x19urn:imei:490154203237518:".as_slice(),
        b"\x23\x65count\x00\x61A\x02\x18\x63",
    ];
    assert_eq!(trusted_counts("senml-cbor", &named.concat()).await, (format!("nbiot:{SENDER}"), Ok(vec![99])));
}

#[tokio::test]
async fn a_sealed_pack_speaks_for_its_sender_only() {
    let pack = |names: [&str; 2]| {
        let [first, second] = names;
        format!(r#"[{{"bn":"{first}","bu":"count","n":"A","v":5}},{{"bn":"{second}","n":"A","v":6}}]"#).into_bytes()
    };
    let (own, other) = ("urn:imei:490154203237518:", "urn:imei:356850035184603:");
    let reason = "the frame has content of nbiot:356850035184603, and the uplink is of another device (senml-json 3)";
    for names in [[own, other], [other, own], [other, other]] {
        let (device, counts) = counts(&sealed("senml-json", &pack(names)).await);
        assert_eq!((device, counts), (format!("nbiot:{SENDER}"), Err(reason.to_owned())), "{names:?}");
    }
    assert_eq!(counts(&sealed("senml-json", &pack(["", "urn:dev:ow:10e2073a01080063:"])).await).1, Ok(vec![5]));
    assert_eq!(counts(&sealed("senml-json", &pack(["urn:gsma:imei:49015420-323751-0:", own])).await).1, Ok(vec![6, 5]));
}

#[tokio::test]
async fn counts_of_a_clock_that_is_not_set_are_read() {
    let pack =
        br#"[{"bn":"urn:imei:490154203237518:","bt":1300000000,"bu":"count","n":"A","v":9},{"n":"A","t":-60,"v":8}]"#;
    assert_eq!(trusted_counts("senml-json", pack).await, (format!("nbiot:{SENDER}"), Ok(vec![9, 8])));
    let pack = br#"[{"bt":1300000000,"bu":"count","n":"A","v":9},{"n":"A","t":-60,"v":8}]"#;
    let uplink = sealed("senml-json", pack).await;
    let item = serde_json::to_value(pulse::decode(&uplink).unwrap()).unwrap();
    assert_eq!(item["channels"]["A"]["at"], "2026-11-20T12:00:00Z", "the envelope's time");
    assert_eq!((&item["channels"]["A"]["indexes"], &item["flags"][0]), (&[9, 8].into(), &"clock-not-set".into()));
}

#[tokio::test]
async fn a_pack_that_is_cut_off_is_kept_for_its_meter() {
    let pack = br#"[{"bn":"urn:imei:490154203237518:","bu":"count","n":"A","v":9},{"n":"B","#;
    let (device, counts) = trusted_counts("senml-json", pack).await;
    assert_eq!(device, format!("nbiot:{SENDER}"));
    assert!(counts.unwrap_err().starts_with("not SenML in JSON: EOF"));
}
