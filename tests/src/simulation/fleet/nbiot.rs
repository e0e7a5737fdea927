//! Datagrams, in the clear and sealed, and invalid ones for the bridge and for the stream behind it.

use fastrand::Rng;
use pulsegate_model::aggregate::{Aggregator, StreamRecord};
use pulsegate_model::device::Imei;
use serde_json::json;
use test_kit::meters::adeunis_nbiot_head;
use test_kit::sealed::MasterKey;

use super::{CLOCK_EPOCH, Datagram, Fleet, Listener, NOON, Reading, arrival, moment};

/// Readings of a meter.
const SERIES: usize = 4;

/// The signal quality that the modems report.
const SIGNAL: u8 = 3;

/// Adds at least this many uplinks, and the invalid messages of the bridge.
pub(super) fn add(fleet: &mut Fleet, rng: &mut Rng, uplinks: usize) {
    let first = 490_154_203_237_518 + rng.u64(..1_000_000);
    let master = MasterKey::default();
    for meter in 0..uplinks.div_ceil(SERIES) {
        let imei = Imei::try_from(first + meter as u64).unwrap_or_else(|e| panic!("{e}"));
        let listener = [Listener::Trusted, Listener::Hourly, Listener::Sealed][rng.usize(..3)];
        let readings = Reading::series(rng, SERIES);
        let key = (listener == Listener::Sealed).then(|| master.device_key(imei.packed())).flatten();
        let wrong = wrong_clock(imei, key.is_some());
        for (nth, mut reading) in readings.into_iter().enumerate() {
            let wrong = wrong.filter(|_| nth < SERIES / 2);
            if let Some(shown) = wrong {
                reading.at += shown - NOON;
            }
            // A frame that no codec knows has no clock that the bridge can read: only the envelope dates it.
            reading.decodable |= key.is_none();
            let frame = reading.frame(key.is_none());
            let head = adeunis_nbiot_head(imei.packed(), SIGNAL, reading.sequence);
            let payload = [&head[..], &hex::decode(frame).unwrap_or_else(|e| panic!("{e}"))].concat();
            let bytes = match &key {
                Some(key) => {
                    let time = u32::try_from(reading.at).unwrap_or(u32::MAX);
                    key.seal(reading.sequence, time, &payload)
                }
                None => payload.clone(),
            };
            let time_source = match wrong {
                None => "device",
                Some(_) if key.is_some() => "unset",
                Some(_) => {
                    reading.at = arrival(&payload).unix();
                    "network"
                }
            };
            let profile = if listener == Listener::Hourly { "adeunis-pulse4-nbiot-1h" } else { "adeunis-pulse4-nbiot" };
            // The bridge does not read the radio data in an envelope's payload.
            let radio = if key.is_some() { json!({}) } else { json!({"signal_quality": SIGNAL}) };
            fleet.expected.uplink(
                &reading,
                json!({
                    "device": format!("nbiot:{imei}"), "kind": "data", "at": reading.when(),
                    "time_source": time_source, "sequence": reading.sequence, "profile": profile, "payload": hex::encode(&payload),
                    "radio": radio,
                }),
            );
            fleet.datagrams.push(Datagram { at: moment(rng), listener, bytes: bytes.into(), known: true });
        }
    }
    unauthenticated(fleet, rng);
    noise(fleet, rng);
}

/// The time that a wrong clock shows at noon; `None` for three meters of four. It is set after half of a meter's readings.
fn wrong_clock(imei: Imei, is_sealed: bool) -> Option<i64> {
    const DAY: i64 = 86_400;
    let clocks = [
        37,            // counts from 1970
        315_964_800,   // 1980-01-06, the epoch of GPS
        946_684_800,   // 2000-01-01
        1_072_915_200, // 2004-01-01
        CLOCK_EPOCH,   // 2013-01-01
        1_611_878_441, // 2021-01-29, and 41 seconds
        NOON - 500 * DAY,
        NOON + 3 * DAY,
        3_471_897_600, // 2080-01-06
    ];
    // A frame in the clear has no earlier time than that of its epoch.
    let possible = if is_sealed { &clocks[..] } else { &clocks[4..] };
    let mut rng = Rng::with_seed(imei.number());
    rng.choice(possible).copied().filter(|_| rng.u8(..) < 64)
}

/// Datagrams that the bridge must not answer.
fn unauthenticated(fleet: &mut Fleet, rng: &mut Rng) {
    let number = rng.u64(..).to_be_bytes();
    let short = number[..5].to_vec();
    let forged = [&[1, 1], number.as_slice(), &[0; 40]].concat();
    for (listener, bytes) in [(Listener::Trusted, short), (Listener::Sealed, forged)] {
        fleet.expected.refused += 1;
        fleet.datagrams.push(Datagram { at: moment(rng), listener, bytes: bytes.into(), known: false });
    }
}

/// Foreign records in the stream: one that is not aggregated, and one with an invalid user record.
fn noise(fleet: &mut Fleet, rng: &mut Rng) {
    for _ in 0..2 {
        let plain = format!("noise in the stream, {}", rng.u32(..));
        let piece = format!("a piece that is none, {}", rng.u32(..));
        fleet.expected.quarantined.extend([plain.clone(), piece.clone()]);
        let mut aggregator = Aggregator::default();
        aggregator.add(|| piece.clone(), piece.as_bytes());
        fleet.stream_noise.push(StreamRecord { partition_key: plain.clone(), data: plain.into_bytes() });
        fleet.stream_noise.extend(aggregator.close());
    }
}
