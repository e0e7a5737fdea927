//! Tests of the bridge, from a meter's socket to the stream.

use std::sync::Arc;
use std::time::Duration;

use pulsegate_model::aggregate;
use pulsegate_model::uplink::{TimeSource, Uplink};
use pulsegate_tests::bridge::{ANSWER_TIMEOUT, Bridge, durable, get, keys, metric, post, status, until};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use udp_bridge::config::Pace;
use udp_bridge::protocol::sealed::Header;

const ACKNOWLEDGEMENT_LEN: usize = 13;

/// A running bridge, and a meter that sends to its trusted listener unless it connects to another one.
struct Fixture {
    bridge: Bridge,
    meter: UdpSocket,
}

impl Fixture {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut Pace)) -> Self {
        let bridge = Bridge::start_with(change).await;
        let meter = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        meter.connect(bridge.trusted).await.unwrap();
        Self { bridge, meter }
    }

    async fn send(&self, datagram: &[u8]) {
        self.meter.send(datagram).await.unwrap();
    }

    async fn acknowledgement(&self) -> Vec<u8> {
        let mut buffer = [0; 64];
        let len =
            timeout(ANSWER_TIMEOUT, self.meter.recv(&mut buffer)).await.expect("an acknowledgement in time").unwrap();
        buffer[..len].to_vec()
    }

    /// Stops the bridge and returns the durable uplinks.
    async fn stop(self) -> Vec<Uplink> {
        self.bridge.stop().await
    }
}

/// Returns a data frame in an envelope with this counter.
fn sealed(counter: u32) -> Vec<u8> {
    let imei = "1122334455667788".parse().unwrap();
    let header = Header { key_id: 1, imei, counter, time: 1_795_176_000 };
    keys().device_key(1, imei).unwrap().seal_uplink(header, &datagram(38))
}

/// Returns the data frame of PULSE 4 NB-IoT's published example with this frame counter.
fn datagram(counter: u8) -> Vec<u8> {
    hex::decode(format!("112233445566778803000000{counter:02x}46800000009f00000002")).unwrap()
}

#[tokio::test]
async fn a_durable_datagram_is_acknowledged_by_its_own_header() {
    let fixture = Fixture::start().await;
    fixture.send(&datagram(38)).await;
    assert_eq!(fixture.acknowledgement().await, datagram(38)[..ACKNOWLEDGEMENT_LEN]);
    let uplinks = fixture.stop().await;
    assert_eq!(uplinks[0].device.to_string(), "nbiot:1122334455667788");
    assert_eq!((uplinks[0].sequence, uplinks[0].payload.bytes()), (Some(38), datagram(38).as_slice()));
}

#[tokio::test]
async fn what_the_stream_refuses_is_acknowledged_only_when_it_has_accepted_it_after_all() {
    let fixture = Fixture::start().await;
    fixture.bridge.stream.set_down(true);
    fixture.send(&datagram(1)).await;
    fixture.bridge.stream.calls(3).await;
    assert!(fixture.meter.try_recv(&mut [0; 64]).is_err());
    fixture.bridge.stream.set_down(false);
    assert_eq!(fixture.acknowledgement().await, datagram(1)[..ACKNOWLEDGEMENT_LEN]);
    assert_eq!(fixture.stop().await.len(), 1);
}

#[tokio::test]
async fn what_the_stream_refuses_for_long_is_given_back_and_acknowledged_when_it_comes_again() {
    let fixture = Fixture::start_with(|pace| pace.put_timeout = Duration::from_millis(50)).await;
    fixture.bridge.stream.set_down(true);
    fixture.send(&datagram(1)).await;
    until(async || metric(fixture.bridge.http, "given_back_total").await == 1).await;
    fixture.bridge.stream.set_down(false);
    fixture.send(&datagram(2)).await;
    // An acknowledgement of the first would have arrived earlier.
    assert_eq!(fixture.acknowledgement().await, datagram(2)[..ACKNOWLEDGEMENT_LEN]);
    fixture.send(&datagram(1)).await;
    assert_eq!(fixture.acknowledgement().await, datagram(1)[..ACKNOWLEDGEMENT_LEN]);
    assert_eq!(fixture.stop().await.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_held_is_not_read_and_not_lost_while_the_kernel_holds_it() {
    let fixture = Fixture::start_with(|pace| pace.hold = 1).await;
    fixture.bridge.stream.set_held(true);
    fixture.send(&datagram(1)).await;
    fixture.bridge.stream.calls(1).await;
    until(async || metric(fixture.bridge.http, "paused_total").await > 0).await;
    fixture.send(&datagram(2)).await;
    until(async || metric(fixture.bridge.http, "paused_total").await > 50).await;
    assert_eq!(metric(fixture.bridge.http, "received_total").await, 1);
    fixture.bridge.stream.set_held(false);
    for counter in [1, 2] {
        assert_eq!(fixture.acknowledgement().await, datagram(counter)[..ACKNOWLEDGEMENT_LEN]);
    }
    assert_eq!(fixture.stop().await.len(), 2);
}

#[tokio::test]
async fn a_repeated_datagram_is_the_same_message_and_is_acknowledged_again() {
    let fixture = Fixture::start().await;
    for _ in 0..3 {
        fixture.send(&datagram(38)).await;
        assert_eq!(fixture.acknowledgement().await, datagram(38)[..ACKNOWLEDGEMENT_LEN]);
    }
    let uplinks = fixture.stop().await;
    assert_eq!(uplinks.len(), 3);
    assert!(uplinks.iter().all(|uplink| *uplink == uplinks[0]));
}

#[tokio::test]
async fn a_datagram_with_a_clock_is_dated_by_it() {
    let fixture = Fixture::start().await;
    fixture.send(&hex::decode("0490154203237518020000000746840000009f000000021a1e0f04").unwrap()).await;
    fixture.acknowledgement().await;
    let uplinks = fixture.stop().await;
    assert_eq!(uplinks[0].key().to_string(), "2026-11-20T11:59:00Z#00007");
    assert_eq!(uplinks[0].time_source, TimeSource::Device);
}

#[tokio::test]
async fn what_comes_together_goes_into_few_records_each_within_a_billing_unit() {
    let fixture = Fixture::start().await;
    fixture.bridge.stream.set_held(true);
    fixture.send(&datagram(0)).await;
    fixture.bridge.stream.calls(1).await;
    for counter in 1..=200 {
        fixture.send(&datagram(counter)).await;
    }
    fixture.bridge.stream.set_held(false);
    for _ in 0..=200 {
        fixture.acknowledgement().await;
    }
    let stream = Arc::clone(&fixture.bridge.stream);
    assert_eq!(fixture.stop().await.len(), 201);
    let records = stream.records();
    assert!(records.len() < 50, "{} records for 201 datagrams", records.len());
    assert!(records.iter().all(|record| record.data.len() <= aggregate::MAX_BYTES));
}

#[tokio::test]
async fn noise_gets_no_answer_and_holds_nobody_up() {
    let fixture = Fixture::start().await;
    for noise in [vec![], vec![0xFF; 15], vec![0x11; 5], vec![0x11; 2049], vec![0x11; 9000]] {
        fixture.send(&noise).await;
    }
    fixture.send(&datagram(38)).await;
    assert_eq!(fixture.acknowledgement().await, datagram(38)[..ACKNOWLEDGEMENT_LEN]);
    assert_eq!(fixture.stop().await.len(), 1);
}

#[tokio::test]
async fn what_is_in_flight_at_the_end_is_finished_and_acknowledged() {
    let fixture = Fixture::start().await;
    fixture.bridge.stream.set_held(true);
    for counter in 0..20 {
        fixture.send(&datagram(counter)).await;
    }
    fixture.bridge.stream.calls(1).await;
    let stream = Arc::clone(&fixture.bridge.stream);
    let Fixture { meter, bridge } = fixture;
    bridge.stop.send(()).unwrap();
    stream.set_held(false);
    timeout(ANSWER_TIMEOUT, bridge.running).await.expect("the bridge stops in time").unwrap();

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
    let fixture = Fixture::start().await;
    fixture.meter.connect(fixture.bridge.sealed).await.unwrap();
    fixture.send(&sealed(7)).await;
    let acknowledgement = fixture.acknowledgement().await;
    assert_eq!((acknowledgement[0], &acknowledgement[1..14]), (0x81, &sealed(7)[1..14]));
    let uplinks = fixture.stop().await;
    assert_eq!(uplinks[0].key().to_string(), "2026-11-20T12:00:00Z#00007");
    assert_eq!((uplinks[0].time_source, uplinks[0].payload.bytes()), (TimeSource::Device, datagram(38).as_slice()));
}

#[tokio::test]
async fn strangers_get_no_answer_and_store_nothing_and_the_meter_beside_them_is_acknowledged() {
    let fixture = Fixture::start().await;
    fixture.meter.connect(fixture.bridge.sealed).await.unwrap();
    let mut forged = sealed(1);
    forged[18] ^= 1;
    let truncated = sealed(2)[..25].to_vec();
    for stranger in [forged, truncated, datagram(38), vec![], vec![0x01; 26], vec![0xFF; 2049]] {
        fixture.send(&stranger).await;
    }
    fixture.send(&sealed(3)).await;
    // An answer to any of the others would have arrived earlier.
    assert_eq!(fixture.acknowledgement().await[1..14], sealed(3)[1..14]);
    assert_eq!(fixture.stop().await.len(), 1);
}

#[tokio::test]
async fn a_recorded_datagram_sent_again_is_the_same_message() {
    let fixture = Fixture::start().await;
    fixture.meter.connect(fixture.bridge.sealed).await.unwrap();
    for _ in 0..2 {
        fixture.send(&sealed(7)).await;
        fixture.acknowledgement().await;
    }
    let uplinks = fixture.stop().await;
    assert_eq!(uplinks[0], uplinks[1]);
}

#[tokio::test]
async fn a_bridge_that_is_stopping_is_healthy_but_not_ready() {
    let fixture = Fixture::start().await;
    assert_eq!(
        (status(fixture.bridge.http, "/healthz").await, status(fixture.bridge.http, "/readyz").await),
        (200, 200)
    );
    fixture.bridge.stream.set_held(true);
    fixture.send(&datagram(38)).await;
    fixture.bridge.stream.calls(1).await;
    let Bridge { stream, http, stop, running, .. } = fixture.bridge;
    stop.send(()).unwrap();
    until(async || status(http, "/readyz").await == 503).await;
    assert_eq!(status(http, "/healthz").await, 200);
    stream.set_held(false);
    timeout(ANSWER_TIMEOUT, running).await.expect("the bridge stops in time").unwrap();
}

#[tokio::test]
async fn every_datagram_is_counted_once_by_what_became_of_it() {
    let fixture = Fixture::start().await;
    fixture.meter.connect(fixture.bridge.sealed).await.unwrap();
    let mut forged = sealed(1);
    forged[18] ^= 1;
    for stranger in [forged.clone(), forged, vec![], vec![0x02; 30], vec![0xFF; 2049]] {
        fixture.send(&stranger).await;
    }
    for counter in 2..5 {
        fixture.send(&sealed(counter)).await;
        fixture.acknowledgement().await;
    }
    let expected = [
        ("received_total", 8),
        ("authenticated_total", 3),
        ("uplinks_total", 3),
        ("durable_total", 3),
        ("acknowledged_total", 3),
        ("given_back_total", 0),
        ("in_flight", 0),
        ("held_bytes", 0),
        ("kernel_dropped_total", 0),
        ("quarantined_total", 0),
        ("beyond_limit_total", 0),
        ("not_quarantined_total", 0),
        ("refused_total{reason=\"unproven\"}", 2),
        ("refused_total{reason=\"too-short\"}", 1),
        ("refused_total{reason=\"version\"}", 1),
        ("refused_total{reason=\"too-long\"}", 1),
    ];
    for (name, count) in expected {
        assert_eq!(metric(fixture.bridge.http, name).await, count, "{name}");
    }
    let (_, text) = get(fixture.bridge.http, "/metrics").await;
    for histogram in ["put_seconds_bucket", "put_records_bucket", "put_bytes_bucket"] {
        assert!(text.contains(histogram), "{histogram}");
    }
    fixture.stop().await;
}

#[tokio::test]
async fn a_coap_request_is_answered_in_its_acknowledgement_once_it_is_durable() {
    let fixture = Fixture::start().await;
    fixture.meter.connect(fixture.bridge.coap_trusted).await.unwrap();
    fixture.send(&post(true, 0x1234, &datagram(38))).await;
    let expected = [&[0x62, 0x44, 0x12, 0x34, 0xAA, 0xBB, 0xFF], &datagram(38)[..ACKNOWLEDGEMENT_LEN]].concat();
    assert_eq!(fixture.acknowledgement().await, expected);
    fixture.send(&post(false, 0x1235, &datagram(39))).await;
    let answer = fixture.acknowledgement().await;
    assert_eq!((&answer[..2], &answer[4..7]), (&[0x52, 0x44][..], &[0xAA, 0xBB, 0xFF][..]));
    assert_eq!(fixture.stop().await.len(), 2);
}

#[tokio::test]
async fn a_sealed_coap_request_is_answered_with_the_sealed_acknowledgement_and_an_unsealed_one_not_at_all() {
    let fixture = Fixture::start().await;
    fixture.meter.connect(fixture.bridge.coap).await.unwrap();
    fixture.send(&post(true, 1, &datagram(38))).await;
    fixture.send(&post(true, 2, &sealed(7))).await;
    let answer = fixture.acknowledgement().await;
    assert_eq!(answer[..7], [0x62, 0x44, 0, 2, 0xAA, 0xBB, 0xFF]);
    assert_eq!((answer[7], &answer[8..21]), (0x81, &sealed(7)[1..14]));
    assert_eq!(fixture.stop().await.len(), 1);
}

#[tokio::test]
async fn a_sealed_coap_request_that_takes_long_is_acknowledged_empty_and_answered_until_the_answer_arrives() {
    let fixture = Fixture::start().await;
    fixture.meter.connect(fixture.bridge.coap).await.unwrap();
    fixture.bridge.stream.set_held(true);
    fixture.send(&post(true, 0x1234, &sealed(7))).await;
    assert_eq!(fixture.acknowledgement().await, [0x60, 0x00, 0x12, 0x34]);
    fixture.bridge.stream.set_held(false);
    let answer = fixture.acknowledgement().await;
    assert_eq!((&answer[..2], &answer[4..7]), (&[0x42, 0x44][..], &[0xAA, 0xBB, 0xFF][..]));
    // The meter has not acknowledged it, so the bridge repeats it, until the meter does.
    assert_eq!(fixture.acknowledgement().await, answer);
    fixture.send(&[0x60, 0x00, answer[2], answer[3]]).await;
    until(async || metric(fixture.bridge.http, "settled_total").await == 1).await;
    assert_eq!(fixture.stop().await.len(), 1);
}

#[tokio::test]
async fn a_coap_request_that_the_stream_refuses_is_answered_5_03() {
    let fixture = Fixture::start_with(|pace| pace.put_timeout = Duration::from_millis(50)).await;
    fixture.meter.connect(fixture.bridge.coap_trusted).await.unwrap();
    fixture.bridge.stream.set_down(true);
    fixture.send(&post(true, 0x1234, &datagram(38))).await;
    assert_eq!(fixture.acknowledgement().await, [0x62, 0xA3, 0x12, 0x34, 0xAA, 0xBB]);
    assert_eq!(fixture.stop().await.len(), 0);
}

#[tokio::test]
async fn a_flood_does_not_keep_a_bridge_from_stopping() {
    let fixture = Fixture::start().await;
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let trusted = fixture.bridge.trusted;
    let (enough, is_enough) = std::sync::mpsc::channel::<()>();
    let flood = std::thread::spawn(move || {
        let deadline = std::time::Instant::now() + ANSWER_TIMEOUT;
        while is_enough.try_recv().is_err() && std::time::Instant::now() < deadline {
            let _ = stranger.send_to(&[0], trusted);
        }
    });
    until(async || metric(fixture.bridge.http, "received_total").await > 1000).await;
    timeout(ANSWER_TIMEOUT / 2, fixture.stop()).await.expect("the bridge stops in time");
    let _ = enough.send(());
    flood.join().unwrap();
}

#[tokio::test]
async fn a_bridge_that_is_stopping_holds_no_more_than_it_may() {
    let fixture = Fixture::start_with(|pace| {
        pace.hold = 1;
        pace.drain = Duration::from_secs(2);
    })
    .await;
    fixture.bridge.stream.set_held(true);
    fixture.send(&datagram(1)).await;
    fixture.bridge.stream.calls(1).await;
    fixture.send(&datagram(2)).await;
    // The bridge holds the first and does not read the second, so the meter would repeat it.
    let stream = Arc::clone(&fixture.bridge.stream);
    fixture.stop().await;
    assert_eq!(stream.calls_so_far(), 1);
}
