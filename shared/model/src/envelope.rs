//! Packs uplinks into messages, `{"v":1,"uplinks":[...]}`, and unpacks them. Device events have separate messages,
//! `{"v":1,"events":[...]}`.
//!
//! SQS bills a request in units of 64 KiB, so a full message costs as much as one with a single uplink.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::DeviceEvent;
use crate::uplink::Uplink;

/// One billing unit of SQS (<https://aws.amazon.com/sqs/pricing/>).
pub const MAX_BYTES: usize = 64 * 1024;

const HEAD: &str = r#"{"v":1,"uplinks":["#;
const EVENTS_HEAD: &str = r#"{"v":1,"events":["#;
const TAIL: &str = "]}";

/// A message, and the uplinks that it holds.
#[derive(Debug, PartialEq)]
pub struct Packed {
    /// The message.
    pub body: String,
    /// Their positions in the input.
    pub members: Range<usize>,
}

/// The content of a message.
#[derive(Debug, Default)]
pub struct Unpacked {
    /// Members that were parsed.
    pub uplinks: Vec<Uplink>,
    /// The same for device events.
    pub events: Vec<DeviceEvent>,
    /// Members that could not be parsed. Other members are unaffected.
    pub unreadable: Vec<UnreadableMember>,
}

/// A member of an envelope that is not a valid uplink or event.
#[derive(Debug, PartialEq)]
pub struct UnreadableMember {
    /// The member in an envelope of its own, so that it can be sent again unchanged.
    pub envelope: String,
    /// Why it could not be parsed.
    pub reason: String,
}

/// A message that cannot be parsed at all.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not the JSON of an envelope.
    #[error("not an envelope: {0}")]
    Json(#[from] serde_json::Error),
    /// Of an unknown version.
    #[error("envelope version {0} is not known (this is version 1)")]
    Version(u32),
    /// Neither uplinks nor events.
    #[error("an envelope without uplinks and without events")]
    Empty,
}

/// Packs uplinks in order into as few messages as possible, none longer than [`MAX_BYTES`].
pub fn pack<'a>(uplinks: impl IntoIterator<Item = &'a Uplink>) -> Vec<Packed> {
    pack_members(HEAD, uplinks.into_iter().map(to_json))
}

/// The same for device events.
pub fn pack_events<'a>(events: impl IntoIterator<Item = &'a DeviceEvent>) -> Vec<Packed> {
    pack_members(EVENTS_HEAD, events.into_iter().map(to_json))
}

fn pack_members(head: &str, members: impl Iterator<Item = String>) -> Vec<Packed> {
    let mut messages: Vec<Packed> = Vec::new();
    for (position, text) in members.enumerate() {
        match messages.last_mut() {
            Some(last) if last.body.len() + 1 + text.len() + TAIL.len() <= MAX_BYTES => {
                last.body.push(',');
                last.body.push_str(&text);
                last.members.end = position + 1;
            }
            _ => messages.push(Packed { body: format!("{head}{text}"), members: position..position + 1 }),
        }
    }
    for message in &mut messages {
        message.body.push_str(TAIL);
    }
    messages
}

/// The envelope of one uplink.
pub fn of_one(uplink: &Uplink) -> String {
    format!("{HEAD}{}{TAIL}", to_json(uplink))
}

/// The envelope of one event.
pub fn of_event(event: &DeviceEvent) -> String {
    format!("{EVENTS_HEAD}{}{TAIL}", to_json(event))
}

/// Unpacks a message. Skips unknown fields, so that a newer sender may add some.
///
/// # Errors
/// [`EnvelopeError`] if the message cannot be parsed at all.
pub fn unpack(body: &[u8]) -> Result<Unpacked, EnvelopeError> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    #[derive(Deserialize)]
    struct V1<'a> {
        #[serde(borrow)]
        uplinks: Option<Vec<&'a RawValue>>,
        #[serde(borrow)]
        events: Option<Vec<&'a RawValue>>,
    }
    let Version { v } = serde_json::from_slice(body)?;
    if v != 1 {
        return Err(EnvelopeError::Version(v));
    }
    let V1 { uplinks, events } = serde_json::from_slice(body)?;
    if uplinks.is_none() && events.is_none() {
        return Err(EnvelopeError::Empty);
    }
    let mut unpacked = Unpacked::default();
    unpacked.uplinks = read_members(HEAD, uplinks, &mut unpacked.unreadable);
    unpacked.events = read_members(EVENTS_HEAD, events, &mut unpacked.unreadable);
    Ok(unpacked)
}

fn read_members<T: for<'a> Deserialize<'a>>(
    head: &str,
    members: Option<Vec<&RawValue>>,
    unreadable: &mut Vec<UnreadableMember>,
) -> Vec<T> {
    let mut readable = Vec::new();
    for member in members.unwrap_or_default() {
        match serde_json::from_str(member.get()) {
            Ok(member) => readable.push(member),
            Err(e) => {
                unreadable.push(UnreadableMember { envelope: format!("{head}{member}{TAIL}"), reason: e.to_string() });
            }
        }
    }
    readable
}

#[expect(clippy::expect_used, reason = "members are texts and finite numbers, which JSON always holds")]
fn to_json(member: &impl Serialize) -> String {
    for_queue(serde_json::to_string(member).expect("a member is JSON"))
}

/// Escapes the two characters that JSON allows and SQS does not. They occur only within strings.
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>)
pub(crate) fn for_queue(json: String) -> String {
    if json.contains(['\u{FFFE}', '\u{FFFF}']) {
        return json.replace('\u{FFFE}', "\\ufffe").replace('\u{FFFF}', "\\uffff");
    }
    json
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::uplink::testing::any_uplink;
    use crate::uplink::{MAX_PAYLOAD, Payload};

    fn unpack_all(messages: &[Packed]) -> Vec<Uplink> {
        messages.iter().flat_map(|m| unpack(m.body.as_bytes()).unwrap().uplinks).collect()
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out_in_its_order(uplinks in proptest::collection::vec(any_uplink(), 0..50)) {
            prop_assert_eq!(unpack_all(&pack(&uplinks)), uplinks);
        }

        #[test]
        fn one_uplink_is_packed_as_of_one_writes_it(uplink in any_uplink()) {
            prop_assert_eq!(&pack([&uplink])[0].body, &of_one(&uplink));
        }

        #[test]
        fn no_message_panics(body: Vec<u8>) {
            let _ = unpack(&body);
        }

        #[test]
        fn no_message_is_longer_than_a_billing_unit_and_none_could_have_joined_the_one_before(
            mut uplink in any_uplink(), lengths in proptest::collection::vec(0..=MAX_PAYLOAD, 1..60)
        ) {
            let mut uplinks = Vec::new();
            for length in lengths {
                uplink.payload = Payload::from_bytes(&vec![0xA5; length])?;
                uplinks.push(uplink.clone());
            }
            let messages = pack(&uplinks);
            for message in &messages {
                prop_assert!(message.body.len() <= MAX_BYTES);
            }
            for pair in messages.windows(2) {
                let next = to_json(&uplinks[pair[1].members.start]).len();
                prop_assert!(pair[0].body.len() + 1 + next > MAX_BYTES);
            }
            let members: Vec<usize> = messages.into_iter().flat_map(|m| m.members).collect();
            prop_assert_eq!(members, (0..uplinks.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nothing_packs_into_no_message() {
        assert_eq!(pack([]), []);
    }

    #[test]
    fn one_unreadable_member_leaves_its_neighbours_readable() {
        let good = r#"{"device":"sigfox:1A2345","kind":"data","at":"2026-11-20T12:00:00Z","time_source":"network",
            "profile":"adeunis-pulse-v4","payload":"46","from_the_future":true}"#;
        let body = format!(r#"{{"v":1,"uplinks":[{good},{{"device":"sigfox:XYZ"}},{good}]}}"#);
        let unpacked = unpack(body.as_bytes()).unwrap();
        assert_eq!(unpacked.uplinks.len(), 2);
        assert_eq!(unpacked.unreadable[0].envelope, r#"{"v":1,"uplinks":[{"device":"sigfox:XYZ"}]}"#);
        assert!(unpacked.unreadable[0].reason.contains("not a Sigfox device ID"), "{:?}", unpacked.unreadable);
    }

    #[test]
    fn another_version_is_refused_whole() {
        assert!(matches!(unpack(br#"{"v":2,"frames":[]}"#), Err(EnvelopeError::Version(2))));
    }
}
