//! Fuzz targets for all readers of untrusted bytes. `make fuzz` runs them.
//!
//! # Layout
//!
//! - `fuzz_targets/datagram.rs`: datagrams at the bridge's listeners.
//! - `fuzz_targets/callback.rs`: Sigfox callbacks.
//! - `fuzz_targets/stream.rs`, `envelope.rs`: records of the Kinesis stream, and messages of the queues.
//! - `fuzz_targets/codec.rs`: meter frames, one run per vendor.
//!
//! The targets start from the project's examples, which `make fuzz` writes to `seeds/` (`tests/src/seeds.rs`). A run
//! stores new inputs in `corpus/`, and the input that ends it in `artifacts/`. These folders are not part of the
//! repository.

use pulsegate_model::uplink::Uplink;
use pulsegate_model::{envelope, record};

/// Asserts that parsed uplinks are the same after the stream and after the queues.
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
