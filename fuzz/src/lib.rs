//! Feeds whatever a fuzzer comes up with to all that reads strangers' bytes. `make fuzz` runs it.
//!
//! # Layout
//!
//! - `fuzz_targets/datagram.rs`: what comes in at the bridge's listeners.
//! - `fuzz_targets/callback.rs`: what Sigfox sends.
//! - `fuzz_targets/stream.rs`, `envelope.rs`: what comes out of the Kinesis stream and out of the queues.
//! - `fuzz_targets/codec-*.rs`: what a meter's frame says, a target for each maker.
//!
//! They start from the project's own examples, which `make fuzz` puts into `seeds/` (`tests/src/seeds.rs`). What a run finds
//! new is kept in `corpus/`, and what it ends at in `artifacts/`; none of these belongs to the repository.

use shared::at::At;
use shared::device::Network;
use shared::profile::{PROFILES, Profile};
use shared::pulse::{self, PulseItem};
use shared::uplink::{Kind, Payload, Radio, TimeSource, Uplink};
use shared::{envelope, record};

/// 2026-11-20T12:00:00Z.
const NOW: i64 = 1_795_176_000;

/// Less than a day after the calendar's beginning, where a history ends early.
const EARLY: i64 = 60_000;

/// A frame of the devices of a maker: it becomes an item, and that the same each time, or it is refused.
pub fn frame(maker: &str, bytes: &[u8]) {
    for profile in PROFILES.iter().filter(|profile| profile.codec.name.starts_with(maker)) {
        let read = (profile.codec.decode)(bytes, &profile.settings);
        let Ok(payload) = Payload::from_bytes(bytes) else { continue };
        // To make an item takes far longer than to read a frame, so only one of the two is made.
        let at = if bytes.len() % 2 == 0 { NOW } else { EARLY };
        let uplink = uplink(profile, at, payload);
        let stored = pulse::item(&uplink);
        assert_eq!(stored.is_ok(), read.is_ok(), "{stored:?}");
        if let Ok(item) = stored {
            let item: PulseItem = serde_dynamo::from_item(item).unwrap();
            assert_eq!(item, pulse::decode(&uplink).unwrap());
            for counts in item.channels.values() {
                assert_eq!(counts.dated().count(), counts.indexes.len());
            }
        }
    }
}

fn uplink(profile: &Profile, at: i64, payload: Payload) -> Uplink {
    let device = match profile.network {
        Network::Sigfox => "sigfox:1A2345",
        Network::Nbiot => "nbiot:490154203237518",
    };
    Uplink {
        device: device.parse().unwrap(),
        kind: Kind::Data,
        at: At::from_unix(at).unwrap(),
        time_source: TimeSource::Network,
        sequence: Some(3),
        profile: profile.uplink_name(),
        payload,
        radio: Radio::default(),
    }
}

/// What could be read once is the same after the stream, and after the queues.
pub fn are_kept(uplinks: &[Uplink]) {
    for uplink in uplinks {
        let mut user_record = Vec::new();
        record::encode(uplink, &mut user_record);
        assert_eq!(record::decode(&user_record).as_ref().ok(), Some(uplink));
    }
    let mut unpacked = Vec::new();
    for message in envelope::pack(uplinks) {
        assert!(message.body.len() <= envelope::MAX_BYTES);
        unpacked.extend(envelope::unpack(message.body.as_bytes()).unwrap().uplinks);
    }
    assert_eq!(unpacked, uplinks);
}
