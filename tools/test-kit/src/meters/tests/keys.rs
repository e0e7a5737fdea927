//! The keys under which uplinks are stored.

use std::collections::BTreeSet;

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_model::profile;

use super::super::frames::efento::sequence;
use super::*;

/// The device and the time in the head of an NB-IoT frame.
fn head(profile: &str, payload: &[u8]) -> (DeviceId, Option<At>) {
    let profile = profile::find(Network::Nbiot, profile).unwrap();
    let head = profile.codec.identify.unwrap().head(payload).unwrap();
    (head.device, head.clock)
}

#[test]
fn an_nbiot_frame_says_of_itself_what_its_key_says() {
    for kind in KINDS.iter().filter(|kind| kind.network() == Network::Nbiot) {
        let fleet = Fleet::new(Spec { clock_drift: 200.0, ..of_profile(kind.profile, 20, 9.0) }).unwrap();
        for number in 0..20 {
            for uplink in uplinks(&fleet, number, &[0, 4, 8]) {
                let (device, at) = head(kind.profile, &uplink.payload);
                assert_eq!((device, at), (fleet.meter(number).device, Some(uplink.at)), "{}", kind.profile);
            }
        }
    }
}

/// As the bridge computes it; the expected number is zlib's.
#[test]
fn an_efento_messages_number_is_the_checksum_of_its_path_and_its_bytes() {
    let message = "0a06282c02424eed1001183c2210081910b4d780d80620602a04000008082213081810b4d780d80620b8082a06006c9f08bf07\
                   28d08881d8063817400f82010f343930313534323033323337353138";
    assert_eq!(sequence(&hex::decode(message).unwrap()), 4_048_892_278);
    let fleet = Fleet::new(of_profile("efento", 1, 1.0)).unwrap();
    let uplink = uplinks(&fleet, 0, &[0]).remove(0);
    assert_eq!(uplink.sequence, sequence(&uplink.payload));
}

#[test]
fn the_frames_of_a_series_are_dated_ten_seconds_apart_as_radio_takes_its_time() {
    let fleet = Fleet::new(of_profile("adeunis-pulse-v2-10min", 5, 1.0)).unwrap();
    for number in 0..5 {
        let times: Vec<i64> = uplinks(&fleet, number, &[0]).iter().map(|uplink| uplink.at.unix()).collect();
        assert!(times.len() >= 4 && times.windows(2).all(|pair| pair[1] - pair[0] == 10), "{times:?}");
    }
}

#[test]
fn the_numbers_of_a_sigfox_meters_uplinks_have_no_gap_and_start_again_after_4095() {
    let fleet = Fleet::new(of_profile("adeunis-pulse-v2-10min", 3, 1_200.0)).unwrap();
    for number in 0..3 {
        let sent = (0..1_200).flat_map(|hour| fleet.session(number, hour, 9_000).uplinks);
        let numbers: Vec<u32> = sent.map(|uplink| uplink.sequence).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == (pair[0] + 1) % 4_096));
        assert!(numbers.contains(&4_095) && numbers.contains(&0));
    }
}

#[test]
fn the_counter_of_a_sealed_meter_grows_by_one_from_a_start_of_its_own() {
    let fleet = Fleet::new(of_profile("senml-cbor", 20, 5.0)).unwrap();
    let mut starts = BTreeSet::new();
    for number in 0..20 {
        let counters: Vec<u32> =
            uplinks(&fleet, number, &[0, 1, 2, 3, 4]).iter().map(|uplink| uplink.sequence).collect();
        assert!(counters.windows(2).all(|pair| pair[1] == pair[0] + 1));
        starts.insert(counters[0]);
    }
    assert_eq!(starts.len(), 20);
}
