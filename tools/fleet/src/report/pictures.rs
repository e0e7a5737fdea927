//! The charts of the report.

use std::path::{Path, PathBuf};

use super::recorded::Recorded;
use crate::chart::{Axis, Chart, Line};

/// Seconds that make one point: each by itself would be a hedge.
const PER_POINT: usize = 10;

/// The chart of each run that has one, and the file that it goes to.
pub(super) fn files(runs: &[Recorded], directory: Option<&Path>) -> Vec<Option<(Chart, PathBuf)>> {
    let file = |run: &Recorded| match directory {
        Some(directory) => directory.join(format!("{}.svg", run.name)),
        None => run.directory.join("rate.svg"),
    };
    runs.iter().map(|run| Some((rate(run)?, file(run)))).collect()
}

/// Messages a second over time.
fn rate(run: &Recorded) -> Option<Chart> {
    let measured = &run.run.measured;
    let line = |name: &str, seconds: &[u32]| Line { name: name.to_owned(), points: points(seconds) };
    let lines = vec![line("sent", &measured.seconds_sent), line("acknowledged", &measured.seconds_acknowledged)];
    lines.iter().any(|line| line.points.len() > 1).then(|| Chart {
        title: format!("{}: messages a second", run.name),
        x: Axis::even("seconds since the start"),
        y: Axis::even("messages a second"),
        lines,
    })
}

/// Means of some seconds each, at their end; of a last part, of what it has.
#[expect(clippy::cast_precision_loss, reason = "messages of a second, and seconds of a run")]
fn points(seconds: &[u32]) -> Vec<(f64, f64)> {
    let mean = |(n, some): (usize, &[u32])| {
        let sum: f64 = some.iter().copied().map(f64::from).sum();
        ((n * PER_POINT + some.len()) as f64, sum / some.len() as f64)
    };
    seconds.chunks(PER_POINT).enumerate().map(mean).collect()
}
