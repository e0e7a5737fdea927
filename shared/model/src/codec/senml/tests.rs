use minicbor::Encoder;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::at::At;
use crate::codec::{Channel, CodecSettings, Context, Flag, Mark, Series, Value};

/// 2026-11-20T12:00:00Z.
const NOW: i64 = 1_795_176_000;

const BASE: &str = "urn:imei:490154203237518:";

pub(super) fn read(codec: &Codec, frame: &[u8]) -> Result<Reading, Undecodable> {
    (codec.decode)(frame, &Context::of(&CodecSettings::default(), "2026-11-20T12:00:00Z"))
}

pub(super) fn json(pack: &Json) -> Result<Reading, Undecodable> {
    read(&JSON, pack.to_string().as_bytes())
}

fn refused(pack: &Json) -> String {
    json(pack).unwrap_err().to_string()
}

/// The same pack in CBOR, its arrays and maps of definite length or not.
fn cbor(pack: &Json, definite: bool) -> Vec<u8> {
    let records = pack.as_array().unwrap();
    let mut e = Encoder::new(Vec::new());
    if definite {
        e.array(records.len() as u64).unwrap()
    } else {
        e.begin_array().unwrap()
    };
    for record in records {
        let fields = record.as_object().unwrap();
        if definite {
            e.map(fields.len() as u64).unwrap()
        } else {
            e.begin_map().unwrap()
        };
        for (name, value) in fields {
            match record::label(name) {
                Some(label) => e.i64((-6..9).find(|&n| record::numbered_label(n) == Some(label)).unwrap()).unwrap(),
                None => e.str(name).unwrap(),
            };
            match value {
                Json::Number(number) if number.is_u64() => e.u64(number.as_u64().unwrap()).unwrap(),
                Json::Number(number) if number.is_i64() => e.i64(number.as_i64().unwrap()).unwrap(),
                Json::Number(number) => e.f64(number.as_f64().unwrap()).unwrap(),
                Json::String(data) if name == "vd" => {
                    use base64::Engine as _;
                    e.bytes(&base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(data).unwrap()).unwrap()
                }
                Json::String(text) => e.str(text).unwrap(),
                Json::Bool(flag) => e.bool(*flag).unwrap(),
                other => panic!("{other}"),
            };
        }
        if !definite {
            e.end().unwrap();
        }
    }
    if !definite {
        e.end().unwrap();
    }
    e.into_writer()
}

fn at(seconds: i64) -> At {
    At::from_unix(seconds).unwrap()
}

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
fn a_count_is_exact_or_refused() {
    let count = |number: Json| {
        let pack = json!([{"n": "A", "u": "count", "v": number}]);
        (json(&pack).ok(), read(&CBOR, &cbor(&pack, true)).ok()).into()
    };
    let both = |count: u64| {
        let reading = |count| Reading {
            frame: "pack",
            channels: [(Channel::A, Series::Ago(vec![(0, count)]))].into(),
            ..Reading::default()
        };
        [Some(reading(count)), Some(reading(count))]
    };
    let exact = 1_u64 << 53;
    let got: [Option<Reading>; 2] = count(json!(exact - 1));
    assert_eq!(got, both(exact - 1));
    assert_eq!(count(json!(12.0)), both(12));
    assert_eq!(count(json!(9_007_199_254_740_991.0)), both(exact - 1));
    // In JSON it may have been rounded before it was written.
    assert_eq!(count(json!(exact)), [None, both(exact)[1].clone()]);
    assert_eq!(count(json!(9_007_199_254_740_992.0)), [None, None]);
    assert_eq!(count(json!(u64::MAX)), [None, both(u64::MAX)[1].clone()]);
    for number in [json!(-1), json!(0.5), json!(1e300), json!(-1e300), json!(2e16)] {
        assert_eq!(count(number.clone()), [None, None], "{number}");
    }
    let reason = refused(&json!([{"n": "A", "u": "count", "v": 0.5}]));
    assert_eq!(reason, "count 0.5 of A is not a whole number of pulses that can be held exactly");
}

#[test]
fn a_sum_is_exact_if_both_its_parts_are() {
    let count = |base: Json, value: Json| {
        let pack = json!([{"n": "A", "u": "count", "bv": base, "v": value}]);
        [json(&pack).is_ok(), read(&CBOR, &cbor(&pack, true)).is_ok()]
    };
    let beyond = 1_i64 << 53;
    assert_eq!(count(json!(1000), json!(234.0)), [true, true]);
    assert_eq!(count(json!(0.5), json!(0.5)), [false, false]);
    assert_eq!(count(json!(1234), json!(1e-20)), [false, false]);
    assert_eq!(count(json!(beyond), json!(-5)), [false, true]);
    assert_eq!(count(json!(beyond - 1), json!(1)), [false, true]);
    assert_eq!(count(json!(9_007_199_254_740_992.0), json!(-5)), [false, false]);
    // With doubles the sum would be one more.
    let pack = json!([{"n": "A", "u": "count", "bv": beyond + 3, "v": -1.0}]);
    let reading = read(&CBOR, &cbor(&pack, true)).unwrap();
    assert_eq!(reading.channels[&Channel::A], Series::Ago(vec![(0, (1 << 53) + 2)]));
}

#[test]
fn what_comes_again_under_a_name_is_counted() {
    let reading =
        json(&json!([{"n": "x", "v": 1}, {"n": "y", "v": 2}, {"n": "x", "v": 3}, {"n": "x", "v": 4}])).unwrap();
    let expected = [("x", 1_u8), ("x#2", 3), ("x#3", 4), ("y", 2)];
    assert!(expected.iter().all(|(name, value)| reading.details.get(name) == Some(&(*value).into())), "{reading:?}");
}

#[test]
fn a_decimal_fraction_is_a_number() {
    let pack = |exponent: i64, mantissa: i64| {
        let mut e = Encoder::new(Vec::new());
        e.array(1).unwrap().map(3).unwrap().i8(0).unwrap().str("A").unwrap().i8(1).unwrap().str("count").unwrap();
        e.i8(2).unwrap().tag(minicbor::data::IanaTag::Decimal).unwrap().array(2).unwrap();
        e.i64(exponent).unwrap().i64(mantissa).unwrap();
        read(&CBOR, &e.into_writer()).map(|reading| reading.channels[&Channel::A].clone())
    };
    assert_eq!(pack(3, 12), Ok(Series::Ago(vec![(0, 12_000)])));
    assert_eq!(pack(-1, 120), Ok(Series::Ago(vec![(0, 12)])));
    for (exponent, mantissa) in [(-1, 121), (400, 1), (i64::MAX, 1), (0, -1)] {
        assert!(pack(exponent, mantissa).is_err(), "{mantissa}e{exponent}");
    }
    assert_eq!(pack(i64::MIN, 0), Ok(Series::Ago(vec![(0, 0)])));
}

#[test]
fn a_time_that_a_count_cannot_have_is_refused() {
    let reason = |times: [Json; 2]| {
        let [first, second] = times;
        refused(&json!([{"n": "A", "u": "count", "v": 1, "t": first}, {"n": "A", "u": "count", "v": 1, "t": second}]))
    };
    assert!(reason([json!(0), json!(1)]).contains("from the future"));
    assert!(reason([json!(NOW), json!(1_276_020_076)]).contains("before 2020"));
    assert!(reason([json!(NOW), json!(-60)]).contains("some are relative to now"));
    for time in [json!(-1e10), json!(1e12), json!(1e300), json!(-1e300), json!(i64::MAX)] {
        assert!(reason([json!(0), time.clone()]).contains("beyond all bounds"), "{time}");
    }
}

#[test]
fn what_the_format_forbids_is_refused() {
    assert_eq!(refused(&json!([])), "a pack without a record");
    assert!(refused(&json!({})).starts_with("not SenML in JSON"));
    assert!(refused(&json!([1])).starts_with("not SenML in JSON: invalid type: integer `1`, expected a record"));
    assert!(refused(&json!([{"n": "a", "v": 1}, {"n": "b"}])).starts_with("b has not just one value"));
    assert!(refused(&json!([{"n": "a", "v": 1, "vs": ""}])).starts_with("a has not just one value"));
    assert!(refused(&json!([{"n": "a", "v": "1"}])).starts_with("field \"v\" is of another type"));
    assert!(refused(&json!([{"n": "a", "vd": "=="}])).starts_with("field \"vd\" is of another type"));
    for name in ["", "a b", "a#2", "ä", &"a".repeat(129)] {
        assert!(refused(&json!([{"n": name, "v": 1}])).contains("is not the name of a record"), "{name}");
    }
    for version in [json!(11), json!(0), json!(-1), json!(9.5)] {
        assert!(refused(&json!([{"bver": version, "n": "a", "v": 1}])).contains("of SenML is not known"), "{version}");
    }
    assert!(refused(&json!([{"n": "a", "v": 1}, {"bver": 5, "n": "b", "v": 1}])).contains("version 5"));
    assert!(json(&json!([{"bver": 5, "n": "a", "v": 1}, {"bver": 5, "n": "b", "v": 1}])).is_ok());
    let twice = read(&JSON, br#"[{"n": "a", "v": 1, "v": 2}]"#).unwrap_err().to_string();
    assert_eq!(twice, "a record has field \"v\" twice");
    let two = json!([{"bn": BASE, "u": "count", "v": 1}, {"n": "A", "u": "count", "v": 1}]);
    assert!(refused(&two).contains("another one is A"));
    assert!(refused(&json!([{"n": "a", "u": "x".repeat(33), "v": 1}])).starts_with("a unit goes beyond"));
    let long = refused(&json!([{"n": "a".repeat(65), "u": "count", "v": 1}]));
    assert!(long.contains("is not the name of a channel"), "{long}");
    assert!(read(&CBOR, &[0x80, 0x00]).unwrap_err().to_string().contains("something follows"));
}

#[test]
fn an_unknown_field_is_ignored_unless_it_has_to_be_understood() {
    let pack = |name: &str| json!([{"n": "A", "u": "count", "v": 1, name: "what"}]);
    for pack in [pack("x"), pack("_x"), pack("x_")] {
        let results = [json(&pack), read(&CBOR, &cbor(&pack, true))];
        for result in results {
            match result {
                Ok(reading) => assert!(!pack[0]["x_"].is_string() && reading.details.is_empty(), "{pack}"),
                Err(reason) => assert_eq!(
                    (reason.to_string().as_str(), &pack[0]["x_"]),
                    ("field \"x_\" has to be understood, and is not known", &json!("what"))
                ),
            }
        }
    }
}

#[test]
fn flags_and_the_battery_have_their_places_and_keep_a_time_of_their_own() {
    let reading = json(&json!([
        {"bn": BASE, "n": "leak:A", "vb": true}, {"n": "tamper", "vb": true, "t": -60}, {"n": "dry", "vb": false},
        {"n": "battery", "u": "V", "v": 3.6125}, {"n": "battery", "u": "V", "v": 3.7}, {"n": "lid", "vb": true},
    ]))
    .unwrap();
    assert_eq!(reading.flags, [Flag::Leak.on(Channel::A), Mark::from(Flag::Tamper)].into());
    assert_eq!(reading.battery_mv, Some(3613));
    let details: [(&str, Value); 5] = [
        ("base_name", BASE.into()),
        ("tamper", "true @ -60 s".into()),
        ("dry", false.into()),
        ("battery", "3.7 V".into()),
        ("lid", true.into()),
    ];
    for (name, value) in &details {
        assert_eq!(reading.details.get(name), Some(value), "{name}");
    }
    let others = json!([{"n": "battery", "u": "%EL", "v": 80}, {"n": "solar", "u": "V", "v": 5}]);
    assert_eq!(json(&others).unwrap().battery_mv, None);
    let odd = json(&json!([{"n": "battery", "u": "V", "v": -1}])).unwrap();
    assert_eq!((odd.battery_mv, odd.details.get("battery")), (None, Some(&"-1 V".into())));
}

#[test]
fn sums_and_update_times_are_kept() {
    let reading = json(&json!([
        {"bn": BASE, "bs": 10, "bu": "A", "n": "current", "v": 1.5, "s": 2.5, "ut": 60},
        {"n": "charge", "s": 5}, {"n": "label", "vs": "pump"}, {"n": "huge", "u": "/", "v": 1e300},
    ]))
    .unwrap();
    let details: [(&str, Value); 7] = [
        ("current", "1.5 A".into()),
        ("sum:current", "12.5 A s".into()),
        ("update_time_s:current", "60".into()),
        ("sum:charge", "15 A s".into()),
        ("label", "pump".into()),
        ("huge", "1e300 /".into()),
        ("sum:huge", "10 / s".into()),
    ];
    for (name, value) in &details {
        assert_eq!(reading.details.get(name), Some(value), "{name}");
    }
}

#[test]
fn the_sender_is_the_meter_of_the_first_base_name() {
    let of = |pack: &Json| identify(pack.to_string().as_bytes(), Form::Json);
    let named = |name: &str| {
        of(&json!([{"bn": name, "n": "7", "v": 1}])).map(|head| head.device.to_string().replace("nbiot:", "")).ok()
    };
    let meter = Some("490154203237518".to_owned());
    for name in ["urn:imei:490154203237518", BASE, "urn:imei:490154203237518/3", "urn:gsma:imei:49015420-323751-8:"] {
        assert_eq!(named(name), meter, "{name}");
    }
    assert_eq!(named("urn:gsma:imei:49015420-323751-0"), meter, "its check digit is left out");
    assert_eq!(named("urn:gsma:imei:35685003-518460-0").as_deref(), Some("356850035184603"));
    assert_eq!(named("urn:gsma:imei:49015420-323751-5").as_deref(), Some("490154203237515"));
    let none = [
        "",
        "490154203237518",
        "urn:imei:",
        "urn:imei:49015420323751",
        "urn:imei:490154203237518x",
        "urn:imei:000000000000000",
        "urn:gsma:imei:490154203237518",
        "urn:gsma:imei:4901542-0323751-8",
        "urn:gsma:imei:49015420-323751-",
        "urn:gsma:imei:49015420-323751-82",
        "urn:dev:ow:10e2073a01080063",
    ];
    for name in none {
        assert_eq!(named(name), None, "{name}");
    }
    assert!(of(&json!([{"n": BASE, "v": 1}])).is_ok());

    let clock = |times: [i64; 2]| {
        let [first, second] = times;
        of(&json!([{"bn": BASE, "n": "A", "v": 1, "t": first}, {"n": "A", "v": 1, "t": second}])).unwrap().clock
    };
    assert_eq!(clock([NOW - 60, NOW]), Some(at(NOW)));
    assert_eq!((clock([NOW, 0]), clock([1_276_020_076; 2])), (None, Some(at(1_276_020_076))));
    // The sender does not depend on the meaning of the records.
    let unreadable = json!([{"bn": BASE, "n": "A", "v": "one", "crucial_": 1, "bver": 12}]);
    assert_eq!(of(&unreadable).unwrap().clock, None);
}

#[test]
fn what_is_nested_or_longer_than_anything_is_refused_without_harm() {
    let deep = "[".repeat(4096);
    assert!(read(&JSON, deep.as_bytes()).is_err());
    assert!(read(&JSON, format!("[{{\"x\":{deep}").as_bytes()).is_err());
    for byte in [0x81, 0x9F, 0xA1, 0xBF, 0xC4, 0x82] {
        let nested = [&[0x81, 0xA1, 0x61, b'x'], vec![byte; 4092].as_slice()].concat();
        assert!(read(&CBOR, &nested).is_err() && read(&CBOR, &nested[4..]).is_err());
    }
    for long in ["9bffffffffffffffff", "81bbffffffffffffffff", "81a1007bffffffffffffffff", "81a1085bffffffffffffffff"] {
        assert!(read(&CBOR, &hex::decode(long).unwrap()).is_err(), "{long}");
    }
    let records = |count| json!(vec![json!({"n": "A", "u": "count", "v": 1}); count]);
    assert!(json(&records(512)).is_ok());
    assert!(refused(&records(513)).starts_with("the number of records goes beyond"));
}

/// Packs of counts, some followed by other records, with the expected points. All times of a channel are of the same
/// kind.
fn any_pack() -> impl Strategy<Value = (Json, Vec<(Channel, i64, u64)>)> {
    let count = (0..3_usize, 0..1_u64 << 53, 0..1_000_000_i64);
    let other = prop_oneof![
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| json!({"n": "x", "u": "Cel", "v": n})),
        any::<i32>().prop_map(|n| json!({"n": "y", "v": n})),
        any::<bool>().prop_map(|flag| json!({"n": "dry", "vb": flag})),
        ".{0,9}".prop_map(|text| json!({"n": "z", "vs": text})),
        Just(json!({"n": "d", "vd": "aGkgCg"})),
        (any::<i32>(), any::<u16>()).prop_map(|(sum, ut)| json!({"n": "s", "s": sum, "ut": ut})),
    ];
    let records = proptest::collection::vec((count, proptest::option::of(other)), 1..20);
    (records, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(records, clock, base_value, base_name)| {
        let (mut pack, mut points) = (vec![], vec![]);
        for ((channel, count, before), other) in records {
            let name = ["A", "B", "mains.2"][channel];
            points.push((name.parse().unwrap(), before, count));
            let count = if base_value { json!(count.cast_signed() - 1_000_000) } else { json!(count) };
            pack.push(json!({"n": name, "u": "count", "v": count, "t": -before}));
            pack.extend(other);
        }
        if clock {
            pack[0]["bt"] = json!(NOW);
        }
        if base_value {
            pack[0]["bv"] = json!(1_000_000);
        }
        if base_name {
            pack[0]["bn"] = json!(BASE);
        }
        (json!(pack), points)
    })
}

proptest! {
    #[test]
    fn every_count_of_any_pack_comes_out_and_both_forms_say_the_same((pack, points) in any_pack()) {
        let reading = json(&pack)?;
        for definite in [true, false] {
            prop_assert_eq!(&read(&CBOR, &cbor(&pack, definite))?, &reading);
        }
        let absolute = pack[0]["bt"].is_number();
        for (channel, series) in &reading.channels {
            let of_it = points.iter().filter(|(of, ..)| of == channel);
            let expected = if absolute {
                Series::Timed(of_it.map(|&(_, before, count)| (at(NOW - before), count)).collect())
            } else {
                Series::Ago(of_it.map(|&(_, before, count)| (before.try_into().unwrap(), count)).collect())
            };
            prop_assert_eq!(series, &expected);
        }
        let channels: std::collections::BTreeSet<_> = points.iter().map(|(channel, ..)| channel).collect();
        prop_assert_eq!(reading.channels.keys().collect::<std::collections::BTreeSet<_>>(), channels);
        // Every other record has a detail or flag of its own.
        let others: Vec<_> = pack.as_array().unwrap().iter().filter(|record| record["u"] != "count").collect();
        let details = |record: &&Json| usize::from(record["vb"] != true) + usize::from(record["ut"].is_number());
        let named = usize::from(pack[0]["bn"].is_string()) + usize::from(absolute && !others.is_empty());
        let found = serde_json::to_value(&reading.details)?.as_object().unwrap().len();
        prop_assert_eq!(found, named + others.iter().map(details).sum::<usize>());
        prop_assert_eq!(!reading.flags.is_empty(), others.iter().any(|record| record["vb"] == true));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, (pack, _) in any_pack(), place: prop::sample::Index, byte: u8) {
        for codec in [&JSON, &CBOR] {
            let _ = read(codec, &bytes);
        }
        let (mut text, mut binary) = (pack.to_string().into_bytes(), cbor(&pack, byte % 2 == 0));
        for (codec, form, frame) in [(&JSON, Form::Json, &mut text), (&CBOR, Form::Cbor, &mut binary)] {
            let place = place.index(frame.len());
            frame[place] = byte;
            let _ = (read(codec, frame), identify(frame, form));
        }
    }
}
