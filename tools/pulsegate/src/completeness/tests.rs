use std::collections::BTreeMap;
use std::time::Duration;

use clap::Parser as _;
use jiff::ToSpan as _;
use pulsegate_model::assignment::Zone;
use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::{PeriodEnd, Reading};
use pulsegate_model::day::{self, Dates, DayRow, Readings, Report, ReportKind};
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::days::{self, Days, Partition};
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::place::PartitionBits;
use pulsegate_pipeline::archive::points::{Derive, decoder};
use pulsegate_pipeline::archive::settle::Settle;
use pulsegate_pipeline::archive::store::Condition;
use pulsegate_pipeline::fakes::FakeObjects;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::fleet::Fleet;
use super::summary::Summary;
use super::worst::Worst;
use super::*;
use crate::options::{Command, Options};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

fn at(text: &str) -> At {
    text.parse().unwrap()
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn now() -> At {
    at("2026-11-23T09:00:00Z")
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

/// Hourly readings from 2026-11-20T00:00:00Z on, two pulses each, as a device sends them that logs every hour.
fn uplinks(device: &str, hours: impl Iterator<Item = i64>) -> Vec<Uplink> {
    let start = at("2026-11-20T00:00:00Z").unix();
    let uplink = |hour: i64| {
        let index = u32::try_from(1_000 + 2 * hour).unwrap();
        let uplink = json!({
            "device": device, "at": At::from_unix(start + hour * HOUR).unwrap(), "kind": "data", "time_source": "network",
            "sequence": hour, "profile": "adeunis-pulse-v4-1h", "payload": format!("4680{index:08x}00000000"),
        });
        serde_json::from_value(uplink).unwrap()
    };
    hours.map(uplink).collect()
}

async fn archive(uplinks: &[Uplink]) -> Archive<FakeObjects> {
    let bits: PartitionBits = "".parse().unwrap();
    let archive = Archive { store: FakeObjects::default(), bits };
    let object = object::encode(uplinks).unwrap();
    archive.store.put(&object.key, object.content, Condition::Always, deadline()).await.unwrap();
    archive
}

fn order(line: &str) -> Order {
    let words = "pulsegate completeness --archive-bucket b --partition-bits=".split_whitespace();
    match Options::try_parse_from(words.chain(line.split_whitespace())).unwrap().command {
        Command::Completeness(options) => {
            let picture = if options.chart { Picture::Plain } else { Picture::None };
            Order::of(&options, now(), picture)
        }
        other => panic!("{other:?}"),
    }
}

async fn text(archive: &Archive<FakeObjects>, line: &str) -> String {
    run(archive, &order(line)).await.unwrap().text
}

async fn problem(archive: &Archive<FakeObjects>, line: &str) -> String {
    run(archive, &order(line)).await.unwrap_err().in_full()
}

/// Complete on the first day, three uplinks lost on the second, nothing on the third but what is not over.
fn with_losses() -> Vec<Uplink> {
    uplinks("sigfox:1A2345", (0..40).filter(|hour| !(30..33).contains(hour)))
}

#[tokio::test]
async fn a_device_has_a_row_for_each_channel_and_day_that_is_over_and_a_dot() {
    let text = text(&archive(&with_losses()).await, "1A2345 --chart").await;
    assert_eq!(text, include_str!("tests/device.txt"));
}

#[tokio::test]
async fn json_and_csv_have_all_columns_of_the_ledger() {
    let archive = archive(&with_losses()).await;
    let answer: Value = serde_json::from_str(&text(&archive, "1A2345 --format json").await).unwrap();
    let expected = json!({
        "day": "2026-11-21", "channel": "A", "tz": "UTC", "start": "2026-11-21T00:00:00+00:00",
        "end": "2026-11-22T00:00:00+00:00", "slots_read": 13, "slots_expected": 24, "complete": false, "uplinks": 13,
        "undecodable": 0, "uplinks_lost": 3, "lost_but_covered": 0, "restarts": 0, "unit": "pulses", "timed": 22,
        "spread": 8, "unplaced": 0, "after_break": 0, "breaks": 0, "flags": [], "battery_mv": null,
        "last_contact": "2026-11-21T15:00:00+00:00",
    });
    assert_eq!(answer["days"][1], expected);
    assert_eq!(answer["summary"]["uplinks_lost"], 3, "the device has lost them, not each of its channels");
    let csv = text(&archive, "1A2345 --format csv --from 2026-11-21 --to 2026-11-22").await;
    let line = "2026-11-21,A,UTC,2026-11-21T00:00:00+00:00,2026-11-22T00:00:00+00:00,13,24,false,13,0,3,0,0,pulses,22,8,0,0,0,,,\
                2026-11-21T15:00:00+00:00";
    assert_eq!(csv.split("\r\n").nth(1), Some(line));
}

#[tokio::test]
async fn an_unknown_device_and_a_wrong_span_are_refused() {
    let archive = archive(&with_losses()).await;
    let message = problem(&archive, "3").await;
    assert!(message.starts_with("sigfox:3 is not known: it has no uplinks from"), "{message}");
    let message = problem(&archive, "1A2345 --from 2026-11-21 --to 2026-11-21").await;
    assert_eq!(message, "--to 2026-11-21 is not after --from 2026-11-21");
    let message = problem(&archive, "1A2345 --from 2024-11-21 --to 2026-11-21").await;
    assert!(message.contains("730 days, but at most 400 at once"), "{message}");
    for line in ["", "1A2345 --day 2026-11-20", "--from 2026-11-20", "--day tomorrow", "1A2345 --worst 3"] {
        let words = "pulsegate completeness".split_whitespace().chain(line.split_whitespace());
        assert!(Options::try_parse_from(words).is_err(), "{line}");
    }
}

/// The rows of a device on a day, from hourly readings: `None` for an hour without.
fn rows(number: u32, indexes: &[Option<u64>]) -> Vec<DayRow> {
    let device: DeviceId = format!("sigfox:{number:X}").parse().unwrap();
    let start = at("2026-11-20T00:00:00Z").unix();
    let times = |hour: i64| At::from_unix(start + hour * HOUR).unwrap();
    let read = || (0_i64..).zip(indexes).filter_map(|(hour, index)| Some((hour, (*index)?)));
    let points = read().map(|(hour, index)| Reading { at: times(hour), index, counter_bits: Some(32) }).collect();
    let before = [Reading { at: At::from_unix(start - 9 * DAY).unwrap(), index: 100, counter_bits: Some(32) }];
    let report = |(hour, at): (i64, At)| Report {
        at,
        number: u32::try_from(hour.rem_euclid(4_096)).ok(),
        kind: ReportKind::Uplink,
        period: Some(3_600),
        counted_at: PeriodEnd::End,
        battery_mv: None,
        flags: [].into(),
    };
    let reports = [(-9 * 24, before[0].at)].into_iter().chain(read().map(|(hour, _)| (hour, times(hour))));
    let readings = Readings { points: [before.to_vec(), points].concat(), counted: Vec::new() };
    let history = day::History {
        channels: BTreeMap::from([(Channel::A, readings)]),
        // A device of which only one uplink is known has a counter that says nothing.
        reports: reports.skip(usize::from(read().count() > 1)).map(report).collect(),
        ..day::History::default()
    };
    let day = date("2026-11-20");
    let until = |_: &Zone| day.checked_add(1.day()).unwrap();
    day::days(device, &history, day, &until, &mut Dates::default())
}

/// A good device, a silent one, one with a gap, one whose index was reset.
fn fleet(most: usize) -> Fleet {
    let hours = |of: &dyn Fn(u64) -> Option<u64>| (0..=24).map(of).collect::<Vec<_>>();
    let mut fleet = Fleet { day: date("2026-11-20"), summary: Summary::default(), worst: Worst::new(most) };
    for (number, indexes) in [
        (0x1, hours(&|hour| Some(100 + hour))),
        (0x2, hours(&|_| None)),
        (0x3, hours(&|hour| Some(100 + hour).filter(|_| !(5..9).contains(&hour)))),
        (0x4, hours(&|hour| Some(if hour < 12 { 50_000 + hour } else { hour }))),
    ] {
        for row in rows(number, &indexes) {
            fleet.add(row);
        }
    }
    fleet
}

#[test]
fn the_worst_devices_of_a_fleet_are_named_with_the_reason() {
    assert_eq!(fleet(20).text(DataFormat::Table).unwrap(), include_str!("tests/fleet.txt"));
    let csv = fleet(1).text(DataFormat::Csv).unwrap();
    assert_eq!(csv, "day,device,reasons\r\n2026-11-20,sigfox:2,\"A not read, last contact 2026-11-11T00:00:00Z\"\r\n");
    let answer: Value = serde_json::from_str(&fleet(2).text(DataFormat::Json).unwrap()).unwrap();
    assert_eq!((&answer["worst"][1]["device"], &answer["devices_with_reasons"]), (&json!("sigfox:4"), &json!(3)));
    assert_eq!(answer["summary"]["days_read"], 3);
}

#[test]
fn the_worst_of_many_are_the_same_as_of_all() {
    let silent = |hours: u64| (0..=24).map(|hour| Some(100 + hour).filter(|_| hour >= hours)).collect::<Vec<_>>();
    let found = |most: usize| {
        let mut worst = Worst::new(most);
        for number in 0..300_u32 {
            for row in rows(number + 1, &silent(u64::from(number * 7 % 23))) {
                worst.add(row);
            }
        }
        worst.found()
    };
    let (all, number) = found(usize::MAX);
    let (few, same) = found(5);
    assert_eq!((&all[..5], number), (&few[..], same));
}

#[tokio::test]
async fn a_fleet_is_read_from_the_files_of_days() {
    let all = [with_losses(), uplinks("nbiot:490154203237518", 0..1)].concat();
    let archive = archive(&all[..all.len() - 1]).await;
    let message = problem(&archive, "--day 2026-11-20").await;
    assert!(message.starts_with("no file of days has 2026-11-20: there is none of its month."), "{message}");
    make_days(&archive).await;
    let answer: Value = serde_json::from_str(&text(&archive, "--day 2026-11-20 --format json").await).unwrap();
    assert_eq!((&answer["summary"]["devices"], &answer["summary"]["channels"]), (&json!(1), &json!(2)));
    let answer: Value = serde_json::from_str(&text(&archive, "--day 2026-11-21 --format json").await).unwrap();
    assert_eq!((&answer["summary"]["uplinks_lost"], &answer["summary"]["slots_read"]), (&json!(3), &json!(26)));
    let reasons = ["A, B read in 13 of 24 slots", "3 uplinks lost, 0 covered"];
    assert_eq!(answer["worst"][0], json!({"device": "sigfox:1A2345", "reasons": reasons}));
    let message = problem(&archive, "--day 2026-11-23").await;
    assert!(message.starts_with("no file of days has 2026-11-23: it is not over yet"), "{message}");
}

#[tokio::test]
async fn the_rows_of_a_device_are_those_of_the_files_of_days() {
    let archive = archive(&with_losses()).await;
    let (device, from) = ("sigfox:1A2345".parse().unwrap(), Some(date("2026-11-20")));
    let question = device::Question { device, from, to: None, now: now() };
    let (computed, _) = device::rows(&archive, &question).await.unwrap();
    make_days(&archive).await;
    let mut read = Vec::new();
    for day in ["2026-11-20", "2026-11-21", "2026-11-22"] {
        assert!(days::rows_of(&archive.store, date(day), deadline(), |row| read.push(row)).await.unwrap());
    }
    read.sort_by(|one, other| (&one.channel, one.day).cmp(&(&other.channel, other.day)));
    assert_eq!((computed.len(), computed), (6, read));
}

/// Runs everything that makes the files of days.
async fn make_days(Archive { store, bits }: &Archive<FakeObjects>) {
    let (stop, deadline) = (deadline(), deadline());
    Settle { store, bits, stop, deadline }.run().await.unwrap();
    Derive { store, bits, decoder, stop, deadline }.run().await.unwrap();
    Days { store, bits, now: now(), stop, deadline }.run(Partition::ALL).await.unwrap();
}
