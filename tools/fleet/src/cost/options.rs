//! What is on the command line.

use std::path::PathBuf;

use rust_decimal::{Decimal, dec};

use super::aws::Processor;
use super::deployed::{RAW_DAYS, STREAM_HOURS};
use super::load::Load;
use super::ours::{Batching, Callbacks, Database, Setup};
use super::prices::{FreeTiers, Prices};
use crate::Problem;
use crate::print::Format;
use crate::spec::Arrival;

const EXAMPLES: &str = "\
Designs:
  ours-batch-on-demand, ours-batch-provisioned, ours-single-on-demand, ours-single-provisioned
      what template.yaml deploys, with batch or single callbacks of Sigfox, and tables paid by request or for a capacity
  study-4.2, -4.3, -4.4, -4.5, -5.2, -5.3
      as the study of 2020 reckoned them; with -corrected behind, at today's prices and with everything that AWS bills
  a, a', b, b', c1 to c5, f1 to f3
      a model from before anything was measured (docs/cost.md)
  ours, study, corrected, model
      all of these

Examples:
  fleet cost --devices 3600000
  fleet cost --devices 1000,10k,3.6M --design ours-batch-provisioned,study-4.5,study-5.2 --format markdown
  fleet cost --compare cost.svg
  fleet cost --study";

/// What says nothing to the study's own tables.
const OTHERS: [&str; 20] = [
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
    "months",
    "stream_hours",
    "processor",
    "prices",
    "measured",
    "free_tier",
    "batching",
    "slower",
    "compare",
    "euro",
];

/// How a fleet sends, whatever is reckoned for it.
#[derive(Debug, Clone, clap::Args)]
pub struct Sending {
    /// Uplinks of a meter in an hour
    #[arg(long, visible_alias = "per-hour", value_name = "UPLINKS", value_parser = positive, default_value = "1", help_heading = "Fleet")]
    pub interval: Decimal,
    /// Part of the meters that is on Sigfox; the others are on NB-IoT
    #[arg(long, value_parser = share, default_value = "0.5", help_heading = "Fleet")]
    pub sigfox_share: Decimal,
    /// Sigfox device types, each of which has its own batch callback every second
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000), default_value_t = 1, help_heading = "Fleet")]
    pub device_types: u32,
    /// When in the hour meters send: decides on shards and tasks
    #[arg(long, value_enum, default_value = "uniform", help_heading = "Fleet")]
    pub arrival: Arrival,
}

impl Sending {
    /// What so many meters send.
    pub fn load(&self, devices: u64) -> Load {
        Load { devices, per_hour: self.interval, sigfox_share: self.sigfox_share, device_types: self.device_types }
    }
}

/// What is on the command line.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Meters; several with commas between them. k and M stand for thousands and millions
    #[arg(long, value_delimiter = ',', value_parser = devices, default_value = "180k,360k,3.6M", help_heading = "Fleet")]
    pub devices: Vec<u64>,
    /// How they send.
    #[command(flatten)]
    pub sending: Sending,
    /// Part of the uplinks that comes twice, since an acknowledgement was lost or a call took too long: paid twice, and kept once
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0", help_heading = "Fleet")]
    pub repeats: Decimal,

    /// Designs, or groups of them; several with commas between them
    #[arg(long, value_delimiter = ',', default_value = "ours", help_heading = "Design")]
    pub design: Vec<String>,
    /// Only those of ours whose tables are paid for like this
    #[arg(long, value_enum, help_heading = "Design")]
    pub database: Option<Database>,
    /// Part of a provisioned capacity that is used
    #[arg(long, value_parser = used, default_value = "0.8", help_heading = "Design")]
    pub utilisation: Decimal,
    /// Days for which raw uplinks are kept
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500), default_value_t = RAW_DAYS, help_heading = "Design")]
    pub raw_days: u32,
    /// Months for which the fleet has been sending when the bill comes: pulses are kept for ever
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1200), default_value_t = 12, help_heading = "Design")]
    pub months: u32,
    /// Hours for which the stream keeps records
    #[arg(long, value_parser = clap::value_parser!(u32).range(24..=168), default_value_t = STREAM_HOURS, help_heading = "Design")]
    pub stream_hours: u32,
    /// What functions and bridge run on
    #[arg(long, value_enum, default_value = "x86_64", help_heading = "Design")]
    pub processor: Processor,

    /// Prices; those that are built in are of eu-west-1
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub prices: Option<PathBuf>,
    /// Measurements, as `fleet report --measurement` writes them
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub measured: Option<PathBuf>,
    /// Free tiers to take off: `ever` (those that last), `first-year` (as well those that the prices have as of 12 months: of the
    /// built-in ones a million calls of API Gateway), `none`, or services with commas between them
    #[arg(long, value_name = "WHICH", default_value = "ever", help_heading = "Inputs")]
    pub free_tier: String,
    /// How Lambda gathers messages for an invocation
    #[arg(long, value_enum, default_value = "measured", help_heading = "Inputs")]
    pub batching: Batching,
    /// By what the functions' measured time is multiplied: a function of 256 MB has a seventh of a processor
    #[arg(long, value_name = "TIMES", value_parser = positive, default_value = "1", help_heading = "Inputs")]
    pub slower: Decimal,

    /// Draw cost by fleet size, 1k to 36M, into this file (.svg or .png): of ours, the study's but for 5.3, and its 4.5
    /// corrected, unless --design or --database choose others
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub compare: Option<PathBuf>,
    /// What a EUR is in the prices' currency, for the study's machines in that picture; without it they are drawn in EUR
    #[arg(long, value_name = "RATE", value_parser = positive, help_heading = "Output")]
    pub euro: Option<Decimal>,
    /// Print the study's tables as they are reproduced, cell by cell
    #[arg(long, conflicts_with_all = OTHERS, help_heading = "Output")]
    pub study: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "table", help_heading = "Output")]
    pub format: Format,
}

impl Options {
    /// A fleet of so many meters.
    pub fn load(&self, devices: u64) -> Load {
        self.sending.load(devices)
    }

    /// Our design, as the template deploys it.
    pub fn setup(&self, callbacks: Callbacks, database: Database) -> Setup {
        Setup {
            callbacks,
            database,
            utilisation: self.utilisation,
            raw_days: self.raw_days.into(),
            months: self.months.into(),
            stream_hours: self.stream_hours,
            point_in_time: true,
            processor: self.processor,
            arrival: self.sending.arrival,
            slower: self.slower,
            repeats: self.repeats,
            batching: self.batching,
            metrics: None,
        }
    }

    /// Which free tiers are taken off.
    ///
    /// # Errors
    /// [`Problem::Wrong`] for a service that has none.
    pub fn free_tiers(&self, prices: &Prices) -> Result<FreeTiers, Problem> {
        match self.free_tier.as_str() {
            "ever" => Ok(FreeTiers::Ever),
            "first-year" => Ok(FreeTiers::FirstYear),
            "none" => Ok(FreeTiers::of(&[])),
            services => prices.free_of(services),
        }
    }
}

/// A number of meters: 3600000, 3600k, 3.6M.
///
/// # Errors
/// What it has to be.
pub fn devices(text: &str) -> Result<u64, String> {
    let thousands = text.strip_suffix('k').map(|digits| (digits, dec!(1000)));
    let millions = text.strip_suffix('M').map(|digits| (digits, dec!(1_000_000)));
    let (digits, times) = thousands.or(millions).unwrap_or((text, Decimal::ONE));
    let number = digits.parse::<Decimal>().ok().and_then(|number| number.checked_mul(times));
    number
        .filter(|number| number.is_integer() && *number >= Decimal::ONE && *number <= dec!(1_000_000_000))
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| "a whole number from 1 to 1000M, such as 180000, 180k or 3.6M".to_owned())
}

fn within(text: &str, fits: impl Fn(Decimal) -> bool, what: &str) -> Result<Decimal, String> {
    text.parse().ok().filter(|number| fits(*number)).ok_or_else(|| what.to_owned())
}

/// A number that is not zero.
///
/// # Errors
/// What it has to be.
pub fn positive(text: &str) -> Result<Decimal, String> {
    within(text, |n| n >= dec!(0.0001) && n <= dec!(10_000), "a number from 0.0001 to 10000")
}

/// A part of a whole. With more digits than a fleet has meters, what is left of it would be rounded to nothing here and not there.
///
/// # Errors
/// What it has to be.
pub fn share(text: &str) -> Result<Decimal, String> {
    let fits = |n: Decimal| n >= Decimal::ZERO && n <= Decimal::ONE && n.normalize().scale() <= 9;
    within(text, fits, "a part of the whole, from 0 to 1, with up to 9 digits after the point")
}

/// Part of a capacity that is used.
///
/// # Errors
/// What it has to be.
pub fn used(text: &str) -> Result<Decimal, String> {
    within(text, |n| n >= dec!(0.05) && n <= Decimal::ONE, "a part of the whole, from 0.05 to 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_whole_has_few_digits() {
        assert_eq!(share("0.500000000000"), Ok(dec!(0.5)));
        for wrong in ["-0.1", "1.1", "0.0000000001", "0.9999999999999999999999999999", "half"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn meters_are_counted_in_thousands_and_millions() {
        let cases =
            [("180000", Some(180_000)), ("180k", Some(180_000)), ("3.6M", Some(3_600_000)), ("0", None), ("1.5", None)];
        for (text, number) in cases {
            assert_eq!(devices(text).ok(), number, "{text}");
        }
        for wrong in ["", "k", "-5", "2000M", "1e40", "5kk5", "99999999999999999999999999M"] {
            assert!(devices(wrong).is_err(), "{wrong}");
        }
    }
}
