//! The command line of `pulsegate meters`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use pulsegate_model::assignment::{MeterText, PulseVolume, Zone};
use pulsegate_model::codec::Channel;
use pulsegate_model::device::DeviceId;

use super::{Format, address, any_device, archive};
use crate::Problem;

/// Options of all commands of meters.
#[derive(Debug, Args)]
pub struct MetersOptions {
    /// The stack's output `ArchiveBucketName`
    #[arg(long, env = "ARCHIVE_BUCKET", global = true, value_name = "NAME")]
    archive_bucket: Option<String>,
    /// Command to run.
    #[command(subcommand)]
    pub command: MetersCommand,
}

/// Commands of meters.
#[derive(Debug, Subcommand)]
pub enum MetersCommand {
    /// Add and change the assignments of a file
    ///
    /// The file has comma-separated values with a header: `device`, `channel`, `from`, `to`, `litres_per_pulse`, `serial`,
    /// `first_index`, `last_index`, `time_zone`, `q3`, `max_per_hour`, `can_reverse`, `label`, `site`. Required are `device`,
    /// `channel` and `litres_per_pulse`; the order does not matter. A time is RFC 3339, or a date: midnight in the row's time
    /// zone.
    ///
    /// A row with the `device`, `channel` and `from` of an existing assignment replaces it. Nothing is removed. If any row has an
    /// error, all errors are listed and nothing is written. The same file may be imported again.
    Import(ImportOptions),
    /// Print all assignments, as `import` reads them
    Export {
        /// Only those of this site
        #[arg(long)]
        site: Option<MeterText>,
        /// Output format
        #[arg(long, value_enum, default_value_t = ExportFormat::Csv)]
        format: ExportFormat,
    },
    /// Show the assignments of a device
    Show {
        /// The device, such as 1A2345, sigfox:1A2345 or nbiot:490154203237518
        #[arg(value_parser = any_device)]
        device: DeviceId,
        /// Only this channel, such as A
        channel: Option<Channel>,
        /// Output format
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Record that the meter at a channel was replaced
    ///
    /// Ends the current assignment, and begins one for the new meter. The new one inherits what is not given, but for the
    /// serial number. Run it again with the same time to correct it.
    Swap(Box<SwapOptions>),
}

/// A file to import.
#[derive(Debug, Args)]
pub struct ImportOptions {
    /// The file
    pub file: PathBuf,
    /// Write. Without it, what would be changed is only shown
    #[arg(long)]
    pub write: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// A swap.
#[derive(Debug, Clone, Args)]
pub struct SwapOptions {
    /// The device, such as 1A2345, sigfox:1A2345 or nbiot:490154203237518
    #[arg(value_parser = any_device)]
    pub device: DeviceId,
    /// Its channel, such as A
    pub channel: Channel,
    /// The time: 2026-11-20T09:30:00+01:00, or a date, which is midnight in the meter's time zone
    #[arg(long, value_name = "TIME")]
    pub at: String,
    /// The index at the end of the old meter, in pulses, as the device counts them
    #[arg(long, value_name = "N")]
    pub last_index: u64,
    /// The index at the beginning of the new meter. A device that counts on has the same index
    #[arg(long, value_name = "N")]
    pub first_index: u64,
    /// The new meter's serial number [default: none]
    #[arg(long)]
    pub serial: Option<MeterText>,
    /// Its litres per pulse [default: as before, like all that follow]
    #[arg(long, value_name = "LITRES")]
    pub litres_per_pulse: Option<PulseVolume>,
    /// Its time zone, such as Europe/Brussels
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<Zone>,
    /// Its permanent flow rate Q3, in litres per hour
    #[arg(long, value_name = "LITRES")]
    pub q3: Option<u32>,
    /// The most pulses an hour
    #[arg(long, value_name = "N")]
    pub max_per_hour: Option<u64>,
    /// The index falls when water flows backwards
    #[arg(long, value_name = "BOOL")]
    pub can_reverse: Option<bool>,
    /// A name for people
    #[arg(long)]
    pub label: Option<MeterText>,
    /// The building, street or network that the meter belongs to
    #[arg(long)]
    pub site: Option<MeterText>,
    /// Write. Without it, what would be changed is only shown
    #[arg(long)]
    pub write: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// Output format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Comma-separated values with a header, as in RFC 4180
    Csv,
    /// One JSON list
    Json,
}

impl MetersOptions {
    /// Returns the name of the bucket.
    ///
    /// # Errors
    /// [`Problem::Settings`].
    pub fn bucket(&self) -> Result<String, Problem> {
        let [bucket] = address::all([(&archive::BUCKET, self.archive_bucket.as_ref())])?;
        Ok(bucket)
    }
}
