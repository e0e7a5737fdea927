//! Measures consumption, without any storage: the hours of a year of one meter, and the rows of days of many meters.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use fastrand::Rng;
use pulsegate_model::assignment::{Assignment, Zone};
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::calendar::{Every, date_of};
use pulsegate_model::consumption::{Meter, PeriodEnd, Quality, Reading, Request, consumption};
use pulsegate_model::day::{Carry, DAYS_AHEAD, DAYS_BEHIND, Dates, History, Readings, Report, ReportKind, carry, days};
use pulsegate_model::device::DeviceId;
use serde_json::{Value, json};

use crate::process::Stopwatch;
use crate::{Fallible, per};

/// 2026-01-01T00:00:00Z.
const YEAR: i64 = 1_767_225_600;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const ZONE: &str = "Europe/Brussels";

/// Hours of a year, each with a point.
const POINTS: usize = 8_760;

/// Times that a year is computed. The median counts.
const RUNS: usize = 500;

/// Meters whose days are computed, each for a month.
const METERS: u32 = 10_000;
const MONTH: i64 = 31;

/// Meters that are measured together: processor time is counted in hundredths of a second.
const TOGETHER: usize = 500;

/// Of so many uplinks one is lost.
const LOST: u32 = 100;

/// Measures the hours of a year, and writes its points for the other programs.
pub(crate) fn hours(home: &Path) -> Fallible<Value> {
    let points = readings(&mut Rng::with_seed(1), YEAR, POINTS, 0);
    let mut text = String::from("at,index\n");
    for point in &points {
        writeln!(text, "{},{}", point.at.unix(), point.index)?;
    }
    std::fs::write(home.join("points.csv"), text)?;
    let assignments = [assignment("sigfox:1".parse()?)?];
    let meter = Meter { points: &points, assignments: &assignments, ..Meter::default() };
    let zone: Zone = ZONE.parse()?;
    let to = At::from_unix(YEAR + HOUR * i64::try_from(POINTS)?)?;
    let request = Request { from: At::from_unix(YEAR)?, to, interval: Every::Hour, zone: &zone };
    let mut took = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let started = Instant::now();
        black_box(consumption(black_box(&meter), &request));
        took.push(started.elapsed());
    }
    took.sort_unstable();
    let of = consumption(&meter, &request);
    let measured = of.intervals.iter().filter(|interval| interval.quality == Quality::Measured).count();
    let median = took[RUNS / 2].as_secs_f64();
    Ok(json!({
        "points": POINTS, "hours": of.intervals.len(), "measured": measured, "runs": RUNS,
        "milliseconds": median * 1e3, "least_milliseconds": took[0].as_secs_f64() * 1e3,
        "nanoseconds_per_point": median * 1e9 / per(POINTS, 1),
    }))
}

/// Measures the rows of days of a month, as the daily pass computes them: with points and uplinks from some days before it to
/// many after it, and with what is left to the next month.
pub(crate) fn day_rows() -> Fallible<Value> {
    let zone: Zone = ZONE.parse()?;
    let from = date_of(At::from_unix(YEAR + DAYS_BEHIND * DAY)?, &zone);
    let to = date_of(At::from_unix(YEAR + (DAYS_BEHIND + MONTH) * DAY)?, &zone);
    let mut dates = Dates::default();
    let (mut took, mut rows, mut complete) = (0.0, 0, 0);
    for first in (0..METERS).step_by(TOGETHER) {
        let meters = first..METERS.min(first + u32::try_from(TOGETHER)?);
        let assignments = meters.clone().map(|number| assignment(device(number)?)).collect::<Fallible<Vec<_>>>()?;
        let mut histories = Vec::new();
        for (number, assignment) in meters.zip(&assignments) {
            let (channels, reports) = history(number)?;
            let assignments = [(&Channel::A, std::slice::from_ref(assignment))].into();
            histories.push((device(number)?, History { channels, reports, assignments, carry: Carry::default() }));
        }
        let stopwatch = Stopwatch::start()?;
        for (device, history) in &histories {
            let of_meter = days(*device, history, from, &|_| to, &mut dates);
            rows += of_meter.len();
            complete += of_meter.iter().filter(|row| row.ledger.is_complete() == Some(true)).count();
            black_box((of_meter, carry(*device, history, to, &mut dates)));
        }
        took += stopwatch.seconds()?.1;
    }
    let microseconds = took * 1e6 / per(rows, 1);
    Ok(json!({
        "meters": METERS, "rows": rows, "complete": complete, "processor_seconds": took,
        "microseconds_per_row": microseconds, "rows_per_minute": 60e6 / microseconds,
    }))
}

/// Hourly readings of a meter, some seconds after the hour, of which some are lost and half count nothing.
fn readings(rng: &mut Rng, from: i64, count: usize, lost: u32) -> Vec<Reading> {
    let mut index = rng.u64(0..1_000_000);
    let second = rng.i64(0..HOUR);
    let hours = (0..).take(count).map(|hour| from + hour * HOUR + second);
    let reading = |at: i64| {
        index += if rng.bool() { rng.u64(0..60) } else { 0 };
        let is_lost = lost > 0 && rng.u32(0..lost) == 0;
        let at = At::from_unix(at + rng.i64(0..5)).ok().filter(|_| !is_lost)?;
        Some(Reading { at, index, counter_bits: Some(32) })
    };
    hours.filter_map(reading).collect()
}

fn device(number: u32) -> Fallible<DeviceId> {
    Ok(format!("sigfox:{:X}", 0x10_0000 + number).parse()?)
}

fn history(number: u32) -> Fallible<(BTreeMap<Channel, Readings>, Vec<Report>)> {
    let mut rng = Rng::with_seed(number.into());
    let hours = usize::try_from(24 * (DAYS_BEHIND + MONTH + DAYS_AHEAD))?;
    let points = readings(&mut rng, YEAR, hours, LOST);
    let report = |point: &Reading| Report {
        at: point.at,
        number: u32::try_from((point.at.unix() - YEAR) / HOUR % 4_096).ok(),
        kind: ReportKind::Uplink,
        period: Some(3_600),
        counted_at: PeriodEnd::End,
        battery_mv: None,
        flags: std::collections::BTreeSet::new(),
    };
    let reports = points.iter().map(report).collect();
    Ok(([(Channel::A, Readings { points, counted: Vec::new() })].into(), reports))
}

/// A litre a pulse, in a time zone with summer time.
pub(crate) fn assignment(device: DeviceId) -> Fallible<Assignment> {
    let text = r#"{"device":"DEVICE","channel":"A","litres_per_pulse":1,"time_zone":"Europe/Brussels","q3":4000}"#;
    Ok(serde_json::from_str(&text.replace("DEVICE", &device.to_string()))?)
}
