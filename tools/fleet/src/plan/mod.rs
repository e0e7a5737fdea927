//! What a fleet needs: shards, capacity, tasks, and how long a burst takes.
//!
//! # Layout
//!
//! - [`capacity`]: each need as a function of rates and measurements; [`needs`]: all of them for a fleet, and how a burst drains;
//! - [`show`]: as a table, and as the parameters of `template.yaml` for `samconfig.toml`.

pub mod capacity;
pub mod needs;
pub mod show;

use std::path::PathBuf;

use clap::ValueEnum as _;
use rust_decimal::{Decimal, dec};

use crate::cost::deployed::{RAW_DAYS, STREAM_HOURS};
use crate::cost::limits::SHARE;
use crate::cost::load::Load;
use crate::cost::measurement::Measurement;
use crate::cost::options::{Sending, devices, positive, used};
use crate::cost::ours::{Callbacks, Database};
use crate::print::Format;
use crate::{Problem, print};

const EXAMPLES: &str = "\
Examples:
  fleet plan --devices 3.6M --arrival top-of-hour
  fleet plan --devices 360k --database provisioned --samconfig";

/// What is on the command line.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Meters. k and M stand for thousands and millions
    #[arg(long, value_parser = devices, help_heading = "Fleet")]
    pub devices: u64,
    /// How they send.
    #[command(flatten)]
    pub sending: Sending,
    /// Whether Sigfox calls for each uplink, instead of once a second for each device type
    #[arg(long, help_heading = "Fleet")]
    pub single_callbacks: bool,

    /// How the tables are paid for
    #[arg(long, value_enum, default_value = "provisioned", help_heading = "Design")]
    pub database: Database,
    /// Part of a provisioned capacity that is used on average; what is left drains a burst
    #[arg(long, value_parser = used, default_value = "0.8", help_heading = "Design")]
    pub utilisation: Decimal,
    /// Days for which raw uplinks are kept
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500), default_value_t = RAW_DAYS, help_heading = "Design")]
    pub raw_days: u32,
    /// Hours for which the stream keeps records: how long the tables may be away (over 24 costs more)
    #[arg(long, value_parser = clap::value_parser!(u32).range(24..=8760), default_value_t = STREAM_HOURS, help_heading = "Design")]
    pub stream_hours: u32,

    /// Measurements, as `fleet report --measurement` writes them
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub measured: Option<PathBuf>,
    /// By what the functions' measured time is multiplied: they were measured on whole processors, and a function of 256 MB has
    /// 1 of 6.91. What waits for other services is no slower for that, so there is some room in the default
    #[arg(long, value_name = "TIMES", value_parser = positive, default_value_t = SHARE, help_heading = "Inputs")]
    pub slower: Decimal,

    /// Print lines for `samconfig.toml` instead of tables
    #[arg(long, conflicts_with = "format", help_heading = "Output")]
    pub samconfig: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "table", help_heading = "Output")]
    pub format: Format,
}

impl Options {
    /// The fleet.
    pub fn load(&self) -> Load {
        self.sending.load(self.devices)
    }

    /// How Sigfox calls.
    pub fn callbacks(&self) -> Callbacks {
        if self.single_callbacks { Callbacks::Single } else { Callbacks::Batch }
    }

    /// What has to be typed for the same plan, also after defaults have changed.
    pub fn command(&self) -> String {
        let named = |value: Option<clap::builder::PossibleValue>| value.map(|v| v.get_name().to_owned());
        let single = if self.single_callbacks { " --single-callbacks" } else { "" };
        // In quotes, and a line end in the name as `\n`: it is a comment of one line.
        let file = self.measured.as_ref().map(|file| file.display().to_string());
        let measured = file.map_or_else(String::new, |file| format!(" --measured {file:?}"));
        format!(
            "fleet plan --devices {} --interval {} --sigfox-share {} --device-types {}{single} --arrival {} --database {} \
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

    /// For how long the bridge's records are tried before they go to the bucket: eleven twelfths of what the stream keeps, as
    /// the template has it, and no more than Lambda allows.
    pub fn give_up_seconds(&self) -> u32 {
        (self.stream_hours * 3300).min(604_800)
    }
}

/// Prints it.
///
/// # Errors
/// [`Problem`] if the measurements cannot be read, or AWS has no such capacity.
pub fn run(options: &Options) -> Result<(), Problem> {
    print!("{}", text(options)?);
    Ok(())
}

/// What is printed.
///
/// # Errors
/// As [`run`].
pub fn text(options: &Options) -> Result<String, Problem> {
    let measured = Measurement::read(options.measured.as_deref())?;
    let needs = needs::Needs::of(options, &measured)?;
    if options.samconfig {
        return Ok(show::samconfig(options, &needs));
    }
    let tables = [show::parameters(options, &needs), show::burst(options, &needs), show::inputs(options, &measured)];
    Ok(print::several(&tables, options.format))
}

/// Minutes of so many seconds.
fn minutes(seconds: Decimal) -> Decimal {
    seconds / dec!(60)
}
