//! Parses the command line and runs the command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cost::{Error, bill, plan, reads};

const EXAMPLES: &str = "\
Examples:
  cost bill --devices 3600000
  cost plan --devices 3600000 --arrival top-of-hour
  cost reads --devices 3600000

Exit codes: 0 success; 1 failure, with the reason on standard error; 2 invalid command line.";

/// The monthly bill of a fleet of meters, by design, and the capacity that it needs
#[derive(Debug, Parser)]
#[command(name = "cost", version, after_help = EXAMPLES)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Calculate the monthly bill of a fleet
    Bill(Box<bill::Options>),
    /// Calculate the capacity for a fleet: shards, partitions, table capacity, tasks, and the time to drain a burst
    Plan(Box<plan::Options>),
    /// Calculate the price of reading the archive
    Reads(reads::Options),
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cost: {}", error.in_full());
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<(), Error> {
    match options.command {
        Command::Bill(options) => bill::run(&options),
        Command::Plan(options) => plan::run(&options),
        Command::Reads(options) => reads::run(&options),
    }
}
