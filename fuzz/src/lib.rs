//! Feeds whatever a fuzzer comes up with to all that reads strangers' bytes. `make fuzz` runs it.
//!
//! # Layout
//!
//! - `fuzz_targets/datagram.rs`: what comes in at the bridge's listeners.
//! - `fuzz_targets/callback.rs`: what Sigfox sends.
//! - `fuzz_targets/stream.rs`, `envelope.rs`: what comes out of the Kinesis stream and out of the queues.
//! - `fuzz_targets/codec.rs`: what a meter's frame says, run once for each maker.
//!
//! They start from the project's own examples, which `make fuzz` puts into `seeds/` (`tests/src/seeds.rs`). What a run finds
//! new is kept in `corpus/`, and what it ends at in `artifacts/`; none of these belongs to the repository.

use pulsegate_model::uplink::Uplink;
use pulsegate_model::{envelope, record};

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
