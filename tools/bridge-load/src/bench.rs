//! Measures CPU time per datagram and latency of the bridge, and compares it with a loop that stores nothing.
//!
//! # Layout
//!
//! - [`sample`]: one run.
//! - [`report`]: the results in Markdown.
//! - [`plot`]: the results as a chart.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub mod plot;
pub mod report;
pub mod sample;

use sample::{Bench, Sample, Subject};

use crate::fleet::Pattern;

/// Rate and seconds of the long run: 3.6 million hourly meters that all send within one minute.
const LONG: (u32, u32) = (60_000, 60);

/// Options of the benchmark.
#[derive(Debug, Clone)]
pub struct Options {
    /// The bridge's program.
    pub bridge: PathBuf,
    /// Settings of the bridge, beyond its defaults.
    pub settings: Vec<(String, String)>,
    /// Readings a second, one run for each.
    pub rates: Vec<u32>,
    /// The length of a run in seconds.
    pub seconds: u32,
    /// True if to add the long run.
    pub long: bool,
    /// The rate of the comparison.
    pub compared: u32,
    /// Runs of each program in the comparison; 0 leaves it out.
    pub runs: usize,
    /// When the fleet sends.
    pub pattern: Pattern,
    /// The answer time of Kinesis.
    pub delay: Duration,
    /// The number of meters.
    pub meters: u32,
    /// The file of the report, besides standard output.
    pub report: Option<PathBuf>,
    /// The file of the chart.
    pub plot: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bridge: "target/release/udp-bridge".into(),
            settings: Vec::new(),
            rates: vec![10_000, 30_000, 50_000, 60_000],
            seconds: 10,
            long: false,
            compared: 50_000,
            runs: 3,
            pattern: Pattern::Uniform,
            delay: Duration::from_millis(15),
            meters: 200_000,
            report: None,
            plot: None,
        }
    }
}

/// The runs of a bridge and of a bare loop under the same load.
#[derive(Debug)]
pub struct Comparison {
    /// True if they answered.
    pub answers: bool,
    /// The bridge's runs.
    pub bridge: Vec<Sample>,
    /// The bare loop's.
    pub bare: Vec<Sample>,
}

/// Measures, and prints the report.
///
/// # Errors
/// If something does not start, or a file cannot be written.
pub fn run(options: &Options) -> io::Result<()> {
    let mut bench = Bench::new(options)?;
    let long = options.long.then_some(LONG);
    let wanted = options.rates.iter().map(|&rate| (rate, options.seconds)).chain(long);
    let mut samples = Vec::new();
    for (rate, seconds) in wanted {
        eprintln!("{rate}/s for {seconds} s");
        samples.push(bench.sample(Subject::Bridge { answers: true }, rate, seconds)?);
    }
    let mut comparisons = Vec::new();
    for answers in [true, false].into_iter().filter(|_| options.runs > 0) {
        comparisons.push(compare(&mut bench, options, answers)?);
    }
    let text = report::markdown(options, &samples, &comparisons);
    print!("{text}");
    if let Some(file) = &options.report {
        std::fs::write(file, text)?;
    }
    if let Some(file) = &options.plot {
        std::fs::write(file, plot::svg(&samples))?;
    }
    Ok(())
}

/// Runs both in turns, so that other load of the machine affects both.
fn compare(bench: &mut Bench<'_>, options: &Options, answers: bool) -> io::Result<Comparison> {
    let mut comparison = Comparison { answers, bridge: Vec::new(), bare: Vec::new() };
    for run in 1..=options.runs {
        eprintln!("comparison {run} of {}, {}", options.runs, if answers { "answering" } else { "silent" });
        let mut sample = |subject| bench.sample(subject, options.compared, options.seconds);
        comparison.bridge.push(sample(Subject::Bridge { answers })?);
        comparison.bare.push(sample(Subject::Bare { answers })?);
    }
    Ok(comparison)
}
