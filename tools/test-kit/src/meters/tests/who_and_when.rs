//! Device IDs, due times, and the way back from both.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::*;

const HOUR: u64 = 3_600_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_meter_has_an_id_of_its_own_that_leads_back_to_it(spec in any_spec(2.0)) {
        let fleet = Fleet::new(spec).unwrap();
        let mut ids = HashSet::new();
        for number in 0..fleet.spec().devices {
            let device = fleet.meter(number).device;
            prop_assert!(ids.insert(device));
            prop_assert_eq!(fleet.number(&device), Some(number));
            prop_assert_eq!(device.to_string().parse(), Ok(device));
        }
        let beyond = fleet.meter(fleet.spec().devices).device;
        prop_assert_eq!(fleet.number(&beyond), None);
    }

    #[test]
    fn networks_and_profiles_are_as_many_as_their_shares_say(spec in any_spec(2.0)) {
        let fleet = Fleet::new(spec.clone()).unwrap();
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for number in 0..spec.devices {
            *counts.entry(fleet.meter(number).profile).or_default() += 1;
        }
        let mut devices = f64::from(spec.devices) * spec.sigfox_share;
        for network in [Network::Sigfox, Network::Nbiot] {
            let of: Vec<_> = spec.mix.iter().filter(|of| kinds::find(&of.profile).unwrap().network() == network).collect();
            let count = |of: &Weighted| f64::from(counts.get(of.profile.as_str()).copied().unwrap_or(0));
            let all: f64 = of.iter().map(|of| count(of)).sum();
            prop_assert!((all - devices).abs() <= 0.5, "{} of {}", all, devices);
            let weights: f64 = of.iter().map(|of| f64::from(of.weight)).sum();
            for of in of {
                let right = all * f64::from(of.weight) / weights;
                prop_assert!((count(of) - right).abs() < 1.0, "{}: {} of {}", of.profile, count(of), right);
            }
            devices = f64::from(spec.devices) - all;
        }
    }

    #[test]
    fn each_hour_every_meter_is_due_once_and_times_go_on(spec in any_spec(3.0)) {
        let fleet = Fleet::new(spec.clone()).unwrap();
        let end = Duration::from_secs_f64(spec.hours * 3_600.0).as_millis() + 1;
        for hour in 0..fleet.hours() {
            let due: Vec<(u32, u64)> = (0..).map_while(|n| fleet.due(hour, n)).collect();
            prop_assert_eq!(due.len(), fleet.sessions(hour) as usize);
            let numbers: BTreeSet<u32> = due.iter().map(|(number, _)| *number).collect();
            prop_assert_eq!(numbers.len(), due.len());
            let is_whole = f64::from(hour + 1) <= spec.hours;
            prop_assert!(!is_whole || due.len() == spec.devices as usize);
            let (late, within) = match spec.arrival {
                Arrival::Uniform => (0, HOUR),
                Arrival::TopOfHour => (0, 60_000),
                Arrival::Jitter => (300_000, HOUR + 300_000),
            };
            for &(number, ms) in &due {
                let into = ms - u64::from(hour) * HOUR;
                prop_assert!(into < within && fleet.is_due(number, hour), "{}", into);
                prop_assert!(u128::from(ms.saturating_sub(late)) <= end, "{} of {}", ms, end);
                prop_assert_eq!(fleet.session(number, hour, 0).due_ms, ms);
            }
            prop_assert!(due.windows(2).all(|pair| pair[0].1 <= pair[1].1 + late));
            let others = (0..spec.devices).filter(|number| !numbers.contains(number));
            for number in others {
                prop_assert!(!fleet.is_due(number, hour));
            }
        }
        prop_assert_eq!(fleet.due(fleet.hours(), 0), None);
        prop_assert!(!fleet.is_due(0, fleet.hours()) && !fleet.is_due(spec.devices, 0));
    }

    #[test]
    fn a_natural_key_leads_to_its_uplink_and_nothing_else_does(spec in any_spec(60.0), number: u32) {
        let fleet = Fleet::new(spec).unwrap();
        let number = number % fleet.spec().devices;
        let mut keys = HashSet::new();
        for hour in 0..fleet.hours() {
            let due = fleet.is_due(number, hour);
            for (position, uplink) in uplinks(&fleet, number, &[hour]).into_iter().enumerate() {
                let found = fleet.hour_of(number, uplink.at, Some(uplink.sequence));
                prop_assert_eq!(found, due.then_some((hour, position)));
                prop_assert!(uplink.dating == Dating::Arrival || keys.insert((uplink.at, uplink.sequence)));
                prop_assert_eq!(fleet.hour_of(number, uplink.at, None), None);
            }
        }
        for &(at, sequence) in &keys {
            let seconds = [at.checked_sub(1), at.checked_add(1), at.checked_add(3_600), at.checked_sub(3_600)];
            let others = seconds.into_iter().flatten().map(|at| (at, sequence)).chain([(at, sequence ^ 1)]);
            for other in others.filter(|other| !keys.contains(other)) {
                prop_assert_eq!(fleet.hour_of(number, other.0, Some(other.1)), None);
            }
        }
        for at in [pulsegate_model::at::At::EPOCH, pulsegate_model::at::At::from_unix(253_402_207_200).unwrap()] {
            prop_assert_eq!(fleet.hour_of(number, at, Some(0)), None);
        }
    }
}

#[test]
fn neighbours_in_time_are_far_apart_in_number_and_networks_alternate() {
    let fleet = Fleet::new(spec(100_000)).unwrap();
    let due: Vec<u32> = (0..1_000).filter_map(|n| fleet.due(0, n)).map(|(number, _)| number).collect();
    assert!(due.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > 1_000));
    for second in due.chunks(100) {
        let sigfox = second.iter().filter(|&&number| fleet.meter(number).transport == Transport::Sigfox).count();
        assert!((40..=60).contains(&sigfox), "{sigfox} of {}", second.len());
    }
}

#[test]
fn the_largest_fleet_knows_its_last_meter() {
    let fleet = Fleet::new(spec(100_000_000)).unwrap();
    let meter = fleet.meter(99_999_999);
    assert_eq!(fleet.number(&meter.device), Some(99_999_999));
    let (number, ms) = fleet.due(0, 99_999_999).unwrap();
    assert_eq!((ms, fleet.session(number, 0, 7).due_ms), (3_599_999, 3_599_999));
    assert!(size_of::<Fleet>() < 1_000, "{}", size_of::<Fleet>());
}

#[test]
fn fleets_of_other_seeds_have_other_ids() {
    let regions: BTreeSet<_> =
        (0..20).map(|seed| Fleet::new(Spec { seed, ..spec(1) }).unwrap().meter(0).device).collect();
    assert!(regions.len() > 12, "{}", regions.len());
}

#[test]
fn an_nbiot_meters_clock_runs_away_at_its_own_rate_and_a_sigfox_meter_has_none() {
    let off = |profile: &str, hour: u32| -> Vec<i64> {
        let spec = Spec { clock_drift: 86.4, ..of_profile(profile, 200, 25.0) };
        let (fleet, start) = (Fleet::new(spec.clone()).unwrap(), spec.start.unix());
        let off = |number| {
            let session = fleet.session(number, hour, 0);
            session.uplinks[0].at.unix() - start - session.due_ms.cast_signed() / 1_000
        };
        (0..200).map(off).collect()
    };
    let after_a_day = off("senml-cbor", 24);
    let (least, most) = (after_a_day.iter().min().unwrap(), after_a_day.iter().max().unwrap());
    assert!((-91..-60).contains(least) && (60..91).contains(most), "{least} to {most}");
    assert!(off("senml-cbor", 0).iter().all(|off| off.abs() <= 4));
    assert!(off("adeunis-pulse-v4", 24).iter().all(|&off| off == 0));
}
