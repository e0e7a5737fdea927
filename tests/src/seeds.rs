//! Seed inputs of the fuzz targets, from the project's own examples. The target `codec-<file>` fuzzes the codecs whose
//! names begin with `<file>`, a file of `tests/codecs/` without its ending.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use pulsegate_model::aggregate;
use pulsegate_pipeline::sigfox::CallbackKind;
use serde_json::Value;

use crate::document::bytes;
use crate::events;

/// Inputs of one target, by name.
pub type Seeds = BTreeMap<String, Vec<u8>>;

/// Returns the inputs of every target.
pub fn all() -> BTreeMap<String, Seeds> {
    let fixed = [("callback", callbacks()), ("datagram", datagrams()), ("envelope", messages()), ("stream", records())];
    let mut all: BTreeMap<String, Seeds> = fixed.map(|(target, seeds)| (target.to_owned(), seeds)).into();
    for (file, case) in frames::cases() {
        let target = format!("codec-{}", file.trim_end_matches(".yaml"));
        all.entry(target).or_default().insert(text(&case["name"]), frames::payload(&case));
    }
    all
}

/// Datagrams as the listeners receive them.
fn datagrams() -> Seeds {
    let coap = bytes("CoAP request");
    let head = coap.iter().position(|&byte| byte == 0xFF).map_or(coap.len(), |at| at + 1);
    let documented = [
        ("sealed", bytes("Uplink")),
        ("coap-in-the-clear", [&coap[..head], &bytes("Payload")].concat()),
        ("coap-sealed", coap),
        ("coap-settled", bytes("CoAP empty ACK of the meter")),
    ];
    let sent = events::demo_messages().into_iter().filter_map(|message| hex::decode(message["hex"].as_str()?).ok());
    let sent = sent.enumerate().map(|(n, datagram)| (format!("vendor-{n}"), datagram));
    documented.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).chain(sent).collect()
}

/// An aggregated record and its user records.
fn records() -> Seeds {
    let event = events::read("raw-nbiot.json");
    let record = text(&event["Records"][0]["kinesis"]["data"]);
    let record = BASE64_STANDARD.decode(record).unwrap_or_else(|e| panic!("{e}"));
    let user_records = aggregate::user_records(&record).unwrap_or_else(|| panic!("an aggregated record"));
    let named = user_records.into_iter().enumerate().map(|(n, record)| (format!("user-record-{n}"), record));
    named.chain([("record".to_owned(), record)]).collect()
}

/// Bodies of queue messages.
fn messages() -> Seeds {
    let body = |name: &str| text(&events::read(&format!("{name}.json"))["Records"][0]["body"]).into_bytes();
    let names = ["pulse-nbiot", "pulse-sigfox", "pulse-sigfox-undecodable", "raw-sigfox"];
    names.map(|name| (name.to_owned(), body(name))).into()
}

/// The kind, the query, a zero and the body of each callback of `events/`.
fn callbacks() -> Seeds {
    let seed = |file: &str| {
        let event = events::read(file);
        let kind = CallbackKind::ALL.iter().position(|kind| event["pathParameters"]["kind"] == kind.name());
        let kind =
            kind.and_then(|kind| u8::try_from(kind).ok()).unwrap_or_else(|| panic!("{file} has an unknown kind"));
        [&[kind], text(&event["rawQueryString"]).as_bytes(), &[0], &events::body(&event)].concat()
    };
    let files = events::listed().into_iter().map(|listed| listed.file);
    let callbacks = files.filter_map(|file| {
        let name = file.strip_prefix("sigfox-callback-")?.strip_suffix(".json")?.to_owned();
        Some((name, seed(&file)))
    });
    callbacks.collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text")).to_owned()
}
