//! Frames built from any values decode to those values.

use proptest::collection::vec;
use proptest::prelude::*;

use super::tests::RECEIVED;
use super::*;
use crate::codec::{Flag, Flow, Series};

const HEADER: [u8; NBIOT_HEADER_LEN] = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 3, 0, 0, 0, 38];

/// A frame of any code, with any status but without the bit of a V4 clock.
fn frame(code: u8, status: u8, fields: &[&[u8]]) -> Vec<u8> {
    let mut frame = vec![code, status & !(1 << 2)];
    frame.extend(fields.concat());
    frame
}

fn bytes(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn read(codec: &Codec, frame: &[u8]) -> Reading {
    let datagram = if codec.name == NBIOT.name { [&HEADER[..], frame].concat() } else { frame.to_vec() };
    (codec.decode)(&datagram, &Context::of(&CodecSettings::default(), RECEIVED))
        .unwrap_or_else(|e| panic!("{}: {e}", hex::encode(frame)))
}

/// Panics unless the details hold all of these.
fn check(reading: &Reading, expected: &[(&str, i64)]) {
    for (name, value) in expected {
        assert_eq!(reading.details.get(name), Some(&Value::Number(*value)), "{name} of {:?}", reading.details);
    }
}

fn check_both(reading: &Reading, name: &str, [a, b]: [u16; 2]) {
    check(reading, &[(&format!("{name}:A"), a.into()), (&format!("{name}:B"), b.into())]);
}

fn check_channels(reading: &Reading, channels: u8, debounce: u8) {
    const MILLISECONDS: [i64; 12] = [0, 1, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
    for (channel, shift) in [("A", 0), ("B", 4)] {
        let bits = channels >> shift;
        for (name, bit) in [("enabled", 1), ("gas_pull_up", 2), ("tamper_detection", 8)] {
            assert_eq!(reading.details.get(&format!("{name}:{channel}")), Some(&Value::Flag(bits & bit != 0)));
        }
        let unknown = reading.details.get(&format!("unknown_channel:{channel}"));
        assert_eq!(unknown.is_some(), bits & 4 != 0);
        let code = debounce >> shift & 0x0F;
        match MILLISECONDS.get(usize::from(code)) {
            Some(&time) => check(reading, &[(&format!("debounce_ms:{channel}"), time)]),
            None => check(reading, &[(&format!("unknown_debounce:{channel}"), code.into())]),
        }
    }
}

fn mode_of(reading: &Reading) -> Value {
    reading.details.get("product_mode").unwrap().clone()
}

fn seconds(period: u16, unit: i64, mode: u8) -> i64 {
    i64::from(period) * if mode == 2 { 20 } else { unit }
}

proptest! {
    #[test]
    fn no_bytes_panic(
        header in any::<bool>(),
        code in prop_oneof![prop::sample::select(KINDS.iter().map(|kind| kind.code).collect::<Vec<_>>()), any::<u8>()],
        tail in vec(any::<u8>(), 0..40),
        logs_per_series: Option<u16>,
    ) {
        let head: &[u8] = if header { &HEADER } else { &[] };
        let bytes = [head, &[code], &tail].concat();
        let settings = CodecSettings { logs_per_series, ..CodecSettings::default() };
        for codec in [&V2, &V3, &V4, &NBIOT] {
            let _ = (codec.decode)(&bytes, &Context::of(&settings, RECEIVED));
        }
        let _ = v4_clock(&bytes);
    }

    #[test]
    fn every_status_is_kept_whole(status: u8) {
        for codec in [&V2, &V3, &V4] {
            let reading = (codec.decode)(&[0x20, status, 0], &Context::of(&CodecSettings::default(), RECEIVED))?;
            let flags = [
                (Flag::ConfigurationDone, 1),
                (Flag::LowBattery, 2),
                (Flag::HardwareError, 4),
                (Flag::InconsistentConfiguration, 8),
            ];
            let known: u8 = flags.into_iter().filter(|(flag, _)| reading.flags.contains(&(*flag).into())).map(|(_, bit)| bit).sum();
            let number = |name| match reading.details.get(name) {
                Some(Value::Number(number)) => *number,
                _ => 0,
            };
            prop_assert_eq!(number("frame_counter") << 5 | number("unknown_status") | i64::from(known), i64::from(status));
        }
    }

    #[test]
    fn every_step_of_a_history_is_the_difference_of_the_counts_around_it(newest: u32, steps: Vec<u16>) {
        let frame = frame(0x5A, 0x20, &[&newest.to_be_bytes(), &bytes(&steps)]);
        for codec in [&V3, &V4, &NBIOT] {
            let reading = read(codec, &frame);
            let Series::Logs(counts) = &reading.channels[&Channel::A] else { panic!() };
            prop_assert_eq!(counts[0], u64::from(newest));
            for (pair, step) in counts.windows(2).zip(&steps) {
                prop_assert_eq!(pair[0].wrapping_sub(pair[1]) & u64::from(u32::MAX), u64::from(*step));
            }
            prop_assert_eq!(counts.len(), steps.len() + 1);
        }
    }

    #[test]
    fn a_series_tells_its_first_log_and_all_that_was_counted_after_it(first: [u32; 2], steps in vec(any::<[u16; 2]>(), 23)) {
        // As the device sends it: two steps in each frame, and one in the last.
        for steps in [&steps[..5], &steps[..]] {
            let (mut a, mut b) = (vec![], vec![]);
            let reading = read(&V2, &frame(0x48, 0, &[&[0], &first[0].to_be_bytes(), &first[1].to_be_bytes()]));
            prop_assert_eq!(&reading.channels[&Channel::A], &Series::First(first[0].into()));
            prop_assert_eq!(&reading.channels[&Channel::B], &Series::First(first[1].into()));
            for (place, pairs) in (1_u8..).zip(steps.chunks(2)) {
                let reading = read(&V2, &frame(0x48, 0, &[&[place], &bytes(&pairs.concat())]));
                for (channel, all) in [(Channel::A, &mut a), (Channel::B, &mut b)] {
                    let Series::Increments { after_log, counts, uplinks_before } = &reading.channels[&channel] else { panic!() };
                    prop_assert_eq!((usize::from(*after_log), *uplinks_before), (all.len() + 1, place.into()));
                    all.extend(counts);
                }
            }
            let sent = |n: usize| steps.iter().map(|pair| u32::from(pair[n])).collect::<Vec<_>>();
            prop_assert_eq!((a, b), (sent(0), sent(1)));
        }
    }

    #[test]
    fn a_data_frame_tells_both_counters(counters: [u32; 2], status: u8) {
        for codec in [&V2, &V3, &V4, &NBIOT] {
            let reading = read(codec, &frame(0x46, status, &[&counters[0].to_be_bytes(), &counters[1].to_be_bytes()]));
            prop_assert_eq!(&reading.channels[&Channel::A], &Series::Logs(vec![counters[0].into()]));
            prop_assert_eq!(&reading.channels[&Channel::B], &Series::Logs(vec![counters[1].into()]));
        }
    }

    #[test]
    fn alarms_and_flows_are_told_of_their_channel(alarms: u8, flows: [u16; 4], status: u8) {
        for codec in [&V2, &V3, &V4, &NBIOT] {
            let reading = read(codec, &frame(0x30, status, &[&[alarms], &bytes(&flows)]));
            for (n, flag) in [Flag::HighFlow, Flag::Tamper, Flag::Leak].into_iter().enumerate() {
                for (m, channel) in [Channel::A, Channel::B].into_iter().enumerate() {
                    prop_assert_eq!(reading.flags.contains(&flag.on(channel)), alarms >> (2 * n + m) & 1 == 1);
                }
            }
            let unknown = reading.details.get("unknown_alarms").cloned().unwrap_or(Value::Number(0));
            prop_assert_eq!(unknown, Value::Number(i64::from(alarms & 0xC0)));
            let day = |max: u16, min: u16| Flow { min: Some(min.into()), max: Some(max.into()), now: None };
            prop_assert_eq!(reading.flow[&Channel::A], day(flows[0], flows[2]));
            prop_assert_eq!(reading.flow[&Channel::B], day(flows[1], flows[3]));

            let reading = read(codec, &frame(0x47, status, &[&bytes(&flows[..2])]));
            prop_assert_eq!(reading.flow[&Channel::A].now, Some(flows[0].into()));
            prop_assert_eq!(reading.flow[&Channel::B].now, Some(flows[1].into()));
            prop_assert!(reading.flags.contains(&Flag::HighFlow.into()));
        }
    }

    #[test]
    fn all_settings_of_v2_are_told(mode in 0_u8..5, period: u16, channels: u8, debounce: u8, flow: u16, limits: [u16; 6]) {
        let tail = [&[channels, 2, debounce], &flow.to_be_bytes()[..]].concat();
        let short = frame(0x10, 0, &[&[mode, period.to_be_bytes()[1]], &tail]);
        let long = frame(0x10, 0, &[&[mode], &period.to_be_bytes(), &tail, &bytes(&limits)]);
        for (frame, period, unit) in [(short, period & 0xFF, 600), (long.clone(), period, 60)] {
            let reading = read(&V2, &frame);
            check(&reading, &[("period_s", seconds(period, unit, mode)), ("flow_period_s", seconds(flow, 60, mode))]);
            check_channels(&reading, channels, debounce);
            prop_assert_eq!(reading.details.get("history"), Some(&"1h".into()));
            prop_assert_eq!(mode_of(&reading), word(mode, &[(0, "park"), (1, "production"), (2, "test"), (3, "dead")]));
        }
        let [high_a, high_b, leak_a, leak_b, periods_a, periods_b] = limits;
        let limits_frame = frame(0x11, 0, &[&bytes(&limits[..4])]);
        for reading in [read(&V2, &long), read(&V2, &limits_frame), read(&V3, &limits_frame), read(&V4, &limits_frame)] {
            check_both(&reading, "high_flow_threshold_per_h", [high_a, high_b]);
            check_both(&reading, "leak_threshold_per_h", [leak_a, leak_b]);
        }
        for reading in [read(&V2, &long), read(&V2, &frame(0x12, 0, &[&bytes(&limits[4..])]))] {
            check_both(&reading, "leak_daily_periods", [periods_a, periods_b]);
        }
    }

    #[test]
    fn all_settings_of_later_generations_are_told(
        mode in 0_u8..5, logs: u16, channels: u8, log_period: u16, debounce: u8, flow: u16,
        limits: [u16; 6], tamper: [u8; 4], redundant: u8,
    ) {
        let short = [&[mode][..], &logs.to_be_bytes(), &[channels], &log_period.to_be_bytes(), &[debounce], &flow.to_be_bytes()];
        let short = frame(0x10, 0, &short);
        let long = [&short[..], &bytes(&limits), &tamper, &[redundant]].concat();
        let detection = frame(0x12, 0, &[&bytes(&limits[4..]), &tamper]);
        let with_more = read(&V3, &[&detection[..], &[redundant]].concat());
        prop_assert_eq!(with_more.details.get("unknown_byte_10").is_some(), redundant != 0);
        for reading in [read(&V3, &short), read(&V4, &short), read(&V3, &long), read(&V4, &long), read(&NBIOT, &long)] {
            let log_period = 2 * i64::from(log_period);
            check(&reading, &[
                ("logs_per_uplink", logs.into()),
                ("log_period_s", log_period),
                ("period_s", log_period * i64::from(logs)),
                ("flow_period_s", seconds(flow, 60, mode)),
            ]);
            check_channels(&reading, channels, debounce);
        }
        for reading in [read(&V4, &long), read(&NBIOT, &long)] {
            check_both(&reading, "high_flow_threshold_per_h", [limits[0], limits[1]]);
            check_both(&reading, "leak_threshold_per_h", [limits[2], limits[3]]);
            check(&reading, &[("redundant_samples", redundant.into())]);
        }
        for reading in [read(&V4, &long), read(&NBIOT, &long), read(&V3, &detection), read(&V4, &detection), with_more] {
            check_both(&reading, "leak_daily_periods", [limits[4], limits[5]]);
            check_both(&reading, "tamper_period_s", [10 * u16::from(tamper[0]), 10 * u16::from(tamper[2])]);
            check_both(&reading, "tamper_threshold", [tamper[1].into(), tamper[3].into()]);
        }
    }

    #[test]
    fn answers_to_downlinks_and_radio_settings_are_kept_to_the_bit(register: u8, period: u16, values in vec(any::<u8>(), 0..9)) {
        for codec in [&V2, &V3, &V4] {
            let reading = read(codec, &frame(0x31, 0, &[&values]));
            prop_assert_eq!(reading.details.get("registers_hex"), Some(&hex::encode(&values).into()));
            let reading = read(codec, &frame(0x20, 0, &[&[register]]));
            check(&reading, &[("repetitions", (register & 3).into())]);
            prop_assert_eq!(reading.details.get("network_area").cloned(), Some(word(register >> 4, &[(2, "RC2")])));
            prop_assert_eq!(reading.details.get("unknown_network").is_some(), register & 0x0C != 0);
        }
        let reading = read(&V4, &frame(0x20, 0, &[&[register], &period.to_be_bytes()]));
        check(&reading, &[("downlink_period_min", period.into())]);
        let reading = read(&NBIOT, &frame(0x20, 0, &[&values]));
        prop_assert_eq!(reading.details.get("network_hex"), Some(&hex::encode(&values).into()));
        for codec in [&V3, &V4, &NBIOT] {
            let reading = read(codec, &frame(0x33, 0, &[&[register], &period.to_be_bytes()]));
            check(&reading, &[("register", period.into())]);
            let known = matches!(reading.details.get("request_status"), Some(Value::Text(_)));
            prop_assert_eq!(known, (1..=7).contains(&register));
        }
    }
}
