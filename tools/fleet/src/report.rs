//! Report of recorded runs, and the measurements for the cost model.
//!
//! A run is recorded in a few small files in its directory: `run.json` of the load generator, `audit.json` of the audit, and
//! `functions.json`, which `fleet report --record` makes from the functions' logs. The report is a function of these
//! files, so it can be reproduced from them.
//!
//! # Layout
//!
//! - `invocations`: sums over the log lines of a function; `fit`: the straight line through them.
//! - `record`: reads the lines from the log groups.
//! - `recorded`: the files of a run.
//! - `document`: the report; `pictures`: its charts; `study`: figures of the study.
//! - `measured`: the measurement file.

use std::path::{Path, PathBuf};

use pulsegate_aws::{LogGroup, patient};

use crate::Problem;
use crate::print::{Format, several};
use crate::stack::Stack;

mod document;
mod fit;
mod invocations;
mod measured;
mod pictures;
mod record;
mod recorded;
mod study;
#[cfg(test)]
mod tests;

pub use fit::{Line, Sums};
pub use invocations::{Function, Functions};
use recorded::Recorded;

/// Time-out of an attempt: a local stand-in may take long for ten thousand lines.
const ATTEMPT: std::time::Duration = std::time::Duration::from_mins(1);

const AFTER: &str = "\
After each run, while the functions' logs exist:
  fleet report --record runs/180k --env .local/env
Then, for all runs:
  fleet report runs/* --output docs/load-test.md --measurement measured.json";

/// Options of `fleet report`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct Options {
    /// Directories of runs; other files are ignored
    #[arg(required = true, value_name = "RUN_DIR")]
    pub runs: Vec<PathBuf>,

    /// Read the functions' logs of this run, and write their sums to functions.json in its directory
    #[arg(long, conflicts_with_all = ["output", "measurement", "charts"])]
    pub record: bool,

    /// The stack's addresses, as `make up` writes them [default: .local/env, or else the environment]
    #[arg(long, value_name = "FILE", requires = "record")]
    pub env: Option<PathBuf>,

    /// The end of the run, if other runs followed [default: now]
    #[arg(long, value_name = "TIME", requires = "record")]
    pub until: Option<jiff::Timestamp>,

    /// Write the document to this file, as markdown, with its charts
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Write the measurements that `cost bill` reads
    #[arg(long, value_name = "FILE")]
    pub measurement: Option<PathBuf>,

    /// Directory of the document's charts [default: the directory of each run]
    #[arg(long, value_name = "DIR", requires = "output")]
    pub charts: Option<PathBuf>,

    /// Output format of what is not written to a file
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Runs the report.
///
/// # Errors
/// [`Problem`].
pub async fn run(options: Options) -> Result<(), Problem> {
    if options.record {
        return record_all(&options).await;
    }
    let runs = Recorded::read_all(&options.runs)?;
    if let Some(file) = &options.measurement {
        let measurement = measured::measurement(&runs)?;
        write(file, &measurement.text())?;
    }
    if let Some(file) = &options.output {
        let charts = pictures::files(&runs, options.charts.as_deref());
        for (chart, file) in &charts {
            chart.write(file)?;
        }
        write(file, &document::text(&runs, &charts, file.parent().unwrap_or(Path::new(""))))?;
    } else if options.measurement.is_none() {
        print!("{}", several(&document::tables(&runs), options.format));
    }
    Ok(())
}

async fn record_all(options: &Options) -> Result<(), Problem> {
    let stack = Stack::read(options.env.as_deref())?;
    let name = stack.required("STACK")?;
    let config = patient(&stack.sdk_config().await, ATTEMPT);
    let logs = |function: &str| LogGroup::new(&config, format!("/aws/lambda/{name}-{function}"));
    let pulses = record::PULSE_FUNCTIONS.into_iter().filter(|_| stack.optional("PULSE_TABLE").is_some());
    let names: Vec<&str> = record::FUNCTIONS.into_iter().chain(pulses).collect();
    let bridge = stack.optional("LOGS").map(|logs| Path::new(logs).join("bridge.log"));
    for directory in &options.runs {
        let functions = record::record(directory, options.until, &names, logs, bridge.as_deref()).await?;
        functions.write(directory)?;
        print!("{}", document::functions_of(&functions).text(options.format));
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<(), Problem> {
    std::fs::write(file, text).map_err(|e| Problem::File(file.display().to_string(), e))
}
