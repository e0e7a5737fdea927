//! Send quarantined records again, after a fix.
//!
//! A record is sent to where it came from, and deleted from quarantine only when it is durable there: so a run may be
//! killed at any moment, and made again. What is sent twice is written twice to the same place.
//!
//! # Layout
//!
//! - `walk`: takes what is in quarantine, each message once, and gives back what stays.
//! - `route`: where a record goes, and as what.
//! - `send`, `list`: the two commands.

use std::time::Duration;

use jiff::Timestamp;
use pulsegate_model::device::DeviceId;
use pulsegate_model::quarantine::QuarantinedRecord;
use pulsegate_pipeline::ports::ReceiveQueue;
use tokio::time::Instant;

mod list;
mod route;
mod send;
#[cfg(test)]
mod tests;
mod walk;

pub use list::list;
pub use route::Place;
pub use send::{Order, send};

/// For how long a message is held. A run has done with each long before, and recognises those that come back to it
/// because it takes longer; and what a killed run held is there again soon.
const HOLD: Duration = Duration::from_mins(5);

/// No request takes longer when all is well.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// So many messages are given back in one go. That takes a second or two.
const GIVEN_BACK: usize = 1_000;

/// How many kinds of reasons are printed for people. Programs get all.
const MAX_ROWS: usize = 50;

/// Where records are, and where they go back to.
#[derive(Debug)]
pub struct Ways<I, A, Q, S> {
    /// Quarantine, to take from.
    pub quarantine: I,
    /// The same, for lines of a batch that are still unreadable when their neighbours are sent.
    pub again: A,
    /// The stage `raw-sigfox`.
    pub raw_sigfox: Q,
    /// The stage `pulse` for Sigfox.
    pub pulse_sigfox: Q,
    /// The same for NB-IoT.
    pub pulse_nbiot: Q,
    /// The stage `raw-nbiot`.
    pub raw_nbiot: S,
}

/// Which records. Of several fields all have to hold; of several values of one, any. An empty field says nothing.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// IDs of messages.
    pub ids: Vec<String>,
    /// Devices, of records that came so far as to be an uplink.
    pub devices: Vec<DeviceId>,
    /// Stages.
    pub stages: Vec<String>,
    /// Texts in the reason.
    pub reasons: Vec<String>,
}

impl Selection {
    /// Whether it says nothing, and so takes everything.
    pub fn is_empty(&self) -> bool {
        let Self { ids, devices, stages, reasons } = self;
        ids.is_empty() && devices.is_empty() && stages.is_empty() && reasons.is_empty()
    }

    /// Whether this record is one of those.
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

fn soon() -> Instant {
    Instant::now() + REQUEST_TIMEOUT
}

/// Gives everything back that is still held, however much that is. What cannot be comes back by itself.
async fn give_back(inbox: &impl ReceiveQueue, handles: &[String]) {
    let (mut tried, mut refused) = (0, 0);
    for some in handles.chunks(GIVEN_BACK) {
        let count = inbox.give_back(some, soon()).await.len();
        tried += some.len();
        refused += count;
        // Of the others nothing would be taken either, and each would wait for that.
        if count == some.len() {
            break;
        }
    }
    let held = refused + handles.len() - tried;
    if held > 0 {
        eprintln!("pulsegate: {held} messages stay held for up to {} minutes", HOLD.as_secs() / 60);
    }
}
