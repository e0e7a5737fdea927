//! Parses any bytes as a message of a queue.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pulsegate_fuzz::are_kept;
use pulsegate_model::envelope;
use pulsegate_model::envelope::UnreadableMember;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(unpacked) = envelope::unpack(bytes) {
        unpacked.unreadable.into_iter().for_each(stays_unreadable);
        are_kept(&unpacked.uplinks);
    }
});

/// Asserts that an unreadable member is the same after quarantine.
fn stays_unreadable(member: UnreadableMember) {
    let unpacked = envelope::unpack(member.envelope.as_bytes()).unwrap();
    assert_eq!(unpacked.uplinks, []);
    assert_eq!(unpacked.unreadable, [member]);
}
