//! CoAP clients of others against the bridge: libcoap's, aiocoap, and the reference client. A relay between the two tells
//! what was on the wire.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::{Command, Output};

use pulsegate_model::codec::efento;
use pulsegate_model::uplink::{TimeSource, Uplink};
use pulsegate_tests::bridge::{ANSWER_TIMEOUT, Bridge, PROFILE, metric};
use pulsegate_tests::clients::{aiocoap, libcoap, reference_client, run};
use pulsegate_tests::document::{bytes, text};
use pulsegate_tests::relay::{Relay, Seen};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use udp_bridge::intake;

/// Seconds until a client gives up where an answer is expected, and where none is.
const PATIENT: &str = "20";
const IMPATIENT: &str = "2";

/// Of the header of a CoAP message.
const CON: u8 = 0;
const NON: u8 = 1;
const ACK: u8 = 2;
const CREATED: &str = "2.01";
const CHANGED: &str = "2.04";
const EMPTY: &str = "0.00";

/// A client of others' making.
#[derive(Debug, Clone, Copy)]
enum Client {
    Libcoap,
    Aiocoap,
}

/// What is asked.
#[derive(Debug, Clone)]
struct Request {
    method: &'static str,
    confirmable: bool,
    path: &'static str,
    payload: Vec<u8>,
    patience: &'static str,
}

impl Request {
    fn post(payload: Vec<u8>) -> Self {
        Self { method: "post", confirmable: true, path: PROFILE, payload, patience: PATIENT }
    }
}

/// What the client says of the answer: its code and its payload, or `None` if there was none.
type Answer = Option<(String, Vec<u8>)>;

impl Client {
    const ALL: [Self; 2] = [Self::Libcoap, Self::Aiocoap];

    /// Asks; the outer `None` says that the client is not there.
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
                client.args(["-m", request.method, "-B", request.patience, "-e", &payload]);
                client.args((!request.confirmable).then_some("-N")).arg(uri);
                Some(client)
            }
            Self::Aiocoap => {
                let mut client = aiocoap()?;
                let transport = if request.confirmable { "con" } else { "non" };
                client.args([&request.method.to_uppercase(), transport, &hex::encode(&request.payload)]);
                client.args([request.patience, &uri]);
                Some(client)
            }
        }
    }

    fn answer(self, output: &Output) -> Answer {
        let said = String::from_utf8_lossy(&output.stdout);
        match self {
            // It prints the payload of a good answer and a line feed, and the code of a bad one on standard error.
            Self::Libcoap if output.stderr.is_empty() && output.stdout.trim_ascii().is_empty() => None,
            Self::Libcoap if output.stderr.is_empty() => {
                Some((CHANGED.to_owned(), output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout).to_owned()))
            }
            Self::Libcoap => Some((String::from_utf8_lossy(&output.stderr).trim().to_owned(), Vec::new())),
            Self::Aiocoap if said.trim() == "silence" => None,
            Self::Aiocoap => {
                let (code, payload) = said.split_once(' ').unwrap_or_else(|| panic!("{output:?}"));
                Some((code.to_owned(), hex::decode(payload.trim()).unwrap()))
            }
        }
    }
}

/// Type and code of each message the bridge sent.
fn answers(seen: &Seen) -> Vec<(u8, String)> {
    let head = |message: &Vec<u8>| (message[0] >> 4 & 3, format!("{}.{:02}", message[1] >> 5, message[1] & 31));
    seen.down.iter().map(head).collect()
}

fn answer(kind: u8, code: &str) -> (u8, String) {
    (kind, code.to_owned())
}

/// The header of the acknowledgement that an uplink gets on a trusted listener.
fn vendors_acknowledgement() -> Vec<u8> {
    bytes("Payload")[..13].to_vec()
}

fn assert_refused(answer: &Answer, code: &str) {
    assert_eq!(answer.as_ref().map(|(code, _)| code.as_str()), Some(code));
}

/// The acknowledgement is the documented one, but for the time, and so the tag.
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
        let Some(said) = client.ask(relay.addr, &Request::post(bytes("Uplink"))).await else { continue };
        assert_acknowledges(&said);
        assert_eq!(answers(&relay.seen()), [answer(ACK, CHANGED)], "{client:?}");
        let uplinks = bridge.stop().await;
        assert_eq!(uplinks[0].device.to_string(), text("device ID"));
        assert_eq!(uplinks[0].payload.bytes(), bytes("Payload"));
    }
}

#[tokio::test]
async fn a_confirmable_post_to_a_trusted_listener_is_answered_by_the_vendors_acknowledgement() {
    for client in Client::ALL {
        let bridge = Bridge::start().await;
        let relay = Relay::start(bridge.coap_trusted, 0).await;
        let Some(said) = client.ask(relay.addr, &Request::post(bytes("Payload"))).await else { continue };
        assert_eq!(said, Some((CHANGED.to_owned(), vendors_acknowledgement())), "{client:?}");
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
        let said = client.answer(&asking.await.unwrap());
        assert_eq!(said, Some((CHANGED.to_owned(), vendors_acknowledgement())), "{client:?}");
        assert_eq!(answers(&relay.seen()), [answer(ACK, EMPTY), answer(NON, CHANGED)], "{client:?}");
        assert_eq!(bridge.stop().await.len(), 1);
    }
}

/// An empty ACK, then a confirmable answer, which the client has acknowledged by its message ID.
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
        let Some(said) = client.ask(relay.addr, &request).await else { continue };
        assert_acknowledges(&said);
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
            let Some(said) = client.ask(to, &unknown).await else { continue };
            assert_refused(&said, "4.04");
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
        let Some(said) = client.ask(bridge.coap_trusted, &noise).await else { continue };
        assert_refused(&said, "4.00");
        assert_eq!(bridge.stop().await, []);
    }
}

#[tokio::test]
async fn a_stream_that_accepts_nothing_is_answered_503() {
    for client in Client::ALL {
        let bridge = Bridge::start().await;
        bridge.stream.set_down(true);
        let Some(said) = client.ask(bridge.coap, &Request::post(bytes("Uplink"))).await else { continue };
        assert_refused(&said, "5.03");
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
                let request = Request { method, confirmable: true, path, payload, patience: IMPATIENT };
                let Some(said) = client.ask(relay.addr, &request).await else { continue };
                assert_eq!(said, None, "{client:?}");
            }
        }
        // Whoever proves something beside them is answered, and nobody else was.
        let Some(said) = client.ask(relay.addr, &Request::post(bytes("Uplink"))).await else { continue };
        assert_acknowledges(&said);
        assert_eq!(answers(&relay.seen()), [answer(ACK, CHANGED)], "{client:?}");
        assert_eq!(bridge.stop().await.len(), 1);
    }
}

/// As an Efento logger does.
fn to_efento(path: &'static str, hex: &str) -> Request {
    Request { path, ..Request::post(hex::decode(hex).unwrap()) }
}

/// Captured from an Efento device.
const MEASURED: &str = "0a06282c02424eed1001183c220f080110b8d0a7c20620d2032a020000220e080210b8d0a7c20620722a0200002896d5a7c20640014809820100";

/// A 2.01 with the time of this minute.
fn assert_told_the_time(said: &Answer, relay: &Relay, kind: u8) {
    let (_, payload) = said.as_ref().expect("an answer");
    let now = u32::try_from(intake::now().unix()).unwrap();
    assert!((now - 60..=now).any(|time| efento::reply(time, false) == *payload), "{payload:02x?}");
    assert_eq!(answers(&relay.seen()).last(), Some(&answer(kind, CREATED)));
}

#[tokio::test]
async fn an_efento_loggers_measurements_are_answered_201_with_the_time_and_repeated_are_one_uplink() {
    for client in Client::ALL {
        let bridge = Bridge::start().await;
        let relay = Relay::start(bridge.efento, 0).await;
        let changed = MEASURED.replace("20d203", "20d403");
        for payload in [MEASURED, MEASURED, &changed] {
            let Some(said) = client.ask(relay.addr, &to_efento("m", payload)).await else { continue };
            assert_told_the_time(&said, &relay, ACK);
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
        let bridge = Bridge::start().await;
        let relay = Relay::start(bridge.efento, 0).await;
        bridge.stream.set_held(true);
        let Some(command) = client.command(relay.addr, &to_efento("m", MEASURED)) else { continue };
        let asking = tokio::spawn(run(command));
        // It repeats itself after two seconds; an empty acknowledgement would have come after one.
        relay.until(|seen| seen.up.len() > 1).await;
        assert_eq!(relay.seen().down.len(), 0, "{client:?}");
        bridge.stream.set_held(false);
        assert_told_the_time(&client.answer(&asking.await.unwrap()), &relay, ACK);
        bridge.stream.set_down(true);
        assert_refused(&client.ask(bridge.efento, &to_efento("m", MEASURED)).await.unwrap(), "5.00");
        let keys: BTreeSet<_> = bridge.stop().await.iter().map(Uplink::key).collect();
        assert_eq!(keys.len(), 1, "{client:?}");
    }
}

#[tokio::test]
async fn what_an_efento_logger_says_of_itself_is_kept_and_the_time_is_told_and_not_kept() {
    for client in Client::ALL {
        let bridge = Bridge::start().await;
        let relay = Relay::start(bridge.efento, 0).await;
        for (path, payload) in [("c", "ca0106282c02424eed"), ("i", "0a06282c02424eed")] {
            let Some(said) = client.ask(relay.addr, &to_efento(path, payload)).await else { continue };
            assert_told_the_time(&said, &relay, ACK);
        }
        let Some(said) = client.ask(relay.addr, &to_efento("t", "")).await else { continue };
        assert_eq!((said.unwrap().1.len(), answers(&relay.seen()).last()), (4, Some(&answer(ACK, "2.05"))));
        assert_eq!(metric(bridge.http, "asked_total").await, 1);
        let profiles: Vec<_> = bridge.stop().await.iter().map(|uplink| uplink.profile.as_str().to_owned()).collect();
        assert_eq!(profiles, ["efento-configuration", "efento-device-info"], "{client:?}");
    }
}

#[tokio::test]
async fn an_efento_message_that_is_not_confirmable_is_not_answered_but_what_is_to_be_kept_is() {
    for client in Client::ALL {
        let bridge = Bridge::start().await;
        for (path, payload) in [("m", MEASURED), ("t", "")] {
            let request = Request { confirmable: false, patience: IMPATIENT, ..to_efento(path, payload) };
            let Some(said) = client.ask(bridge.efento, &request).await else { return };
            assert_eq!(said, None, "{client:?} {path}");
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
    let len = timeout(ANSWER_TIMEOUT, meter.recv(&mut buffer)).await.expect("an answer").unwrap();
    let time = documented.len() - 12;
    assert_eq!((len, hex::encode(&buffer[..time])), (documented.len(), hex::encode(&documented[..time])));
}
