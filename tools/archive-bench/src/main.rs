//! Measures the archive in one process per figure. `make bench-archive` runs it and prints the tables of docs/performance.md.
//!
//! ```text
//! archive-bench generate DIRECTORY [--rows fleet|short|random] [--days N] [--backlog]
//! archive-bench settle DIRECTORY
//! archive-bench derive-before DIRECTORY
//! archive-bench derive DIRECTORY
//! archive-bench read DIRECTORY --days N
//! ```
//!
//! `generate` makes one partition of a day of 3.6 million hourly meters: a file of 1.35 million rows and objects of 90,000
//! more. Each command prints one line of JSON.
//!
//! # Layout
//!
//! - [`meters`]: the uplinks of the meters of a partition.
//! - [`disk`]: an object store in a directory, which counts requests and bytes.
//! - [`generate`], [`settle`], [`derive`], [`read`]: the commands.
//! - [`process`]: processor time and memory of this process.

use std::path::PathBuf;

use lexopt::prelude::*;

mod derive;
mod disk;
mod generate;
mod meters;
mod process;
mod read;
mod settle;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// One number for each of another.
#[expect(clippy::cast_precision_loss, reason = "they are below 2^52")]
fn per(some: usize, each: usize) -> f64 {
    some as f64 / each as f64
}

const USAGE: &str = "archive-bench generate|settle|derive-before|derive|read DIRECTORY [--rows fleet|short|random] [--days N] [--backlog]";

fn main() -> Fallible<()> {
    let mut arguments = lexopt::Parser::from_env();
    let (mut words, mut rows, mut days, mut backlog) = (Vec::new(), meters::Rows::Fleet, 1, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(word) => words.push(word),
            Long("rows") => rows = arguments.value()?.parse_with(meters::Rows::parse)?,
            Long("days") => days = arguments.value()?.parse()?,
            Long("backlog") => backlog = true,
            Long("help") => {
                println!("{USAGE}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let [command, directory] = words.try_into().map_err(|_| USAGE)?;
    let directory = PathBuf::from(directory);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let measured = match command.to_str() {
        Some("generate") => generate::run(&directory, rows, days, backlog)?,
        Some("settle") => runtime.block_on(settle::run(&directory))?,
        Some("derive-before") => runtime.block_on(derive::derive_before(&directory))?,
        Some("derive") => runtime.block_on(derive::run(&directory))?,
        Some("read") => runtime.block_on(read::run(&directory, days))?,
        _ => return Err(USAGE.into()),
    };
    println!("{measured}");
    Ok(())
}
