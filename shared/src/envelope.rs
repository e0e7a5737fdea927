//! Uplinks packed into messages, `{"v":1,"uplinks":[...]}`, and unpacked again.
//!
//! A request to SQS is billed by 64 KiB, so a message of that size costs what a message with one uplink costs.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::uplink::Uplink;

/// One billing unit of SQS (<https://aws.amazon.com/sqs/pricing/>).
pub const MAX_BYTES: usize = 64 * 1024;

const HEAD: &str = r#"{"v":1,"uplinks":["#;
const TAIL: &str = "]}";

/// A message, and which of the packed uplinks it holds.
#[derive(Debug, PartialEq)]
pub struct Packed {
    /// The message.
    pub body: String,
    /// Positions in what was packed.
    pub members: Range<usize>,
}

/// What a message held.
#[derive(Debug, Default)]
pub struct Unpacked {
    /// What could be read.
    pub uplinks: Vec<Uplink>,
    /// What could not, each by itself: its neighbours are none the worse.
    pub unreadable: Vec<Unreadable>,
}

/// A member of an envelope that is no uplink.
#[derive(Debug, PartialEq)]
pub struct Unreadable {
    /// The member, as it stood there.
    pub text: String,
    /// Why it is none.
    pub reason: String,
}

/// The message as a whole cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not the JSON of an envelope.
    #[error("not an envelope: {0}")]
    Json(#[from] serde_json::Error),
    /// Of a version this code does not know.
    #[error("envelope version {0} is not known (this is version 1)")]
    Version(u32),
}

/// Packs uplinks in their order into as few messages as hold them, none longer than [`MAX_BYTES`].
pub fn pack<'a>(uplinks: impl IntoIterator<Item = &'a Uplink>) -> Vec<Packed> {
    let mut messages: Vec<Packed> = Vec::new();
    for (position, uplink) in uplinks.into_iter().enumerate() {
        let text = to_json(uplink);
        match messages.last_mut() {
            Some(last) if last.body.len() + 1 + text.len() + TAIL.len() <= MAX_BYTES => {
                last.body.push(',');
                last.body.push_str(&text);
                last.members.end = position + 1;
            }
            _ => messages.push(Packed { body: format!("{HEAD}{text}"), members: position..position + 1 }),
        }
    }
    for message in &mut messages {
        message.body.push_str(TAIL);
    }
    messages
}

/// The envelope of one uplink.
pub fn of_one(uplink: &Uplink) -> String {
    of_text(&to_json(uplink))
}

/// The envelope of one member as it stands, readable or not.
pub fn of_text(member: &str) -> String {
    format!("{HEAD}{member}{TAIL}")
}

/// Opens a message. Fields it does not know are skipped, so that a newer sender may add some.
///
/// # Errors
/// [`EnvelopeError`] when nothing of it can be read.
pub fn unpack(body: &[u8]) -> Result<Unpacked, EnvelopeError> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    #[derive(Deserialize)]
    struct V1<'a> {
        #[serde(borrow)]
        uplinks: Vec<&'a RawValue>,
    }
    let Version { v } = serde_json::from_slice(body)?;
    if v != 1 {
        return Err(EnvelopeError::Version(v));
    }
    let V1 { uplinks } = serde_json::from_slice(body)?;
    let mut unpacked = Unpacked::default();
    for member in uplinks {
        match serde_json::from_str(member.get()) {
            Ok(uplink) => unpacked.uplinks.push(uplink),
            Err(e) => unpacked.unreadable.push(Unreadable { text: member.get().to_owned(), reason: e.to_string() }),
        }
    }
    Ok(unpacked)
}

#[expect(clippy::expect_used, reason = "an uplink is texts and finite numbers, which JSON always holds")]
fn to_json(uplink: &Uplink) -> String {
    serde_json::to_string(uplink).expect("an uplink is JSON")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::uplink::tests::any_uplink;
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
        assert_eq!(unpacked.unreadable[0].text, r#"{"device":"sigfox:XYZ"}"#);
        assert!(unpacked.unreadable[0].reason.contains("not a Sigfox device ID"), "{:?}", unpacked.unreadable);
    }

    #[test]
    fn another_version_is_refused_whole() {
        assert!(matches!(unpack(br#"{"v":2,"frames":[]}"#), Err(EnvelopeError::Version(2))));
    }
}
