//! JSON logs, and metrics to the sink that is installed at start.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pulsegate_model::event::{DeviceEvent, is_refusal};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::Level;

mod prometheus;

pub use prometheus::PrometheusSink;

/// A destination of metrics.
pub trait MetricsSink: Send + Sync {
    /// Records the metrics of one measurement.
    fn record(&self, metrics: &Metrics<'_>);
}

/// The metrics of one measurement.
#[derive(Debug)]
pub struct Metrics<'a> {
    /// The component that measured: a function or the bridge. Sinks use it as a label.
    pub part: &'a str,
    /// Names and values, grouped by CloudWatch's name of their unit. A value is a number or a distribution,
    /// `{"Values": [...], "Counts": [...]}`.
    pub values: &'a [(&'static str, Value)],
    /// Further fields for the log, which are not metrics.
    pub properties: Value,
}

static SINK: OnceLock<Box<dyn MetricsSink>> = OnceLock::new();

/// Installs the sink of this process; later calls have no effect. Without a sink, metrics are discarded.
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

/// Counts of the messages of a batch by outcome. `received` is the sum of the others: no message is lost silently.
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
    /// Rejected on arrival: no credentials, no such profile, too large.
    pub refused: usize,
    /// Of erased devices, and dropped. A metric without values costs nothing.
    #[serde(skip_serializing_if = "is_zero")]
    pub erased: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks like that")]
pub(crate) fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl OutcomeCounts {
    /// Emits the counts of a batch of so many records that began at `began`. The number of records and the elapsed
    /// milliseconds go only to the log, because each metric is billed by the month.
    pub fn emit(&self, part: &str, records: usize, began: Instant) {
        let properties = json!({"records": records, "ms": (began.elapsed().as_secs_f64() * 10_000.0).round() / 10.0});
        emit(&Metrics { part, values: &[("Count", json!(self))], properties });
    }
}

/// Emits metrics of device events for alarms, as the part `sigfox-events`. Events of a repeated batch are counted
/// again.
pub fn emit_events(events: &[&DeviceEvent]) {
    let missed: u32 = events.iter().filter_map(|event| Some(event.details.sequence_break?.missed)).sum();
    let refused = |event: &&&DeviceEvent| event.details.downlink.as_ref().is_some_and(|report| is_refusal(report.code));
    let counts = json!({
        "events": events.len(),
        "missed_uplinks": missed,
        "refused_downlinks": events.iter().filter(refused).count(),
        "silent_devices": events.iter().filter(|event| event.kind == "error").count(),
    });
    emit(&Metrics { part: "sigfox-events", values: &[("Count", counts)], properties: json!({}) });
}

/// Emits the number of items with the flag `clock-not-set`, as the part `pulse`, unless it is zero: a metric without values
/// costs nothing. Items of a repeated batch are counted again.
pub fn emit_unset_clocks(items: usize) {
    if items > 0 {
        let counts = json!({ "clocks_not_set": items });
        emit(&Metrics { part: "pulse", values: &[("Count", counts)], properties: json!({}) });
    }
}

/// Lets one event through per minute and counts the others, so that frequent events do not flood the log.
#[derive(Debug, Default)]
pub struct LogThrottle(Mutex<ThrottleState>);

#[derive(Debug, Default)]
struct ThrottleState {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogThrottle {
    const PERIOD: Duration = Duration::from_mins(1);

    /// Returns how many events were suppressed since the last one that went through; `None` if this one is suppressed
    /// too.
    pub fn due(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| last.elapsed() < Self::PERIOD) {
            state.suppressed += 1;
            return None;
        }
        state.last = Some(Instant::now());
        Some(std::mem::take(&mut state.suppressed))
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
        let throttle = LogThrottle::default();
        assert_eq!((throttle.due(), throttle.due(), throttle.due()), (Some(0), None, None));
        tokio::time::advance(LogThrottle::PERIOD).await;
        assert_eq!((throttle.due(), throttle.due()), (Some(2), None));
    }
}
