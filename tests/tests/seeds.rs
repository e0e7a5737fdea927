//! Whatever reads strangers' bytes is fuzzed, from the project's own examples on.

use std::collections::BTreeSet;

use pulsegate_tests::{read, seeds};
use shared::codec::CODECS;

#[test]
fn every_fuzz_target_is_built_run_and_has_something_to_start_from() {
    let manifest = read("fuzz/Cargo.toml");
    let built: BTreeSet<&str> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
        .collect();
    let makefile = read("Makefile");
    let run = makefile.lines().find_map(|line| line.strip_prefix("FUZZ_TARGETS := ")).unwrap();
    let run: BTreeSet<&str> = run.split(' ').filter_map(|target| target.strip_prefix("fuzz-")).collect();
    let seeds = seeds::all();
    assert_eq!(run, built);
    assert_eq!(run, seeds.keys().map(String::as_str).collect());
    assert!(seeds.values().all(|seeds| !seeds.is_empty()));
}

#[test]
fn every_codec_is_fuzzed() {
    let targets = seeds::all();
    for codec in CODECS {
        let maker = codec.name.split('-').next().unwrap();
        assert!(targets.contains_key(&format!("codec-{maker}")), "{}", codec.name);
    }
}
