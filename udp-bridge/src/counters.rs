//! Counts what became of every datagram, for Prometheus (`GET /metrics`) and for CloudWatch.

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
use pulsegate_pipeline::telemetry::{self, LogThrottle, Metrics};
use serde_json::{Value, json};

use crate::kernel::Kernel;
use crate::memory::MemoryBudget;
use crate::protocol::Refusal;

/// The part named in the metrics.
const PART: &str = "udp-bridge";

type Reasons = Family<[(&'static str, &'static str); 1], Counter>;

/// The counters, since the start.
#[derive(Debug)]
pub struct Counters {
    /// Datagrams that have come in.
    pub received: Counter,
    /// Of these, uplinks of somebody: proved, or believed on a trusted listener.
    pub authenticated: Counter,
    /// Of the others, CoAP clients that acknowledge an answer of ours.
    pub settled: Counter,
    /// And questions that were answered at once.
    pub asked: Counter,
    refused: Reasons,
    /// Datagrams that the kernel has dropped since nobody read them in time.
    kernel_dropped: Counter,
    /// Uplinks in packs that are on their way.
    pub in_flight: Gauge,
    held_bytes: Gauge,
    /// Times that a thread read nothing because enough was held.
    pub paused: Counter,
    /// Uplinks that the stream has accepted.
    pub durable: Counter,
    /// Uplinks that it has not, in time.
    pub given_back: Counter,
    /// Acknowledgements that have gone out.
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

/// What CloudWatch has been told, and what it will be.
#[derive(Debug, Default)]
struct Reported {
    counts: BTreeMap<&'static str, u64>,
    put_milliseconds: BTreeMap<u64, u64>,
}

impl Reported {
    /// What has been added to these totals since they were asked for last.
    fn since(&mut self, totals: &[(&'static str, u64)]) -> Value {
        let since = |&(name, total): &(&'static str, u64)| {
            (name.to_owned(), (total - self.counts.insert(name, total).unwrap_or(0)).into())
        };
        Value::Object(totals.iter().map(since).collect())
    }
}

impl Counters {
    /// All at zero.
    pub fn new(hold: Arc<MemoryBudget>, kernel: Kernel) -> Self {
        let mut registry = Registry::with_prefix("pulsegate_bridge");
        let mut counter = |name: &str, help: &str| registered(&mut registry, name, help, Counter::default());
        let received = counter("received", "datagrams that have come in");
        let authenticated = counter("authenticated", "uplinks of somebody: proved, or believed on a trusted listener");
        let settled = counter("settled", "CoAP messages that acknowledge an answer of ours");
        let asked = counter("asked", "questions that were answered at once: what time it is");
        let kernel_dropped =
            counter("kernel_dropped", "datagrams dropped by the kernel since nobody read them in time");
        let paused = counter("paused", "times that nothing was read because HOLD_MB was reached");
        let durable = counter("durable", "uplinks that the stream has accepted");
        let given_back = counter("given_back", "uplinks that the stream has not accepted in time: not acknowledged");
        let acknowledged = counter("acknowledged", "acknowledgements that have gone out");
        let refused_records = counter("refused_records", "records that the stream refused for the moment");
        let refused: Reasons = registered(&mut registry, "refused", "datagrams turned away", Family::default());
        let mut gauge = |name: &str, help: &str| registered(&mut registry, name, help, Gauge::default());
        let in_flight = gauge("in_flight", "uplinks on their way to the stream");
        let held_bytes = gauge("held_bytes", "bytes that are held, of HOLD_MB");
        let mut histogram = |name: &str, help: &str, least: f64, buckets: u16| {
            registered(&mut registry, name, help, Histogram::new(exponential_buckets(least, 2.0, buckets)))
        };
        let put_seconds = histogram("put_seconds", "time that a PutRecords takes", 0.002, 12);
        let put_records = histogram("put_records", "records in a PutRecords", 1.0, 10);
        let put_bytes = histogram("put_bytes", "bytes in a PutRecords", 1024.0, 14);
        let seldom = Refusal::REASONS.iter().map(|&reason| (reason, LogThrottle::default())).collect();
        Self {
            received,
            authenticated,
            settled,
            asked,
            refused,
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

    /// Counts a datagram that was turned away. Whoever floods us with noise must not flood the log as well.
    pub fn refuse(&self, refusal: &Refusal, len: usize) {
        let reason = refusal.reason();
        self.refused.get_or_create(&[("reason", reason)]).inc();
        if let Some(suppressed) = self.seldom.get(reason).and_then(LogThrottle::due) {
            tracing::warn!(reason, detail = %refusal, len, suppressed, "refused");
        }
    }

    /// Counts a request to the stream.
    pub fn put(&self, took: Duration, records: &[&StreamRecord], refused: usize) {
        let bytes: usize = records.iter().map(|record| record.partition_key.len() + record.data.len()).sum();
        self.put_seconds.observe(took.as_secs_f64());
        self.put_records.observe(to_f64(records.len()));
        self.put_bytes.observe(to_f64(bytes));
        self.refused_records.inc_by(refused as u64);
        // CloudWatch takes a hundred different values in a line: powers of two are twenty.
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1).next_power_of_two();
        *self.reported().put_milliseconds.entry(milliseconds).or_default() += 1;
    }

    /// All of them, as Prometheus reads them.
    pub fn prometheus(&self) -> String {
        self.look_around();
        let mut text = String::new();
        // It fails where the text cannot grow.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Writes a line for CloudWatch with what came since the last.
    pub fn report(&self) {
        let (values, properties) = self.news();
        telemetry::emit(&Metrics { part: PART, values: &values, properties });
    }

    /// What came since this was asked last, by unit, and what stands beside it.
    fn news(&self) -> (Vec<(&'static str, Value)>, Value) {
        self.look_around();
        let refused: Vec<_> = Refusal::REASONS.iter().map(|&reason| (reason, self.refused_for(reason))).collect();
        let totals = [
            ("received", self.received.get()),
            ("authenticated", self.authenticated.get()),
            ("stored", self.durable.get()),
            ("given_back", self.given_back.get()),
            ("settled", self.settled.get()),
            ("asked", self.asked.get()),
            ("refused", refused.iter().map(|(_, count)| count).sum()),
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
        // The reasons are not metrics of their own, each of which would be billed.
        (metrics, json!({"refused_by_reason": refused, "in_flight": self.in_flight.get()}))
    }

    fn refused_for(&self, reason: &'static str) -> u64 {
        self.refused.get(&[("reason", reason)]).map_or(0, |counter| counter.get())
    }

    /// What nobody tells us of.
    fn look_around(&self) {
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
        let (metrics, properties) = counters.news();
        let expected = json!({
            "received": 3, "authenticated": 0, "stored": 2, "given_back": 0, "refused": 1, "acknowledged": 0,
            "kernel_dropped": 0, "refused_records": 1, "settled": 0, "asked": 0,
        });
        assert_eq!(metrics[0], ("Count", expected));
        assert_eq!(metrics[1], ("Percent", json!({"held_percent": 50})));
        assert_eq!(metrics[2], ("Milliseconds", json!({"put_milliseconds": {"Values": [16], "Counts": [1]}})));
        assert_eq!(properties["refused_by_reason"]["unproven"], 1);
        let (metrics, properties) = counters.news();
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
