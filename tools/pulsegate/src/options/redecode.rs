//! The command line of `pulsegate redecode`.

use std::path::PathBuf;

use clap::Args;
use pulsegate_aws::MissingSettings;
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::archive::place::PartitionBits;

use super::address::{self, Resource};
use super::{ArchiveOptions, Format, any_device};
use crate::Problem;

/// Uplinks to decode again, and where to write the results.
#[derive(Debug, Clone, Args)]
pub struct RedecodeOptions {
    /// Only uplinks of this device, such as sigfox:1A2345
    #[arg(long, value_parser = any_device)]
    pub device: Option<DeviceId>,
    /// Only uplinks from this time on, such as 2026-11-20T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: Option<At>,
    /// Only uplinks before this time
    #[arg(long, value_name = "TIME")]
    pub to: Option<At>,
    /// Every uplink in the archive
    #[arg(long, conflicts_with_all = ["device", "from", "to"])]
    pub all: bool,
    /// Write changed and new items. Without it, they are only shown
    #[arg(long)]
    pub write: bool,
    /// Store the position in this file after every page, so that the run can be resumed
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Resume from the state file
    #[arg(long = "continue", requires = "state")]
    pub resume: bool,
    /// List every uplink that differs in this new or empty file: one line of JSON each, with device and key
    #[arg(long, value_name = "FILE")]
    pub meters: Option<PathBuf>,
    /// Read units a second of the table of pulses
    #[arg(long, value_name = "UNITS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub read_units: u32,
    /// Write units a second
    #[arg(long, value_name = "UNITS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub write_units: u32,
    /// Number of files of the archive that are read in parallel
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub parallel: u32,
    /// The stack's parameter `PulseRetentionDays`: new items expire so many days after the time of their uplink; 0: never
    #[arg(long, env = "PULSE_RETENTION_DAYS", value_name = "DAYS", default_value_t = 0)]
    pub pulse_retention_days: u32,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// The archive.
    #[command(flatten)]
    archive: ArchiveOptions,
    /// The stack's output `PulseTable`
    #[arg(long, env = "PULSE_TABLE", value_name = "NAME")]
    pulse_table: Option<String>,
}

const PULSE_TABLE: Resource = Resource::named(["--pulse-table", "PULSE_TABLE", "PulseTable"]);

/// The archive and the table that a run works with.
#[derive(Debug)]
pub struct RedecodeAddresses {
    /// Bucket of the archive.
    pub archive_bucket: String,
    /// Number of its partitions.
    pub partition_bits: PartitionBits,
    /// Table of pulse items.
    pub pulse_table: String,
}

impl RedecodeOptions {
    /// Returns the addresses of the archive and of the table of pulses.
    ///
    /// # Errors
    /// [`Problem::Settings`].
    pub fn addresses(&self) -> Result<RedecodeAddresses, Problem> {
        match (self.archive.archive(), address::all([(&PULSE_TABLE, self.pulse_table.as_ref())])) {
            (Ok((archive_bucket, partition_bits)), Ok([pulse_table])) => {
                Ok(RedecodeAddresses { archive_bucket, partition_bits, pulse_table })
            }
            (archive, table) => {
                let missing = [archive.err(), table.err()].into_iter().flatten();
                Err(MissingSettings(missing.flat_map(|MissingSettings(each)| each).collect()).into())
            }
        }
    }
}
