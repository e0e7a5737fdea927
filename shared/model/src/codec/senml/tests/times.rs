//! Times and clocks.

use super::*;

#[test]
fn base_fields_hold_until_the_next_of_the_same_and_fractions_of_a_second_are_cut_off() {
    let reading = json(&json!([
        {"bn": BASE, "bt": 1_795_176_000.9, "bu": "count", "bv": 1000},
        {"n": "A", "v": 234}, {"n": "A", "t": -3600, "v": 230}, {"n": "B", "v": -1000},
        {"bv": 0, "bt": NOW - 7200, "n": "A", "v": 7}, {"n": "temp", "u": "Cel", "v": 21.5, "t": 7200},
    ]))
    .unwrap();
    let points = [(NOW, 1234), (NOW - 3600, 1230), (NOW - 7200, 7)].map(|(time, count)| (at(time), count));
    assert_eq!(reading.channels[&Channel::A], Series::Timed(points.to_vec()));
    assert_eq!(reading.channels[&Channel::B], Series::Timed(vec![(at(NOW), 0)]));
    assert_eq!(reading.details.get("temp"), Some(&"21.5 Cel".into()));
    assert_eq!(reading.clock, Some(at(NOW)));
}

#[test]
fn a_time_that_a_count_cannot_have_is_refused() {
    let reason = |times: [Json; 2]| {
        let [first, second] = times;
        refused(&json!([{"n": "A", "u": "count", "v": 1, "t": first}, {"n": "A", "u": "count", "v": 1, "t": second}]))
    };
    assert!(reason([json!(NOW), json!(-60)]).contains("some are relative to now"));
    for time in [json!(-1e10), json!(1e300), json!(-1e300), json!(u64::MAX)] {
        assert!(reason([json!(0), time.clone()]).contains("beyond all bounds"), "{time}");
    }
}

#[test]
fn without_a_clock_that_is_set_the_newest_count_is_now_and_the_others_are_in_order() {
    let epoch = 1_300_000_000;
    let pack = |base: Json| {
        json!([
            {"bn": BASE, "bt": base, "bu": "count", "n": "A", "t": -7200, "v": 7}, {"n": "A", "v": 9},
            {"n": "A", "t": -3600, "v": 8}, {"n": "A", "t": -3600, "v": 8}, {"n": "B", "t": -60, "v": 70},
            {"n": "battery", "u": "V", "v": 3.6}, {"n": "tamper", "vb": true}, {"n": "temp", "u": "Cel", "v": 21.5},
        ])
    };
    // A default, the milliseconds of a right clock, and years from now.
    for base in [json!(epoch), json!(NOW * 1000), json!(3_471_292_800.0)] {
        let reading = json(&pack(base.clone())).unwrap();
        let undated = |counts: &[u64]| Series::Undated { newest_is_now: true, counts: counts.to_vec() };
        assert_eq!(reading.channels[&Channel::A], undated(&[9, 8, 7]), "{base}");
        assert_eq!(reading.channels[&Channel::B], undated(&[70]), "{base}");
        assert_eq!((reading.clock, reading.battery_mv), (None, Some(3600)));
        assert_eq!(reading.flags, [Mark::from(Flag::ClockNotSet), Mark::from(Flag::Tamper)].into());
        assert_eq!(reading.details.get("time"), None);
    }
    let details = json(&pack(json!(epoch))).unwrap().details;
    assert_eq!(details.get("temp"), Some(&"21.5 Cel @ 2011-03-13T07:06:40Z".into()));
    let details = json(&pack(json!(NOW * 1000))).unwrap().details;
    assert_eq!(details.get("temp"), Some(&"21.5 Cel @ 1795176000000 s since 1970".into()));
    let accepted = json(&pack(json!(NOW))).unwrap();
    assert_eq!((accepted.clock, accepted.flags), (Some(at(NOW)), [Mark::from(Flag::Tamper)].into()));
}

/// "bt" is the time since the meter was started: its clock was never set and counts from 1970.
#[test]
fn a_clock_that_counts_from_the_start_of_its_meter_dates_nothing() {
    let reading = json(&json!([
        {"bt": 1_800, "bu": "count", "n": "A", "v": 9}, {"n": "A", "t": -900, "v": 8}, {"n": "A", "t": -3600, "v": 7},
        {"n": "battery", "u": "V", "v": 3.6},
    ]))
    .unwrap();
    assert_eq!(reading.channels[&Channel::A], Series::Undated { newest_is_now: true, counts: vec![9, 8, 7] });
    assert_eq!((reading.clock, reading.flags), (None, [Flag::ClockNotSet.into()].into()));
    assert_eq!(reading.battery_mv, Some(3600));
    // The clock has been set since, and the log still has times from before.
    let reading = json(&json!([{"bu": "count", "n": "A", "v": 9, "t": NOW}, {"n": "A", "v": 8, "t": 1_800}])).unwrap();
    assert_eq!(reading.channels[&Channel::A], Series::Timed(vec![(at(NOW), 9)]));
    assert_eq!(reading.details.get("undated_pulses:A"), Some(&"8@1800".into()));
}

#[test]
fn of_a_clock_that_is_unknown_no_time_is_accepted() {
    let pack = json!([{"n": "A", "u": "count", "v": 7, "t": NOW}]);
    let settings = CodecSettings::default();
    let context = Context { settings: &settings, device: METER.parse().unwrap(), clock: ClockCheck::REJECT };
    let reading = (JSON.decode)(pack.to_string().as_bytes(), &context).unwrap();
    assert_eq!(reading.channels[&Channel::A], Series::Undated { newest_is_now: true, counts: vec![7] });
    assert_eq!((reading.clock, reading.flags), (None, [Flag::ClockNotSet.into()].into()));
}

#[test]
fn counts_from_before_the_clock_was_set_are_kept_beside_those_with_a_time() {
    let reading = json(&json!([
        {"bu": "count", "n": "A", "v": 9, "t": NOW}, {"n": "A", "v": 8, "t": NOW - 60},
        {"n": "A", "v": 6, "t": 1_300_000_000}, {"n": "A", "v": 7, "t": 1_300_003_600},
        {"n": "B", "v": 4, "t": 1_300_000_000}, {"n": "B", "v": 5, "t": 1_300_003_600},
        {"n": "C", "v": 3, "t": NOW - 1},
    ]))
    .unwrap();
    assert_eq!(reading.channels[&Channel::A], Series::Timed(vec![(at(NOW), 9), (at(NOW - 60), 8)]));
    assert_eq!(reading.details.get("undated_pulses:A"), Some(&"6@1300000000 7@1300003600".into()));
    // The clock has been set since, so the newest of these is not the count now.
    assert_eq!(reading.channels[&Channel::B], Series::Undated { newest_is_now: false, counts: vec![5, 4] });
    assert_eq!((reading.clock, reading.flags), (Some(at(NOW)), [Flag::ClockNotSet.into()].into()));

    let now = json(&json!([{"bu": "count", "n": "A", "v": 9}, {"n": "A", "v": 6, "t": 1_300_000_000}])).unwrap();
    assert_eq!(now.channels[&Channel::A], Series::Ago(vec![(0, 9)]));
    assert_eq!(now.details.get("undated_pulses:A"), Some(&"6@1300000000".into()));
}
