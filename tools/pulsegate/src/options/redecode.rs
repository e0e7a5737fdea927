//! The command line of `pulsegate redecode`.

use std::path::PathBuf;

use clap::Args;
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;

use super::address::{self, Resource};
use super::{Format, any_device};
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
    /// Every uplink in the raw table
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
    /// Read units a second, for both tables together
    #[arg(long, value_name = "UNITS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub read_units: u32,
    /// Write units a second
    #[arg(long, value_name = "UNITS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub write_units: u32,
    /// Number of parallel scan segments
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub segments: u32,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// The stack's output `RawTable`
    #[arg(long, env = "RAW_TABLE", value_name = "NAME")]
    raw_table: Option<String>,
    /// The stack's output `PulseTable`
    #[arg(long, env = "PULSE_TABLE", value_name = "NAME")]
    pulse_table: Option<String>,
}

const RAW_TABLE: Resource = Resource::named(["--raw-table", "RAW_TABLE", "RawTable"]);
const PULSE_TABLE: Resource = Resource::named(["--pulse-table", "PULSE_TABLE", "PulseTable"]);

impl RedecodeOptions {
    /// Returns the names of the raw table and of the table of pulses.
    ///
    /// # Errors
    /// [`Problem::Settings`].
    pub fn tables(&self) -> Result<[String; 2], Problem> {
        Ok(address::all([(&RAW_TABLE, self.raw_table.as_ref()), (&PULSE_TABLE, self.pulse_table.as_ref())])?)
    }
}
