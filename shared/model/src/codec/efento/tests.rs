//! Properties of any message, which the cases of `tests/codecs/efento.yaml` cannot cover.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use super::message::Samples;
use super::*;
use crate::codec::{Channel, CodecSettings, Context, Flag, Series, Value};

/// When the network received the frames of these tests.
const RECEIVED: &str = "2025-06-12T00:00:00Z";

/// 2020-01-01T00:00:00Z: no clock shows less and is accepted.
const YEAR_2020: i32 = 1_577_836_800;

const CODECS: [&Codec; 3] = [&MEASUREMENTS, &CONFIGURATION, &DEVICE_INFO];

/// A captured message of a device, with a serial number of 6 bytes and two channels.
const CAPTURED: &str = "0a06282c02424eed1001183c220f080110b8d0a7c20620d2032a020000220e080210b8d0a7c20620722a0200002896d5a7c20640014809820100";

/// Reads a message that arrives at the time of its newest sample.
fn read(message: &Measurements) -> Result<Reading, Undecodable> {
    let received = samples::newest(message).map_or(RECEIVED.to_owned(), |newest| newest.to_string());
    (MEASUREMENTS.decode)(&message.encode_to_vec(), &Context::of(&CodecSettings::default(), &received))
}

/// A channel of a device.
fn samples(kind: i32, timestamp: i32, start_point: i32, values: &[i64]) -> Samples {
    let offsets = values.iter().map(|value| i32::try_from(value - i64::from(start_point)).unwrap()).collect();
    Samples { kind, timestamp, start_point, offsets }
}

fn timestamps() -> impl Strategy<Value = i32> {
    YEAR_2020..i32::MAX
}

/// Any message without channels.
fn envelopes() -> impl Strategy<Value = Measurements> {
    let numbers = (any::<u32>(), any::<u32>(), 0..100_u32, any::<u32>());
    (vec(1..=255_u8, 6), any::<bool>(), 1..=600_u32, 0..=100_u32, numbers, "[ -~]{0,36}").prop_map(
        |(serial, battery_ok, period_base, period_factor, numbers, token)| Measurements {
            serial,
            battery_ok,
            period_base,
            period_factor,
            next_transmission_at: numbers.0,
            transfer_reason: numbers.1,
            signal: numbers.2,
            config_hash: numbers.3,
            cloud_token: token.into_bytes(),
            channels: vec![],
        },
    )
}

/// The expected times and counts.
fn points(message: &Measurements, timestamp: i32, counts: &[u64]) -> Vec<(At, u64)> {
    let factor = match message.period_factor {
        0 if message.channels.iter().any(|channel| [5, 7, 42].contains(&channel.kind)) => 14,
        factor => factor.max(1),
    };
    let period = i64::from(message.period_base) * i64::from(factor);
    let at = |n| At::from_unix(i64::from(timestamp) + n * period).unwrap();
    (0..).zip(counts).map(|(n, &count)| (at(n), count)).collect()
}

#[test]
fn the_head_of_a_message_names_device_and_newest_sample() {
    let head = MessageHead::of_measurements(&hex::decode(CAPTURED).unwrap()).unwrap();
    assert_eq!(head.serial.to_string(), "282C02424EED");
    assert_eq!(head.newest, "2025-06-11T20:35:00Z".parse().ok());
    assert_eq!((head.signal, head.after_reset), (Some(0), false));
}

#[test]
fn a_message_of_no_device_has_no_head() {
    for payload in ["", "0a0428112233", "0a06000000000000", "0aff"] {
        let payload = hex::decode(payload).unwrap();
        assert!(MessageHead::of_measurements(&payload).is_err() && MessageHead::of_device_info(&payload).is_err());
        assert!(MessageHead::of_configuration(&payload).is_err());
    }
}

#[test]
fn a_reply_is_the_time_and_a_question_if_there_is_one() {
    assert_eq!(hex::encode(reply(1_795_176_000, false)), "40c0ec80d806");
    assert_eq!(hex::encode(reply(1_795_176_000, true)), "300140c0ec80d806");
}

#[test]
fn a_token_that_is_no_imei_is_kept_to_oneself() {
    for token in ["a secret", "86799703195941", "8679970319594133", "86799703195941x"] {
        let message = Measurements { serial: vec![1; 6], cloud_token: token.into(), ..Measurements::default() };
        let reading = read(&message).unwrap();
        assert_eq!(reading.details.get("has_cloud_token"), Some(&Value::Flag(true)));
        assert!(!format!("{reading:?}").contains(token), "{reading:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        for codec in CODECS {
            let _ = (codec.decode)(&bytes, &Context::of(&CodecSettings::default(), RECEIVED));
        }
        let _ = MessageHead::of_measurements(&bytes);
    }

    #[test]
    fn no_change_of_a_captured_message_panics(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut bytes = hex::decode(CAPTURED).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
        for codec in CODECS {
            let _ = (codec.decode)(&bytes, &Context::of(&CodecSettings::default(), RECEIVED));
        }
    }

    #[test]
    fn no_channels_panic(
        kinds in vec((prop_oneof![0..44_i32, any::<i32>()], any::<i32>(), any::<i32>(), vec(any::<i32>(), 0..4)), 0..8),
        base: u32,
        factor: u32,
    ) {
        let channels = kinds.into_iter().map(|(kind, timestamp, start_point, offsets)| Samples {
            kind, timestamp, start_point, offsets,
        });
        let message = Measurements {
            serial: vec![1; 6], period_base: base, period_factor: factor, channels: channels.collect(), ..Measurements::default()
        };
        let _ = read(&message);
        let _ = MessageHead::of_measurements(&message.encode_to_vec());
    }

    #[test]
    fn every_field_of_a_message_comes_out(message in envelopes()) {
        let reading = read(&message)?;
        let number = |name: &str| match reading.details.get(name) {
            Some(Value::Number(number)) => u32::try_from(*number).ok(),
            _ => None,
        };
        prop_assert_eq!(reading.details.get("serial"), Some(&Value::Text(hex::encode_upper(&message.serial))));
        prop_assert_eq!(number("period_base_s"), Some(message.period_base));
        prop_assert_eq!(number("period_factor"), Some(message.period_factor));
        prop_assert_eq!(number("transfer_reason"), Some(message.transfer_reason));
        prop_assert_eq!(number("signal"), Some(message.signal));
        prop_assert_eq!(number("config_hash"), Some(message.config_hash));
        let next = At::from_unix(message.next_transmission_at.into())?.to_string();
        let next = (message.next_transmission_at > 0).then_some(Value::Text(next));
        prop_assert_eq!(reading.details.get("next_transmission_at"), next.as_ref());
        prop_assert_eq!(reading.flags.contains(&Flag::LowBattery.into()), !message.battery_ok);
    }

    #[test]
    fn any_count_of_two_channels_is_put_together(
        message in envelopes(),
        timestamp in timestamps(),
        (minor, per_major) in prop_oneof![Just((24, 100)), Just((35, 1_000)), Just((37, 1_000)), Just((39, 1_000_000_u64))],
        counts in vec((0..1_000_000_u64, any::<u32>(), 0..4_i64), 1..70),
        major_first: bool,
    ) {
        let totals: Vec<u64> = counts.iter().map(|(high, low, _)| high * per_major + u64::from(*low) % per_major).collect();
        let signed = |count: u64| i64::try_from(count).unwrap();
        let (major_index, minor_index) = if major_first { (0, 1) } else { (1, 0) };
        let low: Vec<i64> = totals.iter().map(|total| signed(total % per_major) * 6 + major_index).collect();
        let high: Vec<i64> = totals.iter().zip(&counts).map(|(total, (_, _, status))| signed(total / per_major) * 4 + status).collect();
        let major_kind = if minor == 24 { 25 } else { minor + 1 };
        let mut channels = vec![
            samples(major_kind, timestamp, i32::try_from(high[0]).unwrap(), &high),
            samples(minor, timestamp, 0, &low),
        ];
        if !major_first {
            channels.reverse();
        }
        let message = Measurements { channels, ..message };
        let reading = read(&message)?;
        let channel = Channel::numbered(minor_index + 1);
        let expected = points(&message, timestamp, &totals);
        prop_assert_eq!(reading.clock, expected.last().map(|(at, _)| *at));
        prop_assert_eq!(reading.channels, [(channel.clone(), Series::Timed(expected))].into());
        let calibrate = counts.iter().any(|(_, _, status)| *status != 0);
        prop_assert_eq!(reading.flags.contains(&Flag::CalibrationRequired.on(channel)), calibrate);
    }

    #[test]
    fn whatever_was_counted_in_periods_comes_out(
        message in envelopes(),
        timestamp in timestamps(),
        kind in 8..=10_i32,
        start_point in 0..8_000_000_i32,
        offsets in vec(prop_oneof![4 => 0..100_i32, 1 => Just(NO_SAMPLE), 1 => 8_355_840..=8_388_607_i32], 1..70),
    ) {
        let channel = Samples { kind, timestamp, start_point, offsets: offsets.clone() };
        let message = Measurements { channels: vec![channel], ..message };
        let reading = read(&message)?;
        let counts: Vec<u64> = offsets.iter().map(|offset| u64::try_from(i64::from(start_point) + i64::from(*offset)).unwrap_or(0)).collect();
        let there = |(_, offset): &(_, &i32)| (0..100).contains(*offset);
        let expected: Vec<_> = points(&message, timestamp, &counts).into_iter().zip(&offsets).filter(there).map(|(point, _)| point).collect();
        let missing = expected.len() < offsets.len();
        let channel = Channel::numbered(1);
        prop_assert_eq!(reading.flags.contains(&Flag::SensorError.on(channel.clone())), missing);
        let series = (!expected.is_empty()).then(|| Series::Counted(Box::new(Series::Timed(expected))));
        prop_assert_eq!(reading.channels.get(&channel), series.as_ref());
    }
}

/// Old firmware sends it for a missing sample.
const NO_SAMPLE: i32 = -32_768;

/// A message of a device whose clock is not set, with these channels.
fn unset(channels: &[(i32, &[i32])]) -> Measurements {
    let channel =
        |&(kind, offsets): &(i32, &[i32])| Samples { kind, timestamp: 60, start_point: 0, offsets: offsets.to_vec() };
    let channels = channels.iter().map(channel).collect();
    Measurements { serial: vec![1; 6], period_base: 3600, channels, ..Measurements::default() }
}

#[test]
fn what_was_counted_in_periods_counts_not_once_for_each_time_it_is_sent_where_no_clock_was_set() {
    let payload = hex::encode(unset(&[(8, &[3, 4, 5])]).encode_to_vec());
    let items = ["12:00:00", "12:01:00"].map(|time| {
        let uplink = serde_json::json!({
            "device": "nbiot:010101010101", "kind": "data", "at": format!("2026-11-20T{time}Z"), "time_source": "network",
            "sequence": 42, "profile": "efento", "payload": payload,
        });
        crate::pulse::decode(&serde_json::from_value(uplink).unwrap()).unwrap()
    });
    let points = crate::merge::merge(items).unwrap().remove(&Channel::numbered(1)).unwrap();
    assert_eq!(points.counted, []);
    assert!(points.undated.iter().all(|left| left.counted == [5, 4, 3]));
    assert_eq!(points.undated.len(), 2);
}

#[test]
fn without_a_clock_the_newest_count_is_of_now_only_if_it_is_that_of_the_last_sample() {
    // MAJOR and MINOR: 1 * 100 + 15, and one or two litres more.
    let counts = |last: i32| {
        let reading = read(&unset(&[(25, &[4, 4, 4]), (24, &[90, 96, last])])).unwrap();
        reading.channels[&Channel::numbered(2)].clone()
    };
    assert_eq!(counts(102), Series::Undated { newest_is_now: true, counts: vec![117, 116, 115] });
    assert_eq!(counts(8_355_840), Series::Undated { newest_is_now: false, counts: vec![116, 115] });
}

#[test]
fn an_error_at_the_end_of_a_channel_has_no_part_in_when_its_last_sample_was() {
    let last_at = |kind, offsets: &[i32]| {
        let timestamp = YEAR_2020;
        let channels = vec![Samples { kind, timestamp, start_point: 0, offsets: offsets.to_vec() }];
        let reading = read(&Measurements { channels, ..unset(&[]) }).unwrap();
        (reading.clock.map(|at| at.to_string()), reading.details.get("last_at:1").cloned())
    };
    let at = |time: &str| format!("2020-01-01T{time}Z");
    // Flooding: wet after a minute; the error code would be 97 days.
    let text = |time: &str| Some(Value::Text(at(time)));
    assert_eq!(last_at(7, &[-1, 61, 8_388_605]), (Some(at("00:01:00")), text("00:01:00")));
    assert_eq!(last_at(7, &[8_388_605]), (None, None));
    // Temperature: the message is of the third hour, its last sample of the second.
    assert_eq!(last_at(1, &[215, 216, 8_388_605]), (Some(at("02:00:00")), text("01:00:00")));
}

#[test]
fn a_clock_that_starts_at_zero_is_one_that_nobody_set() {
    let of = |timestamp| {
        let mut message = unset(&[(8, &[3, 4])]);
        message.channels[0].timestamp = timestamp;
        read(&message).map(|reading| reading.channels[&Channel::numbered(1)].clone())
    };
    let undated = Series::Undated { newest_is_now: false, counts: vec![4, 3] };
    assert_eq!(of(0), Ok(Series::Counted(Box::new(undated))));
}

#[test]
fn without_a_factor_counts_are_14_periods_apart_beside_any_binary_sensor() {
    let every = |others: &[i32], period_factor| {
        let other = |&kind: &i32| Samples { kind, timestamp: YEAR_2020, start_point: 0, offsets: vec![] };
        let channels = [samples(8, YEAR_2020, 0, &[3, 4])].into_iter().chain(others.iter().map(other)).collect();
        let message = Measurements { period_base: 60, period_factor, channels, ..unset(&[]) };
        (samples::newest(&message).unwrap().unix() - i64::from(YEAR_2020), read(&message).unwrap())
    };
    for binary in [5, 7, 42] {
        let (apart, reading) = every(&[1, binary], 0);
        assert_eq!(apart, 14 * 60, "type {binary}");
        let times = [0, 14 * 60].map(|after| At::from_unix(i64::from(YEAR_2020) + after).unwrap());
        let expected = Series::Timed(vec![(times[0], 3), (times[1], 4)]);
        assert_eq!(reading.channels[&Channel::numbered(1)], Series::Counted(Box::new(expected)));
        assert_eq!(every(&[binary], 2).0, 2 * 60, "a factor that is sent counts");
    }
    assert_eq!(every(&[1, 8, 0, 99], 0).0, 60);
}

#[test]
fn a_sample_with_the_state_of_its_calibration_is_divided_by_three() {
    for kind in [6, 26, 28, 29, 30] {
        let reading = read(&unset(&[(kind, &[1_201, 1_202, 8_388_605])])).unwrap();
        let details = ["last:1", "calibration:1"].map(|name| reading.details.get(name).cloned());
        assert_eq!(details, [Some(400_i64.into()), Some(2_i64.into())], "type {kind}");
    }
    assert_eq!(read(&unset(&[(1, &[215])])).unwrap().details.get("calibration:1"), None);
}

#[test]
fn only_several_samples_need_a_period() {
    let of = |values: &[i64]| {
        let channels = vec![samples(8, YEAR_2020, 0, values)];
        read(&Measurements { period_base: 0, channels, ..unset(&[]) }).map(|reading| reading.channels.len())
    };
    assert_eq!(of(&[3]), Ok(1));
    assert_eq!(of(&[3, 4]), Err(Undecodable::UnknownValue { field: "measurement_period_base", value: 0 }));
}

#[test]
fn only_a_channel_without_kind_and_samples_is_left_out() {
    let last = |kind, offsets: &[i32]| read(&unset(&[(kind, offsets)])).unwrap().details.get("last:1").cloned();
    assert_eq!(last(0, &[]), None);
    assert_eq!(last(0, &[7]), Some(7_i64.into()));
    // Flooding: water, no water, and an undocumented value, which is no alarm.
    assert_eq!(last(7, &[1]), Some(true.into()));
    assert_eq!(last(7, &[-1]), Some(false.into()));
    assert_eq!(last(7, &[0]), Some(false.into()));
}
