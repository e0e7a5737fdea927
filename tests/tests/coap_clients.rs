//! CoAP clients against the bridge: libcoap's, aiocoap, and the reference client. A relay records the messages on the
//! wire.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::{Command, Output};

use pulsegate_model::at::At;
use pulsegate_model::codec::efento;
use pulsegate_model::uplink::{TimeSource, Uplink};
use pulsegate_tests::bridge::{ANSWER_TIMEOUT, Bridge, PROFILE, metric};
use pulsegate_tests::clients::{aiocoap, libcoap, reference_client, run};
use pulsegate_tests::document::{bytes, text};
use pulsegate_tests::relay::{Relay, Seen};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use udp_bridge::intake;

/// Time-outs of a client in seconds: where an answer is expected, and where none is.
const ANSWER_SECONDS: &str = "20";
const SILENCE_SECONDS: &str = "2";

/// Types and codes in the header of a CoAP message.
const CON: u8 = 0;
const NON: u8 = 1;
const ACK: u8 = 2;
const CREATED: &str = "2.01";
const CHANGED: &str = "2.04";
const EMPTY: &str = "0.00";

/// A client of another project.
#[derive(Debug, Clone, Copy)]
enum Client {
    Libcoap,
    Aiocoap,
}

/// A request to make.
#[derive(Debug, Clone)]
struct Request {
    method: &'static str,
    confirmable: bool,
    path: &'static str,
    payload: Vec<u8>,
    seconds: &'static str,
}

impl Request {
    fn post(payload: Vec<u8>) -> Self {
        Self { method: "post", confirmable: true, path: PROFILE, payload, seconds: ANSWER_SECONDS }
    }
}

/// The answer as the client prints it: code and payload, or `None` if there was none.
type Answer = Option<(String, Vec<u8>)>;

impl Client {
    const ALL: [Self; 2] = [Self::Libcoap, Self::Aiocoap];

    /// Makes a request. The outer `None` means that the client is not installed.
    async fn ask(self, to: SocketAddr, request: &Request) -> Option<Answer> {
        let output = run(self.command(to, request)?).await;
        Some(self.answer(&output))
    }

    fn command(self, to: SocketAddr, request: &Request) -> Option<Command> {
        let uri = format!("coap://{to}/{}", request.path);
        match self {
            Self::Libcoap => {
                let mut client = libcoap()?;
                let payload: String =
                    request.payload.iter().flat_map(|byte| ["%".to_owned(), hex::encode([*byte])]).collect();
                client.args(["-m", request.method, "-B", request.seconds, "-e", &payload]);
                client.args((!request.confirmable).then_some("-N")).arg(uri);
                Some(client)
            }
            Self::Aiocoap => {
                let mut client = aiocoap()?;
                let transport = if request.confirmable { "con" } else { "non" };
                client.args([&request.method.to_uppercase(), transport, &hex::encode(&request.payload)]);
                client.args([request.seconds, &uri]);
                Some(client)
            }
        }
    }

    fn answer(self, output: &Output) -> Answer {
        let printed = String::from_utf8_lossy(&output.stdout);
        match self {
            // libcoap prints the payload of a successful answer with a line feed, and the code of an error on standard
            // error.
            Self::Libcoap if output.stderr.is_empty() && output.stdout.trim_ascii().is_empty() => None,
            Self::Libcoap if output.stderr.is_empty() => {
                Some((CHANGED.to_owned(), output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout).to_owned()))
            }
            Self::Libcoap => Some((String::from_utf8_lossy(&output.stderr).trim().to_owned(), Vec::new())),
            Self::Aiocoap if printed.trim() == "silence" => None,
            Self::Aiocoap => {
                let (code, payload) = printed.split_once(' ').unwrap_or_else(|| panic!("{output:?}"));
                Some((code.to_owned(), hex::decode(payload.trim()).unwrap()))
            }
        }
    }
}

/// Returns type and code of each message from the bridge.
fn answers(seen: &Seen) -> Vec<(u8, String)> {
    let head = |message: &Vec<u8>| (message[0] >> 4 & 3, format!("{}.{:02}", message[1] >> 5, message[1] & 31));
    seen.down.iter().map(head).collect()
}

fn answer(kind: u8, code: &str) -> (u8, String) {
    (kind, code.to_owned())
}

/// Returns the header that acknowledges an uplink on a trusted listener.
fn vendors_acknowledgement() -> Vec<u8> {
    bytes("Payload")[..13].to_vec()
}

fn assert_refused(answer: &Answer, code: &str) {
    assert_eq!(answer.as_ref().map(|(code, _)| code.as_str()), Some(code));
}

/// Asserts that the acknowledgement is the documented one, except for the time and therefore the tag.
fn assert_acknowledges(answer: &Answer) {
    let (code, payload) = answer.as_ref().expect("an answer");
    assert_eq!((code.as_str(), payload.len()), (CHANGED, bytes("Acknowledgement").len()));
    assert_eq!(payload[..14], bytes("Acknowledgement")[..14]);
}

#[tokio::test]
async fn a_confirmable_post_is_answered_piggybacked_by_the_sealed_acknowledgement() {
    for client in Client::ALL {
        let bridge = Bridge::start().await;
        let relay = Relay::start(bridge.coap, 0).await;
        let Some(received) = client.ask(relay.addr, &Request::post(bytes("Uplink"))).await else { continue };
        assert_acknowledges(&received);
        assert_eq!(answers(&relay.seen()), [answer(ACK, CHANGED)], "{client:?}");
        let uplinks = bridge.stop().await;
        assert_eq!(uplinks[0].device.to_string(), text("device ID"));
        assert_eq!(uplinks[0].payload.bytes(), bytes("Payload"));
    }
}

#[tokio::test]
async fn a_path_with_slashes_an_accepted_format_and_a_block_size_change_no_answer() {
    for client in Client::ALL {
        let bridge = Bridge::start().await;
        let relay = Relay::start(bridge.coap_trusted, 0).await;
        let request = Request { path: "adeunis-pulse4-nbiot/", ..Request::post(bytes("Payload")) };
        let Some(mut command) = client.command(relay.addr, &request) else { continue };
        if let Client::Libcoap = client {
            command.args(["-A", "42", "-b", "64"]);
        }
        let received = client.answer(&run(command).await);
        assert_eq!(received, Some((CHANGED.to_owned(), vendors_acknowledgement())), "{client:?}");
        let seen = relay.seen();
        // Both send an empty last segment; libcoap also Accept, and Block1 around the whole body.
        let options: &[u8] = if let Client::Libcoap = client { &[0x61, 0x2A, 0xA1, 0x02] } else { &[] };
        let sent = [PROFILE.as_bytes(), &[0x00], options, &[0xFF]].concat();
        assert!(seen.up[0].windows(sent.len()).any(|window| window == sent), "{client:?}: {:02x?}", seen.up[0]);
        assert_eq!(bridge.stop().await[0].payload.bytes(), bytes("Payload"));
    }
}

#[tokio::test]
async fn a_confirmable_post_to_a_trusted_listener_is_answered_by_the_vendors_acknowledgement() {
    for client in Client::ALL {
        let bridge = Bridge::start().await;
        let relay = Relay::start(bridge.coap_trusted, 0).await;
        let Some(received) = client.ask(relay.addr, &Request::post(bytes("Payload"))).await else { continue };
        assert_eq!(received, Some((CHANGED.to_owned(), vendors_acknowledgement())), "{client:?}");
        assert_eq!(answers(&relay.seen()), [answer(ACK, CHANGED)], "{client:?}");
        assert_eq!(bridge.stop().await[0].payload.bytes(), bytes("Payload"));
    }
}

#[tokio::test]
async fn what_takes_long_is_promised_by_an_empty_ack_and_answered_separately() {
    for client in Client::ALL {
        let bridge = Bridge::start().await;
        let relay = Relay::start(bridge.coap, 0).await;
        bridge.stream.set_held(true);
        let Some(command) = client.command(relay.addr, &Request::post(bytes("Uplink"))) else { continue };
        let asking = tokio::spawn(run(command));
        relay.until(|seen| !seen.down.is_empty()).await;
        bridge.stream.set_held(false);
        assert_acknowledges(&client.answer(&asking.await.unwrap()));
        assert_separate(&relay).await;
        assert_eq!(bridge.stop().await.len(), 1, "{client:?}");
    }
}

#[tokio::test]
async fn what_takes_long_in_the_clear_is_promised_by_an_empty_ack_and_answered_once() {
    for client in Client::ALL {
        let bridge = Bridge::start().await;
        let relay = Relay::start(bridge.coap_trusted, 0).await;
        bridge.stream.set_held(true);
        let Some(command) = client.command(relay.addr, &Request::post(bytes("Payload"))) else { continue };
        let asking = tokio::spawn(run(command));
        relay.until(|seen| !seen.down.is_empty()).await;
        bridge.stream.set_held(false);
        let received = client.answer(&asking.await.unwrap());
        assert_eq!(received, Some((CHANGED.to_owned(), vendors_acknowledgement())), "{client:?}");
        assert_eq!(answers(&relay.seen()), [answer(ACK, EMPTY), answer(NON, CHANGED)], "{client:?}");
        assert_eq!(bridge.stop().await.len(), 1);
    }
}

/// Asserts an empty ACK, then a confirmable answer that the client has acknowledged with its message ID.
async fn assert_separate(relay: &Relay) {
    relay.until(|seen| seen.up.last().is_some_and(|last| last.len() == 4)).await;
    let seen = relay.seen();
    assert_eq!(answers(&seen), [answer(ACK, EMPTY), answer(CON, CHANGED)]);
    assert_eq!(seen.up.last().unwrap()[..2], bytes("CoAP empty ACK of the meter")[..2]);
    assert_eq!(seen.up.last().unwrap()[2..], seen.down[1][2..4]);
}

#[tokio::test]
async fn a_non_confirmable_post_is_answered_non_confirmable() {
    for client in Client::ALL {
        let bridge = Bridge::start().await;
        let relay = Relay::start(bridge.coap, 0).await;
        let request = Request { confirmable: false, ..Request::post(bytes("Uplink")) };
        let Some(received) = client.ask(relay.addr, &request).await else { continue };
        assert_acknowledges(&received);
        assert_eq!(answers(&relay.seen()), [answer(NON, CHANGED)], "{client:?}");
        assert_eq!(bridge.stop().await.len(), 1);
    }
}

#[tokio::test]
async fn an_unknown_profile_is_answered_404_and_another_method_405_on_either_listener() {
    for client in Client::ALL {
        let bridge = Bridge::start().await;
        for (to, payload) in [(bridge.coap, bytes("Uplink")), (bridge.coap_trusted, bytes("Payload"))] {
            let unknown = Request { path: "acme-1", ..Request::post(payload.clone()) };
            let Some(received) = client.ask(to, &unknown).await else { continue };
            assert_refused(&received, "4.04");
            let put = Request { method: "put", ..Request::post(payload) };
            assert_refused(&client.ask(to, &put).await.unwrap(), "4.05");
        }
        assert_eq!(bridge.stop().await, []);
    }
}

#[tokio::test]
async fn a_payload_that_names_no_meter_is_answered_400_on_a_trusted_listener() {
    for client in Client::ALL {
        let bridge = Bridge::start().await;
        let noise = Request::post(vec![0xFF; 15]);
        let Some(received) = client.ask(bridge.coap_trusted, &noise).await else { continue };
        assert_refused(&received, "4.00");
        assert_eq!(bridge.stop().await, []);
    }
}

#[tokio::test]
async fn a_stream_that_accepts_nothing_is_answered_503() {
    for client in Client::ALL {
        let bridge = Bridge::start().await;
        bridge.stream.set_down(true);
        let Some(received) = client.ask(bridge.coap, &Request::post(bytes("Uplink"))).await else { continue };
        assert_refused(&received, "5.03");
        assert_eq!(bridge.stop().await, []);
    }
}

#[tokio::test]
async fn who_proves_nothing_gets_no_answer_on_a_sealed_listener_whatever_is_asked() {
    let mut forged = bytes("Uplink");
    forged[18] ^= 1;
    for client in Client::ALL {
        let bridge = Bridge::start().await;
        let relay = Relay::start(bridge.coap, 0).await;
        for (method, path) in [("post", PROFILE), ("put", "acme-1")] {
            for payload in [forged.clone(), bytes("Payload")] {
                let request = Request { method, confirmable: true, path, payload, seconds: SILENCE_SECONDS };
                let Some(received) = client.ask(relay.addr, &request).await else { continue };
                assert_eq!(received, None, "{client:?}");
            }
        }
        // An authenticated client is answered; no earlier request was.
        let Some(received) = client.ask(relay.addr, &Request::post(bytes("Uplink"))).await else { continue };
        assert_acknowledges(&received);
        assert_eq!(answers(&relay.seen()), [answer(ACK, CHANGED)], "{client:?}");
        assert_eq!(bridge.stop().await.len(), 1);
    }
}

/// Returns a request as an Efento logger makes it.
fn to_efento(path: &'static str, hex: &str) -> Request {
    Request { path, ..Request::post(hex::decode(hex).unwrap()) }
}

/// Starts a bridge at the time at which the message was captured.
async fn bridge_of_2025() -> Bridge {
    Bridge::start_at(PROFILE, || At::from_unix(1_749_674_110).unwrap(), |_| {}).await
}

/// A message captured from an Efento device.
const MEASURED: &str = "0a06282c02424eed1001183c220f080110b8d0a7c20620d2032a020000220e080210b8d0a7c20620722a0200002896d5a7c20640014809820100";

/// Asserts a 2.01 with the time of this minute.
fn assert_has_the_time(received: &Answer, relay: &Relay, kind: u8) {
    let (_, payload) = received.as_ref().expect("an answer");
    let now = u32::try_from(intake::now().unix()).unwrap();
    assert!((now - 60..=now).any(|time| efento::reply(time, false) == *payload), "{payload:02x?}");
    assert_eq!(answers(&relay.seen()).last(), Some(&answer(kind, CREATED)));
}

#[tokio::test]
async fn an_efento_loggers_measurements_are_answered_201_with_the_time_and_repeated_are_one_uplink() {
    for client in Client::ALL {
        let bridge = bridge_of_2025().await;
        let relay = Relay::start(bridge.efento, 0).await;
        let changed = MEASURED.replace("20d203", "20d403");
        for payload in [MEASURED, MEASURED, &changed] {
            let Some(received) = client.ask(relay.addr, &to_efento("m", payload)).await else { continue };
            assert_has_the_time(&received, &relay, ACK);
        }
        let uplinks = bridge.stop().await;
        let Some(first) = uplinks.first() else { continue };
        assert_eq!((first.device.to_string().as_str(), first.profile.as_str()), ("nbiot:282C02424EED", "efento"));
        assert_eq!((first.at.to_string().as_str(), first.time_source), ("2025-06-11T20:35:00Z", TimeSource::Device));
        assert_eq!(hex::encode(first.payload.bytes()), MEASURED);
        let keys: BTreeSet<_> = uplinks.iter().map(Uplink::key).collect();
        assert_eq!((uplinks.len(), keys.len()), (3, 2), "{client:?}");
    }
}

#[tokio::test]
async fn an_efento_logger_hears_nothing_before_its_message_is_durable_and_500_if_it_does_not_become_so() {
    for client in Client::ALL {
        let bridge = bridge_of_2025().await;
        let relay = Relay::start(bridge.efento, 0).await;
        bridge.stream.set_held(true);
        let Some(command) = client.command(relay.addr, &to_efento("m", MEASURED)) else { continue };
        let asking = tokio::spawn(run(command));
        // The client repeats after two seconds; an empty acknowledgement would have been sent after one.
        relay.until(|seen| seen.up.len() > 1).await;
        assert_eq!(relay.seen().down.len(), 0, "{client:?}");
        bridge.stream.set_held(false);
        assert_has_the_time(&client.answer(&asking.await.unwrap()), &relay, ACK);
        bridge.stream.set_down(true);
        assert_refused(&client.ask(bridge.efento, &to_efento("m", MEASURED)).await.unwrap(), "5.00");
        let keys: BTreeSet<_> = bridge.stop().await.iter().map(Uplink::key).collect();
        assert_eq!(keys.len(), 1, "{client:?}");
    }
}

#[tokio::test]
async fn what_an_efento_logger_says_of_itself_is_kept_and_the_time_is_told_and_not_kept() {
    for client in Client::ALL {
        let bridge = bridge_of_2025().await;
        let relay = Relay::start(bridge.efento, 0).await;
        for (path, payload) in [("c", "ca0106282c02424eed"), ("i", "0a06282c02424eed")] {
            let Some(received) = client.ask(relay.addr, &to_efento(path, payload)).await else { continue };
            assert_has_the_time(&received, &relay, ACK);
        }
        let Some(received) = client.ask(relay.addr, &to_efento("t", "")).await else { continue };
        assert_eq!((received.unwrap().1.len(), answers(&relay.seen()).last()), (4, Some(&answer(ACK, "2.05"))));
        assert_eq!(metric(bridge.http, "asked_total").await, 1);
        let profiles: Vec<_> = bridge.stop().await.iter().map(|uplink| uplink.profile.as_str().to_owned()).collect();
        assert_eq!(profiles, ["efento-configuration", "efento-device-info"], "{client:?}");
    }
}

#[tokio::test]
async fn an_efento_message_that_is_not_confirmable_is_not_answered_but_what_is_to_be_kept_is() {
    for client in Client::ALL {
        let bridge = bridge_of_2025().await;
        for (path, payload) in [("m", MEASURED), ("t", "")] {
            let request = Request { confirmable: false, seconds: SILENCE_SECONDS, ..to_efento(path, payload) };
            let Some(received) = client.ask(bridge.efento, &request).await else { return };
            assert_eq!(received, None, "{client:?} {path}");
        }
        assert_eq!(metric(bridge.http, "asked_total").await, 1);
        assert_eq!(bridge.stop().await.len(), 1);
    }
}

#[tokio::test]
async fn the_reference_client_is_acknowledged_at_once_and_later() {
    for held in [false, true] {
        let bridge = Bridge::start().await;
        let relay = Relay::start(bridge.coap, 0).await;
        let Some(mut client) = reference_client() else { return };
        client.args(["--key", &hex::encode(bytes("Device key")), "--time", "1795176000", "--coap", PROFILE]);
        client.args([&relay.addr.ip().to_string(), &relay.addr.port().to_string(), "490154203237518", "7"]);
        client.arg(hex::encode(bytes("Payload")));
        bridge.stream.set_held(held);
        let running = tokio::spawn(run(client));
        relay.until(|seen| !held || !seen.down.is_empty()).await;
        bridge.stream.set_held(false);
        let output = running.await.unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(relay.seen().up[0], bytes("CoAP request"));
        if held {
            assert_separate(&relay).await;
        }
        assert_eq!(bridge.stop().await.len(), 1);
    }
}

#[tokio::test]
async fn the_documented_request_is_answered_as_documented_but_for_the_time() {
    let bridge = Bridge::start().await;
    let meter = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    meter.send_to(&bytes("CoAP request"), bridge.coap).await.unwrap();
    let (mut buffer, documented) = ([0; 64], bytes("CoAP piggybacked answer"));
    let len = timeout(ANSWER_TIMEOUT, meter.recv(&mut buffer)).await.expect("an answer in time").unwrap();
    let time = documented.len() - 12;
    assert_eq!((len, hex::encode(&buffer[..time])), (documented.len(), hex::encode(&documented[..time])));
}
