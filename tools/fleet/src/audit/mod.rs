//! Reads a stack back after a run, and accounts for every session: sent, acknowledged, stored raw, stored as pulses, or in
//! which place it was last seen. Then it holds each meter's points against what that meter counted.
//!
//! # Layout
//!
//! - `book`: a run, and which of its uplinks are stored.
//! - `books`: all runs that were named, to which an item is shown: of which of them it is, or of none.
//! - `points`: the points of a meter against what it counted.
//! - `read`: brings the books all items of both tables.
//! - `waiting`: queues, and whether anything is still on its way; `peek`: what is in quarantine and among dead letters.
//! - `progress`: how far it is, on a terminal.
//! - `tally`: what it all comes to; `missing`: what is not there, uplink by uplink; `show`: tables.
//! - `check`: all of it together.

use std::path::PathBuf;
use std::time::Duration;

use pulsegate_aws::{DynamoReader, SqsReceiver, patient};

use crate::Problem;
use crate::print::Format;
use crate::stack::Stack;

mod accounts;
mod check;
mod expected_run;
mod failed_messages;
mod findings;
mod missing;
mod points;
mod progress;
mod read;
mod show;
mod tally;
#[cfg(test)]
mod tests;
mod waiting;

pub(crate) use expected_run::key;
pub use findings::{Audit, Meters, NetworkCounts, Size, Sizes, UnexpectedItems};
use waiting::{QueueKind, WatchedQueue};

/// The file in the directory of a run that the audit leaves behind.
pub const FILE: &str = "audit.json";

/// A page of a table is at most 1 MB, but a stand-in for the cloud may sort millions of items for it.
const ATTEMPT: Duration = Duration::from_mins(1);

const AFTER: &str = "\
Exit code 0 only if every acknowledged session is stored, raw and as pulses, as its meter sent it; if each meter's points are what it
counted; if nothing is left in a queue or among dead letters, and nothing is stored that no meter has sent; and if the run has come to
its end. Sessions that were never acknowledged are named, and are nobody's fault but the network's.

What is in the tables of devices that are not of these runs does not matter. If the same devices were simulated several times, name all
those runs: an item is of the run whose session it is.";

/// What is on the command line.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct Options {
    /// Directories of runs, as `fleet load` has written them
    #[arg(required = true, value_name = "RUN_DIR")]
    pub runs: Vec<PathBuf>,

    /// The stack's addresses, as `make up` writes them [default: .local/env, or else the environment]
    #[arg(long, value_name = "FILE")]
    pub env: Option<PathBuf>,

    /// How long to wait for what is still on its way
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    pub wait: Duration,

    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    /// How many of those that are missing to print
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub list: usize,

    /// Write all that are missing to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub missing: Option<PathBuf>,

    /// Ask the tables for what was sent, key by key, instead of reading them from one end to the other. Sooner done where they hold
    /// much else, or where each page costs as much as the whole table. What nobody has sent is not found then
    #[arg(long)]
    pub by_key: bool,

    /// Into how many parts the tables are divided, to be read side by side
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub segments: u32,
}

/// A time such as `90s`, `5m` or `1h`.
fn time(text: &str) -> Result<Duration, String> {
    let no_time = || format!("{text:?} is not a time such as 90s, 5m or 1h");
    let time: jiff::SignedDuration = text.parse().map_err(|_| no_time())?;
    Duration::try_from(time).map_err(|_| no_time())
}

/// What is read.
#[derive(Debug)]
pub struct Stores<R, P, I> {
    /// Raw uplinks.
    pub raw: R,
    /// Pulses.
    pub pulses: P,
    /// Queues.
    pub places: Vec<WatchedQueue<I>>,
}

/// Does it.
///
/// # Errors
/// [`Problem::NotAll`] if not all is accounted for; what was printed says what. Other problems if it could not be done.
pub async fn run(options: Options) -> Result<(), Problem> {
    let stack = Stack::read(options.env.as_deref())?;
    let stores = stores(&stack).await?;
    let mut accounts = accounts::Accounts::open(&options.runs)?;
    let found = check::check(&mut accounts, &stores, &options).await?;
    check::leave(&found, &options)?;
    print!("{}", show::text(&found, options.list, options.format));
    if found.audit.ok { Ok(()) } else { Err(Problem::NotAll(found.audit.wrong.join("; "))) }
}

async fn stores(stack: &Stack) -> Result<Stores<DynamoReader, DynamoReader, SqsReceiver>, Problem> {
    let config = patient(&stack.sdk_config().await, ATTEMPT);
    let place = |name, kind, variable| {
        let inbox = SqsReceiver::new(&config, stack.required(variable)?);
        Ok::<_, Problem>(WatchedQueue { name, kind, inbox })
    };
    Ok(Stores {
        raw: DynamoReader::new(&config, stack.required("RAW_TABLE")?),
        pulses: DynamoReader::new(&config, stack.required("PULSE_TABLE")?),
        places: vec![
            place("raw, Sigfox", QueueKind::Work, "RAW_QUEUE_URL")?,
            place("pulses, Sigfox", QueueKind::Work, "PULSE_SIGFOX_QUEUE_URL")?,
            place("pulses, NB-IoT", QueueKind::Work, "PULSE_NBIOT_QUEUE_URL")?,
            place("dead letters: raw, Sigfox", QueueKind::DeadLetters, "RAW_DEAD_LETTERS_URL")?,
            place("dead letters: pulses, Sigfox", QueueKind::DeadLetters, "PULSE_SIGFOX_DEAD_LETTERS_URL")?,
            place("dead letters: pulses, NB-IoT", QueueKind::DeadLetters, "PULSE_NBIOT_DEAD_LETTERS_URL")?,
            place("quarantine", QueueKind::Quarantine, "QUARANTINE_QUEUE_URL")?,
        ],
    })
}
