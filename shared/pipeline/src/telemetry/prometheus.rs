//! [`MetricsSink`] that sums metrics and writes them in Prometheus' text format.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::Value;

use super::{Metrics, MetricsSink};

type Labels = [(&'static str, String); 2];

/// Sums of counts since the start, and the latest value of all other metrics, by part and name.
///
/// Ignores distributions: Prometheus has its own histograms.
#[derive(Debug)]
pub struct PrometheusSink {
    counts: Family<Labels, Counter>,
    values: Family<Labels, Gauge<f64, AtomicU64>>,
    registry: Registry,
}

impl Default for PrometheusSink {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("pulsegate");
        let (counts, values) = (Family::<_, _>::default(), Family::<_, _>::default());
        registry.register("count", "messages by part and outcome", Clone::clone(&counts));
        registry.register("value", "latest measured value, by part and name", Clone::clone(&values));
        Self { counts, values, registry }
    }
}

impl PrometheusSink {
    /// All metrics, in the text format of Prometheus.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl MetricsSink for &'static PrometheusSink {
    fn record(&self, metrics: &Metrics<'_>) {
        for (unit, values) in metrics.values {
            for (name, value) in values.as_object().into_iter().flatten() {
                let labels = [("part", metrics.part.to_owned()), ("name", name.clone())];
                match (*unit, value) {
                    ("Count", Value::Number(count)) => {
                        self.counts.get_or_create(&labels).inc_by(count.as_u64().unwrap_or_default());
                    }
                    (_, Value::Number(value)) => {
                        self.values.get_or_create(&labels).set(value.as_f64().unwrap_or_default());
                    }
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_are_added_up_and_of_other_values_the_latest_stays() {
        let sink: &'static PrometheusSink = Box::leak(Box::default());
        for (stored, lag) in [(2, 70), (3, 5)] {
            let distribution = json!({"put": {"Values": [1], "Counts": [1]}});
            let values = [
                ("Count", json!({"stored": stored})),
                ("Seconds", json!({"lag": lag})),
                ("Milliseconds", distribution),
            ];
            sink.record(&Metrics { part: "raw-sigfox", values: &values, properties: json!({}) });
        }
        let text = sink.text();
        assert!(text.contains(r#"pulsegate_count_total{part="raw-sigfox",name="stored"} 5"#), "{text}");
        assert!(text.contains(r#"pulsegate_value{part="raw-sigfox",name="lag"} 5.0"#), "{text}");
        assert!(!text.contains("put"), "{text}");
    }
}
