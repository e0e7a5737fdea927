//! Other programs read the archive's files: types, counts, bounds and sums of all columns are those of the rows written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pulsegate_model::assignment::{Assignment, Assignments};
use pulsegate_model::at::At;
use pulsegate_model::consumption::Unit;
use pulsegate_model::day::{DayRow, Report};
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::{Kind, Payload, Uplink};
use pulsegate_pipeline::archive::assignments::{self, AssignmentsError};
use pulsegate_pipeline::archive::days::{self, DAYS, Days, Month};
use pulsegate_pipeline::archive::file::{self, ROW_GROUP};
use pulsegate_pipeline::archive::place::{Day, PartitionBits, Place};
use pulsegate_pipeline::archive::points::file::{PointRow, ValueKind};
use pulsegate_pipeline::archive::points::{self, Derive, POINTS, decoder};
use pulsegate_pipeline::archive::reports::{self, REPORTS};
use pulsegate_pipeline::archive::row::Row;
use pulsegate_pipeline::fakes::FakeObjects;
use pulsegate_tests::{clients, repository};
use serde_json::{Value, json};
use tokio::time::Instant;

mod expected;

use expected::{
    ASSIGNMENT_TYPES, DAY_TYPES, POINT_TYPES, REPORT_TYPES, TYPES, expected, expected_of_assignments, expected_of_day,
    expected_of_points, expected_of_reports, kind,
};

/// All uplinks of the project's frames, hour after hour, with and without radio metadata.
fn uplinks(hours: i64) -> Vec<Uplink> {
    let frames: Vec<Uplink> = frames::cases().map(|(_, case)| frames::uplink(&case)).collect();
    let hour = |hour: i64| {
        frames.iter().enumerate().map(move |(nth, uplink)| {
            let mut uplink = uplink.clone();
            uplink.at = At::from_unix(uplink.at.unix() + hour * 3_600).unwrap();
            let nth = i16::try_from(nth).unwrap();
            if nth % 3 == 0 {
                uplink.radio.rssi = Some((f64::from(-nth) / 4.0).try_into().unwrap());
                uplink.radio.snr = Some((f64::from(nth) / 100.0).try_into().unwrap());
                uplink.radio.station = Some(format!("{nth:04X}").parse().unwrap());
            } else if nth % 3 == 1 {
                uplink.radio.signal_quality = Some(u8::try_from(nth % 256).unwrap());
            }
            uplink
        })
    };
    (0..hours).flat_map(hour).collect()
}

/// The network's reports about some of them, and a few uplinks that no codec reads.
fn without_counts(uplinks: &[Uplink]) -> Vec<Uplink> {
    let numbered = uplinks.iter().step_by(7).filter(|uplink| uplink.sequence.is_some());
    let events = numbered.map(|uplink| Uplink { kind: Kind::Event, payload: Payload::default(), ..uplink.clone() });
    let noise = uplinks.iter().step_by(50).map(|uplink| Uplink {
        at: uplink.at.checked_add(1).unwrap(),
        payload: Payload::from_bytes(&[0xFF]).unwrap(),
        ..uplink.clone()
    });
    events.chain(noise).collect()
}

/// Uplinks of two meters that count seven pulses an hour.
fn counting(hours: u32) -> Vec<Uplink> {
    let uplink = |(device, hour): (&str, u32)| {
        let counts = format!(r#"[{{"n":"A","u":"count","v":{}}}]"#, 7 * hour);
        let uplink = json!({
            "device": device, "kind": "data", "at": format!("2026-11-{:02}T{:02}:00:00Z", 18 + hour / 24, hour % 24),
            "time_source": "network", "sequence": hour, "profile": "senml-json", "payload": hex::encode(counts),
        });
        serde_json::from_value(uplink).unwrap()
    };
    let of_device = |device| (0..hours).map(move |hour| (device, hour));
    ["nbiot:490154203000001", "nbiot:490154203000002"].into_iter().flat_map(of_device).map(uplink).collect()
}

#[test]
fn duckdb_and_pyarrow_read_assignments_as_they_were_written() {
    let Some(mut reader) = clients::archive_readers() else { return };
    let file = repository("tests/golden/assignments.parquet");
    let assignments = assignments::file::decode(std::fs::read(&file).unwrap().into()).unwrap();
    let read = run(reader.arg("totals").arg(file));
    let expected = |column: &str| expected_of_assignments(column, &assignments);
    assert_totals(&read, assignments.len(), &ASSIGNMENT_TYPES, expected);
}

#[tokio::test]
async fn the_queries_of_assignments_give_litres_where_there_is_a_meter() {
    let Some(mut reader) = clients::archive_readers() else { return };
    let store = derived(&uplinks(48)).await;
    let points = points_of(&store);
    let mut series: BTreeMap<(DeviceId, String), Vec<i64>> = BTreeMap::new();
    for point in points.iter().filter(|point| point.kind == ValueKind::Index && !point.contradicted) {
        series.entry((point.device, point.channel.clone())).or_default().push(point.value.cast_signed());
    }
    // Every other channel with an index has a meter, of a quarter of a litre.
    let metered: Vec<_> = series.keys().step_by(2).cloned().collect();
    for (nth, (device, channel)) in metered.iter().enumerate() {
        let serial = if nth == 0 { "8ZRI0012345678".to_owned() } else { format!("8ZRI{nth}") };
        let assignment = json!({"device": device, "channel": channel, "litres_per_pulse": 0.25, "serial": serial});
        let assignment: Assignment = serde_json::from_value(assignment).unwrap();
        let add = |all: &mut Assignments| {
            all.add(assignment.clone()).unwrap();
            Ok::<_, AssignmentsError>(())
        };
        let deadline = Instant::now() + Duration::from_mins(10);
        assignments::update(&store, &assignments::key_of(*device), deadline, add).await.unwrap();
    }
    let home = Home::of("assignments", &store);
    let read = run(reader.arg("queries").arg(repository("docs/meters.md")).arg(&home.0));
    let [litres, without, serial] = <[Vec<Value>; 3]>::try_from(rows_of(&read)).unwrap();
    let steps = metered.iter().flat_map(|meter| series[meter].windows(2).map(|pair| pair[1] - pair[0]));
    let expected: i64 = steps.filter(|step| *step >= 0).sum();
    let litres = litres.iter().map(|row| row["litres"].as_str().unwrap().replace('.', "").parse::<i64>().unwrap());
    assert_eq!(litres.sum::<i64>(), expected * 250);
    let channels: BTreeSet<_> = points.iter().map(|point| (point.device, point.channel.clone())).collect();
    assert_eq!((without.len(), serial.len()), (channels.len() - metered.len(), 1));
}

#[test]
fn duckdb_and_pyarrow_read_a_days_file_as_it_was_written() {
    let Some(mut reader) = clients::archive_readers() else { return };
    // Two row groups and a bit.
    let uplinks = uplinks(i64::try_from(2 * ROW_GROUP / frames::cases().count() + 2).unwrap());
    let home = Home::new("day");
    home.write("00.parquet", &file::union(None, uplinks.iter().map(Row::from).collect()).unwrap());
    let read = run(reader.arg("totals").arg(home.0.join("00.parquet")));
    let distinct: BTreeSet<Row> = uplinks.iter().map(Row::from).collect();
    let uplinks: Vec<Uplink> = distinct.iter().map(|row| row.uplink().unwrap()).collect();
    assert!(uplinks.len() > 2 * ROW_GROUP, "{} rows", uplinks.len());
    assert_totals(&read, uplinks.len(), &TYPES, |column| expected(column, &uplinks));
}

#[tokio::test]
async fn duckdb_and_pyarrow_read_points_as_they_were_written() {
    let Some(mut reader) = clients::archive_readers() else { return };
    let store = derived(&uplinks(48)).await;
    let home = Home::of("points", &store);
    let points = points_of(&store);
    let read = run(reader.arg("totals").args(store.keys(POINTS).iter().map(|key| home.0.join(key))));
    assert_totals(&read, points.len(), &POINT_TYPES, |column| expected_of_points(column, &points));
}

#[tokio::test]
async fn duckdb_and_pyarrow_read_reports_as_they_were_written() {
    let Some(mut reader) = clients::archive_readers() else { return };
    let uplinks = uplinks(48);
    let store = derived(&[uplinks.clone(), without_counts(&uplinks)].concat()).await;
    let home = Home::of("reports", &store);
    let reports = reports_of(&store);
    let kinds: BTreeSet<&str> = reports.iter().map(|(_, report)| kind(report)).collect();
    assert_eq!(kinds, ["event", "undecodable", "uplink"].into());
    let read = run(reader.arg("totals").args(store.keys(REPORTS).iter().map(|key| home.0.join(key))));
    assert_totals(&read, reports.len(), &REPORT_TYPES, |column| expected_of_reports(column, &reports));
}

#[tokio::test]
async fn the_queries_of_the_document_give_what_the_points_are() {
    let Some(mut reader) = clients::archive_readers() else { return };
    let uplinks = uplinks(48);
    let uplinks = [uplinks.clone(), without_counts(&uplinks)].concat();
    let store = derived(&uplinks).await;
    let home = Home::of("queries", &store);
    let points = points_of(&store);
    let read = run(reader.arg("queries").arg(repository("docs/points.md")).arg(&home.0));
    let [days, last, pulses, hours, profiles, arrived, numbers] = <[Vec<Value>; 7]>::try_from(rows_of(&read)).unwrap();
    // In the document the consumption is the difference of two points of an index that follow each other.
    let mut series: BTreeMap<(String, String), Vec<i64>> = BTreeMap::new();
    for point in points.iter().filter(|point| point.kind == ValueKind::Index && !point.contradicted) {
        let of_meter = series.entry((point.device.to_string(), point.channel.clone())).or_default();
        of_meter.push(point.value.cast_signed());
    }
    let steps = || series.values().flat_map(|values| values.windows(2).map(|pair| pair[1] - pair[0]));

    // A file without points has no row.
    assert_eq!(days.len(), points.iter().map(|point| Day::at(point.at)).collect::<BTreeSet<Day>>().len());
    assert_eq!(sum(&days, "points"), i64::try_from(points.len()).unwrap());
    let texts = |row: &Value| (row["device"].as_str().unwrap().to_owned(), row["channel"].as_str().unwrap().to_owned());
    let last: BTreeMap<_, _> = last.iter().map(|row| (texts(row), row["value"].as_i64().unwrap())).collect();
    assert_eq!(last, series.iter().map(|(meter, values)| (meter.clone(), *values.last().unwrap())).collect());
    assert_eq!(pulses.len(), series.values().map(Vec::len).sum::<usize>());
    assert_eq!(sum(&pulses, "pulses"), steps().sum::<i64>());
    assert_eq!(sum(&hours, "pulses"), steps().filter(|step| *step >= 0).sum::<i64>());
    let distinct: BTreeSet<Row> = uplinks.iter().filter(|uplink| uplink.kind != Kind::Event).map(Row::from).collect();
    assert_eq!(sum(&profiles, "uplinks"), i64::try_from(distinct.len()).unwrap());

    let reports = reports_of(&store);
    for (column, of) in [("uplinks", "uplink"), ("undecodable", "undecodable")] {
        let expected = reports.iter().filter(|(_, report)| kind(report) == of).count();
        assert_eq!(sum(&arrived, column), i64::try_from(expected).unwrap(), "{column}");
    }
    let mut missing = 0;
    let of_sigfox =
        reports.iter().filter(|(device, report)| device.to_string().starts_with("sigfox:") && report.number.is_some());
    let of_sigfox: Vec<_> = of_sigfox.collect();
    for pair in of_sigfox.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        let number = |nth: usize| i64::from(pair[nth].1.number.unwrap());
        let gap = (number(1) - number(0)).rem_euclid(4_096);
        missing += if gap > 1 { gap - 1 } else { 0 };
    }
    assert_eq!(sum(&numbers, "lost"), missing);
}

#[tokio::test]
async fn duckdb_and_pyarrow_read_days_as_they_were_written() {
    let Some(mut reader) = clients::archive_readers() else { return };
    let store = with_days(derived(&[uplinks(48), counting(48)].concat()).await).await;
    let home = Home::of("days", &store);
    let days = days_of(&store);
    assert!(days.iter().any(|row| row.hours.len() == 25) && days.iter().any(|row| row.total.is_some()));
    let read = run(reader.arg("rows").args(store.keys(DAYS).iter().map(|key| home.0.join(key))));
    for (program, nth) in [("duckdb", 0), ("pyarrow", 1)] {
        let types: BTreeMap<String, String> = serde_json::from_value(read[program]["types"].clone()).unwrap();
        let expected =
            DAY_TYPES.map(|(name, of_duckdb, of_arrow)| (name.to_owned(), [of_duckdb, of_arrow][nth].to_owned()));
        assert_eq!(types, expected.into(), "{program}");
        let mut rows: Vec<Value> = serde_json::from_value(read[program]["rows"].clone()).unwrap();
        let carries = rows.iter_mut().filter_map(|row| row.as_object_mut().unwrap().remove("carry"));
        let devices: BTreeSet<(String, String)> =
            days.iter().map(|row| (row.device.to_string(), Month::of(row.day).to_string())).collect();
        assert_eq!(carries.filter(Value::is_string).count(), devices.len());
        assert_eq!(rows, days.iter().map(expected_of_day).collect::<Vec<_>>(), "{program}");
    }
}

#[tokio::test]
async fn the_queries_of_the_document_give_what_the_days_are() {
    let Some(mut reader) = clients::archive_readers() else { return };
    let store = with_days(derived(&[uplinks(48), counting(48)].concat()).await).await;
    let home = Home::of("day-queries", &store);
    let days = days_of(&store);
    let read = run(reader.arg("queries").arg(repository("docs/days.md")).arg(&home.0));
    let [litres, hours, fleet, leaks] = <[Vec<Value>; 4]>::try_from(rows_of(&read)).unwrap();
    let of_litres = |row: &&DayRow| row.unit == Unit::Litres;
    assert_eq!(litres.len(), days.iter().filter(of_litres).count());
    let total: i64 = days.iter().filter(of_litres).filter_map(|row| row.total).sum();
    let found: f64 = litres.iter().filter_map(|row| row["litres"].as_f64()).sum();
    assert!(total > 0);
    assert!((found * 1_000.0 - f64::from(i32::try_from(total).unwrap())).abs() < 1.0, "{found} {total}");
    assert_eq!(hours.len(), days.iter().map(|row| row.hours.len()).sum::<usize>());
    assert_eq!(sum(&hours, "volume"), days.iter().flat_map(|row| row.hours.iter().flatten()).sum::<i64>());
    assert_eq!(fleet.len(), days.iter().map(|row| row.day).collect::<BTreeSet<_>>().len());
    assert_eq!(sum(&fleet, "read"), i64::try_from(days.iter().filter(|row| row.ledger.is_read()).count()).unwrap());
    assert_eq!(sum(&fleet, "unplaced"), days.iter().map(|row| row.ledger.unplaced).sum::<i64>());
    let mut least: BTreeMap<(String, String), i64> = BTreeMap::new();
    let in_week = |row: &&DayRow| ("2026-11-16"..="2026-11-22").contains(&row.day.to_string().as_str());
    for row in days.iter().filter(in_week) {
        let Some(night) = row.night_minimum else { continue };
        let of_meter = least.entry((row.device.to_string(), row.channel.to_string())).or_insert(night);
        *of_meter = night.min(*of_meter);
    }
    assert_eq!(leaks.len(), least.values().filter(|least| **least > 0).count());
}

fn rows_of(read: &Value) -> Vec<Vec<Value>> {
    serde_json::from_value(read.clone()).unwrap()
}

/// The sum of a column, whose numbers may be texts: JSON has no decimals.
fn sum(rows: &[Value], column: &str) -> i64 {
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str().map(|text| text.parse().unwrap()));
    rows.iter().filter_map(|row| number(&row[column])).sum()
}

fn assert_totals(read: &Value, rows: usize, types: &[(&str, &str, &str)], expected: impl Fn(&str) -> Value) {
    for program in ["duckdb", "pyarrow"] {
        assert_eq!(read[program]["rows"], rows, "{program}");
        let columns: BTreeMap<String, Value> = serde_json::from_value(read[program]["columns"].clone()).unwrap();
        assert_eq!(columns.len(), types.len(), "{program}");
        for (column, of_duckdb, of_arrow) in types {
            let mut expected = expected(column);
            expected["type"] = if program == "duckdb" { *of_duckdb } else { *of_arrow }.into();
            assert_eq!(columns[*column], expected, "{program}: {column}");
        }
    }
}

/// The files of these uplinks, and the points made from them.
async fn derived(uplinks: &[Uplink]) -> FakeObjects {
    let (store, bits) = (FakeObjects::default(), PartitionBits::default());
    let mut files: BTreeMap<Place, Vec<Row>> = BTreeMap::new();
    for uplink in uplinks {
        files.entry(bits.place(uplink)).or_default().push(uplink.into());
    }
    for (place, rows) in files {
        store.set(&place.to_string(), file::union(None, rows).unwrap());
    }
    Derive { store: &store, bits: &bits, decoder, stop: late(), deadline: late() }.run().await.unwrap();
    store
}

/// Makes days of the points, of which some meters have an assignment in a time zone where clocks change.
async fn with_days(store: FakeObjects) -> FakeObjects {
    let points = points_of(&store);
    let devices: BTreeSet<(DeviceId, &str)> =
        points.iter().map(|point| (point.device, point.channel.as_str())).collect();
    for (device, channel) in devices.into_iter().step_by(2) {
        let assignment: Assignment = serde_json::from_value(json!({
            "device": device, "channel": channel, "from": "2026-10-20T00:00:00Z", "litres_per_pulse": 10,
            "time_zone": "America/New_York",
        }))
        .unwrap();
        let add = |assignments: &mut Assignments| {
            assignments.add(assignment.clone()).unwrap();
            Ok::<_, AssignmentsError>(())
        };
        assignments::update(&store, &assignments::key_of(device), late(), add).await.unwrap();
    }
    let bits = PartitionBits::default();
    let now = "2026-12-02T00:00:00Z".parse().unwrap();
    let days = Days { store: &store, bits: &bits, now, stop: late(), deadline: late() };
    for partition in days.plan().await.unwrap() {
        days.run(partition).await.unwrap();
    }
    store
}

fn days_of(store: &FakeObjects) -> Vec<DayRow> {
    let files = store.all().into_iter().filter(|(key, _)| key.starts_with(DAYS));
    files.flat_map(|(_, content)| days::file::read(content).unwrap().rows).collect()
}

fn late() -> Instant {
    Instant::now() + Duration::from_mins(10)
}

fn points_of(store: &FakeObjects) -> Vec<PointRow> {
    let files = store.all().into_iter().filter(|(key, _)| key.starts_with(POINTS));
    files.flat_map(|(_, content)| points::file::read(content).unwrap().1).collect()
}

/// All reports, in the order of their files.
fn reports_of(store: &FakeObjects) -> Vec<(DeviceId, Report)> {
    let files = store.all().into_iter().filter(|(key, _)| key.starts_with(REPORTS));
    let devices = files.flat_map(|(_, content)| reports::file::read(content).unwrap());
    let mut all: Vec<_> = devices.flat_map(|(device, of)| of.into_iter().map(move |report| (device, report))).collect();
    all.sort();
    all
}

/// A directory for one test.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let name = format!("archive-readers-{name}-{}", std::process::id());
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    /// All objects, as files.
    fn of(name: &str, store: &FakeObjects) -> Self {
        let home = Self::new(name);
        for (key, content) in store.all() {
            home.write(&key, &content);
        }
        home
    }

    fn write(&self, key: &str, content: &[u8]) {
        let path = self.0.join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
