//! [`MetricsSink`] that writes CloudWatch's embedded metric format.

use std::time::{SystemTime, UNIX_EPOCH};

use pulsegate_pipeline::telemetry::{Metrics, MetricsSink};
use serde_json::{Value, json};

/// Writes each measurement to standard output, as one line in CloudWatch's embedded metric format, with the measuring
/// part as its dimension.
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>)
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedMetrics;

impl MetricsSink for EmbeddedMetrics {
    fn record(&self, metrics: &Metrics<'_>) {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        println!("{}", line(metrics, since_1970.as_millis()));
    }
}

fn line(metrics: &Metrics<'_>, timestamp: u128) -> Value {
    let mut line = metrics.properties.clone();
    let mut directives = Vec::new();
    for (unit, values) in metrics.values {
        for (name, value) in values.as_object().into_iter().flatten() {
            directives.push(json!({"Name": name, "Unit": unit}));
            line[name] = value.clone();
        }
    }
    line["part"] = metrics.part.into();
    line["_aws"] = json!({
        "Timestamp": u64::try_from(timestamp).unwrap_or(u64::MAX),
        "CloudWatchMetrics": [{"Namespace": "Pulsegate", "Dimensions": [["part"]], "Metrics": directives}],
    });
    line
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use pulsegate_pipeline::telemetry::{self, OutcomeCounts};
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn every_counter_is_a_metric_with_a_value_beside_it() {
        let counts = OutcomeCounts { received: 3, stored: 2, quarantined: 1, ..OutcomeCounts::default() };
        let values = [("Count", json!(counts))];
        let line = line(&Metrics { part: "raw-sigfox", values: &values, properties: json!({}) }, 7);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        let fields = serde_json::to_value(OutcomeCounts::default()).unwrap();
        assert_eq!(directive["Metrics"].as_array().unwrap().len(), fields.as_object().unwrap().len());
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_u64(), "{metric}");
        }
        assert_eq!((&line["part"], &line["received"]), (&json!("raw-sigfox"), &json!(3)));
    }

    /// Keeps the lines instead of printing them.
    struct Lines(&'static Mutex<Vec<Value>>);

    impl MetricsSink for Lines {
        fn record(&self, metrics: &Metrics<'_>) {
            self.0.lock().unwrap().push(line(metrics, 7));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn records_and_time_of_an_invocation_stand_in_the_line_and_are_no_metrics() {
        static LINES: Mutex<Vec<Value>> = Mutex::new(Vec::new());
        telemetry::install(Lines(&LINES));
        let began = Instant::now();
        tokio::time::advance(Duration::from_micros(12_345)).await;
        OutcomeCounts::default().emit("raw-sigfox", 7, began);
        let line = LINES.lock().unwrap()[0].clone();
        assert_eq!((&line["records"], &line["ms"]), (&json!(7), &json!(12.3)));
        let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].to_string();
        assert!(!metrics.contains("records") && !metrics.contains("\"ms\""), "{metrics}");
    }
}
