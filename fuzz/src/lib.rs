//! Feeds whatever a fuzzer comes up with to all that reads strangers' bytes. `make fuzz` runs it.
//!
//! # Layout
//!
//! - `fuzz_targets/datagram.rs`: what comes in at the bridge's listeners.
//! - `fuzz_targets/callback.rs`: what Sigfox sends.
//! - `fuzz_targets/stream.rs`: what comes out of the Kinesis stream and the queues.
//! - `fuzz_targets/codec.rs`: what a meter's frame says.
//! - `seeds/`: what they start from, the project's own examples; `tests/tests/seeds.rs` holds them to those.
//!
//! What a run finds new is kept in `corpus/`, and what it ends at in `artifacts/`; neither belongs to the repository.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{Signal, raise};

/// How many bytes are enough, from the environment. Without it a run goes on until it finds something.
static ENOUGH: LazyLock<u64> = LazyLock::new(|| match std::env::var("FUZZ_BYTES") {
    Ok(bytes) => bytes.parse().unwrap_or_else(|_| panic!("FUZZ_BYTES is {bytes:?}, which is not a number")),
    Err(_) => u64::MAX,
});

/// Counts what a target is fed, and ends the run once it was enough: libFuzzer counts runs only, whatever their length.
pub fn fed(bytes: &[u8]) {
    static FED: AtomicU64 = AtomicU64::new(0);
    let before = FED.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    let now = before + bytes.len() as u64;
    if before < *ENOUGH && now >= *ENOUGH {
        eprintln!("fed {now} bytes, which is enough");
        // Tells libFuzzer to end in good order, with exit code 0. To exit from here it would take for a finding.
        raise(Signal::SIGUSR1).unwrap();
    }
}
