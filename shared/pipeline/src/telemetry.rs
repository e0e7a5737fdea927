//! JSON logs, and metrics to the sink that was chosen at start.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pulsegate_model::event::{DeviceEvent, is_refusal};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::Level;

mod prometheus;

pub use prometheus::PrometheusSink;

/// A place where metrics go.
pub trait MetricsSink: Send + Sync {
    /// Takes the metrics of one measurement.
    fn record(&self, metrics: &Metrics<'_>);
}

/// The metrics of one measurement.
#[derive(Debug)]
pub struct Metrics<'a> {
    /// The part that measured: a function or the bridge. Sinks tell the parts apart by it.
    pub part: &'a str,
    /// Names and values, by CloudWatch's name for their unit. A value is a number or a distribution,
    /// `{"Values": [...], "Counts": [...]}`.
    pub values: &'a [(&'static str, Value)],
    /// What belongs into the log beside the metrics, and is no metric.
    pub properties: Value,
}

static SINK: OnceLock<Box<dyn MetricsSink>> = OnceLock::new();

/// Chooses the sink of this process; the first choice stays. Without one, metrics are discarded.
pub fn install(sink: impl MetricsSink + 'static) {
    // A second sink would split the sums between two places.
    let _ = SINK.set(Box::new(sink));
}

/// Sends metrics to the sink.
pub fn emit(metrics: &Metrics<'_>) {
    if let Some(sink) = SINK.get() {
        sink.record(metrics);
    }
}

/// The outcome of the messages of a batch. `received` is the sum of the others: nothing is lost silently.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OutcomeCounts {
    /// Uplinks and events, and pieces that could not be parsed.
    pub received: usize,
    /// Durable in the next place.
    pub stored: usize,
    /// Unreadable, and durable in quarantine.
    pub quarantined: usize,
    /// Not durable now; the sender repeats them.
    pub given_back: usize,
    /// Rejected at the door: no credentials, no such profile, too large.
    pub refused: usize,
}

impl OutcomeCounts {
    /// Emits the counts of a batch of so many records that began at `began`. The log has the number of records and the
    /// milliseconds until now; as metrics, each would be billed by the month.
    pub fn emit(&self, part: &str, records: usize, began: Instant) {
        let properties = json!({"records": records, "ms": (began.elapsed().as_secs_f64() * 10_000.0).round() / 10.0});
        emit(&Metrics { part, values: &[("Count", json!(self))], properties });
    }
}

/// Emits, as metrics of the part `sigfox-events`, what alarms may be set on. Events of a batch that comes back are counted
/// again.
pub fn emit_events(events: &[DeviceEvent]) {
    let missed: u32 = events.iter().filter_map(|event| Some(event.details.sequence_break?.missed)).sum();
    let refused = |event: &&DeviceEvent| event.details.downlink.as_ref().is_some_and(|report| is_refusal(report.code));
    let counts = json!({
        "events": events.len(),
        "missed_uplinks": missed,
        "refused_downlinks": events.iter().filter(refused).count(),
        "silent_devices": events.iter().filter(|event| event.kind == "error").count(),
    });
    emit(&Metrics { part: "sigfox-events", values: &[("Count", counts)], properties: json!({}) });
}

/// Lets one event through per minute and counts the others, so that frequent events do not flood the log.
#[derive(Debug, Default)]
pub struct LogThrottle(Mutex<Passed>);

#[derive(Debug, Default)]
struct Passed {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogThrottle {
    const PERIOD: Duration = Duration::from_mins(1);

    /// Returns how many events were suppressed since the last one that went through; `None` if this one is suppressed too.
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

    #[tokio::test(start_paused = true)]
    async fn one_a_minute_goes_through_and_tells_how_many_did_not() {
        let seldom = LogThrottle::default();
        assert_eq!((seldom.due(), seldom.due(), seldom.due()), (Some(0), None, None));
        tokio::time::advance(LogThrottle::PERIOD).await;
        assert_eq!((seldom.due(), seldom.due()), (Some(2), None));
    }
}
