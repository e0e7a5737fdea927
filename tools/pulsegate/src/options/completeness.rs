//! The command line of `pulsegate completeness`.

use clap::{ArgGroup, Args};
use jiff::civil::Date;
use pulsegate_model::device::DeviceId;

use super::{ArchiveOptions, DataFormat, any_device, time};

/// Completeness to show: of a device, or of the fleet.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["device", "day"]))]
pub struct CompletenessOptions {
    /// The device, such as 1A2345, sigfox:1A2345 or nbiot:490154203237518
    #[arg(value_parser = any_device)]
    pub device: Option<DeviceId>,
    /// Days of the device from this date on, in the time zone of each channel's assignment [default: 28 days before --to]
    #[arg(long, value_name = "DATE", value_parser = time::date, requires = "device")]
    pub from: Option<Date>,
    /// Days before this date [default: today, so that the last day is yesterday]
    #[arg(long, value_name = "DATE", value_parser = time::date, requires = "device")]
    pub to: Option<Date>,
    /// The whole fleet on this date, in the time zone of each channel's assignment
    #[arg(long, value_name = "DATE", value_parser = time::date)]
    pub day: Option<Date>,
    /// So many of the worst devices, with the reason
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with = "device")]
    pub worst: usize,
    /// Output format
    #[arg(long, value_enum, default_value_t = DataFormat::Table)]
    pub format: DataFormat,
    /// Show the picture above the table also where the output is no terminal
    #[arg(long, requires = "device")]
    pub chart: bool,
    /// The archive.
    #[command(flatten)]
    pub archive: ArchiveOptions,
}
