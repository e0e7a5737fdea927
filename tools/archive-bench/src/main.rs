//! Measures the archive in one process per figure. `make bench-archive` runs it and prints the tables of docs/performance.md.
//!
//! ```text
//! archive-bench generate DIRECTORY [--rows fleet|short|random] [--days N] [--backlog] [--months]
//! archive-bench settle DIRECTORY
//! archive-bench derive-before DIRECTORY
//! archive-bench derive DIRECTORY
//! archive-bench read DIRECTORY --days N
//! archive-bench months-before DIRECTORY
//! archive-bench months DIRECTORY
//! archive-bench hours DIRECTORY
//! archive-bench day-rows DIRECTORY
//! ```
//!
//! `generate` makes one partition of a day of 3.6 million hourly meters: a file of 1.35 million rows and objects of 90,000
//! more; with `--months` it is a sixteenth of such a partition. Each command prints one line of JSON.
//!
//! # Layout
//!
//! - [`meters`]: the uplinks of the meters of a partition.
//! - [`disk`]: an object store in a directory, which counts requests and bytes.
//! - [`consumption`]: hours and rows of days, without storage.
//! - [`generate`], [`settle`], [`derive`], [`months`], [`read`]: the commands.
//! - [`process`]: processor time and memory of this process.

use std::path::PathBuf;

use lexopt::prelude::*;

mod consumption;
mod derive;
mod disk;
mod generate;
mod meters;
mod months;
mod process;
mod read;
mod settle;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// One number for each of another.
#[expect(clippy::cast_precision_loss, reason = "they are below 2^52")]
fn per(some: usize, each: usize) -> f64 {
    some as f64 / each as f64
}

const USAGE: &str = "archive-bench generate|settle|derive-before|derive|months-before|months|read|hours|day-rows DIRECTORY \
                     [--rows fleet|short|random] [--days N] [--backlog] [--months]";

fn main() -> Fallible<()> {
    let mut arguments = lexopt::Parser::from_env();
    let (mut words, mut rows, mut days, mut backlog, mut bits) =
        (Vec::new(), meters::Rows::Fleet, 1, false, meters::BITS);
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(word) => words.push(word),
            Long("rows") => rows = arguments.value()?.parse_with(meters::Rows::parse)?,
            Long("days") => days = arguments.value()?.parse()?,
            Long("backlog") => backlog = true,
            Long("months") => bits = meters::BITS_OF_MONTHS,
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
        Some("generate") => generate::run(&directory, rows, days, backlog, &bits.parse()?)?,
        Some("settle") => runtime.block_on(settle::run(&directory))?,
        Some("derive-before") => runtime.block_on(derive::derive_before(&directory))?,
        Some("derive") => runtime.block_on(derive::run(&directory))?,
        Some("months-before") => runtime.block_on(months::before(&directory))?,
        Some("months") => runtime.block_on(months::run(&directory))?,
        Some("read") => runtime.block_on(read::run(&directory, days))?,
        Some("hours") => consumption::hours(&directory)?,
        Some("day-rows") => consumption::day_rows()?,
        _ => return Err(USAGE.into()),
    };
    println!("{measured}");
    Ok(())
}
