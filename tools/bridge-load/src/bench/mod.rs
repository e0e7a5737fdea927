//! What a datagram costs, at which latency; and what it would cost a program that promises nothing.
//!
//! # Layout
//!
//! - [`sample`]: one run.
//! - [`report`]: all of them, in Markdown.
//! - [`plot`]: the same as a picture.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub mod plot;
pub mod report;
pub mod sample;

use sample::{Bench, Sample, Subject};

use crate::fleet::Pattern;

/// The rate of the long run, and for how many seconds: a fleet of 3.6 million hourly meters that all fire in one minute.
const LONG: (u32, u32) = (60_000, 60);

/// Settings of a measurement.
#[derive(Debug, Clone)]
pub struct Options {
    /// The bridge's program.
    pub bridge: PathBuf,
    /// Settings of the bridge, beyond its defaults.
    pub settings: Vec<(String, String)>,
    /// Readings a second, for a run each.
    pub rates: Vec<u32>,
    /// How long a run takes.
    pub seconds: u32,
    /// Whether there is a long run too.
    pub long: bool,
    /// The rate of the comparison.
    pub compared: u32,
    /// How many runs of each the comparison takes; none leaves it out.
    pub runs: usize,
    /// When readings are sent.
    pub pattern: Pattern,
    /// How long Kinesis takes to answer.
    pub delay: Duration,
    /// How many meters there are.
    pub meters: u32,
    /// Where the report goes, besides standard output.
    pub report: Option<PathBuf>,
    /// Where the picture goes.
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

/// A bridge and a bare loop that were given the same.
#[derive(Debug)]
pub struct Comparison {
    /// Whether they answered.
    pub answers: bool,
    /// The bridge's runs.
    pub bridge: Vec<Sample>,
    /// The bare loop's.
    pub bare: Vec<Sample>,
}

/// Measures, and prints the report.
///
/// # Errors
/// When something does not start, or a file cannot be written.
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

/// In turns, so that what else the machine does falls on both.
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
