//! The columns of each kind of file, and what other programs must make of them.

use std::collections::BTreeSet;

use pulsegate_model::assignment::{Assignment, MeterText};
use pulsegate_model::at::At;
use pulsegate_model::consumption::Quality;
use pulsegate_model::day::{DayRow, Report, ReportKind};
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::{Decibels, Uplink};
use pulsegate_pipeline::archive::points::file::{PointRow, ValueKind};
use serde_json::{Value, json};

/// Of columns of `day/`: the types in `DuckDB` and in Arrow.
pub(super) const TYPES: [(&str, &str, &str); 11] = [
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
pub(super) const POINT_TYPES: [(&str, &str, &str); 10] = [
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

/// The same of `reports/`.
pub(super) const REPORT_TYPES: [(&str, &str, &str); 8] = [
    ("device", "VARCHAR", "string"),
    ("at", "TIMESTAMP WITH TIME ZONE", "timestamp[ms, tz=UTC]"),
    ("number", "BIGINT", "int64"),
    ("kind", "VARCHAR", "string"),
    ("period", "BIGINT", "int64"),
    ("counted_at", "VARCHAR", "string"),
    ("battery_mv", "INTEGER", "int32"),
    ("flags", "VARCHAR", "string"),
];

/// The same of `days/`.
pub(super) const DAY_TYPES: [(&str, &str, &str); 34] = [
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

/// The same of `assignments/`.
pub(super) const ASSIGNMENT_TYPES: [(&str, &str, &str); 14] = [
    ("device", "VARCHAR", "string"),
    ("channel", "VARCHAR", "string"),
    ("from", "TIMESTAMP WITH TIME ZONE", "timestamp[ms, tz=UTC]"),
    ("to", "TIMESTAMP WITH TIME ZONE", "timestamp[ms, tz=UTC]"),
    ("litres_per_pulse", "DECIMAL(10,3)", "decimal128(10, 3)"),
    ("serial", "VARCHAR", "string"),
    ("first_index", "BIGINT", "int64"),
    ("last_index", "BIGINT", "int64"),
    ("time_zone", "VARCHAR", "string"),
    ("q3", "BIGINT", "int64"),
    ("max_per_hour", "BIGINT", "int64"),
    ("can_reverse", "BOOLEAN", "bool"),
    ("label", "VARCHAR", "string"),
    ("site", "VARCHAR", "string"),
];

/// Texts of a column's values, for the columns whose bounds are those of texts and whose sum is that of the lengths.
pub(super) fn of_texts(values: impl Iterator<Item = Vec<u8>>, text: impl Fn(&[u8]) -> String) -> Value {
    let values: Vec<Vec<u8>> = values.collect();
    let distinct: BTreeSet<&Vec<u8>> = values.iter().collect();
    let sum: usize = values.iter().map(Vec::len).sum();
    json!({
        "count": values.len(), "distinct": distinct.len(), "sum": sum.to_string(),
        "min": text(distinct.first().unwrap()), "max": text(distinct.last().unwrap()),
    })
}

pub(super) fn of_numbers(values: impl Iterator<Item = i64>, text: impl Fn(i64) -> String) -> Value {
    let values: Vec<i64> = values.collect();
    let distinct: BTreeSet<i64> = values.iter().copied().collect();
    json!({
        "count": values.len(), "distinct": distinct.len(), "sum": text(values.iter().sum()),
        "min": text(*distinct.first().unwrap()), "max": text(*distinct.last().unwrap()),
    })
}

/// The expected properties of a column.
pub(super) fn expected(column: &str, uplinks: &[Uplink]) -> Value {
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
pub(super) fn expected_of_points(column: &str, points: &[PointRow]) -> Value {
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

/// The expected properties of a column of reports.
pub(super) fn expected_of_reports(column: &str, reports: &[(DeviceId, Report)]) -> Value {
    let words = |word: &dyn Fn(&Report) -> String| {
        of_texts(reports.iter().map(|(_, report)| word(report).into_bytes()), |text| {
            String::from_utf8_lossy(text).into()
        })
    };
    let numbers = |number: &dyn Fn(&Report) -> Option<i64>| {
        of_numbers(reports.iter().filter_map(|(_, report)| number(report)), |n| n.to_string())
    };
    match column {
        "device" => of_texts(reports.iter().map(|(device, _)| device.to_string().into_bytes()), |text| {
            String::from_utf8_lossy(text).into()
        }),
        "at" => numbers(&|report| Some(report.at.unix() * 1_000)),
        "number" => numbers(&|report| report.number.map(i64::from)),
        "kind" => words(&|report| kind(report).to_owned()),
        "period" => numbers(&|report| report.period.map(i64::from)),
        "counted_at" => words(&|report| json!(report.counted_at).as_str().unwrap().to_owned()),
        "battery_mv" => numbers(&|report| report.battery_mv.map(i64::from)),
        "flags" => words(&|report| report.flags.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
        other => panic!("the file has a column {other}"),
    }
}

/// The expected properties of a column of assignments.
pub(super) fn expected_of_assignments(column: &str, assignments: &[Assignment]) -> Value {
    let words = |word: &dyn Fn(&Assignment) -> Option<String>| {
        of_texts(assignments.iter().filter_map(word).map(String::into_bytes), |text| {
            String::from_utf8_lossy(text).into()
        })
    };
    let numbers = |number: &dyn Fn(&Assignment) -> Option<i64>| {
        of_numbers(assignments.iter().filter_map(number), |n| n.to_string())
    };
    let text = |text: &Option<MeterText>| text.as_ref().map(ToString::to_string);
    match column {
        "device" => words(&|of| Some(of.device.to_string())),
        "channel" => words(&|of| Some(of.channel.to_string())),
        "from" => numbers(&|of| of.from.map(|at| at.unix() * 1_000)),
        "to" => numbers(&|of| of.to.map(|at| at.unix() * 1_000)),
        "litres_per_pulse" => {
            let thousandths = assignments.iter().map(|of| of.litres_per_pulse.thousandths().cast_signed());
            of_numbers(thousandths, |n| format!("{}.{:03}", n / 1_000, n % 1_000))
        }
        "serial" => words(&|of| text(&of.serial)),
        "first_index" => numbers(&|of| of.first_index.map(u64::cast_signed)),
        "last_index" => numbers(&|of| of.last_index.map(u64::cast_signed)),
        "time_zone" => words(&|of| Some(of.time_zone.to_string())),
        "q3" => numbers(&|of| of.q3.map(i64::from)),
        "max_per_hour" => numbers(&|of| of.max_per_hour.map(u64::cast_signed)),
        "can_reverse" => numbers(&|of| Some(of.can_reverse.into())),
        "label" => words(&|of| text(&of.label)),
        "site" => words(&|of| text(&of.site)),
        other => panic!("the file has a column {other}"),
    }
}

pub(super) fn kind(report: &Report) -> &'static str {
    match report.kind {
        ReportKind::Uplink => "uplink",
        ReportKind::Undecodable => "undecodable",
        ReportKind::Event => "event",
    }
}

/// A row of days, as other programs print it; without `carry`.
pub(super) fn expected_of_day(row: &DayRow) -> Value {
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
