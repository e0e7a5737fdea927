//! Counters of datagrams, uplinks and puts, for Prometheus (`GET /metrics`) and for CloudWatch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use pulsegate_model::aggregate::StreamRecord;
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::telemetry::{self, LogThrottle, Metrics};
use serde_json::{Value, json};

use crate::kernel::Kernel;
use crate::memory::MemoryBudget;
use crate::pack::Pack;
use crate::protocol::Refusal;
use crate::wrong_clocks::NamedDevices;

/// The dimension `part` of the metrics.
const PART: &str = "udp-bridge";

type Reasons = Family<[(&'static str, &'static str); 1], Counter>;

/// The counters since the start.
#[derive(Debug)]
pub struct Counters {
    /// Datagrams received.
    pub received: Counter,
    /// Of these, with uplinks of authenticated senders: sealed, or from a trusted listener.
    pub authenticated: Counter,
    /// Uplinks in them: one for each meter that a datagram names.
    pub uplinks: Counter,
    /// Of these, uplinks whose device's clock shows an impossible time.
    wrong_clocks: Counter,
    named: Mutex<NamedDevices>,
    /// Of the others, acknowledgements of CoAP clients for an answer.
    pub settled: Counter,
    /// Of the others, requests answered at once, without storing anything.
    pub asked: Counter,
    refused: Reasons,
    /// Of the rejected datagrams of trusted listeners, those that the stream has accepted for quarantine.
    quarantined: Counter,
    /// Of the same, those beyond the limit.
    pub beyond_limit: Counter,
    /// Of the same, those that the stream did not accept in time.
    not_quarantined: Counter,
    /// Datagrams dropped because the kernel's buffer was full.
    kernel_dropped: Counter,
    /// Uplinks in packs that are being put.
    pub in_flight: Gauge,
    held_bytes: Gauge,
    /// Number of times a thread stopped reading because the memory budget was used up.
    pub paused: Counter,
    /// Uplinks that the stream has accepted.
    pub durable: Counter,
    /// Uplinks that the stream did not accept in time.
    pub given_back: Counter,
    /// Acknowledgements sent.
    pub acknowledged: Counter,
    put_seconds: Histogram,
    put_records: Histogram,
    put_bytes: Histogram,
    refused_records: Counter,
    registry: Registry,
    seldom: BTreeMap<&'static str, LogThrottle>,
    hold: Arc<MemoryBudget>,
    kernel: Kernel,
    reported: Mutex<Reported>,
}

/// Totals as of the last CloudWatch line, and durations for the next.
#[derive(Debug, Default)]
struct Reported {
    counts: BTreeMap<&'static str, u64>,
    put_milliseconds: BTreeMap<u64, u64>,
}

impl Reported {
    /// Differences between these totals and those of the last call.
    fn since(&mut self, totals: &[(&'static str, u64)]) -> Value {
        let since = |&(name, total): &(&'static str, u64)| {
            (name.to_owned(), (total - self.counts.insert(name, total).unwrap_or(0)).into())
        };
        Value::Object(totals.iter().map(since).collect())
    }
}

impl Counters {
    /// Registers all counters, at zero.
    pub fn new(hold: Arc<MemoryBudget>, kernel: Kernel) -> Self {
        let mut registry = Registry::with_prefix("pulsegate_bridge");
        let mut counter = |name: &str, help: &str| registered(&mut registry, name, help, Counter::default());
        let received = counter("received", "datagrams received");
        let authenticated = counter(
            "authenticated",
            "datagrams with uplinks of authenticated senders: sealed, or from a trusted listener",
        );
        let uplinks =
            counter("uplinks", "uplinks in authenticated datagrams: one for each meter that a datagram names");
        let quarantined = counter("quarantined", "rejected datagrams of trusted listeners, accepted for quarantine");
        let beyond_limit = counter("beyond_limit", "the same, beyond the limit of quarantine: only counted");
        let not_quarantined = counter("not_quarantined", "the same, not accepted by the stream in time: lost");
        let wrong_clocks = counter("wrong_clocks", "uplinks whose device's clock shows an impossible time");
        let settled = counter("settled", "acknowledgements of CoAP clients for an answer");
        let asked = counter("asked", "requests answered at once, without storing anything: the current time");
        let kernel_dropped = counter("kernel_dropped", "datagrams dropped because the kernel's buffer was full");
        let paused = counter("paused", "times the bridge stopped reading because HOLD_MB was reached");
        let durable = counter("durable", "uplinks that the stream has accepted");
        let given_back = counter("given_back", "uplinks that the stream did not accept in time: not acknowledged");
        let acknowledged = counter("acknowledged", "acknowledgements sent");
        let refused_records = counter("refused_records", "records that the stream rejected temporarily");
        let refused: Reasons = registered(&mut registry, "refused", "datagrams rejected", Family::default());
        let mut gauge = |name: &str, help: &str| registered(&mut registry, name, help, Gauge::default());
        let in_flight = gauge("in_flight", "uplinks being written to the stream");
        let held_bytes = gauge("held_bytes", "bytes of HOLD_MB in use");
        let mut histogram = |name: &str, help: &str, least: f64, buckets: u16| {
            registered(&mut registry, name, help, Histogram::new(exponential_buckets(least, 2.0, buckets)))
        };
        let put_seconds = histogram("put_seconds", "duration of a PutRecords request", 0.002, 12);
        let put_records = histogram("put_records", "records in a PutRecords request", 1.0, 10);
        let put_bytes = histogram("put_bytes", "bytes in a PutRecords request", 1024.0, 14);
        let seldom = Refusal::REASONS.iter().map(|&reason| (reason, LogThrottle::default())).collect();
        Self {
            received,
            authenticated,
            uplinks,
            wrong_clocks,
            named: Mutex::default(),
            settled,
            asked,
            refused,
            quarantined,
            beyond_limit,
            not_quarantined,
            kernel_dropped,
            in_flight,
            held_bytes,
            paused,
            durable,
            given_back,
            acknowledged,
            put_seconds,
            put_records,
            put_bytes,
            refused_records,
            registry,
            seldom,
            hold,
            kernel,
            reported: Mutex::default(),
        }
    }

    /// Counts a rejected datagram. The log line is throttled for each reason, so that a flood of noise does not flood
    /// the log.
    pub fn refuse(&self, refusal: &Refusal, len: usize) {
        let reason = refusal.reason();
        self.refused.get_or_create(&[("reason", reason)]).inc();
        if let Some(suppressed) = self.seldom.get(reason).and_then(LogThrottle::due) {
            tracing::warn!(reason, detail = %refusal, len, suppressed, "datagram rejected");
        }
    }

    /// Counts the content of packs whose result is known.
    pub fn finish(&self, packs: &[Pack], durable: bool) {
        let (uplinks, rejected) =
            if durable { (&self.durable, &self.quarantined) } else { (&self.given_back, &self.not_quarantined) };
        for pack in packs {
            uplinks.inc_by(pack.uplinks as u64);
            rejected.inc_by(pack.rejected as u64);
        }
    }

    /// Counts an uplink whose device's clock shows an impossible time. The log names the device once a day.
    pub fn wrong_clock(&self, device: DeviceId, profile: &str, shown: At, received: At) {
        self.wrong_clocks.inc();
        if self.named.lock().unwrap_or_else(PoisonError::into_inner).is_due(device, received) {
            tracing::warn!(%device, profile, %shown, %received, "device clock not accepted");
        }
    }

    /// Counts a request to the stream.
    pub fn put(&self, took: Duration, records: &[&StreamRecord], refused: usize) {
        let bytes: usize = records.iter().map(|record| record.partition_key.len() + record.data.len()).sum();
        self.put_seconds.observe(took.as_secs_f64());
        self.put_records.observe(to_f64(records.len()));
        self.put_bytes.observe(to_f64(bytes));
        self.refused_records.inc_by(refused as u64);
        // CloudWatch accepts a hundred different values per line; rounding to powers of two leaves about twenty.
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1).next_power_of_two();
        *self.reported().put_milliseconds.entry(milliseconds).or_default() += 1;
    }

    /// All counters in the text format of Prometheus.
    pub fn prometheus(&self) -> String {
        self.refresh();
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Writes a line for CloudWatch with the counts since the last line.
    pub fn report(&self) {
        let (values, properties) = self.since_last_report();
        telemetry::emit(&Metrics { part: PART, values: &values, properties });
    }

    /// The metrics since the last call, by unit, and the line's further properties.
    fn since_last_report(&self) -> (Vec<(&'static str, Value)>, Value) {
        self.refresh();
        let refused: Vec<_> = Refusal::REASONS.iter().map(|&reason| (reason, self.refused_for(reason))).collect();
        let totals = [
            ("received", self.received.get()),
            ("authenticated", self.authenticated.get()),
            ("uplinks", self.uplinks.get()),
            ("wrong_clocks", self.wrong_clocks.get()),
            ("stored", self.durable.get()),
            ("given_back", self.given_back.get()),
            ("settled", self.settled.get()),
            ("asked", self.asked.get()),
            ("refused", refused.iter().map(|(_, count)| count).sum()),
            ("quarantined", self.quarantined.get()),
            ("beyond_limit", self.beyond_limit.get()),
            ("not_quarantined", self.not_quarantined.get()),
            ("acknowledged", self.acknowledged.get()),
            ("kernel_dropped", self.kernel_dropped.get()),
            ("refused_records", self.refused_records.get()),
        ];
        let mut reported = self.reported();
        let (since, refused) = (reported.since(&totals), reported.since(&refused));
        let puts = std::mem::take(&mut reported.put_milliseconds);
        drop(reported);
        let mut metrics = vec![("Count", since), ("Percent", json!({"held_percent": self.hold.highest_percent()}))];
        if !puts.is_empty() {
            let (values, counts): (Vec<_>, Vec<_>) = puts.into_iter().unzip();
            metrics.push(("Milliseconds", json!({"put_milliseconds": {"Values": values, "Counts": counts}})));
        }
        // The reasons are properties, because CloudWatch bills each metric.
        (metrics, json!({"refused_by_reason": refused, "in_flight": self.in_flight.get()}))
    }

    /// Datagrams rejected, for whatever reason.
    pub fn refused(&self) -> u64 {
        Refusal::REASONS.iter().map(|&reason| self.refused_for(reason)).sum()
    }

    fn refused_for(&self, reason: &'static str) -> u64 {
        self.refused.get(&[("reason", reason)]).map_or(0, |counter| counter.get())
    }

    /// Updates the values that are sampled instead of counted.
    fn refresh(&self) {
        let _one_at_a_time = self.reported();
        self.held_bytes.set(self.hold.bytes().try_into().unwrap_or(i64::MAX));
        self.kernel_dropped.inc_by(self.kernel.dropped().saturating_sub(self.kernel_dropped.get()));
    }

    fn reported(&self) -> std::sync::MutexGuard<'_, Reported> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn registered<M>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M
where
    M: prometheus_client::registry::Metric + Clone,
{
    registry.register(name, help, metric.clone());
    metric
}

/// Exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "no request is that large")]
fn to_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters() -> Counters {
        Counters::new(Arc::new(MemoryBudget::new(1000)), Kernel::default())
    }

    #[test]
    fn cloudwatch_is_told_what_came_since_the_last_line() {
        let counters = counters();
        counters.received.inc_by(3);
        counters.durable.inc_by(2);
        counters.refuse(&Refusal::Unproven, 26);
        counters.hold.take(500);
        let record = StreamRecord { partition_key: "key".to_owned(), data: vec![0; 997] };
        counters.put(Duration::from_millis(15), &[&record], 1);
        let (metrics, properties) = counters.since_last_report();
        let expected = json!({
            "received": 3, "authenticated": 0, "stored": 2, "given_back": 0, "refused": 1, "acknowledged": 0,
            "kernel_dropped": 0, "refused_records": 1, "settled": 0, "asked": 0, "uplinks": 0, "quarantined": 0,
            "beyond_limit": 0, "not_quarantined": 0, "wrong_clocks": 0,
        });
        assert_eq!(metrics[0], ("Count", expected));
        assert_eq!(metrics[1], ("Percent", json!({"held_percent": 50})));
        assert_eq!(metrics[2], ("Milliseconds", json!({"put_milliseconds": {"Values": [16], "Counts": [1]}})));
        assert_eq!(properties["refused_by_reason"]["unproven"], 1);
        let (metrics, properties) = counters.since_last_report();
        assert_eq!((&metrics[0].1["received"], metrics.len()), (&json!(0), 2));
        assert_eq!(properties["refused_by_reason"]["unproven"], 0);
    }

    #[test]
    fn every_refusal_is_counted_by_a_known_reason() {
        let counters = counters();
        for refusal in [Refusal::TooShort, Refusal::TooLong, Refusal::CriticalOption(27), Refusal::NotCoap] {
            counters.refuse(&refusal, 1);
            assert!(Refusal::REASONS.contains(&refusal.reason()));
        }
        let text = counters.prometheus();
        assert!(text.contains("pulsegate_bridge_refused_total{reason=\"critical-option\"} 1"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
