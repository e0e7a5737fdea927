//! Other programs read the archive's files: types, counts, bounds and sums of all columns are those of the rows written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use pulsegate_model::at::At;
use pulsegate_model::uplink::{Decibels, Uplink};
use pulsegate_pipeline::archive::file::{self, ROW_GROUP};
use pulsegate_pipeline::archive::row::Row;
use pulsegate_tests::clients;
use serde_json::{Value, json};

/// Of columns: the types in `DuckDB` and in Arrow.
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

/// All uplinks of the project's frames, hour after hour, with and without radio metadata: two row groups and a bit.
fn uplinks() -> Vec<Uplink> {
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
    let hours = i64::try_from(2 * ROW_GROUP / frames.len() + 2).unwrap();
    (0..hours).flat_map(hour).collect()
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

/// What a column must be.
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

#[test]
fn duckdb_and_pyarrow_read_a_days_file_as_it_was_written() {
    let Some(mut reader) = clients::archive_readers() else { return };
    let uplinks = uplinks();
    let content = file::union(None, uplinks.iter().map(Row::from).collect()).unwrap();
    let name = format!("archive-readers-{}.parquet", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).unwrap();
    let read = run(reader.arg(&path));
    std::fs::remove_file(path).unwrap();
    let distinct: BTreeSet<Row> = uplinks.iter().map(Row::from).collect();
    let uplinks: Vec<Uplink> = distinct.iter().map(|row| row.uplink().unwrap()).collect();
    assert!(uplinks.len() > 2 * ROW_GROUP, "{} rows", uplinks.len());
    for (program, types) in [("duckdb", TYPES.map(|(_, kind, _)| kind)), ("pyarrow", TYPES.map(|(.., kind)| kind))] {
        assert_eq!(read[program]["rows"], uplinks.len(), "{program}");
        let columns: BTreeMap<String, Value> = serde_json::from_value(read[program]["columns"].clone()).unwrap();
        assert_eq!(columns.len(), TYPES.len(), "{program}");
        for ((column, ..), kind) in TYPES.iter().zip(types) {
            let mut expected = expected(column, &uplinks);
            expected["type"] = kind.into();
            assert_eq!(columns[*column], expected, "{program}: {column}");
        }
    }
}

fn run(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
