//! The command line of `cost plan`.

use std::path::PathBuf;

use clap::ValueEnum as _;
use rust_decimal::Decimal;

use crate::bill::pulsegate::setup::{Callbacks, Database};
use crate::limits::SHARE;
use crate::load::Load;
use crate::options::{Sending, devices, positive, used};
use crate::print::Format;
use crate::template::{RAW_DAYS, STREAM_HOURS};

const EXAMPLES: &str = "\
Examples:
  cost plan --devices 3.6M --arrival top-of-hour
  cost plan --devices 360k --database provisioned --samconfig";

/// The command line of `cost plan`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Number of meters; k and M stand for thousands and millions
    #[arg(long, value_parser = devices, help_heading = "Fleet")]
    pub devices: u64,
    /// How the fleet sends.
    #[command(flatten)]
    pub sending: Sending,
    /// Sigfox makes a call for each uplink, instead of one a second for each device type
    #[arg(long, help_heading = "Fleet")]
    pub single_callbacks: bool,

    /// Payment for the tables
    #[arg(long, value_enum, default_value = "provisioned", help_heading = "Design")]
    pub database: Database,
    /// Part of a provisioned capacity that is used on average; the rest drains a burst
    #[arg(long, value_parser = used, default_value = "0.8", help_heading = "Design")]
    pub utilisation: Decimal,
    /// Retention of raw uplinks, days
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500), default_value_t = RAW_DAYS, help_heading = "Design")]
    pub raw_days: u32,
    /// Retention of the stream, hours: the longest outage of the tables without loss (more than 24 costs more)
    #[arg(long, value_parser = clap::value_parser!(u32).range(24..=8760), default_value_t = STREAM_HOURS, help_heading = "Design")]
    pub stream_hours: u32,

    /// Measurement file of `fleet report --measurement` [default: built in]
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub measured: Option<PathBuf>,
    /// Factor on the functions' measured time: they were measured on whole processors, and a function of 256 MB has a part of
    /// 1/6.91. Waiting for other services takes no longer, so the default has some reserve
    #[arg(long, value_name = "TIMES", value_parser = positive, default_value_t = SHARE, help_heading = "Inputs")]
    pub slower: Decimal,

    /// Print lines for `samconfig.toml` instead of tables
    #[arg(long, conflicts_with = "format", help_heading = "Output")]
    pub samconfig: bool,
    /// Output format
    #[arg(long, value_enum, default_value = "table", help_heading = "Output")]
    pub format: Format,
}

impl Options {
    /// The load of the fleet.
    pub fn load(&self) -> Load {
        self.sending.load(self.devices)
    }

    /// Kind of Sigfox callbacks.
    pub fn callbacks(&self) -> Callbacks {
        if self.single_callbacks { Callbacks::Single } else { Callbacks::Batch }
    }

    /// The command line of the same plan, with all options, so that it stays valid when defaults change.
    pub fn command(&self) -> String {
        let named = |value: Option<clap::builder::PossibleValue>| value.map(|v| v.get_name().to_owned());
        let single = if self.single_callbacks { " --single-callbacks" } else { "" };
        // Quoted, with a line end in the name as `\n`, because the command is a comment of one line.
        let file = self.measured.as_ref().map(|file| file.display().to_string());
        let measured = file.map_or_else(String::new, |file| format!(" --measured {file:?}"));
        format!(
            "cost plan --devices {} --interval {} --sigfox-share {} --device-types {}{single} --arrival {} --database {} \
             --utilisation {} --raw-days {} --stream-hours {}{measured} --slower {} --samconfig",
            self.devices,
            self.sending.interval,
            self.sending.sigfox_share,
            self.sending.device_types,
            named(self.sending.arrival.to_possible_value()).unwrap_or_default(),
            named(self.database.to_possible_value()).unwrap_or_default(),
            self.utilisation,
            self.raw_days,
            self.stream_hours,
            self.slower,
        )
    }

    /// Seconds for which the bridge's records are retried before they go to the bucket: eleven twelfths of the stream's
    /// retention, as in the template, and at most Lambda's limit.
    pub fn give_up_seconds(&self) -> u32 {
        (self.stream_hours * 3300).min(604_800)
    }
}
