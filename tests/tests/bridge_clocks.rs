//! Meters whose clock shows an impossible time, at the bridge: key, dating and flag of their uplinks.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};

use pulsegate_model::at::At;
use pulsegate_model::codec::{Channel, Flag};
use pulsegate_model::merge::merge;
use pulsegate_model::pulse::{self, ChannelCounts, PulseItem};
use pulsegate_model::uplink::{TimeSource, Uplink};
use pulsegate_tests::bridge::{ANSWER_TIMEOUT, Bridge, keys, metric, post};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use udp_bridge::protocol::sealed::Header;

/// 2026-11-20T12:00:05Z: the time of the bridge's clock.
const NOW: u32 = 1_795_176_005;

/// Times of clocks that nobody has set.
const IMPOSSIBLE: [u32; 8] = [
    0,
    37,            // 1970-01-01T00:00:37Z: counts from zero
    315_964_800,   // 1980-01-06: the epoch of GPS
    946_684_800,   // 2000-01-01
    1_072_915_200, // 2004-01-01
    1_611_878_441, // 2021-01-29T00:00:41Z: the default of Dragino's firmware
    3_471_292_800, // 2080-01-01
    NOW + 3 * 86_400,
];

/// The head of a Dragino SW3L-NB that has counted 500, without records.
fn dragino(time: u32) -> Vec<u8> {
    hex::decode(format!("f49015420310000201790c78170000000001c2000001f4{time:08x}")).unwrap()
}

/// A V4 data frame with a clock, which starts in 2013.
fn adeunis(time: u32) -> Vec<u8> {
    let clock = time - 1_356_998_400;
    hex::decode(format!("0490154203237518020000000746840000009f00000002{clock:08x}")).unwrap()
}

/// A logger's count of 62,515 litres, in the two channels that one count takes.
fn efento(time: u32) -> Vec<u8> {
    let bytes: Vec<u8> = (0..5).map(|n| (time >> (7 * n) & 0x7F) as u8 | if n < 4 { 0x80 } else { 0 }).collect();
    let text = "0a06282c02424eed100118b401220c081910b8d0a7c2062a028827220c081810b8d0a7c2062a02b40128e807";
    hex::decode(text.replace("b8d0a7c206", &hex::encode(bytes))).unwrap()
}

/// The Efento message as `NON POST /m`.
fn to_efento(time: u32) -> Vec<u8> {
    [&[0x50, 0x02, 0x12, 0x34, 0xB1, b'm', 0xFF][..], &efento(time)].concat()
}

/// A data frame without a clock, in an envelope with this time.
fn sealed(time: u32) -> Vec<u8> {
    let imei = "490154203237518".parse().unwrap();
    let header = Header { key_id: 1, imei, counter: 7, time };
    let payload = hex::decode("0490154203237518020000000746800000009f00000002").unwrap();
    keys().device_key(1, imei).unwrap().seal_uplink(header, &payload)
}

async fn send(to: SocketAddr, datagrams: &[Vec<u8>]) {
    let meter = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for datagram in datagrams {
        meter.send_to(datagram, to).await.unwrap();
    }
}

fn keys_of(uplinks: &[Uplink]) -> BTreeSet<String> {
    uplinks.iter().map(|uplink| format!("{} {}", uplink.device, uplink.key())).collect()
}

fn item(uplink: &Uplink) -> PulseItem {
    pulse::decode(uplink).unwrap()
}

fn is_flagged(item: &PulseItem) -> bool {
    item.flags.contains(&Flag::ClockNotSet.into())
}

/// Asserts that these uplinks are dated by their arrival, and each is stored once however often it was sent.
fn assert_dated_by_arrival(uplinks: &[Uplink], sent: usize) {
    assert_eq!((uplinks.len(), keys_of(uplinks).len()), (2 * sent, sent), "{:?}", keys_of(uplinks));
    for uplink in uplinks {
        assert_eq!((uplink.time_source, uplink.at.unix()), (TimeSource::Network, i64::from(NOW)));
        let item = item(uplink);
        assert!(is_flagged(&item), "{item:?}");
        let dated = item.channels.values().flat_map(ChannelCounts::dated).filter_map(|(_, at)| at);
        let times: BTreeSet<At> = dated.collect();
        assert_eq!(times, BTreeSet::from([uplink.at]), "{item:?}");
    }
}

#[tokio::test]
async fn a_dragino_whose_clock_was_never_set_counted_its_500_when_the_datagram_arrived() {
    let bridge = Bridge::start_for("dragino-sw3l-nb", |_| {}).await;
    let records = "f49015420310000201790c78170000000001c2000001f460135029000001f36b003190000001f26b002ce0";
    send(bridge.trusted, &[hex::decode(records).unwrap()]).await;
    let uplinks = bridge.stop().await;
    assert_eq!(uplinks[0].device.to_string(), "nbiot:490154203100002");
    assert!(uplinks[0].key().to_string().starts_with("2026-11-20T12:00:05Z#"), "{}", uplinks[0].key());
    let item = item(&uplinks[0]);
    assert!(is_flagged(&item));
    let points = merge([item]).unwrap().remove(&Channel::A).unwrap().points;
    let newest = points.last().map(|point| (point.at, point.index, point.time_source));
    assert_eq!(newest, Some((uplinks[0].at, 500, TimeSource::Network)));
    assert!(points.is_sorted_by_key(|point| point.index), "{points:?}");
}

#[tokio::test]
async fn a_clock_in_the_clear_that_is_impossible_dates_neither_the_uplink_nor_its_counts() {
    let twice = |frame: fn(u32) -> Vec<u8>, times: &[u32]| {
        times.iter().flat_map(|&time| [frame(time), frame(time)]).collect::<Vec<_>>()
    };
    let bridge = Bridge::start_for("dragino-sw3l-nb", |_| {}).await;
    send(bridge.trusted, &twice(dragino, &IMPOSSIBLE)).await;
    assert_dated_by_arrival(&bridge.stop().await, IMPOSSIBLE.len());

    let bridge = Bridge::start().await;
    let until_2038: Vec<u32> = IMPOSSIBLE.into_iter().filter(|&time| i32::try_from(time).is_ok()).collect();
    send(bridge.efento, &twice(to_efento, &until_2038)).await;
    assert_dated_by_arrival(&bridge.stop().await, until_2038.len());

    // The frame counter is the sequence, so a test of its own for each time.
    for time in IMPOSSIBLE.into_iter().chain([1_356_998_400]).filter(|&time| time >= 1_356_998_400) {
        for in_coap in [false, true] {
            let bridge = Bridge::start().await;
            let frame = if in_coap { post(false, 1, &adeunis(time)) } else { adeunis(time) };
            let to = if in_coap { bridge.coap_trusted } else { bridge.trusted };
            send(to, &[frame.clone(), frame]).await;
            assert_dated_by_arrival(&bridge.stop().await, 1);
        }
    }
}

#[tokio::test]
async fn a_sealed_uplink_of_an_impossible_time_keeps_its_key_and_dates_nothing() {
    for in_coap in [false, true] {
        let bridge = Bridge::start().await;
        let frame = |time| if in_coap { post(true, 1, &sealed(time)) } else { sealed(time) };
        let frames: Vec<_> = IMPOSSIBLE.into_iter().flat_map(|time| [frame(time), frame(time)]).collect();
        send(if in_coap { bridge.coap } else { bridge.sealed }, &frames).await;
        let uplinks = bridge.stop().await;
        let key = |time: u32| format!("nbiot:490154203237518 {}#00007u", At::from_unix(time.into()).unwrap());
        assert_eq!((uplinks.len(), keys_of(&uplinks)), (16, IMPOSSIBLE.into_iter().map(key).collect()));
        for uplink in uplinks {
            assert_eq!(uplink.time_source, TimeSource::Unset);
            let item = item(&uplink);
            assert!(is_flagged(&item));
            assert!(
                item.channels.values().all(|counts| counts.at.is_none() && counts.time_source.is_none()),
                "{item:?}"
            );
            let points = merge([item]).unwrap().remove(&Channel::A).unwrap();
            assert_eq!((points.points.len(), points.undated[0].indexes.as_slice()), (0, &[159][..]));
        }
    }
}

#[tokio::test]
async fn a_meter_whose_clock_is_not_set_is_told_the_time_and_counted() {
    let bridge = Bridge::start().await;
    let meter = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for time in [0, NOW - 5] {
        meter.send_to(&sealed(time), bridge.sealed).await.unwrap();
        let mut answer = [0; 64];
        let len = timeout(ANSWER_TIMEOUT, meter.recv(&mut answer)).await.expect("an acknowledgement in time").unwrap();
        assert_eq!((len, answer[0], &answer[1..14]), (26, 0x81, &sealed(time)[1..14]));
        assert!(u32::from_be_bytes(answer[14..18].try_into().unwrap()) > 1_577_836_800);
    }
    assert_eq!(metric(bridge.http, "wrong_clocks_total").await, 1);
    assert_eq!(metric(bridge.http, "authenticated_total").await, 2);
    bridge.stop().await;
}

#[tokio::test]
async fn a_sealed_datagram_replayed_years_later_changes_nothing() {
    let mut items = Vec::new();
    let clocks: [fn() -> At; 2] = [|| At::from_unix(NOW.into()).unwrap(), || At::from_unix(1_900_000_000).unwrap()];
    for clock in clocks {
        let bridge = Bridge::start_at("adeunis-pulse4-nbiot", clock, |_| {}).await;
        send(bridge.sealed, &[sealed(NOW - 5)]).await;
        items.extend(bridge.stop().await.iter().map(item));
    }
    let stored: Vec<&str> = items.iter().map(|item| item.uplink.as_str()).collect();
    assert_eq!(stored, ["2026-11-20T12:00:00Z#00007", "2026-11-20T12:00:00Z#00007u"]);
    assert_eq!(merge(items.clone()).unwrap(), merge(items.drain(..1)).unwrap());
}

#[tokio::test]
async fn a_repeated_datagram_is_one_uplink_even_if_its_clock_would_be_accepted_by_then() {
    static CLOCK: AtomicI64 = AtomicI64::new(NOW as i64);
    let bridge =
        Bridge::start_at("dragino-sw3l-nb", || At::from_unix(CLOCK.load(Ordering::SeqCst)).unwrap(), |_| {}).await;
    let ahead = dragino(NOW + 86_400 + 1);
    for received in 1..=2 {
        send(bridge.trusted, std::slice::from_ref(&ahead)).await;
        while metric(bridge.http, "authenticated_total").await < received {
            tokio::task::yield_now().await;
        }
        CLOCK.fetch_add(5, Ordering::SeqCst);
    }
    let uplinks = bridge.stop().await;
    assert_eq!((uplinks.len(), uplinks[0].at.unix()), (2, i64::from(NOW)));
    assert_eq!(uplinks[0], uplinks[1]);
}
