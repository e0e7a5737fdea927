//! Any pack, and any bytes.

use super::*;

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
    fn of_any_two_packs_in_one_each_meter_is_read_as_from_its_own(
        (first, _) in any_pack(), (second, _) in any_pack(), definite: bool
    ) {
        let other = "nbiot:356850035184603";
        let named = |mut pack: Json, base_name: &str| {
            for (field, value) in [("bn", json!(base_name)), ("bt", json!(0)), ("bv", json!(0))] {
                if field == "bn" || pack[0][field].is_null() {
                    pack[0][field] = value;
                }
            }
            pack
        };
        let (first, second) = (named(first, BASE), named(second, "urn:gsma:imei:35685003-518460-0:"));
        let both = Json::Array([first.as_array().unwrap().as_slice(), second.as_array().unwrap()].concat());
        for (device, own) in [(METER, first), (other, second)] {
            let mut expected = read_of(device, &JSON, own.to_string().as_bytes())?;
            expected.details.insert("other_meters", 1_u8);
            prop_assert_eq!(&read_of(device, &JSON, both.to_string().as_bytes())?, &expected);
            prop_assert_eq!(&read_of(device, &CBOR, &cbor(&both, definite))?, &expected);
        }
        let heads = JSON.identify.unwrap().heads(both.to_string().as_bytes())?;
        let devices: Vec<String> = heads.iter().map(|head| head.device.to_string()).collect();
        prop_assert_eq!(devices, [METER, other]);
    }

    #[test]
    fn the_clock_of_a_head_is_the_clock_of_the_reading((pack, _) in any_pack()) {
        let mut pack = pack;
        pack[0]["bn"] = json!(BASE);
        let heads = JSON.identify.unwrap().heads(pack.to_string().as_bytes())?;
        prop_assert_eq!(heads[0].clock, json(&pack)?.clock);
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
