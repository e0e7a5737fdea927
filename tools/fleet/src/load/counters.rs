//! Counters of a run.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::run::Volume;

/// Histogram of times, in microseconds.
#[derive(Debug, Clone)]
pub(super) struct Times(Histogram<u64>);

/// Counters of the UDP side.
#[derive(Debug, Clone, Default)]
pub(super) struct Udp {
    /// Datagrams with uplinks, lost ones included.
    pub(super) attempts: u64,
    /// Dropped on purpose, in either direction.
    pub(super) lost: u64,
    /// Sent twice on purpose.
    pub(super) duplicated: u64,
    /// Answers that match no outstanding message.
    pub(super) unexpected: u64,
    /// CoAP errors.
    pub(super) refused: u64,
    /// Sent datagrams, without those dropped on purpose.
    pub(super) datagrams: Volume,
    /// Received acknowledgements, without those dropped on purpose. Bytes include CoAP's empty
    /// ACKs.
    pub(super) acknowledgements: Volume,
    /// From the first transmission to the acknowledgement.
    pub(super) latency: Times,
}

/// Counters of the Sigfox side.
#[derive(Debug, Clone, Default)]
pub(super) struct Callbacks {
    /// Requests, lost ones included.
    pub(super) attempts: u64,
    /// Dropped on purpose, in either direction.
    pub(super) lost: u64,
    /// Sent twice on purpose.
    pub(super) duplicated: u64,
    /// Requests by status; 0 after a time-out.
    pub(super) by_status: BTreeMap<u16, u64>,
    /// Uplinks in the bodies of answered requests.
    pub(super) uplinks: Volume,
    /// Answers with their headers.
    pub(super) answers: Volume,
    /// From the request to its answer 2xx.
    pub(super) latency: Times,
}

/// Results of the sampled messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Probed {
    /// From transmission to the item in the pulses table.
    pub(super) latency: Times,
    /// Samples that were not found in time.
    pub(super) missed: u64,
}

/// Messages in each second.
#[derive(Debug, Clone, Default)]
pub(super) struct Rates {
    /// Sent for the first time.
    pub(super) sent: Vec<u32>,
    /// Acknowledged.
    pub(super) acknowledged: Vec<u32>,
}

impl Default for Times {
    #[expect(clippy::expect_used, reason = "the bounds are constants, and right")]
    fn default() -> Self {
        const LONGEST_MICROS: u64 = 3_600_000_000;
        Self(Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("bounds of a histogram"))
    }
}

impl Times {
    /// Records a time.
    pub(super) fn record(&mut self, micros: u64) {
        self.0.saturating_record(micros);
    }

    /// Number of recorded times.
    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Milliseconds at quantiles 0.5, 0.9, 0.99, 0.999 and 1; `None` without times.
    pub(super) fn quantiles(&self) -> Option<[f64; 5]> {
        #[expect(clippy::cast_precision_loss, reason = "an hour of microseconds is exact")]
        let millis = |quantile| self.0.value_at_quantile(quantile) as f64 / 1_000.0;
        (!self.0.is_empty()).then(|| [0.5, 0.9, 0.99, 0.999, 1.0].map(millis))
    }
}

impl Rates {
    /// Adds messages sent in this second.
    pub(super) fn send(&mut self, second: usize, messages: u32) {
        *at(&mut self.sent, second) += messages;
    }

    /// Adds messages acknowledged in this second.
    pub(super) fn acknowledge(&mut self, second: usize, messages: u32) {
        *at(&mut self.acknowledged, second) += messages;
    }

    /// Extends both lists to this second.
    pub(super) fn fill(&mut self, second: usize) {
        at(&mut self.sent, second);
        at(&mut self.acknowledged, second);
    }
}

fn at(seconds: &mut Vec<u32>, second: usize) -> &mut u32 {
    if seconds.len() <= second {
        seconds.resize(second + 1, 0);
    }
    &mut seconds[second]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_in_milliseconds_and_none_of_nothing() {
        let mut times = Times::default();
        assert_eq!(times.quantiles(), None);
        (1..=100).for_each(|n| times.record(n * 1_000));
        let [median, _, _, _, most] = times.quantiles().unwrap();
        assert!((49.9..50.2).contains(&median) && (99.9..100.2).contains(&most), "{median} {most}");
    }
}
