//! The consumption is realistic.

use super::super::home::Home;
use super::*;

/// Two weeks from a Monday at midnight; each meter sends at the end of the hour that it reports.
fn fortnight(devices: u32) -> Fleet {
    let start = "2026-11-16T00:00:00Z".parse().unwrap();
    Fleet::new(Spec { start, hours: 336.0, arrival: Arrival::TopOfHour, ..spec(devices) }).unwrap()
}

/// Mean litres per meter in each hour of these days of the week (0 is Monday).
fn day(fleet: &Fleet, days: std::ops::Range<u32>) -> [f64; 24] {
    let homes: Vec<u32> = (0..fleet.spec().devices).filter(|&number| Home::of(1, number).leak == 0).collect();
    let mut litres = [0.0; 24];
    let of = |hour: u32| homes.iter().map(|&number| f64::from(fleet.pulses(number, hour))).sum::<f64>();
    for day in [0, 7].into_iter().flat_map(|week| days.clone().map(move |day| week + day)) {
        for hour in 0..24 {
            // The session just after an hour reports that hour.
            litres[hour as usize] += of(day * 24 + hour + 1);
        }
    }
    litres.map(|sum| sum / (counted(homes.len()) * counted(days.len()) * 2.0))
}

fn counted(things: usize) -> f64 {
    f64::from(u32::try_from(things).unwrap())
}

#[test]
fn a_household_of_two_or_three_uses_250_to_350_litres_a_day() {
    let fleet = fortnight(600);
    let homes: Vec<u32> =
        (0..600).filter(|&number| matches!(Home::of(1, number), Home { people: 2 | 3, leak: 0, .. })).collect();
    assert!(homes.len() > 200);
    let of = |number| u32::try_from(fleet.counted(number, 335)).map(f64::from).unwrap();
    let litres: f64 = homes.iter().map(|&number| of(number)).sum();
    let a_day = litres / 14.0 / counted(homes.len());
    assert!((250.0..350.0).contains(&a_day), "{a_day}");
}

#[test]
fn nights_are_quiet_and_there_is_a_peak_in_the_morning_and_one_in_the_evening() {
    let fleet = fortnight(400);
    let weekday = day(&fleet, 0..5);
    let mean = weekday.iter().sum::<f64>() / 24.0;
    assert!(weekday[1..4].iter().all(|litres| *litres < mean / 5.0), "{weekday:?}");
    assert!(weekday[7] > 1.7 * mean && weekday[19] > 1.6 * mean, "{weekday:?}");
    assert!(weekday[14] < 0.7 * weekday[7] && weekday[14] < 0.7 * weekday[19], "{weekday:?}");

    let weekend = day(&fleet, 5..7);
    assert!(weekend[6] < 0.6 * weekday[6] && weekend[9] > 1.3 * weekday[9], "{weekend:?}");
    let more = weekend.iter().sum::<f64>() / weekday.iter().sum::<f64>();
    assert!((1.04..1.16).contains(&more), "{more}");
}

#[test]
fn the_hour_of_the_day_is_that_in_which_it_was_counted_whenever_the_meter_sends() {
    let start = "2026-11-16T00:30:00Z".parse().unwrap();
    let fleet = Fleet::new(Spec { start, hours: 24.0, ..spec(2_000) }).unwrap();
    // Sessions from 3:30 to 4:30 report 2:30 to 4:30, and those from 7:30 to 8:30 report 6:30 to 8:30.
    let litres = |hour| (0..2_000).map(|number| f64::from(fleet.pulses(number, hour))).sum::<f64>() / 2_000.0;
    assert!(litres(3) < 3.0 && litres(7) > 15.0, "{} {}", litres(3), litres(7));
}

#[test]
fn some_homes_are_empty_and_some_leak_through_the_night() {
    let fleet = fortnight(3_000);
    let homes: Vec<Home> = (0..3_000).map(|number| Home::of(1, number)).collect();
    let empty = homes.iter().filter(|home| home.people == 0).count();
    let leaking = homes.iter().filter(|home| home.leak > 0).count();
    assert!((80..170).contains(&empty) && (35..90).contains(&leaking), "{empty} {leaking}");
    for (number, home) in (0..).zip(&homes) {
        if home.people == 0 && home.leak == 0 {
            assert_eq!(fleet.counted(number, 335), 0);
        }
        assert!(home.leak == 0 || (0..48).all(|hour| fleet.pulses(number, hour) >= home.leak), "{number}");
    }
    for people in 0..=6 {
        assert!(homes.iter().any(|home| home.people == people), "{people}");
    }
}

/// See `chance`: another result is another fleet.
#[test]
fn a_meters_hours_are_what_they_were() {
    let fleet = Fleet::new(Spec { seed: 42, hours: 24.0, ..spec(1_000) }).unwrap();
    let pulses: Vec<u32> = (0..24).map(|hour| fleet.pulses(7, hour)).collect();
    assert_eq!(pulses, [2, 5, 9, 1, 0, 0, 5, 10, 0, 0, 10, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 60, 20, 8]);
    assert_eq!(fleet.counted(7, 23), 133);
}
