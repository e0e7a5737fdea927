//! Command line of `fleet`: parses the options and runs the command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fleet::{Problem, audit, load, report};

const EXAMPLES: &str = "\
Examples:
  fleet load --devices 180000 --hours 0.25 --env .local/env --run runs/180k
  fleet audit runs/180k --env .local/env
  fleet report runs/180k runs/360k --output docs/load-test.md

Exit codes: 0 success; 1 failure, with the reason on standard error; 2 invalid command line.";

/// Load generator and audit for fleets of meters of any size
#[derive(Debug, Parser)]
#[command(name = "fleet", version, after_help = EXAMPLES)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send the messages of a fleet of meters to a deployed stack
    Load(Box<load::Options>),
    /// Account for every message that a run has sent
    Audit(audit::Options),
    /// Write the load report of recorded runs, and the measurements for the cost model
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
        Command::Load(options) => load::run(*options).await,
        Command::Audit(options) => audit::run(options).await,
        Command::Report(options) => report::run(options).await,
    }
}
