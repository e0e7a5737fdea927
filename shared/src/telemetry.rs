//! JSON logs, and counters as CloudWatch embedded metrics.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;
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
    /// Writes the counters of an invocation as [`emit`] does, and beside them how many records it brought and how long it
    /// took, in milliseconds from `began` until now.
    /// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>)
    pub fn emit(&self, part: &str, records: usize, began: Instant) {
        emit(part, &[("Count", &json!(self))], &invocation(records, began.elapsed()));
    }
}

/// No metrics: each would be billed by the month, and the log has them for whoever asks.
fn invocation(records: usize, took: Duration) -> Value {
    json!({"records": records, "ms": (took.as_secs_f64() * 10_000.0).round() / 10.0})
}

/// Writes metrics to standard output, as one line in CloudWatch's embedded metric format, under a dimension that names
/// the part that measured: objects of names and values, each with the unit of its values. A value is a number, or
/// `{"Values": [...], "Counts": [...]}`. `properties` stand beside them, to be found in the log, and are no metrics.
pub fn emit(part: &str, metrics: &[(&str, &Value)], properties: &Value) {
    #[cfg(any(test, feature = "fakes"))]
    if crate::fakes::tally::takes(part, metrics) {
        return;
    }
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    println!("{}", line(part, since_1970.as_millis(), metrics, properties));
}

fn line(part: &str, timestamp: u128, metrics: &[(&str, &Value)], properties: &Value) -> Value {
    let mut line = properties.clone();
    let mut directives = Vec::new();
    for (unit, values) in metrics {
        for (name, value) in values.as_object().into_iter().flatten() {
            directives.push(json!({"Name": name, "Unit": unit}));
            line[name] = value.clone();
        }
    }
    line["part"] = part.into();
    line["_aws"] = json!({
        "Timestamp": u64::try_from(timestamp).unwrap_or(u64::MAX),
        "CloudWatchMetrics": [{"Namespace": "Pulsegate", "Dimensions": [["part"]], "Metrics": directives}],
    });
    line
}

/// Lets one through a minute and counts the others: what comes by the thousand must not flood the log.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Passed>);

#[derive(Debug, Default)]
struct Passed {
    last: Option<Instant>,
    suppressed: u64,
}

impl Seldom {
    const PERIOD: Duration = Duration::from_mins(1);

    /// Whether this one goes through, and how many did not since the last that did.
    pub fn due(&self) -> Option<u64> {
        let mut passed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if passed.last.is_some_and(|last| last.elapsed() < Self::PERIOD) {
            passed.suppressed += 1;
            return None;
        }
        passed.last = Some(Instant::now());
        Some(std::mem::take(&mut passed.suppressed))
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
        let counts = Counts { received: 3, stored: 2, quarantined: 1, ..Counts::default() };
        let line = line("raw-sigfox", 7, &[("Count", &json!(counts))], &json!({}));
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        let fields = serde_json::to_value(Counts::default()).unwrap();
        assert_eq!(directive["Metrics"].as_array().unwrap().len(), fields.as_object().unwrap().len());
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_u64(), "{metric}");
        }
        assert_eq!((&line["part"], &line["received"]), (&json!("raw-sigfox"), &json!(3)));
    }

    #[test]
    fn records_and_time_of_an_invocation_stand_in_the_line_and_are_no_metrics() {
        let properties = invocation(7, Duration::from_micros(12_345));
        let line = line("raw-sigfox", 7, &[("Count", &json!(Counts::default()))], &properties);
        assert_eq!((&line["records"], &line["ms"]), (&json!(7), &json!(12.3)));
        let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].to_string();
        assert!(!metrics.contains("records") && !metrics.contains("\"ms\""), "{metrics}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_a_minute_goes_through_and_tells_how_many_did_not() {
        let seldom = Seldom::default();
        assert_eq!((seldom.due(), seldom.due(), seldom.due()), (Some(0), None, None));
        tokio::time::advance(Seldom::PERIOD).await;
        assert_eq!((seldom.due(), seldom.due()), (Some(2), None));
    }
}
