//! Sums over the log lines of a function.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hdrhistogram::Histogram;
use pulsegate_pipeline::ports::LogLine;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fit::Sums;
use crate::Problem;

/// The file in the directory of a run.
pub(super) const FILE: &str = "functions.json";

/// Assumed time of the runtime per invocation in addition to the handler, milliseconds. For a small event it is ample,
/// since a warm call of the callback function takes 1.3 in total (docs/performance.md); a large event takes
/// longer to parse. Billed time is the sum, in whole milliseconds.
pub(super) const RUNTIME_MS: f64 = 1.0;

/// Bytes that CloudWatch bills per line in addition to the text.
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>)
pub(super) const LINE_OVERHEAD: u64 = 26;

/// Lambda's own lines, which the template's log format suppresses, but local stand-ins write.
const PLATFORM: [&str; 4] = ["START RequestId:", "END RequestId:", "REPORT RequestId:", "INIT_START"];

/// Sums of the functions' logs of a run. Stored as `functions.json` in its directory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Functions {
    /// Start of the period, by the logs' clock: RFC 3339.
    pub from: String,
    /// End of the period.
    pub to: String,
    /// The functions, by their names in the template.
    pub functions: BTreeMap<String, Function>,
    /// Metrics that were logged, each with its part.
    pub metrics: BTreeSet<String>,
    /// Bytes of the bridge's log per minute, with CloudWatch's overhead; `None` without that log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge_log_bytes_per_minute: Option<f64>,
}

/// Sums of a function's log. Times are those of the handler, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// Finished invocations.
    pub invocations: u64,
    /// Records received: messages, stream records or requests.
    pub records: u64,
    /// Uplinks, unreadable ones included.
    pub uplinks: u64,
    /// Of these, given back to be delivered again.
    pub given_back: u64,
    /// Seconds from the first invocation's line to the last one's.
    pub seconds: f64,
    /// Mean run time.
    pub mean_ms: f64,
    /// Median.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Mean billed time: the invocation's time and `RUNTIME_MS`, in whole milliseconds.
    pub billed_ms: f64,
    /// Sums of billed time by uplinks.
    pub billed_sums: Sums,
    /// Mean bytes of log per invocation, with CloudWatch's overhead; without Lambda's own lines, which the template's
    /// log format suppresses.
    pub log_bytes: f64,
}

/// The line that each invocation writes: see docs/operate.md. `settle` counts objects and rows.
#[derive(Debug, Deserialize)]
struct Line {
    ms: f64,
    #[serde(alias = "objects")]
    records: u64,
    #[serde(alias = "rows")]
    received: u64,
    #[serde(default)]
    given_back: u64,
}

/// Adds up the lines of one function.
#[derive(Debug)]
pub(super) struct Adder {
    sums: Function,
    times: Histogram<u64>,
    total_ms: f64,
    billed: f64,
    log_bytes: u64,
    first_and_last: Option<(u64, u64)>,
    metrics: BTreeSet<String>,
}

impl Adder {
    pub(super) fn new() -> Result<Self, Problem> {
        // Microseconds; Lambda's maximum is 15 minutes.
        let times = Histogram::new_with_bounds(1, 900_000_000, 3);
        let times = times.map_err(|e| Problem::Wrong(format!("no histogram of run times: {e}")))?;
        Ok(Self {
            sums: Function::default(),
            times,
            total_ms: 0.0,
            billed: 0.0,
            log_bytes: 0,
            first_and_last: None,
            metrics: BTreeSet::new(),
        })
    }

    /// Adds a log line of any kind.
    pub(super) fn take(&mut self, line: &LogLine) {
        if PLATFORM.iter().any(|start| line.text.starts_with(start)) {
            return;
        }
        self.log_bytes += line.text.len() as u64 + LINE_OVERHEAD;
        let Ok(value) = serde_json::from_str::<Value>(&line.text) else { return };
        self.metrics.extend(metrics(&value));
        if let Ok(invocation) = serde_json::from_value::<Line>(value) {
            self.invocation(line.at, &invocation);
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of uplinks, and times that are neither long nor below zero"
    )]
    fn invocation(&mut self, at: u64, line: &Line) {
        let ms = line.ms.max(0.0);
        let billed = (ms + RUNTIME_MS).ceil();
        self.sums.invocations += 1;
        self.sums.records += line.records;
        self.sums.uplinks += line.received;
        self.sums.given_back += line.given_back;
        self.sums.billed_sums.take(line.received as f64, billed);
        self.total_ms += ms;
        self.billed += billed;
        self.times.saturating_record(((ms * 1_000.0).round() as u64).max(1));
        let (first, last) = self.first_and_last.unwrap_or((at, at));
        self.first_and_last = Some((first.min(at), last.max(at)));
    }

    /// The sums, and the metrics that were logged.
    #[expect(clippy::cast_precision_loss, reason = "counts and milliseconds of a run")]
    pub(super) fn end(self) -> (Function, BTreeSet<String>) {
        let invocations = (self.sums.invocations as f64).max(1.0);
        let quantile = |q| self.times.value_at_quantile(q) as f64 / 1_000.0;
        let (first, last) = self.first_and_last.unwrap_or_default();
        let function = Function {
            seconds: (last - first) as f64 / 1_000.0,
            mean_ms: self.total_ms / invocations,
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            max_ms: self.times.max() as f64 / 1_000.0,
            billed_ms: self.billed / invocations,
            log_bytes: self.log_bytes as f64 / invocations,
            ..self.sums
        };
        (function, self.metrics)
    }
}

/// Metrics of a line in CloudWatch's embedded metric format, each with its part.
pub(super) fn metrics(line: &Value) -> Vec<String> {
    let part = line["part"].as_str().unwrap_or_default();
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten();
    let names = directives.flat_map(|directive| directive["Metrics"].as_array().into_iter().flatten());
    names.filter_map(|metric| Some(format!("{part} {}", metric["Name"].as_str()?))).collect()
}

impl Function {
    /// Mean uplinks per invocation.
    #[expect(clippy::cast_precision_loss, reason = "counts of a run")]
    pub fn uplinks_per_invocation(&self) -> f64 {
        self.uplinks as f64 / (self.invocations as f64).max(1.0)
    }
}

impl Functions {
    /// Writes `functions.json`.
    ///
    /// # Errors
    /// [`Problem::File`].
    pub fn write(&self, directory: &Path) -> Result<(), Problem> {
        let file = directory.join(FILE);
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| Problem::Wrong(format!("{} cannot be written: {e}", file.display())))?;
        super::write(&file, &(text + "\n"))
    }
}
