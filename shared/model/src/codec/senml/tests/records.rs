//! Records that the format allows or forbids.

use super::*;

#[test]
fn what_the_format_forbids_is_refused() {
    assert_eq!(refused(&json!([])), "the pack has no record with a value");
    assert!(refused(&json!({})).starts_with("not SenML in JSON"));
    assert!(refused(&json!([1])).starts_with("not SenML in JSON: invalid type: integer `1`, expected a record"));
    assert!(refused(&json!([{"n": "a", "v": 1}, {"n": "b"}])).starts_with("b has not just one value"));
    assert!(refused(&json!([{"n": "a", "v": 1, "vs": ""}])).starts_with("a has not just one value"));
    assert!(refused(&json!([{"n": "a", "v": "1"}])).starts_with("field \"v\" is of another type"));
    assert!(refused(&json!([{"n": "a", "vd": "a"}])).starts_with("field \"vd\" is of another type"));
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

#[test]
fn a_record_of_nothing_that_is_known_is_refused() {
    let nothing = "a record without a name has not just one value";
    assert_eq!(refused(&json!([{}])), nothing);
    assert_eq!(refused(&json!([{"N": "A", "U": "count", "V": 1}])), nothing);
    assert_eq!(refused(&json!([{"n": "A", "u": "count", "v": 1}, {"x": 1}])), nothing);
    // The structure of the drafts before RFC 8428.
    let draft = json!([{"bn": BASE, "bt": NOW, "e": [{"n": "A", "u": "count", "v": 1}]}]);
    assert!(refused(&draft).starts_with("urn:imei:490154203237518: has not just one value"));
    // Base fields alone apply to nothing.
    assert_eq!(refused(&json!([{"bn": BASE, "bt": NOW}])), "the pack has no record with a value");
    assert!(json(&json!([{"bn": BASE, "bt": NOW}, {"n": "A", "u": "count", "v": 1}, {"bt": NOW}])).is_ok());
}

#[test]
fn the_number_of_a_label_as_a_text_is_not_an_unknown_field() {
    // [{"0": "A", "1": "count", "2": 99}]
    let digits = hex::decode("81a361306141613165636f756e7461321863").unwrap();
    let reason = "a record has field \"0\", a text: in CBOR it is a number, in JSON it has a name (RFC 8428, table 4)";
    assert_eq!(read(&CBOR, &digits).unwrap_err().to_string(), reason);
    assert!(refused(&json!([{"n": "A", "-3": NOW, "u": "count", "v": 1}])).starts_with("a record has field \"-3\""));
    assert!(json(&json!([{"n": "A", "9": "", "u": "count", "v": 1}])).is_ok());
}

#[test]
fn a_whole_number_may_be_written_with_a_fraction_or_an_exponent() {
    let pack =
        br#"[{"bver":10.0,"bt":1.795176E9,"bu":"count","n":"A","v":12.0,"t":-6.0e1,"ut":6e1},{"n":"B","v":1.2E1}]"#;
    let reading = read(&JSON, pack).unwrap();
    assert_eq!(reading.channels[&Channel::A], Series::Timed(vec![(at(NOW - 60), 12)]));
    assert_eq!(reading.channels[&Channel::B], Series::Timed(vec![(at(NOW), 12)]));
    assert_eq!(reading.details.get("update_time_s:A"), Some(&"60".into()));
}

#[test]
fn data_may_have_padding() {
    let data = |text: &str| json(&json!([{"n": "d", "vd": text}])).unwrap().details.get("d").cloned();
    assert_eq!(data("aGkg_w"), Some("0x686920ff".into()));
    assert_eq!(data("aGkg_w=="), Some("0x686920ff".into()));
}
