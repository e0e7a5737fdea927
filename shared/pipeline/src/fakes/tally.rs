//! Metrics sink that sums metrics per thread, for tests that check the sums.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::telemetry::{self, Metrics, MetricsSink};

/// Sums by part and metric name.
pub type Tally = BTreeMap<(String, String), u64>;

thread_local!(static TALLY: RefCell<Option<Tally>> = const { RefCell::new(None) });

/// Starts summing the metrics of this thread.
pub fn start() {
    telemetry::install(ThreadTally);
    TALLY.set(Some(Tally::new()));
}

/// Returns the sums since [`start`] and stops summing: later metrics are discarded.
pub fn end() -> Tally {
    TALLY.take().unwrap_or_default()
}

struct ThreadTally;

impl MetricsSink for ThreadTally {
    /// Sums metrics if the thread has called [`start`]. Only whole numbers are summed.
    fn record(&self, metrics: &Metrics<'_>) {
        TALLY.with_borrow_mut(|tally| {
            let Some(tally) = tally else { return };
            for (name, value) in metrics.values.iter().flat_map(|(_, values)| values.as_object().into_iter().flatten())
            {
                *tally.entry((metrics.part.to_owned(), name.clone())).or_default() +=
                    value.as_u64().unwrap_or_default();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::telemetry::OutcomeCounts;

    #[test]
    fn what_is_measured_between_start_and_end_is_added_up() {
        start();
        for stored in [2, 3] {
            OutcomeCounts { received: 4, stored, ..OutcomeCounts::default() }.emit("test", 1, Instant::now());
        }
        let tally = end();
        let sum = |name: &str| tally[&("test".to_owned(), name.to_owned())];
        assert_eq!((sum("received"), sum("stored"), sum("refused")), (8, 5, 0));
        assert_eq!(end(), Tally::new());
    }
}
