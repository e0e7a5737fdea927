//! The command line of `cost plan`.

use std::path::PathBuf;

use clap::ValueEnum as _;
use rust_decimal::Decimal;

use crate::bill::pulsegate::setup::{Callbacks, Database, Setup, Store, kept};
use crate::limits::SHARE;
use crate::load::Load;
use crate::options::{Sending, devices, positive, used};
use crate::print::Format;
use crate::template::{SETTLE_MINUTES, STREAM_HOURS};

const EXAMPLES: &str = "\
Examples:
  cost plan --devices 3.6M --arrival top-of-hour
  cost plan --devices 3.6M --store archive
  cost plan --devices 360k --database provisioned --samconfig";

/// Minutes between runs of `settle` that a plan chooses from.
pub const SETTLE_CHOICES: [u32; 6] = [SETTLE_MINUTES, 10, 5, 3, 2, 1];

fn date(text: &str) -> Result<String, String> {
    let parts: Vec<_> = text.split('-').map(|part| (part.len(), part.parse::<u32>())).collect();
    match parts[..] {
        [(4, Ok(2020..=2099)), (2, Ok(1..=12)), (2, Ok(1..=31))] => Ok(text.to_owned()),
        _ => Err("a date from 2020 to 2099, such as 2027-03-01".to_owned()),
    }
}

/// The command line of `cost plan`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Number of meters; k and M stand for thousands and millions
    #[arg(long, value_parser = devices, help_heading = "Fleet")]
    pub devices: u64,
    /// The fleet's way of sending.
    #[command(flatten)]
    pub sending: Sending,
    /// Sigfox makes a call for each uplink, instead of one a second for each device type
    #[arg(long, help_heading = "Fleet")]
    pub single_callbacks: bool,

    /// The place of pulses
    #[arg(long, value_enum, default_value = "pulses", help_heading = "Design")]
    pub store: Store,
    /// Payment for the table of pulses
    #[arg(long, value_enum, default_value = "provisioned", help_heading = "Design")]
    pub database: Database,
    /// Part of a provisioned capacity that is used on average; the rest drains a burst
    #[arg(long, value_parser = used, default_value = "0.8", help_heading = "Design")]
    pub utilisation: Decimal,
    /// Retention of the archive, days; 0 keeps it for ever
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=36_500), default_value_t = 0, help_heading = "Design")]
    pub archive_days: u32,
    /// Retention of pulses in their table, days; 0 keeps them for ever
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=36_500), default_value_t = 0, help_heading = "Design")]
    pub pulse_days: u32,
    /// First day of `PartitionBits`: the default is for a new archive; one with files needs a day to come, added to its list
    #[arg(long, value_name = "DATE", value_parser = date, default_value = "2020-01-01", help_heading = "Design")]
    pub from_day: String,
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

    /// The settings of our design, with runs of `settle` each `minutes`.
    pub fn setup(&self, minutes: u32) -> Setup {
        Setup {
            callbacks: self.callbacks(),
            database: self.database,
            utilisation: self.utilisation,
            archive_days: kept(self.archive_days),
            pulse_days: kept(self.pulse_days),
            settle_minutes: minutes.into(),
            stream_hours: self.stream_hours,
            arrival: self.sending.arrival,
            slower: self.slower,
            ..Setup::usual(self.store)
        }
    }

    /// The command line of the same plan, with all options, so that it stays valid when defaults change.
    pub fn command(&self) -> String {
        let named = |value: Option<clap::builder::PossibleValue>| value.map(|v| v.get_name().to_owned());
        let single = if self.single_callbacks { " --single-callbacks" } else { "" };
        // Quoted, with a line end in the name as `\n`, because the command is a comment of one line.
        let file = self.measured.as_ref().map(|file| file.display().to_string());
        let measured = file.map_or_else(String::new, |file| format!(" --measured {file:?}"));
        format!(
            "cost plan --devices {} --interval {} --sigfox-share {} --device-types {}{single} --arrival {} --store {} \
             --database {} --utilisation {} --archive-days {} --pulse-days {} --from-day {} --stream-hours {}{measured} \
             --slower {} --samconfig",
            self.devices,
            self.sending.interval,
            self.sending.sigfox_share,
            self.sending.device_types,
            named(self.sending.arrival.to_possible_value()).unwrap_or_default(),
            named(self.store.to_possible_value()).unwrap_or_default(),
            named(self.database.to_possible_value()).unwrap_or_default(),
            self.utilisation,
            self.archive_days,
            self.pulse_days,
            self.from_day,
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
