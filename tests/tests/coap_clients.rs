//! CoAP clients of others against the bridge: libcoap's, aiocoap, and the reference client. A relay between the two tells
//! what was on the wire.

use std::net::SocketAddr;
use std::process::{Command, Output};

use pulsegate_tests::bridge::{Bridge, PATIENCE, PROFILE};
use pulsegate_tests::clients::{aiocoap, libcoap, reference_client, run};
use pulsegate_tests::document::{bytes, text};
use pulsegate_tests::relay::{Relay, Seen};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Seconds until a client gives up where an answer is expected, and where none is.
const PATIENT: &str = "20";
const IMPATIENT: &str = "2";

/// Of the header of a CoAP message.
const CON: u8 = 0;
const NON: u8 = 1;
const ACK: u8 = 2;
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
    let len = timeout(PATIENCE, meter.recv(&mut buffer)).await.expect("an answer").unwrap();
    let time = documented.len() - 12;
    assert_eq!((len, hex::encode(&buffer[..time])), (documented.len(), hex::encode(&documented[..time])));
}
