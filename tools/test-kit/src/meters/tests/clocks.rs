//! Meters with wrong clocks.

use std::collections::BTreeMap;

use pulsegate_model::clock::ClockCheck;
use pulsegate_model::codec::Flag;

use super::*;

/// A fleet of one NB-IoT profile, of which every meter has a wrong clock.
fn wrong(profile: &str, devices: u32, hours: f64) -> Fleet {
    Fleet::new(Spec { wrong_clocks: 1.0, ..of_profile(profile, devices, hours) }).unwrap()
}

fn nbiot() -> impl Iterator<Item = &'static str> {
    KINDS.iter().filter(|kind| kind.network() == Network::Nbiot).map(|kind| kind.profile)
}

#[test]
fn an_eighth_of_the_wrong_clocks_shows_each_impossible_time() {
    let fleet = wrong("senml-cbor", 4_000, 1.0);
    let mut shown: BTreeMap<String, u32> = BTreeMap::new();
    for number in 0..4_000 {
        let uplink = uplinks(&fleet, number, &[0]).remove(0);
        let year = uplink.at.to_string()[..4].to_owned();
        *shown.entry(year).or_default() += 1;
        let network = fleet.moment(0);
        assert!(!ClockCheck::against(network).accepts(uplink.at), "{}", uplink.at);
    }
    let years: Vec<&str> = shown.keys().map(String::as_str).collect();
    assert_eq!(years, ["1970", "1980", "2000", "2004", "2021", "2025", "2026", "2080"]);
    assert!(shown.values().all(|count| (400..600).contains(count)), "{shown:?}");
}

#[test]
fn three_clocks_of_four_are_set_by_one_of_the_first_three_answers_and_then_are_right() {
    let fleet = wrong("senml-cbor", 4_000, 5.0);
    let mut wrong_hours: BTreeMap<usize, u32> = BTreeMap::new();
    for number in 0..4_000 {
        let datings = uplinks(&fleet, number, &[0, 1, 2, 3, 4]).into_iter().map(|uplink| uplink.dating);
        let datings: Vec<Dating> = datings.collect();
        let wrong = datings.iter().filter(|&&dating| dating == Dating::Unset).count();
        assert!(datings[wrong..].iter().all(|&dating| dating == Dating::Device), "{datings:?}");
        *wrong_hours.entry(wrong).or_default() += 1;
    }
    assert_eq!(wrong_hours.keys().collect::<Vec<_>>(), [&1, &2, &3, &5]);
    assert!(wrong_hours.values().all(|count| (900..1_100).contains(count)), "{wrong_hours:?}");
}

/// A share of wrong clocks changes no other meter, so recorded runs can still be audited.
#[test]
fn meters_with_right_clocks_and_meters_on_sigfox_send_the_same_bytes_in_every_fleet() {
    let mix: Vec<Weighted> =
        KINDS.iter().map(|kind| Weighted { profile: kind.profile.to_owned(), weight: 1 }).collect();
    let all_right = Spec { mix, hours: 4.0, ..spec(200) };
    let fleets = [0.0, 0.5].map(|share| Fleet::new(Spec { wrong_clocks: share, ..all_right.clone() }).unwrap());
    let mut differing = 0;
    for number in 0..200 {
        let [right, some] = fleets.each_ref().map(|fleet| uplinks(fleet, number, &[0, 1, 2, 3]));
        if right != some {
            differing += 1;
            assert_eq!(fleets[0].meter(number).device.network(), Network::Nbiot);
            assert!(some[0].clock_not_set && some[0].dating != Dating::Device);
        }
    }
    assert!((30..70).contains(&differing), "{differing}");
}

#[test]
fn an_item_has_the_flag_exactly_if_one_of_its_times_is_of_a_wrong_clock() {
    let mut flagged = 0;
    for profile in nbiot() {
        let spec = Spec { wrong_clocks: 1.0, odd_settings: 0.5, ..of_profile(profile, 40, 12.0) };
        let fleet = Fleet::new(spec).unwrap();
        for (number, hour) in (0..40).flat_map(|number| (0..12).map(move |hour| (number, hour))) {
            for uplink in arrived(&fleet, number, hour) {
                let item = stored(&fleet.meter(number), &uplink);
                let has_flag = item.flags.contains(&Flag::ClockNotSet.into());
                assert_eq!(has_flag, uplink.clock_not_set, "{profile} {number} {hour}: {item:?}");
                flagged += u32::from(has_flag && uplink.dating == Dating::Device);
            }
        }
    }
    assert!(flagged > 100, "{flagged} frames of a right clock have logs of a wrong one");
}

/// The key of an uplink in the clear has the time of its arrival, which nobody knows beforehand.
#[test]
fn an_uplink_that_its_arrival_dates_is_found_at_any_time_by_its_checksum() {
    let fleet = wrong("efento", 40, 6.0);
    for (number, hour) in (0..40).flat_map(|number| (0..6).map(move |hour| (number, hour))) {
        let uplink = arrived(&fleet, number, hour).remove(0);
        let later = uplink.at.checked_add(1_234).unwrap();
        let found = fleet.hour_of(number, later, Some(uplink.sequence));
        assert_eq!(found, (uplink.dating == Dating::Arrival).then_some((hour, 0)));
        assert_eq!(fleet.hour_of(number, uplink.at, Some(uplink.sequence)), Some((hour, 0)));
        assert_eq!(fleet.hour_of(number, later, Some(uplink.sequence ^ 1)), None);
    }
}

#[test]
fn a_fleet_with_wrong_clocks_starts_when_a_clock_of_2021_is_impossible() {
    let early = Spec { wrong_clocks: 0.1, start: "2022-12-31T23:59:59Z".parse().unwrap(), ..spec(10) };
    let problem = Fleet::new(early.clone()).unwrap_err().to_string();
    assert!(problem.contains("2023-01-01"), "{problem}");
    assert!(Fleet::new(Spec { wrong_clocks: 0.0, ..early }).is_ok());
}
