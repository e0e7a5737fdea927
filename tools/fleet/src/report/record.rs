//! Reads the functions' logs of a run.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use pulsegate_pipeline::ports::{Log, LogLine};
use serde_json::Value;
use tokio::time::Instant;

use super::invocations::{Adder, Functions, LINE_OVERHEAD, metrics};
use crate::Problem;
use crate::run::Run;

/// The functions that uplinks pass through in every stack, by the names that the template gives them.
pub(super) const FUNCTIONS: [&str; 4] = ["sigfox-callback", "raw-sigfox", "raw-nbiot", "settle"];

/// Those of a stack with a pulses table.
pub(super) const PULSE_FUNCTIONS: [&str; 2] = ["pulse-sigfox", "pulse-nbiot"];

/// Period of one log query, milliseconds. Its lines are in memory until they are added up.
const AT_ONCE: u64 = 60_000;

/// How long throttled log queries are retried.
const LOG_TIMEOUT: Duration = Duration::from_mins(5);

/// Adds up the logs of these functions since the start of the run.
pub(super) async fn record<L: Log>(
    directory: &Path,
    until: Option<Timestamp>,
    names: &[&str],
    log: impl Fn(&str) -> L,
    bridge: Option<&Path>,
) -> Result<Functions, Problem> {
    let run = Run::read(directory)?;
    let from = began(&run, directory)?;
    // To the millisecond, as in logs.
    let until = until.unwrap_or_else(Timestamp::now);
    let until = until.round(jiff::Unit::Millisecond).unwrap_or(until);
    let between = millis(from)..millis(until);
    if between.is_empty() {
        return Err(Problem::Wrong(format!("{} began at {from}, and {until} is not after that", directory.display())));
    }
    let mut all = Functions { from: from.to_string(), to: until.to_string(), ..Functions::default() };
    for function in names {
        let mut adder = Adder::new()?;
        read(&log(function), between.clone(), |line| adder.take(line)).await?;
        let (sums, metrics) = adder.end();
        all.functions.insert((*function).to_owned(), sums);
        all.metrics.extend(metrics);
    }
    if let Some(text) = bridge.and_then(|file| std::fs::read_to_string(file).ok()) {
        of_bridge(&text, &between, &mut all);
    }
    if all.functions.values().all(|function| function.invocations == 0) {
        return Err(Problem::Wrong(format!(
            "no function has logged an invocation since {from}: are these the logs of the stack that {} was sent to?",
            directory.display()
        )));
    }
    Ok(all)
}

async fn read(log: &impl Log, between: Range<u64>, mut take: impl FnMut(&LogLine)) -> Result<(), Problem> {
    let mut from = between.start;
    while from < between.end {
        let to = (from + AT_ONCE).min(between.end);
        let lines = log.lines(from..to, Instant::now() + LOG_TIMEOUT).await?;
        lines.iter().for_each(&mut take);
        from = to;
    }
    Ok(())
}

/// Adds the bridge's log: a line with metrics every minute, and little else.
#[expect(clippy::cast_precision_loss, reason = "lines and bytes of a log")]
fn of_bridge(text: &str, between: &Range<u64>, all: &mut Functions) {
    let (mut bytes, mut minutes) = (0, 0_u64);
    for line in text.lines() {
        let value = serde_json::from_str::<Value>(line).unwrap_or_default();
        let at = value["timestamp"].as_str().and_then(|at| at.parse().ok()).map(millis);
        if at.or(value["_aws"]["Timestamp"].as_u64()).is_some_and(|at| !between.contains(&at)) {
            continue;
        }
        bytes += line.len() as u64 + LINE_OVERHEAD;
        let metrics = metrics(&value);
        minutes += u64::from(!metrics.is_empty());
        all.metrics.extend(metrics);
    }
    all.bridge_log_bytes_per_minute = (minutes > 0).then(|| bytes as f64 / minutes as f64);
}

/// Start of a run, by the clock of the load generator.
fn began(run: &Run, directory: &Path) -> Result<Timestamp, Problem> {
    let date = run.options.get("date").and_then(Value::as_str);
    date.and_then(|date| date.parse().ok())
        .ok_or_else(|| Problem::Wrong(format!("{} has no start time (run.json, options, date)", directory.display())))
}

fn millis(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or_default()
}
