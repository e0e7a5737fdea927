use std::time::Duration;

use clap::Parser as _;
use pulsegate_model::assignment::Assignments;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::assignments::{self, AssignmentsError};
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::place::PartitionBits;
use pulsegate_pipeline::archive::store::Condition;
use pulsegate_pipeline::fakes::FakeObjects;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::options::{Command, Options};

const HOUR: i64 = 3_600;

/// Midnight in Brussels, where this day has 25 hours.
const START: &str = "2026-10-24T22:00:00Z";

fn at(text: &str) -> At {
    text.parse().unwrap()
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

/// An archive with hourly uplinks of a device from `START` on: of each hour that is not lost, the index of A; B stands still.
async fn archive_of(indexes: &[Option<u32>]) -> Archive<FakeObjects> {
    let bits: PartitionBits = "".parse().unwrap();
    let archive = Archive { store: FakeObjects::default(), bits };
    let uplink = |(hour, index): (i64, &Option<u32>)| {
        let index = (*index)?;
        let at = At::from_unix(at(START).unix() + hour * HOUR).unwrap();
        let uplink: Uplink = serde_json::from_value(json!({
            "device": "sigfox:1A2345", "at": at, "kind": "data", "time_source": "network", "sequence": hour,
            "profile": "adeunis-pulse-v4", "payload": format!("4680{index:08x}00000007"),
        }))
        .unwrap();
        Some(uplink)
    };
    let uplinks: Vec<Uplink> = (0..).zip(indexes).filter_map(uplink).collect();
    let object = object::encode(&uplinks).unwrap();
    archive.store.put(&object.key, object.content, Condition::Always, deadline()).await.unwrap();
    archive
}

async fn assign(archive: &Archive<FakeObjects>, more: &Value) {
    let mut assignment = json!({
        "device": "sigfox:1A2345", "channel": "A", "litres_per_pulse": 10, "time_zone": "Europe/Brussels",
        "serial": "4711", "label": "cellar",
    });
    assignment.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let assignment: Assignment = serde_json::from_value(assignment).unwrap();
    let add = |all: &mut Assignments| {
        all.add(assignment.clone()).unwrap();
        Ok::<_, AssignmentsError>(())
    };
    let key = assignments::key_of(assignment.device);
    assert!(assignments::update(&archive.store, &key, deadline(), add).await.unwrap());
}

/// Still for an hour, then 2 pulses an hour, with three lost uplinks, a reset and nothing after the hour 21.
async fn archive() -> Archive<FakeObjects> {
    let mut indexes = vec![Some(100), Some(100)];
    indexes.extend((1..=16).map(|hour| Some(100 + 2 * hour)));
    indexes[10..13].fill(None);
    indexes.extend([Some(3), Some(5), Some(6), Some(8)]);
    archive_of(&indexes).await
}

fn order(line: &str) -> Order {
    let words = "pulsegate consumption --archive-bucket b --partition-bits=".split_whitespace();
    match Options::try_parse_from(words.chain(line.split_whitespace())).unwrap().command {
        Command::Consumption(options) => {
            let picture = if options.chart { Picture::Plain } else { Picture::None };
            Order::of(&options, at("2026-10-27T12:00:00Z"), picture)
        }
        other => panic!("{other:?}"),
    }
}

async fn text(archive: &Archive<FakeObjects>, line: &str) -> String {
    shown(archive, &order(line)).await.unwrap().0
}

async fn json(archive: &Archive<FakeObjects>, line: &str) -> Value {
    serde_json::from_str(&text(archive, &format!("{line} --format json")).await).unwrap()
}

async fn problem(archive: &Archive<FakeObjects>, line: &str) -> String {
    shown(archive, &order(line)).await.unwrap_err().in_full()
}

const NIGHT: &str = "1A2345 --channel A --from 2026-10-25 --to 2026-10-26";

#[tokio::test]
async fn a_table_has_local_hours_with_quality_flags_sum_and_a_chart_in_80_columns() {
    let archive = archive().await;
    assign(&archive, &json!({})).await;
    let text = text(&archive, &format!("{NIGHT} --chart")).await;
    assert_eq!(text, include_str!("tests/night.txt"));
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    // docs/consumption.md shows this command with its output.
    let document = include_str!("../../../../docs/consumption.md");
    let command = format!("    pulsegate consumption {NIGHT} --chart\n");
    let indented: String = text.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n").collect();
    assert!(document.contains(&command) && document.contains(&indented), "docs/consumption.md:\n{indented}");
}

#[tokio::test]
async fn without_an_assignment_it_is_pulses_and_utc() {
    let archive = archive().await;
    let answer = json(&archive, NIGHT).await;
    assert_eq!((&answer["unit"], &answer["tz"]), (&json!("pulses"), &json!("UTC")));
    assert_eq!(answer["values"].as_array().unwrap().len(), 24);
    assert_eq!(answer["values"][0]["start"], "2026-10-25T00:00:00+00:00");
    let message = problem(&archive, &format!("{NIGHT} --unit m3")).await;
    assert!(message.contains("sigfox:1A2345 A has no assignment") && message.contains("--unit pulses"), "{message}");
}

#[tokio::test]
async fn json_has_the_offset_of_each_hour_and_null_for_what_is_missing() {
    let archive = archive().await;
    assign(&archive, &json!({})).await;
    let answer = json(&archive, NIGHT).await;
    assert_eq!(answer["values"].as_array().unwrap().len(), 25);
    let expected = json!({
        "start": "2026-10-25T02:00:00+02:00", "end": "2026-10-25T02:00:00+01:00", "value": 0.02, "quality": "measured",
        "flags": [], "sum": 0.04,
    });
    assert_eq!(answer["values"][2], expected);
    let missing = json!({
        "start": "2026-10-25T23:00:00+01:00", "end": "2026-10-26T00:00:00+01:00", "value": null, "quality": "missing",
        "flags": [], "sum": null,
    });
    assert_eq!(answer["values"][24], missing);
    let counted = json!({"expected": 25, "measured": 16, "interpolated": 4, "partial": 1, "missing": 4});
    assert_eq!(answer["completeness"], counted);
    assert_eq!(answer["total"], json!({"value": null, "quality": "missing", "flags": ["reset"], "unplaced": null}));
    for (key, value) in
        [("device", "sigfox:1A2345"), ("channel", "A"), ("unit", "m3"), ("tz", "Europe/Brussels"), ("interval", "hour")]
    {
        assert_eq!(answer[key], value, "{key}");
    }
}

#[tokio::test]
async fn csv_has_a_line_for_each_interval_and_an_empty_value_where_it_is_missing() {
    let archive = archive().await;
    assign(&archive, &json!({})).await;
    let text = text(&archive, &format!("{NIGHT} --format csv --unit l")).await;
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(lines[0], "start,end,value,unit,quality,flags,sum");
    assert_eq!(lines[3], "2026-10-25T02:00:00+02:00,2026-10-25T02:00:00+01:00,20,l,measured,,40");
    assert_eq!(lines[18], "2026-10-25T16:00:00+01:00,2026-10-25T17:00:00+01:00,30,l,partial,reset,350");
    assert_eq!(lines[25], "2026-10-25T23:00:00+01:00,2026-10-26T00:00:00+01:00,,l,missing,,");
}

#[tokio::test]
async fn pulses_of_a_meter_that_was_swapped_leave_out_what_lies_between_its_indexes() {
    let archive = archive_of(&[Some(100), Some(102), Some(5), Some(6)]).await;
    let swap = "2026-10-24T23:30:00Z";
    assign(&archive, &json!({"to": swap, "last_index": 103})).await;
    assign(&archive, &json!({"from": swap, "first_index": 4, "litres_per_pulse": 1, "serial": "4712"})).await;
    let span = "1A2345 --channel A --from 2026-10-25 --to 2026-10-25T01:00:00Z";
    let values =
        |answer: Value| answer["values"].as_array().unwrap().iter().map(|of| of["value"].clone()).collect::<Vec<_>>();
    assert_eq!(values(json(&archive, &format!("{span} --unit pulses")).await), [2, 2, 1]);
    assert_eq!(values(json(&archive, &format!("{span} --unit l")).await), [20, 11, 1]);
    assert!(text(&archive, span).await.contains("several meters"));
}

#[tokio::test]
async fn a_long_span_is_shown_by_days_and_one_that_begins_within_a_day_is_marked_as_cut() {
    let archive = archive().await;
    assign(&archive, &json!({})).await;
    let span = "1A2345 --channel A --from 2026-10-10T12:00:00Z --to 2026-10-26";
    let answer = json(&archive, span).await;
    assert_eq!((&answer["interval"], &answer["values"][0]["cut"]), (&json!("day"), &json!(true)));
    assert_eq!(answer["values"][1].get("cut"), None);
    let last = json(&archive, "1A2345 --channel A").await;
    assert_eq!((&last["interval"], &last["values"][0]["start"]), (&json!("hour"), &json!("2026-10-20T00:00:00+02:00")));
}

#[tokio::test]
async fn native_intervals_are_the_steps_between_readings() {
    let answer = json(&archive().await, "1A2345 --channel A --interval native --from 2026-10-24 --to 2026-10-26").await;
    let gap = &answer["values"][9];
    assert_eq!(
        (&gap["start"], &gap["end"]),
        (&json!("2026-10-25T07:00:00+00:00"), &json!("2026-10-25T11:00:00+00:00"))
    );
    assert_eq!((&gap["value"], &gap["quality"]), (&json!(8), &json!("measured")));
}

#[tokio::test]
async fn the_only_channel_is_the_default_and_several_are_named() {
    let archive = archive().await;
    let message = problem(&archive, "1A2345 --from 2026-10-25").await;
    assert_eq!(message, "sigfox:1A2345 has the channels A, B: choose one with --channel");
    let message = problem(&archive, "1A2345 --channel C --from 2026-10-25").await;
    assert_eq!(message, "sigfox:1A2345 has no channel C: its channels are A, B");
}

#[tokio::test]
async fn a_device_without_uplinks_is_unknown_unless_it_has_an_assignment() {
    let archive = archive().await;
    let message = problem(&archive, "3 --from 2026-10-25 --to 2026-10-26").await;
    assert!(message.starts_with("sigfox:3 is not known: it has no uplinks from 2026-09-20T00:00:00Z"), "{message}");
    assign(&archive, &json!({"device": "sigfox:3"})).await;
    let (text, notes) = shown(&archive, &order("3 --from 2026-10-25 --to 2026-10-26 --format json")).await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["completeness"]["missing"], 25);
    assert_eq!(notes, ["no readings of sigfox:3 A near this time"]);
}

#[tokio::test]
async fn a_span_that_is_empty_or_too_long_is_refused_before_anything_is_read() {
    let archive = archive().await;
    assign(&archive, &json!({})).await;
    let message = problem(&archive, "1A2345 --from 2026-10-26 --to 2026-10-25").await;
    assert_eq!(message, "--to 2026-10-25T00:00:00+02:00 is not after --from 2026-10-26T00:00:00+01:00");
    let message = problem(&archive, "1A2345 --from 2024-10-26 --to 2026-10-25 --interval hour").await;
    assert!(message.contains("729 days, but at most 400") && message.contains("--interval day"), "{message}");
    let message = problem(&archive, "1A2345 --from 2006-10-26 --to 2026-10-25").await;
    assert!(message.contains("at most 3660"), "{message}");
}

#[test]
fn a_wrong_zone_interval_unit_or_time_is_named() {
    for (option, part) in [
        ("--tz Europe/Brusels", "\"Europe/Brusels\" is not the name of a time zone"),
        ("--interval 7min", "\"7min\" is not an interval"),
        ("--unit gallons", "[possible values: m3, l, pulses]"),
        ("--from yesterday", "neither a time such as 2026-11-20T09:30:00+01:00 nor a date such as 2026-11-20"),
    ] {
        let line = format!("pulsegate consumption 1A2345 {option}");
        let message = Options::try_parse_from(line.split_whitespace()).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}
