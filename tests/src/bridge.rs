//! A bridge in this process, on free ports, in front of a fake stream that can be made to fail.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pulsegate_model::at::At;
use pulsegate_model::quarantine::QuarantinedRecord;
use pulsegate_model::uplink::Uplink;
use pulsegate_model::{aggregate, record};
use pulsegate_pipeline::config::EnvSettings;
use pulsegate_pipeline::fakes::FakeStream;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use udp_bridge::config::{Config, Pace};
use udp_bridge::protocol::sealed::MasterKeys;
use udp_bridge::protocol::{Protocol, Trust};
use udp_bridge::server::{self, Listener, Sockets};

use crate::document;

/// Longer than any step takes: a test that waits this long has failed.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The time of the bridge's clock, unless a test sets it: 2026-11-20T12:00:05Z, when the examples arrive.
const NOW: i64 = 1_795_176_005;

/// Default profile of the listeners.
pub const PROFILE: &str = "adeunis-pulse4-nbiot";

/// A running bridge with a listener of every kind.
#[derive(Debug)]
pub struct Bridge {
    /// Stream that the bridge puts its records into.
    pub stream: Arc<FakeStream>,
    /// Listener for sealed datagrams.
    pub sealed: SocketAddr,
    /// Listener for vendors' datagrams in the clear.
    pub trusted: SocketAddr,
    /// Listener for sealed payloads in CoAP.
    pub coap: SocketAddr,
    /// Listener for vendors' payloads in CoAP.
    pub coap_trusted: SocketAddr,
    /// Listener for Efento loggers.
    pub efento: SocketAddr,
    /// Serves health and metrics.
    pub http: SocketAddr,
    /// Asks the bridge to stop.
    pub stop: oneshot::Sender<()>,
    /// Ends when the bridge has stopped.
    pub running: JoinHandle<()>,
}

impl Bridge {
    /// Starts a bridge with the default settings.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts a bridge with changed time-outs or limits.
    pub async fn start_with(change: impl FnOnce(&mut Pace)) -> Self {
        Self::start_for(PROFILE, change).await
    }

    /// Starts a bridge whose datagram listeners have this profile.
    pub async fn start_for(profile: &str, change: impl FnOnce(&mut Pace)) -> Self {
        Self::start_at(profile, || At::from_unix(NOW).unwrap(), change).await
    }

    /// Starts a bridge with this clock.
    pub async fn start_at(profile: &str, clock: fn() -> At, change: impl FnOnce(&mut Pace)) -> Self {
        let setting = |name: &'static str| setting(name, profile);
        let mut config = Config::from_settings(&EnvSettings::new(&setting)).unwrap();
        change(&mut config.pace);
        let sockets = Sockets::bind(config.http, config.listeners(Some(&keys()))).await.unwrap();
        let address = |coap, sealed| {
            let wanted = |at: &&Listener| {
                let is_coap = matches!(at.protocol, Protocol::Coap(_));
                is_coap == coap && matches!(at.protocol.trust(), Trust::Sealed(_)) == sealed
            };
            sockets.udp.iter().find(wanted).unwrap().local_addr().unwrap()
        };
        let (sealed, trusted) = (address(false, true), address(false, false));
        let (coap, coap_trusted) = (address(true, true), address(true, false));
        let is_efento = |at: &&Listener| matches!(at.protocol, Protocol::Efento(_));
        let efento = sockets.udp.iter().find(is_efento).unwrap().local_addr().unwrap();
        let http = sockets.http.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stream = Arc::new(FakeStream::default());
        let running = tokio::spawn(server::run(sockets, Arc::clone(&stream), config.pace, clock, async {
            let _ = stopped.await;
        }));
        Self { stream, sealed, trusted, coap, coap_trusted, efento, http, stop, running }
    }

    /// Stops the bridge and returns the durable uplinks.
    pub async fn stop(self) -> Vec<Uplink> {
        let _ = self.stop.send(());
        timeout(ANSWER_TIMEOUT, self.running).await.expect("the bridge stops in time").unwrap();
        durable(&self.stream)
    }
}

/// Decodes the uplinks in a stream's records.
pub fn durable(stream: &FakeStream) -> Vec<Uplink> {
    let uplinks = user_records(stream).filter(|record| !record.starts_with(b"{"));
    uplinks.map(|uplink| record::decode(&uplink).unwrap()).collect()
}

/// Parses the datagrams in a stream's records that are on their way to quarantine.
pub fn quarantined(stream: &FakeStream) -> Vec<QuarantinedRecord> {
    let messages = user_records(stream).filter(|record| record.starts_with(b"{"));
    messages.map(|message| QuarantinedRecord::from_message(str::from_utf8(&message).unwrap()).unwrap()).collect()
}

fn user_records(stream: &FakeStream) -> impl Iterator<Item = Vec<u8>> {
    let records = stream.records().into_iter();
    records.flat_map(|record| aggregate::user_records(&record.data).expect("an aggregated record"))
}

/// Opens the socket of a meter that sends to this listener only.
pub async fn connected(to: SocketAddr) -> UdpSocket {
    let meter = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    meter.connect(to).await.unwrap();
    meter
}

/// Receives the answer to a meter.
pub async fn received(meter: &UdpSocket) -> Vec<u8> {
    let mut datagram = [0; 2048];
    let len = timeout(ANSWER_TIMEOUT, meter.recv(&mut datagram)).await.expect("an answer in time").unwrap();
    datagram[..len].to_vec()
}

/// Builds a CoAP `POST /adeunis-pulse4-nbiot`, confirmable or not, with the token aabb.
pub fn post(confirmable: bool, message_id: u16, payload: &[u8]) -> Vec<u8> {
    let head = [if confirmable { 0x42 } else { 0x52 }, 0x02];
    // Option 11 (Uri-Path) of 13 + 7 bytes.
    [&head, &message_id.to_be_bytes()[..], &[0xAA, 0xBB], &[0xBD, 7], PROFILE.as_bytes(), &[0xFF], payload].concat()
}

/// The master key of the worked example.
pub fn keys() -> MasterKeys {
    serde_json::json!({ "1": document::text("master key 1") }).to_string().parse().unwrap()
}

/// Gets a path of the bridge's HTTP server; returns status and text.
pub async fn get(http: SocketAddr, path: &str) -> (u16, String) {
    let url = format!("http://{http}{path}");
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let get = move || {
        let mut answer = agent.get(&url).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    };
    tokio::task::spawn_blocking(get).await.unwrap()
}

/// Gets a path of the bridge's HTTP server; returns the status.
pub async fn status(http: SocketAddr, path: &str) -> u16 {
    get(http, path).await.0
}

/// Reads a counter from `GET /metrics`; 0 if it is absent.
pub async fn metric(http: SocketAddr, name: &str) -> u64 {
    let (_, text) = get(http, "/metrics").await;
    let value =
        text.lines().find_map(|line| line.strip_prefix("pulsegate_bridge_")?.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

/// Polls until the condition holds.
pub async fn until(condition: impl AsyncFn() -> bool) {
    let so = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(ANSWER_TIMEOUT, so).await.expect("the condition holds in time");
}

fn setting(name: &str, profile: &str) -> Option<String> {
    let value = match name {
        "STREAM_NAME" | "MASTER_KEYS_SECRET_ID" => "unused",
        "SEALED_LISTENERS" => return Some(format!("{profile}=127.0.0.1:0")),
        "TRUSTED_LISTENERS" => return Some(format!("{profile}=127.0.0.1:0,efento=127.0.0.1:0")),
        "COAP_LISTENERS" | "COAP_TRUSTED_LISTENERS" | "HTTP_ADDR" => "127.0.0.1:0",
        "LINGER_MS" => "5",
        _ => return None,
    };
    Some(value.to_owned())
}
