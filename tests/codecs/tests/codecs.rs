//! Every frame of `tests/codecs/`, through its profile's codec to the item that is stored. An item's content is given whole:
//! nothing is read that is not expected.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::codec::CODECS;
use shared::profile::PROFILES;

#[test]
fn every_frame_becomes_the_item_it_is_said_to_or_is_refused_with_the_reason() {
    for (file, case) in frames::cases() {
        let name = format!("{file}: {}", case["name"]);
        match (frames::decode(&case), &case["refused"]) {
            (Ok(mut item), Value::Null) => {
                for known in ["device", "uplink", "profile", "codec", "codec_version"] {
                    item.as_object_mut().unwrap().remove(known);
                }
                assert_eq!(item, case["item"], "{name}");
            }
            (Err(reason), refused) => assert!(reason.starts_with(refused.as_str().unwrap_or("\n")), "{name}: {reason}"),
            (Ok(item), _) => panic!("{name} is not refused: {item}"),
        }
    }
}

#[test]
fn every_case_has_a_name_of_its_own_and_a_source() {
    let mut names = BTreeSet::new();
    for (file, case) in frames::cases() {
        assert!(case["source"].as_str().is_some_and(|source| source.len() > 10), "{file}: {}", case["name"]);
        assert!(names.insert(case["name"].as_str().unwrap().to_owned()), "{file}: {} is there twice", case["name"]);
    }
}

#[test]
fn every_codec_has_a_frame_that_it_reads() {
    let read: BTreeSet<_> = frames::cases()
        .filter(|(_, case)| case["refused"].is_null())
        .filter_map(|(_, case)| {
            let name = case["profile"].as_str()?;
            Some(PROFILES.iter().find(|profile| profile.name == name)?.codec.name)
        })
        .collect();
    for codec in CODECS {
        assert!(read.contains(codec.name), "{}", codec.name);
    }
}

#[test]
fn every_item_is_one_write_unit() {
    const WRITE_UNIT: usize = 1024;
    for (file, case) in frames::cases().filter(|(_, case)| case["refused"].is_null()) {
        let size = frames::item_size(&case);
        assert!(size <= WRITE_UNIT, "{file}: {} takes {size} bytes", case["name"]);
    }
}

#[test]
fn no_pack_makes_an_item_that_the_database_refuses() {
    /// What DynamoDB takes.
    const LARGEST: usize = 400 * 1024;
    let (number, name, unit) = ("fb81b7a8b57e1f5e3c", hex::encode("n".repeat(128)), hex::encode("u".repeat(32)));
    // As many records as are taken, each with a value, a sum, an update time and a time. What is not the first base name, is told
    // in full each time; the unit too.
    let first = format!("a6216178237820{unit}24{number}25{number}221a6b0000000200");
    let second = format!("a4217880{name}020007000620");
    let pack = format!("990200{first}{second}{}", "a3020007000620".repeat(510));
    assert!((3_500..=shared::uplink::MAX_PAYLOAD).contains(&(pack.len() / 2)));
    let size = frames::item_size(&serde_json::json!({"profile": "senml-cbor", "hex": pack}));
    assert!((200_000..LARGEST).contains(&size), "{size}");
}

#[test]
fn yaml_keeps_hex_as_text() {
    // Digits only would be a number, and `1e5` one of another kind: such hex is quoted in the files.
    assert!(frames::cases().all(|(_, case)| case["hex"].is_string() || case["text"].is_string()));
}
