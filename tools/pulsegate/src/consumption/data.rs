//! Consumption for programs: CSV and JSON.

use pulsegate_model::consumption::{Consumption, Interval, Marks, Quality, Total};
use serde_json::{Map, Value, json};

use super::Answer;
use super::question::Question;
use super::units::time;
use crate::{Problem, print};

const HEAD: [&str; 7] = ["start", "end", "value", "unit", "quality", "flags", "sum"];

/// Comma-separated values. A missing value is empty, never 0.
///
/// # Errors
/// [`Problem::Output`], never in practice.
pub(super) fn csv(answer: &Answer) -> Result<String, Problem> {
    let Question { unit, zone, .. } = &answer.question;
    let exact = |value: Option<i64>| value.map(|value| unit.exact(value)).unwrap_or_default();
    let row = |of: &Interval| {
        [
            time(of.start, zone),
            time(of.end, zone),
            exact(of.value),
            unit.name().to_owned(),
            of.quality.to_string(),
            of.flags.names(),
            exact(of.sum),
        ]
    };
    print::csv(&HEAD, &answer.consumption.intervals.iter().map(row).collect::<Vec<_>>())
}

/// One object. A missing value is null, never 0 and never left out.
pub(super) fn json(answer: &Answer) -> String {
    let Question { device, channel, interval, unit, zone, .. } = &answer.question;
    let Consumption { intervals, total, .. } = &answer.consumption;
    let Total { value, quality, flags, unplaced } = *total;
    let number = |value: Option<i64>| value.map(|value| unit.json(value));
    let values = intervals.iter().map(|of| {
        let mut object = json!({
            "start": time(of.start, zone), "end": time(of.end, zone), "value": number(of.value), "quality": of.quality,
            "flags": names(of.flags), "sum": number(of.sum),
        });
        if of.cut {
            object["cut"] = true.into();
        }
        object
    });
    let mut completeness = Map::from_iter([("expected".to_owned(), json!(intervals.len()))]);
    let counted = Quality::ALL.map(|quality| (quality.name().to_owned(), json!(count(intervals, quality))));
    completeness.extend(counted);
    print::json_text(&json!({
        "device": device,
        "channel": channel,
        "unit": unit.name(),
        "tz": zone.name(),
        "interval": interval,
        "values": values.collect::<Value>(),
        "total": {
            "value": number(value), "quality": quality, "flags": names(flags), "unplaced": number(unplaced),
        },
        "completeness": completeness,
        "next": null,
    }))
}

/// The number of intervals of a quality.
pub(super) fn count(intervals: &[Interval], quality: Quality) -> usize {
    intervals.iter().filter(|interval| interval.quality == quality).count()
}

fn names(flags: Marks) -> Value {
    flags.iter().map(pulsegate_model::consumption::Mark::name).collect()
}
