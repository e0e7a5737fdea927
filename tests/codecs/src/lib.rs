//! Frames of real devices, `tests/codecs/*.yaml`: one file per vendor, one case per frame.

use std::fs;
use std::path::{Path, PathBuf};

use pulsegate_model::profile::PROFILES;
use pulsegate_model::pulse;
use pulsegate_model::uplink::Uplink;
use serde_json::{Value, json};

pub mod yaml;

/// When the network received the frame of a case that does not say it.
const RECEIVED: &str = "2026-11-20T12:00:00Z";

/// Returns the path of a file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Reads a file of the repository.
pub fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Returns every case with its file.
pub fn cases() -> impl Iterator<Item = (String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let files = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut files: Vec<_> = files.filter(|file| Path::new(file).extension().is_some_and(|of| of == "yaml")).collect();
    files.sort();
    files.into_iter().flat_map(move |file| {
        let text = fs::read_to_string(folder.join(&file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let cases = yaml::parse(&file, &text);
        let cases = cases.as_array().cloned().unwrap_or_else(|| panic!("{file} is not a list"));
        cases.into_iter().map(move |case| (file.clone(), case))
    })
}

/// Decodes a case's frame to its item.
///
/// # Errors
/// The reason of quarantine.
pub fn decode(case: &Value) -> Result<Value, String> {
    let item = pulse::decode(&uplink(case)).map_err(|e| e.to_string())?;
    Ok(serde_json::to_value(item).unwrap_or_else(|e| panic!("{e}")))
}

/// Returns a case's frame as a delivered uplink.
pub fn uplink(case: &Value) -> Uplink {
    let name = case["profile"].as_str().unwrap_or_default();
    let profile = PROFILES.iter().find(|profile| profile.name == name);
    let profile = profile.unwrap_or_else(|| panic!("{}: there is no profile {name:?}", case["name"]));
    let device = case["device"].as_str().unwrap_or(match profile.network {
        pulsegate_model::device::Network::Sigfox => "sigfox:1A2345",
        pulsegate_model::device::Network::Nbiot => "nbiot:490154203237518",
    });
    let uplink = json!({
        "device": device, "kind": "data", "at": case["received"].as_str().unwrap_or(RECEIVED), "time_source": "network",
        "sequence": case["sequence"].as_u64().unwrap_or(42), "profile": name, "payload": hex(case),
    });
    serde_json::from_value(uplink).unwrap_or_else(|e| panic!("{}: {e}", case["name"]))
}

/// Returns the frame of a case.
pub fn payload(case: &Value) -> Vec<u8> {
    hex::decode(hex(case)).unwrap_or_else(|e| panic!("{}: {e}", case["name"]))
}

/// Returns the frame in hex; a text frame is stored as text.
fn hex(case: &Value) -> String {
    case["text"].as_str().map_or_else(|| case["hex"].as_str().unwrap_or_default().to_owned(), hex::encode)
}
