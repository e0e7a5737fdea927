//! The bridge between a meter's socket and the stream.

use std::sync::Arc;
use std::time::Duration;

use shared::config::Settings;
use shared::fakes::FakeStream;
use shared::ports::StreamRecord;
use shared::uplink::{TimeSource, Uplink};
use shared::{aggregate, envelope};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use udp_bridge::config::Config;
use udp_bridge::protocol::Protocol;
use udp_bridge::protocol::sealed::{Header, MasterKeys};
use udp_bridge::server::{self, Sockets};

/// Longer than anything here takes; a test that waits for so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

const ACKNOWLEDGEMENT_LEN: usize = 13;

/// A running bridge, and a meter that speaks to it.
struct Field {
    stream: Arc<FakeStream>,
    meter: UdpSocket,
    sealed: std::net::SocketAddr,
    http: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    bridge: JoinHandle<()>,
}

impl Field {
    async fn start() -> Self {
        let config = Config::from_settings(&Settings::new(&|name| {
            let value = match name {
                "STREAM_NAME" | "MASTER_KEYS_SECRET_ID" => "unused",
                "TRUSTED_LISTENERS" | "SEALED_LISTENERS" => "adeunis-pulse4-nbiot=127.0.0.1:0",
                "HEALTH_ADDR" => "127.0.0.1:0",
                "LINGER_MS" => "5",
                _ => return None,
            };
            Some(value.to_owned())
        }))
        .unwrap();
        let sockets = Sockets::bind(&config, Some(&keys())).await.unwrap();
        let address = |sealed| {
            let listener = sockets.udp.iter().find(|at| matches!(at.protocol, Protocol::Sealed(_)) == sealed).unwrap();
            listener.socket.local_addr().unwrap()
        };
        let sealed = address(true);
        let meter = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        meter.connect(address(false)).await.unwrap();
        let http = sockets.http.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stream = Arc::new(FakeStream::default());
        let bridge = tokio::spawn(server::run(sockets, Arc::clone(&stream), config.pace, async {
            let _ = stopped.await;
        }));
        Self { stream, meter, sealed, http, stop, bridge }
    }

    async fn send(&self, datagram: &[u8]) {
        self.meter.send(datagram).await.unwrap();
    }

    async fn acknowledgement(&self) -> Vec<u8> {
        let mut buffer = [0; 64];
        let len = timeout(PATIENCE, self.meter.recv(&mut buffer)).await.expect("an acknowledgement").unwrap();
        buffer[..len].to_vec()
    }

    /// Stops the bridge and gives what has become durable.
    async fn stop(self) -> Vec<Uplink> {
        let _ = self.stop.send(());
        timeout(PATIENCE, self.bridge).await.expect("the bridge ends").unwrap();
        durable(&self.stream)
    }
}

fn keys() -> MasterKeys {
    r#"{"1": "a master key for tests, of enough characters"}"#.parse().unwrap()
}

/// A data frame in an envelope with this counter.
fn sealed(counter: u32) -> Vec<u8> {
    let imei = "1122334455667788".parse().unwrap();
    let header = Header { key_id: 1, imei, counter, time: 1_795_176_000 };
    keys().device_key(1, imei).unwrap().seal_uplink(header, &datagram(38))
}

/// The uplinks in a stream's records.
fn durable(stream: &FakeStream) -> Vec<Uplink> {
    let user_records = |record: StreamRecord| aggregate::user_records(&record.data).expect("an aggregated record");
    let envelopes = stream.records().into_iter().flat_map(user_records);
    envelopes.flat_map(|envelope| envelope::unpack(&envelope).unwrap().uplinks).collect()
}

/// A data frame with this frame counter, of PULSE 4 NB-IoT's published example.
fn datagram(counter: u8) -> Vec<u8> {
    hex::decode(format!("112233445566778803000000{counter:02x}46800000009f00000002")).unwrap()
}

#[tokio::test]
async fn a_durable_datagram_is_acknowledged_by_its_own_header() {
    let field = Field::start().await;
    field.send(&datagram(38)).await;
    assert_eq!(field.acknowledgement().await, datagram(38)[..ACKNOWLEDGEMENT_LEN]);
    let uplinks = field.stop().await;
    assert_eq!(uplinks[0].device.to_string(), "nbiot:1122334455667788");
    assert_eq!((uplinks[0].sequence, uplinks[0].payload.bytes()), (Some(38), datagram(38).as_slice()));
}

#[tokio::test]
async fn what_the_stream_refuses_is_not_acknowledged_and_is_when_it_comes_again() {
    let field = Field::start().await;
    field.stream.set_down(true);
    field.send(&datagram(1)).await;
    field.stream.calls(1).await;
    field.stream.set_down(false);
    field.send(&datagram(2)).await;
    // Were the first acknowledged, that would have come first.
    assert_eq!(field.acknowledgement().await, datagram(2)[..ACKNOWLEDGEMENT_LEN]);
    field.send(&datagram(1)).await;
    assert_eq!(field.acknowledgement().await, datagram(1)[..ACKNOWLEDGEMENT_LEN]);
    assert_eq!(field.stop().await.len(), 2);
}

#[tokio::test]
async fn a_repeated_datagram_is_the_same_message_and_is_acknowledged_again() {
    let field = Field::start().await;
    for _ in 0..3 {
        field.send(&datagram(38)).await;
        assert_eq!(field.acknowledgement().await, datagram(38)[..ACKNOWLEDGEMENT_LEN]);
    }
    let uplinks = field.stop().await;
    assert_eq!(uplinks.len(), 3);
    assert!(uplinks.iter().all(|uplink| *uplink == uplinks[0]));
}

#[tokio::test]
async fn a_datagram_with_a_clock_is_dated_by_it() {
    let field = Field::start().await;
    field.send(&hex::decode("0490154203237518020000000746840000009f000000021a1e0f04").unwrap()).await;
    field.acknowledgement().await;
    let uplinks = field.stop().await;
    assert_eq!(uplinks[0].key().to_string(), "2026-11-20T11:59:00Z#00007");
    assert_eq!(uplinks[0].time_source, TimeSource::Device);
}

#[tokio::test]
async fn what_comes_together_goes_into_few_records_each_within_a_billing_unit() {
    let field = Field::start().await;
    field.stream.set_held(true);
    field.send(&datagram(0)).await;
    field.stream.calls(1).await;
    for counter in 1..=200 {
        field.send(&datagram(counter)).await;
    }
    field.stream.set_held(false);
    for _ in 0..=200 {
        field.acknowledgement().await;
    }
    let stream = Arc::clone(&field.stream);
    assert_eq!(field.stop().await.len(), 201);
    let records = stream.records();
    assert!(records.len() < 50, "{} records for 201 datagrams", records.len());
    assert!(records.iter().all(|record| record.data.len() <= aggregate::MAX_BYTES));
}

#[tokio::test]
async fn noise_gets_no_answer_and_holds_nobody_up() {
    let field = Field::start().await;
    for noise in [vec![], vec![0xFF; 15], vec![0x11; 5], vec![0x11; 2049], vec![0x11; 9000]] {
        field.send(&noise).await;
    }
    field.send(&datagram(38)).await;
    assert_eq!(field.acknowledgement().await, datagram(38)[..ACKNOWLEDGEMENT_LEN]);
    assert_eq!(field.stop().await.len(), 1);
}

#[tokio::test]
async fn what_is_in_flight_at_the_end_is_finished_and_acknowledged() {
    let field = Field::start().await;
    field.stream.set_held(true);
    for counter in 0..20 {
        field.send(&datagram(counter)).await;
    }
    field.stream.calls(1).await;
    let stream = Arc::clone(&field.stream);
    let Field { meter, stop, bridge, .. } = field;
    stop.send(()).unwrap();
    stream.set_held(false);
    timeout(PATIENCE, bridge).await.expect("the bridge ends").unwrap();

    let durable = durable(&stream);
    let mut acknowledged = 0;
    let mut buffer = [0; 64];
    while let Ok(len) = meter.try_recv(&mut buffer) {
        let of_it = |uplink: &Uplink| uplink.payload.bytes().starts_with(&buffer[..len]);
        assert!(durable.iter().any(of_it), "acknowledged but not durable");
        acknowledged += 1;
    }
    assert!(acknowledged > 0 && acknowledged == durable.len());
}

#[tokio::test]
async fn a_sealed_datagram_is_acknowledged_and_its_payload_is_what_is_kept() {
    let field = Field::start().await;
    field.meter.connect(field.sealed).await.unwrap();
    field.send(&sealed(7)).await;
    let acknowledgement = field.acknowledgement().await;
    assert_eq!((acknowledgement[0], &acknowledgement[1..14]), (0x81, &sealed(7)[1..14]));
    let uplinks = field.stop().await;
    assert_eq!(uplinks[0].key().to_string(), "2026-11-20T12:00:00Z#00007");
    assert_eq!((uplinks[0].time_source, uplinks[0].payload.bytes()), (TimeSource::Device, datagram(38).as_slice()));
}

#[tokio::test]
async fn strangers_get_no_answer_and_store_nothing_and_the_meter_beside_them_is_acknowledged() {
    let field = Field::start().await;
    field.meter.connect(field.sealed).await.unwrap();
    let mut forged = sealed(1);
    forged[18] ^= 1;
    let truncated = sealed(2)[..25].to_vec();
    for stranger in [forged, truncated, datagram(38), vec![], vec![0x01; 26], vec![0xFF; 2049]] {
        field.send(&stranger).await;
    }
    field.send(&sealed(3)).await;
    // Were any of the others answered, that would have come first.
    assert_eq!(field.acknowledgement().await[1..14], sealed(3)[1..14]);
    assert_eq!(field.stop().await.len(), 1);
}

#[tokio::test]
async fn a_recorded_datagram_sent_again_is_the_same_message() {
    let field = Field::start().await;
    field.meter.connect(field.sealed).await.unwrap();
    for _ in 0..2 {
        field.send(&sealed(7)).await;
        field.acknowledgement().await;
    }
    let uplinks = field.stop().await;
    assert_eq!(uplinks[0], uplinks[1]);
}

/// The status of a path of the bridge's own.
async fn status(http: std::net::SocketAddr, path: &str) -> u16 {
    let url = format!("http://{http}{path}");
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    tokio::task::spawn_blocking(move || agent.get(&url).call().unwrap().status().as_u16()).await.unwrap()
}

#[tokio::test]
async fn a_bridge_that_is_stopping_is_healthy_but_not_ready() {
    let field = Field::start().await;
    assert_eq!((status(field.http, "/healthz").await, status(field.http, "/readyz").await), (200, 200));
    field.stream.set_held(true);
    field.send(&datagram(38)).await;
    field.stream.calls(1).await;
    let Field { stream, http, stop, bridge, .. } = field;
    stop.send(()).unwrap();
    timeout(PATIENCE, async {
        while status(http, "/readyz").await != 503 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it says so");
    assert_eq!(status(http, "/healthz").await, 200);
    stream.set_held(false);
    timeout(PATIENCE, bridge).await.expect("the bridge ends").unwrap();
}
