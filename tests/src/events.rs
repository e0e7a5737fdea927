//! The files of `events/`, and of the demo.

use std::collections::BTreeSet;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use pulsegate_model::at::At;
use pulsegate_model::pulse::PulseItem;
use serde_json::Value;

use crate::template::Template;

/// An event, as Lambda would hand it over.
pub fn read(name: &str) -> Value {
    json(&format!("events/{name}"))
}

/// A file of `events/`, as `events/README.md` lists it.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub file: String,
    /// The function it is handed to, by its name in the template.
    pub function: String,
    /// What the answer to it must hold.
    pub answer: Value,
}

/// The table of `events/README.md`: every row that begins with a file's name.
pub fn listed() -> Vec<Listed> {
    crate::read("events/README.md")
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains(".json`"))
        .map(row)
        .collect()
}

fn row(line: &str) -> Listed {
    let cells: Vec<_> = line.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`')).collect();
    let [file, _, function, answer] = cells[..] else { panic!("not file, what, function and answer: {line}") };
    let answer = serde_json::from_str(answer).unwrap_or_else(|e| panic!("{answer}: {e}"));
    Listed { file: file.to_owned(), function: function.to_owned(), answer }
}

/// The names of the files that are there.
pub fn files() -> BTreeSet<String> {
    let entries = std::fs::read_dir(crate::repository("events")).unwrap_or_else(|e| panic!("events: {e}"));
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name != "README.md").collect()
}

/// Which function a file is for: the one whose name, in lower case with hyphens, is the longest that the file's begins
/// with.
pub fn function_of(file: &str, template: &Template) -> Option<String> {
    let functions = template.resources_of("AWS::Serverless::Function").into_iter().map(|(name, _)| name);
    let begun = functions.filter(|name| file.starts_with(&hyphenated(name)));
    begun.max_by_key(|name| name.len()).map(ToOwned::to_owned)
}

/// `RawSigfox` as `raw-sigfox`.
fn hyphenated(name: &str) -> String {
    let letter = |c: char| if c.is_uppercase() { format!("-{}", c.to_lowercase()) } else { c.to_string() };
    name.chars().map(letter).collect::<String>().trim_start_matches('-').to_owned()
}

/// Whether an answer holds what is expected of it: of an object every member, of anything else all of it.
pub fn answers(answer: &Value, expected: &Value) -> bool {
    match expected {
        Value::Object(members) => members.iter().all(|(name, value)| answer.get(name) == Some(value)),
        other => answer == other,
    }
}

/// The body of a callback of the demo: JSON, or the lines of a batch in a form.
pub fn demo_body(message: &Value) -> String {
    match message["batch"].as_array() {
        Some(lines) => {
            let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
            format!("batch={}", lines.join("%0A").replace(';', "%3B"))
        }
        None => message["body"].to_string(),
    }
}

/// The body of a callback's event, as it came in.
pub fn body(event: &Value) -> Vec<u8> {
    let text = event["body"].as_str().unwrap_or_default();
    let decoded = event["isBase64Encoded"].as_bool().unwrap_or_default().then(|| BASE64_STANDARD.decode(text));
    decoded.map_or_else(|| text.as_bytes().to_vec(), |bytes| bytes.unwrap_or_else(|e| panic!("{text}: {e}")))
}

/// The messages of `tools/demo.json`.
pub fn demo_messages() -> Vec<Value> {
    json("tools/demo.json")["messages"].as_array().cloned().unwrap_or_default()
}

/// The points that `tools/demo.json` says must come out, each without what cannot be foretold (when a datagram without
/// a clock arrived).
pub fn demo_expected() -> Vec<Value> {
    json("tools/demo.json")["expected"].as_array().cloned().unwrap_or_default()
}

/// Whether an item of the pulses table holds a point of `tools/demo.json`.
pub fn holds(item: &Value, expected: &Value) -> bool {
    let item: PulseItem = serde_json::from_value(item.clone()).unwrap_or_else(|e| panic!("{item}: {e}"));
    let same = |field: &str, value: Value| expected[field].is_null() || expected[field] == value;
    let same_point = |(logs_before, (index, at)): (usize, (u64, Option<At>))| {
        same("index", index.into())
            && same("logs_before", logs_before.into())
            && same("at", at.map(|at| at.to_string()).into())
    };
    let counts = item.channels.iter().filter(|(channel, _)| same("channel", channel.as_str().into()));
    same("device", item.device.to_string().into())
        && counts.into_iter().any(|(_, counts)| counts.dated().enumerate().any(same_point))
}

fn json(path: &str) -> Value {
    serde_json::from_str(&crate::read(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}
