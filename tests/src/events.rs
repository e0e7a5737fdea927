//! The files of `events/`, and the demo's messages.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use pulsegate_model::at::At;
use pulsegate_model::pulse::PulseItem;
use serde_json::Value;

use crate::template::Template;

/// Reads an event, as Lambda passes it to a function.
pub fn read(name: &str) -> Value {
    json(&format!("events/{name}"))
}

/// A row of the table in `events/README.md`.
#[derive(Debug)]
pub struct Listed {
    /// Name of the file.
    pub file: String,
    /// Function that takes the event, by its name in the template.
    pub function: String,
    /// Members that the answer must have.
    pub answer: Value,
}

/// Reads the table of `events/README.md`: every row that begins with a file name.
pub fn listed() -> Vec<Listed> {
    crate::read("events/README.md")
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains(".json`"))
        .map(row)
        .collect()
}

fn row(line: &str) -> Listed {
    let cells: Vec<_> = line.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`')).collect();
    let [file, _, function, answer] = cells[..] else {
        panic!("expected the columns file, what, function, answer: {line}")
    };
    let answer = serde_json::from_str(answer).unwrap_or_else(|e| panic!("{answer}: {e}"));
    Listed { file: file.to_owned(), function: function.to_owned(), answer }
}

/// Returns the names of the event files.
pub fn files() -> BTreeSet<String> {
    let entries = std::fs::read_dir(crate::repository("events")).unwrap_or_else(|e| panic!("events: {e}"));
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name != "README.md").collect()
}

/// Returns the function that a file is for: the longest one of those whose name, in lower case with hyphens, begins the
/// file's name.
pub fn function_of(file: &str, template: &Template) -> Option<String> {
    let functions = template.resources_of("AWS::Serverless::Function").into_iter().map(|(name, _)| name);
    let begun = functions.filter(|name| file.starts_with(&hyphenated(name)));
    begun.max_by_key(|name| name.len()).map(ToOwned::to_owned)
}

/// Turns `RawSigfox` into `raw-sigfox`.
fn hyphenated(name: &str) -> String {
    let letter = |c: char| if c.is_uppercase() { format!("-{}", c.to_lowercase()) } else { c.to_string() };
    name.chars().map(letter).collect::<String>().trim_start_matches('-').to_owned()
}

/// Returns whether an answer is as expected: an object has every expected member, any other value is equal.
pub fn answers(answer: &Value, expected: &Value) -> bool {
    match expected {
        Value::Object(members) => members.iter().all(|(name, value)| answer.get(name) == Some(value)),
        other => answer == other,
    }
}

/// Returns the body of a callback of the demo: JSON, or the lines of a batch in a form.
pub fn demo_body(message: &Value) -> String {
    match message["batch"].as_array() {
        Some(lines) => {
            let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
            format!("batch={}", lines.join("%0A").replace(';', "%3B"))
        }
        None => message["body"].to_string(),
    }
}

/// Returns the body of a callback's event, decoded.
pub fn body(event: &Value) -> Vec<u8> {
    let text = event["body"].as_str().unwrap_or_default();
    let decoded = event["isBase64Encoded"].as_bool().unwrap_or_default().then(|| BASE64_STANDARD.decode(text));
    decoded.map_or_else(|| text.as_bytes().to_vec(), |bytes| bytes.unwrap_or_else(|e| panic!("{text}: {e}")))
}

/// The time from 2026-11-20, the day of the demo's messages, to today, in seconds.
static SINCE_THE_DEMO: LazyLock<u64> = LazyLock::new(|| {
    let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400;
    (today - 20_777) * 86_400
});

/// Messages and expected points of the demo, with the clocks of NB-IoT meters set to today, as `tools/demo.py` does.
pub fn demo_today() -> (Vec<Value>, Vec<Value>) {
    let seconds = *SINCE_THE_DEMO;
    let (mut messages, mut expected) = (demo_messages(), demo_expected());
    for message in &mut messages {
        for form in ["sealed", "coap"] {
            if let Some(time) = message[form]["time"].as_u64() {
                message[form]["time"] = (time + seconds).into();
            }
        }
        if message["ends_with_clock"] == true {
            let (frame, clock) = message["hex"].as_str().unwrap_or_default().split_at(46);
            let clock = u64::from_str_radix(clock, 16).unwrap_or_else(|e| panic!("{message}: {e}"));
            message["hex"] = format!("{frame}{:08x}", clock + seconds).into();
        }
    }
    for point in expected.iter_mut().filter(|point| point["device"].as_str().is_some_and(|id| id.starts_with("nbiot:")))
    {
        if let Some(at) = point["at"].as_str().and_then(|at| at.parse::<At>().ok()?.checked_add(seconds)) {
            point["at"] = at.to_string().into();
        }
    }
    (messages, expected)
}

/// Reads the messages of `tools/demo.json`.
pub fn demo_messages() -> Vec<Value> {
    json("tools/demo.json")["messages"].as_array().cloned().unwrap_or_default()
}

/// Reads the expected points of `tools/demo.json`, each without unpredictable fields (the arrival time of a datagram
/// without a clock).
pub fn demo_expected() -> Vec<Value> {
    json("tools/demo.json")["expected"].as_array().cloned().unwrap_or_default()
}

/// Returns whether an item of the pulses table has a point of `tools/demo.json`.
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
