//! Parses any bytes as a callback of each kind.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pulsegate_model::device::Network;
use pulsegate_model::envelope;
use pulsegate_model::profile;
use pulsegate_pipeline::sigfox::{CallbackKind, Content, read};

/// The first byte selects the kind. The query extends to the first zero byte, and the body follows.
fn callback(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let (query, body) =
        rest.iter().position(|&byte| byte == 0).map_or((&[][..], rest), |at| (&rest[..at], &rest[at + 1..]));
    let query = String::from_utf8_lossy(query);
    let kind = CallbackKind::ALL[usize::from(first) % CallbackKind::ALL.len()];
    let profile = profile::find(Network::Sigfox, "adeunis-pulse-v4").unwrap();
    let messages = read("fuzz", kind, profile, &Content { body, query: &query, extra: Vec::new() });

    // Every callback results in at least one message, and every message fits into the queue.
    assert!(messages.uplinks.len() + messages.events.len() + messages.unreadable.len() > 0);
    assert!(messages.downlink_requests.len() <= messages.uplinks.len());
    let packed = envelope::pack(&messages.uplinks).into_iter().chain(envelope::pack_events(&messages.events));
    let mut members = 0;
    for message in packed {
        assert!(message.body.len() <= envelope::MAX_BYTES);
        let unpacked = envelope::unpack(message.body.as_bytes()).unwrap();
        assert_eq!(unpacked.unreadable, []);
        members += unpacked.uplinks.len() + unpacked.events.len();
    }
    assert_eq!(members, messages.uplinks.len() + messages.events.len());
    for record in &messages.unreadable {
        assert!(record.to_message().len() <= 1024 * 1024);
    }
}

fuzz_target!(|bytes: &[u8]| callback(bytes));
