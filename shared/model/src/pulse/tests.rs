use serde_json::{Value, json};

use super::*;

fn uplink(profile: &str, payload: &str) -> Uplink {
    serde_json::from_value(json!({
        "device": "sigfox:1A2345", "kind": "data", "at": "2026-11-20T12:00:00Z", "time_source": "network",
        "sequence": 42, "profile": profile, "payload": payload,
    }))
    .unwrap()
}

fn stored(profile: &str, payload: &str) -> Value {
    serde_json::to_value(decode(&uplink(profile, payload)).unwrap()).unwrap()
}

fn at(text: &str) -> At {
    text.parse().unwrap()
}

#[test]
fn a_data_frame_becomes_one_index_per_channel_at_the_time_of_the_uplink() {
    let expected = json!({
        "device": "sigfox:1A2345", "uplink": "2026-11-20T12:00:00Z#00042", "profile": "adeunis-pulse-v4",
        "codec": "adeunis-pulse-v4", "codec_version": 4, "frame": "0x46", "counter_bits": 32,
        "channels": {
            "A": {"indexes": [159], "at": "2026-11-20T12:00:00Z", "time_source": "network"},
            "B": {"indexes": [2], "at": "2026-11-20T12:00:00Z", "time_source": "network"},
        },
        "details": {"frame_counter": 2},
    });
    assert_eq!(stored("adeunis-pulse-v4", "46400000009f00000002"), expected);
}

#[test]
fn an_item_is_read_back_as_it_was_written() {
    for (profile, payload) in
        [("adeunis-pulse-v4", "46860000009f000000021a2b3c4d"), ("adeunis-pulse-v4-1h", "5a20000001270001")]
    {
        let uplink = uplink(profile, payload);
        let read: PulseItem = serde_json::from_value(serde_json::to_value(decode(&uplink).unwrap()).unwrap()).unwrap();
        assert_eq!(read, decode(&uplink).unwrap());
    }
}

#[test]
fn history_is_dated_by_the_profiles_log_period() {
    let counts = &stored("adeunis-pulse-v4-1h", "5a20000001270001")["channels"]["A"];
    let expected = json!({
        "indexes": [295, 294], "at": "2026-11-20T12:00:00Z", "time_source": "network", "log_period": 3600,
    });
    assert_eq!(counts, &expected);
}

#[test]
fn history_of_an_unknown_log_period_keeps_its_order_and_gets_no_period() {
    let counts = &stored("adeunis-pulse-v4", "5a20000001270001")["channels"]["A"];
    assert_eq!(counts, &json!({"indexes": [295, 294], "at": "2026-11-20T12:00:00Z", "time_source": "network"}));
}

#[test]
fn the_devices_own_clock_dates_its_counts() {
    let counts = &stored("adeunis-pulse-v4", "46860000009f000000021a1e0f04")["channels"]["B"];
    assert_eq!(counts["time_source"], "device");
    assert_eq!(counts["at"], At::from_unix(1_356_998_400 + 0x1a1e_0f04).unwrap().to_string());
}

#[test]
fn times_of_the_device_are_written_short_where_they_are_evenly_apart() {
    let (ten, nine, eight) = (at("2026-11-20T10:00:00Z"), at("2026-11-20T09:00:00Z"), at("2026-11-20T08:00:00Z"));
    let even = timed(vec![(eight, 5), (ten, 9), (nine, 7), (nine, 7)]);
    assert_eq!(
        (even.at, even.indexes, even.every, even.seconds_before),
        (Some(ten), vec![9, 7, 5], Some(3600), vec![])
    );
    let uneven = timed(vec![(eight, 5), (ten, 9), (at("2026-11-20T09:00:01Z"), 7)]);
    assert_eq!((uneven.every, uneven.seconds_before), (None, vec![3599, 7200]));
    let same_time = timed(vec![(ten, 5), (ten, 9)]);
    assert_eq!((same_time.indexes, same_time.every, same_time.seconds_before), (vec![9, 5], None, vec![0]));
}

#[test]
fn what_was_counted_before_now_is_dated_back_from_the_frames_own_moment() {
    let now = (at("2026-11-20T12:00:00Z"), TimeSource::Network);
    let since = relative(Some(now), vec![(7200, 5), (0, 9), (3600, 7), (0, 9)]);
    assert_eq!((since.indexes, since.at, since.time_source), (vec![9, 7, 5], Some(now.0), Some(now.1)));
    assert_eq!((since.every, since.seconds_before), (Some(3600), vec![]));
    let earlier = relative(Some(now), vec![(100, 5), (60, 9)]);
    assert_eq!((earlier.at, earlier.time_source), (now.0.checked_sub(60), Some(TimeSource::Computed)));
    assert_eq!((earlier.indexes, earlier.every), (vec![9, 5], Some(40)));
    let too_early = relative(Some((At::EPOCH, TimeSource::Network)), vec![(1, 5)]);
    assert_eq!((too_early.indexes, too_early.at, too_early.time_source), (vec![5], None, None));
}

#[test]
fn every_index_gets_the_time_that_its_counts_tell() {
    let [ten, nine, eight] = ["10:00:00", "09:00:00", "08:00:00"].map(|time| Some(at(&format!("2026-11-20T{time}Z"))));
    let counts = |log_period, every, seconds_before| ChannelCounts {
        indexes: vec![9, 7, 5],
        at: ten,
        log_period,
        every,
        seconds_before,
        ..ChannelCounts::default()
    };
    let dated = |counts: ChannelCounts| counts.dated().map(|(_, at)| at).collect::<Vec<_>>();
    assert_eq!(dated(counts(Some(3600), None, vec![])), [ten, nine, eight]);
    assert_eq!(dated(counts(None, Some(3600), vec![])), [ten, nine, eight]);
    assert_eq!(dated(counts(None, None, vec![3600, 7200])), [ten, nine, eight]);
    assert_eq!(dated(counts(None, None, vec![])), [ten, None, None]);
    assert_eq!(dated(counts(None, Some(u64::MAX), vec![])), [ten, None, None]);
    assert_eq!(dated(ChannelCounts { at: None, ..counts(Some(1), None, vec![]) }), [None; 3]);
}

#[test]
fn what_cannot_be_decoded_names_codec_and_version() {
    let reason = decode(&uplink("adeunis-pulse-v4", "ffe0")).unwrap_err();
    assert_eq!(reason.to_string(), "frame code 0xff is not known to this codec (adeunis-pulse-v4 4)");
    let reason = decode(&uplink("acme", "30e0")).unwrap_err();
    assert_eq!(reason.to_string(), "profile \"acme\" is not known on this network");
}

#[test]
fn a_counter_that_is_narrower_than_its_field_starts_again_where_the_profile_says() {
    let text = "[a]\nnetwork = \"sigfox\"\ncodec = \"adeunis-pulse-v4\"\nsettings.counter_bits = 24";
    let profile = profile::parse(text).unwrap().remove(0);
    let now = Some((at("2026-11-20T12:00:00Z"), TimeSource::Network));
    let of = |series| counts(&uplink("a", "00"), &profile, now, series);
    // 2, and 5 pulses earlier, which is 2^32 - 3 in the field's 32 bits.
    let series = Series::Logs(vec![2, u64::from(u32::MAX) - 2]);
    assert_eq!(of(series.clone()).indexes, [2, (1 << 24) - 3]);
    // Per-period counts are not indexes.
    assert_eq!(of(Series::Counted(Box::new(series))).counted, [2, u64::from(u32::MAX) - 2]);
}

/// The counts of an Efento logger whose clock is not set, with a profile that has a log period.
fn unset_clock(series: Series) -> ChannelCounts {
    let profile = Profile {
        settings: crate::codec::CodecSettings { log_period: Some(3600), ..crate::codec::CodecSettings::default() },
        ..crate::profile::parse("[a]\nnetwork = \"nbiot\"\ncodec = \"efento\"").unwrap().remove(0)
    };
    let now = Some((at("2026-11-20T12:00:00Z"), TimeSource::Network));
    counts(&uplink("a", "00"), &profile, now, series)
}

#[test]
fn a_log_period_dates_nothing_of_a_device_that_tells_its_own_times() {
    let counts = unset_clock(Series::Undated { newest_is_now: true, counts: vec![9, 7] });
    let dated: Vec<_> = counts.dated().collect();
    assert_eq!(dated, [(9, Some(at("2026-11-20T12:00:00Z"))), (7, None)]);
    let counts = unset_clock(Series::Undated { newest_is_now: false, counts: vec![9, 7] });
    assert_eq!((counts.dated().collect::<Vec<_>>(), counts.time_source), (vec![(9, None), (7, None)], None));
}

/// An uplink over NB-IoT whose sealed time was not accepted.
fn unset(profile: &str, payload: &str) -> Uplink {
    let device = "nbiot:490154203237518".parse().unwrap();
    let at = at("2021-01-29T00:00:41Z");
    Uplink { device, at, time_source: TimeSource::Unset, ..uplink(profile, payload) }
}

#[test]
fn an_uplink_whose_time_was_not_accepted_dates_none_of_its_counts() {
    // A data frame, a history, the same with a clock of its own, and SenML with relative times.
    let header = "049015420323751802000000";
    let history = "5a60000001270001000200030004";
    let senml = r#"[{"n":"A","u":"count","v":9},{"n":"A","u":"count","t":-3600,"v":7}]"#;
    for (profile, payload) in [
        ("adeunis-pulse4-nbiot", format!("{header}0746800000009f00000002")),
        ("adeunis-pulse4-nbiot-1h", format!("{header}08{history}")),
        ("adeunis-pulse4-nbiot", format!("{header}0946840000009f000000021a1e0f04")),
        ("senml-json", hex::encode(senml)),
    ] {
        let item = decode(&unset(profile, &payload)).unwrap();
        assert_eq!(item.uplink, "2021-01-29T00:00:41Z#00042u");
        assert!(item.flags.contains(&Flag::ClockNotSet.into()), "{item:?}");
        assert!(!item.channels.is_empty());
        for counts in item.channels.values() {
            assert_eq!((counts.at, counts.time_source), (None, None), "{profile} {payload}");
            assert!(counts.dated().count() > 0 && counts.dated().all(|(_, at)| at.is_none()));
        }
    }
}

#[test]
fn a_series_that_an_undated_frame_begins_keeps_its_order() {
    let text =
        "[a]\nnetwork = \"nbiot\"\ncodec = \"adeunis-pulse-v2\"\nsettings = {log_period = 600, logs_per_series = 6}";
    let profile = profile::parse(text).unwrap().remove(0);
    let counts = counts(&unset("a", "00"), &profile, None, Series::First(1000));
    assert_eq!((counts.indexes, counts.at, counts.time_source), (vec![1000], None, None));
    assert!(counts.begins_series && counts.log_period == Some(600));
}
