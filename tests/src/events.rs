//! The files of `events/`.

use serde_json::Value;

/// An event, as Lambda would hand it over.
pub fn read(name: &str) -> Value {
    serde_json::from_str(&crate::read(&format!("events/{name}"))).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The messages of `events/demo.json`.
pub fn demo_messages() -> Vec<Value> {
    read("demo.json")["messages"].as_array().cloned().unwrap_or_default()
}

/// The points that `events/demo.json` says must come out, each without what cannot be foretold (when a datagram without
/// a clock arrived).
pub fn demo_expected() -> Vec<Value> {
    read("demo.json")["expected"].as_array().cloned().unwrap_or_default()
}

/// Whether an item of the pulses table holds a point of `events/demo.json`.
pub fn holds(item: &Value, expected: &Value) -> bool {
    let points = item["channels"][expected["channel"].as_str().unwrap_or_default()].as_array().into_iter().flatten();
    let same = |point: &Value, field: &str| expected[field].is_null() || expected[field] == point[field];
    item["device"] == expected["device"]
        && points.into_iter().any(|point| ["index", "at", "logs_before"].iter().all(|field| same(point, field)))
}
