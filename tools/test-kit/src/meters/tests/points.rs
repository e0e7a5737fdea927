//! The points of the real codecs and the real merge are what the meters have counted.

use super::super::account::consumption;
use super::super::counter::Fate;
use pulsegate_model::merge::Point;
use pulsegate_model::uplink::TimeSource;

use super::super::{Change, Expected, kinds};
use super::*;

/// Points as the audit compares them; asserts that no others are left. Those that the network dated on NB-IoT are of wrong
/// clocks.
fn told(network: Network, points: &BTreeMap<Channel, Points>) -> Vec<Expected> {
    for (channel, of) in points {
        assert!(of.counted.iter().all(|count| !count.contradicted), "{channel}: {:?}", of.counted);
    }
    let expected = |(channel, of): (&Channel, &Points)| {
        let one = |at, index, per_period| Expected { channel: channel.to_string(), at, index, per_period };
        let point = |at, index| one(at, index, false);
        let is_arrival = |each: &Point| network == Network::Nbiot && each.time_source == TimeSource::Network;
        let dated = of.points.iter().map(|each| point((!is_arrival(each)).then_some(each.at), each.index));
        let undated = of.undated.iter().flat_map(|each| &each.indexes).map(|&index| point(None, index));
        let counted = of.counted.iter().map(|each| one(Some(each.at), each.pulses, true));
        let counts = of.undated.iter().flat_map(|each| &each.counted).map(|&pulses| one(None, pulses, true));
        dated.chain(undated).chain(counted).chain(counts).collect::<Vec<_>>()
    };
    let mut told: Vec<Expected> = points.iter().flat_map(expected).collect();
    told.sort_unstable();
    told
}

fn check(fleet: &Fleet, number: u32, hours: &[u32], chance: u64) -> Result<(), TestCaseError> {
    let faults = fleet.spec().faults;
    let due: Vec<u32> = hours.iter().copied().filter(|&hour| fleet.is_due(number, hour)).collect();
    let points = points(fleet, number, &due, chance);
    let network = fleet.meter(number).device.network();
    for (channel, of) in &points {
        prop_assert!(of.unanchored.is_empty() || faults.lost > 0.0, "{}", channel);
        prop_assert!(
            of.points.iter().all(|point| !point.contradicted) || fleet.garbled(number).is_some(),
            "{}",
            channel
        );
    }
    prop_assert_eq!(told(network, &points), fleet.expected(number, hours));
    if due.iter().any(|&hour| fleet.dating_of(number, hour) == Dating::Arrival) {
        return Ok(());
    }
    let of_register = fleet.change(number).map(|(change, _)| change);
    if fleet.garbled(number).is_some() || matches!(of_register, Some(Change::Swap | Change::UntoldSwap)) {
        return Ok(()); // the total knows nothing of these
    }
    let consumed: BTreeMap<String, u64> =
        points.iter().map(|(channel, points)| (channel.to_string(), consumption(points))).collect();
    let total = fleet.total(number, hours);
    if consumed.is_empty() {
        prop_assert!(due.is_empty() || faults.lost > 0.0);
        prop_assert!(consumed.is_empty() && total.values().all(|&pulses| pulses == 0));
    } else {
        prop_assert_eq!(consumed, total);
    }
    Ok(())
}

/// Hours of a fleet in any order, and some twice.
fn any_hours() -> impl Strategy<Value = Vec<u32>> {
    prop_oneof![
        Just((0..30).collect()),
        proptest::collection::vec(0..40_u32, 0..40),
        (0..30_u32, 1..12_u32).prop_map(|(first, count)| (first..first + count).rev().collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_has_come_in_any_order_and_twice_is_what_the_meter_has_counted(
        spec in any_spec(40.0),
        hours in any_hours(),
        number: u32,
        chance: u64,
    ) {
        let fleet = Fleet::new(spec).unwrap();
        check(&fleet, number % fleet.spec().devices, &hours, chance)?;
    }

    #[test]
    fn faults_leave_the_points_that_they_must(
        spec in any_faulty_spec(40.0),
        hours in any_hours(),
        number: u32,
        chance: u64,
    ) {
        let fleet = Fleet::new(spec).unwrap();
        check(&fleet, number % fleet.spec().devices, &hours, chance)?;
    }

    #[test]
    fn a_total_is_all_that_was_counted_between_two_hours(spec in any_spec(40.0), number: u32, from in 0..39_u32) {
        let spec = Spec { sigfox_share: 1.0, ..spec };
        let spec = Spec { mix: vec![Weighted { profile: "adeunis-pulse-v4".to_owned(), weight: 1 }], ..spec };
        let fleet = Fleet::new(spec).unwrap();
        let (number, last) = (number % fleet.spec().devices, fleet.hours() - 1);
        let (from, to) = (from.min(last), if fleet.is_due(number, last) { last } else { last.saturating_sub(1) });
        let hours: Vec<u32> = (from..=to).collect();
        let total = fleet.total(number, &hours);
        let counted = fleet.counted(number, to.max(from)) - fleet.counted(number, from);
        prop_assert_eq!(total["A"], if hours.is_empty() { 0 } else { counted });
    }
}

/// The same for each profile, with certain rollovers and resets.
#[test]
fn meters_of_each_profile_that_roll_over_or_start_again_are_right_with_every_hour_and_with_gaps() {
    for kind in &KINDS {
        for (rollover_share, reset_share) in [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)] {
            let spec = Spec { rollover_share, reset_share, ..of_profile(kind.profile, 10, 30.0) };
            for arrival in [Arrival::Uniform, Arrival::TopOfHour, Arrival::Jitter] {
                let fleet = Fleet::new(Spec { arrival, clock_drift: 300.0, ..spec.clone() }).unwrap();
                for number in 0..10 {
                    for hours in [(0..30).collect(), (0..30).step_by(5).collect::<Vec<_>>()] {
                        check(&fleet, number, &hours, u64::from(number)).unwrap();
                    }
                }
            }
        }
    }
}

#[test]
fn who_is_said_to_roll_over_does_so_and_who_is_put_back_starts_at_zero() {
    let indexes = |fleet: &Fleet, number: u32, channel: &str| -> Vec<u64> {
        let hours: Vec<u32> = (0..24).collect();
        let expected = fleet.expected(number, &hours).into_iter().filter(|point| point.channel == channel);
        expected.map(|point| point.index).collect()
    };
    for kind in KINDS.iter().filter(|kind| kind.counter_bits.is_some()) {
        let half = 1_u64 << (kind.counter_bits.unwrap() - 1);
        let fleet =
            Fleet::new(Spec { rollover_share: 1.0, reset_share: 0.0, ..of_profile(kind.profile, 50, 24.0) }).unwrap();
        for number in (0..50).filter(|&number| fleet.counted(number, 23) - fleet.counted(number, 0) >= 4) {
            for &(channel, _) in kind.channels {
                let indexes = indexes(&fleet, number, channel);
                let (first, last) = (indexes[0], *indexes.last().unwrap());
                assert!(first > half && last < half, "{} {number}: {first} to {last}", kind.profile);
            }
        }
    }
    for kind in &KINDS {
        let fleet =
            Fleet::new(Spec { rollover_share: 0.0, reset_share: 1.0, ..of_profile(kind.profile, 50, 24.0) }).unwrap();
        for number in 0..50 {
            let Fate::StartsAgain { after } = fleet.fate(kind, number) else { panic!("{number} goes on") };
            let first = fleet.expected(number, &[after + 1]).into_iter().map(|point| point.index).max();
            let of_hour = u64::from(fleet.pulses(number, after + 1));
            assert!(first <= Some(of_hour), "{} {number}: {first:?} of {of_hour}", kind.profile);
            let before = fleet.expected(number, &[after]).into_iter().map(|point| point.index).min();
            assert!(before >= Some(700_000), "{before:?}");
        }
    }
}

#[test]
fn a_fleet_of_one_hour_rolls_over_where_a_session_tells_more_than_one_log() {
    let fleet =
        Fleet::new(Spec { rollover_share: 1.0, reset_share: 0.0, ..of_profile("adeunis-pulse-v2-10min", 50, 1.0) })
            .unwrap();
    for number in (0..50).filter(|&number| fleet.pulses(number, 0) > 0) {
        check(&fleet, number, &[0], 1).unwrap();
        let last = fleet.expected(number, &[0]).into_iter().rfind(|point| point.channel == "A").unwrap();
        assert!(last.index < 1 << 31, "{number}: {last:?}");
    }
}

#[test]
fn what_is_missing_before_a_reset_is_in_no_total() {
    let fleet =
        Fleet::new(Spec { rollover_share: 0.0, reset_share: 1.0, ..of_profile("adeunis-pulse-v4", 50, 24.0) }).unwrap();
    let kind = kinds::find("adeunis-pulse-v4").unwrap();
    let number = (0..50).find(|&number| {
        matches!(fleet.fate(kind, number), Fate::StartsAgain { after } if after > 3 && fleet.pulses(number, after) > 0)
    });
    let number = number.unwrap();
    let Fate::StartsAgain { after } = fleet.fate(kind, number) else { panic!() };
    let all: Vec<u32> = (0..24).collect();
    let without: Vec<u32> = all.iter().copied().filter(|&hour| hour != after).collect();
    let lost = fleet.total(number, &all)["A"] - fleet.total(number, &without)["A"];
    assert_eq!(lost, u64::from(fleet.pulses(number, after)));
    check(&fleet, number, &without, 3).unwrap();
}

#[test]
fn a_point_that_a_table_has_otherwise_is_not_what_was_expected() {
    let fleet = Fleet::new(spec(10)).unwrap();
    let mut come = uplinks(&fleet, 3, &[0]);
    let expected = fleet.expected(3, &[0]);
    let last = come[0].payload.len() - 1;
    assert_eq!(fleet.meter(3).profile, "adeunis-pulse-v4-1h");
    come[0].payload[last] ^= 1;
    let mut merge = Merge::default();
    merge.add(stored(&fleet.meter(3), &come[0])).unwrap();
    assert_ne!(told(Network::Sigfox, &merge.points()), expected);
}
