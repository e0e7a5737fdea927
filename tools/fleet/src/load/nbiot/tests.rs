//! Repetitions of a modem, with a clock that the test advances.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use coap_lite::Packet;

use super::*;
use crate::load::faults::Faults;
use crate::load::sockets::Groups;
use crate::spec::Spec;

const SECOND: u64 = 1_000_000;

/// One CoAP meter, its fleet, and the bridge's socket.
fn meter() -> (Nbiot, Arc<Fleet>, UdpSocket) {
    let bridge = bridge_load::net::udp_socket(0, false).unwrap();
    bridge.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let SocketAddr::V4(to) = bridge.local_addr().unwrap() else { unreachable!() };
    let mix = Spec::parse_mix("senml-cbor").unwrap();
    let (nbiot, fleet) = meters(Spec { sigfox_share: 0.0, mix, ..spec(1) }, vec![to]);
    (nbiot, fleet, bridge)
}

fn spec(devices: u32) -> Spec {
    Spec::new("2026-11-20T12:00:00Z".parse().unwrap(), devices)
}

/// The meters of a spec, which send CoAP to these addresses.
fn meters(spec: Spec, coap: Vec<SocketAddrV4>) -> (Nbiot, Arc<Fleet>) {
    let fleet = Arc::new(Fleet::new(spec).unwrap());
    let link = Link {
        key: MasterKey::from_secret(&test_kit::sealed::master_keys(), 1).unwrap(),
        to: Addresses { coap, ..Addresses::default() },
        sockets: Sockets::open(Groups::Fixed(1), Ipv4Addr::LOCALHOST).unwrap(),
        retransmission: Retransmission { first: Duration::from_secs(2), repetitions: 5 },
        injector: Faults::default().injector(1, "nbiot"),
    };
    (Nbiot::new(Arc::clone(&fleet), link), fleet)
}

fn send(nbiot: &mut Nbiot, fleet: &Fleet) {
    let counted = fleet.pulses(0, 0);
    let session = fleet.session(0, 0, counted.into());
    let message = Message { meter: 0, hour: 0, counted, position: 0, of: 1 };
    nbiot.send(message, &fleet.meter(0), &session.uplinks[0], 0).unwrap();
    nbiot.flush().unwrap();
}

/// Advances the clock until the message is settled. Returns the times of its repetitions, its outcome, and the time of
/// the outcome. Times are in microseconds.
fn wait(nbiot: &mut Nbiot, from: u64) -> (Vec<u64>, Vec<Settled>, u64) {
    const STEP: u64 = 10_000;
    let (mut now, mut again, mut settled) = (from, Vec::new(), Vec::new());
    while settled.is_empty() && now < 600 * SECOND {
        now += STEP;
        let before = nbiot.udp.attempts;
        nbiot.repeat(now, &mut settled).unwrap();
        if nbiot.udp.attempts > before {
            again.push(now);
        }
    }
    (again, settled, now)
}

#[test]
fn it_is_repeated_after_two_seconds_and_each_time_after_twice_as_long_and_given_up_after_five_times() {
    let (mut nbiot, fleet, bridge) = meter();
    send(&mut nbiot, &fleet);
    let (again, settled, end) = wait(&mut nbiot, 0);
    assert!(matches!(settled[..], [Settled { acknowledged: false, .. }]), "{settled:?}");
    assert_eq!(again.len(), 5);
    let times = [&[0], &again[..], &[end]].concat();
    for (nth, pair) in times.windows(2).enumerate() {
        let (pause, least) = (pair[1] - pair[0], (2 << nth) * SECOND);
        assert!((least..=least * 3 / 2 + SECOND / 10).contains(&pause), "{nth}: {pause}");
    }
    let mut buffer = [[0; 512]; 6];
    let datagrams = buffer.each_mut().map(|buffer| {
        let len = bridge.recv(buffer).unwrap();
        buffer[..len].to_vec()
    });
    assert!(datagrams.iter().all(|datagram| *datagram == datagrams[0]), "the same bytes each time");
}

#[test]
fn who_was_promised_an_answer_waits_for_it_but_not_for_ever() {
    let (mut nbiot, fleet, bridge) = meter();
    send(&mut nbiot, &fleet);
    let mut request = [0; 512];
    let (len, from) = bridge.recv_from(&mut request).unwrap();
    let request = Packet::from_bytes(&request[..len]).unwrap();
    bridge.send_to(&coap::confirmation(request.header.message_id), from).unwrap();
    let (mut settled, mut retransmission) = (Vec::new(), 5_000);
    while nbiot.promised.is_empty() && retransmission > 0 {
        nbiot.receive(SECOND, &mut settled).unwrap();
        std::thread::sleep(Duration::from_millis(1));
        retransmission -= 1;
    }
    let (again, ..) = wait(&mut nbiot, SECOND);
    assert!((31 * SECOND..32 * SECOND).contains(&again[0]), "{again:?}");
    nbiot.tidy(40 * SECOND);
    assert!(nbiot.promised.is_empty());
}

#[test]
fn meters_are_spread_over_all_addresses_and_each_goes_on_to_the_next_one() {
    let to: Vec<SocketAddrV4> = (1..=2).map(|port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).collect();
    let mix = Spec::parse_mix("adeunis-pulse-v4,senml-cbor").unwrap();
    // Every second meter is on Sigfox.
    let (nbiot, fleet) = meters(Spec { mix, ..spec(1_000) }, to.clone());
    let mut first = [0; 2];
    for number in 0..1_000 {
        let (meter, session) = (fleet.meter(number), fleet.session(number, 0, fleet.counted(number, 0)));
        let at = |attempts| nbiot.datagram(&meter, &session.uplinks[0], attempts).map(|(_, at)| at);
        if let Some(address) = at(1) {
            let nth = to.iter().position(|to| *to == address).unwrap();
            first[nth] += 1;
            assert_eq!((at(2), at(3)), (Some(to[1 - nth]), Some(address)));
        }
    }
    assert!(first.iter().all(|count| (200..300).contains(count)), "{first:?}");
}
