use clap::Parser as _;
use pulsegate_model::uplink::Kind;
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::place::PartitionBits;
use pulsegate_pipeline::archive::settle::Settle;
use pulsegate_pipeline::archive::store::Condition;
use pulsegate_pipeline::fakes::FakeObjects;
use serde_json::{Value, json};

use super::*;
use crate::options::{Command, Options};

fn options(line: &str) -> UplinksOptions {
    let words = "pulsegate uplinks --archive-bucket b --partition-bits 2026-01-01=2".split_whitespace();
    match Options::try_parse_from(words.chain(line.split_whitespace())).unwrap().command {
        Command::Uplinks(options) => options,
        other => panic!("{other:?}"),
    }
}

fn order(line: &str) -> Order {
    Order::of(&options(line), "2026-11-21T00:00:00Z".parse().unwrap()).unwrap()
}

fn uplink(at: &str, more: &Value) -> Uplink {
    let mut uplink = json!({
        "device": "sigfox:1A2345", "at": at, "kind": "data", "time_source": "network", "sequence": 42,
        "profile": "adeunis-pulse-v4", "payload": "46800000009f00000002",
    });
    uplink.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(uplink).unwrap()
}

/// Three uplinks, of which the first is settled and the last does not decode, and one of another device.
async fn archive() -> Archive<FakeObjects> {
    let bits: PartitionBits = "2026-01-01=2".parse().unwrap();
    let archive = Archive { store: FakeObjects::default(), bits };
    let radio = json!({"radio": {"rssi": -120.5, "snr": 12.25, "station": "1A2B: x", "signal_quality": 3}});
    let deadline = Instant::now() + TIMEOUT;
    for (uplink, settles) in [
        (uplink("2026-11-20T10:00:00Z", &radio), true),
        (uplink("2026-11-20T11:00:00Z", &json!({"sequence": null, "payload": "46800000019f00000003"})), false),
        (uplink("2026-11-20T12:00:00Z", &json!({"payload": "ff", "sequence": 44})), false),
        (uplink("2026-11-20T12:00:00Z", &json!({"device": "sigfox:2"})), false),
    ] {
        let object = object::encode([&uplink]).unwrap();
        archive.store.put(&object.key, object.content, Condition::Always, deadline).await.unwrap();
        if settles {
            Settle { store: &archive.store, bits: &archive.bits, stop: deadline, deadline }.run().await.unwrap();
        }
    }
    archive
}

async fn text(line: &str) -> String {
    let (text, notes) = shown(&archive().await, &order(line)).await.unwrap();
    assert_eq!(notes, Vec::<String>::new());
    text
}

#[tokio::test]
async fn a_table_shows_each_uplink_with_what_it_says_or_why_it_is_not_read() {
    let text = text("1A2345").await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), TABLE_HEAD);
    for part in [
        "2026-11-20T10:00:00Z  42 ",
        "network",
        "46800000009f00000002",
        "-120.5 dBm, 12.25 dB, quality 3, 1A2B: x",
        "A 159; B 2",
    ] {
        assert!(lines[2].contains(part), "{part}: {text}");
    }
    assert!(lines[3].contains("11:00:00Z  - ") && lines[3].contains("A 415; B 3"), "{text}");
    assert!(lines[4].contains("not decoded: ") && lines[4].contains("adeunis-pulse-v4"), "{text}");
}

#[tokio::test]
async fn an_event_is_shown_as_such_and_is_not_an_uplink_that_no_codec_reads() {
    let archive = archive().await;
    let data = uplink("2026-11-20T13:00:00Z", &json!({"payload": "", "sequence": 45}));
    let object = object::encode([&Uplink { kind: Kind::Event, ..data }]).unwrap();
    archive.store.put(&object.key, object.content, Condition::Always, Instant::now() + TIMEOUT).await.unwrap();
    let text = async |line: &str| shown(&archive, &order(line)).await.unwrap();
    let (table, _) = text("1A2345 --limit 1").await;
    assert!(table.contains("13:00:00Z  45 ") && table.contains("event ") && table.contains("no payload"), "{table}");
    let objects: Vec<Value> = serde_json::from_str(&text("1A2345 --limit 1 --format json").await.0).unwrap();
    assert_eq!(
        (&objects[0]["kind"], &objects[0]["error"], &objects[0]["pulse"]),
        (&json!("event"), &Value::Null, &Value::Null)
    );
    let (_, notes) = text("1A2345 --points").await;
    assert_eq!(notes, ["not shown: 1 uplinks that no codec reads"]);
}

const TABLE_HEAD: [&str; 8] = ["time", "sequence", "kind", "clock", "profile", "payload", "radio", "decoded"];

#[tokio::test]
async fn json_has_the_uplink_and_its_pulse_item_whole() {
    let all: Vec<Value> = serde_json::from_str(&text("sigfox:1A2345 --format json").await).unwrap();
    assert_eq!(all.len(), 3);
    for mut object in all {
        let fields = object.as_object_mut().unwrap();
        let (item, error) = (fields.remove("pulse"), fields.remove("error"));
        let uplink: Uplink = serde_json::from_value(object).unwrap();
        match pulsegate_model::pulse::decode(&uplink) {
            Ok(decoded) => assert_eq!((item, error), (Some(json!(decoded)), None)),
            Err(reason) => assert_eq!((item, error), (None, Some(json!(reason.to_string())))),
        }
    }
}

#[tokio::test]
async fn csv_has_a_line_for_each_uplink_and_is_read_back() {
    let text = text("1A2345 --format csv").await;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head = reader.headers().unwrap().clone();
    let column = |record: &csv::StringRecord, name: &str| {
        record[head.iter().position(|column| column == name).unwrap()].to_owned()
    };
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 3);
    let first =
        ["device", "rssi", "snr", "station", "counts", "battery_mv", "error"].map(|name| column(&records[0], name));
    assert_eq!(first, ["sigfox:1A2345", "-120.5", "12.25", "1A2B: x", "A 159; B 2", "", ""]);
    assert_eq!(column(&records[1], "sequence"), "");
    let [counts, error] = ["counts", "error"].map(|name| column(&records[2], name));
    assert!(counts.is_empty() && error.contains("adeunis-pulse-v4"), "{error}");
    assert!(text.contains("\r\n"));
}

#[test]
fn text_with_commas_quotes_and_line_ends_is_quoted() {
    let rows = [["a,b".to_owned(), "say \"x\"\n".to_owned()]];
    assert_eq!(format::csv(&["c", "d"], &rows).unwrap(), "c,d\r\n\"a,b\",\"say \"\"x\"\"\n\"\r\n");
}

#[tokio::test]
async fn a_limit_keeps_the_newest_and_a_span_excludes_its_end() {
    let times = |text: String| -> Vec<Value> {
        let all: Vec<Value> = serde_json::from_str(&text).unwrap();
        all.into_iter().map(|uplink| uplink["at"].clone()).collect()
    };
    assert_eq!(times(text("1A2345 --format json --limit 1").await), ["2026-11-20T12:00:00Z"]);
    let span = "1A2345 --format json --from 2026-11-20T10:00:00Z --to 2026-11-20T12:00:00Z";
    assert_eq!(times(text(span).await), ["2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z"]);
}

#[tokio::test]
async fn points_are_merged_and_what_is_not_a_point_is_counted() {
    for (format, lines) in [("table", 6), ("csv", 5)] {
        let order = order(&format!("1A2345 --points --format {format}"));
        let (text, notes) = shown(&archive().await, &order).await.unwrap();
        assert_eq!(text.lines().count(), lines, "{text}");
        assert_eq!(notes, ["not shown: 1 uplinks that no codec reads"]);
    }
    let (text, _) = shown(&archive().await, &order("1A2345 --points --format json")).await.unwrap();
    let points: Vec<Value> = serde_json::from_str(&text).unwrap();
    let of = |channel: &str| -> Vec<&Value> {
        points.iter().filter(|point| point["channel"] == channel).map(|point| &point["index"]).collect()
    };
    assert_eq!((of("A"), of("B")), (vec![&json!(159), &json!(415)], vec![&json!(2), &json!(3)]));
}

#[tokio::test]
async fn no_uplinks_are_a_note_and_an_output_that_programs_read() {
    for (line, output) in [("3", ""), ("3 --format json", "[]\n"), ("3 --points --format json", "[]\n")] {
        let (text, notes) = shown(&archive().await, &order(line)).await.unwrap();
        assert_eq!((text.as_str(), notes.len()), (output, 1), "{line}");
        assert_eq!(notes[0], "no uplinks of sigfox:3 between 2026-11-14T00:00:00Z and 2026-11-22T00:00:00Z");
    }
    let (text, _) = shown(&archive().await, &order("3 --format csv")).await.unwrap();
    assert!(text.starts_with("device,time,") && text.lines().count() == 1, "{text}");
}

#[test]
fn a_span_is_the_last_week_unless_given() {
    let now: At = "2026-11-21T00:00:00Z".parse().unwrap();
    let span = |line: &str| options(line).span(now).map(|(from, to)| format!("{from} {to}"));
    assert_eq!(span("1").unwrap(), "2026-11-14T00:00:00Z 2026-11-22T00:00:00Z");
    assert_eq!(span("1 --to 2026-01-08T00:00:00Z").unwrap(), "2026-01-01T00:00:00Z 2026-01-08T00:00:00Z");
    assert_eq!(span("1 --from 2026-01-08T00:00:00Z").unwrap(), "2026-01-08T00:00:00Z 2026-11-22T00:00:00Z");
    let problem = span("1 --from 2026-01-08T00:00:00Z --to 2026-01-08T00:00:00Z").unwrap_err().in_full();
    assert!(problem.contains("is not before --to"), "{problem}");
}
