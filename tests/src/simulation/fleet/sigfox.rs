//! Callbacks: single and in batches, the same uplink in several, advanced ones, and invalid and unauthenticated ones.

use std::sync::Arc;

use fastrand::Rng;
use serde_json::{Value, json};
use sigfox_callback::MAX_CONTENT;
use test_kit::sigfox::batch_body;

use super::{Callback, Fleet, Reading, moment};

/// The secret of the callbacks.
pub const SECRET: &str = "a secret for simulated callbacks";

/// Readings of a device.
const SERIES: usize = 8;

/// The most lines of a batch.
const LINES: usize = 60;

const PROFILES: [&str; 2] = ["adeunis-pulse-v4", "adeunis-pulse-v4-1h"];

/// Adds at least this many uplinks, and the invalid requests of the callback.
pub(super) fn add(fleet: &mut Fleet, rng: &mut Rng, uplinks: usize) {
    let mut lines = [Vec::new(), Vec::new()];
    let first = rng.u32(..0x00FF_0000);
    for device in 0..uplinks.div_ceil(SERIES) {
        let device = format!("{:X}", first + u32::try_from(device).unwrap_or(0));
        let profile = rng.usize(..PROFILES.len());
        for reading in Reading::series(rng, SERIES) {
            uplink(fleet, rng, profile, &device, &reading, &mut lines[profile]);
        }
    }
    for (profile, mut lines) in PROFILES.iter().zip(lines) {
        rng.shuffle(&mut lines);
        batches(fleet, rng, profile, &lines);
    }
    noise(fleet, rng);
    rejected(fleet, rng);
}

/// Adds an uplink, in one callback or in several with the same data.
fn uplink(fleet: &mut Fleet, rng: &mut Rng, profile: usize, device: &str, reading: &Reading, lines: &mut Vec<String>) {
    let (frame, profile) = (reading.frame(false), PROFILES[profile]);
    let owner = format!("sigfox:{device}");
    let Reading { at, sequence, .. } = reading;
    let line = format!("{device};{at};{frame};{sequence}");
    let single = json!({"device": device, "time": at, "data": frame, "seqNumber": sequence});
    let ways = rng.u8(..);
    if ways < 60 {
        push(fleet, rng, profile, "uplink", single.to_string(), 204);
    }
    if ways >= 40 {
        lines.push(line.clone());
    }
    if ways >= 240 {
        lines.push(line);
    }
    let message = |kind: &str| {
        json!({
            "device": owner, "kind": kind, "at": reading.when(), "time_source": "network", "sequence": sequence,
            "profile": profile, "payload": frame,
        })
    };
    fleet.expected.uplink(reading, message("data"));
    if rng.u8(..) < 16 {
        let advanced = json!({
            "device": device, "time": at, "data": frame, "seqNumber": sequence, "lqi": "Good", "countryCode": 528,
            "computedLocation": {"lat": 52.0116, "lng": 4.3571, "radius": 7_800, "source": 2, "status": 1},
        });
        for _ in 0..rng.u8(1..3) {
            push(fleet, rng, profile, "data-advanced", advanced.to_string(), 204);
        }
        fleet.expected.uplink(reading, message("data-advanced"));
        fleet.expected.event(json!({
            "device": owner, "kind": "data-advanced", "at": reading.when(), "sequence": sequence, "profile": profile,
            "says": {
                "link_quality": "good", "country": 528,
                "location": {"lat": 52.0116, "lng": 4.3571, "radius_metres": 7_800.0, "source": 2},
            },
        }));
    }
}

fn batches(fleet: &mut Fleet, rng: &mut Rng, profile: &str, mut lines: &[String]) {
    while !lines.is_empty() {
        let (batch, rest) = lines.split_at(rng.usize(1..=LINES).min(lines.len()));
        let mut batch = batch.to_vec();
        if rng.u8(..) < 16 {
            let bad = format!("line {} that is none", rng.u32(..));
            fleet.expected.quarantined.insert(bad.clone());
            batch.push(bad);
        }
        push(fleet, rng, profile, "uplink", batch_body(&batch.join("\n")), 204);
        lines = rest;
    }
}

/// Messages that are answered 204 and cannot be parsed.
fn noise(fleet: &mut Fleet, rng: &mut Rng) {
    for _ in 0..3 {
        let body = json!({"device": "{device}", "time": rng.u32(..), "data": "46"}).to_string();
        fleet.expected.quarantined.insert(body.clone());
        push(fleet, rng, PROFILES[0], "uplink", body, 204);
        let body = format!("noise {}", rng.u32(..));
        fleet.expected.quarantined.insert(body.clone());
        fleet.raw_noise.push(body);
        let member = format!(r#"{{"v":1,"uplinks":[{{"device":"sigfox:XYZ","noise":{}}}]}}"#, rng.u32(..));
        fleet.expected.quarantined.insert(member.clone());
        fleet.pulse_noise.push(member);
    }
}

/// Requests that the callback rejects.
fn rejected(fleet: &mut Fleet, rng: &mut Rng) {
    let body = json!({"device": "BAD", "time": super::NOON, "data": "46800000009f00000002"}).to_string();
    push_as(fleet, rng, "a secret guessed", [PROFILES[0], "uplink"], body.clone(), 401);
    push(fleet, rng, "acme", "uplink", body.clone(), 404);
    push(fleet, rng, PROFILES[0], "nonsense", body, 404);
    if rng.u8(..) < 32 {
        push(fleet, rng, PROFILES[0], "uplink", "x".repeat(MAX_CONTENT + 1), 413);
    }
}

fn push(fleet: &mut Fleet, rng: &mut Rng, profile: &str, kind: &str, body: String, status: u16) {
    push_as(fleet, rng, SECRET, [profile, kind], body, status);
}

fn push_as(fleet: &mut Fleet, rng: &mut Rng, secret: &str, [profile, kind]: [&str; 2], body: String, status: u16) {
    let event = json!({
        "pathParameters": {"profile": profile, "kind": kind},
        "headers": {"authorization": format!("Bearer {secret}")},
        "body": Value::String(body),
    });
    let request = serde_json::from_value(event).unwrap_or_else(|e| panic!("{e}"));
    fleet.expected.refused += usize::from(status >= 400);
    fleet.callbacks.push(Callback { at: moment(rng), request: Arc::new(request), status });
}
