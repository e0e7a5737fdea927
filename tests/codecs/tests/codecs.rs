//! Decodes every frame of `tests/codecs/` with its profile's codec. A case has the whole content of the item, so an
//! unexpected field fails it.

use std::collections::BTreeSet;

use pulsegate_model::codec::CODECS;
use pulsegate_model::profile::PROFILES;
use serde_json::Value;

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
fn every_frame_that_names_its_device_is_identified_as_it_is_said_to() {
    let mut identified = 0;
    for (file, case) in frames::cases().filter(|(_, case)| !case["identified"].is_null()) {
        let name = format!("{file}: {}", case["name"]);
        let profile = PROFILES.iter().find(|profile| profile.name == case["profile"]).unwrap();
        let datagram = frames::payload(&case);
        let heads = profile.codec.identify.unwrap().heads(&datagram).unwrap_or_else(|e| panic!("{name}: {e}"));
        let read = heads.iter().map(|head| {
            let mut read = serde_json::json!({
                "device": head.device, "sequence": head.sequence, "clock": head.clock,
                "signal_quality": head.signal_quality,
                "acknowledgement": hex::encode(head.acknowledgement.bytes(&datagram, 1)),
            });
            read.as_object_mut().unwrap().retain(|_, value| !value.is_null() && *value != "");
            read
        });
        let expected = case["identified"].as_array().cloned().unwrap_or_else(|| vec![case["identified"].clone()]);
        assert_eq!(read.collect::<Vec<_>>(), expected, "{name}");
        identified += 1;
    }
    assert!(identified > 1);
}

#[test]
fn every_case_has_a_name_of_its_own_and_a_source() {
    let mut names = BTreeSet::new();
    for (file, case) in frames::cases() {
        assert!(case["source"].as_str().is_some_and(|source| source.len() > 10), "{file}: {}", case["name"]);
        assert!(names.insert(case["name"].as_str().unwrap().to_owned()), "{file}: {} occurs twice", case["name"]);
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
fn yaml_keeps_hex_as_text() {
    // Digits alone would be an integer, and `1e5` a float; such hex must be quoted in the files.
    assert!(frames::cases().all(|(_, case)| case["hex"].is_string() || case["text"].is_string()));
}
