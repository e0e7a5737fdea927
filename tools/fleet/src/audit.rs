//! Audit of runs: reads a stack's archive, pulses table and queues, and accounts for every session: sent, acknowledged,
//! stored raw, stored as pulses, or the last stage that it reached. Then it compares the points of each meter with what
//! the meter counted. Of a stack without a pulses table it decodes the pulses from the archive.
//!
//! # Layout
//!
//! - `expected_run`: a run, and which of its uplinks are stored.
//! - `accounts`: all audited runs; assigns each stored item to a run, or to none.
//! - `points`: compares the points of a meter with what it counted.
//! - `consumption`: compares consumption and ledger with it.
//! - `archive`: reads the rows of the archive into the accounts; `read`: the items of the pulses table.
//! - `waiting`: waits until queues are empty; `failed_messages`: reads quarantine and dead letters.
//! - `progress`: progress bars.
//! - `tally`: counts the sessions; `missing`: lists missing uplinks; `findings`: the result, `audit.json`; `show`: tables.
//! - `check`: the audit as a whole.

use std::path::PathBuf;
use std::time::Duration;

use pulsegate_aws::{DynamoReader, S3Objects, SqsReceiver, patient};
use pulsegate_pipeline::archive::reader::Archive;

use crate::Problem;
use crate::print::Format;
use crate::stack::Stack;

mod accounts;
mod archive;
mod check;
mod consumption;
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
pub use findings::{Audit, ConsumptionFindings, Meters, NetworkCounts, Size, Sizes, Sources, UnexpectedItems};
use waiting::{QueueKind, WatchedQueue};

/// The file that the audit writes into the directory of each run.
pub const FILE: &str = "audit.json";

/// Time-out of an attempt. An object may have 100 MB. A page of a table is at most 1 MB, but a local stand-in may sort millions of items for it.
const ATTEMPT: Duration = Duration::from_mins(1);

const AFTER: &str = "\
Exit code 0 only if every acknowledged session is stored, in the archive and as pulses, as its meter sent it; if the points of each meter are
what it counted; if queues and dead-letter queues are empty, and nothing is stored that no meter has sent; and if the run has come to
its end. Sessions that were never acknowledged are listed, but are no failure: the network has lost them.

Items of devices outside these runs are ignored. If several runs used the same devices, name all
those runs: each item is assigned to the run that has sent it.";

/// Options of `fleet audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct Options {
    /// Directories of runs, as `fleet load` has written them
    #[arg(required = true, value_name = "RUN_DIR")]
    pub runs: Vec<PathBuf>,

    /// The stack's addresses, as `make up` writes them [default: .local/env, or else the environment]
    #[arg(long, value_name = "FILE")]
    pub env: Option<PathBuf>,

    /// How long to wait for messages in transit
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    pub wait: Duration,

    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    /// Number of missing messages to print
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub list: usize,

    /// Write all missing messages to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub missing: Option<PathBuf>,

    /// Read only the days of these runs from the archive, and look up their pulses by key instead of scanning the
    /// table. Faster if both hold much else. Pulses that no meter has sent are not found then, and rows of the archive
    /// on those days only
    #[arg(long)]
    pub by_key: bool,

    /// Compare consumption and ledger as well: hours, days and lost uplinks of each meter with what it counted and what was
    /// lost on purpose
    #[arg(long)]
    pub consumption: bool,

    /// Number of parallel segments of a scan of the pulses table
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub segments: u32,
}

/// Parses a time such as `90s`, `5m` or `1h`.
fn time(text: &str) -> Result<Duration, String> {
    let no_time = || format!("{text:?} is not a time such as 90s, 5m or 1h");
    let time: jiff::SignedDuration = text.parse().map_err(|_| no_time())?;
    Duration::try_from(time).map_err(|_| no_time())
}

/// Stores and queues that the audit reads.
#[derive(Debug)]
pub struct Stores<S, P, I> {
    /// Raw uplinks.
    pub archive: Archive<S>,
    /// Pulses, if the stack has a table of them.
    pub pulses: Option<P>,
    /// Queues.
    pub places: Vec<WatchedQueue<I>>,
}

/// Runs the audit.
///
/// # Errors
/// [`Problem::NotAll`] if not all is accounted for; the printed tables have the details. Other problems if the audit could not run.
pub async fn run(options: Options) -> Result<(), Problem> {
    let stack = Stack::read(options.env.as_deref())?;
    let stores = stores(&stack).await?;
    let mut accounts = accounts::Accounts::open(&options.runs)?;
    accounts.consumption = options.consumption.then(ConsumptionFindings::default);
    let found = check::check(&mut accounts, &stores, &options).await?;
    check::leave(&found, &options)?;
    print!("{}", show::text(&found, options.list, options.format));
    if found.audit.ok { Ok(()) } else { Err(Problem::NotAll(found.audit.wrong.join("; "))) }
}

/// Queues of every stack: name, kind and variable.
const QUEUES: [(&str, QueueKind, &str); 3] = [
    ("raw, Sigfox", QueueKind::Work, "RAW_QUEUE_URL"),
    ("dead letters: raw, Sigfox", QueueKind::DeadLetters, "RAW_DEAD_LETTERS_URL"),
    ("quarantine", QueueKind::Quarantine, "QUARANTINE_QUEUE_URL"),
];

/// Queues of a stack with a pulses table.
const PULSE_QUEUES: [(&str, QueueKind, &str); 4] = [
    ("pulses, Sigfox", QueueKind::Work, "PULSE_SIGFOX_QUEUE_URL"),
    ("pulses, NB-IoT", QueueKind::Work, "PULSE_NBIOT_QUEUE_URL"),
    ("dead letters: pulses, Sigfox", QueueKind::DeadLetters, "PULSE_SIGFOX_DEAD_LETTERS_URL"),
    ("dead letters: pulses, NB-IoT", QueueKind::DeadLetters, "PULSE_NBIOT_DEAD_LETTERS_URL"),
];

async fn stores(stack: &Stack) -> Result<Stores<S3Objects, DynamoReader, SqsReceiver>, Problem> {
    let table = stack.optional("PULSE_TABLE");
    let queues = QUEUES.iter().chain(PULSE_QUEUES.iter().filter(|_| table.is_some()));
    let needed = queues.clone().map(|(_, _, variable)| *variable);
    stack.require(&std::iter::once("ARCHIVE_BUCKET").chain(needed).collect::<Vec<_>>())?;
    let bits = stack.optional("PARTITION_BITS").unwrap_or_default().parse();
    let bits = bits.map_err(|e| Problem::Wrong(format!("PARTITION_BITS: {e}")))?;
    let config = patient(&stack.sdk_config().await, ATTEMPT);
    let place = |&(name, kind, variable): &(&'static str, QueueKind, &str)| {
        let inbox = SqsReceiver::new(&config, stack.required(variable)?);
        Ok::<_, Problem>(WatchedQueue { name, kind, inbox })
    };
    Ok(Stores {
        archive: Archive { store: S3Objects::new(&config, stack.required("ARCHIVE_BUCKET")?), bits },
        pulses: table.map(|table| DynamoReader::new(&config, table)),
        places: queues.map(place).collect::<Result<_, _>>()?,
    })
}
