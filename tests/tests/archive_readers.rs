//! Other programs read the archive's files: types, counts, bounds and sums of all columns are those of the rows written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pulsegate_model::assignment::{Assignment, Assignments};
use pulsegate_model::at::At;
use pulsegate_model::consumption::{Quality, Unit};
use pulsegate_model::day::DayRow;
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::{Decibels, Uplink};
use pulsegate_pipeline::archive::assignments::{self, AssignmentsError};
use pulsegate_pipeline::archive::days::{self, DAYS, Days, Month};
use pulsegate_pipeline::archive::file::{self, ROW_GROUP};
use pulsegate_pipeline::archive::place::{Day, PartitionBits, Place};
use pulsegate_pipeline::archive::points::file::{PointRow, ValueKind};
use pulsegate_pipeline::archive::points::{self, Derive, POINTS, decoder};
use pulsegate_pipeline::archive::row::Row;
use pulsegate_pipeline::fakes::FakeObjects;
use pulsegate_tests::{clients, repository};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Of columns of `day/`: the types in `DuckDB` and in Arrow.
const TYPES: [(&str, &str, &str); 11] = [
    ("device", "VARCHAR", "string"),
    ("at", "BIGINT", "int64"),
    ("sequence", "UINTEGER", "uint32"),
    ("kind", "VARCHAR", "string"),
    ("time_source", "VARCHAR", "string"),
    ("profile", "VARCHAR", "string"),
    ("payload", "BLOB", "binary"),
    ("rssi", "DECIMAL(6,2)", "decimal128(6, 2)"),
    ("snr", "DECIMAL(6,2)", "decimal128(6, 2)"),
    ("station", "VARCHAR", "string"),
    ("signal_quality", "UTINYINT", "uint8"),
];

/// The same of `points/`.
const POINT_TYPES: [(&str, &str, &str); 10] = [
    ("device", "VARCHAR", "string"),
    ("channel", "VARCHAR", "string"),
    ("kind", "VARCHAR", "string"),
    ("at", "TIMESTAMP WITH TIME ZONE", "timestamp[ms, tz=UTC]"),
    ("value", "BIGINT", "int64"),
    ("time_source", "VARCHAR", "string"),
    ("counter_bits", "INTEGER", "int32"),
    ("contradicted", "BOOLEAN", "bool"),
    ("codec", "VARCHAR", "string"),
    ("codec_version", "INTEGER", "int32"),
];

/// The same of `days/`.
const DAY_TYPES: [(&str, &str, &str); 34] = [
    ("device", "VARCHAR", "string"),
    ("channel", "VARCHAR", "string"),
    ("day", "DATE", "date32[day]"),
    ("time_zone", "VARCHAR", "string"),
    ("starts_at", "TIMESTAMP WITH TIME ZONE", "timestamp[ms, tz=UTC]"),
    ("ends_at", "TIMESTAMP WITH TIME ZONE", "timestamp[ms, tz=UTC]"),
    ("unit", "VARCHAR", "string"),
    ("total", "BIGINT", "int64"),
    ("quality", "VARCHAR", "string"),
    ("flags", "VARCHAR", "string"),
    ("hours", "BIGINT[]", "list<element: int64>"),
    ("hour_qualities", "VARCHAR[]", "list<element: string>"),
    ("hours_measured", "INTEGER", "int32"),
    ("hours_interpolated", "INTEGER", "int32"),
    ("hours_partial", "INTEGER", "int32"),
    ("hours_missing", "INTEGER", "int32"),
    ("slots_read", "INTEGER", "int32"),
    ("slots_expected", "INTEGER", "int32"),
    ("uplinks", "INTEGER", "int32"),
    ("undecodable", "INTEGER", "int32"),
    ("uplinks_lost", "INTEGER", "int32"),
    ("lost_but_covered", "INTEGER", "int32"),
    ("restarts", "INTEGER", "int32"),
    ("timed", "BIGINT", "int64"),
    ("spread", "BIGINT", "int64"),
    ("unplaced", "BIGINT", "int64"),
    ("after_break", "BIGINT", "int64"),
    ("breaks", "INTEGER", "int32"),
    ("night_minimum", "BIGINT", "int64"),
    ("longest_still", "INTEGER", "int32"),
    ("device_flags", "VARCHAR", "string"),
    ("battery_mv", "INTEGER", "int32"),
    ("last_contact", "TIMESTAMP WITH TIME ZONE", "timestamp[ms, tz=UTC]"),
    ("carry", "VARCHAR", "string"),
];

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

/// Texts of a column's values, for the columns whose bounds are those of texts and whose sum is that of the lengths.
fn of_texts(values: impl Iterator<Item = Vec<u8>>, text: impl Fn(&[u8]) -> String) -> Value {
    let values: Vec<Vec<u8>> = values.collect();
    let distinct: BTreeSet<&Vec<u8>> = values.iter().collect();
    let sum: usize = values.iter().map(Vec::len).sum();
    json!({
        "count": values.len(), "distinct": distinct.len(), "sum": sum.to_string(),
        "min": text(distinct.first().unwrap()), "max": text(distinct.last().unwrap()),
    })
}

fn of_numbers(values: impl Iterator<Item = i64>, text: impl Fn(i64) -> String) -> Value {
    let values: Vec<i64> = values.collect();
    let distinct: BTreeSet<i64> = values.iter().copied().collect();
    json!({
        "count": values.len(), "distinct": distinct.len(), "sum": text(values.iter().sum()),
        "min": text(*distinct.first().unwrap()), "max": text(*distinct.last().unwrap()),
    })
}

/// The expected properties of a column.
fn expected(column: &str, uplinks: &[Uplink]) -> Value {
    let words = |word: fn(&Uplink) -> Option<String>| {
        of_texts(uplinks.iter().filter_map(word).map(String::into_bytes), |text| String::from_utf8_lossy(text).into())
    };
    let decibels = |level: fn(&Uplink) -> Option<Decibels>| {
        // Two digits are exact: levels are rounded to hundredths.
        let hundredths = uplinks.iter().filter_map(level).map(|level| format!("{:.2}", f64::from(level)));
        let hundredths = hundredths.map(|text| text.replace('.', "").parse::<i64>().unwrap());
        of_numbers(hundredths, |sum| {
            format!("{}{}.{:02}", if sum < 0 { "-" } else { "" }, sum.abs() / 100, sum.abs() % 100)
        })
    };
    match column {
        "device" => words(|uplink| Some(uplink.device.to_string())),
        "at" => of_numbers(uplinks.iter().map(|uplink| uplink.at.unix()), |at| at.to_string()),
        "sequence" => of_numbers(uplinks.iter().filter_map(|uplink| uplink.sequence.map(i64::from)), |n| n.to_string()),
        "kind" => words(|uplink| Some(uplink.kind.to_string())),
        "time_source" => words(|uplink| Some(json!(uplink.time_source).as_str().unwrap().to_owned())),
        "profile" => words(|uplink| Some(uplink.profile.as_str().to_owned())),
        "payload" => of_texts(uplinks.iter().map(|uplink| uplink.payload.bytes().to_vec()), |bytes| hex::encode(bytes)),
        "rssi" => decibels(|uplink| uplink.radio.rssi),
        "snr" => decibels(|uplink| uplink.radio.snr),
        "station" => words(|uplink| uplink.radio.station.as_ref().map(|station| station.as_str().to_owned())),
        "signal_quality" => {
            of_numbers(uplinks.iter().filter_map(|uplink| uplink.radio.signal_quality.map(i64::from)), |n| {
                n.to_string()
            })
        }
        other => panic!("the file has a column {other}"),
    }
}

/// The expected properties of a column of points.
fn expected_of_points(column: &str, points: &[PointRow]) -> Value {
    let words = |word: &dyn Fn(&PointRow) -> String| {
        of_texts(points.iter().map(|point| word(point).into_bytes()), |text| String::from_utf8_lossy(text).into())
    };
    let numbers =
        |number: &dyn Fn(&PointRow) -> Option<i64>| of_numbers(points.iter().filter_map(number), |n| n.to_string());
    match column {
        "device" => words(&|point| point.device.to_string()),
        "channel" => words(&|point| point.channel.clone()),
        "kind" => words(&|point| if point.kind == ValueKind::Index { "index" } else { "counted" }.to_owned()),
        "at" => numbers(&|point| Some(point.at.unix() * 1_000)),
        "value" => numbers(&|point| Some(point.value.cast_signed())),
        "time_source" => words(&|point| json!(point.time_source).as_str().unwrap().to_owned()),
        "counter_bits" => numbers(&|point| point.counter_bits.map(i64::from)),
        "contradicted" => numbers(&|point| Some(point.contradicted.into())),
        "codec" => words(&|point| point.codec.clone()),
        "codec_version" => numbers(&|point| Some(point.codec_version.into())),
        other => panic!("the file has a column {other}"),
    }
}

/// A row of days, as other programs print it; without `carry`.
fn expected_of_day(row: &DayRow) -> Value {
    let time = |at: At| at.to_string().replace('T', " ").replace('Z', "+00:00");
    let flags: Vec<String> = row.device_flags.iter().map(ToString::to_string).collect();
    let mut expected = serde_json::to_value(row.ledger).unwrap();
    let columns = json!({
        "device": row.device, "channel": row.channel, "day": row.day.to_string(), "time_zone": row.zone,
        "starts_at": time(row.start), "ends_at": time(row.end), "unit": row.unit, "total": row.total,
        "quality": row.quality, "flags": row.flags.names(), "hours": row.hours, "hour_qualities": row.hour_qualities,
        "hours_measured": row.hours_of(Quality::Measured), "hours_interpolated": row.hours_of(Quality::Interpolated),
        "hours_partial": row.hours_of(Quality::Partial), "hours_missing": row.hours_of(Quality::Missing),
        "night_minimum": row.night_minimum, "longest_still": row.longest_still, "device_flags": flags.join(" "),
        "battery_mv": row.battery_mv, "last_contact": row.last_contact.map(time),
    });
    expected.as_object_mut().unwrap().extend(columns.as_object().unwrap().clone());
    expected
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
async fn the_queries_of_the_document_give_what_the_points_are() {
    let Some(mut reader) = clients::archive_readers() else { return };
    let uplinks = uplinks(48);
    let store = derived(&uplinks).await;
    let home = Home::of("queries", &store);
    let points = points_of(&store);
    let read = run(reader.arg("queries").arg(repository("docs/points.md")).arg(&home.0));
    let [days, last, pulses, hours, profiles] = <[Vec<Value>; 5]>::try_from(rows_of(&read)).unwrap();
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
    let distinct: BTreeSet<Row> = uplinks.iter().map(Row::from).collect();
    assert_eq!(sum(&profiles, "uplinks"), i64::try_from(distinct.len()).unwrap());
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
