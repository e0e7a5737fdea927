//! The reference client in C, with the worked examples of `docs/nbiot-protocol.md` and with the bridge.

use std::net::SocketAddr;
use std::process::{Command, Output};

use pulsegate_model::at::At;
use pulsegate_model::clock::ClockCheck;
use pulsegate_model::uplink::TimeSource;
use pulsegate_tests::bridge::{ANSWER_TIMEOUT, Bridge, PROFILE};
use pulsegate_tests::clients::{reference_client, run};
use pulsegate_tests::document::{block, bytes, text};
use pulsegate_tests::relay::Relay;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use udp_bridge::intake;

const ACKNOWLEDGED: Option<i32> = Some(0);
const WRONG_USAGE: Option<i32> = Some(2);
const UNANSWERED: Option<i32> = Some(3);
const REFUSED: Option<i32> = Some(4);

/// Returns the command that sends the worked example to this address.
fn example(to: SocketAddr, options: &[&str]) -> Option<Command> {
    with_key(to, &hex::encode(bytes("Device key")), options)
}

fn with_key(to: SocketAddr, key: &str, options: &[&str]) -> Option<Command> {
    let mut client = reference_client()?;
    client.args(["--key", key, "--time", "1795176000", "--pause", "100"]).args(options);
    client.args([&to.ip().to_string(), &to.port().to_string(), "490154203237518", "7"]);
    client.arg(hex::encode(bytes("Payload")));
    Some(client)
}

/// A scripted bridge.
struct Script {
    socket: UdpSocket,
    client: JoinHandle<Output>,
    last: Vec<u8>,
}

impl Script {
    async fn start(options: &[&str]) -> Option<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let client = example(socket.local_addr().unwrap(), options)?;
        Some(Self::with(socket, client))
    }

    fn with(socket: UdpSocket, client: Command) -> Self {
        Self { socket, client: tokio::spawn(run(client)), last: Vec::new() }
    }

    /// Expects a datagram from the client, and answers it. On a slow machine the client may first repeat its previous
    /// one.
    async fn expect(&mut self, sent: &[u8], answers: &[Vec<u8>]) {
        let (mut received, mut client) = self.receive().await;
        while received == self.last && received != sent {
            (received, client) = self.receive().await;
        }
        assert_eq!(hex::encode(&received), hex::encode(sent));
        self.last = received;
        for answer in answers {
            self.socket.send_to(answer, client).await.unwrap();
        }
    }

    async fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 4096];
        let received =
            timeout(ANSWER_TIMEOUT, self.socket.recv_from(&mut buffer)).await.expect("the client sends in time");
        let (len, client) = received.unwrap();
        (buffer[..len].to_vec(), client)
    }

    async fn end(self) -> (Option<i32>, String) {
        ended(&timeout(ANSWER_TIMEOUT, self.client).await.expect("the client ends in time").unwrap())
    }
}

/// Returns exit code and output.
fn ended(output: &Output) -> (Option<i32>, String) {
    let printed = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&printed).into_owned())
}

#[test]
fn the_documents_python_computes_what_the_document_shows() {
    let output = Command::new("python3").arg("-c").arg(block("In Python").join("\n")).output().unwrap();
    let shown = ["PRK", "Device key", "Uplink"].map(|label| hex::encode(bytes(label)) + "\n").concat();
    assert_eq!(ended(&output), (Some(0), shown));
    let info = [text("device ID").as_bytes(), &[1]].concat();
    assert_eq!(bytes("Info and block number"), info);
}

#[test]
fn the_documents_messages_are_made_of_its_parts() {
    for (message, part) in [
        ("Uplink", "Payload"),
        ("CoAP request", "Uplink"),
        ("CoAP piggybacked answer", "Acknowledgement"),
        ("CoAP separate answer", "Acknowledgement"),
    ] {
        let part = hex::encode(bytes(part));
        assert!(hex::encode(bytes(message)).contains(&part), "{message}");
    }
}

#[tokio::test]
async fn the_client_sends_the_documented_uplink_and_takes_the_documented_acknowledgements() {
    for (label, downlink) in [("Acknowledgement", 0), ("Acknowledgement with a downlink", 3)] {
        let Some(mut script) = Script::start(&[]).await else { return };
        script.expect(&bytes("Uplink"), &[bytes(label)]).await;
        let printed = format!("acknowledged at 1795176002, downlink of {downlink} bytes\n");
        assert_eq!(script.end().await, (ACKNOWLEDGED, printed));
    }
}

#[tokio::test]
async fn a_key_made_from_the_master_key_seals_the_same() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let Some(mut client) = reference_client() else { return };
    let port = socket.local_addr().unwrap().port().to_string();
    client.args(["--master", &text("master key 1"), "--time", "1795176000"]);
    client.args(["127.0.0.1", &port, "490154203237518", "7", &hex::encode(bytes("Payload"))]);
    let mut script = Script::with(socket, client);
    script.expect(&bytes("Uplink"), &[bytes("Acknowledgement")]).await;
    assert_eq!(script.end().await.0, ACKNOWLEDGED);
}

#[tokio::test]
async fn an_acknowledgement_with_any_bit_flipped_or_cut_short_is_none() {
    let right = bytes("Acknowledgement");
    let flipped = |bit: usize| {
        let mut forged = right.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        forged
    };
    let mut forged: Vec<_> = (0..8 * right.len()).map(flipped).collect();
    forged.extend((0..right.len()).map(|len| right[..len].to_vec()));
    forged.push(bytes("Uplink"));
    let Some(mut script) = Script::start(&[]).await else { return };
    // Chunks small enough for the client's receive buffer; each of its repetitions has the same bytes.
    for some in forged.chunks(forged.len().div_ceil(5)) {
        script.expect(&bytes("Uplink"), some).await;
    }
    assert_eq!(script.end().await.0, UNANSWERED);
}

#[tokio::test]
async fn the_client_sends_the_documented_coap_request_and_takes_the_piggybacked_answer() {
    let Some(mut script) = Script::start(&["--coap", PROFILE]).await else { return };
    script.expect(&bytes("CoAP request"), &[bytes("CoAP piggybacked answer")]).await;
    assert_eq!(script.end().await.0, ACKNOWLEDGED);
}

#[tokio::test]
async fn a_separate_answer_is_acknowledged_with_an_empty_one() {
    let Some(mut script) = Script::start(&["--coap", PROFILE]).await else { return };
    let answers = [bytes("CoAP empty ACK"), bytes("CoAP separate answer")];
    script.expect(&bytes("CoAP request"), &answers).await;
    script.expect(&bytes("CoAP empty ACK of the meter"), &[]).await;
    assert_eq!(script.end().await.0, ACKNOWLEDGED);
}

#[tokio::test]
async fn a_refusal_is_told_and_an_unavailable_stream_leads_to_the_same_bytes_again() {
    let Some(mut script) = Script::start(&["--coap", PROFILE]).await else { return };
    script.expect(&bytes("CoAP request"), &[bytes("CoAP unavailable")]).await;
    script.expect(&hex::decode("6000b21e").unwrap(), &[]).await;
    script.expect(&bytes("CoAP request"), &[bytes("CoAP refusal")]).await;
    assert_eq!(script.end().await, (REFUSED, "refused: 4.04\n".to_owned()));
}

#[tokio::test]
async fn no_bytes_in_place_of_a_coap_answer_upset_the_client() {
    let right = bytes("CoAP piggybacked answer");
    let mut noise: Vec<_> = (0..right.len()).map(|len| right[..len].to_vec()).collect();
    // Wrong option lengths, a token longer than the message, other versions, an answer to another request.
    for hex in ["64440007000000070d", "64440007000000071e00", "6444000700000007ef", "644400070000000701", "6f440007"] {
        noise.push(hex::decode(hex).unwrap());
    }
    noise.extend([vec![0xFF; 1500], hex::decode("24440007").unwrap(), hex::decode("6144000708ff00").unwrap()]);
    let Some(mut script) = Script::start(&["--coap", PROFILE]).await else { return };
    script.expect(&bytes("CoAP request"), &noise).await;
    // An option before the payload, which RFC 7252 allows, is skipped.
    let with_option = [&right[..8], &[0xC1, 0x2A], &right[8..]].concat();
    script.expect(&bytes("CoAP request"), &[with_option]).await;
    assert_eq!(script.end().await.0, ACKNOWLEDGED);
}

#[tokio::test]
async fn what_the_client_is_told_is_acknowledged_is_durable() {
    let bridge = Bridge::start().await;
    let Some(client) = example(bridge.sealed, &[]) else { return };
    let (code, printed) = ended(&run(client).await);
    assert_eq!(code, ACKNOWLEDGED, "{printed}");
    let uplinks = bridge.stop().await;
    assert_eq!(uplinks[0].device.to_string(), text("device ID"));
    assert_eq!(uplinks[0].key().to_string(), "2026-11-20T12:00:00Z#00007");
    assert_eq!(uplinks[0].payload.bytes(), bytes("Payload"));
}

#[tokio::test]
async fn a_client_whose_clock_is_not_set_learns_the_time_from_the_acknowledgement() {
    let bridge = Bridge::start().await;
    // The last --time counts.
    let Some(client) = example(bridge.sealed, &["--time", "0"]) else { return };
    let (code, printed) = ended(&run(client).await);
    assert_eq!(code, ACKNOWLEDGED, "{printed}");
    let told = printed.strip_prefix("acknowledged at ").and_then(|rest| rest.split(',').next());
    let told: i64 = told.and_then(|seconds| seconds.parse().ok()).unwrap_or_else(|| panic!("{printed}"));
    assert!(ClockCheck::against(intake::now()).accepts(At::from_unix(told).unwrap()), "{printed}");
    let uplinks = bridge.stop().await;
    assert_eq!(uplinks[0].key().to_string(), "1970-01-01T00:00:00Z#00007u");
    assert_eq!(uplinks[0].time_source, TimeSource::Unset);
}

#[tokio::test]
async fn a_wrong_key_gets_no_answer_and_the_client_says_so() {
    let bridge = Bridge::start().await;
    let relay = Relay::start(bridge.sealed, 0).await;
    let Some(client) = with_key(relay.addr, &"00".repeat(32), &["--pause", "20"]) else { return };
    let (code, printed) = ended(&run(client).await);
    assert_eq!(code, UNANSWERED);
    assert!(printed.contains("check key, key ID and IMEI"), "{printed}");
    assert_eq!((relay.seen().up.len(), relay.seen().down.len()), (5, 0));
    assert_eq!(bridge.stop().await, []);
}

#[tokio::test]
async fn a_lost_acknowledgement_leads_to_the_same_bytes_again() {
    let bridge = Bridge::start().await;
    let relay = Relay::start(bridge.sealed, 1).await;
    let Some(client) = example(relay.addr, &[]) else { return };
    assert_eq!(run(client).await.status.code(), ACKNOWLEDGED);
    let sent = relay.seen().up;
    assert!(sent.len() >= 2 && sent.iter().all(|datagram| *datagram == bytes("Uplink")));
    let uplinks = bridge.stop().await;
    assert!(uplinks.len() >= 2 && uplinks.iter().all(|uplink| *uplink == uplinks[0]));
}

#[test]
fn wrong_usage_is_told_with_what_is_wrong() {
    let key = "11".repeat(32);
    let printed =
        |arguments: &[&str]| reference_client().map(|mut client| ended(&client.args(arguments).output().unwrap()));
    let addressed = ["127.0.0.1", "9"];
    for (arguments, wrong) in [
        (vec![], "usage: client"),
        (vec!["--acme", "1"], "--acme"),
        (vec!["--key", &key[1..], addressed[0], addressed[1], "490154203237518", "7", "00"], "the key"),
        (vec!["--key", &key, addressed[0], addressed[1], "49015420323751x", "7", "00"], "the IMEI"),
        (vec!["--key", &key, addressed[0], addressed[1], "490154203237518", "4294967296", "00"], "the counter"),
        (vec!["--key", &key, addressed[0], addressed[1], "490154203237518", "7", "0"], "the payload"),
    ] {
        let Some((code, printed)) = printed(&arguments) else { return };
        assert_eq!(code, WRONG_USAGE, "{arguments:?}: {printed}");
        assert!(printed.contains(wrong), "{arguments:?}: {printed}");
    }
    let Some((code, help)) = printed(&["--help"]) else { return };
    assert_eq!(code, ACKNOWLEDGED);
    for option in ["--key", "--master", "--key-id", "--time", "--coap", "--pause", "exit code"] {
        assert!(help.contains(option), "{option}");
    }
}
