//! Every parser of untrusted bytes is fuzzed, starting from the project's own examples.

use std::collections::BTreeSet;

use pulsegate_model::codec::CODECS;
use pulsegate_tests::{read, seeds};

#[test]
fn every_fuzz_target_has_something_to_start_from() {
    let manifest = read("fuzz/Cargo.toml");
    let targets: BTreeSet<&str> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
        .collect();
    let seeds = seeds::all();
    let started: BTreeSet<&str> =
        seeds.keys().map(|name| if name.starts_with("codec-") { "codec" } else { name.as_str() }).collect();
    assert_eq!(started, targets);
    assert!(seeds.values().all(|seeds| !seeds.is_empty()));
}

#[test]
fn every_codec_is_fuzzed_from_its_makers_frames_on() {
    let seeds = seeds::all();
    let started: Vec<&str> = seeds.keys().filter_map(|name| name.strip_prefix("codec-")).collect();
    for codec in CODECS {
        assert!(started.iter().any(|prefix| codec.name.starts_with(prefix)), "{}", codec.name);
    }
    for prefix in started {
        assert!(CODECS.iter().any(|codec| codec.name.starts_with(prefix)), "{prefix}.yaml is named after no codec");
    }
}
