use super::*;
use crate::codec::{Codec, Details, Flag, Mark, Series};

/// When the network received the frames of these tests.
pub(super) const RECEIVED: &str = "2026-12-01T12:00:00Z";

fn indexes(codec: &Codec, frame: &str, channel: &Channel) -> Vec<u64> {
    let reading = read(codec, frame).unwrap();
    match &reading.channels[channel] {
        Series::Logs(counts) => counts.clone(),
        other => panic!("{other:?}"),
    }
}

fn read(codec: &Codec, frame: &str) -> Result<Reading, Undecodable> {
    read_with(codec, frame, &CodecSettings::default())
}

fn read_with(codec: &Codec, frame: &str, settings: &CodecSettings) -> Result<Reading, Undecodable> {
    (codec.decode)(&hex::decode(frame).unwrap(), &Context::of(settings, RECEIVED))
}

fn refused(codec: &Codec, frame: &str) -> Undecodable {
    read(codec, frame).unwrap_err()
}

// tests/codecs/adeunis-pulse.yaml has the reading of each frame. The vectors here are the vendor's: adeunis-codecs-lib
// 1.3.0, src/products/pulse_v3/*.parser.spec.ts; for PULSE 4 after the NB-IoT header of the example in
// pulse-nb-iot-codec.yaml.

#[test]
fn both_counters_of_a_data_frame_are_read() {
    for codec in [&V2, &V3, &V4] {
        assert_eq!(indexes(codec, "46800000009f00000002", &Channel::A), [159]);
        assert_eq!(indexes(codec, "46800000009f00000002", &Channel::B), [2]);
    }
}

#[test]
fn a_history_frame_counts_backward_from_now() {
    for codec in [&V3, &V4] {
        assert_eq!(indexes(codec, "5a20000001270001000200030004", &Channel::A), [295, 294, 292, 289, 285]);
    }
}

#[test]
fn a_datagram_is_a_header_and_a_v4_frame() {
    let datagram = "112233445566778803000000265b20000001270001000200030004";
    assert_eq!(indexes(&NBIOT, datagram, &Channel::B), [295, 294, 292, 289, 285]);
    let datagram = hex::decode(datagram).unwrap();
    let (header, frame) = split_nbiot(&datagram).unwrap();
    assert_eq!(header.imei.to_string(), "1122334455667788");
    assert_eq!((header.signal_quality, header.frame_counter), (3, 38));
    assert_eq!(frame.len(), datagram.len() - NBIOT_HEADER_LEN);
}

#[test]
fn a_v4_frame_ends_with_its_clock_when_the_status_says_so() {
    let clock = At::from_unix(1_356_998_400 + 0x1a2b_3c4d).unwrap();
    for frame in [
        "30840000000000000000001a2b3c4d",
        "46840000009f000000021a2b3c4d",
        "4784000000001a2b3c4d",
        "5a840000000000000000000000001a2b3c4d",
    ] {
        let reading = read(&V4, frame).unwrap();
        assert_eq!(reading.clock, Some(clock), "{frame}");
        assert_eq!(v4_clock(&hex::decode(frame).unwrap()), Some(clock), "{frame}");
        // Without a count that it dates, it is a detail.
        assert_eq!(reading.details.get("clock").is_some(), reading.channels.is_empty(), "{frame}");
        assert_eq!(reading.details.get("unknown_status"), None, "{frame}");
    }
}

#[test]
fn a_history_that_sigfox_can_carry_ends_with_steps_and_not_with_a_clock() {
    for frame in ["5a84000000641a2b3c4d", "5b8400000064000100011a2b", "5a84000000640001"] {
        let reading = read(&V4, frame).unwrap();
        let steps = reading.channels.values().map(|series| matches!(series, Series::Logs(counts) if counts[0] == 0x64));
        assert_eq!((reading.clock, steps.collect::<Vec<_>>()), (None, vec![true]), "{frame}");
        assert_eq!(reading.details.get("unknown_status"), Some(&4_u8.into()), "{frame}");
    }
    let clock = At::from_unix(1_356_998_400 + 0x1a2b_3c4d).unwrap();
    // Longer than a Sigfox uplink.
    assert_eq!(read(&V4, "5b8400000064000100021a2b3c4d").unwrap().clock, Some(clock));
    assert_eq!(read(&NBIOT, "112233445566778803000000265a84000000641a2b3c4d").unwrap().clock, Some(clock));
    assert_eq!(v4_clock(&hex::decode("5a84000000641a2b3c4d").unwrap()), Some(clock));
}

#[test]
fn a_frame_that_ends_with_something_else_has_no_clock() {
    for frame in ["3384010141", "20840102030405060708", "108401000211070822003c", "4684", ""] {
        assert_eq!(v4_clock(&hex::decode(frame).unwrap()), None, "{frame}");
    }
    assert_eq!(read(&V4, "3384010141").unwrap().details.get("unknown_status"), Some(&4_u8.into()));
}

#[test]
fn a_clock_that_nobody_set_tells_no_time() {
    let reading = read(&V4, "46840000009f000000020000003c").unwrap();
    assert_eq!(reading.clock, None);
    assert_eq!(reading.flags, [Flag::ClockNotSet.into()].into());
    assert_eq!(reading.details.get("unset_clock_s"), Some(&60_u8.into()));
}

#[test]
fn the_same_status_means_something_else_in_each_generation() {
    let status = |codec, byte: &str| {
        let reading = read(codec, &format!("20{byte}02")).unwrap();
        (reading.flags.into_iter().collect::<Vec<_>>(), reading.details.get("unknown_status").cloned())
    };
    let low = [Flag::LowBattery, Flag::HardwareError];
    assert_eq!(status(&V2, "8e"), (low.map(Mark::from).to_vec(), Some(8_u8.into())));
    let inconsistent = [Flag::LowBattery, Flag::HardwareError, Flag::InconsistentConfiguration];
    assert_eq!(status(&V3, "8e"), (inconsistent.map(Mark::from).to_vec(), None));
    assert_eq!(status(&V4, "8e"), (vec![Flag::LowBattery.into()], Some(12_u8.into())));
    assert_eq!(status(&V3, "91"), (vec![Flag::ConfigurationDone.into()], Some(16_u8.into())));
}

#[test]
fn a_step_that_others_read_as_negative_is_counted_as_it_stands_and_flagged() {
    let reading = read(&V4, "5a2000010000ffff").unwrap();
    assert_eq!(reading.channels[&Channel::A], Series::Logs(vec![0x1_0000, 1]));
    assert_eq!(reading.flags, [Flag::LargeStep.into()].into());
    let reading = read(&V4, "5a20000100007fff").unwrap();
    assert_eq!(reading.channels[&Channel::A], Series::Logs(vec![0x1_0000, 0x8001]));
    assert!(reading.flags.is_empty());
}

#[test]
fn each_option_of_a_lorawan_network_is_a_bit_of_its_own() {
    for bit in 0..8 {
        let details = read(&V2, &format!("2000{:02x}01", 1 << bit)).unwrap().details;
        let mut expected = Details::default();
        for (name, its_bit) in [("adr", 0), ("duty_cycle", 2), ("class_c", 5)] {
            expected.insert(name, bit == its_bit);
        }
        if ![0, 2, 5].contains(&bit) {
            expected.insert("unknown_network", 1 << bit);
        }
        expected.insert("provisioning", "otaa");
        expected.insert("frame_counter", 0_u8);
        assert_eq!(details, expected, "bit {bit}");
    }
}

#[test]
fn a_counter_that_wrapped_between_two_logs_is_followed_back() {
    assert_eq!(indexes(&V4, "5a20000000020005", &Channel::A), [2, u64::from(u32::MAX) - 2]);
}

#[test]
fn a_frame_of_a_series_has_to_have_a_place_in_it() {
    let (short, long) = ("00010002", "0001000200030004");
    let fits = |place: u8, steps: &str, logs_per_series| {
        let settings = CodecSettings { logs_per_series, ..CodecSettings::default() };
        let read = read_with(&V2, &format!("4820{place:02x}{steps}"), &settings);
        read.map_err(|reason| assert!(reason.to_string().starts_with("this frame has no place"), "{reason}")).is_ok()
    };
    let places = |steps, logs| (1..=12).filter(|&place| fits(place, steps, logs)).collect::<Vec<_>>();
    assert_eq!(places(short, Some(6)), [3]);
    assert_eq!(places(long, Some(6)), [1, 2]);
    assert_eq!(places(short, Some(24)), [12]);
    assert_eq!(places(long, Some(24)), (1..=11).collect::<Vec<_>>());
    assert_eq!(places(short, None), [3, 12]);
    assert_eq!(places(long, None), (1..=11).collect::<Vec<_>>());
    assert_eq!(
        refused(&V2, "48200d0001000200030004").to_string(),
        "the place in the series is 13, which this codec does not know"
    );
}

#[test]
fn a_frame_of_another_generation_names_the_profile_that_would_be_right() {
    let (short_v2, long_v2) = ("102001039a0125003c", "10200100039a0125003c000100020003000400050006");
    let (short_v3, long_v3) = ("10000100021b070822003c", "10000100021b070822003c0001000200030004000500060203020301");
    for frame in [short_v3, long_v3, "1280000500060203020301", "5a2000000127", "5b2000000127"] {
        let reason = refused(&V2, frame).to_string();
        assert!(reason.contains("adeunis-pulse-v3 or adeunis-pulse-v4 would be right"), "{frame}: {reason}");
        assert!(read(&V3, frame).is_ok() && read(&V4, frame).is_ok(), "{frame}");
    }
    for frame in [short_v2, long_v2, "128000050006", "4820000000010000000200"] {
        for codec in [&V3, &V4] {
            let reason = refused(codec, frame).to_string();
            assert!(reason.contains("adeunis-pulse-v2 would be right"), "{frame}: {reason}");
        }
        assert!(read(&V2, frame).is_ok(), "{frame}");
    }
}

#[test]
fn what_is_not_a_whole_known_frame_is_refused_with_the_reason() {
    assert_eq!(refused(&V4, ""), Undecodable::TooShort(0));
    assert_eq!(refused(&V4, "4680"), Undecodable::TooShort(2));
    assert_eq!(refused(&V4, "46800000009f0000000200"), Undecodable::TooLong(1));
    assert_eq!(refused(&V4, "5a200000012700"), Undecodable::TooShort(7));
    assert_eq!(refused(&V4, "3fe0150400030002000100"), Undecodable::UnknownFrame(0x3f));
    assert_eq!(refused(&V2, "3380040140"), Undecodable::UnknownFrame(0x33));
    assert_eq!(refused(&V2, "102001039a0125003c00"), Undecodable::TooLong(1));
    assert_eq!(refused(&V2, "4820000000010000000200ff"), Undecodable::TooLong(1));
    assert_eq!(refused(&V2, "48200100010002000300"), Undecodable::TooShort(10));
    assert_eq!(refused(&V3, "2060020005"), Undecodable::TooLong(2));
    assert_eq!(refused(&NBIOT, "11223344556677880300000026"), Undecodable::TooShort(13));
    let behind_a_header = |frame| format!("11223344556677880300000026{frame}");
    assert_eq!(refused(&NBIOT, &behind_a_header("10000100021b070822003c")), Undecodable::TooShort(11));
    assert_eq!(refused(&NBIOT, &behind_a_header("11400001000200030004")), Undecodable::UnknownFrame(0x11));
    assert_eq!(Undecodable::UnknownFrame(0x3f).to_string(), "frame code 0x3f is not known to this codec");
}

/// Header and frame of every kind that a device sends over NB-IoT, and of some with a clock.
const DATAGRAMS: [&str; 7] = [
    "0490154203100010020000000146800000009f00000002",
    "0490154203100010020000000146840000009f000000021a2b3c4d",
    "049015420310001002000000014780000f0000",
    "049015420310001002000000013080000000000000000000",
    "0490154203100010020000000130840000000000000000001a2b3c4d",
    "04901542031000100200000001335f010140",
    "049015420310001002000000015a20000001270001000200030004",
];

/// Device, clock, sequence and signal quality of a datagram.
fn head_of(datagram: &[u8]) -> Option<(String, Option<At>, u32, Option<u8>)> {
    let head = nbiot::identify(datagram).ok()?;
    Some((head.device.to_string(), head.clock, head.sequence, head.signal_quality))
}

fn read_bytes(datagram: &[u8]) -> Result<Reading, Undecodable> {
    (NBIOT.decode)(datagram, &Context::of(&CodecSettings::default(), RECEIVED))
}

#[test]
fn a_datagram_as_hex_text_is_that_of_its_meter_and_acknowledged_by_its_header_as_sent() {
    for datagram in DATAGRAMS {
        let bytes = hex::decode(datagram).unwrap();
        for text in [datagram.to_owned(), format!(" \"0X{}\"\r\n\0", datagram.to_uppercase())] {
            assert_eq!(head_of(text.as_bytes()), head_of(&bytes), "{text}");
            assert_eq!(read_bytes(text.as_bytes()), read_bytes(&bytes), "{text}");
            let answer = nbiot::identify(text.as_bytes()).unwrap().acknowledgement.bytes(text.as_bytes(), 0);
            assert!(text.as_bytes().starts_with(&answer) && answer.ends_with(b"00000001"), "{answer:?}");
        }
    }
}

#[test]
fn a_text_that_is_not_hex_is_no_meters() {
    for text in ["123456789012345,23,0,159,2", "0490154203100010020000000146800000009f0000000", "1234567890123456 OK"] {
        assert!(nbiot::identify(text.as_bytes()).is_err(), "{text}");
        assert!(read_bytes(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn a_line_end_or_a_nul_behind_a_datagram_changes_nothing() {
    for datagram in DATAGRAMS {
        let bytes = hex::decode(datagram).unwrap();
        assert!(read_bytes(&bytes).is_ok(), "{datagram}");
        for end in [&b"\0"[..], b"\n", b"\r\n", b"\r\n\0"] {
            if datagram.contains("5a20") && end.len() > 1 {
                continue; // two bytes can be a step
            }
            let sent = [bytes.as_slice(), end].concat();
            assert_eq!(
                (head_of(&sent), read_bytes(&sent)),
                (head_of(&bytes), read_bytes(&bytes)),
                "{datagram} {end:?}"
            );
        }
        let sent = [bytes.as_slice(), b"\x01"].concat();
        assert!(read_bytes(&sent).is_err(), "{datagram}");
    }
}
