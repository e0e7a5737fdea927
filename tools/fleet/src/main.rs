//! Reads the command line and does what it says.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fleet::{Problem, audit, report, simulate};

const EXAMPLES: &str = "\
Examples:
  fleet simulate --devices 180000 --hours 0.25 --env .local/env --run runs/180k
  fleet audit runs/180k --env .local/env
  fleet report runs/180k runs/360k --output docs/load-test.md

Exit codes: 0 done, and all of it came out right; 1 not, with the reason on standard error; 2 the command line is wrong.";

/// A fleet of meters of any size against a deployed stack, and what became of its readings
#[derive(Debug, Parser)]
#[command(name = "fleet", version, after_help = EXAMPLES)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send what a fleet of meters sends, to any deployed stack
    Simulate(Box<simulate::Options>),
    /// Account for everything that a run has sent
    Audit(audit::Options),
    /// Make the load table of recorded runs, and the measurements that costs are reckoned from
    Report(report::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("fleet: {}", problem.in_full());
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Problem> {
    match options.command {
        Command::Simulate(options) => simulate::run(*options).await,
        Command::Audit(options) => audit::run(options).await,
        Command::Report(options) => report::run(options).await,
    }
}
