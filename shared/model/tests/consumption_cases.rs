//! Consumption by cases: readings of a channel, and the intervals that must come of them.
//!
//! `consumption-cases.json` has the cases. Many are what other systems got wrong, with a link to the report. A case's
//! `expected.intervals` are start, end, value in pulses (in litres with assignments), quality and flags.
//! `CONSUMPTION_CASES=FILE` runs the cases of another file of this form.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use jiff::civil::Date;
use pulsegate_model::assignment::{Assignment, Zone};
use pulsegate_model::at::At;
use pulsegate_model::consumption::calendar::start_of;
use pulsegate_model::consumption::{Consumption, Count, Meter, PeriodEnd, Reading, Request, Rules, consumption};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Case {
    name: String,
    input: Input,
    expected: Expected,
}

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    points: Vec<(String, u64)>,
    #[serde(default)]
    counted: Vec<(String, u64)>,
    period_s: Option<u32>,
    counted_at: Option<PeriodEnd>,
    counter_bits: Option<u8>,
    max_per_hour: Option<u64>,
    #[serde(default)]
    can_reverse: bool,
    #[serde(default)]
    assignments: Vec<Value>,
    interval: String,
    tz: Option<String>,
    from: String,
    to: String,
}

/// Start, end, value, quality, flags.
type Row = (String, String, Option<f64>, String, Vec<String>);

#[derive(Deserialize)]
struct Expected {
    intervals: Vec<Row>,
    total: Option<f64>,
    unplaced: Option<f64>,
}

fn cases() -> Vec<Case> {
    let own = || include_str!("consumption-cases.json").to_owned();
    let text = std::env::var("CONSUMPTION_CASES").map_or_else(|_| own(), |path| std::fs::read_to_string(path).unwrap());
    serde_json::from_str(&text).unwrap()
}

/// A time, or a local date.
fn at(text: &str, zone: &Zone) -> At {
    if text.contains('T') {
        return At::from_rfc3339(text).unwrap();
    }
    start_of(text.parse::<Date>().unwrap(), zone).unwrap()
}

/// The result of a case whose readings come in this order.
fn result(input: &Input, order: impl Fn(&mut Vec<(String, u64)>)) -> Consumption {
    let zone: Zone = input.tz.as_deref().unwrap_or("UTC").parse().unwrap();
    let ordered = |values: &[(String, u64)]| {
        let mut values = values.to_vec();
        order(&mut values);
        values
    };
    let points: Vec<Reading> = ordered(&input.points)
        .iter()
        .map(|(time, index)| Reading { at: at(time, &zone), index: *index, counter_bits: input.counter_bits })
        .collect();
    let counted: Vec<Count> =
        ordered(&input.counted).iter().map(|(time, pulses)| Count { at: at(time, &zone), pulses: *pulses }).collect();
    let assignments: Vec<Assignment> = input.assignments.iter().map(|fields| assignment(fields, &zone)).collect();
    let defaults = Rules::default();
    let rules = Rules {
        max_per_hour: input.max_per_hour.unwrap_or(defaults.max_per_hour),
        can_reverse: input.can_reverse,
        ..defaults
    };
    let counted_at = input.counted_at.unwrap_or_default();
    let meter = Meter {
        points: &points,
        counted: &counted,
        period: input.period_s,
        counted_at,
        assignments: &assignments,
        rules,
    };
    let (from, to) = (at(&input.from, &zone), at(&input.to, &zone));
    consumption(&meter, &Request { from, to, interval: input.interval.parse().unwrap(), zone: &zone })
}

/// The assignment of a case has only the fields that matter.
fn assignment(fields: &Value, zone: &Zone) -> Assignment {
    let mut all = json!({ "device": "sigfox:1A2345", "channel": "A", "litres_per_pulse": 1, "time_zone": zone.name() });
    all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

#[expect(clippy::cast_possible_truncation, reason = "values of cases are small")]
fn thousandths(value: Option<f64>) -> Option<i64> {
    value.map(|value| (value * 1_000.0).round() as i64)
}

/// Differences from the expected result.
fn differences(case: &Case, found: &Consumption) -> Vec<String> {
    let zone: Zone = case.input.tz.as_deref().unwrap_or("UTC").parse().unwrap();
    let Expected { intervals, total, unplaced } = &case.expected;
    let expected: Vec<_> = intervals
        .iter()
        .map(|(start, end, value, quality, flags)| {
            (at(start, &zone), at(end, &zone), thousandths(*value), quality.clone(), flags.join(" "))
        })
        .collect();
    let rows: Vec<_> = found
        .intervals
        .iter()
        .map(|row| (row.start, row.end, row.value, row.quality.to_string(), row.flags.names()))
        .collect();
    let mut differences = Vec::new();
    if rows != expected {
        differences.push(format!("{}:\n  expected {expected:?}\n  found    {rows:?}", case.name));
    }
    if found.total.value != thousandths(*total) {
        differences.push(format!("{}: total {:?} instead of {total:?}", case.name, found.total.value));
    }
    if unplaced.is_some() && found.total.unplaced != thousandths(*unplaced) {
        differences.push(format!("{}: unplaced {:?} instead of {unplaced:?}", case.name, found.total.unplaced));
    }
    differences
}

#[test]
fn every_case_has_its_intervals_total_and_unplaced_volume() {
    let cases = cases();
    let wrong: Vec<String> = cases.iter().flat_map(|case| differences(case, &result(&case.input, |_| {}))).collect();
    assert!(wrong.is_empty() && !cases.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn every_case_is_the_same_in_another_order_and_with_repeated_readings() {
    let mut random = fastrand::Rng::with_seed(7);
    for case in cases() {
        let once = result(&case.input, |_| {});
        for _ in 0..20 {
            let seed = random.u64(..);
            let again = result(&case.input, |values| {
                let mut random = fastrand::Rng::with_seed(seed);
                let repeated: Vec<_> = values.iter().filter(|_| random.bool()).cloned().collect();
                values.extend(repeated);
                random.shuffle(values);
            });
            assert_eq!(once, again, "{} of seed {seed}", case.name);
        }
    }
}
