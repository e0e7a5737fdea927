//! Holds the schema of `shared/model/profiles.toml`, which editors use, to the code: it must accept and reject the
//! same.
//!
//! A new codec needs an entry in the schema's list, and a new setting one among the schema's settings; otherwise these
//! tests fail.

use std::collections::BTreeSet;

use frames::read;
use pulsegate_model::codec::{CODECS, CodecSettings};
use pulsegate_model::profile;
use serde_json::Value;

const SCHEMA: &str = "shared/model/profiles.schema.json";
const PROFILES: &str = "shared/model/profiles.toml";
/// A valid profile.
const RIGHT: &str = "network = \"sigfox\"\ncodec = \"adeunis-pulse-v4\"\n";

fn schema() -> Value {
    serde_json::from_str(&read(SCHEMA)).unwrap_or_else(|e| panic!("{SCHEMA}: {e}"))
}

/// Returns the schema's errors for a file.
fn faults(text: &str) -> Vec<String> {
    // A repeated table is a syntax error, so the schema never sees it.
    let Ok(file) = toml::from_str::<Value>(text) else { return vec!["invalid TOML".to_owned()] };
    let schema = jsonschema::draft202012::new(&schema()).unwrap_or_else(|e| panic!("{SCHEMA}: {e}"));
    schema.iter_errors(&file).map(|fault| format!("{} at {}", fault, fault.instance_path())).collect()
}

/// Asserts that both code and schema reject the text.
fn check_refused(text: &str) {
    assert!(profile::parse(text).is_err(), "the code accepts:\n{text}");
    assert!(!faults(text).is_empty(), "the schema accepts:\n{text}");
}

fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_profiles_are_as_their_schema_says() {
    assert_eq!(faults(&read(PROFILES)), Vec::<String>::new());
    assert_eq!(faults(&format!("[a]\n{RIGHT}")), Vec::<String>::new());
    assert!(profile::parse(&format!("[a]\n{RIGHT}")).is_ok());
}

#[test]
fn the_schema_lists_every_codec() {
    let schema = schema();
    let listed = schema["$defs"]["profile"]["properties"]["codec"]["enum"].as_array().unwrap();
    let listed: BTreeSet<&str> = listed.iter().map(|name| name.as_str().unwrap()).collect();
    let known: BTreeSet<&str> = CODECS.iter().map(|codec| codec.name).collect();
    assert_eq!(listed, known, "{SCHEMA} has the names of `CODECS`");
}

#[test]
fn the_schema_has_every_setting() {
    let known = keys(&serde_json::to_value(CodecSettings::default()).unwrap());
    assert_eq!(keys(&schema()["$defs"]["settings"]["properties"]), known, "{SCHEMA} has the fields of `CodecSettings`");
}

#[test]
fn what_is_wrong_with_a_profile_neither_the_code_nor_the_schema_takes() {
    let long = "a".repeat(65);
    for file in [
        "[a]\nnetwork = \"sigfox\"\n".to_owned(),
        "[a]\ncodec = \"adeunis-pulse-v4\"\n".to_owned(),
        "[a]\nnetwork = \"lora\"\ncodec = \"adeunis-pulse-v4\"\n".to_owned(),
        "[a]\nnetwork = \"sigfox\"\ncodec = \"abacus\"\n".to_owned(),
        "a = 3\n".to_owned(),
        format!("[A]\n{RIGHT}"),
        format!("[a_b]\n{RIGHT}"),
        format!("[\"\"]\n{RIGHT}"),
        format!("[{long}]\n{RIGHT}"),
        format!("[a]\n{RIGHT}\n[a]\n{RIGHT}"),
    ] {
        check_refused(&file);
    }
    for line in [
        "colour = \"blue\"",
        "settings = 3",
        "settings.log_perod = 3600",
        "settings.log_period = 0",
        "settings.log_period = 4294967296",
        "settings.logs_per_series = 1",
        "settings.logs_per_series = 65536",
        "settings.counter_bits = 0",
        "settings.counter_bits = 65",
        "callbacks = 3",
        "callbacks.line = \"{device}\"",
        "callbacks.uplink_line = 3",
        "callbacks.bidir_line = [\"{device}\"]",
        "callbacks.aliases = \"id\"",
        "callbacks.aliases.id = 3",
    ] {
        check_refused(&format!("[a]\n{RIGHT}{line}\n"));
    }
}

#[test]
fn a_setting_of_another_type_neither_the_code_nor_the_schema_takes() {
    for setting in keys(&schema()["$defs"]["settings"]["properties"]) {
        for value in ["\"x\"", "-1", "1.5", "[]", "{}", "2026-11-20"] {
            check_refused(&format!("[a]\n{RIGHT}settings.{setting} = {value}\n"));
        }
    }
}
