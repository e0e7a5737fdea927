//! Counts what became of every datagram, and reports it now and then.

use std::sync::{Mutex, PoisonError};

use shared::telemetry::Counts;

/// The part named in the metrics.
const PART: &str = "udp-bridge";

/// The counters since the last report.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

impl Tally {
    /// Changes the counters.
    pub fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Writes out the counters, if there is anything to tell, and starts again at zero.
    pub fn report(&self) {
        let counts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if counts != Counts::default() {
            counts.emit(PART);
        }
    }
}
