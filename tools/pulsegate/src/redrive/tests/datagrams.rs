//! Datagrams that the bridge quarantined.

use std::net::SocketAddr;

use pulsegate_model::at::At;
use pulsegate_model::quarantine::UDP_BRIDGE;
use pulsegate_model::uplink::{TimeSource, Uplink};
use pulsegate_model::{aggregate, record};

use super::*;

const PACK: &str = r#"[{"bn":"urn:imei:490154203237518:","n":"A","u":"count","v":7}]"#;

/// The quarantined record of a datagram that arrived at a listener.
fn arrived(listener: &str, profile: Option<&str>, datagram: &[u8]) -> String {
    let sender: Option<SocketAddr> = "192.0.2.7:5683".parse().ok();
    let record = Quarantined::new(UDP_BRIDGE, &"why", datagram).received_at(listener, sender, received());
    profile.into_iter().fold(record, Quarantined::under).to_message()
}

fn received() -> At {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// The uplinks in a stream.
fn uplinks(world: &World) -> Vec<Uplink> {
    let records = world.stream.records().into_iter();
    let data = records.flat_map(|record| aggregate::user_records(&record.data).unwrap());
    data.map(|data| record::decode(&data).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_datagram_that_can_be_read_now_is_put_to_the_stream_with_the_time_of_its_arrival() {
    let coap = [b"\x40\x02\x12\x34\xbasenml-json\xff", PACK.as_bytes()].concat();
    let efento = b"\x40\x02\x12\x34\xb1m\xff\x0a\x06\x28\x2c\x02\x40\xaa\x01\x10\x01".to_vec();
    let world = World::holding(&[
        arrived("udp://0.0.0.0:7013", Some("senml-json"), PACK.as_bytes()),
        arrived("coap://0.0.0.0:5683", None, &coap),
        arrived("coap://0.0.0.0:5684", Some("efento"), &efento),
    ])
    .await;
    let (report, problem) = world.run("--stage udp-bridge").await;
    assert_eq!((&report["to"], problem), (&json!({"ProcessRawDataNbiot": 3}), None), "{report}");
    let uplinks = uplinks(&world);
    let devices: BTreeSet<String> = uplinks.iter().map(|uplink| uplink.device.to_string()).collect();
    assert_eq!(devices, ["nbiot:282C0240AA01", "nbiot:490154203237518"].map(str::to_owned).into());
    assert_eq!((uplinks.len(), world.quarantine.bodies().len()), (3, 0));
    for uplink in uplinks {
        assert_eq!((uplink.at, uplink.time_source), (received(), TimeSource::Network));
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_possible_on_arrival_dates_the_uplink_and_another_does_not() {
    let at = |time| PACK.replace(r#""n""#, &format!(r#""bt":{time},"n""#));
    for (time, source) in [(1_795_176_000 - 60, TimeSource::Device), (1_795_176_000 + 172_800, TimeSource::Network)] {
        let world = World::holding(&[arrived("udp://[::]:7013", Some("senml-json"), at(time).as_bytes())]).await;
        world.run("--all").await;
        let uplink = uplinks(&world).remove(0);
        let expected = if source == TimeSource::Device { At::from_unix(time).unwrap() } else { received() };
        assert_eq!((uplink.at, uplink.time_source), (expected, source));
    }
}

#[tokio::test(start_paused = true)]
async fn a_datagram_of_more_meters_than_the_bridge_takes_at_once_is_put_whole() {
    let record = |n| format!(r#"{{"bn":"urn:imei:4901542{n:07}0:","n":"A","u":"count","v":{n}}}"#);
    let pack = format!("[{}]", (0..30).map(record).collect::<Vec<_>>().join(","));
    let world = World::holding(&[arrived("udp://[::]:7013", Some("senml-json"), pack.as_bytes())]).await;
    let (_, problem) = world.run("--all").await;
    let uplinks = uplinks(&world);
    let devices: BTreeSet<String> = uplinks.iter().map(|uplink| uplink.device.to_string()).collect();
    assert_eq!((problem, uplinks.len(), devices.len()), (None, 30, 30));
    assert!(uplinks.iter().all(|uplink| uplink.payload.bytes() == pack.as_bytes()));
}

#[tokio::test(start_paused = true)]
async fn a_datagram_that_still_cannot_be_read_stays_and_its_reason_is_told() {
    let records = [
        (arrived("udp://[::]:7013", Some("senml-json"), b"noise"), "still rejected: "),
        (arrived("udp://[::]:7013", Some("senml-json"), &[b' '; 2_049]), "still rejected: longer than 2048 bytes"),
        (arrived("coap://[::]:5683", None, b"\x40\x02\x12\x34\xb4acme\xff\x01"), "still rejected: the path names no"),
        (arrived("coap://[::]:5683", None, b"\x40\x00\x12\x34"), "the datagram has no uplink"),
        (arrived("udp://[::]:7013", Some("acme"), PACK.as_bytes()), "is not a profile whose datagrams can be read"),
        (arrived("udp://[::]:7013", None, PACK.as_bytes()), "the record names no profile"),
        (quarantined(UDP_BRIDGE, PACK), "the record has no time of arrival"),
    ];
    let world = World::holding(&records.clone().map(|(message, _)| message)).await;
    let (report, problem) = world.run("--all").await;
    assert_eq!(problem.unwrap(), "0 of 7 selected records have been sent");
    for (_, reason) in &records {
        let left = report["left"].as_array().unwrap();
        assert!(left.iter().any(|left| left["reason"].as_str().unwrap().contains(reason)), "{reason}: {report}");
    }
    assert_eq!((world.quarantine.bodies().len(), world.arrived().len()), (7, 0));
}

#[tokio::test(start_paused = true)]
async fn the_list_names_listener_and_sender_of_a_datagram() {
    let world = World::holding(&[arrived("udp://0.0.0.0:7013", Some("senml-json"), b"noise")]).await;
    let example = world.list().await[0]["examples"][0].clone();
    let expected = json!({"listener": "udp://0.0.0.0:7013", "sender": "192.0.2.7:5683", "profile": "senml-json",
        "received": "2026-11-20T12:00:00Z"});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&example[name], value, "{name}");
    }
    let (nothing, stop) = (Selection::default(), Stop::default());
    let table = list(&world.quarantine, &nothing, Format::Table, world.quarantine.now(), &stop).await.text;
    assert!(table.contains("from 192.0.2.7:5683 at udp://0.0.0.0:7013"), "{table}");
}
