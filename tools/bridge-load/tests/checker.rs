//! Tests of the checker: bridges in this process that misbehave in a known way, which it has to find.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::net::{SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use bridge_load::chaos::consumer::Consumer;
use bridge_load::chaos::verdict::Verdict;
use bridge_load::fleet::{Answers, Fleet, Pattern, Plan, RetryPolicy};
use bridge_load::net::udp_socket;
use bridge_load::readings::Meters;
use pulsegate_model::aggregate::Aggregator;
use pulsegate_model::at::At;
use pulsegate_model::device::{DeviceId, Imei};
use pulsegate_model::record;
use pulsegate_model::uplink::{Kind, Payload, Radio, TimeSource, Uplink};
use test_kit::sealed::MasterKey;

const METERS: u32 = 100;
const READINGS: u64 = 2_000;

/// The fate of a reading that a bridge has acknowledged.
#[derive(Clone, Copy)]
enum Does {
    Stores,
    StoresTwice,
    Drops,
    StoresAnother,
    StoresNoise,
}

/// A bridge that acknowledges first. An empty datagram stops it.
fn bridge(stream: SyncSender<Vec<u8>>, does: fn(&Uplink) -> Does) -> (SocketAddrV4, JoinHandle<()>) {
    let socket = udp_socket(0, false).unwrap();
    let addr = socket.local_addr().unwrap().to_string().parse().unwrap();
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        loop {
            let (len, from) = socket.recv_from(&mut buffer).unwrap();
            let datagram = &buffer[..len];
            let Some(answer) = MasterKey::default().acknowledgement(datagram, 0) else { return };
            socket.send_to(&answer, from).unwrap();
            let uplink = uplink(datagram);
            let record = record(&uplink);
            match does(&uplink) {
                Does::Stores => stream.send(record).unwrap(),
                Does::StoresTwice => (0..2).for_each(|_| stream.send(record.clone()).unwrap()),
                Does::Drops => {}
                Does::StoresAnother => {
                    let another = Uplink { sequence: Some(1_000_000), ..uplink };
                    stream.send(self::record(&another)).unwrap();
                }
                Does::StoresNoise => stream.send(aggregated(b"noise")).unwrap(),
            }
        }
    });
    (addr, thread)
}

fn aggregated(user_record: &[u8]) -> Vec<u8> {
    let mut open = Aggregator::default();
    open.add(|| "key".to_owned(), user_record);
    open.close().unwrap().data
}

fn record(uplink: &Uplink) -> Vec<u8> {
    let mut user_record = Vec::new();
    record::encode(uplink, &mut user_record);
    aggregated(&user_record)
}

fn uplink(datagram: &[u8]) -> Uplink {
    let number = |at: usize| u32::from_be_bytes(datagram[at..at + 4].try_into().unwrap());
    Uplink {
        device: DeviceId::Nbiot(Imei::from_packed(datagram[2..10].try_into().unwrap()).unwrap()),
        kind: Kind::Data,
        at: At::from_unix(number(14).into()).unwrap(),
        time_source: TimeSource::Device,
        sequence: Some(number(10)),
        profile: "adeunis-pulse4-nbiot".parse().unwrap(),
        payload: Payload::from_bytes(&datagram[18..datagram.len() - 8]).unwrap(),
        radio: Radio::default(),
    }
}

/// The verdict on a bridge.
fn verdict(does: fn(&Uplink) -> Does) -> Verdict {
    let meters = Arc::new(Meters::new(METERS));
    let (consumer, stream) = Consumer::start(Arc::clone(&meters), READINGS);
    let (addr, thread) = bridge(stream, does);
    let mut fleet = Fleet::new(meters).unwrap();
    // Repeats later than any test machine answers, so that no repetition is stored.
    let retry = RetryPolicy { first: Duration::from_secs(10), repetitions: 1 };
    let plan = Plan {
        to: vec![addr],
        readings: READINGS,
        rate: 5_000,
        pattern: Pattern::Uniform,
        answers: Answers::Checked,
        retry,
    };
    fleet.run(&plan).unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&[], addr).unwrap();
    thread.join().unwrap();
    Verdict::new(fleet.sent(), fleet.acknowledged(), &consumer.stored().unwrap())
}

fn one_in_four(uplink: &Uplink) -> bool {
    uplink.sequence.is_some_and(|counter| counter % 4 == 0)
}

#[test]
fn a_bridge_that_stores_what_it_acknowledges_is_not_blamed() {
    let verdict = verdict(|_| Does::Stores);
    assert_eq!((verdict.sent, verdict.acknowledged, verdict.lost), (READINGS, READINGS, 0));
    assert_eq!(verdict.broken(), Vec::<String>::new());
}

#[test]
fn what_a_bridge_acknowledged_and_dropped_is_found_to_the_last_one() {
    let verdict = verdict(|uplink| if one_in_four(uplink) { Does::Drops } else { Does::Stores });
    assert_eq!((verdict.acknowledged, verdict.lost), (READINGS, READINGS / 4));
    assert_eq!(verdict.first_lost, [0, 1, 2, 3, 4]);
    assert_eq!(verdict.broken(), ["500 readings are acknowledged and lost"]);
}

#[test]
fn what_is_in_the_stream_twice_is_a_duplicate_and_no_loss() {
    let verdict = verdict(|uplink| if one_in_four(uplink) { Does::StoresTwice } else { Does::Stores });
    assert_eq!((verdict.lost, verdict.duplicates), (0, READINGS / 4));
    assert_eq!(verdict.broken(), Vec::<String>::new());
}

#[test]
fn what_is_stored_as_another_reading_is_lost_and_a_stranger() {
    let verdict = verdict(|uplink| if one_in_four(uplink) { Does::StoresAnother } else { Does::Stores });
    assert_eq!((verdict.lost, verdict.foreign_stored), (READINGS / 4, READINGS / 4));
}

#[test]
fn what_nobody_can_read_is_lost_and_unreadable() {
    let verdict = verdict(|uplink| if one_in_four(uplink) { Does::StoresNoise } else { Does::Stores });
    assert_eq!((verdict.lost, verdict.unreadable), (READINGS / 4, READINGS / 4));
}
