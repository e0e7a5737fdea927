//! The charts of the report.

use std::path::{Path, PathBuf};

use super::recorded::Recorded;
use crate::chart::{Axis, Chart, Line};
use crate::load::burst::charts;

/// Seconds per point, to smooth the line.
const PER_POINT: usize = 10;

/// The charts of the runs, each with its file.
pub(super) fn files(runs: &[Recorded], directory: Option<&Path>) -> Vec<(Chart, PathBuf)> {
    let file = |run: &Recorded, name: &str| match directory {
        Some(directory) => directory.join(format!("{}-{name}", run.name)),
        None => run.directory.join(name),
    };
    let of_run = |run: &Recorded| match &run.run.measured.burst {
        Some(burst) => charts(&burst.seconds).map(|(chart, name)| (chart, file(run, name))).into(),
        None => Vec::from_iter(rate(run).map(|chart| (chart, file(run, "rate.svg")))),
    };
    runs.iter().flat_map(of_run).collect()
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

/// Means of `PER_POINT` seconds, at their end; the last point may cover fewer.
#[expect(clippy::cast_precision_loss, reason = "messages of a second, and seconds of a run")]
fn points(seconds: &[u32]) -> Vec<(f64, f64)> {
    let mean = |(n, some): (usize, &[u32])| {
        let sum: f64 = some.iter().copied().map(f64::from).sum();
        ((n * PER_POINT + some.len()) as f64, sum / some.len() as f64)
    };
    seconds.chunks(PER_POINT).enumerate().map(mean).collect()
}
