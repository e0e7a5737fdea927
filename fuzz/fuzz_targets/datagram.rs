//! Parses any bytes as a datagram, at each kind of listener.
//!
//! A fuzzer cannot guess a valid tag. To reach the code after authentication, the target also seals the bytes with the
//! key of the meter that they name: as a whole, and from the first 0xFF on, where the payload of a CoAP message begins.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pulsegate_model::device::{Imei, Network};
use pulsegate_model::profile;
use pulsegate_model::profile::PROFILES;
use udp_bridge::protocol::coap::Late;
use udp_bridge::protocol::sealed::{Header, MasterKeys};
use udp_bridge::protocol::{Answer, Inbound, Protocol, Trust};
use udp_bridge::socket::MAX_DATAGRAM;

/// The first is the key of docs/nbiot-protocol.md, so that the examples there are valid here.
const MASTER_KEYS: &str =
    r#"{"1": "correct horse battery staple, and then some", "7": "another master key for the rotation"}"#;

static KEYS: LazyLock<MasterKeys> = LazyLock::new(|| MASTER_KEYS.parse().unwrap());

static SEALED: LazyLock<Protocol> = LazyLock::new(|| bare(Trust::Sealed(KEYS.clone())));

/// Sealed listeners, and one in the clear for every profile with a vendor's form.
static LISTENERS: LazyLock<Vec<Protocol>> = LazyLock::new(|| {
    let in_the_clear = PROFILES.iter().filter(|profile| profile.codec.identify.is_some());
    let in_the_clear = in_the_clear.map(|profile| Protocol::in_the_clear(profile, true));
    let coap = [Trust::Sealed(KEYS.clone()), Trust::InTheClear].map(Protocol::Coap);
    [SEALED.clone()].into_iter().chain(coap).chain(in_the_clear).collect()
});

/// The answer to a time request may be longer than the request by this many bytes: the time takes four bytes and a
/// payload marker, and the path of the request may be a single letter.
const LONGER_BY_THE_TIME: usize = 3;

fn bare(trust: Trust) -> Protocol {
    let profile = profile::find(Network::Nbiot, "adeunis-pulse4-nbiot").unwrap();
    Protocol::Datagram { profile, trust, acknowledge: true }
}

fuzz_target!(|bytes: &[u8]| {
    let sealed_whole = sealed(bytes);
    if let Some(datagram) = sealed_whole.as_ref().filter(|datagram| datagram.len() <= MAX_DATAGRAM) {
        proof_is_enough(datagram);
    }
    for datagram in [Some(bytes.to_vec()), sealed_whole, with_sealed_payload(bytes)].into_iter().flatten() {
        for listener in LISTENERS.iter() {
            nobody_gets_in_unproven_and_nothing_is_amplified(listener, &datagram);
        }
    }
});

/// The datagram with the valid tag of the meter that it names; `None` if it names none.
fn sealed(datagram: &[u8]) -> Option<Vec<u8>> {
    let (untagged, _) = datagram.split_last_chunk::<8>()?;
    let (header, payload) = untagged.split_first_chunk::<18>()?;
    let [_, key_id, imei @ .., c0, c1, c2, c3, t0, t1, t2, t3] = *header;
    let imei = Imei::from_packed(imei).ok()?;
    let (counter, time) = (u32::from_be_bytes([c0, c1, c2, c3]), u32::from_be_bytes([t0, t1, t2, t3]));
    Some(KEYS.device_key(key_id, imei)?.seal_uplink(Header { key_id, imei, counter, time }, payload))
}

fn with_sealed_payload(datagram: &[u8]) -> Option<Vec<u8>> {
    let (head, payload) = datagram.split_at(datagram.iter().position(|&byte| byte == 0xFF)? + 1);
    Some([head, &sealed(payload)?].concat())
}

/// Asserts that every authenticated uplink is accepted, whatever its time is.
fn proof_is_enough(datagram: &[u8]) {
    match SEALED.read(datagram) {
        Ok(Inbound::Uplink(_, opened, _)) => assert_eq!(opened.payload.bytes(), &datagram[18..datagram.len() - 8]),
        other => panic!("{other:?}"),
    }
}

fn nobody_gets_in_unproven_and_nothing_is_amplified(listener: &Protocol, datagram: &[u8]) {
    let Ok(heard) = listener.read(datagram) else { return };
    let spoken_to = !matches!(heard, Inbound::Settled(_));
    if spoken_to && matches!(listener.trust(), Trust::Sealed(_)) {
        assert!(is_proved(listener, datagram), "without proof: {heard:?}");
    }
    let longer = if matches!(heard, Inbound::Asked(_)) { LONGER_BY_THE_TIME } else { 0 };
    for sent in all_sent(heard) {
        assert!(sent <= datagram.len() + longer, "amplified: {sent} bytes");
    }
}

/// True if there is a valid tag at a position that the listener checks: sealing the datagram again changes nothing.
fn is_proved(listener: &Protocol, datagram: &[u8]) -> bool {
    let starts = match listener {
        Protocol::Datagram { .. } => 0..1,
        // The payload may begin anywhere; a sealed payload extends to the end.
        Protocol::Coap(_) | Protocol::Efento(_) => 0..datagram.len(),
    };
    starts.into_iter().any(|start| sealed(&datagram[start..]).is_some_and(|sealed| sealed == datagram[start..]))
}

/// Sizes of all possible answers to the sender, in bytes.
fn all_sent(heard: Inbound) -> Vec<usize> {
    match heard {
        Inbound::Wrong(_, answer) | Inbound::Uplink(_, _, Answer::Datagram(answer)) => vec![answer.len()],
        Inbound::Asked(answer) => answer.iter().map(Vec::len).collect(),
        Inbound::Uplink(_, _, Answer::Coap(exchange)) => {
            let late = |durable| exchange.arrived().len() + exchange.separate_answer(durable, 1).len();
            let late = |durable| if exchange.late() == Late::Silence { 0 } else { late(durable) };
            [true, false].into_iter().flat_map(|durable| [exchange.answer(durable, 1).len(), late(durable)]).collect()
        }
        Inbound::Settled(_) => vec![],
    }
}
