//! The command line of `pulsegate uplinks`.

use clap::{Args, ValueEnum};
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;

use super::{ArchiveOptions, any_device};
use crate::Problem;

/// Seconds of the default span.
const SPAN: u64 = 7 * 86_400;

/// A device's clock is accepted up to a day after the time of arrival.
const AHEAD: u64 = 86_400;

/// Uplinks to show.
#[derive(Debug, Args)]
pub struct UplinksOptions {
    /// The device, such as 1A2345, sigfox:1A2345 or nbiot:490154203237518
    #[arg(value_parser = any_device)]
    pub device: DeviceId,
    /// Uplinks from this time on, such as 2026-11-20T00:00:00Z [default: seven days before --to, or before now]
    #[arg(long, value_name = "TIME")]
    from: Option<At>,
    /// Uplinks before this time [default: a day from now, since clocks may be fast]
    #[arg(long, value_name = "TIME")]
    to: Option<At>,
    /// The newest uplinks of the span only, so many [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "points")]
    pub limit: Option<u32>,
    /// Show the points that the uplinks make together: in order, each once
    #[arg(long)]
    pub points: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = UplinksFormat::Table)]
    pub format: UplinksFormat,
    /// The archive.
    #[command(flatten)]
    pub archive: ArchiveOptions,
}

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UplinksFormat {
    /// Text for people
    Table,
    /// One JSON list
    Json,
    /// Comma-separated values with a header, as in RFC 4180
    Csv,
}

impl UplinksOptions {
    /// Returns the first time of the span and the time after it.
    ///
    /// # Errors
    /// [`Problem::NoSpan`] if it is empty.
    pub fn span(&self, now: At) -> Result<(At, At), Problem> {
        let to = self.to.unwrap_or_else(|| now.checked_add(AHEAD).unwrap_or(At::MAX));
        let from = self.from.unwrap_or_else(|| self.to.unwrap_or(now).checked_sub(SPAN).unwrap_or(At::EPOCH));
        if from < to { Ok((from, to)) } else { Err(Problem::NoSpan { from, to }) }
    }
}
