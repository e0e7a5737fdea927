//! What fuzzing starts from, `fuzz/seeds/`: the project's own examples, which the page and the events have too.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use pulsegate_tests::document::bytes;
use pulsegate_tests::{events, repository};
use shared::aggregate;
use shared::sigfox::CallbackKind;

type Seeds = BTreeMap<String, Vec<u8>>;

fn datagrams() -> Seeds {
    let coap = bytes("CoAP request");
    let head = coap.iter().position(|&byte| byte == 0xFF).unwrap() + 1;
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

fn of_the_stream() -> Seeds {
    let event = events::read("raw-nbiot.json");
    let record = BASE64_STANDARD.decode(event["Records"][0]["kinesis"]["data"].as_str().unwrap()).unwrap();
    let user_record = aggregate::user_records(&record).unwrap().swap_remove(0);
    let body = |file: &str| events::read(file)["Records"][0]["body"].as_str().unwrap().as_bytes().to_vec();
    let messages = ["pulse-nbiot", "pulse-sigfox", "pulse-sigfox-undecodable"];
    let messages = messages.map(|event| (event.to_owned(), body(&format!("{event}.json"))));
    [("record".to_owned(), record), ("user-record".to_owned(), user_record)].into_iter().chain(messages).collect()
}

/// The kind, the query, a zero and the body of each callback of `events/`.
fn callbacks() -> Seeds {
    let seed = |file: &str| {
        let event = events::read(file);
        let kind = event["pathParameters"]["kind"].as_str().unwrap();
        let kind = CallbackKind::ALL.iter().position(|known| known.name() == kind).unwrap();
        let query = event["rawQueryString"].as_str().unwrap().as_bytes();
        [&[u8::try_from(kind).unwrap()], query, &[0], &events::body(&event)].concat()
    };
    let files = events::listed().into_iter().map(|listed| listed.file);
    let callbacks = files.filter_map(|file| {
        let name = file.strip_prefix("sigfox-callback-")?.strip_suffix(".json")?.to_owned();
        Some((name, seed(&file)))
    });
    callbacks.collect()
}

fn frames() -> Seeds {
    let frame = |message: serde_json::Value| {
        let hex = message["hex"].as_str().or(message["body"]["data"].as_str());
        hex.map(|hex| hex::decode(hex).unwrap())
    };
    let frames = events::demo_messages().into_iter().filter_map(frame);
    frames.enumerate().map(|(n, frame)| (format!("frame-{n}"), frame)).collect()
}

fn check(target: &str, expected: &Seeds) {
    let files = std::fs::read_dir(repository(&format!("fuzz/seeds/{target}"))).unwrap().map(Result::unwrap);
    let seeds: Seeds =
        files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect();
    assert_eq!(&seeds, expected, "{target}");
}

#[test]
fn fuzzing_starts_from_the_projects_own_examples() {
    check("datagram", &datagrams());
    check("callback", &callbacks());
    check("stream", &of_the_stream());
    check("codec", &frames());
}
