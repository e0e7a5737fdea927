use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::codec::{Flag, Mark as DeviceMark};
use crate::consumption::Mark;

/// 2026-10-20T00:00:00Z.
const START: i64 = 1_792_454_400;
const DAY: i64 = 86_400;

fn at(unix: i64) -> At {
    At::from_unix(unix).unwrap()
}

fn device() -> DeviceId {
    "sigfox:1A2345".parse().unwrap()
}

fn report(hour: i64, number: u32) -> Report {
    Report {
        at: at(START + hour * 3_600),
        number: Some(number),
        kind: ReportKind::Uplink,
        period: Some(3_600),
        counted_at: PeriodEnd::End,
        battery_mv: None,
        flags: BTreeSet::new(),
    }
}

fn reading(hour: i64, index: u64) -> Reading {
    Reading { at: at(START + hour * 3_600), index, counter_bits: Some(32) }
}

fn history(points: Vec<Reading>, reports: Vec<Report>) -> History<'static> {
    let channels = BTreeMap::from([(Channel::A, Readings { points, counted: vec![] })]);
    History { channels, reports, ..History::default() }
}

fn rows(history: &History<'_>, from: Date, until: Date) -> Vec<DayRow> {
    days(device(), history, from, &|_| until, &mut Dates::default())
}

fn assignment(text: &str) -> Assignment {
    serde_json::from_str(&format!(r#"{{"device":"sigfox:1A2345","channel":"A",{text}}}"#)).unwrap()
}

#[test]
fn a_day_has_its_volume_hours_ledger_and_device() {
    // Each hour three pulses, but none from 01:00 to 04:00; one uplink is lost, and one hour is missing.
    let index = |hour: i64| 3 * u64::try_from(if hour <= 1 { hour } else { (hour - 3).max(1) }).unwrap();
    let hours = (0..=24).filter(|hour| *hour != 10);
    let points: Vec<Reading> = hours.clone().map(|hour| reading(hour, index(hour))).collect();
    let mut reports: Vec<Report> = hours.map(|hour| report(hour, 100 + u32::try_from(hour).unwrap())).collect();
    reports[3].battery_mv = Some(3_600);
    reports[5].flags = [Flag::Leak.on(Channel::A), Flag::Tamper.on(Channel::B), Flag::LowBattery.into()].into();
    let [row] = &rows(&history(points, reports), date(2026, 10, 20), date(2026, 10, 21))[..] else { panic!() };
    assert_eq!(
        (row.day, row.unit, row.total, row.quality),
        (date(2026, 10, 20), Unit::Pulses, Some(63_000), Quality::Measured)
    );
    assert_eq!(row.hours.iter().flatten().sum::<i64>(), 63_000);
    assert_eq!((row.hours_of(Quality::Measured), row.hours_of(Quality::Interpolated)), (22, 2));
    let ledger = Ledger {
        slots_read: 23,
        slots_expected: Some(24),
        uplinks: 23,
        uplinks_lost: 1,
        timed: 57_000,
        spread: 6_000,
        ..Ledger::default()
    };
    assert_eq!(row.ledger, ledger);
    assert_eq!((row.ledger.is_read(), row.ledger.is_complete()), (true, Some(false)));
    assert_eq!((row.night_minimum, row.longest_still), (Some(0), Some(3 * 3_600)));
    let flags: Vec<String> = row.device_flags.iter().map(DeviceMark::to_string).collect();
    assert_eq!(flags, ["low-battery", "leak:A"]);
    assert_eq!((row.battery_mv, row.last_contact), (Some(3_600), Some(at(START + 23 * 3_600))));
}

#[test]
fn a_lost_uplink_whose_readings_a_later_one_repeats_is_covered() {
    let points: Vec<Reading> = (0..=24).map(|hour| reading(hour, 1)).collect();
    let uplinks = [0, 1, 2, 5, 6, 7].map(|hour| report(hour, u32::try_from(hour).unwrap()));
    let rows = rows(&history(points, uplinks.to_vec()), date(2026, 10, 20), date(2026, 10, 21));
    assert_eq!((rows[0].ledger.uplinks_lost, rows[0].ledger.lost_but_covered), (2, 2));
}

#[test]
fn a_day_of_25_hours_expects_25_readings_in_its_own_time_zone() {
    let assignment = assignment(r#""litres_per_pulse":10,"time_zone":"Europe/Brussels""#);
    let points: Vec<Reading> = (5 * 24 - 3..=6 * 24).map(|hour| reading(hour, hour.unsigned_abs())).collect();
    let mut history = history(points, vec![report(5 * 24, 1)]);
    let assignments = [assignment];
    history.assignments.insert(&Channel::A, &assignments);
    let rows = rows(&history, date(2026, 10, 24), date(2026, 10, 26));
    let found: Vec<_> =
        rows.iter().map(|row| (row.day, row.hours.len(), row.total, row.ledger.slots_expected)).collect();
    assert_eq!(found, [(date(2026, 10, 24), 24, None, Some(24)), (date(2026, 10, 25), 25, Some(250_000), Some(25))]);
    assert_eq!(rows[1].ledger.is_complete(), Some(true));
}

#[test]
fn the_volume_of_a_long_gap_is_unplaced_on_the_day_on_which_it_ends() {
    let points = vec![reading(0, 0), reading(1, 5), reading(5 * 24 + 1, 405), reading(5 * 24 + 2, 406)];
    let rows = rows(&history(points, vec![]), date(2026, 10, 20), date(2026, 10, 26));
    let unplaced: Vec<i64> = rows.iter().map(|row| row.ledger.unplaced).collect();
    assert_eq!(unplaced, [0, 0, 0, 0, 0, 400_000]);
    assert_eq!(rows.iter().map(|row| row.ledger.volume()).sum::<i64>(), 406_000);
    assert!(rows.iter().all(|row| row.total.is_none()));
}

#[test]
fn a_channel_that_is_only_assigned_has_days_and_none_is_read() {
    let assignments = [assignment(r#""litres_per_pulse":1,"from":"2026-10-21T00:00:00Z""#)];
    let mut history = History::default();
    history.assignments.insert(&Channel::A, &assignments);
    let rows = rows(&history, date(2026, 10, 1), date(2026, 10, 24));
    assert_eq!(rows.iter().map(|row| row.day.day()).collect::<Vec<_>>(), [21, 22, 23]);
    assert!(rows.iter().all(|row| !row.ledger.is_read() && row.quality == Quality::Missing));
}

#[test]
fn an_assignment_that_has_always_held_begins_no_days() {
    let assignments = [assignment(r#""litres_per_pulse":1"#)];
    let mut history = history(vec![reading(30, 1), reading(31, 2)], vec![]);
    history.assignments.insert(&Channel::A, &assignments);
    assert_eq!(rows(&history, date(2026, 10, 1), date(2026, 10, 22))[0].day, date(2026, 10, 21));
    history.channels.clear();
    assert_eq!(rows(&history, date(2026, 10, 1), date(2026, 10, 22)), []);
}

#[test]
fn volume_since_a_stated_index_is_in_the_days_before_the_first_reading() {
    let assignments = [
        assignment(r#""litres_per_pulse":1,"to":"2026-10-20T12:00:00Z","last_index":7"#),
        assignment(r#""litres_per_pulse":1,"from":"2026-10-20T12:00:00Z","first_index":100"#),
    ];
    let mut history = history(vec![reading(36, 148)], vec![]);
    history.assignments.insert(&Channel::A, &assignments);
    let rows = rows(&history, date(2026, 10, 1), date(2026, 10, 23));
    assert_eq!(rows.iter().map(|row| row.ledger.volume()).collect::<Vec<_>>(), [24_000, 24_000, 0]);
}

#[test]
fn the_first_reading_has_a_day_where_the_time_zone_changes_on_it() {
    let assignments = [
        assignment(r#""litres_per_pulse":1,"to":"2026-10-24T20:30:24Z","time_zone":"Pacific/Auckland""#),
        assignment(r#""litres_per_pulse":1,"from":"2026-10-24T20:30:24Z","time_zone":"Europe/Brussels""#),
    ];
    let mut history = history(vec![reading(4 * 24 + 21, 5), reading(4 * 24 + 24, 9)], vec![]);
    history.assignments.insert(&Channel::A, &assignments);
    let rows = rows(&history, date(2026, 10, 1), date(2026, 10, 26));
    assert_eq!(rows.iter().map(|row| row.ledger.volume()).sum::<i64>(), 4_000);
}

#[test]
fn days_follow_each_other_where_an_assignment_changes_the_time_zone() {
    let points: Vec<Reading> = (0..=100).map(|hour| reading(hour, hour.unsigned_abs())).collect();
    let assignments = [
        assignment(r#""litres_per_pulse":1,"to":"2026-10-22T00:00:00Z""#),
        assignment(r#""litres_per_pulse":1,"from":"2026-10-22T00:00:00Z","time_zone":"America/New_York""#),
    ];
    let mut history = history(points, vec![]);
    history.assignments.insert(&Channel::A, &assignments);
    let rows = rows(&history, date(2026, 10, 20), date(2026, 10, 24));
    assert!(rows.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert_eq!(rows.iter().map(|row| row.hours.len()).collect::<Vec<_>>(), [24, 28, 24, 24]);
    assert!(rows.iter().any(|row| row.flags.contains(Mark::MeterChanged)));
}

/// Readings and reports of some weeks: losses, silences, falls and jumps, numbers that restart.
fn any_history() -> impl Strategy<Value = (Vec<Reading>, Vec<Count>, Vec<Report>)> {
    let seconds = prop_oneof![6 => Just(3_600), 2 => 1..20_000_i64, 1 => 1..700_000_i64, 1 => Just(0)];
    let change = prop_oneof![6 => 0..40_i64, 1 => Just(0), 1 => -300..300_i64, 1 => -90_000..90_000_i64];
    let number = prop_oneof![6 => Just(1_u32), 1 => 2..6_u32, 1 => any::<u32>()];
    let extra = (any::<bool>(), prop::option::of(2_000..4_000_u16), any::<bool>());
    prop::collection::vec((seconds, change, number, extra), 0..120).prop_map(|uplinks| {
        let (mut time, mut index, mut number) = (START - 10 * DAY, 5_000_i64, 0_u32);
        let (mut points, mut counted, mut reports) = (vec![], vec![], vec![]);
        for (seconds, change, step, (has_counts, battery_mv, has_period)) in uplinks {
            time += seconds;
            index = (index + change).max(0);
            number = number.wrapping_add(step) % 4_096;
            if has_counts {
                points.push(Reading { at: at(time), index: index.unsigned_abs(), counter_bits: Some(16) });
                counted.push(Count { at: at(time), pulses: change.unsigned_abs() });
            }
            let period = has_period.then_some(3_600);
            reports.push(Report { at: at(time), number: Some(number), period, battery_mv, ..report(0, 0) });
        }
        (points, counted, reports)
    })
}

proptest! {
    #[test]
    fn timed_spread_and_unplaced_volume_of_all_days_is_all_that_was_counted(
        (points, _, reports) in any_history(),
        zone in prop::sample::select(vec!["UTC", "Europe/Brussels", "Asia/Kolkata"]),
    ) {
        let assignments = [assignment(&format!(r#""litres_per_pulse":2.5,"time_zone":"{zone}""#))];
        let mut history = history(points.clone(), reports);
        history.assignments.insert(&Channel::A, &assignments);
        let meter = crate::consumption::Meter { points: &points, assignments: &assignments, ..Default::default() };
        let all: i64 = crate::consumption::Volume::of(&meter).steps().map(|step| step.volume).sum();
        let last = points.iter().map(|point| point.at).max().unwrap_or(At::EPOCH);
        let end = crate::consumption::calendar::date_of(last, &crate::assignment::Zone::UTC) + jiff::Span::new().days(2);
        let rows = rows(&history, date(2026, 10, 1), end);
        prop_assert_eq!(rows.iter().map(|row| row.ledger.volume()).sum::<i64>(), all);
        for row in &rows {
            if let Some(total) = row.total {
                prop_assert_eq!(total + row.ledger.unplaced, row.ledger.volume());
            }
        }
    }

    #[test]
    fn days_from_the_carry_are_those_from_the_whole_history(
        (points, counted, reports) in any_history(),
        is_counted in any::<bool>(),
        cut in 0..20_i8,
    ) {
        let readings = if is_counted { Readings { points: vec![], counted } } else { Readings { points, counted: vec![] } };
        // The log period is the same all the time: that of the first report is taken for what was before it.
        let reports: Vec<Report> = reports.into_iter().map(|of| Report { period: Some(3_600), ..of }).collect();
        let all = History { channels: BTreeMap::from([(Channel::A, readings.clone())]), reports: reports.clone(), ..History::default() };
        let (cut, end) = (date(2026, 10, 10) + jiff::Span::new().days(i64::from(cut)), date(2026, 12, 31));
        let mut dates = Dates::default();
        let whole: Vec<DayRow> = rows(&all, date(2026, 10, 1), end).into_iter().filter(|row| row.day >= cut).collect();

        let carry = carry(device(), &all, cut, &mut dates);
        let carry: Carry = serde_json::from_str(&serde_json::to_string(&carry).unwrap()).unwrap();
        let (start, behind) = (cut.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second(), DAYS_BEHIND * DAY);
        let mut channels = carry.channels.clone();
        let since = channels.entry(Channel::A).or_default();
        since.points.extend(readings.points.iter().filter(|of| of.at.unix() >= start - behind));
        since.counted.extend(readings.counted.iter().filter(|of| of.at.unix() >= start - behind));
        let reports = reports.into_iter().filter(|report| report.at.unix() >= start).collect();
        let part = History { channels, reports, carry, ..History::default() };
        prop_assert_eq!(whole, rows(&part, cut, end));
    }
}

#[test]
fn a_first_period_that_begins_on_the_day_before_is_in_both_days() {
    let counted = vec![Count { at: at(START + 1_800), pulses: 10 }, Count { at: at(START + 5_400), pulses: 4 }];
    let channels = BTreeMap::from([(Channel::A, Readings { points: vec![], counted })]);
    let rows = rows(&History { channels, ..History::default() }, date(2026, 10, 1), date(2026, 10, 21));
    assert_eq!(rows.iter().map(|row| row.ledger.volume()).collect::<Vec<_>>(), [5_000, 9_000]);
}
