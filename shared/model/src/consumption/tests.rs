use proptest::prelude::*;
use proptest::sample::Index;

use super::calendar::Every;
use super::*;
use crate::assignment::{PulseVolume, Zone};
use crate::codec::Channel;

const START: i64 = 1_790_000_000;
const DAY: i64 = 86_400;

fn at(unix: i64) -> At {
    At::from_unix(unix).unwrap()
}

fn any_zone() -> impl Strategy<Value = Zone> {
    let names =
        ["UTC", "Europe/Brussels", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Chatham"];
    prop::sample::select(names.to_vec()).prop_map(|name| name.parse().unwrap())
}

/// Readings of a counter that goes up, wraps, falls and jumps, some of them at one time.
fn any_readings() -> impl Strategy<Value = Vec<Reading>> {
    let step = (prop_oneof![Just(0), Just(3_600), 1..7_200_i64, 1..400_000_i64], any_index_step());
    let bits = prop_oneof![Just(None), Just(Some(16)), Just(Some(32)), (1..=64_u8).prop_map(Some)];
    (prop::collection::vec(step, 0..60), any::<u64>(), bits, any::<bool>()).prop_map(|(steps, first, bits, is_low)| {
        let (mut time, mut index) = (START, if is_low { first % 1_000 } else { first });
        let reading = |(seconds, change): (i64, IndexStep)| {
            time += seconds;
            index = change.apply(index);
            Reading { at: at(time), index, counter_bits: bits }
        };
        steps.into_iter().map(reading).collect()
    })
}

#[derive(Debug, Clone, Copy)]
enum IndexStep {
    Up(u64),
    Down(u64),
    To(u64),
}

impl IndexStep {
    fn apply(self, index: u64) -> u64 {
        match self {
            Self::Up(by) => index.wrapping_add(by),
            Self::Down(by) => index.wrapping_sub(by),
            Self::To(index) => index,
        }
    }
}

fn any_index_step() -> impl Strategy<Value = IndexStep> {
    prop_oneof![
        6 => (0..50_u64).prop_map(IndexStep::Up),
        1 => Just(IndexStep::Up(0)),
        1 => (0..200_u64).prop_map(IndexStep::Down),
        1 => prop_oneof![Just(0), any::<u64>(), 0..20_000_u64].prop_map(IndexStep::To),
    ]
}

fn any_assignments() -> impl Strategy<Value = Vec<Assignment>> {
    let of_meter = (1..20_i64, 1..5_000_u64, any::<Option<u64>>(), any::<Option<u64>>(), any::<bool>(), any_zone());
    prop::collection::vec(of_meter, 0..4).prop_map(|meters| {
        let mut from = START - DAY;
        let assignment = |(days, thousandths, first_index, last_index, is_open, time_zone): (i64, _, _, _, bool, _)| {
            let (begin, end) = (from, from + days * DAY / 4);
            // Some follow each other, and between some there is a time without.
            from = if is_open { end } else { end + DAY / 3 };
            Assignment {
                device: "sigfox:1A2345".parse().unwrap(),
                channel: Channel::A,
                from: Some(at(begin)),
                to: Some(at(end)),
                litres_per_pulse: PulseVolume::from_thousandths(thousandths).unwrap(),
                serial: None,
                first_index,
                last_index,
                time_zone,
                q3: None,
                max_per_hour: None,
                can_reverse: false,
                label: None,
                site: None,
            }
        };
        meters.into_iter().map(assignment).collect()
    })
}

fn any_request() -> impl Strategy<Value = (i64, i64)> {
    (-3 * DAY..10 * DAY, 1..40 * DAY).prop_map(|(from, length)| (START + from, START + from + length))
}

fn of(meter: &Meter<'_>, (from, to): (i64, i64), interval: Every, zone: &Zone) -> Consumption {
    consumption(meter, &Request { from: at(from), to: at(to), interval, zone })
}

/// The sum of the values that lie within each of the coarse intervals; `None` if one of them is missing.
fn sums(fine: &Consumption, coarse: &Consumption) -> Vec<Option<i64>> {
    let of = |whole: &Interval| {
        let inside = fine.intervals.iter().filter(|part| whole.start <= part.start && part.end <= whole.end);
        inside.map(|part| part.value).sum()
    };
    coarse.intervals.iter().map(of).collect()
}

proptest! {
    #[test]
    fn order_repetition_and_grouping_change_nothing(
        readings in any_readings(),
        again in prop::collection::vec(any::<Index>(), 0..30),
        assignments in any_assignments(),
        request in any_request(),
        zone in any_zone(),
    ) {
        let rules = Rules::default();
        let once = of(&Meter { points: &readings, assignments: &assignments, rules, ..Meter::default() }, request, Every::Hour, &zone);
        let mut points = readings.clone();
        if !readings.is_empty() {
            points.extend(again.iter().map(|index| *index.get(&readings)));
        }
        points.reverse();
        let reversed: Vec<Assignment> = assignments.iter().rev().cloned().collect();
        let other = of(&Meter { points: &points, assignments: &reversed, rules, ..Meter::default() }, request, Every::Hour, &zone);
        prop_assert_eq!(once, other);
    }

    #[test]
    fn hours_add_up_to_days_and_days_to_weeks_and_months_in_every_time_zone(
        readings in any_readings(),
        counted in any::<bool>(),
        assignments in any_assignments(),
        request in any_request(),
        zone in any_zone(),
    ) {
        let counts: Vec<Count> = readings.iter().map(|of| Count { at: of.at, pulses: of.index % 1_000 }).collect();
        let points: &[Reading] = if counted { &[] } else { &readings };
        let meter = Meter { points, counted: &counts, period: Some(3_600), assignments: &assignments, ..Meter::default() };
        let [hours, days, weeks, months] =
            [Every::Hour, Every::Day, Every::Week, Every::Month].map(|every| of(&meter, request, every, &zone));
        for (fine, coarse) in [(&hours, &days), (&days, &weeks), (&days, &months)] {
            for (sum, whole) in sums(fine, coarse).into_iter().zip(&coarse.intervals) {
                // Of what is missing in parts only the whole is known.
                if let (Some(sum), Some(whole)) = (sum, whole.value) {
                    prop_assert_eq!(sum, whole);
                }
            }
            prop_assert_eq!(fine.total.value, coarse.total.value);
        }
        for all in [&hours, &days, &weeks, &months] {
            let placed: i64 = all.intervals.iter().filter_map(|of| of.value).sum();
            prop_assert_eq!(all.total.value, all.total.unplaced.map(|unplaced| placed + unplaced));
            let sum = all.intervals.iter().rev().find_map(|of| of.sum);
            if all.total.value.is_some() {
                prop_assert_eq!(sum, all.total.value);
            }
        }
    }

    #[test]
    fn no_interval_is_negative_unless_water_flowed_backwards(
        readings in any_readings(),
        can_reverse in any::<bool>(),
        assignments in any_assignments(),
        request in any_request(),
        every in prop::sample::select(vec![Every::Native, Every::Minutes(15), Every::Hour, Every::Day]),
    ) {
        let rules = Rules { can_reverse, ..Rules::default() };
        let meter = Meter { points: &readings, assignments: &assignments, rules, ..Meter::default() };
        for interval in of(&meter, request, every, &Zone::UTC).intervals {
            let is_negative = interval.value.is_some_and(|value| value < 0);
            prop_assert!(!is_negative || can_reverse && interval.flags.contains(Mark::Reverse), "{interval:?}");
            prop_assert_eq!(interval.value.is_none(), interval.quality == Quality::Missing);
        }
    }

    #[test]
    fn between_the_stated_indexes_of_a_meter_the_volume_is_their_difference(
        used in prop::collection::vec((1..100_000_i64, 0..100_u64), 1..50),
        first_index in 0..1_000_000_u64,
        thousandths in 1..50_000_u64,
        zone in any_zone(),
    ) {
        let (mut time, mut index) = (START, first_index);
        let readings: Vec<Reading> = used
            .iter()
            .map(|(seconds, pulses)| {
                (time, index) = (time + seconds, index + pulses);
                Reading { at: at(time), index, counter_bits: Some(32) }
            })
            .collect();
        let (end, last_index) = (time + 1_000, index + 7);
        let assignment = Assignment {
            from: Some(at(START)),
            to: Some(at(end)),
            first_index: Some(first_index),
            last_index: Some(last_index),
            litres_per_pulse: PulseVolume::from_thousandths(thousandths).unwrap(),
            ..serde_json::from_str(r#"{"device":"sigfox:1","channel":"A","litres_per_pulse":1}"#).unwrap()
        };
        let meter = Meter { points: &readings, assignments: &[assignment], ..Meter::default() };
        let expected = i64::try_from((last_index - first_index) * thousandths).unwrap();
        for every in [Every::Hour, Every::Day, Every::Month] {
            let found = of(&meter, (START, end), every, &zone);
            prop_assert_eq!(found.total.value, Some(expected));
            prop_assert_eq!(found.total.quality, Quality::Measured);
        }
    }

    #[test]
    fn no_input_is_too_much(
        values in prop::collection::vec((0..=At::MAX.unix(), any::<u64>(), prop::option::of(any::<u8>())), 0..20),
        max_per_hour in any::<u64>(),
        period in any::<Option<u32>>(),
        counted in any::<bool>(),
        from in 0..=At::MAX.unix() - 100 * DAY,
        zone in any_zone(),
    ) {
        let points: Vec<Reading> =
            values.iter().map(|&(time, index, counter_bits)| Reading { at: at(time), index, counter_bits }).collect();
        let counts: Vec<Count> = points.iter().map(|of| Count { at: of.at, pulses: of.index }).collect();
        let rules = Rules { max_per_hour, max_reverse: max_per_hour, can_reverse: true };
        let points: &[Reading] = if counted { &[] } else { &points };
        let meter = Meter { points, counted: &counts, period, rules, ..Meter::default() };
        for every in [Every::Native, Every::Hour, Every::Month] {
            of(&meter, (from, from + 100 * DAY), every, &zone);
        }
    }
}

#[test]
fn what_is_left_out_does_not_depend_on_readings_before_the_decisive_ones() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    runner
        .run(&(any_readings(), any::<Index>()), |(mut readings, cut)| {
            readings.sort_unstable();
            readings.dedup();
            let cut = cut.index(readings.len() + 1);
            let from = decisive(&readings[..cut]).len();
            let (all, since) = (Volume::of(&meter(&readings)), Volume::of(&meter(&readings[cut - from..])));
            let from = readings.get(cut.saturating_sub(1)).map_or(START, |reading| reading.at.unix());
            let steps = |volume: &Volume| volume.steps().filter(|step| step.to.unix() > from).collect::<Vec<_>>();
            prop_assert_eq!(steps(&all), steps(&since));
            Ok(())
        })
        .unwrap();
}

fn meter(points: &[Reading]) -> Meter<'_> {
    Meter { points, ..Meter::default() }
}

#[test]
fn an_interval_that_the_span_cuts_says_so() {
    let readings = [Reading { at: at(START), index: 0, counter_bits: None }];
    let found = of(&meter(&readings), (START, START + 3 * DAY), Every::Day, &Zone::UTC);
    assert_eq!(found.intervals.iter().map(|of| of.cut).collect::<Vec<_>>(), [true, false, false, true]);
    let midnight = START - START.rem_euclid(DAY);
    let found = of(&meter(&readings), (midnight, midnight + DAY), Every::Day, &Zone::UTC);
    assert_eq!(found.intervals.iter().map(|of| of.cut).collect::<Vec<_>>(), [false]);
}

#[test]
fn marks_are_read_back_as_they_are_written() {
    for (mark, name) in Mark::NAMES {
        assert_eq!((mark.name(), Marks::from_names(name)), (name, Marks::of(mark)));
    }
    let all: Marks = Mark::NAMES.map(|(mark, _)| mark).into_iter().collect();
    assert_eq!(Marks::from_names(&all.names()), all);
    assert_eq!(Marks::from_names(""), Marks::NONE);
}

#[test]
fn a_lost_count_beside_the_last_one_is_lost_though_the_period_is_unknown() {
    let counts = [0, 1, 2, 4].map(|hour| Count { at: at(START + hour * 3_600), pulses: 5 });
    let meter = Meter { counted: &counts, ..Meter::default() };
    let steps: Vec<StepKind> = Volume::of(&meter).steps().map(|step| step.kind).collect();
    let [counted, lost] = [StepKind::Counted, StepKind::Lost];
    assert_eq!(steps, [counted, counted, counted, lost, counted]);
}
