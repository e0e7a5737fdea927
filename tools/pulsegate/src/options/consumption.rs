//! The command line of `pulsegate consumption`.

use clap::{Args, ValueEnum};
use pulsegate_model::assignment::Zone;
use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::calendar::Every;
use pulsegate_model::device::DeviceId;

use super::time::LocalTime;
use super::{ArchiveOptions, any_device};

/// Consumption to show.
#[derive(Debug, Clone, Args)]
pub struct ConsumptionOptions {
    /// The device, such as 1A2345, sigfox:1A2345 or nbiot:490154203237518
    #[arg(value_parser = any_device)]
    pub device: DeviceId,
    /// Its channel, such as A [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub channel: Option<Channel>,
    /// The beginning: 2026-11-20T09:30:00+01:00, or a date, which is midnight in the time zone [default: seven days before
    /// --to, at midnight]
    #[arg(long, value_name = "TIME")]
    pub from: Option<LocalTime>,
    /// The end, which is not part of it [default: now]
    #[arg(long, value_name = "TIME")]
    pub to: Option<LocalTime>,
    /// native (from reading to reading), 15min (or another divisor of an hour), hour, day, week or month [default: hour; day
    /// for more than 14 days]
    #[arg(long)]
    pub interval: Option<Every>,
    /// Unit [default: m3 with an assignment, otherwise pulses]
    #[arg(long, value_enum)]
    pub unit: Option<UnitName>,
    /// The time zone of hours, days and dates, such as Europe/Brussels [default: the assignment's, otherwise UTC]
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<Zone>,
    /// Output format
    #[arg(long, value_enum, default_value_t = DataFormat::Table)]
    pub format: DataFormat,
    /// Show the chart beside the table also where the output is no terminal
    #[arg(long)]
    pub chart: bool,
    /// The archive.
    #[command(flatten)]
    pub archive: ArchiveOptions,
}

/// Output format of measured data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DataFormat {
    /// Text for people
    Table,
    /// Comma-separated values with a header, as in RFC 4180
    Csv,
    /// One JSON object
    Json,
}

/// A unit of volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnitName {
    /// Cubic metres
    M3,
    /// Litres
    L,
    /// Pulses, as the device counts them
    Pulses,
}

impl UnitName {
    /// The written form.
    pub fn name(self) -> &'static str {
        match self {
            Self::M3 => "m3",
            Self::L => "l",
            Self::Pulses => "pulses",
        }
    }
}
