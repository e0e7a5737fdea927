//! Datagrams, in the clear and sealed, and invalid ones for the bridge and for the stream behind it.

use fastrand::Rng;
use pulsegate_model::aggregate::{Aggregator, StreamRecord};
use pulsegate_model::device::Imei;
use serde_json::json;
use test_kit::meters::adeunis_nbiot_head;
use test_kit::sealed::MasterKey;

use super::{Datagram, Fleet, Listener, Reading, moment};

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
        for mut reading in readings {
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
            let profile = if listener == Listener::Hourly { "adeunis-pulse4-nbiot-1h" } else { "adeunis-pulse4-nbiot" };
            // The bridge does not read the radio data in an envelope's payload.
            let radio = if key.is_some() { json!({}) } else { json!({"signal_quality": SIGNAL}) };
            fleet.expected.uplink(
                &reading,
                json!({
                    "device": format!("nbiot:{imei}"), "kind": "data", "at": reading.when(), "time_source": "device",
                    "sequence": reading.sequence, "profile": profile, "payload": hex::encode(&payload),
                    "radio": radio,
                }),
            );
            fleet.datagrams.push(Datagram { at: moment(rng), listener, bytes: bytes.into(), known: true });
        }
    }
    unauthenticated(fleet, rng);
    noise(fleet, rng);
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
