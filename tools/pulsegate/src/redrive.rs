//! `pulsegate redrive`: sends quarantined records again, after a fix.
//!
//! It sends a record to its stage, and deletes it from quarantine only once it is durable there. So a run may be killed
//! at any moment, and repeated: a record that is sent twice becomes the same item.
//!
//! # Layout
//!
//! - `walk`: receives each message of quarantine once, and releases those that stay.
//! - `route`: the destination and content of a record.
//! - `send`, `list`: the two commands.

use std::time::Duration;

use jiff::Timestamp;
use pulsegate_model::device::DeviceId;
use pulsegate_model::quarantine::QuarantinedRecord;
use pulsegate_pipeline::ports::ReceiveQueue;
use tokio::time::Instant;

mod list;
pub(crate) mod route;
mod send;
#[cfg(test)]
mod tests;
pub(crate) mod walk;

pub use list::list;
pub use route::Place;
pub use send::{Order, send};

/// How long a received message is invisible to other consumers. A run completes each message long before that, and
/// recognises messages that it receives again if it takes longer. After a kill, its messages are visible again soon.
const VISIBILITY_TIMEOUT: Duration = Duration::from_mins(5);

/// Longer than any request takes in normal operation.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Maximum number of messages released in one call, which takes a second or two.
const MAX_RELEASED: usize = 1_000;

/// Maximum number of reasons in a table. JSON output has all.
const MAX_ROWS: usize = 50;

/// The quarantine queue, and the destinations of records.
#[derive(Debug)]
pub struct Endpoints<I, A, Q, S> {
    /// Quarantine, to receive from.
    pub quarantine: I,
    /// Quarantine, for lines of a batch that are still unreadable when the others are sent.
    pub again: A,
    /// The stage `raw-sigfox`.
    pub raw_sigfox: Q,
    /// The stage `pulse` for Sigfox.
    pub pulse_sigfox: Q,
    /// The stage `pulse` for NB-IoT.
    pub pulse_nbiot: Q,
    /// The stage `raw-nbiot`.
    pub raw_nbiot: S,
}

/// Selection of records. A record must match all fields; of several values of a field, one must match. An empty field
/// matches every record.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// IDs of messages.
    pub ids: Vec<String>,
    /// Devices, of records that were parsed as an uplink.
    pub devices: Vec<DeviceId>,
    /// Stages.
    pub stages: Vec<String>,
    /// Texts that the reason contains.
    pub reasons: Vec<String>,
}

impl Selection {
    /// True if it matches every record.
    pub fn is_empty(&self) -> bool {
        let Self { ids, devices, stages, reasons } = self;
        ids.is_empty() && devices.is_empty() && stages.is_empty() && reasons.is_empty()
    }

    /// True if this record matches.
    fn takes(&self, id: &str, kept: &QuarantinedRecord) -> bool {
        let Self { ids, devices, stages, reasons } = self;
        (ids.is_empty() || ids.iter().any(|wanted| wanted == id))
            && (devices.is_empty() || kept.device.is_some_and(|device| devices.contains(&device)))
            && (stages.is_empty() || stages.contains(&kept.stage))
            && (reasons.is_empty() || reasons.iter().any(|text| kept.reason.contains(text)))
    }
}

/// The time by this machine's clock, in milliseconds since 1970.
pub fn now() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default()
}

fn deadline() -> Instant {
    Instant::now() + REQUEST_TIMEOUT
}

/// Releases all messages that are still held. Those that cannot be released become visible after
/// [`VISIBILITY_TIMEOUT`].
async fn give_back(inbox: &impl ReceiveQueue, handles: &[String]) {
    let (mut tried, mut refused) = (0, 0);
    for some in handles.chunks(MAX_RELEASED) {
        let count = inbox.give_back(some, deadline()).await.len();
        tried += some.len();
        refused += count;
        // The rest would fail as well, each after a time-out.
        if count == some.len() {
            break;
        }
    }
    let held = refused + handles.len() - tried;
    if held > 0 {
        eprintln!("pulsegate: {held} messages stay invisible for up to {} minutes", VISIBILITY_TIMEOUT.as_secs() / 60);
    }
}
