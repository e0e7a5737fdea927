//! CoAP requests as modules and clients in the field write them, at the sockets of a bridge: standard options, and paths
//! with slashes.

use std::net::SocketAddr;

use coap_lite::{CoapOption, MessageType, Packet};
use pulsegate_model::uplink::Uplink;
use pulsegate_tests::bridge::{ANSWER_TIMEOUT, Bridge, PROFILE, metric};
use pulsegate_tests::document;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// `CON POST /adeunis-pulse4-nbiot` with Accept: application/octet-stream. Such options: eclipse-californium/californium#453,
/// keith-cullen/FreeCoAP#45, AVSystem/Anjay#70, and `coap-client -A`.
const WITH_ACCEPT: &str =
    "420200010102bd07616465756e69732d70756c7365342d6e62696f74612aff0490154203200001020000000146800000009f00000002";

/// The same path with a trailing slash, which is an empty last segment (RIOT-OS/RIOT#9872).
const WITH_SLASH: &str =
    "420200010102bd07616465756e69732d70756c7365342d6e62696f7400ff0490154203200003020000000146800000009f00000002";

/// `CON POST /efento/m`, as a logger sends it that was set up for `ThingsBoard` (`CoapEfentoTransportResource.java`).
const TO_THINGSBOARD: &str =
    "420200010102b66566656e746f016dff0a06282c0240aa021001183c220b080810c0ec80d8062a010638154001";

/// `CON POST` with this path, the message ID 0001 and the token 0102.
fn post(path: &[&str], options: &[(u16, &[u8])], payload: &[u8]) -> Packet {
    let mut packet = Packet::from_bytes(&[0x42, 0x02, 0x00, 0x01, 0x01, 0x02]).unwrap();
    for segment in path {
        packet.add_option(CoapOption::UriPath, segment.as_bytes().to_vec());
    }
    for &(number, value) in options {
        packet.add_option(number.into(), value.to_vec());
    }
    packet.payload = payload.to_vec();
    packet
}

/// Sends a message from a meter of its own, and returns the answer.
async fn asked(to: SocketAddr, message: &[u8]) -> Packet {
    let meter = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    meter.send_to(message, to).await.unwrap();
    let mut buffer = [0; 64];
    let len = timeout(ANSWER_TIMEOUT, meter.recv(&mut buffer)).await.expect("an answer in time").unwrap();
    let answer = Packet::from_bytes(&buffer[..len]).unwrap();
    assert_eq!((answer.header.get_type(), answer.header.message_id), (MessageType::Acknowledgement, 1));
    assert_eq!(answer.get_token(), [1, 2]);
    answer
}

/// Returns the code of the answer.
async fn code(to: SocketAddr, message: &[u8]) -> String {
    asked(to, message).await.header.get_code()
}

/// Returns the code of the answer to a request.
async fn code_of(to: SocketAddr, packet: &Packet) -> String {
    code(to, &packet.to_bytes().unwrap()).await
}

fn devices(uplinks: &[Uplink]) -> Vec<String> {
    uplinks.iter().map(|uplink| uplink.device.to_string()).collect()
}

/// A frame of a PULSE 4 in the clear, and the sealed one that the protocol's document has.
fn payloads(bridge: &Bridge) -> [(SocketAddr, Vec<u8>); 2] {
    [(bridge.coap_trusted, document::bytes("Payload")), (bridge.coap, document::bytes("Uplink"))]
}

#[tokio::test]
async fn a_request_with_accept_is_taken() {
    let bridge = Bridge::start().await;
    let answer = asked(bridge.coap_trusted, &hex::decode(WITH_ACCEPT).unwrap()).await;
    assert_eq!(
        (answer.header.get_code().as_str(), hex::encode(answer.payload)),
        ("2.04", WITH_ACCEPT[62..88].to_owned())
    );
    let uplinks = bridge.stop().await;
    assert_eq!(devices(&uplinks), ["nbiot:490154203200001"]);
    assert_eq!(hex::encode(uplinks[0].payload.bytes()), WITH_ACCEPT[62..]);
}

#[tokio::test]
async fn a_path_with_a_trailing_slash_is_that_of_the_profile() {
    let bridge = Bridge::start().await;
    assert_eq!(code(bridge.coap_trusted, &hex::decode(WITH_SLASH).unwrap()).await, "2.04");
    assert_eq!(devices(&bridge.stop().await), ["nbiot:490154203200003"]);
}

#[tokio::test]
async fn the_endpoints_of_a_thingsboard_server_are_those_of_an_efento_listener() {
    let bridge = Bridge::start().await;
    assert_eq!(code(bridge.efento, &hex::decode(TO_THINGSBOARD).unwrap()).await, "2.01");
    let (device_info, configuration) = ("0a06282c02424eed", "ca0106282c02424eed");
    for (path, payload, expected) in [
        (["efento", "c"].as_slice(), configuration, "2.01"),
        (&["efento", "i"], device_info, "2.01"),
        (&["efento", "i", ""], device_info, "2.01"),
        (&["/efento/i"], device_info, "2.01"),
        (&["i", ""], device_info, "2.01"),
        (&["efento", "t"], "", "2.05"),
        (&["t", ""], "", "2.05"),
        (&["efento"], device_info, "4.04"),
        (&["efento", "x"], device_info, "4.04"),
    ] {
        let packet = post(path, &[], &hex::decode(payload).unwrap());
        assert_eq!(code_of(bridge.efento, &packet).await, expected, "{path:?}");
    }
    let uplinks = bridge.stop().await;
    let profiles: Vec<_> = uplinks.iter().map(|uplink| uplink.profile.as_str()).collect();
    assert_eq!(profiles[..3], ["efento", "efento-configuration", "efento-device-info"]);
    assert_eq!(uplinks[0].device.to_string(), "nbiot:282C0240AA02");
    assert!(uplinks[2..].iter().all(|uplink| uplink.key() == uplinks[2].key()), "one path, however it is written");
}

#[tokio::test]
async fn slashes_and_empty_segments_change_no_path_on_either_listener() {
    let bridge = Bridge::start().await;
    let paths: [&[&str]; 5] = [
        &["", PROFILE],
        &["/adeunis-pulse4-nbiot"],
        &["adeunis-pulse4-nbiot/"],
        &["", PROFILE, ""],
        &["/", PROFILE, "/"],
    ];
    for (to, payload) in payloads(&bridge) {
        for path in paths {
            assert_eq!(code_of(to, &post(path, &[], &payload)).await, "2.04", "{path:?}");
        }
    }
    assert_eq!(bridge.stop().await.len(), 2 * paths.len());
}

#[tokio::test]
async fn options_that_change_nothing_are_ignored_on_every_listener() {
    let bridge = Bridge::start().await;
    let cases: [&[(u16, &[u8])]; 7] = [
        // Accept: any, an octet stream, CBOR.
        &[(17, b"")],
        &[(17, b"\x2a"), (12, b"\x2a")],
        &[(3, b"bridge.example"), (7, b"\x16\x33"), (15, b"imei=1"), (17, b"\x3c")],
        // If-Match: the resource exists. Block2: blocks of 1,024 bytes, if there were several.
        &[(1, b"")],
        &[(23, b"\x06")],
        &[(2049, b"\x08\x00"), (2053, b"\x08\x00")],
        // Observe, Hop-Limit, Size1, Echo, No-Response, Request-Tag.
        &[(6, b""), (16, b"\x08"), (60, b"\x17"), (252, b"\x01"), (258, b"\x02"), (292, b"\x01")],
    ];
    let measured = hex::decode(&TO_THINGSBOARD[32..]).unwrap();
    for options in cases {
        for (to, payload) in payloads(&bridge) {
            assert_eq!(code_of(to, &post(&[PROFILE], options, &payload)).await, "2.04", "{options:?}");
        }
        assert_eq!(code_of(bridge.efento, &post(&["m"], options, &measured)).await, "2.01", "{options:?}");
        assert_eq!(code_of(bridge.efento, &post(&["t"], options, &[])).await, "2.05", "{options:?}");
    }
    assert_eq!(bridge.stop().await.len(), 3 * cases.len());
}

#[tokio::test]
async fn a_whole_body_in_one_block_is_taken_and_acknowledged_as_block_0() {
    let bridge = Bridge::start().await;
    for (szx, echoed) in [(b"".as_slice(), b"".as_slice()), (b"\x00", b""), (b"\x02", b"\x02"), (b"\x06", b"\x06")] {
        for (to, payload) in payloads(&bridge) {
            let answer = asked(to, &post(&[PROFILE], &[(27, szx)], &payload).to_bytes().unwrap()).await;
            assert_eq!(answer.header.get_code(), "2.04");
            assert_eq!(answer.get_first_option(CoapOption::Block1).map(Vec::as_slice), Some(echoed));
        }
    }
    assert_eq!(bridge.stop().await.len(), 8);
}

#[tokio::test]
async fn a_body_in_several_blocks_is_refused_with_the_size_of_one_message() {
    let bridge = Bridge::start().await;
    let blocks = [(b"\x08".as_slice(), "4.13"), (b"\x18", "4.08"), (b"\x10", "4.08")];
    for (block1, expected) in blocks {
        let request = post(&[PROFILE], &[(27, block1)], &document::bytes("Payload")[..16]).to_bytes().unwrap();
        let answer = asked(bridge.coap_trusted, &request).await;
        assert_eq!(answer.header.get_code(), expected);
        // 2,048 bytes without 32 of header, token, options and marker.
        let size = (expected == "4.13").then_some([0x07, 0xE0].as_slice());
        assert_eq!(answer.get_first_option(CoapOption::Size1).map(Vec::as_slice), size);
        assert!(answer.to_bytes().unwrap().len() <= request.len());
        assert_eq!(code_of(bridge.efento, &post(&["m"], &[(27, block1)], &[0x0A])).await, expected);
    }
    assert_eq!(metric(bridge.http, "refused_total{reason=\"critical-option\"}").await, 6);
    assert_eq!(bridge.stop().await, []);
}

#[tokio::test]
async fn what_the_bridge_does_not_do_is_answered_by_its_code_on_every_listener() {
    let bridge = Bridge::start().await;
    let cases: [(u16, &[u8], &str); 9] = [
        // If-Match with a tag and If-None-Match; Proxy-Uri, Proxy-Scheme.
        (1, b"\x01\x02", "4.12"),
        (5, b"", "4.12"),
        (35, b"coap://meter.example/m", "5.05"),
        (39, b"coap", "5.05"),
        // OSCORE, Q-Block1, an option for experiments; a second block of the answer; the reserved block size.
        (9, b"\x09", "4.02"),
        (19, b"\x06", "4.02"),
        (65_001, b"", "4.02"),
        (23, b"\x16", "4.00"),
        (27, b"\x07", "4.00"),
    ];
    let measured = hex::decode(&TO_THINGSBOARD[32..]).unwrap();
    for (number, value, expected) in cases {
        for (to, payload) in payloads(&bridge) {
            let packet = post(&[PROFILE], &[(number, value)], &payload);
            assert_eq!(code_of(to, &packet).await, expected, "{number}");
        }
        assert_eq!(code_of(bridge.efento, &post(&["m"], &[(number, value)], &measured)).await, expected, "{number}");
    }
    assert_eq!(bridge.stop().await, []);
}

#[tokio::test]
async fn options_around_an_unproved_payload_get_no_answer_on_a_sealed_listener() {
    let bridge = Bridge::start().await;
    let meter = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for (number, value) in [(17, b"\x2a".as_slice()), (27, b"\x06"), (27, b"\x0e"), (35, b"coap://m"), (9, b"\x09")] {
        let packet = post(&[PROFILE], &[(number, value)], &document::bytes("Payload"));
        meter.send_to(&packet.to_bytes().unwrap(), bridge.coap).await.unwrap();
    }
    // The bridge reads the datagrams in the kernel's buffer before it stops.
    assert_eq!(bridge.stop().await, []);
    assert!(meter.try_recv(&mut [0; 64]).is_err());
}
