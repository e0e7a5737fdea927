use proptest::prelude::*;

use super::*;
use crate::at::At;
use crate::codec::decoration::tests::decorated;

/// When the network received the frames of these tests.
const RECEIVED: &str = "2022-10-21T00:00:00Z";

/// An SW3L-NB's frame with two records; see `tests/codecs/dragino.yaml`.
const SW3L: &str = "f86778705021331701790c78170000010001c200015c4f6315537b00015c3163154ecb00015b0063154a1b";

/// A CPN01-NB's frame without a record, sent at 0x6315537b.
const CPN01: &str = "f86778705021331700640c7817010000000000090000026315537b";

fn read(codec: &Codec, frame: &str, settings: &CodecSettings) -> Result<Reading, Undecodable> {
    (codec.decode)(&hex::decode(frame).unwrap(), &Context::of(settings, RECEIVED))
}

fn refused(codec: &Codec, frame: &str, settings: &CodecSettings) -> String {
    read(codec, frame, settings).unwrap_err().to_string()
}

fn records_of(bytes: u8) -> CodecSettings {
    CodecSettings { record_bytes: Some(bytes), ..CodecSettings::default() }
}

fn with_imsi() -> CodecSettings {
    CodecSettings { imsi: true, ..CodecSettings::default() }
}

/// The frame with other times in its head and records.
fn at_times(times: [u32; 3]) -> String {
    let [head, first, second] = times.map(|time| format!("{time:08x}"));
    SW3L.replace("6315537b", &head).replace("63154ecb", &first).replace("63154a1b", &second)
}

/// Device, clock and signal quality of a datagram, if it names a device.
fn head(datagram: &[u8]) -> Option<(DeviceId, Option<At>, Option<u8>)> {
    identify(datagram).ok().map(|head| (head.device, head.clock, head.signal_quality))
}

#[test]
fn hex_in_ascii_is_the_same_frame_as_its_bytes() {
    let settings = CodecSettings::default();
    let expected = read(&SW3L_NB, SW3L, &settings).unwrap();
    for text in [SW3L.to_owned(), SW3L.to_uppercase(), format!("{SW3L}\r\n")] {
        assert_eq!(
            (SW3L_NB.decode)(text.as_bytes(), &Context::of(&settings, RECEIVED)).as_ref(),
            Ok(&expected),
            "{text}"
        );
        assert_eq!(head(text.as_bytes()), head(&hex::decode(SW3L).unwrap()));
    }
    for (text, expected) in [
        ("f8677870502133170", "the datagram is hex in ASCII with an odd number of digits"),
        ("f86778705021331701790cxx", "the frame begins like hex in ASCII and goes on otherwise"),
        ("f8 67", "the frame ends at byte 2"),
    ] {
        let reason = (SW3L_NB.decode)(text.as_bytes(), &Context::of(&settings, RECEIVED)).unwrap_err().to_string();
        assert!(reason.starts_with(expected), "{text}: {reason}");
    }
}

#[test]
fn the_sender_is_told_by_a_head_of_either_firmware_and_by_one_that_is_cut_off() {
    let device: DeviceId = "nbiot:867787050213317".parse().unwrap();
    let expected = (device, "2022-09-05T01:40:11Z".parse().ok(), Some(23));
    let imsi = SW3L.replacen("0179", "f2040490123456780179", 1);
    for frame in [SW3L, &imsi] {
        assert_eq!(head(&hex::decode(frame).unwrap()), Some(expected), "{frame}");
    }
    assert_eq!(head(&hex::decode(&SW3L[..20]).unwrap()), Some((device, None, None)));
    for frame in ["", "f867787050", "0867787050213317", "f86778705021331a", "f000000000000000"] {
        assert_eq!(head(&hex::decode(frame).unwrap()), None, "{frame}");
    }
}

#[test]
fn a_frame_of_other_firmware_than_the_profiles_is_refused_and_the_setting_named() {
    let imsi = SW3L.replacen("0179", "f2040490123456780179", 1);
    assert!(refused(&SW3L_NB, &imsi, &CodecSettings::default()).contains("the profile does not set imsi"));
    assert!(refused(&SW3L_NB, SW3L, &with_imsi()).contains("although the profile sets imsi"));
    let cpn01 = "f86778705021331700640c7817010001000000090000026315537b";
    let (short, long) = (format!("{cpn01}0100000b00002663510fed"), format!("{cpn01}0100000b0000002663510fed"));
    for (frame, settings) in [(&short, records_of(12)), (&long, records_of(11))] {
        assert!(refused(&CPN01_NB, frame, &settings).contains("record_bytes is another"), "{frame}");
    }
    assert!(refused(&CPN01_NB, &short, &CodecSettings::default()).contains("does not set record_bytes"));
    assert!(read(&CPN01_NB, cpn01, &CodecSettings::default()).is_ok());
    assert!(refused(&SW3L_NB, &SW3L[..SW3L.len() - 2], &CodecSettings::default()).contains("no whole records"));
}

#[test]
fn a_clock_that_was_not_set_keeps_the_order_of_its_log() {
    let reading = read(&SW3L_NB, &at_times([7200, 3600, 60]), &CodecSettings::default()).unwrap();
    let expected = Series::Undated { newest_is_now: true, counts: vec![89167, 89137, 88832] };
    assert_eq!(reading.channels[&Channel::A], expected);
    assert!(reading.flags.contains(&Flag::ClockNotSet.into()));
    assert_eq!((reading.clock, reading.details.get("undated_pulses")), (None, None));
}

#[test]
fn counts_whose_place_is_not_certain_are_details() {
    let unset_and_out_of_order = read(&SW3L_NB, &at_times([60, 7200, 3600]), &CodecSettings::default()).unwrap();
    assert_eq!(unset_and_out_of_order.channels[&Channel::A], Series::Logs(vec![89167]));
    let undated = |reading: &Reading, name: &str| reading.details.get(name).cloned();
    assert_eq!(undated(&unset_and_out_of_order, "undated_pulses"), Some("89137@7200 88832@3600".into()));

    let set_before = read(&SW3L_NB, &at_times([60, 30, 0x6315_4A1B]), &CodecSettings::default()).unwrap();
    assert_eq!(set_before.channels[&Channel::A], Series::Logs(vec![89167]));
    assert_eq!(undated(&set_before, "undated_pulses"), Some("89137@30".into()));
    assert_eq!(undated(&set_before, "logged_pulses"), Some("88832@1662339611".into()));

    let set_since = read(&SW3L_NB, &at_times([0x6315_537B, 0x6315_4ECB, 60]), &CodecSettings::default()).unwrap();
    let points = [("2022-09-05T01:40:11Z", 89167), ("2022-09-05T01:20:11Z", 89137)];
    let points = points.map(|(at, count)| (at.parse().unwrap(), count));
    assert_eq!(set_since.channels[&Channel::A], Series::Timed(points.to_vec()));
    assert_eq!(undated(&set_since, "undated_pulses"), Some("88832@60".into()));
    assert_eq!(set_since.flags, [Flag::Leak.into(), Flag::ClockNotSet.into()].into());
}

#[test]
fn what_was_counted_since_the_last_uplink_is_no_index_and_undated_without_a_clock() {
    let mode_1 = |frame: &str| frame.replacen("000100", "000101", 1);
    let counted = |series| Series::Counted(Box::new(series));
    let reading = read(&SW3L_NB, &mode_1(SW3L), &CodecSettings::default()).unwrap();
    let now = "2022-09-05T01:40:11Z".parse().unwrap();
    assert_eq!(reading.channels[&Channel::A], counted(Series::Timed(vec![(now, 89167)])));
    let logged = "89137@1662340811 88832@1662339611";
    assert_eq!(reading.details.get("logged_pulses"), Some(&logged.into()));

    let unset = read(&SW3L_NB, &mode_1(&at_times([7200, 3600, 60])), &CodecSettings::default()).unwrap();
    let undated = Series::Undated { newest_is_now: false, counts: vec![89167] };
    assert_eq!(unset.channels[&Channel::A], counted(undated));
    assert!(unset.flags.contains(&Flag::ClockNotSet.into()));
}

#[test]
fn a_frame_of_a_mode_that_nobody_describes_is_refused() {
    for mode in 2..=255_u8 {
        let frame = SW3L.replacen("000100", &format!("0001{mode:02x}"), 1);
        let reason = refused(&SW3L_NB, &frame, &CodecSettings::default());
        assert_eq!(reason, format!("the device's mode (mod) is {mode}, which this codec does not know"));
    }
    for mode in (0..=255_u8).filter(|mode| *mode != 1) {
        let frame = CPN01.replacen("0c781701", &format!("0c7817{mode:02x}"), 1);
        assert!(refused(&CPN01_NB, &frame, &CodecSettings::default()).contains("(mod)"), "{frame}");
    }
}

#[test]
fn json_names_its_meter_and_is_refused_with_the_setting_that_is_right() {
    let device: DeviceId = "nbiot:866207058378443".parse().unwrap();
    for text in [
        r#"{"IMEI":"866207058378443","Model":"SW3L-NB","1":{1,4,0,2023/11/15 07:54:30}}"#,
        "\r\n{ \"Model\": \"SW3L-NB\", \"imei\" : 866207058378443 }\0",
        "\u{feff}{\"IMEI\":\"866207058378443",
    ] {
        assert_eq!(head(text.as_bytes()), Some((device, None, None)), "{text}");
        let reason = (SW3L_NB.decode)(text.as_bytes(), &Context::of(&CodecSettings::default(), RECEIVED)).unwrap_err();
        assert!(reason.to_string().contains("set it to bytes or hex (AT+PRO=2,0)"), "{reason}");
    }
    for text in ["{}", r#"{"IMEI":"8662070583784"}"#, r#"{"IMEI"}"#, r#"{"IMEI":"86620705837844312"}"#, "IMEI"] {
        assert_eq!(head(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_line_end_behind_a_frame_is_no_record_unless_the_records_may_be_longer() {
    let settings = CodecSettings::default();
    let with = |frame: &str, end: &[u8]| [hex::decode(frame).unwrap(), end.to_vec()].concat();
    let read = |codec: &Codec, frame: &[u8], settings: &CodecSettings| {
        (codec.decode)(frame, &Context::of(settings, RECEIVED)).ok()
    };
    for end in [&b"\0"[..], b"\r\n", b"\n", b"\r\n\0"] {
        for (codec, frame) in [(&SW3L_NB, SW3L), (&SW3L_NB, &SW3L[..54]), (&CPN01_NB, CPN01)] {
            let expected = read(codec, &hex::decode(frame).unwrap(), &settings);
            assert!(expected.is_some());
            assert_eq!(read(codec, &with(frame, end), &settings), expected, "{frame} {end:?}");
            assert_eq!(read(codec, &[end, &with(frame, end)].concat(), &settings), expected, "{frame} {end:?}");
        }
    }
    assert_eq!(read(&SW3L_NB, &with(SW3L, b"\0\0\0\0"), &settings), None);
    assert_eq!(read(&SW3L_NB, &with(SW3L, b"\x01"), &settings), None);
    // A record of 12 bytes that ends with a zero is no record of 11 bytes before a NUL.
    let log = format!("{CPN01}0100000b0000002663510f00");
    assert_eq!(read(&CPN01_NB, &with(&log, b""), &records_of(11)), None);
}

#[test]
fn an_alarm_that_nobody_documents_is_kept_as_it_is() {
    let reading = read(&SW3L_NB, &SW3L.replacen("17000001", "17000002", 1), &CodecSettings::default()).unwrap();
    assert_eq!((reading.flags.is_empty(), reading.details.get("unknown_alarm")), (true, Some(&2_u8.into())));
}

#[test]
fn a_place_of_the_log_is_empty_only_if_all_of_it_is_zero() {
    let empty = |record: &str| {
        let reading = read(&CPN01_NB, &format!("{CPN01}{record}"), &records_of(11)).unwrap();
        reading.details.get("empty_records").is_some()
    };
    assert!(empty("0000000000000000000000"));
    for byte in 0..11 {
        let mut record = [0; 11];
        record[byte] = 1;
        assert!(!empty(&hex::encode(record)), "byte {byte}");
    }
}

#[test]
fn two_records_of_one_time_are_told_with_their_times() {
    let records = |first: &str, second: &str| {
        let log = [first, second].map(|time| format!("01000008000026{time}"));
        read(&CPN01_NB, &format!("{CPN01}{}", log.concat()), &records_of(11)).unwrap().details.get("records").cloned()
    };
    assert_eq!(records("6315537a", "63155379"), Some("1,38 1,38".into()));
    assert_eq!(records("6315537a", "6315537a"), Some("1,38@1".into()));
}

/// A time of a clock that is accepted: from 400 days before [`RECEIVED`] to a day after it.
fn set_time() -> impl Strategy<Value = u32> {
    1_631_750_400..=1_666_396_800_u32
}

proptest! {
    #[test]
    fn no_bytes_panic(head in prop_oneof![Just(""), Just("f867787050213317"), Just(&SW3L[..54])], tail: Vec<u8>) {
        let bytes = [hex::decode(head)?, tail].concat();
        for form in [bytes.clone(), hex::encode(&bytes).into_bytes()] {
            for codec in [&SW3L_NB, &CPN01_NB] {
                for settings in [CodecSettings::default(), records_of(11), records_of(12), with_imsi()] {
                    let _ = (codec.decode)(&form, &Context::of(&settings, RECEIVED));
                }
            }
            let _ = identify(&form);
        }
    }

    #[test]
    fn no_decoration_changes_a_reading(
        (frame, datagram) in prop_oneof![Just(SW3L), Just(CPN01)].prop_flat_map(|frame| {
            (Just(frame), decorated(&hex::decode(frame).unwrap()))
        }),
    ) {
        let bytes = hex::decode(frame)?;
        prop_assert_eq!(head(&datagram), head(&bytes));
        for codec in [&SW3L_NB, &CPN01_NB] {
            let read = |frame: &[u8]| (codec.decode)(frame, &Context::of(&CodecSettings::default(), RECEIVED));
            prop_assert_eq!(read(&datagram), read(&bytes));
        }
    }

    #[test]
    fn every_field_of_a_flow_sensors_frame_comes_out(
        fields: (u8, u8, u16, u8, u8, u8, bool, bool, u16),
        imsi in proptest::option::of("[0-9]{15}"),
        points in proptest::collection::vec((any::<u32>(), set_time()), 1..33),
    ) {
        let (model, version, battery, signal, pa4, pb15, alarm, counted, flag) = fields;
        let mode = u8::from(counted);
        let model = model % 0xF0;
        let mut frame = hex::decode(format!("f867787050213317{}", imsi.as_ref().map_or(String::new(), |id| format!("f{id}"))))?;
        frame.extend([model, version]);
        frame.extend(battery.to_be_bytes());
        frame.extend([signal, pa4, pb15, alarm.into(), mode]);
        frame.extend(flag.to_be_bytes());
        frame.extend(points.iter().flat_map(|(count, time)| [count.to_be_bytes(), time.to_be_bytes()].concat()));
        let settings = CodecSettings { imsi: imsi.is_some(), ..CodecSettings::default() };
        let reading = (SW3L_NB.decode)(&frame, &Context::of(&settings, RECEIVED))?;
        let expected = points.iter().map(|&(count, time)| (At::from_unix(time.into()).unwrap(), u64::from(count)));
        let expected = if counted {
            Series::Counted(Box::new(Series::Timed(expected.take(1).collect())))
        } else {
            Series::Timed(expected.collect())
        };
        prop_assert_eq!(&reading.channels[&Channel::A], &expected);
        prop_assert_eq!(reading.details.get("logged_pulses").is_some(), counted && points.len() > 1);
        prop_assert_eq!(reading.clock, At::from_unix(points[0].1.into()).ok());
        prop_assert_eq!(reading.battery_mv, Some(battery));
        prop_assert_eq!(reading.flags.contains(&Flag::Leak.into()), alarm);
        let numbers = [("model", model), ("signal", signal), ("pa4", pa4), ("pb15", pb15), ("mod", mode)];
        for (name, value) in numbers.map(|(name, value)| (name, value.into())).into_iter().chain([
            ("calculate_flag", flag.into()),
            ("version_raw", u16::from_be_bytes([model, version]).into()),
            ("imei", "867787050213317".into()),
        ]) {
            prop_assert_eq!(reading.details.get(name), Some(&value), "{}", name);
        }
        prop_assert_eq!(reading.details.get("imsi").cloned(), imsi.map(Into::into));
    }

    #[test]
    fn every_field_of_a_contact_counters_frame_comes_out(
        fields: (u8, u8, bool, bool),
        head in (0..1_u32 << 24, 0..1_u32 << 24, set_time()),
        mut records in proptest::collection::vec((any::<u8>(), 0..1_u32 << 24, 0..1_u32 << 24, set_time()), 0..33),
        sorted: bool,
    ) {
        if sorted {
            records.sort_by_key(|record| std::cmp::Reverse(record.3));
            records.retain(|record| record.3 < head.2);
        }
        let (flag, contact, alarm, long) = fields;
        let mode = 1_u8;
        let u24 = |number: u32| number.to_be_bytes()[1..].to_vec();
        let mut frame = hex::decode("f86778705021331700640c7817")?;
        frame.extend([mode, flag, contact, alarm.into()]);
        frame.extend([u24(head.0), u24(head.1), head.2.to_be_bytes().to_vec()].concat());
        for &(contact, count, open, time) in &records {
            let flag = if long { vec![contact] } else { vec![] }; // differs from the head's
            frame.extend([vec![contact], u24(count), flag, u24(open), time.to_be_bytes().to_vec()].concat());
        }
        let reading = (CPN01_NB.decode)(&frame, &Context::of(&records_of(if long { 12 } else { 11 }), RECEIVED))?;
        let points = [(head.0, head.2)].into_iter().chain(records.iter().map(|record| (record.1, record.3)));
        let expected = points.map(|(count, time)| (At::from_unix(time.into()).unwrap(), u64::from(count)));
        prop_assert_eq!(&reading.channels[&Channel::A], &Series::Timed(expected.collect()));
        prop_assert_eq!(reading.flags.contains(&Flag::ContactOpen.into()), alarm);
        for (name, value) in [("mod", mode), ("calculate_flag", flag), ("contact_status", contact)] {
            prop_assert_eq!(reading.details.get(name), Some(&value.into()), "{}", name);
        }
        prop_assert_eq!(reading.details.get("last_open_min"), Some(&head.1.into()));
        let times: Vec<_> = [head.2].into_iter().chain(records.iter().map(|record| record.3)).collect();
        let in_order = times.is_sorted_by(|a, b| a > b);
        let mut own: Vec<_> = records.clone();
        if !in_order {
            own.dedup();
        }
        let own = own.iter().map(|&(contact, _, open, time)| {
            let before = if in_order { String::new() } else { format!("@{}", i64::from(head.2) - i64::from(time)) };
            let flag = if long && flag != contact { format!(",{contact}") } else { String::new() };
            format!("{contact},{open}{flag}{before}")
        });
        let own = own.collect::<Vec<_>>().join(" ");
        prop_assert_eq!(reading.details.get("records").cloned(), (!own.is_empty()).then(|| own.into()));
    }
}
