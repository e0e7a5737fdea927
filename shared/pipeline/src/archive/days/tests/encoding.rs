//! The encoding of rows, and the messages.

use pulsegate_model::consumption::{Mark, Marks, Quality, Unit};
use pulsegate_model::ledger::Ledger;

use super::super::file::DayWriter;
use super::*;

fn any_quality() -> impl Strategy<Value = Quality> {
    prop::sample::select(Quality::ALL.to_vec())
}

fn any_ledger() -> impl Strategy<Value = Ledger> {
    let counts = prop::array::uniform7(0..i32::MAX.cast_unsigned());
    let volumes = prop::array::uniform4(any::<i64>());
    (counts, volumes, any::<bool>()).prop_map(|(counts, volumes, is_known)| Ledger {
        slots_read: counts[0],
        slots_expected: is_known.then_some(counts[1]),
        uplinks: counts[2],
        undecodable: counts[3],
        uplinks_lost: counts[4],
        lost_but_covered: counts[5],
        restarts: counts[6],
        timed: volumes[0],
        spread: volumes[1],
        unplaced: volumes[2],
        after_break: volumes[3],
        breaks: counts[0],
    })
}

fn any_row() -> impl Strategy<Value = DayRow> {
    let hours = vec((proptest::option::of(any::<i64>()), any_quality()), 0..26);
    let marks = vec(prop::sample::select(Mark::NAMES.map(|(mark, _)| mark).to_vec()), 0..3);
    let flags = vec(prop::sample::select(vec!["low-battery", "leak:A", "leak:B"]), 0..3);
    let optional = (
        proptest::option::of(any::<i64>()),
        proptest::option::of(0..i32::MAX.cast_unsigned()),
        proptest::option::of(any::<u16>()),
        proptest::option::of(0..2_000_000_000_i64),
    );
    let zones = prop::sample::select(vec!["UTC", "Europe/Brussels", "Asia/Kolkata"]);
    (
        0..3_u64,
        0..30_i8,
        zones,
        proptest::option::of(any::<i64>()),
        (any_quality(), marks, flags),
        hours,
        any_ledger(),
        optional,
    )
        .prop_map(|(of, day, zone, total, (quality, marks, flags), hours, ledger, optional)| DayRow {
            device: device(of),
            channel: if day % 2 == 0 { Channel::A } else { Channel::numbered(7) },
            day: Date::constant(2026, 11, 1 + day),
            zone: zone.parse().unwrap(),
            start: at("2026-11-20T00:00:00Z"),
            end: at("2026-11-21T01:00:00Z"),
            unit: if total.is_some() { Unit::Litres } else { Unit::Pulses },
            total,
            quality,
            flags: marks.into_iter().collect::<Marks>(),
            hours: hours.iter().map(|(volume, _)| *volume).collect(),
            hour_qualities: hours.iter().map(|(_, quality)| *quality).collect(),
            ledger,
            night_minimum: optional.0,
            longest_still: optional.1,
            device_flags: flags.into_iter().map(|flag| flag.parse().unwrap()).collect(),
            battery_mv: optional.2,
            last_contact: optional.3.map(|unix| At::from_unix(unix).unwrap()),
        })
}

fn origin() -> Origin {
    serde_json::from_value(serde_json::json!({
        "format": FORMAT, "rules": "1", "sources": {"points/x": "1"}, "before": {}, "assignments": "", "open": {}, "carries": "",
    }))
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_are_read_back_as_they_were_written(rows in vec(any_row(), 0..40)) {
        let mut writer = DayWriter::new().unwrap();
        for row in &rows {
            writer.push(row, Some(r#"{"battery_mv":3600}"#)).unwrap();
        }
        let read = file::read(writer.finish(&origin()).unwrap()).unwrap();
        let carries: BTreeSet<DeviceId> = rows.iter().map(|row| row.device).collect();
        prop_assert_eq!(read.rows, rows);
        prop_assert_eq!(read.origin, Some(origin()));
        prop_assert!(read.carries.values().all(|carry| carry.battery_mv == Some(3_600)));
        prop_assert_eq!(read.carries.into_keys().collect::<BTreeSet<_>>(), carries);
    }
}

#[test]
fn a_partition_is_read_back_as_it_is_sent_and_others_are_refused() {
    for text in [r#"{"partition":"2a","bits":6,"month":"2026-11"}"#, r#"{"partition":"00","bits":0}"#] {
        let partition: Partition = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&partition).unwrap(), text);
    }
    for text in [
        r#"{"partition":"40","bits":6}"#,
        r#"{"partition":"00","bits":11}"#,
        r#"{"partition":"x","bits":6}"#,
        r#"{"partition":"00","bits":0,"month":"2026-13"}"#,
        r#"{"partition":"00","bits":0,"month":"2026-11-20"}"#,
    ] {
        assert!(serde_json::from_str::<Partition>(text).is_err(), "{text}");
    }
}

#[test]
fn a_file_is_found_again_by_its_key() {
    let bits = bits();
    for month in ["2026-09", "2026-11", "2026-12"] {
        let month: Month = month.parse().unwrap();
        for place in month.places(&bits) {
            assert_eq!(place_named(&bits, &key_of(place)), Some(place));
        }
    }
    for key in
        ["days/month=2026-11/02.parquet", "days/month=2026-11-01/00.parquet", "days/month=2026-11/0.parquet", "days/x"]
    {
        assert_eq!(place_named(&bits, key), None, "{key}");
    }
}
