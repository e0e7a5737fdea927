//! The pulses that meters have counted, against what they send.

use std::collections::BTreeSet;

use super::super::{Change, TrueReading};
use super::*;

fn faulty(faults: MeterFaults, devices: u32, hours: f64) -> Fleet {
    Fleet::new(Spec { hours, faults, rollover_share: 0.0, reset_share: 0.0, ..spec(devices) }).unwrap()
}

fn of_channel<'a>(readings: &'a [TrueReading], channel: &str) -> Vec<&'a TrueReading> {
    readings.iter().filter(|reading| reading.channel == channel).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The index of a register rises by what is counted, modulo its width.
    #[test]
    fn indexes_rise_by_what_was_counted(spec in any_faulty_spec(30.0), number: u32) {
        let fleet = Fleet::new(spec).unwrap();
        let number = number % fleet.spec().devices;
        let hours: Vec<u32> = (0..fleet.hours()).collect();
        let bits = kinds::find(fleet.meter(number).profile).unwrap().counter_bits.map_or(64, u32::from);
        let readings = fleet.readings(number, &hours);
        for register in [0, 1] {
            for channel in ["A", "B", "2"] {
                let of: Vec<_> = of_channel(&readings, channel)
                    .into_iter()
                    .filter(|reading| reading.register == register && !reading.is_garbled)
                    .collect();
                for pair in of.windows(2) {
                    let rise = pair[1].index.wrapping_sub(pair[0].index) & (u64::MAX >> (64 - bits));
                    prop_assert_eq!(i128::from(rise), i128::from(pair[1].pulses) - i128::from(pair[0].pulses));
                }
            }
        }
    }

    #[test]
    fn the_count_rises_with_time_and_is_that_of_each_session_at_its_time(spec in any_spec(12.0), number: u32) {
        let fleet = Fleet::new(spec).unwrap();
        let number = number % fleet.spec().devices;
        for hour in 0..fleet.hours() {
            let due = fleet.session(number, hour, 0).due_ms.cast_signed();
            prop_assert_eq!(fleet.counted_at(number, due), fleet.counted(number, hour).cast_signed());
            let counts: Vec<i64> = (0..=60).map(|part| fleet.counted_at(number, due - 3_600_000 + part * 60_000)).collect();
            prop_assert!(counts.is_sorted(), "{:?}", counts);
        }
        prop_assert!(fleet.counted_at(number, -90_000_000) <= 0);
    }
}

#[test]
fn numbers_go_on_over_lost_uplinks_and_status_messages() {
    let fleet = faulty(MeterFaults { lost: 0.3, status: 1.0, ..MeterFaults::default() }, 60, 12.0);
    let (mut lost, mut statuses) = (0, 0);
    for number in 0..60 {
        let numbered = fleet.numbered(number);
        let modulus = if fleet.meter(number).device.network() == Network::Sigfox { 4_096 } else { u32::MAX };
        assert!(numbered.windows(2).all(|pair| pair[1].number == (pair[0].number + 1) % modulus), "{number}");
        let sent: Vec<(u32, bool)> = (0..12)
            .flat_map(|hour| fleet.session(number, hour, fleet.counted(number, hour)).uplinks)
            .map(|uplink| (uplink.sequence, uplink.is_status))
            .collect();
        let arriving = numbered.iter().filter(|each| !each.is_lost).map(|each| (each.number, each.is_status));
        assert_eq!(sent, arriving.collect::<Vec<_>>());
        lost += numbered.iter().filter(|each| each.is_lost).count();
        statuses += numbered.iter().filter(|each| each.is_status).count();
        for each in numbered.iter().filter(|each| !each.is_lost) {
            let (hour, position) = fleet.hour_of(number, each.at, Some(each.number)).expect("it has been sent");
            let uplinks = fleet.session(number, hour, fleet.counted(number, hour)).uplinks;
            assert_eq!((uplinks[position].at, uplinks[position].sequence), (each.at, each.number));
        }
    }
    assert!(lost > 200 && statuses == 30 * 3, "{lost} {statuses}");
}

#[test]
fn a_meter_that_loses_its_power_counts_less_than_has_flowed() {
    let fleet = faulty(MeterFaults { power_loss: 1.0, ..MeterFaults::default() }, 60, 24.0);
    let mut lost = 0;
    for number in (0..60).filter(|&number| fleet.meter(number).profile == "adeunis-pulse-v4") {
        let Some((Change::PowerLoss, after)) = fleet.change(number) else { panic!("{number}") };
        let readings = fleet.readings(number, &[after, after + 1]);
        let [before, then] = of_channel(&readings, "A")[..] else { panic!("{readings:?}") };
        let flowed = then.pulses - before.pulses;
        assert!(then.register == 1 && then.index.cast_signed() <= flowed, "{then:?} {before:?}");
        lost += flowed - then.index.cast_signed();
    }
    assert!(lost > 0);
}

#[test]
fn a_swap_has_both_indexes_and_no_pulse_is_lost_in_it() {
    let fleet = faulty(MeterFaults { swap: 1.0, assigned: 0.1, ..MeterFaults::default() }, 60, 24.0);
    for number in 0..60 {
        let (Some((Change::Swap, after)), Some(at)) = (fleet.change(number), fleet.swapped_at(number)) else {
            panic!("{number}")
        };
        let readings = fleet.readings(number, &[after, after + 1]);
        for pair in fleet.assignments(number).chunks(2) {
            let [old, new] = pair else { panic!("{pair:?}") };
            assert_eq!((old.to, new.from, old.check(), new.check()), (Some(at), Some(at), Ok(()), Ok(())));
            let of = of_channel(&readings, old.channel.as_str());
            let last = of.iter().filter(|reading| reading.register == 0).max_by_key(|reading| reading.at).unwrap();
            let next = of.iter().filter(|reading| reading.register == 1).min_by_key(|reading| reading.at).unwrap();
            assert!(last.at < at && at < next.at, "{last:?} {at} {next:?}");
            let counted = old.last_index.unwrap() - last.index + next.index - new.first_index.unwrap();
            assert_eq!(counted.cast_signed(), next.pulses - last.pulses, "{number} {pair:?}");
        }
    }
}

#[test]
fn a_wrong_index_is_beside_right_ones() {
    let fleet = faulty(MeterFaults { garbled: 1.0, lost: 0.5, ..MeterFaults::default() }, 100, 6.0);
    let (mut alone, mut beside) = (0, 0);
    for number in (0..100).filter(|&number| fleet.garbled(number).is_some()) {
        let readings = fleet.readings(number, &(0..6).collect::<Vec<_>>());
        for wrong in readings.iter().filter(|reading| reading.is_garbled) {
            let same = |other: &&TrueReading| other.channel == wrong.channel && !other.is_garbled;
            let others: BTreeSet<_> = readings.iter().filter(same).map(|reading| reading.at).collect();
            assert!(others.range(..wrong.at).next().is_some() && others.range(wrong.at..).next().is_some(), "{number}");
            if others.contains(&wrong.at) { beside += 1 } else { alone += 1 }
        }
    }
    assert!(alone > 5 && beside > 5, "{alone} {beside}");
}

#[test]
fn assignments_of_a_fleet_do_not_overlap_and_no_meter_is_at_two_channels() {
    let fleet = faulty(MeterFaults { swap: 0.3, untold_swap: 0.3, assigned: 0.9, ..MeterFaults::default() }, 200, 24.0);
    let mut all = pulsegate_model::assignment::Assignments::default();
    let (mut meters, mut serials) = (BTreeSet::new(), BTreeSet::new());
    for assignment in (0..200).flat_map(|number| fleet.assignments(number)) {
        meters.insert(assignment.device);
        assert_eq!(assignment.check(), Ok(()));
        assert!(assignment.serial.clone().is_none_or(|serial| serials.insert(serial)), "{assignment}");
        all.add(assignment).unwrap();
    }
    assert!((160..200).contains(&meters.len()), "{}", meters.len());
}
