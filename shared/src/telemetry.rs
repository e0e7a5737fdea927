//! JSON logs, and counters as CloudWatch embedded metrics.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value, json};
use tracing::Level;

/// What became of what an invocation brought. `received` is the sum of the others: nothing is lost silently.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Uplinks, and pieces that turned out to be none.
    pub received: usize,
    /// Durable in the next place.
    pub stored: usize,
    /// Unreadable, and durable in quarantine.
    pub quarantined: usize,
    /// Not durable now; the sender will come again.
    pub given_back: usize,
    /// Turned away at the door: no credentials, no such profile, too large.
    pub refused: usize,
}

impl Counts {
    /// Writes the counters to standard output, as one line in CloudWatch's embedded metric format, under a dimension
    /// that names the part that counted.
    /// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>)
    pub fn emit(&self, part: &str) {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        println!("{}", self.line(part, since_1970.as_millis()));
    }

    fn line(&self, part: &str, timestamp: u128) -> Value {
        const NAMES: [&str; 5] = ["received", "stored", "quarantined", "given_back", "refused"];
        let metrics: Vec<Value> = NAMES.iter().map(|name| json!({"Name": name, "Unit": "Count"})).collect();
        let mut line = json!(self);
        line["part"] = part.into();
        line["_aws"] = json!({
            "Timestamp": u64::try_from(timestamp).unwrap_or(u64::MAX),
            "CloudWatchMetrics": [{"Namespace": "Pulsegate", "Dimensions": [["part"]], "Metrics": metrics}],
        });
        line
    }
}

/// Starts logging to standard output, one JSON object a line, fields on its top level. `level` is a level's name in any
/// case, as Lambda's `AWS_LAMBDA_LOG_LEVEL` gives it; INFO if absent or unknown.
pub fn init(level: Option<&str>) {
    let level = level.and_then(|name| name.parse().ok()).unwrap_or(Level::INFO);
    tracing_subscriber::fmt().json().flatten_event(true).with_max_level(level).with_current_span(false).init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_a_metric_with_a_value_beside_it() {
        let line = Counts { received: 3, stored: 2, quarantined: 1, ..Counts::default() }.line("raw-sigfox", 7);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        let fields = serde_json::to_value(Counts::default()).unwrap();
        assert_eq!(directive["Metrics"].as_array().unwrap().len(), fields.as_object().unwrap().len());
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_u64(), "{metric}");
        }
        assert_eq!((&line["part"], &line["received"]), (&json!("raw-sigfox"), &json!(3)));
    }
}
