//! The command line of `cost bill`.

use std::path::PathBuf;

use rust_decimal::Decimal;

use super::pulsegate::setup::{Batching, Callbacks, Database, Setup, Store, kept};
use crate::Error;
use crate::aws::Processor;
use crate::load::Load;
use crate::options::{Sending, devices, positive, share, used};
use crate::prices::{FreeTiers, Prices};
use crate::print::Format;
use crate::template::{SETTLE_MINUTES, STREAM_HOURS};

const EXAMPLES: &str = "\
Designs:
  archive-batch, archive-single
      the design of template.yaml without a table of pulses (PulseTable=false), with batch or single Sigfox callbacks
  pulses-batch-on-demand, pulses-batch-provisioned, pulses-single-on-demand, pulses-single-provisioned
      the same with a table of pulses, paid on demand or provisioned
  tables-batch-on-demand, tables-batch-provisioned, tables-single-on-demand, tables-single-provisioned
      an earlier version, with raw uplinks in a table instead of the archive
  study-4.2, -4.3, -4.4, -4.5, -5.2, -5.3
      as the study of 2020 calculated them; with the suffix -corrected at today's prices with everything that AWS bills
  a, a', b, b', c1 to c5, f1 to f3
      a model made before any measurement (docs/cost.md)
  ours, single, tables, study, corrected, model
      groups of these designs: ours are archive-batch and pulses-batch, single are the same with single callbacks

Examples:
  cost bill --devices 3600000
  cost bill --devices 3.6M --design archive-batch --items
  cost bill --devices 1k,180k,3.6M,36M --design ours,tables --totals
  cost bill --devices 1000,10k,3.6M --design archive-batch,study-4.5,study-5.2 --format markdown
  cost bill --compare cost.svg
  cost bill --study";

/// Options without effect on the study's own tables.
const NOT_WITH_STUDY: [&str; 26] = [
    "devices",
    "interval",
    "sigfox_share",
    "device_types",
    "arrival",
    "repeats",
    "design",
    "database",
    "utilisation",
    "raw_days",
    "archive_days",
    "pulse_days",
    "settle_minutes",
    "kms",
    "months",
    "stream_hours",
    "processor",
    "prices",
    "measured",
    "free_tier",
    "batching",
    "slower",
    "items",
    "totals",
    "compare",
    "euro",
];

/// The command line of `cost bill`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Options {
    /// Numbers of meters, comma-separated; k and M stand for thousands and millions
    #[arg(long, value_delimiter = ',', value_parser = devices, default_value = "180k,360k,3.6M", help_heading = "Fleet")]
    pub devices: Vec<u64>,
    /// The fleet's way of sending.
    #[command(flatten)]
    pub sending: Sending,
    /// Part of the uplinks that arrives twice, because an acknowledgement was lost or a call timed out: paid twice, stored once
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0", help_heading = "Fleet")]
    pub repeats: Decimal,

    /// Designs or groups of designs, comma-separated
    #[arg(long, value_delimiter = ',', default_value = "ours", help_heading = "Design")]
    pub design: Vec<String>,
    /// Only our designs with this payment for tables
    #[arg(long, value_enum, help_heading = "Design")]
    pub database: Option<Database>,
    /// Used part of a provisioned capacity
    #[arg(long, value_parser = used, default_value = "0.8", help_heading = "Design")]
    pub utilisation: Decimal,
    /// Retention of the archive, days; 0 keeps it for ever
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=36_500), default_value_t = 0, help_heading = "Design")]
    pub archive_days: u32,
    /// Retention of pulses in their table, days; 0 keeps them for ever
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=36_500), default_value_t = 0, help_heading = "Design")]
    pub pulse_days: u32,
    /// Retention of raw uplinks in the table of the designs tables-*, days
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500), default_value_t = 400, help_heading = "Design")]
    pub raw_days: u32,
    /// Minutes between runs of settle
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1440), default_value_t = SETTLE_MINUTES, help_heading = "Design")]
    pub settle_minutes: u32,
    /// A key of KMS encrypts the archive (`ArchiveKeyArn`): the key, and a request to it for each object's request
    #[arg(long, help_heading = "Design")]
    pub kms: bool,
    /// Age of the fleet at the time of the bill, months
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1200), default_value_t = 12, help_heading = "Design")]
    pub months: u32,
    /// Retention of the stream, hours
    #[arg(long, value_parser = clap::value_parser!(u32).range(24..=168), default_value_t = STREAM_HOURS, help_heading = "Design")]
    pub stream_hours: u32,
    /// Processor of functions and bridge
    #[arg(long, value_enum, default_value = "x86_64", help_heading = "Design")]
    pub processor: Processor,

    /// Price file [default: built in, eu-west-1]
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub prices: Option<PathBuf>,
    /// Measurement file of `fleet report --measurement` [default: built in]
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub measured: Option<PathBuf>,
    /// Free tiers to deduct: `ever` (those without end), `first-year` (also those of 12 months: in the built-in prices a million
    /// calls of API Gateway), `none`, or comma-separated services
    #[arg(long, value_name = "WHICH", default_value = "ever", help_heading = "Inputs")]
    pub free_tier: String,
    /// How Lambda batches messages for an invocation
    #[arg(long, value_enum, default_value = "measured", help_heading = "Inputs")]
    pub batching: Batching,
    /// Factor on the functions' measured time: a function of 256 MB has a seventh of a processor
    #[arg(long, value_name = "TIMES", value_parser = positive, default_value = "1", help_heading = "Inputs")]
    pub slower: Decimal,

    /// Print a table of the billed items of each of our designs, with quantity, unit and price
    #[arg(long, help_heading = "Output")]
    pub items: bool,
    /// Print only the total of each design and fleet
    #[arg(long, conflicts_with = "items", help_heading = "Output")]
    pub totals: bool,
    /// Draw cost by fleet size, 1k to 36M, into this file (.svg or .png): our designs with batch callbacks, the one with
    /// tables, the study's without 5.3, and its 4.5 corrected, unless --design or --database select others
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub compare: Option<PathBuf>,
    /// Value of a EUR in the prices' currency, for the study's machines in that chart [default: drawn in EUR]
    #[arg(long, value_name = "RATE", value_parser = positive, help_heading = "Output")]
    pub euro: Option<Decimal>,
    /// Print the study's tables, each cell beside the recalculated value
    #[arg(long, conflicts_with_all = NOT_WITH_STUDY, help_heading = "Output")]
    pub study: bool,
    /// Output format
    #[arg(long, value_enum, default_value = "table", help_heading = "Output")]
    pub format: Format,
}

impl Options {
    /// The load of a fleet of `devices` meters.
    pub fn load(&self, devices: u64) -> Load {
        self.sending.load(devices)
    }

    /// A variant of our design, with these options.
    pub fn setup(&self, store: Store, callbacks: Callbacks, database: Database) -> Setup {
        Setup {
            callbacks,
            database,
            utilisation: self.utilisation,
            raw_days: self.raw_days.into(),
            archive_days: kept(self.archive_days),
            pulse_days: kept(self.pulse_days),
            settle_minutes: self.settle_minutes.into(),
            kms: self.kms,
            months: self.months.into(),
            stream_hours: self.stream_hours,
            processor: self.processor,
            arrival: self.sending.arrival,
            slower: self.slower,
            repeats: self.repeats,
            batching: self.batching,
            ..Setup::usual(store)
        }
    }

    /// The free tiers to deduct.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a service without a free tier.
    pub fn free_tiers(&self, prices: &Prices) -> Result<FreeTiers, Error> {
        match self.free_tier.as_str() {
            "ever" => Ok(FreeTiers::Ever),
            "first-year" => Ok(FreeTiers::FirstYear),
            "none" => Ok(FreeTiers::of(&[])),
            services => prices.free_of(services),
        }
    }
}
