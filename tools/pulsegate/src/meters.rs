//! `pulsegate meters`: imports, exports, shows and swaps assignments, which are files of the archive.
//!
//! # Layout
//!
//! - `rows`: reads the rows of a file, with all their errors. `cell`: a value of a row.
//! - `plan`: compares rows with the stored assignments, and finds contradictions between them.
//! - `change`: shows a plan and writes it. Imports and swaps differ only in where the rows come from.
//! - `swap`: the rows of a swap.
//! - `list`: assignments as a table, as comma-separated values and as JSON.

use std::path::Path;
use std::time::Duration;

use pulsegate_model::codec::Channel;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::archive::assignments;
use pulsegate_pipeline::archive::store::ObjectStore;
use tokio::time::Instant;

use crate::options::{Format, ImportOptions, MetersCommand};
use crate::stop::Stop;
use crate::{CommandOutput, Problem};

mod cell;
mod change;
mod list;
mod plan;
mod rows;
mod swap;
#[cfg(test)]
mod tests;

use change::Change;

/// Longer than any request takes in normal operation: a file of the largest fleet has some megabytes.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

/// The names of the columns: the fields of an assignment, in their order.
const COLUMNS: [&str; 14] = [
    "device",
    "channel",
    "from",
    "to",
    "litres_per_pulse",
    "serial",
    "first_index",
    "last_index",
    "time_zone",
    "q3",
    "max_per_hour",
    "can_reverse",
    "label",
    "site",
];

/// An error in an assignment that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    /// The line of the file; `None` if the assignment is of no file.
    line: Option<u64>,
    /// The column; `None` if it is not that of one value.
    column: Option<String>,
    /// The error.
    reason: String,
}

/// Runs a command.
///
/// # Errors
/// [`Problem`]. Errors in rows are in the output, beside [`Problem::Rejected`].
pub async fn run<S: ObjectStore>(store: &S, command: &MetersCommand, stop: &Stop) -> Result<CommandOutput, Problem> {
    match command {
        MetersCommand::Import(options) => import(store, options, stop).await,
        MetersCommand::Swap(options) => swap::run(store, options, stop).await,
        MetersCommand::Export { site, format } => {
            let all = assignments::load(store, deadline()).await?;
            let wanted = all.iter().filter(|assignment| site.is_none() || assignment.site == *site);
            list::exported(wanted, *format).map(CommandOutput::from)
        }
        MetersCommand::Show { device, channel, format } => show(store, *device, channel.as_ref(), *format).await,
    }
}

async fn import<S: ObjectStore>(store: &S, options: &ImportOptions, stop: &Stop) -> Result<CommandOutput, Problem> {
    let ImportOptions { file, write, format } = options;
    let name = file.display().to_string();
    let content = read(file, &name)?;
    let change = Change { subject: &name, write: *write, format: *format, stop };
    change.run(store, rows::read(&content)).await
}

fn read(file: &Path, name: &str) -> Result<Vec<u8>, Problem> {
    std::fs::read(file).map_err(|error| Problem::File(name.to_owned(), error))
}

async fn show<S: ObjectStore>(
    store: &S,
    device: DeviceId,
    channel: Option<&Channel>,
    format: Format,
) -> Result<CommandOutput, Problem> {
    let of_device = assignments::load_device(store, device, deadline()).await?;
    let wanted: Vec<_> =
        of_device.iter().filter(|assignment| channel.is_none_or(|channel| assignment.channel == *channel)).collect();
    if wanted.is_empty() {
        let channel = channel.map(|channel| format!(" {channel}")).unwrap_or_default();
        eprintln!(
            "pulsegate: no assignments of {device}{channel}; its consumption is in pulses, and its days are of UTC"
        );
    }
    Ok(list::shown(&wanted, format).into())
}

fn deadline() -> Instant {
    Instant::now() + REQUEST_TIMEOUT
}
